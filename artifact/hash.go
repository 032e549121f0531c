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
	buffer := readBuffers.Get().(*[readSize]byte)
	defer readBuffers.Put(buffer)
	h := sha256.New()
	for left := info.Size(); left > 0; {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		n, err := f.Read(buffer[:min(left, readSize)])
		h.Write(buffer[:n])
		add(n)
		left -= int64(n)
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", err
		}
	}
	after, err := f.Stat()
	if err != nil {
		return "", err
	}
	if after.Size() != info.Size() || !after.ModTime().Equal(info.ModTime()) {
		return "", fmt.Errorf("%s: %w", info.Name(), ErrChanged)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
