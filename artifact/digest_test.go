package artifact

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// folder makes a model folder of the given files.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// SHA-256 of "abc" (FIPS 180-2, appendix B.1) and of nothing.
const (
	abcSHA256   = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

func TestDigestOfAFolder(t *testing.T) {
	dir := folder(t, map[string]string{
		"a/b": "abc", "a.txt": "", "a-1/x": "abc", "é": "abc", "empty-of-git/.git": "abc",
		".git/HEAD": "x", ".gitignore": "x", "model.sig": "x", "cache/x": "x",
	})
	m, err := Digest(context.Background(), dir, Options{Ignore: []string{"cache"}})
	if err != nil {
		t.Fatal(err)
	}
	want := Manifest{
		Files: []File{
			{Path: "a-1/x", SHA256: abcSHA256, Size: 3},
			{Path: "a.txt", SHA256: emptySHA256, Size: 0},
			{Path: "a/b", SHA256: abcSHA256, Size: 3},
			{Path: "empty-of-git/.git", SHA256: abcSHA256, Size: 3},
			{Path: "é", SHA256: abcSHA256, Size: 3},
		},
		Ignored: []string{".git", ".gitignore", "cache", "model.sig"},
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Errorf("manifest (-want +got):\n%s", diff)
	}
	if err := m.Validate(); err != nil {
		t.Error(err)
	}
}

func TestDigestByHand(t *testing.T) {
	m, err := Digest(context.Background(), folder(t, map[string]string{"w": "abc"}), Options{})
	if err != nil {
		t.Fatal(err)
	}
	canonical := `{"files":[{"path":"w","sha256":"` + abcSHA256 + `","size":3}]}`
	if got := string(m.Canonical()); got != canonical {
		t.Errorf("canonical form %s, want %s", got, canonical)
	}
	// printf '%s' '{"files":[{"path":"w","sha256":"ba78...15ad","size":3}]}' | sha256sum
	if got, want := m.Digest(), "sha256:3659f5288a14e1e1774b305cab9ce2b40a5b8c6e83f45f2cbe061a9848e63898"; got != want {
		t.Errorf("Digest = %s, want %s", got, want)
	}
	// printf ba78...15ad | xxd -r -p | sha256sum: SHA-256 applied to "abc" twice.
	if got, want := m.Root(), "4f8b42c22dd3729b519ba6f68d2da7cc5b2d606d05daed5ad5128cc03e6c6358"; got != want {
		t.Errorf("Root = %s, want %s", got, want)
	}
}

func TestDigestOfOneFileForgetsItsName(t *testing.T) {
	dir := folder(t, map[string]string{"one": "abc", "two": "abc"})
	if err := os.Symlink("one", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one", "two", "link"} {
		m, err := Digest(context.Background(), filepath.Join(dir, name), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]File{{Path: ".", SHA256: abcSHA256, Size: 3}}, m.Files); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if err := Verify(context.Background(), filepath.Join(dir, "two"), m, Options{}); err != nil {
			t.Error(err)
		}
	}
}

