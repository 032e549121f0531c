package server_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server/mlflow"
	"imprimatur.dev/tracking"
	"imprimatur.dev/wire"
)

// A team's MLflow stays what it is, with its registry taken over, and then with
// its own registry watched.
func TestMLflowServer(t *testing.T) {
	t.Parallel()
	upstream, _, end := mlflowServer(t)
	reads := must[*tracking.Client](t)(tracking.New(tracking.Config{URL: upstream, FirstWait: time.Millisecond}))
	h := openWith(t, registry.Config{Data: t.TempDir(), Hasher: reads.Hash})
	h.settle()
	h.enrol(record.Principal{Name: "serving", Type: record.Workload, Owner: "olga", Purpose: "serves", Expires: now().AddDate(1, 0, 0)})
	h.enrol(record.Principal{Name: "watcher", Type: record.Workload, Owner: "olga", Purpose: "watches", Expires: now().AddDate(1, 0, 0)}, record.Contributor)
	must[record.Recorded[record.Environment]](t)(h.admin.SetEnvironment(h.ctx, record.Environment{
		Name: "production", LeastTier: "low", Policy: "house", Aliases: []string{"champion", "live", "production"}, Workloads: []string{"serving"},
	}))
	front := httptest.NewServer(must[http.Handler](t)(mlflow.NewFront(h.reg, mlflow.FrontOptions{
		Options: mlflow.Options{Team: "lab", Log: slog.New(slog.NewTextHandler(h.log, nil)), URL: h.url}, Upstream: upstream,
	})))
	t.Cleanup(front.Close)
	w := h.worker(t.TempDir(), upstream)
	release := w.throughTheFront(front.URL)
	w.watched(upstream, reads, release, end)
}

// throughTheFront trains, registers, is refused, is approved and loads, with one
// address for everything.
func (w *worker) throughTheFront(at string) (release string) {
	h := w.house
	be := func(name string) { w.does("as_user", "uri", at, "token", h.tokens[name]) }
	be("ann")
	got := w.does("log_and_register", "c", 0.5, "name", "net").(map[string]any)
	if got["version"] != "1" {
		w.Fatalf("registered as %v", got)
	}
	w.refuses([]string{"nobody has proposed a release of lab/net@1"}, "alias", "name", "net", "alias", "champion", "version", "1")
	be("serving")
	w.refuses([]string{"serving runs in production"}, "load", "uri", "models:/net/1")

	be("olga")
	model := h.versionOf("lab/net@1")
	h.made("1", model.Artifact)
	h.evaluate(model.Artifact)
	c := must[wire.Case](w)(h.propose("1"))
	w.refuses([]string{"approval/risk", h.url + "/api/v1/releases/" + c.ID}, "alias", "name", "net", "alias", "champion", "version", "1")
	must[wire.Case](w)(h.approve("olga", record.ModelOwner, c))
	must[wire.Case](w)(h.approve("rita", record.Risk, c))
	must[wire.Case](w)(h.approve("sam", record.Security, c))
	w.does("alias", "name", "net", "alias", "champion", "version", "1")
	be("serving")
	if right := w.does("load", "uri", "models:/net@champion").(float64); right < 90 {
		w.Errorf("the loaded model gets %v of 100 right", right)
	}
	run := got["run"].(string)
	for _, page := range []struct{ path, body, says string }{
		{"/", "", "<title>MLflow</title>"},
		{"/ajax-api/2.0/mlflow/registered-models/search?filter=", "", `"aliases":[{"alias":"champion","version":"1"}]`},
		{"/ajax-api/2.0/mlflow/model-versions/search?filter=run_id%3D%27" + run + "%27", "", `"name":"net"`},
		{"/model-versions/get-artifact?name=net&version=1&path=MLmodel", "", "flavors:"},
		{
			"/graphql", `{"operationName":"GetRun","query":"query GetRun($data: MlflowGetRunInput!) { mlflowGetRun(input: $data) { run { info { runUuid } modelVersions { name version source status } } } }","variables":{"data":{"runId":"` + run + `"}}}`,
			`"name":"net"`,
		},
	} {
		method := map[bool]string{true: http.MethodGet, false: http.MethodPost}[page.body == ""]
		req := must[*http.Request](w)(http.NewRequestWithContext(h.ctx, method, at+page.path, strings.NewReader(page.body)))
		req.Header.Set("Authorization", "Bearer "+h.tokens["ann"])
		req.Header.Set("Content-Type", "application/json")
		answer := must[*http.Response](w)(http.DefaultClient.Do(req))
		text := must[[]byte](w)(io.ReadAll(answer.Body))
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK || !strings.Contains(string(text), page.says) {
			w.Errorf("%s: got %s %.600s, want %s", page.path, answer.Status, text, page.says)
		}
	}
	return c.ID
}

