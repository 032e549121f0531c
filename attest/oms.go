package attest

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/artifact"
)

// ModelSignatureType is the predicate type of OpenSSF Model Signing v1.0 (spec section 5.1).
const ModelSignatureType = "https://model_signing/signature/v1.0"

// ErrModelSignature is wrapped by every error about the form of a model signature.
var ErrModelSignature = errors.New("not a usable OpenSSF model signature")

const (
	legacyModelType = "https://model_signing/Digests/v0.1"
	bundleMediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"
)

// bundleMediaTypes are the ways in which Sigstore has written the media type of a bundle so far.
var bundleMediaTypes = regexp.MustCompile(`^application/vnd\.dev\.sigstore\.bundle(\.v0\.3\+json|\+json;version=0\.[123])$`)

// alwaysIgnored is what the specification leaves out of every model (section 6.2), and the signature's own file.
var alwaysIgnored = []string{".git", ".gitattributes", ".github", ".gitignore", artifact.SignatureFile}

// The JSON of a bundle, in the part that key mode uses (section 4). Members that it does not use are ignored, as the
// specification asks; a repeated member is an error. A null keyid and an absent one are the same.
type modelBundle struct {
	MediaType            string               `json:"mediaType"`
	VerificationMaterial verificationMaterial `json:"verificationMaterial"`
	Envelope             *Envelope            `json:"dsseEnvelope"`
}

type verificationMaterial struct {
	PublicKey   *publicKeyHint   `json:"publicKey,omitempty"`
	TlogEntries []jsontext.Value `json:"tlogEntries"`
}

type publicKeyHint struct {
	Hint string `json:"hint,omitempty"`
}

type modelStatement struct {
	Type          string         `json:"_type"`
	Subject       []modelSubject `json:"subject"`
	PredicateType string         `json:"predicateType"`
	Predicate     modelPredicate `json:"predicate"`
}

type modelSubject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

type modelPredicate struct {
	Resources     []modelResource    `json:"resources"`
	Serialization modelSerialization `json:"serialization"`
}

type modelResource struct {
	Name      string `json:"name"`
	Algorithm string `json:"algorithm"`
	Digest    string `json:"digest"`
}

type modelSerialization struct {
	Method        string         `json:"method"`
	HashType      string         `json:"hash_type"`
	AllowSymlinks bool           `json:"allow_symlinks"`
	IgnorePaths   []string       `json:"ignore_paths"`
	ShardSize     jsontext.Value `json:"shard_size,omitzero"` // some write 1000000000.0
}

// SignedModel is what a model signature says: the name it was given, each file with its SHA-256 in the order in which
// they were signed (Size is not part of it and is -1), the root digest as hexadecimal SHA-256, and the paths left out.
type SignedModel struct {
	Name    string
	Files   []artifact.File
	Root    string
	Ignored []string
}

// SignModel signs the files of a manifest with OpenSSF Model Signing v1.0 in key mode and returns the Sigstore bundle to
// keep as [artifact.SignatureFile] beside them. The name is the base name of the model's folder or file. Files are never
// read again: their digests are those of the manifest.
func SignModel(name string, manifest artifact.Manifest, key *ModelKey) ([]byte, error) {
	payload, err := modelPayload(name, manifest)
	if err != nil {
		return nil, fmt.Errorf("signing model %q: %w", name, err)
	}
	digest := sha256.Sum256(PAE(PayloadType, payload))
	sig, err := ecdsa.SignASN1(rand.Reader, key.private, digest[:])
	if err != nil {
		return nil, fmt.Errorf("signing model %q: %w", name, err)
	}
	bundle, err := json.Marshal(modelBundle{
		MediaType: bundleMediaType,
		VerificationMaterial: verificationMaterial{
			PublicKey:   &publicKeyHint{Hint: key.Hint()},
			TlogEntries: []jsontext.Value{},
		},
		Envelope: &Envelope{Payload: payload, PayloadType: PayloadType, Signatures: []Signature{{Sig: sig}}},
	})
	if err != nil {
		return nil, fmt.Errorf("signing model %q: %w", name, err)
	}
	return bundle, nil
}

