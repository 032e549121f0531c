package store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"imprimatur.dev/store"
)

// Digests from FIPS 180-2's examples, appendix B.1, and of no bytes at all.
const (
	digestOfABC     = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	digestOfNothing = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

func newBlobs(t *testing.T) (*store.Blobs, string) {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "below", "blobs")
	b, err := store.OpenBlobs(folder)
	if err != nil {
		t.Fatal(err)
	}
	return b, folder
}

// files returns the names of all files in the folder, relative to it.
func files(t *testing.T, folder string) (names []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(folder), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func readBlob(b *store.Blobs, digest string) ([]byte, error) {
	r, err := b.Open(digest)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func TestBlobRoundTrip(t *testing.T) {
	b, folder := newBlobs(t)
	for content, want := range map[string]string{"abc": digestOfABC, "": digestOfNothing} {
		if b.Has(want) {
			t.Errorf("%q is there before it was put", content)
		}
		for range 2 { // the second time it is there already
			digest, size, err := b.Put(t.Context(), iotest.OneByteReader(strings.NewReader(content)))
			if err != nil || digest != want || size != int64(len(content)) {
				t.Errorf("putting %q: %s of %d bytes, %v; want %s", content, digest, size, err, want)
			}
		}
		got, err := readBlob(b, want)
		if err != nil || string(got) != content || !b.Has(want) {
			t.Errorf("reading %s: %q, %v; want %q", want, got, err, content)
		}
	}
	if got := files(t, folder); len(got) != 2 {
		t.Errorf("two blobs are the files %q", got)
	}
	again, err := store.OpenBlobs(folder)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := readBlob(again, digestOfABC); err != nil || string(got) != "abc" {
		t.Errorf("after opening the folder again: %q, %v", got, err)
	}
}

// TestBlobInParts leaves nothing behind when the bytes stop coming.
func TestBlobInParts(t *testing.T) {
	b, folder := newBlobs(t)
	broken := errors.New("the connection broke")
	ended, cancel := context.WithCancel(t.Context())
	for _, c := range []struct {
		name string
		ctx  context.Context
		r    io.Reader
		want error
	}{
		{"the reader fails", t.Context(), io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken)), broken},
		{"the reader fails with its last bytes", t.Context(), iotest.DataErrReader(io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken))), broken},
		{"the context ends", ended, io.MultiReader(strings.NewReader("abc"), endOf{cancel}, strings.NewReader("abc")), context.Canceled},
	} {
		if digest, _, err := b.Put(c.ctx, c.r); !errors.Is(err, c.want) {
			t.Errorf("%s: %q, %v; want %v", c.name, digest, err, c.want)
		}
		if got := files(t, folder); len(got) != 0 {
			t.Errorf("%s: it left %q behind", c.name, got)
		}
		if b.Has(digestOfABC) {
			t.Errorf("%s: a part of it is there", c.name)
		}
	}
}

// endOf ends a context when it is read, and has no bytes.
type endOf struct{ cancel func() }

func (e endOf) Read([]byte) (int, error) { e.cancel(); return 0, io.EOF }

