package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/client"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// notice is what a receiver was sent.
type notice struct {
	id   string
	Data struct {
		Index   int64  `json:"index"`
		Summary string `json:"summary"`
	} `json:"data"`
}

// A server is killed while notices wait in its outbox, one of them on its way: the
// next one delivers all of them, and that one under the same ID.
func TestAKilledServersNoticesAreDeliveredAfterItsRestart(t *testing.T) {
	const notices = 8
	var up atomic.Bool
	came, gone := make(chan notice, 10*notices), make(chan struct{})
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		n := notice{id: r.Header.Get("webhook-id")}
		if err := json.Unmarshal(raw, &n); err != nil {
			t.Errorf("came %q: %v", raw, err)
		}
		came <- n
		if !up.Load() {
			<-gone // no answer while the first server lives
		}
	}))
	defer receiver.Close()
	defer close(gone)

	v := &victim{T: t, data: filepath.Join(t.TempDir(), "data")}
	server, says := v.start("--allow-target", "127.0.0.1")
	c := client.New(says.URL, says.Token)
	added, err := c.AddTarget(t.Context(), wire.TargetRequest{Team: record.AllTeams, Name: "hook", Form: record.FormWebhook, URL: receiver.URL})
	if err != nil {
		t.Fatal(err)
	}
	for i := range notices {
		if _, err := c.EnrolPrincipal(t.Context(), record.Principal{Name: fmt.Sprintf("p%d", i), Type: record.Human}); err != nil {
			t.Fatal(err)
		}
	}
	first := <-came
	if err := server.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	server.Wait() //nolint:errcheck // it was killed
	up.Store(true)

	_, again := v.start("--allow-target", "127.0.0.1")
	ids := map[string]int64{}
	for len(ids) < notices {
		select {
		case n := <-came:
			if index, twice := ids[n.id]; twice {
				t.Errorf("the restarted server told twice of entry %d", index)
			}
			if len(ids) == 0 && n.id != first.id {
				t.Errorf("what was on its way as %s comes again as %s", first.id, n.id)
			}
			ids[n.id] = n.Data.Index
		case <-time.After(30 * time.Second):
			t.Fatalf("after the restart %d of %d notices came", len(ids), notices)
		}
	}
	status, err := client.New(again.URL, says.Token).Target(t.Context(), added.Target.Record.ID)
	for ; err == nil && status.Sent < notices; status, err = client.New(again.URL, says.Token).Target(t.Context(), added.Target.Record.ID) {
		<-time.After(5 * time.Millisecond)
	}
	if err != nil || status.Sent != notices || status.Behind != 0 || status.Fault != "" {
		t.Errorf("in the end the target is %+v: %v", status, err)
	}
}