func modelPayload(name string, manifest artifact.Manifest) ([]byte, error) {
	if err := manifest.Validate(); err != nil {
		return nil, err
	}
	if name == "" || name == "." || !fs.ValidPath(name) || strings.Contains(name, "/") {
		return nil, fmt.Errorf("%w: %q is not the base name of a folder or file", ErrModelSignature, name)
	}
	ignore := append(slices.Clone(alwaysIgnored), manifest.Ignored...)
	slices.Sort(ignore)
	s := modelStatement{
		Type:          StatementType,
		Subject:       []modelSubject{{Name: name, Digest: map[string]string{"sha256": manifest.Root()}}},
		PredicateType: ModelSignatureType,
		Predicate: modelPredicate{Serialization: modelSerialization{
			Method: "files", HashType: "sha256", IgnorePaths: slices.Compact(ignore),
		}},
	}
	for _, f := range manifest.Files {
		resource := modelResource{Name: f.Path, Algorithm: "sha256", Digest: f.SHA256}
		if f.Path == "." {
			resource.Name = name // a model of one file is called by its file name (section 5.2.1)
		}
		s.Predicate.Resources = append(s.Predicate.Resources, resource)
	}
	for _, path := range s.Predicate.Serialization.IgnorePaths {
		if strings.ContainsAny(path, "*?[") {
			return nil, fmt.Errorf("%w: %q is left out, but a path with *, ? or [ can not be named as such", ErrModelSignature, path)
		}
	}
	return json.Marshal(s)
}

// VerifyModel checks a model signature in key mode against a public key on P-256, P-384 or P-521 and returns what was
// signed. It refuses what it can not check whole: certificates, shards, other hashes than SHA-256, the predicate of
// before v1.0, repeated files and a root that is not the files' own. It looks at no file: see [SignedModel.Check].
func VerifyModel(bundle []byte, public *ecdsa.PublicKey) (SignedModel, error) {
	m, err := verifyModel(bundle, public)
	if err != nil {
		return SignedModel{}, fmt.Errorf("checking model signature: %w", err)
	}
	return m, nil
}

func verifyModel(data []byte, public *ecdsa.PublicKey) (SignedModel, error) {
	var b modelBundle
	if err := json.Unmarshal(data, &b); err != nil {
		return SignedModel{}, fmt.Errorf("%w: %w", ErrModelSignature, err)
	}
	switch {
	case !bundleMediaTypes.MatchString(b.MediaType):
		return SignedModel{}, fmt.Errorf("%w: %q is not the media type of a Sigstore bundle", ErrModelSignature, b.MediaType)
	case b.Envelope == nil || len(b.Envelope.Signatures) != 1:
		return SignedModel{}, fmt.Errorf("%w: it needs a DSSE envelope with exactly one signature", ErrModelSignature)
	case b.Envelope.PayloadType != PayloadType:
		return SignedModel{}, fmt.Errorf("%w: its payload is of type %q", ErrModelSignature, b.Envelope.PayloadType)
	case b.VerificationMaterial.PublicKey == nil:
		return SignedModel{}, fmt.Errorf("%w: it was signed with a certificate; only signatures with a key are checked here", ErrModelSignature)
	}
	digest, err := curveDigest(public, PAE(PayloadType, b.Envelope.Payload))
	if err != nil {
		return SignedModel{}, err
	}
	if !ecdsa.VerifyASN1(public, digest, b.Envelope.Signatures[0].Sig) {
		// The hint only chooses the better sentence; what counts is the signature.
		hint, own := b.VerificationMaterial.PublicKey.Hint, modelKeyHint(public)
		if hint != "" && hint != own {
			return SignedModel{}, fmt.Errorf("%w: it names key %s, the key given is %s", ErrUnknownKey, hint, own)
		}
		return SignedModel{}, ErrBadSignature
	}
	return parseModelStatement(b.Envelope.Payload)
}

// curveDigest hashes as the curve asks (algorithm registry of the specification).
func curveDigest(public *ecdsa.PublicKey, message []byte) ([]byte, error) {
	switch public.Curve.Params().BitSize {
	case 256:
		sum := sha256.Sum256(message)
		return sum[:], nil
	case 384:
		sum := sha512.Sum384(message)
		return sum[:], nil
	case 521:
		sum := sha512.Sum512(message)
		return sum[:], nil
	}
	return nil, fmt.Errorf("model signatures are checked with keys on P-256, P-384 or P-521, not %s", public.Curve.Params().Name)
}

