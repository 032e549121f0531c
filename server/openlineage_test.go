package server_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

const lineagePath = "/api/v1/lineage"

// produced are the events of the sample files, one from each line.
func produced(tb testing.TB) []string {
	tb.Helper()
	files := must[[]string](tb)(filepath.Glob("../lineage/openlineage/testdata/*.ndjson"))
	var out []string
	for _, f := range files {
		out = append(out, strings.Split(strings.TrimSpace(string(must[[]byte](tb)(os.ReadFile(f)))), "\n")...)
	}
	if len(out) < 20 {
		tb.Fatalf("only %d events", len(out))
	}
	return out
}

// answered demands a status, and returns the body.
func (h *house) answered(answer *http.Response, status int) string {
	h.Helper()
	raw := must[[]byte](h)(io.ReadAll(answer.Body))
	if answer.StatusCode != status {
		h.Fatalf("%s, want %d: %s", answer.Status, status, raw)
	}
	return string(raw)
}

func (h *house) lineage(who, node string) wire.Lineage {
	h.Helper()
	return body[wire.Lineage](h, h.ask(who, "GET", lineagePath+"?depth=5&nodeId="+node, ""))
}

func TestEventsOfPipelinesBecomeAGraph(t *testing.T) {
	h := settle(t)
	events := produced(t)
	for _, e := range events[:4] {
		h.answered(h.ask("robot", "POST", lineagePath, e), http.StatusOK)
	}
	h.answered(h.ask("robot", "POST", lineagePath+"/batch", "["+strings.Join(events, ",")+"]"), http.StatusNoContent)
	got := h.lineage("vic", "dataset:s3://lake:raw/orders")
	if len(got.Graph) != 5 || got.Graph[0].Data.Standing != wire.DataUnknown || len(got.Graph[0].InEdges) != 1 {
		t.Fatalf("the graph is %+v", got)
	}
	// The statements hold each event once, and their files hold them as they were sent.
	kept := map[string]int{}
	for _, e := range must[wire.Page](t)(h.admin.List(h.ctx, record.KindLineageEvents, 0, 0)).Entries {
		if e.Actor != "robot" {
			t.Errorf("%s stated it", e.Actor)
		}
		var said record.LineageEvents
		if err := json.Unmarshal(e.Record, &said); err != nil {
			t.Fatal(err)
		}
		raw := h.answered(h.ask("vic", "GET", "/api/v1/evidence/"+string(said.Raw), ""), http.StatusOK)
		lines := strings.Split(strings.TrimSpace(raw), "\n")
		if len(lines) != len(said.Events) {
			t.Errorf("%d lines for %d events", len(lines), len(said.Events))
		}
		for i, line := range lines {
			kept[line]++
			if d := must[record.Digest](t)(record.DigestJSON([]byte(line))); d != said.Events[i].Digest {
				t.Errorf("line %d is %s, not %s", i, d, said.Events[i].Digest)
			}
		}
	}
	for _, e := range events {
		if kept[e] != 1 {
			t.Errorf("kept %d times: %.100s", kept[e], e)
		}
	}
}

func TestABatchKeepsWhatIsGood(t *testing.T) {
	h := settle(t)
	good := produced(t)[0]
	answer := h.answered(h.ask("robot", "POST", lineagePath+"/batch", `[`+good+`,{"eventTime":"x"},7]`), http.StatusOK)
	want := `{"status":"partial_success","summary":{"received":3,"successful":1,"failed":2,"retriable":0,"non_retriable":2},"failed_events":[{"index":1,"reason":"the event cannot be read: its eventTime`
	if !strings.HasPrefix(answer, want) || !strings.Contains(answer, `{"index":2,`) {
		t.Errorf("the answer is %s", answer)
	}
	if answer = h.answered(h.ask("robot", "POST", lineagePath+"/batch", `[7]`), http.StatusOK); !strings.Contains(answer, `"status":"failure"`) {
		t.Errorf("the answer is %s", answer)
	}
	h.answered(h.ask("robot", "POST", lineagePath+"/batch", `[]`), http.StatusNoContent)
}

func zipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.String()
}

