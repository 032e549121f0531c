package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/go-json-experiment/json"

	"imprimatur.dev/registry"
)

// asked is create for what is asked at every call of a running model. Who gets in,
// what is refused and in which words, and the document are those of any other row;
// only the handler is our own, since huma's takes longer than the answer.
func asked[B, T any](question func(*registry.Registry, context.Context, registry.Caller, B) (T, error)) mount {
	return func(f *face, op huma.Operation) {
		huma.Register(documented{f.huma}, op, func(context.Context, *posted[B]) (*answered[T], error) { return nil, nil })
		f.huma.Adapter().Handle(&op, op.Middlewares.Handler(func(ctx huma.Context) {
			q := requestOf(ctx.Context())
			var in B
			if fault := f.readInto(&in, q, op.MaxBodyBytes); fault != nil {
				write(q.writer, fault)
				return
			}
			out, err := question(f.reg, ctx.Context(), q.caller(), in)
			if err != nil {
				write(q.writer, problemOf(ctx.Context(), f.log, q.id, err))
				return
			}
			Send(q.writer, q.http, f.log, out)
		}))
	}
}

// documented is a huma.API that documents what is registered, and mounts nothing.
type documented struct{ huma.API }

// Adapter implements huma.API.
func (d documented) Adapter() huma.Adapter { return humago.NewAdapter(http.NewServeMux(), "") }

// bodies are used again and again.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

const (
	// maxPooled is the length of the longest buffer that is kept for later.
	maxPooled = 64 << 10
	shortBody = 4 << 10
)

func giveBack(b *bytes.Buffer) {
	if b.Cap() <= maxPooled {
		b.Reset()
		bodies.Put(b)
	}
}

// readInto reads a request's body, and refuses what huma refuses: a parameter that is
// not known, and a body that is too long, too slow, or not what is asked for.
func (f *face) readInto(v any, q *request, most int64) *problem {
	if q.http.URL.RawQuery != "" {
		for name := range q.http.URL.Query() {
			return unreadable(http.StatusUnprocessableEntity, &huma.ErrorDetail{Location: "query." + name, Message: "unknown query parameter"})
		}
	}
	// A short body comes with its headers, and is bounded by the connection's own deadline.
	if n := q.http.ContentLength; n < 0 || n > shortBody {
		// Where there is no connection to bound, as in a test, there is no deadline.
		_ = http.NewResponseController(q.writer).SetReadDeadline(time.Now().Add(readWithin))
	}
	body := bodies.Get().(*bytes.Buffer)
	defer giveBack(body)
	_, err := body.ReadFrom(io.LimitReader(q.http.Body, most))
	var late net.Error
	switch {
	case int64(body.Len()) == most:
		return unreadable(http.StatusRequestEntityTooLarge, fmt.Errorf("request body is too large limit=%d bytes", most))
	case errors.As(err, &late) && late.Timeout():
		return unreadable(http.StatusRequestTimeout, errors.New("request body read timeout"))
	case err != nil:
		return unreadable(http.StatusInternalServerError, err)
	case body.Len() == 0:
		return unreadable(http.StatusBadRequest, errors.New("request body is required"))
	}
	if err := f.huma.Unmarshal(q.http.Header.Get("Content-Type"), body.Bytes(), v); err != nil {
		return unreadable(http.StatusUnprocessableEntity, &huma.ErrorDetail{Location: "body", Message: err.Error()})
	}
	return nil
}

func unreadable(status int, err error) *problem { return ofHuma(nil, status, "", err).(*problem) }

// Send answers with a value as JSON, whole or not at all.
func Send(w http.ResponseWriter, r *http.Request, log *slog.Logger, v any) {
	body := bodies.Get().(*bytes.Buffer)
	defer giveBack(body)
	if err := json.MarshalWrite(body, v, json.Deterministic(true)); err != nil {
		Refuse(w, r, log, err)
		return
	}
	w.Header()["Content-Type"] = contentJSON
	// The status is sent: an error now means that the caller has gone.
	_, _ = w.Write(body.Bytes())
}

// contentJSON is shared by all answers, none of which changes it.
var contentJSON = []string{"application/json"}