func parseModelStatement(payload []byte) (SignedModel, error) {
	var s modelStatement
	// The predicate is looked at first, so that another kind of statement gets its own sentence.
	var kind struct {
		Type          string `json:"_type"`
		PredicateType string `json:"predicateType"`
	}
	if err := json.Unmarshal(payload, &kind); err != nil {
		return SignedModel{}, fmt.Errorf("%w: its statement: %w", ErrModelSignature, err)
	}
	switch {
	case kind.PredicateType == legacyModelType:
		return SignedModel{}, fmt.Errorf("%w: it is of the format before v1.0 (%s); sign the model again", ErrModelSignature, legacyModelType)
	case kind.Type != StatementType || kind.PredicateType != ModelSignatureType:
		return SignedModel{}, fmt.Errorf("%w: it signs a statement %q of type %q, not %q", ErrModelSignature, kind.Type, kind.PredicateType, ModelSignatureType)
	}
	if err := json.Unmarshal(payload, &s); err != nil {
		return SignedModel{}, fmt.Errorf("%w: its statement: %w", ErrModelSignature, err)
	}
	switch how := s.Predicate.Serialization; {
	case how.Method == "shards":
		return SignedModel{}, fmt.Errorf("%w: its files are signed in shards, which can not be checked here; sign with the method \"files\"", ErrModelSignature)
	case how.Method != "files":
		return SignedModel{}, fmt.Errorf("%w: unknown serialization method %q", ErrModelSignature, how.Method)
	case how.HashType != "sha256":
		return SignedModel{}, fmt.Errorf("%w: its files are hashed with %q; only sha256 is checked here", ErrModelSignature, how.HashType)
	case len(s.Subject) != 1 || len(s.Subject[0].Digest) != 1:
		return SignedModel{}, fmt.Errorf("%w: it must have one subject with one digest", ErrModelSignature)
	}
	return signedFiles(s)
}

func signedFiles(s modelStatement) (SignedModel, error) {
	m := SignedModel{Name: s.Subject[0].Name, Ignored: s.Predicate.Serialization.IgnorePaths}
	root, seen := sha256.New(), map[string]bool{}
	for _, r := range s.Predicate.Resources {
		raw, err := hex.DecodeString(r.Digest)
		switch {
		case err != nil || len(raw) != sha256.Size || r.Digest != hex.EncodeToString(raw) || r.Algorithm != "sha256":
			return SignedModel{}, fmt.Errorf("%w: file %q has no plain SHA-256", ErrModelSignature, r.Name)
		case !fs.ValidPath(r.Name) || strings.ContainsRune(r.Name, 0):
			return SignedModel{}, fmt.Errorf("%w: %q is not a relative path in plain form", ErrModelSignature, r.Name)
		case seen[r.Name]:
			return SignedModel{}, fmt.Errorf("%w: file %q stands there twice", ErrModelSignature, r.Name)
		}
		seen[r.Name] = true
		root.Write(raw) // in the order of the payload, which is not the same in every implementation
		m.Files = append(m.Files, artifact.File{Path: r.Name, SHA256: r.Digest, Size: -1})
	}
	m.Root = hex.EncodeToString(root.Sum(nil))
	switch {
	case len(m.Files) == 0:
		return SignedModel{}, fmt.Errorf("%w: it signs no file", ErrModelSignature)
	case s.Subject[0].Digest["sha256"] != m.Root:
		return SignedModel{}, fmt.Errorf("%w: its root digest is not that of its files", ErrModelSignature)
	}
	return m, nil
}

// Check compares the files that were signed with those of a manifest and answers nil or an *[artifact.Mismatch].
// A manifest of a single file fits a signature over one file with the same content, whatever its name.
func (m SignedModel) Check(manifest artifact.Manifest) error {
	signed := make(map[string]string, len(m.Files))
	for _, f := range m.Files {
		signed[f.Path] = f.SHA256
	}
	if len(m.Files) == 1 && len(manifest.Files) == 1 && manifest.Files[0].Path == "." {
		signed = map[string]string{".": m.Files[0].SHA256}
	}
	var diff artifact.Mismatch
	for _, f := range manifest.Files {
		switch want, listed := signed[f.Path]; {
		case !listed:
			diff.Extra = append(diff.Extra, f.Path)
		case want != f.SHA256:
			diff.Changed = append(diff.Changed, f.Path)
		}
		delete(signed, f.Path)
	}
	for path := range signed {
		diff.Missing = append(diff.Missing, path)
	}
	slices.Sort(diff.Missing)
	if len(diff.Changed)+len(diff.Missing)+len(diff.Extra) > 0 {
		return fmt.Errorf("checking model %q: %w", m.Name, &diff)
	}
	return nil
}
