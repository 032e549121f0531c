package registry_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/probe"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

const suiteText = `apiVersion: imprimatur/v1
kind: ProbeSuite
name: basics
repeats: 5
baseline: 20
prompts:
  - { id: capital, prompt: What is the capital of France?, score: { exact: Paris } }
  - { id: sum, prompt: What is 40 + 2?, score: { number: 42, within: 0.5 } }
`

// spoken is what a vendor's model answers in one run.
type spoken struct {
	model, system string
	texts         [2]string
	times         int
	fails         bool
	odd           int // how many of the answers to the second prompt are another
}

func (h *house) keeps(who registry.Caller, content []byte) record.Digest {
	h.Helper()
	d := record.DigestOf(content)
	must[wire.Kept](h)(h.reg.KeepEvidence(h.ctx, who, d, bytes.NewReader(content)))
	return d
}

// probes records what a model answered.
func (h *house) probes(who registry.Caller, x spoken) (record.Recorded[record.Probe], error) {
	h.Helper()
	s, err := probe.ParseSuite([]byte(suiteText))
	if err != nil {
		h.Fatal(err)
	}
	at := record.Millis(h.clock.now())
	run := probe.Run{Suite: s.Digest, Vendor: "lab/parrot", Model: "chat-2", Started: at, Finished: at}
	for i, p := range s.Prompts {
		one := probe.Answered{ID: p.ID}
		for k := range x.times {
			a := probe.Answer{Text: x.texts[i], Model: x.model, System: x.system}
			if x.fails {
				a = probe.Answer{Error: "the gateway answers 403"}
			}
			if i == 1 && k < x.odd {
				a.Text = "forty-two"
			}
			one.Answers = append(one.Answers, a)
		}
		run.Prompts = append(run.Prompts, one)
	}
	raw := must[[]byte](h)(run.Marshal())
	return h.reg.RecordProbe(h.ctx, who, wire.ProbeSubmission{Vendor: "lab/parrot", Suite: h.keeps(who, []byte(suiteText)), Answers: h.keeps(who, raw)})
}

var asBefore = spoken{model: "chat-2", system: "fp-1", texts: [2]string{"Paris", "42"}, times: 5}

func (h *house) probed(x spoken) record.Recorded[record.Probe] {
	h.Helper()
	return must[record.Recorded[record.Probe]](h)(h.probes(robot, x))
}

func idOf(p record.Recorded[record.Probe]) string { return record.ProbeID(p.Digest) }

