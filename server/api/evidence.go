package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// evidence answers with the bytes of an evidence file. They are somebody's
// upload, so a browser is told to keep them rather than show them.
func evidence(f *face, op huma.Operation) {
	kept(f, op, "application/octet-stream", f.reg.Evidence)
}

// decisionLog answers with a file of the decision log.
func decisionLog(f *face, op huma.Operation) {
	kept(f, op, "application/gzip", f.reg.DecisionLog)
}

// kept answers with the bytes that are kept under a digest.
func kept(f *face, op huma.Operation, media string, open func(context.Context, registry.Caller, record.Digest) (io.ReadCloser, error)) {
	handle(f, ofType(op, media), func(ctx context.Context, q *request, in *Identified) (*file, error) {
		content, err := open(ctx, q.caller(), record.Digest(in.ID))
		if err != nil {
			return nil, err
		}
		return &file{media, "attachment", func(c huma.Context) {
			_, err := io.Copy(c.BodyWriter(), content)
			if err := content.Close(); err != nil {
				f.log.ErrorContext(ctx, "closing what is kept", "request", q.id, "error", err)
			}
			if err != nil {
				// Cut off, so that nobody takes a part for the whole.
				f.log.ErrorContext(ctx, "sending what is kept", "request", q.id, "error", err)
				panic(http.ErrAbortHandler)
			}
		}}, nil
	})
}

// uploadStep is how much of an upload has to arrive within readWithin.
const uploadStep = 8 << 20

// keepEvidence takes a file as the body, as it comes in.
func keepEvidence(f *face, op huma.Operation) {
	const media = "application/octet-stream"
	op.RequestBody = &huma.RequestBody{
		Required:    true,
		Description: fmt.Sprintf("The file, at most %d bytes.", int64(wire.MaxEvidence)),
		Content:     map[string]*huma.MediaType{media: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
	}
	handle(f, op, func(ctx context.Context, q *request, in *Identified) (*answered[wire.Kept], error) {
		if q.http.ContentLength > wire.MaxEvidence {
			return nil, tooLarge(q.http.ContentLength)
		}
		return answer(f.reg.KeepEvidence(ctx, q.who, record.Digest(in.ID), &upload{in: q.http.Body, conn: http.NewResponseController(q.writer)}))
	})
}

func tooLarge(n int64) error {
	return Refusal(wire.Invalid, "the file has %d bytes, and evidence has at most %d; give it in parts", n, int64(wire.MaxEvidence))
}

// upload reads a body for as long as it keeps coming, and stops at one that is
// too large.
type upload struct {
	in   io.Reader
	conn *http.ResponseController
	n    int64
	// next is where the deadline moves on.
	next int64
}

// Read implements io.Reader.
func (u *upload) Read(p []byte) (int, error) {
	if u.n >= u.next {
		// Where there is no connection to bound, as in a test, there is no deadline.
		within := time.Now().Add(readWithin)
		_ = u.conn.SetReadDeadline(within)
		_ = u.conn.SetWriteDeadline(within.Add(readWithin))
		u.next = u.n + uploadStep
	}
	n, err := u.in.Read(p)
	if u.n += int64(n); u.n > wire.MaxEvidence {
		return n, tooLarge(u.n)
	}
	return n, err
}
