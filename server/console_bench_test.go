package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"imprimatur.dev/attest"
	"imprimatur.dev/ledger"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server"
	"imprimatur.dev/store"
)

// A big installation: what the pages are measured on. Each release takes ten
// entries.
const (
	bigReleases = 10_000
	bigLines    = 500
)

// BenchmarkPages asks for pages of an installation with 10,000 releases in 500
// lines and 100,000 entries, over HTTP on this machine, the page to its last
// byte. The first time, and how long the start took, are given beside.
func BenchmarkPages(b *testing.B) {
	h, took := big(b, bigReleases, bigLines)
	paths := map[string]string{
		"home": "/", "inbox": "/inbox", "releases": "/releases", "search": "/search?q=net-77", "filtered": "/releases?q=net-7&status=live",
		"last": "/releases?before=3000", "release": "/releases/" + h.newest(),
		"live": "/live", "then": "/live?at=2030-01-01", "ledger": "/ledger", "kind": "/ledger?kind=approval&actor=rita", "entry": "/ledger/1000",
		"models": "/models", "model": "/models/lab/net-7", "version": "/models/lab/net?version=1", "data": "/datasets/" + string(digest("data 1")),
		"person": "/principals/rita", "policy": "/policies/house",
	}
	browser := h.as("rita")
	for _, name := range []string{"home", "inbox", "releases", "filtered", "last", "search", "release", "live", "then", "ledger", "kind", "entry", "models", "model", "version", "data", "person", "policy"} {
		b.Run(name, func(b *testing.B) {
			start := time.Now()
			browser.see(paths[name], 200)
			first := time.Since(start)
			for b.Loop() {
				browser.see(paths[name], 200)
			}
			b.ReportMetric(float64(first.Milliseconds()), "first-ms")
			b.ReportMetric(float64(took.Milliseconds()), "start-ms")
		})
	}
}

func (h *house) newest() string {
	h.Helper()
	got, err := h.reg.FindReleases(h.ctx, registry.Caller{Name: "rita", Type: record.Human}, registry.Query{Limit: 1})
	if err != nil || len(got.List) == 0 {
		h.Fatalf("no release was found: %v", err)
	}
	return got.List[0].ID
}

// big settles a house, writes many releases into its ledger as its own server
// would have, all but the newest of every tenth line promoted, and opens it again.
func big(t testing.TB, releases, lines int) (*house, time.Duration) {
	t.Helper()
	data := t.TempDir()
	h := openWith(t, registry.Config{Data: data})
	h.settle()
	h.evaluate(h.train("1"))
	c, err := h.propose("1")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.reg.Close(); err != nil {
		t.Fatal(err)
	}
	w := &writer{TB: t, key: must[*attest.Key](t)(attest.LoadKey(filepath.Join(data, "keys", "server.key"), "")), like: c.Release.Record, live: map[string]string{}}
	w.store = must[*store.Store](t)(store.Open(h.ctx, data, store.Options{
		Project: ledger.Project, Version: record.KeysVersion, Origin: w.key.Name(), Signers: []note.Signer{w.key.NoteSigner()}, CheckpointFile: filepath.Join(data, "checkpoint"),
	}))
	for k := range lines {
		w.say("ann", record.Model{Team: "lab", Name: "net-" + strconv.Itoa(k), Type: record.Trained, Owner: "olga"})
		w.say("administrator", record.Principal{Name: "w-" + strconv.Itoa(k), Type: record.Workload, Owner: "ann", Purpose: "runs a model", Expires: now().AddDate(0, 2, 0)})
	}
	for i := range releases {
		w.release(i, lines, i >= releases-lines && i%10 == 0)
	}
	w.flush()
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	h.reg = must[*registry.Registry](t)(registry.Open(h.ctx, registry.Config{Data: data}))
	took := time.Since(start)
	t.Cleanup(func() { h.reg.Close() })
	s := httptest.NewServer(server.New(h.reg, server.Options{Log: slog.New(slog.NewTextHandler(h.log, nil))}))
	t.Cleanup(s.Close)
	h.url = s.URL
	return h, took
}

// writer writes statements as a server would, many to a transaction.
type writer struct {
	testing.TB
	store  *store.Store
	key    *attest.Key
	like   record.Release
	drafts []store.Draft
	live   map[string]string
}

