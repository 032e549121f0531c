package registry_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/drift"
	"imprimatur.dev/evidence"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

const monitored = rules + `    monitor:
      window: 1h
      lateness: 10m
      alarm: { need: 2, of: 3 }
      performance: { suite: holdout, metric: accuracy, noWorseThan: 0.05, labels: 1d }
`

// table draws rows of an age, which moves by shift standard deviations of 10, and
// of an answer.
func table(seed uint64, rows int, shift float64) drift.Sample {
	rng := rand.New(rand.NewPCG(seed, 7))
	age, answer := make([]float64, rows), make([]string, rows)
	for i := range rows {
		age[i] = 50 + 10*(rng.NormFloat64()+shift)
		answer[i] = []string{"yes", "no", "no"}[rng.IntN(3)]
	}
	return drift.Sample{Columns: []drift.Column{{Name: "age", Source: drift.Input, Numbers: age}, {Name: "answer", Source: drift.Prediction, Labels: answer}}}
}

// ndjson writes a table as rows, each with a further member if there is one.
func ndjson(s drift.Sample, further string) []byte {
	var out bytes.Buffer
	for i := range s.Columns[0].Numbers {
		fmt.Fprintf(&out, `{"age":%v,"answer":%q%s}`+"\n", s.Columns[0].Numbers[i], s.Columns[1].Labels[i], further)
	}
	return out.Bytes()
}

// watched is an installation with a live release that has a monitor.
func watched(t testing.TB) (*house, wire.Case) { return watchedOn(open(t)) }

func watchedOn(h *house) (*house, wire.Case) { return watchedUnder(h, monitored) }

func watchedUnder(h *house, policy string) (*house, wire.Case) {
	h.Helper()
	must[wire.Published](h)(h.reg.PublishPolicy(h.ctx, rita, []byte(policy), "watch"))
	h.agent("scorer")
	h.agent("other")
	c := h.watch("1", "scorer")
	h.clock.set(time.Date(2026, 5, 2, 0, 0, 0, 0, time.UTC))
	return h, c
}

// watch promotes a version with a monitor, which these workloads run.
func (h *house) watch(version string, workloads ...string) wire.Case {
	h.Helper()
	h.evaluate(h.train(version, true), 950)
	h.baseline(digest("model " + version))
	c := must[wire.Case](h)(h.propose(version, scoring(workloads...)))
	must[wire.Case](h)(h.approve(olga, record.ModelOwner, c))
	must[wire.Case](h)(h.approve(rita, record.Risk, c))
	must[wire.Case](h)(h.approve(sam, record.Security, c))
	return must[wire.Promoted](h)(h.reg.Promote(h.ctx, olga, c.ID)).Case
}

// baseline records evidence of a monitor of drift.
func (h *house) baseline(model record.Digest) {
	h.Helper()
	reference, heldback := table(1, 5000, 0), table(2, 2000, 0)
	f := evidence.DriftSensitivity{Format: evidence.DriftSensitivityV1, Tool: record.Tool{Name: "own", Version: "1"}, Settings: drift.Defaults()}
	f.Baseline = must[drift.Baseline](h)(drift.Capture(reference))
	f.BaselineDigest = must[record.Digest](h)(f.Baseline.Digest())
	f.Reference, f.HeldBack = evidence.DriftSample{Digest: digest("reference"), Rows: 5000}, evidence.DriftSample{Digest: digest("held back"), Rows: 2000}
	f.Replay = drift.Replay{Window: 500, Repeats: 4, Seed: "s"}
	found := must[drift.Findings](h)(drift.Sensitivity(reference, heldback, f.Settings, drift.KnownShifts(f.Baseline), f.Replay))
	f.Disjoint, f.FalseAlarms, f.Detections = found.Disjoint, found.FalseAlarms, found.Detections
	in := submission(model, digest("held out"))
	in.Run.Finished = record.Millis(h.clock.now())
	must[[]record.Recorded[record.Evaluation]](h)(h.record(eve, in, must[[]byte](h)(f.Marshal())))
}

// batch is the observations of one hour of 2 May.
func batch(id string, hour int) wire.ObservationBatch {
	from := time.Date(2026, 5, 2, hour, 0, 0, 0, time.UTC)
	return wire.ObservationBatch{ID: id, From: from, To: from.Add(time.Hour)}
}

func (h *house) observe(in wire.ObservationBatch, body []byte) wire.Observed {
	h.Helper()
	return must[wire.Observed](h)(h.reg.Observe(h.ctx, scorer, in, bytes.NewReader(body)))
}

// at turns the clock to a time of 2 May and closes what is due.
func (h *house) at(hour, minute int) {
	h.Helper()
	h.clock.set(time.Date(2026, 5, 2, hour, minute, 0, 0, time.UTC))
	if err := h.reg.CloseWindows(h.ctx); err != nil {
		h.Fatal(err)
	}
}

