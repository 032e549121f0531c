package evidence

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Limits on archives: an archive of a few bytes can claim to be of any size.
const (
	maxEntries  = 200_000
	maxExpanded = 4 << 30 // bytes of all members that are read
	maxRatio    = 500     // expanded to compressed, of a member larger than maxSmall
	maxSmall    = 16 << 20
)

// archive is a zip archive of which members are read with one budget. Members
// may be stored, deflated or compressed with Zstandard (method 93).
type archive struct {
	part   part
	zip    *zip.Reader
	budget int64
}

func (p part) archive() (*archive, error) {
	z, err := zip.NewReader(p, p.Size)
	if err != nil {
		return nil, p.refuse("", "it is a zip archive that cannot be read: %v", err)
	}
	z.RegisterDecompressor(zstd.ZipMethodWinZip, zstd.ZipDecompressor(zstd.WithDecoderMaxMemory(64<<20), zstd.WithDecoderConcurrency(1)))
	return &archive{part: p, zip: z, budget: maxExpanded}, nil
}

// open opens a member. What it expands to is counted: an error wraps a
// [Refusal] when the archive becomes too large.
func (a *archive) open(f *zip.File) (io.ReadCloser, error) {
	r, err := f.Open()
	if err != nil {
		return nil, a.part.refuse(f.Name, "it cannot be unpacked: %v", err)
	}
	return &member{in: r, archive: a, file: f}, nil
}

type member struct {
	in      io.ReadCloser
	archive *archive
	file    *zip.File
	read    int64
}

func (m *member) Read(p []byte) (int, error) {
	n, err := m.in.Read(p)
	m.read += int64(n)
	m.archive.budget -= int64(n)
	switch {
	case m.archive.budget < 0:
		return 0, limit(fmt.Sprintf("the archive expands to more than %d bytes", int64(maxExpanded)))
	case m.read > maxSmall && m.read > maxRatio*int64(m.file.CompressedSize64+1):
		return 0, limit(fmt.Sprintf("the member %s expands to more than %d times its size", m.file.Name, maxRatio))
	case err != nil && !errors.Is(err, io.EOF):
		return n, limit(fmt.Sprintf("the member %s is damaged: %v", m.file.Name, err))
	}
	return n, err
}

func (m *member) Close() error { return m.in.Close() }
