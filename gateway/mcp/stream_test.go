package mcp_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"imprimatur.dev/gateway/mcp"
)

// reads calls the tool read_note by the revision without sessions, and demands its answer and
// nothing after it.
func (b *bench) reads() {
	b.Helper()
	_, got := b.sent("clerk", map[string]string{"Mcp-Method": "tools/call", "Mcp-Name": "read_note"}, calling(`"name":"read_note","arguments":{"ward":"7"}`))
	if want := "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":[]}}\n\n"; got != want {
		b.Fatalf("%q", got)
	}
}

// lingering is a server that answers calls by a stream of events and does something after.
func lingering(t *testing.T, after func(*http.Request), state func(net.Conn, http.ConnState)) mcp.Server {
	s := clerk()
	honest := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return s }, &sdk.StreamableHTTPOptions{Stateless: true})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err != nil || !bytes.Contains(raw, []byte("tools/call")) {
			r.Body = io.NopCloser(bytes.NewReader(raw))
			honest.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":[]}}\n\n")
		_ = http.NewResponseController(w).Flush()
		after(r)
	}))
	server.Config.ConnState = state
	server.Start()
	t.Cleanup(server.Close)
	return mcp.Server{URL: server.URL}
}

// A connection to a server is used for the next call, though the end of its stream comes
// after the answer was passed on.
func TestConnectionsToAServerAreUsedAgain(t *testing.T) {
	const calls = 30
	told, idle, opened := make(chan struct{}), make(chan struct{}, 2*calls), make(chan struct{}, 2*calls)
	server := lingering(t, func(*http.Request) { <-told }, func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			opened <- struct{}{}
		case http.StateIdle, http.StateClosed:
			idle <- struct{}{}
		}
	})
	b := setup(t, wards(t, "clerk"), map[string]mcp.Server{"clerk": server})
	for range calls {
		b.reads()
		for len(idle) > 0 {
			<-idle
		}
		told <- struct{}{}
		<-idle
	}
	if n := len(opened); n > calls/2 {
		t.Errorf("%d calls one after the other opened %d connections", calls, n)
	}
}

// What a server sends after its answer is not waited for, and its stream does not stay open.
func TestAStreamEndsWithItsAnswer(t *testing.T) {
	gone := make(chan struct{})
	server := lingering(t, func(r *http.Request) {
		<-r.Context().Done()
		close(gone)
	}, nil)
	setup(t, wards(t, "clerk"), map[string]mcp.Server{"clerk": server}).reads()
	select {
	case <-gone:
	case <-time.After(30 * time.Second):
		t.Error("the stream of the server stays open")
	}
}

// None of many calls is missing from the record, however they come.
func TestTheRecordHasEveryCall(t *testing.T) {
	const calls = 20_000
	var w bytes.Buffer
	j := mcp.NewJournal(closing{&w})
	for i := range calls {
		mcp.Record(j, context.Background(), mcp.Entry{Allowed: true, Grant: i})
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(w.String(), "\n"); n != calls {
		t.Errorf("%d of %d entries", n, calls)
	}
	if !strings.Contains(w.String(), fmt.Sprintf(`"grant":%d,`, calls-1)) {
		t.Error("the last one is missing")
	}
}
