package tracking

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"imprimatur.dev/artifact"
	"imprimatur.dev/record"
)

// maxData is how many bytes of one input are read.
const maxData = 1 << 36

// digest reads what is at an address, if the operator lets it be read, and
// returns the digest of its manifest, as imprimatur dataset register computes it.
func (c *Client) digest(ctx context.Context, address string) (record.Digest, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	bound := artifact.Options{Progress: func(done, total int64) {
		if max(done, total) > maxData {
			cancel(fmt.Errorf("it has more than %d bytes", int64(maxData)))
		}
	}}
	m, err := c.manifest(ctx, address, bound)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return "", err
	}
	return record.Digest(m.Digest()), nil
}

func (c *Client) manifest(ctx context.Context, address string, opts artifact.Options) (artifact.Manifest, error) {
	u, err := url.Parse(address)
	if err != nil {
		return artifact.Manifest{}, fmt.Errorf("%w: its address is none", ErrAnswer)
	}
	var files []artifact.Remote
	switch u.Scheme {
	case "", "file":
		path, err := c.local(u)
		if err != nil {
			return artifact.Manifest{}, err
		}
		return artifact.Digest(ctx, path, opts)
	case "http", "https":
		if !slices.Contains(c.cfg.DataHosts, u.Host) {
			return artifact.Manifest{}, fmt.Errorf("the server reads no data from the host %s, which its operator can allow: imprimatur serve --data-from %s", plain(u.Host, 200), plain(u.Host, 200))
		}
		files = []artifact.Remote{c.byHTTP(".", u, -1)}
	default:
		if files, err = c.list(ctx, address); err != nil {
			return artifact.Manifest{}, err
		}
	}
	m, _, err := artifact.Read(ctx, files, opts)
	return m, err
}

// local returns the path of data on this machine, below a folder that may be read.
func (c *Client) local(u *url.URL) (string, error) {
	if u.Host != "" && u.Host != "localhost" {
		return "", fmt.Errorf("it is a file of the machine %s", plain(u.Host, 200))
	}
	refusal := fmt.Errorf("%s is not below a folder that the server reads, which its operator can name: imprimatur serve --models-from DIR", plain(u.Path, 300))
	if !filepath.IsAbs(u.Path) {
		return "", refusal
	}
	real, err := filepath.EvalSymlinks(u.Path)
	if err != nil {
		return "", refusal // whether there is such a file is nobody's business
	}
	for _, f := range c.folders {
		if real == f || strings.HasPrefix(real, strings.TrimSuffix(f, "/")+"/") {
			return real, nil
		}
	}
	return "", refusal
}
