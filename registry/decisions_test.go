package registry_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// sealed returns what was stated of the decision log, oldest first, once all
// that was answered so far is in it.
func (h *house) sealed() []record.Recorded[record.Decisions] {
	h.Helper()
	if err := h.reg.SealDecisions(h.ctx); err != nil {
		h.Fatal(err)
	}
	page := must[wire.Page](h)(h.reg.List(h.ctx, administrator, record.KindDecisions, 0, 0))
	var out []record.Recorded[record.Decisions]
	for _, e := range page.Entries {
		body := must[record.Body](h)(record.Replay(e.Kind, e.Record))
		out = append(out, record.Recorded[record.Decisions]{Record: body.(record.Decisions), Actor: e.Actor, Time: e.Time})
	}
	slices.Reverse(out)
	return out
}

// lines reads a decision log.
func (h *house) lines(log record.Digest) (lines []wire.Decided) {
	h.Helper()
	content := must[io.ReadCloser](h)(h.reg.DecisionLog(h.ctx, administrator, log))
	defer content.Close()
	raw := must[[]byte](h)(io.ReadAll(must[*gzip.Reader](h)(gzip.NewReader(content))))
	for line := range bytes.Lines(raw) {
		var d wire.Decided
		if err := json.Unmarshal(line, &d); err != nil {
			h.Fatal(err)
		}
		lines = append(lines, d)
	}
	return lines
}

func TestEveryAnswerIsInTheDecisionLog(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	c := h.liveWith("1", scoring("scorer"))
	h.ask(scorer, func(a *wire.Ask) { a.Arguments = []byte(`{"n":1}`) })
	for range 3 {
		h.mayNot(h.ask(scorer, func(a *wire.Ask) { a.Resource = "delete" }))
	}
	h.mayNot(h.ask(administrator, func(a *wire.Ask) { a.Workload = "nobody" }))
	h.mayNot(h.ask(scorer, func(a *wire.Ask) { a.Resource = "dele\u202ete" }))

	got := h.sealed()
	if len(got) != 2 {
		t.Fatalf("%d statements, want one for the team and one for no team: %+v", len(got), got)
	}
	none, lab := got[0], got[1]
	if none.Actor != h.reg.Origin() || none.Record.Team != "" || none.Record.Denied != 1 || none.Record.Denials[0].Workload != "nobody" {
		t.Errorf("of no team: %+v", none)
	}
	denial := func(resource string, n int64) record.Denial {
		return record.Denial{Workload: "scorer", Release: c.ID, Type: "tools", Resource: resource, Action: "call", Count: n}
	}
	want := []record.Denial{denial("delete", 3), denial(`"dele\u202ete"`, 1)}
	for i, d := range lab.Record.Denials {
		if !strings.Contains(d.Reason, "no grant of the release names the tool") || d.First.Before(lab.Record.From) || d.Last.Before(d.First) || d.Last.After(lab.Record.To) {
			t.Errorf("%+v", d)
		}
		lab.Record.Denials[i].Reason, lab.Record.Denials[i].First, lab.Record.Denials[i].Last = "", time.Time{}, time.Time{}
	}
	if diff := cmp.Diff(want, lab.Record.Denials); diff != "" {
		t.Error(diff)
	}
	lines := h.lines(lab.Record.Log)
	allowed := wire.Decided{
		At: lab.Record.From, Team: "lab", Workload: "scorer", Release: c.ID, Kind: "tools", Resource: "look-up", Action: "call",
		Arguments: record.DigestOf([]byte(`{"n":1}`)), Allowed: true, Grant: 1, Count: 1,
	}
	if len(lines) != 3 || !cmp.Equal(lines[0], allowed) || lines[1].Count != 3 {
		t.Errorf("the log has %+v\nwant first %+v", lines, allowed)
	}
	if got := h.sealed(); len(got) != 2 {
		t.Errorf("nothing was asked, and %d more statements came", len(got)-2)
	}
	// Who may not read the team's affairs does not learn of them.
	must[record.Recorded[record.Team]](t)(h.reg.CreateTeam(h.ctx, administrator, record.Team{Name: "other"}))
	near, far := h.holder(record.Viewer, "lab", record.Principal{Name: "near"}), h.holder(record.Auditor, "other", record.Principal{Name: "far"})
	must[io.ReadCloser](t)(h.reg.DecisionLog(h.ctx, near, lab.Record.Log)).Close()
	must[wire.Used](t)(h.reg.Used(h.ctx, near, c.ID, time.Time{}))
	for _, who := range []registry.Caller{far, scorer} {
		_, err := h.reg.DecisionLog(h.ctx, who, lab.Record.Log)
		h.refused(err, wire.Forbidden)
		_, err = h.reg.Used(h.ctx, who, c.ID, time.Time{})
		h.refused(err, wire.Forbidden)
	}
}