func TestCorruptedBlob(t *testing.T) {
	content := bytes.Repeat([]byte("evidence "), 100_000)
	for name, corrupt := range map[string]func([]byte) []byte{
		"a flipped bit":  func(data []byte) []byte { data[len(data)/2] ^= 1; return data },
		"a missing end":  func(data []byte) []byte { return data[:len(data)-1] },
		"all missing":    func([]byte) []byte { return nil },
		"something more": func(data []byte) []byte { return append(data, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			b, folder := newBlobs(t)
			digest, _, err := b.Put(t.Context(), bytes.NewReader(content))
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(folder, files(t, folder)[0])
			if err := os.WriteFile(path, corrupt(bytes.Clone(content)), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := readBlob(b, digest); !errors.Is(err, store.ErrBlob) || !strings.Contains(err.Error(), digest) {
				t.Errorf("reading: %v; want ErrBlob that names %s", err, digest)
			}
			if again, _, err := b.Put(t.Context(), bytes.NewReader(content)); err != nil || again != digest {
				t.Fatalf("putting it again: %s, %v", again, err)
			}
			if got, err := readBlob(b, digest); err != nil || !bytes.Equal(got, content) {
				t.Errorf("putting it again did not mend it: %v", err)
			}
		})
	}
}

func TestBadDigests(t *testing.T) {
	b, folder := newBlobs(t)
	hex := strings.TrimPrefix(digestOfABC, "sha256:")
	if err := os.WriteFile(filepath.Join(filepath.Dir(folder), "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Put(t.Context(), strings.NewReader("abc")); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		"", hex, "sha256:", "sha256:ba", "sha512:" + hex, "sha256:" + hex + "00", "sha256:" + hex[:62], "sha256:" + hex[:63] + "g",
		"sha256:" + strings.ToUpper(hex), "SHA256:" + hex, " " + digestOfABC, digestOfABC + "\n", "sha256:../secret", "sha256:ba/" + hex,
	} {
		if _, err := b.Open(bad); err == nil || errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), "is not a digest of the form") {
			t.Errorf("opening %q: %v", bad, err)
		}
		if b.Has(bad) {
			t.Errorf("has %q", bad)
		}
	}
	if _, err := b.Open(digestOfNothing); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("opening what is not there: %v, want ErrNotFound", err)
	}
}

// TestBlobsAtOnce puts the same and other contents from many goroutines.
func TestBlobsAtOnce(t *testing.T) {
	b, folder := newBlobs(t)
	contents := [][]byte{bytes.Repeat([]byte("a"), 1<<20), bytes.Repeat([]byte("b"), 1<<16), []byte("c")}
	var wg sync.WaitGroup
	for i := range 24 {
		want := contents[i%len(contents)]
		wg.Go(func() {
			digest, _, err := b.Put(t.Context(), bytes.NewReader(want))
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := readBlob(b, digest); err != nil || !bytes.Equal(got, want) {
				t.Errorf("reading right after putting: %d bytes, %v", len(got), err)
			}
		})
	}
	wg.Wait()
	if got := files(t, folder); len(got) != len(contents) {
		t.Errorf("%d contents are the files %q", len(contents), got)
	}
}

func TestBlobsNeedAFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.OpenBlobs(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("opening a file as a folder: %v", err)
	}
}

func TestBlobUnderAnotherDigestIsNotKept(t *testing.T) {
	b, folder := newBlobs(t)
	if err := b.PutAs(t.Context(), digestOfNothing, strings.NewReader("abc")); !errors.Is(err, store.ErrBlob) || !strings.Contains(err.Error(), digestOfABC) {
		t.Errorf("abc was put under another digest: %v", err)
	}
	if err := b.PutAs(t.Context(), "sha256:12", strings.NewReader("abc")); err == nil {
		t.Error("abc was put under what is no digest")
	}
	if got := files(t, folder); len(got) != 0 {
		t.Errorf("it left %q behind", got)
	}
	if err := b.PutAs(t.Context(), digestOfABC, strings.NewReader("abc")); err != nil || !b.Has(digestOfABC) {
		t.Errorf("abc under its own digest: %v", err)
	}
}

func TestBlobIsReadInAnyOrder(t *testing.T) {
	b, _ := newBlobs(t)
	if _, err := b.At(digestOfABC); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a blob that is not there is opened: %v", err)
	}
	if err := b.PutAs(t.Context(), digestOfABC, strings.NewReader("abc")); err != nil {
		t.Fatal(err)
	}
	at, err := b.At(digestOfABC)
	if err != nil {
		t.Fatal(err)
	}
	defer at.Close()
	var got [2]byte
	if _, err := at.ReadAt(got[:], 1); err != nil || string(got[:]) != "bc" || at.Size != 3 {
		t.Errorf("the last two of %d bytes are %q, %v", at.Size, got, err)
	}
}