func (h *house) windows(c wire.Case) []record.Recorded[record.Window] {
	h.Helper()
	return must[wire.Monitored](h)(h.reg.Monitor(h.ctx, rita, c.ID)).Windows
}

func TestDriftBecomesASignalAndSettles(t *testing.T) {
	h, c := watched(t)
	if m := must[wire.Monitored](t)(h.reg.Monitor(h.ctx, rita, c.ID)); m.Sample != digest("reference") || m.Window != 3600 || m.Reference.Right != 950 {
		t.Fatalf("the monitor is %+v", m)
	}
	for hour := range 8 {
		h.at(hour+1, 1)
		shift := 0.0
		if hour >= 2 && hour < 5 {
			shift = 0.5
		}
		h.observe(batch(fmt.Sprint("b-", hour), hour), ndjson(table(uint64(100+hour), 600, shift), ""))
	}
	h.at(8, 0)
	if n := len(h.windows(c)); n != 7 {
		t.Fatalf("at 8:00 %d windows have closed, want those that end by 7:50", n)
	}
	h.at(9, 12)
	var said []string
	for _, w := range h.windows(c) {
		said = append(said, fmt.Sprintf("%d%s%v", w.Record.From.Hour(), w.Record.Outcome[:1], w.Record.Alarm))
		if w.Record.Rows != 600 || w.Record.Batches != 1 || w.Actor != h.reg.Origin() {
			t.Errorf("%+v by %s", w.Record, w.Actor)
		}
	}
	if got := strings.Join(said, " "); got != "0sfalse 1sfalse 2bfalse 3btrue 4btrue 5strue 6sfalse 7sfalse" {
		t.Errorf("the windows came to %s", got)
	}
	signals := h.signals(c.ID)
	if len(signals) != 2 || signals[0].Type != record.SignalDrift || signals[1].Type != record.SignalDriftSettled || !strings.Contains(signals[0].Detail, "psi of age is") {
		t.Errorf("signals: %+v", signals)
	}
	h.judgedAgain(h.windows(c)[2])
}

// judgedAgain demands of a window's report that whoever has it comes to the same.
func (h *house) judgedAgain(w record.Recorded[record.Window]) {
	h.Helper()
	raw := must[[]byte](h)(io.ReadAll(must[io.ReadCloser](h)(h.reg.WindowReport(h.ctx, rita, w.Record.Report))))
	var report wire.WindowReport
	if err := json.Unmarshal(raw, &report); err != nil {
		h.Fatal(err)
	}
	frame := must[*drift.Frame](h)(drift.NewFrame(must[drift.Baseline](h)(drift.Capture(table(1, 5000, 0)))))
	again := must[drift.Report](h)(drift.Judge(frame, must[*drift.Sketch](h)(frame.ParseSketch(report.Sketch)), report.Drift.Settings))
	a, b := must[[]byte](h)(record.CanonicalOf(again)), must[[]byte](h)(record.CanonicalOf(report.Drift))
	if record.DigestOf(raw) != w.Record.Report || !bytes.Equal(a, b) || w.Record.Baseline != frame.Digest() {
		h.Errorf("judged again the window came to\n%s\nand its report says\n%s", a, b)
	}
}

func TestBatchesCountOnce(t *testing.T) {
	h, c := watched(t)
	h.at(3, 0)
	late, early := ndjson(table(5, 100, 0), ""), ndjson(table(6, 100, 0), "")
	first := h.observe(batch("b", 2), late)
	h.observe(batch("a", 1), early) // out of order
	again := h.observe(batch("b", 2), late)
	if first.Again || !again.Again || again.Rows != 100 || again.Windows[0] != first.Windows[0] {
		t.Errorf("answered %+v, then %+v", first, again)
	}
	_, err := h.reg.Observe(h.ctx, scorer, batch("b", 2), bytes.NewReader(early))
	h.refused(err, wire.Conflict, "the batch b was sent before with other rows")
	// A restart, and another way to pack the same rows.
	h.again()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	must[int](t)(z.Write(late))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if again = h.observe(batch("b", 2), packed.Bytes()); !again.Again {
		t.Errorf("packed: %+v", again)
	}
	h.at(3, 30)
	for i, w := range h.windows(c) {
		if w.Record.Rows != 100 || w.Record.From.Hour() != i+1 {
			t.Errorf("window %d: %+v", i, w.Record)
		}
	}
	if got := h.observe(batch("c", 1), early); !got.Windows[0].Late {
		t.Errorf("rows for a closed window: %+v", got)
	}
	h.at(5, 0)
	h.observe(batch("d", 4), early)
	h.at(6, 0)
	if all := h.windows(c); len(all) != 3 || all[2].Record.Late != 100 || all[0].Record.Rows != 100 {
		t.Errorf("windows: %+v", all)
	}
}

