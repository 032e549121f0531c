package mcp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"imprimatur.dev/gateway/follow"
)

// readWithin is how long a client may take to read one event.
const readWithin = 30 * time.Second

// legacy are the revisions with sessions, which a server that is a command
// speaks behind HTTP: a process belongs to one session.
var legacy = []string{"2025-11-25", "2025-06-18", "2025-03-26"}

// Handler serves each server at /NAME by streamable HTTP.
func (g *Gateway) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{server}", g.serveHTTP)
	mux.HandleFunc("GET "+metadataPath, g.describe)
	mux.HandleFunc("GET "+metadataPath+"/{server}", g.describe)
	return here(http.NewCrossOriginProtection().Handler(mux))
}

// here refuses what a browser was made to send to this machine under another
// name (DNS rebinding; MCP 2025-11-25, basic/transports, "Security Warning").
func here(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		if at != nil && local(at.String()) && !local(r.Host) {
			http.Error(w, fmt.Sprintf("this gateway listens on its own machine alone and does not answer to the name %+q", clipped(r.Host)), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// local reports whether an address, with or without a port, is this machine's.
func local(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = strings.Trim(address, "[]")
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (g *Gateway) serveHTTP(w http.ResponseWriter, r *http.Request) {
	sv := g.servers[r.PathValue("server")]
	if sv == nil {
		http.Error(w, "the gateway's configuration names no such server", http.StatusNotFound)
		return
	}
	c, err := g.signIn(r, sv.name)
	switch {
	case errors.Is(err, follow.ErrNotSignedIn):
		g.challenge(w, sv.name)
		http.Error(w, err.Error()+"; send the token of a workload: Authorization: Bearer imp_…", http.StatusUnauthorized)
		return
	case err != nil:
		http.Error(w, "it could not be decided who this is: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	switch r.Method {
	case http.MethodPost:
		g.post(w, r, sv, c)
	case http.MethodGet, http.MethodDelete:
		s := g.find(sessionKey{server: sv.name, id: r.Header.Get("Mcp-Session-Id")})
		switch {
		case r.Header.Get("Mcp-Session-Id") == "":
			w.Header().Set("Allow", "POST")
			http.Error(w, "without a session there is nothing to listen to, and nothing to end", http.StatusMethodNotAllowed)
		case s == nil || !s.adopt(c):
			http.Error(w, "there is no such session", http.StatusNotFound)
		case r.Method == http.MethodGet:
			s.listen(r.Context(), r.Header, newHTTPSink(w))
		default:
			g.forget(s)
			s.up.end(r.Header)
			w.WriteHeader(http.StatusNoContent)
		}
	default:
		w.Header().Set("Allow", "GET, POST, DELETE")
		http.Error(w, "the transport knows GET, POST and DELETE", http.StatusMethodNotAllowed)
	}
}

// signIn returns who sends the request to a server.
func (g *Gateway) signIn(r *http.Request, server string) (*caller, error) {
	scheme, bearer, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if g.learning() {
		bearer = "learning"
	} else if !strings.EqualFold(scheme, "Bearer") || bearer == "" {
		return nil, fmt.Errorf("%w: the request carries no token", follow.ErrNotSignedIn)
	}
	bearer = strings.TrimSpace(bearer)
	if err := g.meant(bearer, server); err != nil {
		return nil, err
	}
	return g.callers.signIn(r.Context(), bearer)
}

func (g *Gateway) post(w http.ResponseWriter, r *http.Request, sv *server, c *caller) {
	if media, err := mediaOf(r.Header); err != nil || media != mediaJSON {
		http.Error(w, "a message is sent as application/json", http.StatusUnsupportedMediaType)
		return
	}
	out := newHTTPSink(w)
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		deliver(out, said(http.StatusRequestEntityTooLarge, answerFault(nil, faultf(codeParse, "the message cannot be read: %v", err))))
		return
	}
	m, err := parseMessage(raw, maxRequest)
	if err == nil && m.isRequest() && strings.HasPrefix(idKey(m.id), "s"+ownID) {
		err = fmt.Errorf("ids that begin with %s are the gateway's own", ownID)
	}
	if err != nil {
		deliver(out, said(http.StatusBadRequest, answerFault(nil, faultf(codeParse, "%v", err))))
		return
	}
	s, status, err := g.sessionFor(r, sv, c, m, out)
	if err != nil {
		deliver(out, said(status, answerFault(m.id, err)))
		return
	}
	s.serve(r.Context(), r.Header, m, out)
}

// sessionFor finds the session that a message is of, or makes it.
func (g *Gateway) sessionFor(r *http.Request, sv *server, c *caller, m *message, out *httpSink) (s *session, status int, err error) {
	id := r.Header.Get("Mcp-Session-Id")
	if id != "" {
		if s := g.find(sessionKey{server: sv.name, id: id}); s != nil && s.adopt(c) {
			return s, 0, nil
		}
		return nil, http.StatusNotFound, faultf(codeInvalidRequest, "there is no such session; begin another one with initialize")
	}
	if m.method == "initialize" {
		if sv.remote == nil {
			id = rand.Text()
		}
		if s, err = g.open(sv, c, id); err != nil {
			return nil, http.StatusServiceUnavailable, faultf(codeRefused, "%v", err)
		}
		// A server behind an address names the session itself.
		out.begun = func(reply *reply) {
			if s.id == "" && reply.status == http.StatusOK && reply.session != "" {
				s.id = reply.session
				g.keep(s)
			}
			reply.session = s.id
		}
		if s.id != "" {
			g.keep(s)
		}
		return s, 0, nil
	}
	if sv.remote == nil {
		f := faultf(codeVersion, "the server %s runs as a command and speaks revisions with sessions here; begin with initialize", sv.name)
		f.Data = map[string]any{"supported": legacy, "requested": versionOf(m)}
		return nil, http.StatusBadRequest, f
	}
	if s = g.find(sessionKey{server: sv.name, caller: c}); s == nil {
		if s, err = g.open(sv, c, ""); err != nil {
			return nil, http.StatusServiceUnavailable, faultf(codeRefused, "%v", err)
		}
		g.keep(s)
	}
	s.adopt(c)
	return s, 0, nil
}

// httpSink is an HTTP answer as the sink of a reply.
type httpSink struct {
	w      http.ResponseWriter
	flush  *http.ResponseController
	stream bool
	begun  func(*reply)
}

func newHTTPSink(w http.ResponseWriter) *httpSink {
	return &httpSink{w: w, flush: http.NewResponseController(w)}
}

func (h *httpSink) begin(r *reply) {
	if r.status == http.StatusUnauthorized || r.status == http.StatusForbidden && r.media != mediaJSON || r.status >= 300 && r.status < 400 {
		// It is the gateway that the server does not let in, not the client.
		r.status = http.StatusBadGateway
	}
	if h.begun != nil {
		h.begun(r)
	}
	head := h.w.Header()
	if r.session != "" {
		head.Set("Mcp-Session-Id", r.session)
	}
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Cache-Control", "no-store, no-transform")
	switch h.stream = r.media == mediaEvents; {
	case h.stream, r.media == mediaJSON:
		head.Set("Content-Type", r.media)
	case r.media != "":
		head.Set("Content-Type", "text/plain; charset=utf-8")
	}
	h.w.WriteHeader(r.status)
}

func (h *httpSink) event(ev event) error {
	if !h.stream {
		_, err := h.w.Write(ev.data)
		return err
	}
	_ = h.flush.SetWriteDeadline(time.Now().Add(readWithin))
	if err := writeEvent(h.w, ev); err != nil || ev.last {
		return err // what is last goes out with the end of the stream
	}
	return h.flush.Flush()
}

// opened lets the client see that the stream is there before anything is said.
func (h *httpSink) opened() {
	if h.stream {
		_, _ = io.WriteString(h.w, ": listening\n\n")
		_ = h.flush.Flush()
	}
}

// Serve serves streamable HTTP until the context ends.
func (g *Gateway) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{Handler: g.Handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving on %s: %w", l.Addr(), err)
	case <-ctx.Done():
		return srv.Close()
	}
}
