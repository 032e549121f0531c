package artifact

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"
)

// What may be wrong with the files of a model.
var (
	ErrEmpty      = errors.New("the folder holds no file")
	ErrNotRegular = errors.New("not a regular file")
	ErrChanged    = errors.New("the file changed while it was read")
)

// SignatureFile is the name of the OpenSSF model signature at the top of a model folder.
const SignatureFile = "model.sig"

// ignored are the names left out at the top level, as OpenSSF Model Signing v1.0 leaves them out.
var ignored = []string{".git", ".gitattributes", ".github", ".gitignore", SignatureFile}

// Options of [Digest] and [Verify]. The zero value is right for most.
type Options struct {
	// Ignore lists further paths to leave out, files or folders, exact and relative with "/".
	Ignore []string
	// Progress, where set, is called with the bytes hashed so far and the bytes in all, one call at a time.
	Progress func(done, total int64)
}

// Digest reads the file or folder at path and returns its manifest. It stops soon after ctx is cancelled.
func Digest(ctx context.Context, path string, opts Options) (Manifest, error) {
	t, err := openTree(path, opts.Ignore)
	if err != nil {
		return Manifest{}, fmt.Errorf("reading model %s: %w", path, err)
	}
	defer t.root.Close()
	if err := t.hash(ctx, t.files, opts.Progress); err != nil {
		return Manifest{}, fmt.Errorf("reading model %s: %w", path, err)
	}
	m := Manifest{Ignored: t.ignored, Files: make([]File, len(t.files))}
	for i, f := range t.files {
		m.Files[i] = f.File
	}
	return m, nil
}

// Verify checks that the file or folder at path holds exactly the files of the manifest. The answer is nil, a *[Mismatch]
// that names every file that differs, or another error where that could not be found out. Content is only read where
// the size is right.
func Verify(ctx context.Context, path string, m Manifest, opts Options) error {
	if err := m.Validate(); err != nil {
		return fmt.Errorf("checking model %s: %w", path, err)
	}
	t, err := openTree(path, opts.Ignore)
	if err != nil {
		return fmt.Errorf("checking model %s: %w", path, err)
	}
	defer t.root.Close()
	sizes := make(map[string]int64, len(m.Files))
	for _, f := range m.Files {
		sizes[f.Path] = f.Size
	}
	found := Manifest{Files: make([]File, len(t.files))}
	var same []*entry
	for _, f := range t.files {
		if size, listed := sizes[f.Path]; listed && size == f.Size {
			same = append(same, f)
		}
	}
	if err := t.hash(ctx, same, opts.Progress); err != nil {
		return fmt.Errorf("checking model %s: %w", path, err)
	}
	for i, f := range t.files {
		found.Files[i] = f.File
	}
	if err := m.Compare(found); err != nil {
		return fmt.Errorf("checking model %s: %w", path, err)
	}
	return nil
}

// tree is a model on disk: a folder opened as a root, or the folder of a single file.
type tree struct {
	root    *os.Root
	files   []*entry // by path
	ignored []string
}

// entry is a file of a tree: its name below the root, and what the folder said of it.
type entry struct {
	File
	name string
	info fs.FileInfo
}

func openTree(path string, ignore []string) (*tree, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	folder := path
	if !info.IsDir() {
		if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%w: it is a %s", ErrNotRegular, kind(info.Mode()))
		}
		// The file itself may be named through a link, since somebody named it; nothing below a folder may.
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return nil, err
		}
		folder = filepath.Dir(path)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	t := &tree{root: root}
	if info.IsDir() {
		err = t.walk(ignore)
	} else {
		t.files = []*entry{{File: File{Path: single, Size: info.Size()}, name: filepath.Base(path), info: info}}
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	return t, nil
}

func (t *tree) walk(ignore []string) error {
	err := fs.WalkDir(t.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == ".":
			return nil
		case !utf8.ValidString(name):
			return fmt.Errorf("the name %q is not UTF-8; rename it", name)
		case slices.Contains(ignored, name) || slices.Contains(ignore, name):
			t.ignored = append(t.ignored, name)
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is a %s: %w; a model holds files and folders only, so put a copy in its place", name, kind(d.Type()), ErrNotRegular)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		t.files = append(t.files, &entry{File: File{Path: name, Size: info.Size()}, name: name, info: info})
		return nil
	})
	if err != nil {
		return err
	}
	if len(t.files) == 0 {
		return ErrEmpty
	}
	// WalkDir orders by the parts of a path, the manifest by its code points: "a.txt" stands before "a/b".
	slices.SortFunc(t.files, func(a, b *entry) int { return strings.Compare(a.Path, b.Path) })
	slices.Sort(t.ignored)
	return nil
}

func kind(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeSymlink != 0:
		return "symbolic link"
	case mode&fs.ModeNamedPipe != 0:
		return "named pipe"
	case mode&fs.ModeSocket != 0:
		return "socket"
	case mode&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}

// open opens a file of the tree and makes sure that it is the one the folder listed, not a link put there since.
func (t *tree) open(e *entry) (*os.File, error) {
	f, err := t.root.Open(e.name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	if !os.SameFile(info, e.info) || info.Size() != e.Size {
		f.Close()
		return nil, fmt.Errorf("%s: %w", e.name, ErrChanged)
	}
	return f, nil
}

// hash fills in the SHA-256 of the given files, each on one core. The largest go first, so that none of them is left to
// one core at the end.
func (t *tree) hash(ctx context.Context, files []*entry, report func(done, total int64)) error {
	queue := slices.SortedFunc(slices.Values(files), func(a, b *entry) int { return cmp.Compare(b.Size, a.Size) })
	progress := counter{report: report}
	for _, e := range queue {
		progress.total += e.Size
	}
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, e := range queue {
		if working.Err() != nil {
			break
		}
		group.Go(func() error {
			f, err := t.open(e)
			if err != nil {
				return err
			}
			defer f.Close()
			e.SHA256, err = hashFile(working, f, e.info, progress.add)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// counter adds up the bytes of all workers and calls back one at a time.
type counter struct {
	mu          sync.Mutex
	done, total int64
	report      func(done, total int64)
}

func (c *counter) add(n int) {
	if c.report == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done += int64(n)
	c.report(c.done, c.total)
}
