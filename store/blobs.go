package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrBlob is wrapped when a blob's bytes are not what its digest says.
var ErrBlob = errors.New("the blob is not what its digest says")

// Blobs keeps bytes by their digest in a folder: "sha256:<hex>" is the file
// <first two hex digits>/<hex>. A blob is there whole or not at all.
type Blobs struct{ folder string }

// OpenBlobs opens a folder of blobs, making it when there is none.
func OpenBlobs(folder string) (*Blobs, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of blobs: %w", err)
	}
	return &Blobs{folder}, nil
}

// Put keeps what r gives and returns its digest and size once it is durable.
// Bytes that are there already are kept once.
func (b *Blobs) Put(ctx context.Context, r io.Reader) (digest string, size int64, err error) {
	return b.put(ctx, r, "")
}

// PutAs is Put of bytes that must have a digest. The error wraps [ErrBlob] when
// they have another, and then nothing is kept.
func (b *Blobs) PutAs(ctx context.Context, digest string, r io.Reader) error {
	if _, err := b.path(digest); err != nil {
		return err
	}
	_, _, err := b.put(ctx, r, digest)
	return err
}

func (b *Blobs) put(ctx context.Context, r io.Reader, want string) (digest string, size int64, err error) {
	tmp, err := os.CreateTemp(b.folder, "incoming-*")
	if err != nil {
		return "", 0, fmt.Errorf("keeping a blob: %w", err)
	}
	// After the rename there is nothing under this name to remove.
	defer os.Remove(tmp.Name()) //nolint:errcheck // a left-over is garbage, not loss
	h := sha256.New()
	size, err = io.Copy(io.MultiWriter(tmp, h), readerUntil{ctx, r})
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return "", 0, fmt.Errorf("keeping a blob: %w", err)
	}
	name := hex.EncodeToString(h.Sum(nil))
	if want != "" && want != "sha256:"+name {
		return "", 0, fmt.Errorf("%w: what came for %s is sha256:%s", ErrBlob, want, name)
	}
	path := filepath.Join(b.folder, name[:2], name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", 0, fmt.Errorf("keeping a blob: %w", err)
	}
	// Crash order: the bytes are on disk before they have their name, and the
	// name is on disk before the digest is answered.
	if err := os.Rename(tmp.Name(), path); err != nil {
		return "", 0, fmt.Errorf("keeping a blob: %w", err)
	}
	for _, dir := range []string{filepath.Dir(path), b.folder} {
		if err := syncFolder(dir); err != nil {
			return "", 0, fmt.Errorf("keeping a blob: %w", err)
		}
	}
	return "sha256:" + name, size, nil
}

// Remove removes a blob; one that is not there is no error.
func (b *Blobs) Remove(digest string) error {
	path, err := b.path(digest)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing a blob: %w", err)
	}
	return nil
}

// Has reports whether the blob is there; its bytes are not checked.
func (b *Blobs) Has(digest string) bool {
	path, err := b.path(digest)
	if err != nil {
		return false
	}
	_, err = os.Stat(path)
	return err == nil
}

// Open opens a blob. Its last read fails with [ErrBlob] when the bytes are not
// what the digest says, so whoever reads to the end has read the right bytes.
// The error wraps [ErrNotFound] when it is not there.
func (b *Blobs) Open(digest string) (io.ReadCloser, error) {
	path, err := b.path(digest)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: blob %s", ErrNotFound, digest)
	}
	if err != nil {
		return nil, fmt.Errorf("opening a blob: %w", err)
	}
	return &checkedReader{f: f, h: sha256.New(), want: strings.TrimPrefix(digest, "sha256:")}, nil
}

// Blob is an open blob of which any part can be read. Its bytes are not checked:
// whoever relies on them hashes them.
type Blob struct {
	io.ReaderAt
	io.Closer
	Size int64
}

// At opens a blob for reading in any order. The error wraps [ErrNotFound] when
// it is not there.
func (b *Blobs) At(digest string) (Blob, error) {
	path, err := b.path(digest)
	if err != nil {
		return Blob{}, err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Blob{}, fmt.Errorf("%w: blob %s", ErrNotFound, digest)
	}
	if err != nil {
		return Blob{}, fmt.Errorf("opening a blob: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return Blob{}, errors.Join(fmt.Errorf("opening a blob: %w", err), f.Close())
	}
	return Blob{f, f, info.Size()}, nil
}

func (b *Blobs) path(digest string) (string, error) {
	name, ok := strings.CutPrefix(digest, "sha256:")
	if raw, err := hex.DecodeString(name); !ok || err != nil || len(raw) != sha256.Size || name != strings.ToLower(name) {
		return "", fmt.Errorf("%q is not a digest of the form sha256:<64 hex digits>", digest)
	}
	return filepath.Join(b.folder, name[:2], name), nil
}

type checkedReader struct {
	f    *os.File
	h    hash.Hash
	want string
}

func (c *checkedReader) Read(p []byte) (int, error) {
	n, err := c.f.Read(p)
	c.h.Write(p[:n])
	if err == io.EOF {
		if got := hex.EncodeToString(c.h.Sum(nil)); got != c.want {
			return n, fmt.Errorf("%w: sha256:%s reads as sha256:%s", ErrBlob, c.want, got)
		}
	}
	return n, err
}

func (c *checkedReader) Close() error { return c.f.Close() }

// readerUntil stops reading when ctx ends.
type readerUntil struct {
	ctx context.Context
	r   io.Reader
}

func (r readerUntil) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
