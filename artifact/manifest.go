package artifact

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/record"
)

// ErrManifest is wrapped by every error about the content of a manifest.
var ErrManifest = errors.New("not a valid manifest")

// single is the path of the only file of a model that is not a folder.
const single = "."

// File is one file of a model.
type File = record.File

// Manifest lists the files of a model by code point of path. Ignored names what was found and left out at the top level;
// it is no part of the digest.
type Manifest struct {
	Files   []File   `json:"files"`
	Ignored []string `json:"ignored,omitempty"`
}

// Size is the sum of the sizes of the files, in bytes.
func (m Manifest) Size() int64 {
	var sum int64
	for _, f := range m.Files {
		sum += f.Size
	}
	return sum
}

// Digest is the model's digest, "sha256:<hex>", by the rule in the package comment.
func (m Manifest) Digest() string {
	sum := sha256.Sum256(m.Canonical())
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Canonical is the RFC 8785 JSON that [Manifest.Digest] is the SHA-256 of.
func (m Manifest) Canonical() []byte {
	data, err := json.Marshal(struct {
		Files []File `json:"files"`
	}{m.Files})
	if err == nil {
		// The members already stand in RFC 8785 order; this settles the escapes in paths.
		err = (*jsontext.Value)(&data).Canonicalize()
	}
	if err != nil {
		// Only a path that is not UTF-8 can do this, and Validate refuses it before a manifest gets anywhere.
		panic(fmt.Sprintf("artifact: canonical form of an invalid manifest: %v", err))
	}
	return data
}

// Root is the root digest of OpenSSF Model Signing v1.0 (section 6.5): the hexadecimal SHA-256 of the files' raw digests
// in manifest order. The manifest must be valid.
func (m Manifest) Root() string {
	h := sha256.New()
	for _, f := range m.Files {
		raw, _ := hex.DecodeString(f.SHA256) // valid, see Validate
		h.Write(raw)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Validate checks a manifest that comes from elsewhere: at least one file; sorted, distinct, relative UTF-8 paths, or
// the single path "."; digests of 64 lower-case hexadecimal digits; no negative size.
func (m Manifest) Validate() error {
	if len(m.Files) == 0 {
		return fmt.Errorf("%w: it lists no file", ErrManifest)
	}
	for i, f := range m.Files {
		switch {
		case !utf8.ValidString(f.Path) || !fs.ValidPath(f.Path) || strings.ContainsRune(f.Path, 0):
			return fmt.Errorf("%w: %q is not a relative path in plain form", ErrManifest, f.Path)
		case f.Path == single && len(m.Files) > 1:
			return fmt.Errorf("%w: the path \".\" stands for a model of one file, but there are %d", ErrManifest, len(m.Files))
		case i > 0 && f.Path <= m.Files[i-1].Path:
			return fmt.Errorf("%w: %q is repeated or out of order", ErrManifest, f.Path)
		case !isSHA256(f.SHA256):
			return fmt.Errorf("%w: the SHA-256 of %q is not 64 lower-case hexadecimal digits", ErrManifest, f.Path)
		case f.Size < 0 || f.Size > 1<<53:
			return fmt.Errorf("%w: the size of %q is out of range", ErrManifest, f.Path)
		}
	}
	return nil
}

// ParseManifest reads a manifest from JSON, strictly, and validates it.
func ParseManifest(data []byte) (Manifest, error) {
	var m Manifest
	if err := json.Unmarshal(data, &m, json.RejectUnknownMembers(true)); err != nil {
		return Manifest{}, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	if err := m.Validate(); err != nil {
		return Manifest{}, err
	}
	return m, nil
}

func isSHA256(s string) bool {
	return len(s) == 2*sha256.Size && strings.Trim(s, "0123456789abcdef") == ""
}

// Compare holds what was found against the manifest: the answer is nil, or a *[Mismatch].
func (m Manifest) Compare(found Manifest) error {
	var diff Mismatch
	got := make(map[string]File, len(found.Files))
	for _, f := range found.Files {
		got[f.Path] = f
	}
	for _, want := range m.Files {
		f, listed := got[want.Path]
		delete(got, want.Path)
		switch {
		case !listed:
			diff.Missing = append(diff.Missing, want.Path)
		case f != want:
			diff.Changed = append(diff.Changed, want.Path)
		}
	}
	for path := range got {
		diff.Extra = append(diff.Extra, path)
	}
	if diff.empty() {
		return nil
	}
	slices.Sort(diff.Changed)
	slices.Sort(diff.Missing)
	slices.Sort(diff.Extra)
	return &diff
}

// Mismatch says how the files found differ from a manifest, by path, each list sorted.
type Mismatch struct {
	Changed []string // present with another size or other content
	Missing []string // in the manifest only
	Extra   []string // in the folder only
}

func (m *Mismatch) empty() bool { return len(m.Changed)+len(m.Missing)+len(m.Extra) == 0 }

// Error names up to ten files of each list.
func (m *Mismatch) Error() string {
	var parts []string
	for _, l := range []struct {
		word  string
		paths []string
	}{{"changed", m.Changed}, {"missing", m.Missing}, {"not in the manifest", m.Extra}} {
		if len(l.paths) == 0 {
			continue
		}
		text := l.word + ": " + strings.Join(l.paths[:min(10, len(l.paths))], ", ")
		if more := len(l.paths) - 10; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		parts = append(parts, text)
	}
	return "the files are not those of the manifest; " + strings.Join(parts, "; ")
}
