package artifact

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// Remote is one file of a model that is kept elsewhere.
type Remote struct {
	// Path is relative, with "/" between the parts; "." where the model is this one file.
	Path string
	// Size is what the place says of it, or -1 where it says nothing.
	Size int64
	// Open begins to read it at its first byte. It may be called twice.
	Open func(context.Context) (io.ReadCloser, error)
}

const (
	// keptHead is how much of the beginning of a remote file is kept in memory; of its end it is headSize.
	keptHead = 16 << 20
	// remotes is how many remote files are read at once, at most.
	remotes = 4
)

// Read is [Digest] and [Inspect] of files that are kept elsewhere, by the same rules and with the same answers. Each file
// passes once, and its beginning and end are kept in memory. Only where these do not show what it is, as with a large
// archive, is it read once more, into a file in the folder for temporary files that has no name there. A file that has not
// the size that its place says is refused with [ErrChanged].
func Read(ctx context.Context, files []Remote, opts Options) (Manifest, Inspection, error) {
	var m Manifest
	kept := make([]Remote, 0, len(files))
	for _, f := range files {
		top, _, _ := strings.Cut(f.Path, "/")
		if i := slices.Index(ignored, top); i >= 0 || slices.Contains(opts.Ignore, f.Path) {
			if i >= 0 && !slices.Contains(m.Ignored, top) {
				m.Ignored = append(m.Ignored, top)
			}
			continue
		}
		kept = append(kept, f)
	}
	if len(kept) == 0 {
		return Manifest{}, Inspection{}, ErrEmpty
	}
	slices.SortFunc(kept, func(a, b Remote) int { return strings.Compare(a.Path, b.Path) })
	slices.Sort(m.Ignored)
	m.Files = make([]File, len(kept))
	for i, f := range kept {
		m.Files[i] = File{Path: f.Path, Size: max(f.Size, 0), SHA256: strings.Repeat("0", 64)}
	}
	// The paths are checked before the first byte is read.
	if err := m.Validate(); err != nil {
		return Manifest{}, Inspection{}, err
	}
	seen := Inspection{Files: make([]FileFormat, len(kept))}
	findings := make([][]Finding, len(kept))
	progress := counter{report: opts.Progress}
	for _, f := range m.Files {
		progress.total += f.Size
	}
	order := make([]int, len(kept))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(kept[b].Size, kept[a].Size) })
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(min(remotes, runtime.GOMAXPROCS(0)))
	for _, i := range order {
		group.Go(func() (err error) {
			m.Files[i], seen.Files[i].Format, findings[i], err = kept[i].read(working, progress.add)
			seen.Files[i].Path = kept[i].Path
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return Manifest{}, Inspection{}, err
	}
	seen.Findings = slices.Concat(findings...)
	return m, seen, ctx.Err()
}

func (f Remote) read(ctx context.Context, add func(int)) (File, Format, []Finding, error) {
	ends := &ends{}
	file, err := f.hash(ctx, func(b []byte) error {
		ends.write(b)
		add(len(b))
		return nil
	})
	if err != nil {
		return file, "", nil, err
	}
	ends.size = file.Size
	format, found, err := InspectFile(f.Path, ends, file.Size)
	if ends.missed {
		format, found, err = f.inspectWhole(ctx, file)
	}
	return file, format, found, err
}

// hash reads the file once and gives its bytes on as they pass.
func (f Remote) hash(ctx context.Context, each func([]byte) error) (File, error) {
	r, err := f.Open(ctx)
	if err != nil {
		return File{}, fmt.Errorf("%s: %w", f.Path, err)
	}
	defer r.Close() //nolint:errcheck // it was only read
	limit := int64(1<<53 + 1)
	if f.Size >= 0 {
		limit = f.Size + 1
	}
	sum, n, err := hashStream(ctx, r, limit, each)
	switch {
	case err != nil:
		return File{}, fmt.Errorf("%s: %w", f.Path, err)
	case f.Size >= 0 && n > f.Size:
		return File{}, fmt.Errorf("%s: %w: it was said to have %d bytes, and more came", f.Path, ErrChanged, f.Size)
	case f.Size >= 0 && n < f.Size:
		return File{}, fmt.Errorf("%s: %w: it was said to have %d bytes, and %d came", f.Path, ErrChanged, f.Size, n)
	}
	return File{Path: f.Path, Size: n, SHA256: sum}, nil
}

// inspectWhole reads the file once more, to where it can be looked at anywhere. It must be the same as before.
func (f Remote) inspectWhole(ctx context.Context, want File) (_ Format, _ []Finding, err error) {
	tmp, err := os.CreateTemp("", "imprimatur-model-*")
	if err != nil {
		return "", nil, fmt.Errorf("making room to look at %s: %w", f.Path, err)
	}
	defer func() { err = errors.Join(err, tmp.Close()) }()
	// Without a name it goes with the process, however that ends.
	if err := os.Remove(tmp.Name()); err != nil {
		return "", nil, fmt.Errorf("making room to look at %s: %w", f.Path, err)
	}
	again, err := f.hash(ctx, func(b []byte) error {
		_, err := tmp.Write(b)
		return err
	})
	if err != nil {
		return "", nil, err
	}
	if again != want {
		return "", nil, fmt.Errorf("%s: %w", f.Path, ErrChanged)
	}
	return InspectFile(f.Path, tmp, want.Size)
}

// ends are the beginning and the end of a stream.
type ends struct {
	head, tail []byte
	size       int64
	// missed says that something in between was asked for.
	missed bool
}

func (e *ends) write(b []byte) {
	room := min(keptHead-len(e.head), len(b))
	e.head = append(e.head, b[:room]...)
	if b = b[room:]; len(b) == 0 {
		return
	}
	if over := len(b) - headSize; over > 0 {
		b, e.tail = b[over:], e.tail[:0]
	}
	if over := len(e.tail) + len(b) - headSize; over > 0 {
		e.tail = e.tail[:copy(e.tail, e.tail[over:])]
	}
	e.tail = append(e.tail, b...)
}

// ReadAt implements io.ReaderAt over what was kept.
func (e *ends) ReadAt(p []byte, off int64) (int, error) {
	want := p[:max(0, min(int64(len(p)), e.size-off))]
	from := e.size - int64(len(e.tail))
	var n int
	switch {
	case off+int64(len(want)) <= int64(len(e.head)):
		n = copy(want, e.head[min(off, int64(len(e.head))):])
	case off >= from:
		n = copy(want, e.tail[off-from:])
	case from == int64(len(e.head)): // nothing is missing between the two
		n = copy(want, e.head[off:])
		n += copy(want[n:], e.tail)
	default:
		e.missed = true
		return 0, errCut
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