func TestOutcomesArriveLater(t *testing.T) {
	h, c := watched(t)
	h.at(2, 0)
	labels := func(right, wrong int) []byte {
		return []byte(strings.Repeat("{\"correct\":true}\n", right) + strings.Repeat("{\"correct\":0}\n", wrong))
	}
	h.observe(batch("rows", 0), ndjson(table(5, 100, 0), ""))
	h.at(8, 0)
	// The window of drift has closed; that of its outcomes has not.
	if got := h.observe(batch("labels-0", 0), labels(170, 30)); len(got.Windows) != 1 || got.Windows[0].Of != record.Accuracy || got.Windows[0].Late {
		t.Fatalf("%+v", got)
	}
	h.observe(batch("labels-1", 1), labels(160, 40))
	h.clock.set(time.Date(2026, 5, 3, 9, 0, 0, 0, time.UTC))
	if err := h.reg.CloseWindows(h.ctx); err != nil {
		t.Fatal(err)
	}
	all := h.windows(c)
	if len(all) != 3 || all[2].Record.Outcome != record.WindowBreach || !all[2].Record.Alarm || all[2].Record.Worst[0].Value < 0.14 {
		t.Fatalf("windows: %+v", all)
	}
	if s := h.signals(c.ID); len(s) != 1 || !strings.Contains(s[0].Detail, "how often it is right has moved away") {
		t.Errorf("signals: %+v", s)
	}
}

func TestAWorkloadSpeaksForItsOwnRelease(t *testing.T) {
	h, c := watched(t)
	h.at(2, 0)
	body := ndjson(table(5, 10, 0), "")
	send := func(who registry.Caller, change func(*wire.ObservationBatch)) error {
		in := batch("x", 1)
		change(&in)
		_, err := h.reg.Observe(h.ctx, who, in, bytes.NewReader(body))
		return err
	}
	same := func(*wire.ObservationBatch) {}
	other := registry.Caller{Name: "other", Type: record.Workload, Method: record.MethodToken}
	h.refused(send(olga, same), wire.Forbidden, "no workload")
	h.refused(send(other, same), wire.Refused, "no release that stands names the workload")
	h.refused(send(other, func(b *wire.ObservationBatch) { b.Release = c.ID }), wire.Refused, "names the workload")
	h.refused(send(scorer, func(b *wire.ObservationBatch) { b.ID = "a/b" }), wire.Invalid, "has the ID")
	h.refused(send(scorer, func(b *wire.ObservationBatch) { b.To = b.To.Add(time.Hour) }), wire.Invalid, "which is to come")
	body = []byte(`{"age":"old"}` + "\n")
	h.refused(send(scorer, same), wire.Invalid, "line 1", "feature of numbers", "none of them counts")
	body = []byte("\x1f\x8b\x08\x00cut off")
	h.refused(send(scorer, same), wire.Invalid, "cut off or damaged")
	if open := must[wire.Monitored](t)(h.reg.Monitor(h.ctx, rita, c.ID)).Open; len(open) != 0 {
		t.Errorf("what was refused is counted: %+v", open)
	}
	h.identify("scorer", nil)
	who := h.taken(h.access("scorer").Secret)
	body = ndjson(table(5, 10, 0), "")
	if err := send(who, same); err != nil {
		t.Errorf("with an access token: %v", err)
	}
	h.refused(send(who, func(b *wire.ObservationBatch) { b.ID, b.Release = "y", "r-000000000000" }), wire.Forbidden, "its own workload and release")
	must[wire.Case](t)(h.reg.Suspend(h.ctx, sam, c.ID, "incident", false))
	h.refused(send(scorer, func(b *wire.ObservationBatch) { b.ID = "z" }), wire.Refused, "suspended")
	h.mayNotLook(c)
}

// mayNotLook demands that nobody of another team sees what was seen.
func (h *house) mayNotLook(c wire.Case) {
	h.Helper()
	h.at(4, 0)
	report := h.windows(c)[0].Record.Report
	must[record.Recorded[record.Team]](h)(h.reg.CreateTeam(h.ctx, administrator, record.Team{Name: "play"}))
	far := h.holder(record.Viewer, "play", record.Principal{Name: "far"})
	_, err := h.reg.WindowReport(h.ctx, far, report)
	h.refused(err, wire.Forbidden, "may not read")
	_, err = h.reg.Monitor(h.ctx, far, c.ID)
	h.refused(err, wire.Forbidden, "may not read")
	_, err = h.reg.WindowReport(h.ctx, rita, digest("none"))
	h.refused(err, wire.Unknown, "is not known here")
}