// watched moves aliases in MLflow's own registry, of which version 1 has the bytes
// of the release.
func (w *worker) watched(upstream string, reads *tracking.Client, release string, end func()) {
	h := w.house
	w.does("as_user", "uri", upstream, "token", "")
	w.does("register", "source", h.source("net", 1), "name", "theirs")
	w.does("log_and_register", "c", 0.01, "name", "theirs")
	watch := func(restore bool) *tracking.Watch {
		return &tracking.Watch{Client: reads, Registry: h.reg, Who: registry.Caller{Name: "watcher"}, Team: "lab", Restore: restore, Log: slog.New(slog.NewTextHandler(h.log, nil))}
	}
	round := func(x *tracking.Watch, want ...string) {
		h.Helper()
		if err := x.Round(h.ctx); err != nil {
			h.Fatal(err)
		}
		if got := h.signals(); strings.Join(got, "; ") != strings.Join(want, "; ") {
			h.Fatalf("the signals are %q, want %q", got, want)
		}
	}
	x := watch(false)
	w.does("alias", "name", "theirs", "alias", "champion", "version", "1")
	w.does("alias", "name", "theirs", "alias", "draft", "version", "2")
	round(x)
	w.does("alias", "name", "theirs", "alias", "champion", "version", "2")
	said := []string{"champion 2 moved-without-release"}
	round(x, said...)
	round(x, said...)
	round(watch(false), said...) // another replica, or after a restart
	w.does("alias", "name", "theirs", "alias", "champion", "version", "1")
	said = append(said, "champion 1 move-settled")
	round(x, said...)

	x = watch(true)
	for i := range 4 {
		w.does("alias", "name", "theirs", "alias", "champion", "version", "2")
		said = append(said, "champion 2 moved-without-release")
		points := "2"
		if i < 3 {
			said, points = append(said, "champion 2 moved-back to 1"), "1"
		}
		round(x, said...)
		if got := w.does("aliases", "name", "theirs").(map[string]any); got["champion"] != points || got["draft"] != "2" {
			h.Fatalf("after %d moves the aliases are %v", i+1, got)
		}
	}
	round(x, said...)
	w.does("unalias", "name", "theirs", "alias", "champion")
	said = append(said, "champion 2 move-settled")
	round(x, said...)

	w.does("stage", "name", "theirs", "version", "2", "stage", "Production")
	said = append(said, "Production 2 moved-without-release", "Production 2 moved-back")
	round(x, said...)
	if got := w.does("stage_of", "name", "theirs", "version", "2"); got != "Archived" {
		h.Errorf("the version is in the stage %v", got)
	}

	w.does("alias", "name", "theirs", "alias", "live", "version", "1")
	round(x, said...)
	must[wire.Case](h)(h.people["sam"].Suspend(h.ctx, release, wire.Stop{Reason: "leak"}))
	said = append(said, "live 1 moved-without-release", "live 1 moved-back")
	round(x, said...)
	if got := w.does("aliases", "name", "theirs").(map[string]any); got["live"] != nil {
		h.Errorf("nothing of the model may run, and the aliases are %v", got)
	}

	end()
	ctx, cancel := context.WithTimeout(h.ctx, time.Minute)
	defer cancel()
	if err := x.Round(ctx); err == nil || len(h.signals()) != len(said) {
		h.Errorf("MLflow is gone, and the round ends with %v and %q", err, h.signals())
	}
}

// source returns what a version was registered from.
func (h *house) source(name string, version int) string {
	h.Helper()
	_, v, err := h.reg.HandOut(h.ctx, registry.Caller{Name: "ann"}, "lab", name, version)
	if err != nil {
		h.Fatal(err)
	}
	return v.Source
}

// signals returns what was stated of aliases and stages elsewhere, oldest first.
func (h *house) signals() []string {
	h.Helper()
	var out []string
	p := must[wire.Page](h)(h.admin.List(h.ctx, record.KindSignal, 0, 0))
	for _, e := range p.Entries {
		var s record.Signal
		if err := json.Unmarshal(e.Record, &s); err != nil {
			h.Fatal(err)
		}
		m := s.Move
		text := m.Alias + m.Stage + " " + strconv.Itoa(m.Version) + " " + s.Type
		if m.To != 0 {
			text += " to " + strconv.Itoa(m.To)
		}
		if e.Actor != "watcher" || m.Registry == "" || s.Detail == "" {
			h.Errorf("the signal %+v of %s is not whole", s, e.Actor)
		}
		out = append([]string{text}, out...)
	}
	return out
}
