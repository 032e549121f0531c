// Package openlineage is the face that OpenLineage's clients and integrations
// send their events to, as they send them to Marquez, and from which graphs are
// read in Marquez's shape:
//
//	POST /api/v1/lineage        one event: 200
//	POST /api/v1/lineage/batch  an array of events: 204, or 200 with what failed
//	GET  /api/v1/lineage        ?nodeId=dataset:NAMESPACE:NAME&depth=20
//
// The client's API key is a token of ours (OPENLINEAGE_API_KEY), of a workload or
// of a person who owns one. Who sends for several teams adds ?team=NAME to the
// address (OPENLINEAGE_ENDPOINT). Bodies may be compressed with gzip.
//
// # Answers
//
// An event is durable when it is answered. A refusal of the whole request is a
// problem (RFC 9457), and never a status that makes a client try the same again:
// 422 for what cannot be read, 413 for what is too long, 415 for an encoding that
// is not known, 401 and 403. Only 503 asks for another try. In a batch every event
// stands for itself: the good ones are kept, and the answer names the others with
// the reason, by their places in the batch from 0.
package openlineage

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/lineage/openlineage"
	"imprimatur.dev/registry"
	"imprimatur.dev/server/api"
	"imprimatur.dev/server/router"
	"imprimatur.dev/wire"
)

// Prefix is the path of single events and of the graph.
const Prefix = api.Prefix + "/lineage"

const (
	// maxBatch bounds the bytes of a batch, before and after it is decompressed.
	maxBatch = 32 << 20
	// maxEvents bounds the events of one batch.
	maxEvents = 10_000
	// depthOf is what Marquez walks where no depth is given, and the most here.
	depthOf, maxDepth = 20, 100
)

type face struct {
	reg *registry.Registry
	log *slog.Logger
}

// Mount adds the paths to a server.
func Mount(mux *router.Mux, reg *registry.Registry, log *slog.Logger) {
	f := &face{reg, log}
	mux.HandleFunc("POST "+Prefix, f.signedIn(f.event))
	mux.HandleFunc("POST "+Prefix+"/batch", f.signedIn(f.batch))
	mux.HandleFunc("GET "+Prefix, f.signedIn(f.graph))
}

// signedIn authenticates before anything of the body is read.
func (f *face) signedIn(answer func(http.ResponseWriter, *http.Request, registry.Caller) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, err := f.reg.Authenticate(r.Context(), api.Bearer(r))
		if err == nil {
			err = answer(w, r, who)
		}
		var long *http.MaxBytesError
		switch {
		case err == nil:
		case errors.As(err, &long):
			api.RefuseWith(w, r, f.log, http.StatusRequestEntityTooLarge, api.Refusal(wire.Invalid, "the body is longer than %d bytes; send the events in several batches", long.Limit))
		case errors.Is(err, errEncoding):
			api.RefuseWith(w, r, f.log, http.StatusUnsupportedMediaType, api.Refusal(wire.Invalid, "%v", err))
		default:
			api.Refuse(w, r, f.log, err)
		}
	}
}

func (f *face) event(w http.ResponseWriter, r *http.Request, who registry.Caller) error {
	raw, err := body(w, r, openlineage.MaxEvent)
	if err != nil {
		return err
	}
	e, err := openlineage.Parse(raw)
	if err != nil {
		return api.Refusal(wire.Invalid, "%v", err)
	}
	if err := f.reg.SendLineage(r.Context(), who, r.URL.Query().Get("team"), []openlineage.Event{e}); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (f *face) batch(w http.ResponseWriter, r *http.Request, who registry.Caller) error {
	raw, err := body(w, r, maxBatch)
	if err != nil {
		return err
	}
	events, out, err := split(raw)
	if err != nil {
		return api.Refusal(wire.Invalid, "the batch is not one JSON array of at most %d events: %v", maxEvents, err)
	}
	if err := f.reg.SendLineage(r.Context(), who, r.URL.Query().Get("team"), events); err != nil {
		return err
	}
	if len(out.Failed) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return send(w, out)
}

// split reads the events of a batch, and says of those that cannot be read why.
func split(raw []byte) (events []openlineage.Event, out wire.LineageOutcome, err error) {
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	if begin, err := dec.ReadToken(); err != nil || begin.Kind() != '[' {
		return nil, out, errors.Join(err, errors.New("it does not begin with '['"))
	}
	for dec.PeekKind() != ']' {
		value, err := dec.ReadValue()
		if err != nil {
			return nil, out, err
		}
		if out.Summary.Received++; out.Summary.Received > maxEvents {
			return nil, out, errors.New("it has more events")
		}
		e, err := openlineage.Parse(bytes.Clone(value))
		if err != nil {
			out.Failed = append(out.Failed, wire.FailedEvent{Index: out.Summary.Received - 1, Reason: err.Error()})
			continue
		}
		events = append(events, e)
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, out, err
	}
	if _, err := dec.ReadToken(); err != io.EOF {
		return nil, out, errors.New("something follows it")
	}
	out.Status = "partial_success"
	if len(events) == 0 {
		out.Status = "failure"
	}
	out.Summary.Successful, out.Summary.Failed, out.Summary.NonRetriable = len(events), len(out.Failed), len(out.Failed)
	return events, out, nil
}

func (f *face) graph(w http.ResponseWriter, r *http.Request, who registry.Caller) error {
	query := r.URL.Query()
	depth := depthOf
	if given := query.Get("depth"); given != "" {
		var err error
		if depth, err = strconv.Atoi(given); err != nil || depth < 0 || depth > maxDepth {
			return api.Refusal(wire.Invalid, "depth %q is no number from 0 to %d", given, maxDepth)
		}
	}
	got, err := f.reg.LineageOf(r.Context(), who, query.Get("nodeId"), depth)
	if err != nil {
		return err
	}
	return send(w, got)
}

func send(w http.ResponseWriter, v any) error {
	raw, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	// The status is sent: an error now means that the caller has gone.
	_, _ = w.Write(raw)
	return nil
}

var errEncoding = errors.New("the body's encoding is not known")

// body reads a body that stays below a length, also when it is decompressed.
func body(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	limited := http.MaxBytesReader(w, r.Body, most)
	var from io.Reader = limited
	switch encoding := strings.ToLower(r.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
	case "gzip":
		unzip, err := gzip.NewReader(limited)
		if err != nil {
			return nil, unreadable(err)
		}
		from = unzip
	default:
		return nil, fmt.Errorf("%w: %q; send gzip, or none", errEncoding, encoding)
	}
	raw, err := io.ReadAll(io.LimitReader(from, most+1))
	if err != nil {
		return nil, unreadable(err)
	}
	if int64(len(raw)) > most {
		return nil, &http.MaxBytesError{Limit: most}
	}
	return raw, nil
}

// unreadable words what is wrong with a body that ends early or is no gzip.
func unreadable(err error) error {
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		return err
	}
	return api.Refusal(wire.Invalid, "the body cannot be read: %v", err)
}
