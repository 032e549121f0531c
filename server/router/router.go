// Package router is the mux of the server's faces: that of net/http, which also
// tells what was mounted, so that a test can walk every route there is. Of a
// mux within another it tells the routes of the inner one. Who gets in at a route
// is the face's own affair.
package router

import (
	"net/http"
	"slices"
)

// Mux is an [http.ServeMux] that knows its patterns. It is filled before it
// serves.
type Mux struct {
	mux      *http.ServeMux
	patterns []string
}

// New returns a mux without routes.
func New() *Mux { return &Mux{mux: http.NewServeMux()} }

// Handle is that of [http.ServeMux]. A handler that is itself a Mux has the
// routes below the pattern.
func (m *Mux) Handle(pattern string, handler http.Handler) {
	m.mux.Handle(pattern, handler)
	if below, ok := handler.(interface{ Patterns() []string }); ok {
		m.patterns = append(m.patterns, below.Patterns()...)
		return
	}
	m.patterns = append(m.patterns, pattern)
}

// HandleFunc is that of [http.ServeMux].
func (m *Mux) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	m.Handle(pattern, http.HandlerFunc(handler))
}

// Handler is that of [http.ServeMux].
func (m *Mux) Handler(r *http.Request) (http.Handler, string) { return m.mux.Handler(r) }

// ServeHTTP implements [http.Handler].
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.mux.ServeHTTP(w, r) }

// Patterns returns what was mounted, in that order.
func (m *Mux) Patterns() []string { return slices.Clone(m.patterns) }