func TestDigestRefuses(t *testing.T) {
	ctx := context.Background()
	linked := folder(t, map[string]string{"a": "abc"})
	if err := os.Symlink("a", filepath.Join(linked, "sub-link")); err != nil {
		t.Fatal(err)
	}
	if _, err := Digest(ctx, linked, Options{}); !errors.Is(err, ErrNotRegular) || !strings.Contains(err.Error(), "sub-link is a symbolic link") {
		t.Errorf("a link: %v", err)
	}
	piped := folder(t, map[string]string{"a": "abc"})
	if err := syscall.Mkfifo(filepath.Join(piped, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Digest(ctx, piped, Options{}); !errors.Is(err, ErrNotRegular) || !strings.Contains(err.Error(), "pipe is a named pipe") {
		t.Errorf("a pipe: %v", err)
	}
	if _, err := Digest(ctx, filepath.Join(piped, "pipe"), Options{}); !errors.Is(err, ErrNotRegular) {
		t.Errorf("a pipe as the model: %v", err)
	}
	if _, err := Digest(ctx, folder(t, map[string]string{".gitignore": "x"}), Options{}); !errors.Is(err, ErrEmpty) {
		t.Errorf("nothing but ignored files: %v", err)
	}
	if _, err := Digest(ctx, folder(t, map[string]string{"a\xff": "x"}), Options{}); err == nil || !strings.Contains(err.Error(), "UTF-8") {
		t.Errorf("a name that is not UTF-8: %v", err)
	}
	if _, err := Digest(ctx, filepath.Join(linked, "absent"), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Digest(cancelled, folder(t, map[string]string{"a": "x"}), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestDigestSeesChangesUnderWay(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"cut short": func(path string) error { return os.Truncate(path, readSize) },
		"longer":    func(path string) error { return os.Truncate(path, 9*readSize) },
		"rewritten": func(path string) error {
			// The clock of a file system may be too coarse to tell the two writes apart, so the time is set.
			return errors.Join(os.WriteFile(path, make([]byte, 4*readSize), 0o644), os.Chtimes(path, time.Time{}, time.Unix(1e9, 0)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t, map[string]string{"w": strings.Repeat("x", 4*readSize)})
			var failed error
			changed := false
			_, err := Digest(context.Background(), dir, Options{Progress: func(done, total int64) {
				if !changed {
					changed, failed = true, change(filepath.Join(dir, "w"))
				}
			}})
			if failed != nil {
				t.Fatal(failed)
			}
			if !errors.Is(err, ErrChanged) {
				t.Errorf("Digest = %v, want ErrChanged", err)
			}
		})
	}
}

func TestFileSwappedForALinkAfterListing(t *testing.T) {
	dir := folder(t, map[string]string{"w": "abc", ".git/secret": "abc"})
	// Size, content and time are the same, so that only the identity of the file can tell.
	for _, name := range []string{"w", ".git/secret"} {
		if err := os.Chtimes(filepath.Join(dir, name), time.Time{}, time.Unix(1e9, 0)); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := openTree(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.root.Close()
	if err := os.Remove(filepath.Join(dir, "w")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(".git/secret", filepath.Join(dir, "w")); err != nil {
		t.Fatal(err)
	}
	if err := tr.hash(context.Background(), tr.files, nil); !errors.Is(err, ErrChanged) {
		t.Errorf("hash = %v, want ErrChanged", err)
	}
}

func TestProgressReachesTheTotal(t *testing.T) {
	dir := folder(t, map[string]string{"a": strings.Repeat("x", 3*readSize+1), "b": "abc", "c": ""})
	var last, calls int64
	_, err := Digest(context.Background(), dir, Options{Progress: func(done, total int64) {
		if done < last || total != 3*readSize+4 {
			t.Errorf("progress %d of %d after %d", done, total, last)
		}
		last, calls = done, calls+1
	}})
	if err != nil || last != 3*readSize+4 || calls < 5 {
		t.Errorf("ended at %d after %d calls, %v", last, calls, err)
	}
}

func TestVerify(t *testing.T) {
	dir := folder(t, map[string]string{"same": "abc", "content": "abc", "size": "abc", "gone": "abc", "sub/gone": "abc"})
	m, err := Digest(context.Background(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := Verify(context.Background(), dir, m, Options{}); err != nil {
		t.Fatal(err)
	}
	now := folder(t, map[string]string{"same": "abc", "content": "abd", "size": "abcd", "new": "abc", ".git/x": "x"})
	err = Verify(context.Background(), now, m, Options{})
	var diff *Mismatch
	if !errors.As(err, &diff) {
		t.Fatalf("Verify = %v", err)
	}
	want := &Mismatch{Changed: []string{"content", "size"}, Missing: []string{"gone", "sub/gone"}, Extra: []string{"new"}}
	if d := cmp.Diff(want, diff); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	sentence := "changed: content, size; missing: gone, sub/gone; not in the manifest: new"
	if !strings.HasSuffix(err.Error(), sentence) {
		t.Errorf("error %q does not end in %q", err, sentence)
	}
	if err := Verify(context.Background(), now, Manifest{}, Options{}); !errors.Is(err, ErrManifest) {
		t.Errorf("an empty manifest: %v", err)
	}
}

func TestManifestValidate(t *testing.T) {
	good := Manifest{Files: []File{{Path: "a", SHA256: abcSHA256, Size: 3}, {Path: "b/c", SHA256: abcSHA256, Size: 3}}}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string][]File{
		"none":       nil,
		"order":      {{Path: "b", SHA256: abcSHA256, Size: 3}, {Path: "a", SHA256: abcSHA256, Size: 3}},
		"repeated":   {{Path: "a", SHA256: abcSHA256, Size: 3}, {Path: "a", SHA256: abcSHA256, Size: 3}},
		"escape":     {{Path: "../a", SHA256: abcSHA256, Size: 3}},
		"inner":      {{Path: "a/../../b", SHA256: abcSHA256, Size: 3}},
		"absolute":   {{Path: "/a", SHA256: abcSHA256, Size: 3}},
		"empty":      {{Path: "", SHA256: abcSHA256, Size: 3}},
		"nul":        {{Path: "a\x00b", SHA256: abcSHA256, Size: 3}},
		"not utf-8":  {{Path: "a\xff", SHA256: abcSHA256, Size: 3}},
		"dot of two": {{Path: ".", SHA256: abcSHA256, Size: 3}, {Path: "a", SHA256: abcSHA256, Size: 3}},
		"upper case": {{Path: "a", SHA256: strings.ToUpper(abcSHA256), Size: 3}},
		"short":      {{Path: "a", SHA256: abcSHA256[:62], Size: 3}},
		"negative":   {{Path: "a", SHA256: abcSHA256, Size: -1}},
	} {
		if err := (Manifest{Files: files}).Validate(); !errors.Is(err, ErrManifest) {
			t.Errorf("%s: %v, want ErrManifest", name, err)
		}
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(`{"files":[{"path":"w","sha256":"` + abcSHA256 + `","size":3}]}`))
	f.Add([]byte(`{"files":[{"path":".","sha256":"` + emptySHA256 + `","size":0}],"ignored":[".git"]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseManifest(data)
		if err != nil {
			return
		}
		again, err := ParseManifest(m.Canonical())
		if err != nil || again.Digest() != m.Digest() || again.Root() != m.Root() {
			t.Fatalf("canonical form is another manifest: %v", err)
		}
	})
}
