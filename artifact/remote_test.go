package artifact

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// remote serves content and counts how often it is read.
func remote(path, content string, size int64, opened *int) Remote {
	return Remote{Path: path, Size: size, Open: func(context.Context) (io.ReadCloser, error) {
		*opened++
		return io.NopCloser(iotest.HalfReader(strings.NewReader(content))), nil
	}}
}

// What is read from elsewhere gets the answers of the same files in a folder,
// whether or not their place tells their size, and only an archive that is too
// large to be kept is read twice.
func TestReadIsDigestAndInspect(t *testing.T) {
	zeros := strings.Repeat("\x00", keptHead)
	for name, x := range map[string]struct {
		content string
		opened  int
	}{
		"small/model.pkl": {"\x80\x04cos\nsystem\n.", 1},
		"model.zip":       {zipOf(t, "a/data.pkl", "cos\nsystem\n."), 1},
		"large.zip":       {zipOf(t, "=weights", zeros+zeros, "a/data.pkl", "cos\nsystem\n."), 2},
		"just.bin":        {zeros + "end", 1},
		"exact.bin":       {zeros, 1},
		"gap.bin":         {zeros + strings.Repeat("x", headSize), 1},
		"tail.bin":        {zeros + zeros + zipOf(t, "x", "y"), 1},
		"empty.txt":       {"", 1},
		".git/config":     {"x", 0},
		"a.txt":           {"text", 1},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			files := map[string]string{name: x.content, "z.json": `{}`}
			for p, content := range files {
				p = filepath.Join(folder, p)
				if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(content), 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			manifest, err := Digest(t.Context(), folder, Options{})
			if err != nil {
				t.Fatal(err)
			}
			seen, err := Inspect(t.Context(), folder, Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, size := range []int64{int64(len(x.content)), -1} {
				opened, other := 0, 0
				m, s, err := Read(t.Context(), []Remote{remote("z.json", "{}", 2, &other), remote(name, x.content, size, &opened)}, Options{})
				if err != nil {
					t.Fatal(err)
				}
				if len(m.Ignored) > 0 {
					m.Ignored = manifest.Ignored // a folder names itself, a file its folder: the same words
				}
				if diff := cmp.Diff(manifest, m); diff != "" {
					t.Errorf("the manifest (-folder +read):\n%s", diff)
				}
				if diff := cmp.Diff(seen, s); diff != "" {
					t.Errorf("what was seen (-folder +read):\n%s", diff)
				}
				if opened != x.opened || other != 1 {
					t.Errorf("opened %d times and the other %d, want %d and 1", opened, other, x.opened)
				}
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	n := 0
	changing := 0
	big := zipOf(t, "=weights", strings.Repeat("\x00", 2*keptHead), "b", "1")
	for name, x := range map[string]struct {
		files []Remote
		is    error
		says  string
	}{
		"nothing":               {nil, ErrEmpty, ""},
		"only what is left out": {[]Remote{remote(".git/x", "x", 1, &n)}, ErrEmpty, ""},
		"longer":                {[]Remote{remote("a", "xyz", 2, &n)}, ErrChanged, "a: the file changed while it was read: it was said to have 2 bytes, and more came"},
		"shorter":               {[]Remote{remote("a", "xyz", 4, &n)}, ErrChanged, "4 bytes, and 3 came"},
		"a way out":             {[]Remote{remote("../a", "x", 1, &n)}, ErrManifest, `"../a" is not a relative path`},
		"absolute":              {[]Remote{remote("/a", "x", 1, &n)}, ErrManifest, `"/a"`},
		"twice":                 {[]Remote{remote("a", "x", 1, &n), remote("a", "x", 1, &n)}, ErrManifest, "repeated"},
		"changed between": {[]Remote{{Path: "m.zip", Size: -1, Open: func(context.Context) (io.ReadCloser, error) {
			changing++
			content := []byte(big)
			content[keptHead/2] = byte(changing)
			return io.NopCloser(bytes.NewReader(content)), nil
		}}}, ErrChanged, "m.zip"},
		"a broken line": {[]Remote{{Path: "a", Size: 3, Open: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader("x"), iotest.ErrReader(io.ErrUnexpectedEOF))), nil
		}}}, io.ErrUnexpectedEOF, "a: unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Read(t.Context(), x.files, Options{})
			if !errors.Is(err, x.is) || !strings.Contains(err.Error(), x.says) {
				t.Errorf("got %v, want %v with %q", err, x.is, x.says)
			}
		})
	}
}
