package tracking

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"imprimatur.dev/artifact"
)

// opener begins to read at an offset. The tag names the content where the place
// has names for it; one that is given must still be that of the content.
type opener func(ctx context.Context, offset int64, tag string) (body io.ReadCloser, now string, err error)

// stream is a file that is opened again where reading breaks off.
type stream struct {
	c    *Client
	ctx  context.Context //nolint:containedctx // a reader has no other place for it
	open opener
	body io.ReadCloser
	off  int64
	tag  string
	left int
	end  error
}

func (c *Client) remote(path string, size int64, open opener) artifact.Remote {
	return artifact.Remote{Path: path, Size: size, Open: func(ctx context.Context) (io.ReadCloser, error) {
		s := &stream{c: c, ctx: ctx, open: open, left: Attempts}
		return s, s.reopen()
	}}
}

func (s *stream) reopen() error {
	return s.c.again(s.ctx, &s.left, func() error {
		body, tag, err := s.open(s.ctx, s.off, s.tag)
		if err != nil {
			return err
		}
		if s.tag != "" && tag != "" && tag != s.tag {
			return errors.Join(artifact.ErrChanged, body.Close())
		}
		s.body, s.tag = body, tag
		return nil
	})
}

func (s *stream) Read(p []byte) (int, error) {
	if s.end != nil {
		return 0, s.end
	}
	n, err := s.body.Read(p)
	s.off += int64(n)
	if err == nil || err == io.EOF {
		return n, err
	}
	s.end = err
	if s.ctx.Err() == nil && passing(err) && s.left > 0 {
		s.end = errors.Join(ignored(s.body.Close()), s.reopen())
	}
	if s.end != nil {
		s.end = fmt.Errorf("reading broke off after %d bytes: %w", s.off, s.end)
	}
	if n > 0 {
		return n, nil // the fault comes with the next read
	}
	return 0, s.end
}

func (s *stream) Close() error {
	if s.body == nil {
		return nil
	}
	return s.body.Close()
}

// ignored is for closing what broke.
func ignored(error) error { return nil }

// byHTTP is a file at an address.
func (c *Client) byHTTP(path string, u *url.URL, size int64) artifact.Remote {
	return c.remote(path, size, func(ctx context.Context, offset int64, tag string) (io.ReadCloser, string, error) {
		header := http.Header{"Accept-Encoding": {"identity"}}
		if offset > 0 {
			header.Set("Range", "bytes="+strconv.FormatInt(offset, 10)+"-")
		}
		answer, err := c.request(ctx, http.MethodGet, u, nil, header)
		if err != nil {
			return nil, "", err
		}
		if offset == 0 || answer.StatusCode == http.StatusPartialContent {
			return answer.Body, answer.Header.Get("ETag"), nil
		}
		// It knows no ranges: what was read before comes once more.
		if _, err := io.CopyN(io.Discard, answer.Body, offset); err != nil {
			return nil, "", errors.Join(err, ignored(answer.Body.Close()))
		}
		return answer.Body, answer.Header.Get("ETag"), nil
	})
}
