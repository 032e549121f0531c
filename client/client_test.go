package client_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"imprimatur.dev/client"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server"
	"imprimatur.dev/wire"
)

// flaky lets requests through to a real server, and cuts the connection of the
// first ones: before the server sees them, or after it has done what they ask.
type flaky struct {
	handler http.Handler
	cuts    atomic.Int64
	after   bool
	mu      sync.Mutex
	keys    []string
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.keys = append(f.keys, r.Header.Get("Idempotency-Key"))
	f.mu.Unlock()
	if f.cuts.Add(-1) < 0 {
		f.handler.ServeHTTP(w, r)
		return
	}
	if f.after {
		f.handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	panic(http.ErrAbortHandler)
}

func serve(t *testing.T) (f *flaky, admin *client.Client, count func() int) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	reg, err := registry.Open(ctx, registry.Config{Data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reg.Close() })
	token, err := reg.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	f = &flaky{handler: server.New(reg, server.Options{Log: slog.New(slog.DiscardHandler)})}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	admin = client.New(s.URL+"/", token)
	return f, admin, func() int {
		t.Helper()
		p, err := admin.List(ctx, record.KindTeam, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		return len(p.Entries)
	}
}

func TestLostAnswerIsAskedForAgainWithTheSameKey(t *testing.T) {
	for name, after := range map[string]bool{"before the server saw it": false, "after the server did it": true} {
		t.Run(name, func(t *testing.T) {
			f, admin, count := serve(t)
			f.after = after
			f.cuts.Store(1)
			got, err := admin.CreateTeam(t.Context(), record.Team{Name: "lab"})
			if err != nil || got.Record.Name != "lab" {
				t.Fatalf("got %+v, %v", got, err)
			}
			if n := count(); n != 1 {
				t.Errorf("%d teams were stated", n)
			}
			if len(f.keys) < 2 || f.keys[0] == "" || f.keys[0] != f.keys[1] {
				t.Errorf("the keys were %q", f.keys)
			}
		})
	}
}

func TestEveryWriteHasItsOwnKey(t *testing.T) {
	f, admin, count := serve(t)
	for range 2 {
		if _, err := admin.CreateTeam(t.Context(), record.Team{Name: "lab"}); err != nil {
			t.Fatal(err)
		}
	}
	if count() != 2 || f.keys[0] == f.keys[1] {
		t.Errorf("two requests had the keys %q", f.keys)
	}
	if last := f.keys[len(f.keys)-1]; last != "" {
		t.Errorf("a request that reads has the key %q", last)
	}
}

func TestTwoFailuresAreOne(t *testing.T) {
	f, admin, count := serve(t)
	f.cuts.Store(2)
	_, err := admin.CreateTeam(t.Context(), record.Team{Name: "lab"})
	var unreachable *url.Error
	if !errors.As(err, &unreachable) {
		t.Errorf("got %v, want an error that wraps *url.Error", err)
	}
	if n := count(); n != 0 {
		t.Errorf("%d teams were stated", n)
	}
}

func TestCancelledIsNotAskedAgain(t *testing.T) {
	f, admin, _ := serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := admin.Me(ctx); !errors.Is(err, context.Canceled) || len(f.keys) != 0 {
		t.Errorf("got %v after %d requests", err, len(f.keys))
	}
}

func TestAnswersOfOthersAreNoAnswers(t *testing.T) {
	var stolen atomic.Int64
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen.Add(1) }))
	defer thief.Close()
	for name, handler := range map[string]http.HandlerFunc{
		"a proxy's page": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "<h1>Bad gateway</h1>", http.StatusBadGateway)
		},
		"a redirection": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, thief.URL, http.StatusTemporaryRedirect)
		},
		"a bare problem": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(403)
			io.WriteString(w, `{"title":"no"}`) //nolint:errcheck // of a test
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(handler)
			defer s.Close()
			_, err := client.New(s.URL, "imp_0_0").CreateTeam(t.Context(), record.Team{Name: "lab"})
			var p *client.Problem
			if !errors.As(err, &p) || p.Code != wire.Unavailable || !strings.Contains(p.Error(), s.URL) {
				t.Errorf("got %v", err)
			}
		})
	}
	if stolen.Load() != 0 {
		t.Error("the request followed a redirection to another server")
	}
}

func TestEvidenceWithAnotherDigestIsRefused(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "something else") //nolint:errcheck // of a test
	}))
	defer s.Close()
	want := record.DigestOf([]byte("evidence"))
	if raw, err := client.New(s.URL, "").Evidence(t.Context(), want); err == nil || raw != nil || !strings.Contains(err.Error(), string(want)) {
		t.Errorf("got %q, %v", raw, err)
	}
}
