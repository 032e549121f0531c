package tracking

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/artifact"
)

// Listed is one member of a folder of artifacts.
type Listed struct {
	Name string
	Dir  bool
	Size int64
}

// ParseListing reads one folder of the artifact proxy: names within it, each a
// single part of a path, none twice. An error wraps [ErrAnswer] or [ErrListing].
func ParseListing(raw []byte) ([]Listed, error) {
	var got struct {
		Files []struct {
			Path string `json:"path"`
			Dir  bool   `json:"is_dir"`
			Size Text   `json:"file_size"`
		} `json:"files"`
	}
	if err := json.Unmarshal(raw, &got, lenient); err != nil {
		return nil, fmt.Errorf("%w: the listing: %w", ErrAnswer, err)
	}
	if len(got.Files) > MaxFiles {
		return nil, fmt.Errorf("%w: a folder has %d members, more than %d", ErrListing, len(got.Files), MaxFiles)
	}
	seen := map[string]bool{}
	out := make([]Listed, 0, len(got.Files))
	for _, f := range got.Files {
		if err := checkPath(f.Path); err != nil {
			return nil, err
		}
		if strings.Contains(f.Path, "/") {
			return nil, fmt.Errorf("%w: %q is not a name within its folder", ErrListing, plain(f.Path, 200))
		}
		if seen[f.Path] {
			return nil, fmt.Errorf("%w: %q comes twice", ErrListing, plain(f.Path, 200))
		}
		seen[f.Path] = true
		size := f.Size.number()
		if f.Size == "" {
			size = -1
		}
		if size < -1 || size == 0 && f.Size != "0" {
			return nil, fmt.Errorf("%w: the size of %q is %q", ErrListing, plain(f.Path, 200), plain(string(f.Size), 40))
		}
		out = append(out, Listed{f.Path, f.Dir, size})
	}
	return out, nil
}

// checkPath refuses what is no plain path below a folder.
func checkPath(p string) error {
	if p == "." || !fs.ValidPath(p) || !utf8.ValidString(p) || strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == '\\' }) {
		return fmt.Errorf("%w: %q is not a path below its folder", ErrListing, plain(p, 200))
	}
	return nil
}

// proxied lists the model at a path of the artifact proxy.
func (c *Client) proxied(ctx context.Context, root string) ([]artifact.Remote, error) {
	w := &walk{c: c, root: root}
	if err := w.folder(ctx, "", 0); err != nil {
		return nil, err
	}
	if len(w.files) == 0 && w.folders == 1 {
		// A path with nothing below it is a file, or is not there.
		w.add(".", root, -1)
	}
	return w.files, nil
}

type walk struct {
	c       *Client
	root    string
	files   []artifact.Remote
	folders int
}

func (w *walk) folder(ctx context.Context, below string, depth int) error {
	w.folders++
	if depth > maxDepth || w.folders > MaxFiles {
		return fmt.Errorf("%w: folders lie in folders without end, as in %q", ErrListing, plain(below, 200))
	}
	query := url.Values{"path": {strings.Trim(w.root+"/"+below, "/")}}
	raw, err := w.c.api(ctx, http.MethodGet, "mlflow-artifacts/artifacts", query, nil)
	if err != nil {
		return err
	}
	members, err := ParseListing(raw)
	if err != nil {
		return err
	}
	for _, m := range members {
		at := strings.Trim(below+"/"+m.Name, "/")
		if m.Dir {
			if err := w.folder(ctx, at, depth+1); err != nil {
				return err
			}
			continue
		}
		if len(w.files) == MaxFiles {
			return fmt.Errorf("%w: it has more than %d files", ErrListing, MaxFiles)
		}
		w.add(at, w.root+"/"+at, m.Size)
	}
	return nil
}

func (w *walk) add(path, at string, size int64) {
	u := w.c.base.JoinPath("api", "2.0", "mlflow-artifacts", "artifacts")
	for part := range strings.SplitSeq(at, "/") {
		u = u.JoinPath(url.PathEscape(part))
	}
	w.files = append(w.files, w.c.byHTTP(path, u, size))
}