func TestAModelThatChangesIsASignalWithBothAnswers(t *testing.T) {
	h := open(t)
	h.parrot()
	_, err := h.probes(robot, asBefore)
	h.refused(err, wire.Refused, "too few answers", "imprimatur vendor probe lab/parrot --baseline")
	full := asBefore
	full.times = 20
	first := h.probed(full)
	if first.Record.Result != record.ProbeBaseline || !first.Record.Full || first.Record.Given != 40 {
		t.Fatalf("the first: %+v", first.Record)
	}
	must[record.Recorded[record.Model]](t)(h.reg.RegisterModel(h.ctx, ann, record.Model{Team: "lab", Name: "chat", Type: record.Vendor, Owner: "olga"}))
	v := must[record.Recorded[record.ModelVersion]](t)(h.reg.AcceptService(h.ctx, ann, wire.ServiceRequest{Version: "lab/chat@1", Probe: idOf(first)}))
	if s := v.Record.Service; s.Vendor != "parrot" || s.Model != "chat-2" || s.Fingerprint != first.Record.Fingerprint {
		t.Errorf("accepted %+v", s)
	}
	c := h.liveWith("1", calls)
	other := h.liveWithout("2")
	if p := h.probed(asBefore); p.Record.Result != record.ProbeSame || p.Record.Baseline != first.Record.Answers || p.Record.Full {
		t.Errorf("as before: %+v", p.Record)
	}
	if s := h.signals(c.ID); len(s) != 0 {
		t.Errorf("signals: %+v", s)
	}

	// Four ways to change, each a signal once, however often it is seen.
	named, printed, shifted := asBefore, asBefore, asBefore
	named.model, printed.system, shifted.texts[0] = "chat-3", "fp-2", "Lyon"
	for i, x := range []struct {
		now  spoken
		says string
	}{{named, `it calls itself "chat-3", and called itself "chat-2"`}, {asBefore, ""}, {printed, `its system says the fingerprint "fp-2"`}, {asBefore, ""}, {shifted, "capital passed 20 of 20, and passes 0 of 5"}} {
		var p record.Recorded[record.Probe]
		for range 2 {
			p = h.probed(x.now)
		}
		if (p.Record.Result == record.ProbeChanged) != (x.says != "") || !strings.Contains(p.Record.Detail, x.says) {
			t.Errorf("%d: %s: %s", i, p.Record.Result, p.Record.Detail)
		}
	}
	s := h.signals(c.ID)
	if len(s) != 3 || s[0].Type != record.SignalVendorModelChanged {
		t.Fatalf("signals: %+v", s)
	}
	if o := h.signals(other.ID); len(o) != 0 {
		t.Errorf("signals of a release that uses no vendor: %+v", o)
	}
	report := must[probe.Report](t)(probe.ParseReport(h.evidence(s[2].Evidence)))
	if m := report.Prompts[0]; m.ID != "capital" || m.Was[0] != (probe.Given{Text: "Paris", Passes: true, Times: 20}) || m.Is[0] != (probe.Given{Text: "Lyon", Times: 5}) {
		t.Errorf("side by side: %+v", m)
	}
	if d := s[2].Detail; !strings.Contains(d, "the model chat-2 of the vendor parrot is not the one that was accepted") || !strings.Contains(d, "imprimatur vendor diff p-") {
		t.Errorf("the signal says: %s", d)
	}

	// What changed can be accepted, as another version, and is then what is compared with.
	short := h.probed(shifted)
	_, err = h.reg.AcceptService(h.ctx, ann, wire.ServiceRequest{Version: "lab/chat@2", Probe: idOf(short)})
	h.refused(err, wire.Refused, "too few answers", "imprimatur vendor probe lab/parrot --baseline")
	shifted.times = 20
	w := must[record.Recorded[record.ModelVersion]](t)(h.reg.AcceptService(h.ctx, ann, wire.ServiceRequest{Version: "lab/chat@2", Probe: idOf(h.probed(shifted))}))
	if w.Record.Artifact == v.Record.Artifact {
		t.Error("another fingerprint is the same artifact")
	}
	shifted.times = 5
	if p := h.probed(shifted); p.Record.Result != record.ProbeSame {
		t.Errorf("accepted, and then: %+v", p.Record)
	}
}

// A change that no run shows by itself is shown by some together, and is a signal once.
func TestASlightChangeShowsOverSeveralRuns(t *testing.T) {
	h := open(t)
	h.parrot()
	full := asBefore
	full.times = 20
	first := h.probed(full)
	c := h.liveWith("1", calls)
	slightly := asBefore
	slightly.odd = 3
	var last record.Recorded[record.Probe]
	rounds := 0
	for last.Record.Result != record.ProbeChanged && rounds < 8 {
		h.clock.turn(time.Hour)
		rounds++
		if last = h.probed(slightly); len(last.Record.Earlier) != rounds-1 {
			t.Errorf("round %d is judged together with %d", rounds, len(last.Record.Earlier))
		}
	}
	if x := last.Record; rounds < 2 || x.Result != record.ProbeChanged || !x.Together || !strings.Contains(x.Detail, fmt.Sprintf("over the last %d runs together", rounds)) {
		t.Fatalf("after %d rounds: %+v", rounds, x)
	}
	report := must[probe.Report](t)(probe.ParseReport(h.evidence(last.Record.Report)))
	if m := report.Prompts[0]; m.ID != "sum" || m.Now != 5*rounds || len(m.Is) != 2 || m.Is[0].Times != 3*rounds {
		t.Errorf("side by side: %+v", m)
	}
	again := must[record.Recorded[record.Probe]](t)(h.reg.RecordProbe(h.ctx, robot, wire.ProbeSubmission{Vendor: "lab/parrot", Suite: last.Record.Suite, Answers: last.Record.Answers}))
	if again.Index != last.Index {
		t.Error("the same answers are recorded twice")
	}
	h.clock.turn(time.Hour)
	if next := h.probed(slightly); next.Record.Result != record.ProbeChanged || !next.Record.Together {
		t.Errorf("the next: %+v", next.Record)
	}
	if s := h.signals(c.ID); len(s) != 1 {
		t.Errorf("signals: %+v", s)
	}

	// One that shows by itself ends the row, and what is before the new one counts no more.
	shifted := asBefore
	shifted.texts[0] = "Lyon"
	if p := h.probed(shifted); p.Record.Result != record.ProbeChanged || p.Record.Together {
		t.Errorf("shifted: %+v", p.Record)
	}
	if p := h.probed(asBefore); p.Record.Result != record.ProbeSame || len(p.Record.Earlier) != 0 || p.Record.Baseline != first.Record.Answers {
		t.Errorf("as before: %+v", p.Record)
	}
}