func (w *writer) say(actor string, body record.Body) record.Statement {
	w.Helper()
	s := must[record.Statement](w)(record.New(actor, now(), body))
	payload := must[[]byte](w)(attest.EncodeStatement(s))
	w.drafts = append(w.drafts, store.Draft{Payload: payload, Signature: w.key.Sign(payload)})
	if len(w.drafts) == 1000 {
		w.flush()
	}
	return s
}

func (w *writer) flush() {
	w.Helper()
	must[[]int64](w)(w.store.Append(context.Background(), store.ReadSet{}, w.drafts...))
	w.drafts = nil
}

// release writes ten entries: a run, a version, an evaluation, the release,
// three approvals, a comment, and, unless it is to wait, the promotion with its
// verdict.
func (w *writer) release(i, lines int, waits bool) {
	w.Helper()
	model, version := "lab/net-"+strconv.Itoa(i%lines), strconv.Itoa(i)
	bytes := digest("big " + version)
	w.say("robot", record.Run{
		Team: "lab", ID: "big-" + version, Code: record.Code{Repository: "https://lab.example/net", Commit: strings.Repeat("ab", 20)},
		Inputs:  []record.Resource{{Type: record.ResourceDataset, Name: "data", Digest: w.like.Data.Datasets[0]}},
		Outputs: []record.Resource{{Type: record.ResourceModel, Name: "net", Digest: bytes}}, Started: now().Add(-time.Hour), Finished: now().Add(-time.Minute),
	})
	w.say("robot", record.ModelVersion{Model: model, Version: version, Type: record.Trained, Artifact: bytes, Run: "lab/big-" + version, Files: []record.File{{Path: "m", SHA256: bytes.Hex(), Size: 1}}})
	lower, successes := 0.93, 950
	e := w.say("eve", record.Evaluation{
		Team: "lab", Artifact: bytes, Category: record.Accuracy, Suite: "holdout", Dataset: digest("held out"), Tool: record.Tool{Name: "imprimatur", Version: "1"},
		Evidence: []record.RawFile{record.FileOf("items.ndjson", "items", []byte(version))}, Assurance: record.Imported, Ran: now(), Attempt: 1,
		Counts:  record.Counts{Evaluated: 1000, Scored: 1000},
		Metrics: []record.Metric{{Name: "accuracy", Direction: record.Higher, Value: 0.95, N: 1000, Successes: &successes, Computed: &record.Uncertainty{Method: "wilson", Lower95: &lower, Upper95: new(0.96)}}},
	})
	r := w.like
	r.Behaviour.Model, r.Behaviour.Version, r.Behaviour.Artifact, r.Behaviour.Evaluations = model, version, bytes, []record.Digest{e.Digest()}
	r.Data.Runs = []string{"lab/big-" + version}
	r.Authority = record.Authority{Tools: []record.Grant{{Resource: "look-up", Actions: []string{"call"}}}, Workloads: []string{"w-" + strconv.Itoa(i%lines)}}
	s := w.say("ann", r)
	id, parts := record.ReleaseID(s.Digest()), must[record.Digests](w)(record.DigestsOf(s.Raw))
	for name, role := range map[string]record.RoleName{"olga": record.ModelOwner, "rita": record.Risk, "sam": record.Security} {
		if waits && role == record.Risk {
			continue
		}
		w.say(name, record.Approval{Release: id, Line: r.Line(), Record: parts.Record, Role: role, Decision: record.Approve, Parts: parts.Parts, Reason: "seen", Method: record.MethodSession, Expires: now().AddDate(0, 2, 0)})
	}
	w.say("ann", record.Comment{Release: id, Line: r.Line(), Record: parts.Record, Text: fmt.Sprintf("release %d", i)})
	if waits {
		return
	}
	v := w.say("olga", record.Verdict{Release: id, Line: r.Line(), Record: parts.Record, Artifact: bytes, Policy: r.Context.Policy, Tier: r.Context.Tier, At: now(), Passed: true})
	w.say("olga", record.Promotion{
		Release: id, Line: r.Line(), Record: parts.Record, Environment: "production", Artifact: bytes, How: record.Promote,
		Verdict: v.Digest(), Replaces: w.live[r.Line()],
	})
	w.live[r.Line()] = id
}
