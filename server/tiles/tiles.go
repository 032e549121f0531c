// Package tiles serves the ledger as a C2SP tlog-tiles log under /log, to
// anyone and without signing in, so that a standard monitor or witness reads it:
//
//	/log/checkpoint                  the signed checkpoint
//	/log/tile/<L>/<N>[.p/<W>]        hashes of the Merkle tree
//	/log/tile/entries/<N>[.p/<W>]    bundles of leaves
//	/log/key                         the verifier key of the checkpoint's signer
//
// A checkpoint changes with every entry and is never kept by a cache. A tile
// does not change, partial or full, and is kept for ever. Leaves hold digests,
// kinds, times and principals' names, never the statements themselves.
package tiles

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"imprimatur.dev/registry"
	"imprimatur.dev/server/router"
	"imprimatur.dev/store"
	"imprimatur.dev/wire"
)

// Prefix is the path under which the log is: its C2SP "prefix".
const Prefix = "/log/"

const (
	keptForEver = "public, max-age=31536000, immutable"
	keptNever   = "no-store"
)

// New returns the handler of everything under [Prefix].
func New(reg *registry.Registry, log *slog.Logger) *router.Mux {
	mux := router.New()
	mux.HandleFunc("GET /log/checkpoint", func(w http.ResponseWriter, r *http.Request) {
		note, err := reg.Checkpoint(r.Context())
		answer(w, r, log, note, err, "text/plain; charset=utf-8", keptNever)
	})
	mux.HandleFunc("GET /log/key", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, log, []byte(reg.VerifierKey()+"\n"), nil, "text/plain; charset=utf-8", keptNever)
	})
	mux.HandleFunc("GET /log/tile/", func(w http.ResponseWriter, r *http.Request) {
		tile, err := reg.LogTile(r.Context(), strings.TrimPrefix(r.URL.Path, Prefix))
		answer(w, r, log, tile, err, "application/octet-stream", keptForEver)
	})
	return mux
}

func answer(w http.ResponseWriter, r *http.Request, log *slog.Logger, content []byte, err error, media, kept string) {
	if err != nil {
		refuse(w, r, log, err)
		return
	}
	w.Header().Set("Content-Type", media)
	w.Header().Set("Cache-Control", kept)
	// The status is sent: an error now means that the reader has gone.
	_, _ = w.Write(content)
}

func refuse(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	if errors.Is(err, store.ErrNotFound) || registry.CodeOf(err) == wire.Unknown {
		http.Error(w, "the log has nothing at "+r.URL.Path, http.StatusNotFound)
		return
	}
	log.ErrorContext(r.Context(), "reading the log failed", "path", r.URL.Path, "error", err)
	http.Error(w, "the log cannot be read; try again later", http.StatusServiceUnavailable)
}