func TestTheDecisionLogOutlivesItsServer(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	h.liveWith("1", scoring("scorer"))
	h.ask(scorer, nil)
	h.again() // a stop seals
	if got := h.sealed(); len(got) != 1 || got[0].Record.Allowed != 1 {
		t.Fatalf("after a stop: %+v", got)
	}
	// What a killed server left, with a line that was cut off: before its
	// statement, and after it.
	h.ask(scorer, nil)
	h.mayNot(h.ask(scorer, func(a *wire.Ask) { a.Resource = "delete" }))
	if err := h.reg.WriteDecisions(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(h.dir, "decisions", "open-0.ndjson")
	left := must[[]byte](t)(os.ReadFile(path))
	for range 2 {
		h.sealed()
		if err := errors.Join(h.reg.Close(), os.WriteFile(path, append(left, left[:10]...), 0o600)); err != nil {
			t.Fatal(err)
		}
		h.reopen()
	}
	got := h.sealed()
	if len(got) != 2 || got[1].Record.Allowed != 1 || got[1].Record.Denied != 1 {
		t.Errorf("the same lines are stated %d times: %+v", len(got)-1, got)
	}
}

func TestAFloodIsCountedAndBounded(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	h.agent("quiet")
	h.liveWith("1", scoring("scorer", "quiet"))
	const flood = 5000
	for i := range flood {
		h.mayNot(h.ask(scorer, func(a *wire.Ask) { a.Resource = fmt.Sprintf("x%d-%s", i, strings.Repeat("y", 10_000)) }))
	}
	quiet := registry.Caller{Name: "quiet", Type: record.Workload, Method: record.MethodToken}
	h.mayNot(h.ask(quiet, func(a *wire.Ask) { a.Workload, a.Resource = "quiet", "delete" }))
	got := h.sealed()
	var denied int64
	for _, d := range got {
		denied += d.Record.Denied
		if len(d.Record.Denials) > record.MaxDenials {
			t.Errorf("%d denials are spelt out", len(d.Record.Denials))
		}
	}
	if denied != flood+1 {
		t.Errorf("%d refusals are counted, want %d", denied, flood+1)
	}
	var found bool
	bytes := 0
	for _, d := range got {
		for _, l := range h.lines(d.Record.Log) {
			found = found || l.Workload == "quiet" && l.Resource == "delete"
			bytes += len(l.Resource) + len(l.Reason)
		}
	}
	if !found {
		t.Error("the flood pushed another's refusal out")
	}
	if bytes > flood*1000 {
		t.Errorf("the flood takes %d bytes", bytes)
	}
}

func TestUsedSuggestsWhatIsEnough(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	a := scoring("scorer")
	a.APIs = []record.Grant{{Resource: "crm/*", Actions: []string{"*"}}}
	c := h.liveWith("1", a)
	h.ask(scorer, nil)
	for _, path := range []string{"crm/cases", "crm/cases", "crm/notes"} {
		if got := h.ask(scorer, func(a *wire.Ask) { a.Kind, a.Resource, a.Action = "apis", path, "GET" }); !got.Allowed {
			t.Fatal(got)
		}
	}
	h.sealed()
	got := must[wire.Used](t)(h.reg.Used(h.ctx, administrator, c.ID, time.Time{}))
	want := record.Authority{
		Tools:     []record.Grant{{Resource: "look-up", Actions: []string{"call"}}},
		APIs:      []record.Grant{{Resource: "crm/cases", Actions: []string{"GET"}}, {Resource: "crm/notes", Actions: []string{"GET"}}},
		Workloads: []string{"scorer"},
	}
	if diff := cmp.Diff(want, got.Suggested); diff != "" || got.Calls != 4 {
		t.Errorf("%d calls: %s", got.Calls, diff)
	}
	h.clock.turn(time.Hour)
	if got := must[wire.Used](t)(h.reg.Used(h.ctx, administrator, c.ID, h.clock.now())); got.Calls != 0 || len(got.Suggested.Workloads) != 0 {
		t.Errorf("later: %+v", got)
	}
}

func TestWhenTheDecisionLogCannotBeWrittenNothingIsAllowed(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	h.liveWith("1", scoring("scorer"))
	if err := h.reg.FillDecisions(); err != nil {
		t.Fatal(err)
	}
	h.mayNot(h.ask(scorer, nil), "the decision log cannot be written")
}

func TestDecisionLogsAreKeptForTheirTime(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	h.liveWith("1", scoring("scorer"))
	h.ask(scorer, nil)
	old := h.sealed()[0].Record.Log
	h.clock.turn(48 * time.Hour)
	h.ask(scorer, nil)
	young := h.sealed()[1].Record.Log
	if err := h.reg.SweepDecisions(context.Background(), 24*time.Hour); err != nil {
		t.Fatal(err)
	}
	_, err := h.reg.DecisionLog(h.ctx, administrator, old)
	h.refused(err, wire.Unknown, "past its time")
	if got := h.lines(young); len(got) != 1 {
		t.Errorf("the young log has %d lines", len(got))
	}
}

func TestAGatewayTellsWhatItDecided(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	c := h.liveWith("1", scoring("scorer"))
	h.agent("gateway")
	gateway := registry.Caller{Name: "gateway", Type: record.Workload, Method: record.MethodToken}
	now := record.Millis(h.clock.now())
	lines := []wire.Decided{
		{At: now, Workload: "scorer", Release: c.ID, Kind: "tools", Resource: "look-up", Action: "call", Allowed: true, Grant: 1, Count: 1, Team: "other", By: "rita"},
		{At: now, Workload: "scorer", Release: c.ID, Kind: "tools", Resource: "delete\u202e", Action: "call", Count: 4},
	}
	_, err := h.reg.TellDecisions(h.ctx, gateway, lines)
	h.refused(err, wire.Forbidden, "gateway may not read")
	must[record.Recorded[record.Role]](t)(h.reg.BindRole(h.ctx, administrator, record.Role{Principal: "gateway", Role: record.Viewer, Team: "lab"}))
	if got := must[wire.Told](t)(h.reg.TellDecisions(h.ctx, gateway, lines)); got.Kept != 2 {
		t.Errorf("%+v", got)
	}
	must[wire.Told](t)(h.reg.TellDecisions(h.ctx, scorer, lines[:1]))
	for who, says := range map[string]string{"rita": "is a person", "nobody": "nobody"} {
		_, err := h.reg.TellDecisions(h.ctx, caller(who), lines)
		h.refused(err, registry.CodeOf(err), says)
	}
	_, err = h.reg.TellDecisions(h.ctx, gateway, []wire.Decided{{Workload: "scorer", Release: "r-000000000000", Allowed: true}})
	h.refused(err, wire.Unknown, "no release")
	got := h.sealed()
	if len(got) != 1 || got[0].Record.Team != "lab" || got[0].Record.Allowed != 2 || got[0].Record.Denied != 4 {
		t.Fatalf("%+v", got)
	}
	if d := got[0].Record.Denials; len(d) != 1 || d[0].Resource != `"delete\u202e"` || d[0].Reason != "refused" || d[0].Count != 4 {
		t.Errorf("%+v", d)
	}
	kept := h.lines(got[0].Record.Log)
	if len(kept) != 3 || !kept[0].Told || kept[0].By != "gateway" || kept[2].By != "" {
		t.Errorf("%+v", kept)
	}
	// What was really used counts what gateways tell.
	if used := must[wire.Used](t)(h.reg.Used(h.ctx, administrator, c.ID, time.Time{})); used.Calls != 2 || used.Denied != 4 {
		t.Errorf("%+v", used)
	}
}