// What answers live traffic is held against what was accepted.
func TestAModelThatAnswersLiveAsAnother(t *testing.T) {
	h := open(t)
	h.parrot()
	c := h.liveWith("1", calls)
	see := func(answered, fingerprint string) wire.ModelJudged {
		t.Helper()
		return must[wire.ModelJudged](t)(h.reg.SeeModel(h.ctx, sam, wire.ModelSeen{Release: c.ID, Vendor: "parrot", Model: "chat-2", Answered: answered, Fingerprint: fingerprint}))
	}
	if see("chat-2", "fp-9").Changed || !see("chat-3", "").Changed {
		t.Error("without a probe the name alone counts")
	}
	full := asBefore
	full.model, full.times = "chat-2-2026-05-01", 20
	must[record.Recorded[record.Model]](t)(h.reg.RegisterModel(h.ctx, ann, record.Model{Team: "lab", Name: "chat", Type: record.Vendor, Owner: "olga"}))
	must[record.Recorded[record.ModelVersion]](t)(h.reg.AcceptService(h.ctx, ann, wire.ServiceRequest{Version: "lab/chat@1", Probe: idOf(h.probed(full))}))
	for range 2 {
		if see("chat-2-2026-05-01", "fp-1").Changed || see("chat-2-2026-05-01", "").Changed || !see("chat-2-2026-05-01", "fp-2").Changed || !see("chat-2", "fp-1").Changed {
			t.Error("the accepted names and fingerprints are not what counts")
		}
	}
	if s := h.signals(c.ID); len(s) != 3 || !strings.Contains(s[1].Detail, `with the fingerprint "fp-2", and was accepted with "fp-1"`) {
		t.Errorf("signals: %+v", s)
	}
}

func TestAProbeThatFailsIsASignal(t *testing.T) {
	h := open(t)
	h.parrot()
	full := asBefore
	full.times = 20
	h.probed(full)
	c := h.liveWith("1", calls)
	down := asBefore
	down.fails = true
	for range 3 {
		if p := h.probed(down); p.Record.Result != record.ProbeIncomplete {
			t.Errorf("%+v", p.Record)
		}
	}
	s := h.signals(c.ID)
	if len(s) != 1 || s[0].Type != record.SignalProbeFailed || !strings.Contains(s[0].Detail, "the gateway answers 403") {
		t.Errorf("signals: %+v", s)
	}
}

// A prober that stops is a signal, once for each silence, and is seen before.
func TestAProberThatStopsIsASignal(t *testing.T) {
	h := open(t)
	must[wire.Published](h)(h.reg.PublishPolicy(h.ctx, rita, []byte(strings.Replace(rules, "    approvals:\n", "    vendor: { probedWithin: 24h }\n    approvals:\n", 1)), "vendors are probed"))
	h.parrot()
	full := asBefore
	full.times = 20
	c := h.liveWith("1", calls)
	look := func(signals int, says string) {
		t.Helper()
		for range 2 {
			if err := h.reg.LookAtVendors(h.ctx); err != nil {
				t.Fatal(err)
			}
		}
		s := h.signals(c.ID)
		if len(s) != signals || signals > 0 && (s[signals-1].Type != record.SignalProbeFailed || !strings.Contains(s[signals-1].Detail, says)) {
			t.Errorf("signals: %+v, want %d that say %q", s, signals, says)
		}
	}
	vendor := func() wire.VendorStatus {
		t.Helper()
		return must[wire.VendorStatus](t)(h.reg.Vendor(h.ctx, bob, "lab", "parrot"))
	}
	if v := vendor(); !v.Live[0].ProbeDue.Equal(v.Live[0].Since.Add(24 * time.Hour)) {
		t.Errorf("before the first probe: %+v", v.Live)
	}
	look(0, "")
	h.clock.turn(24 * time.Hour)
	look(1, "was not probed since the release went live on")
	first := h.probed(full)
	h.clock.turn(20 * time.Hour)
	last := h.probed(asBefore)
	if v := vendor(); len(v.Probes) != 1 || v.Probes[0].ID != idOf(last) || !v.Probes[0].Due.Equal(last.Record.Ran.Add(24*time.Hour)) || !v.Live[0].ProbeDue.Equal(v.Probes[0].Due) {
		t.Errorf("after %s and %s: %+v, %+v", idOf(first), idOf(last), v.Probes, v.Live)
	}
	h.clock.turn(24*time.Hour - time.Minute)
	look(1, "")
	h.clock.turn(time.Minute)
	look(2, idOf(last))
	if d := h.signals(c.ID)[1].Detail; !strings.Contains(d, "the model chat-2 of the vendor parrot was last probed on") || !strings.Contains(d, "imprimatur vendor probe lab/parrot --service chat-2 --suite FILE --gateway URL") {
		t.Errorf("the signal says: %s", d)
	}
	h.clock.turn(24 * time.Hour)
	look(2, idOf(last))
	h.probed(asBefore)
	h.clock.turn(23 * time.Hour)
	look(2, idOf(last))
	h.allowed("1")
}

