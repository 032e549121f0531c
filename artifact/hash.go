package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
)

// readSize is what one worker reads at a time; see the package comment for why.
const readSize = 512 << 10

var readBuffers = sync.Pool{New: func() any { return new([readSize]byte) }}

// hashFile returns the hexadecimal SHA-256 of a file, which must keep the size and time that info gives.
// It calls add with the bytes of each step.
func hashFile(ctx context.Context, f *os.File, info fs.FileInfo, add func(int)) (string, error) {
	sum, _, err := hashStream(ctx, f, info.Size(), func(b []byte) error {
		add(len(b))
		return nil
	})
	if err != nil {
		return "", err
	}
	after, err := f.Stat()
	if err != nil {
		return "", err
	}
	if after.Size() != info.Size() || !after.ModTime().Equal(info.ModTime()) {
		return "", fmt.Errorf("%s: %w", info.Name(), ErrChanged)
	}
	return sum, nil
}

// hashStream reads r to its end, or to the limit, and returns the hexadecimal SHA-256 and the count of its bytes. Each
// step is given on.
func hashStream(ctx context.Context, r io.Reader, limit int64, each func([]byte) error) (string, int64, error) {
	buffer := readBuffers.Get().(*[readSize]byte)
	defer readBuffers.Put(buffer)
	h := sha256.New()
	read := int64(0)
	for read < limit {
		if err := ctx.Err(); err != nil {
			return "", read, err
		}
		n, err := r.Read(buffer[:min(limit-read, readSize)])
		h.Write(buffer[:n])
		read += int64(n)
		if given := each(buffer[:n]); given != nil {
			return "", read, given
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", read, err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), read, nil
}
