package tracking

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"imprimatur.dev/artifact"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
)

// located is where a source leads: the address of the bytes, and the run that
// logged them, where that is known.
type located struct {
	uri string
	run string
}

// Hash is a [registry.Hasher]: it reads the bytes that a version's source leads to.
func (c *Client) Hash(ctx context.Context, v record.RegisteredVersion) (registry.Hashed, error) {
	source := v.Source
	if v.Location != "" {
		source = v.Location
	}
	at, err := c.locate(ctx, source)
	if err != nil {
		return registry.Hashed{}, fmt.Errorf("the bytes of %s were not found: %w", plain(source, 300), err)
	}
	out := registry.Hashed{MLflowRun: at.run}
	if at.uri != v.Source {
		out.Location = at.uri
	}
	files, err := c.list(ctx, at.uri)
	if err != nil {
		return registry.Hashed{}, readingFailed(at.uri, err)
	}
	if files == nil { // a folder, which is the registry's to read
		out.Location = at.uri
		return out, nil
	}
	m, seen, err := artifact.Read(ctx, files, artifact.Options{})
	if err != nil {
		return registry.Hashed{}, readingFailed(at.uri, err)
	}
	out.Manifest, out.Findings = m, seen.Findings
	return out, nil
}

func readingFailed(uri string, err error) error {
	uri = plain(uri, 300)
	switch {
	case errors.Is(err, registry.ErrUnread):
		return err
	case Gone(err):
		return fmt.Errorf("the bytes at %s are not there, or went while they were read: %w; log the model again and register that", uri, err)
	case errors.Is(err, artifact.ErrChanged):
		return fmt.Errorf("the bytes at %s are not what their listing says: %w; register the model when nobody writes there", uri, err)
	case errors.Is(err, artifact.ErrEmpty):
		return fmt.Errorf("there is no file at %s; register the place where the model's files are", uri)
	case passing(err):
		return fmt.Errorf("the bytes at %s could not be read: %w; register the version again when that is mended", uri, err)
	}
	return fmt.Errorf("the bytes at %s cannot be read: %w", uri, err)
}

// locate follows a source to the address of its bytes.
func (c *Client) locate(ctx context.Context, source string) (located, error) {
	scheme, rest, _ := strings.Cut(source, ":")
	rest = strings.TrimLeft(rest, "/")
	switch strings.ToLower(scheme) {
	case "runs":
		run, path, _ := strings.Cut(rest, "/")
		return c.ofRun(ctx, run, path)
	case "models":
		if name, version, ok := strings.Cut(rest, "/"); ok && !strings.HasPrefix(version, "/") && version != "" {
			uri, err := c.DownloadURI(ctx, name, version)
			if id, ok := strings.CutPrefix(uri, "models:/"); ok && err == nil {
				return c.ofModel(ctx, id)
			}
			return located{uri: uri}, err
		}
		return c.ofModel(ctx, rest)
	}
	return located{uri: source}, nil
}

func (c *Client) ofModel(ctx context.Context, id string) (located, error) {
	m, err := c.LoggedModel(ctx, id)
	if err != nil {
		return located{}, err
	}
	if m.Info.Artifacts == "" {
		return located{}, fmt.Errorf("%w: the logged model %s has no place", ErrAnswer, id)
	}
	return located{m.Info.Artifacts, m.Info.Run}, nil
}

// ofRun finds what a run logged under a path: a logged model of MLflow 3, which
// lies in a place of its own, or a folder among the run's artifacts.
func (c *Client) ofRun(ctx context.Context, id, path string) (located, error) {
	run, err := c.Run(ctx, id)
	if err != nil {
		return located{}, err
	}
	if path != "" {
		if err := checkPath(path); err != nil {
			return located{}, err
		}
	}
	for _, out := range run.Outputs.Models {
		m, err := c.LoggedModel(ctx, out.ID)
		if err == nil && m.Info.Name == path && m.Info.Artifacts != "" {
			return located{m.Info.Artifacts, id}, nil
		}
		if err != nil && !Gone(err) {
			return located{}, err
		}
	}
	return located{strings.TrimRight(run.Info.Artifacts+"/"+path, "/"), id}, nil
}

// list returns the files at an address, and none at all for a folder of this or
// another machine.
func (c *Client) list(ctx context.Context, uri string) ([]artifact.Remote, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return nil, fmt.Errorf("%w: its address is none", ErrAnswer)
	}
	switch u.Scheme {
	case "", "file":
		return nil, nil
	case "mlflow-artifacts":
		if u.Host != "" && u.Host != c.base.Host {
			return nil, fmt.Errorf("it is at the host %s, and only %s is read from", plain(u.Host, 100), c.base.Host)
		}
		path := strings.Trim(u.Path, "/")
		if path == "" {
			path = strings.Trim(u.Opaque, "/")
		}
		if err := checkPath(path); err != nil {
			return nil, err
		}
		return c.proxied(ctx, path)
	case "s3", "s3a", "s3n":
		key := strings.Trim(u.Path, "/")
		if key != "" {
			if err := checkPath(key); err != nil {
				return nil, err
			}
		}
		if err := c.allowed(u.Host, key); err != nil {
			return nil, err
		}
		return c.objects(ctx, u.Host, key)
	}
	return nil, fmt.Errorf("%w: addresses with %s: are not read", registry.ErrUnread, plain(u.Scheme, 40))
}

func realFolders(folders []string) ([]string, error) {
	out := make([]string, len(folders))
	for i, f := range folders {
		abs, err := filepath.Abs(f)
		if err == nil {
			out[i], err = filepath.EvalSymlinks(abs)
		}
		if err != nil {
			return nil, fmt.Errorf("the folder %s, from which datasets may be read: %w", f, err)
		}
	}
	return out, nil
}

// readSmall reads a file that holds one line.
func readSmall(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // it was only read
	raw, err := io.ReadAll(io.LimitReader(f, 64<<10))
	return string(raw), err
}