func TestAnswersThatCannotBeRecorded(t *testing.T) {
	h := open(t)
	h.parrot()
	full := asBefore
	full.times = 20
	p := h.probed(full)
	again := must[record.Recorded[record.Probe]](t)(h.reg.RecordProbe(h.ctx, robot, wire.ProbeSubmission{Vendor: "lab/parrot", Suite: p.Record.Suite, Answers: p.Record.Answers}))
	if again.Index != p.Index {
		t.Error("the same answers are recorded twice")
	}
	submit := func(in wire.ProbeSubmission) error {
		_, err := h.reg.RecordProbe(h.ctx, robot, in)
		return err
	}
	h.refused(submit(wire.ProbeSubmission{Vendor: "lab/owl", Suite: p.Record.Suite, Answers: p.Record.Answers}), wire.Unknown, "the vendor lab/owl")
	h.refused(submit(wire.ProbeSubmission{Vendor: "parrot"}), wire.Invalid, "team/name")
	h.refused(submit(wire.ProbeSubmission{Vendor: "lab/parrot", Suite: digest("none"), Answers: p.Record.Answers}), wire.Unknown, "the suite", "is not here")
	h.refused(submit(wire.ProbeSubmission{Vendor: "lab/parrot", Suite: p.Record.Answers, Answers: p.Record.Answers}), wire.Invalid, "the suite")
	h.refused(submit(wire.ProbeSubmission{Vendor: "lab/parrot", Suite: p.Record.Suite, Answers: p.Record.Suite}), wire.Invalid, "the answers")
	h.clock.turn(25 * time.Hour)
	h.refused(submit(wire.ProbeSubmission{Vendor: "lab/parrot", Suite: p.Record.Suite, Answers: p.Record.Answers}), wire.Invalid, "show nothing of now")
	_, err := h.reg.AcceptService(h.ctx, ann, wire.ServiceRequest{Version: "lab/net@9", Probe: "p-000000000000"})
	h.refused(err, wire.Invalid, "the model lab/net is trained")
}

// evidence reads a file that is kept.
func (h *house) evidence(d record.Digest) []byte {
	h.Helper()
	f := must[io.ReadCloser](h)(h.reg.Evidence(h.ctx, rita, d))
	defer f.Close()
	return must[[]byte](h)(io.ReadAll(f))
}

// liveWithout is live in a line of its own, and calls nobody.
func (h *house) liveWithout(version string) wire.Case {
	h.Helper()
	must[record.Recorded[record.UseCase]](h)(h.reg.RegisterUseCase(h.ctx, olga, record.UseCase{
		Team: "lab", Name: "other", Title: "Other", Purpose: "triage", Owner: "olga", Tier: "high", Environments: []string{"production"},
	}))
	h.evaluate(h.train(version, true), 950)
	c := must[wire.Case](h)(h.reg.ProposeRelease(h.ctx, ann, wire.Proposal{Version: fmt.Sprintf("lab/net@%s", version), UseCase: "lab/other", Environment: "production"}))
	must[wire.Case](h)(h.approve(olga, record.ModelOwner, c))
	must[wire.Case](h)(h.approve(rita, record.Risk, c))
	must[wire.Case](h)(h.approve(sam, record.Security, c))
	return must[wire.Promoted](h)(h.reg.Promote(h.ctx, olga, c.ID)).Case
}