func TestWhatLineageRefuses(t *testing.T) {
	h := settle(t)
	good := produced(t)[0]
	h.answered(h.ask("robot", "POST", lineagePath, zipped(good), "Content-Encoding", "gzip"), http.StatusOK)
	for _, c := range []struct {
		what, who, path, body, encoding string
		status                          int
		says                            string
	}{
		{"nobody", "", "", good, "", 401, "token"},
		{"a viewer", "vic", "", good, "", 403, "contributor"},
		{"a steward, who is no contributor", "bob", "", good, "", 403, "contributor"},
		{"another team", "robot", "?team=other", good, "", 403, "other"},
		{"no event", "robot", "", `{"a":1}`, "", 422, "eventTime"},
		{"no JSON", "robot", "", `<xml/>`, "", 422, "cannot be read"},
		{"an array as one event", "robot", "", `[` + good + `]`, "", 422, "cannot be read"},
		{"an event as a batch", "robot", "/batch", good, "", 422, "array"},
		{"half a batch", "robot", "/batch", `[` + good, "", 422, "array"},
		{"more than a batch", "robot", "/batch", `[]7`, "", 422, "follows"},
		{"too many", "robot", "/batch", `[` + strings.Repeat(`{},`, 10_000) + `{}]`, "", 422, "more events"},
		{"too long", "robot", "", strings.Repeat(" ", 5<<20), "", 413, "longer"},
		{"too long when it is unpacked", "robot", "", zipped(strings.Repeat(" ", 5<<20)), "gzip", 413, "longer"},
		{"half a gzip", "robot", "", zipped(good)[:200], "gzip", 422, "cannot be read"},
		{"no gzip", "robot", "", good, "gzip", 422, "cannot be read"},
		{"another encoding", "robot", "", good, "br", 415, "gzip"},
	} {
		t.Run(c.what, func(t *testing.T) {
			inner := &house{TB: t, ctx: h.ctx, url: h.url, tokens: h.tokens}
			p := inner.problem(inner.ask(c.who, "POST", lineagePath+c.path, c.body, "Content-Encoding", c.encoding), c.status)
			if !strings.Contains(p.Detail, c.says) {
				t.Errorf("the refusal does not say %q: %s", c.says, p.Detail)
			}
		})
	}
	// Ann owns the robot and contributes; olga and the administrator own none.
	h.answered(h.ask("ann", "POST", lineagePath, good), http.StatusOK)
	h.enrol(record.Principal{Name: "carl", Type: record.Human}, record.Contributor)
	if p := h.problem(h.ask("carl", "POST", lineagePath, good), 403); !strings.Contains(p.Detail, "workload") {
		t.Error(p.Detail)
	}
	for path, status := range map[string]int{"?nodeId=dataset:s3://none:x": 404, "?nodeId=": 404, "?nodeId=job:airflow-prod:churn&depth=-1": 422, "?nodeId=job:airflow-prod:churn&depth=1000": 422} {
		h.problem(h.ask("vic", "GET", lineagePath+path, ""), status)
	}
}

// A registered dataset is known by its source, however the pipeline spells it.
func TestDatasetsOfTheGraphStandAsTheRegisterSays(t *testing.T) {
	h := settle(t)
	h.answered(h.ask("robot", "POST", lineagePath+"/batch", "["+strings.Join(produced(t), ",")+"]"), http.StatusNoContent)
	const node = "dataset:s3a://lake:/features/orders"
	standing := func(want wire.Standing) {
		t.Helper()
		if got := h.lineage("vic", node).Graph[0].Data; got.Standing != want {
			t.Errorf("it is %s, want %s: %+v", got.Standing, want, got)
		}
	}
	standing(wire.DataUnknown)
	set := record.Dataset{Team: "lab", Name: "features", Version: "1", Digest: digest("features"), Source: "s3://lake/features/orders/", Classification: "internal", Owner: "bob"}
	must[record.Recorded[record.Dataset]](t)(h.people["ann"].RegisterDataset(h.ctx, set))
	standing(wire.DataUnapproved)
	word := record.DataApproval{Dataset: set.Digest, Decision: record.Allow, Purposes: []string{"triage"}, Expires: now().AddDate(0, 1, 0), Reason: "licensed"}
	must[record.Recorded[record.DataApproval]](t)(h.people["bob"].DecideData(h.ctx, word))
	standing(wire.DataApproved)
	must[record.Recorded[record.DataApproval]](t)(h.people["bob"].DecideData(h.ctx, record.DataApproval{Dataset: set.Digest, Decision: record.Withdraw, Reason: "recalled"}))
	standing(wire.DataUnapproved)
}

// loads makes distinct events of the samples: each has a run of its own.
type loads struct {
	templates []jsontext.Value
	next      atomic.Int64
}

func loadsOf(tb testing.TB) *loads {
	l := &loads{}
	for _, e := range produced(tb) {
		if strings.Contains(e, `"runId":"0199f0c0-`) {
			l.templates = append(l.templates, jsontext.Value(e))
		}
	}
	return l
}

func (l *loads) event() []byte {
	n := l.next.Add(1)
	return bytes.ReplaceAll(l.templates[int(n)%len(l.templates)], []byte(`"runId":"0199f0c0-`), fmt.Appendf(nil, `"runId":"%08x-`, n/2))
}

// take sends bodies of some events each by several clients at once.
func take(b *testing.B, path string, each int) {
	h := settle(b)
	l := loadsOf(b)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1024}}
	b.SetParallelism(256)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			events := make([][]byte, each)
			for i := range events {
				events[i] = l.event()
			}
			content := bytes.Join(events, []byte(","))
			if path != lineagePath {
				content = append(append([]byte("["), content...), ']')
			}
			req, err := http.NewRequestWithContext(h.ctx, http.MethodPost, h.url+path, bytes.NewReader(content))
			if err != nil {
				b.Error(err)
				return
			}
			req.Header.Set("Authorization", "Bearer "+h.tokens["robot"])
			answer, err := client.Do(req)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
			if answer.StatusCode/100 != 2 {
				b.Error(answer.Status)
				return
			}
		}
	})
	b.ReportMetric(float64(l.next.Load())/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkLineageEvents takes events one a request; client and server share the
// processors.
func BenchmarkLineageEvents(b *testing.B) { take(b, lineagePath, 1) }

// BenchmarkLineageBatches takes events a hundred a request.
func BenchmarkLineageBatches(b *testing.B) { take(b, lineagePath+"/batch", 100) }
