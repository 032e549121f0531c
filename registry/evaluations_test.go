package registry_test

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/attest"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

func TestEvidenceIsKeptForThoseWhoMayRecordIt(t *testing.T) {
	h := open(t)
	keep := func(who registry.Caller) error {
		return only(h.reg.KeepEvidence(h.ctx, who, digest("file"), strings.NewReader("file")))
	}
	h.enrol("pia", record.Auditor)
	h.refused(keep(caller("pia")), wire.Forbidden, "record evaluations", "evaluator")
	narrow := eve
	narrow.Scopes = []string{record.ScopeRead}
	h.refused(keep(narrow), wire.Forbidden, "wider one")
	if _, err := h.reg.Evidence(h.ctx, eve, digest("file")); err == nil {
		t.Error("what was refused was kept")
	}
	for range 2 {
		if err := keep(eve); err != nil {
			t.Fatal(err)
		}
	}
	f := must[io.ReadCloser](t)(h.reg.Evidence(h.ctx, eve, digest("file")))
	defer f.Close()
	if got := must[[]byte](t)(io.ReadAll(f)); string(got) != "file" {
		t.Errorf("it came back as %q", got)
	}
	h.refused(only(h.reg.KeepEvidence(h.ctx, eve, "md5:00", nil)), wire.Invalid)
}

// one records evidence of one suite.
func (h *house) one(who registry.Caller, in wire.Submission, file []byte) record.Recorded[record.Evaluation] {
	h.Helper()
	got := must[[]record.Recorded[record.Evaluation]](h)(h.record(who, in, file))
	if len(got) != 1 {
		h.Fatalf("%d evaluations were recorded", len(got))
	}
	return got[0]
}

func TestTriesAreCounted(t *testing.T) {
	h := open(t)
	h.enrol("ed", record.Evaluator)
	m1, m2 := h.train("1", true), h.train("2", true)
	first, second := itemsOf(950, 1000, h.clock.now()), itemsOf(960, 1000, h.clock.now())
	on := func(m record.Digest) wire.Submission { return submission(m, digest("data 1")) }
	other := on(m1)
	other.Run.Suite = "another"
	elsewhere := submission(m1, digest("data 2"))
	relabelled := on(m1)
	relabelled.Run.Settings = map[string]string{"temperature": "0"}
	for i, x := range []struct {
		what  string
		who   registry.Caller
		in    wire.Submission
		file  []byte
		try   int
		again bool // answered with what stands
	}{
		{"the first", eve, on(m1), first, 1, false},
		{"the same again", eve, on(m1), first, 1, true},
		{"other evidence", eve, on(m1), second, 2, false},
		{"another model", eve, on(m2), first, 3, false},
		{"the first again", eve, on(m1), first, 1, true},
		{"another suite", eve, other, first, 1, false},
		{"another dataset", eve, elsewhere, first, 1, false},
		{"another evaluator with the same files", caller("ed"), on(m1), first, 1, false},
		{"the same files, read with a setting", eve, relabelled, first, 1, false},
		{"one more", eve, on(m2), second, 4, false},
	} {
		before := h.size()
		got := h.one(x.who, x.in, x.file)
		if got.Record.Attempt != x.try {
			t.Errorf("%d, %s: it is try %d, want %d", i, x.what, got.Record.Attempt, x.try)
		}
		if stated := h.size() > before; stated == x.again {
			t.Errorf("%d, %s: stated %v", i, x.what, stated)
		}
	}
}

func TestRacingTriesHaveNumbersOfTheirOwn(t *testing.T) {
	h := open(t)
	model := h.train("1", true)
	const n = 24
	tries := make([]int, n)
	atOnce(n, func(i int) {
		got, err := h.record(eve, submission(model, digest("data 1")), itemsOf(i, 100, h.clock.now()))
		if err != nil {
			t.Error(err)
			return
		}
		tries[i] = got[0].Record.Attempt
	})
	slices.Sort(tries)
	for i, try := range tries {
		if try != i+1 {
			t.Fatalf("the tries are %v", tries)
		}
	}
}

func TestRecordingAgainMakesNothingFresher(t *testing.T) {
	h := open(t)
	in := submission(h.train("1", true), digest("data 1"))
	file := bytes.Replace(itemsOf(950, 1000, h.clock.now()), []byte(`"ran"`), []byte(`"began"`), 1)
	in.Run.Finished = record.Millis(h.clock.now())
	first := h.one(eve, in, file)
	if len(first.Record.Import.Unknown) != 1 || first.Record.Ran.IsZero() {
		t.Fatalf("the time is not the caller's word: %+v", first.Record)
	}
	h.clock.turn(20 * 24 * time.Hour)
	in.Run.Finished = record.Millis(h.clock.now())
	if again := h.one(eve, in, file); again.Statement != first.Statement {
		t.Errorf("it was stated anew, as of %s", again.Record.Ran)
	}
	in.Run.Settings = map[string]string{"temperature": "0"}
	if changed := h.one(eve, in, file); changed.Statement == first.Statement || !changed.Record.Ran.Equal(first.Record.Ran) {
		t.Errorf("with a setting it is as of %s, and first of %s", changed.Record.Ran, first.Record.Ran)
	}
}

const twoTasks = `{"results":{"sums":{"alias":"sums","exact_match,none":0.5,"exact_match_stderr,none":0.1},"words":{"alias":"words","exact_match,none":0.75,"exact_match_stderr,none":0.1}},
 "configs":{"sums":{},"words":{}},"versions":{"sums":1,"words":1},"n-shot":{"sums":0,"words":0},"n-samples":{"sums":{"original":20,"effective":20},"words":{"original":20,"effective":20}},
 "higher_is_better":{"sums":{"exact_match":true},"words":{"exact_match":true}},
 "config":{"model":"hf","limit":null},"lm_eval_version":"0.4.9","date":1768964383.8,"total_evaluation_time_seconds":"12.5"}`

func TestSuitesAreRecordedTogether(t *testing.T) {
	h := open(t)
	in := submission(h.train("1", true), digest("data 1"))
	chosen := in
	chosen.Run.Suite = "words"
	words := h.one(eve, chosen, []byte(twoTasks))
	before := h.size()
	got := must[[]record.Recorded[record.Evaluation]](t)(h.record(eve, in, []byte(twoTasks)))
	if len(got) != 2 || got[0].Record.Suite != "sums" || got[1].Statement != words.Statement || h.size() != before+1 {
		t.Errorf("recorded %+v, %d statements", got, h.size()-before)
	}
	keyed := eve
	keyed.Request = "again#1"
	if again := must[[]record.Recorded[record.Evaluation]](t)(h.reg.RecordEvaluations(h.ctx, keyed, withFile(in, twoTasks))); len(again) != 2 || h.size() != before+1 {
		t.Errorf("a repeat answers with %d, %d statements", len(again), h.size()-before)
	}
}

func withFile(in wire.Submission, content string) wire.Submission {
	in.Files = []wire.EvidenceFile{{Name: "file", Digest: digest(content)}}
	return in
}

func TestEvidenceThatSaysTooLittleIsRefused(t *testing.T) {
	h := open(t)
	model := h.train("1", true)
	items := itemsOf(950, 1000, h.clock.now())
	timeless := bytes.Replace(items, []byte(`"ran"`), []byte(`"began"`), 1)
	future := itemsOf(950, 1000, h.clock.now().Add(time.Hour))
	size := h.size()
	for _, x := range []struct {
		what string
		in   wire.Submission
		file []byte
		code wire.Code
		says []string
	}{
		{"no time", submission(model, digest("data 1")), timeless, wire.Invalid, []string{"--ran"}},
		{"a time to come", submission(model, digest("data 1")), future, wire.Invalid, []string{"in the future"}},
		{"no data", submission(model, ""), items, wire.Invalid, []string{"--dataset"}},
		{"unknown data", submission(model, digest("?")), items, wire.Unknown, []string{"imprimatur dataset register"}},
		{"no model", submission("", digest("data 1")), items, wire.Invalid, []string{"--model"}},
		{"an unknown model", submission(digest("?"), digest("data 1")), items, wire.Unknown, []string{"imprimatur model register"}},
		{"no evidence", submission(model, digest("data 1")), []byte("no evidence"), wire.Invalid, []string{"file-0", "no importer knows it", "--dry-run"}},
		{"a suite that is not in it", wire.Submission{Run: record.EvaluationRun{Artifact: model, Dataset: digest("data 1"), Suite: "poems"}}, []byte(twoTasks), wire.Invalid, []string{`no suite "poems"`}},
	} {
		_, err := h.record(eve, x.in, x.file)
		h.refused(err, x.code, x.says...)
	}
	h.refused(only(h.reg.RecordEvaluations(h.ctx, eve, submission(model, digest("data 1")))), wire.Invalid, "0 files")
	if h.size() != size {
		t.Error("something was stated")
	}
	// The team may be left out where one team alone has the model.
	in := submission(model, digest("data 1"))
	in.Run.Team = ""
	if got := h.one(eve, in, items); got.Record.Team != "lab" || got.Record.Assurance != record.Imported {
		t.Errorf("recorded for %q, %s", got.Record.Team, got.Record.Assurance)
	}
}

// signed is a run that wrote files, in its envelope.
func signed(t *testing.T, key *attest.Key, run record.EvaluationRun, files ...[]byte) []byte {
	t.Helper()
	for i, f := range files {
		run.Outputs = append(run.Outputs, record.FileOf(fmt.Sprintf("out-%d", i), "output", f))
	}
	payload := must[[]byte](t)(attest.EncodeRun(run))
	return must[[]byte](t)(key.Seal(payload).Marshal())
}

func TestSignedRunIsBoundToItsKeyItsModelAndItsFiles(t *testing.T) {
	h := open(t)
	h.bind("robot", record.Evaluator)
	model, another := h.train("1", true), h.train("2", true)
	key, robots, lost := h.key(eve), h.key(robot), h.key(eve)
	must[record.Recorded[record.PrincipalKey]](t)(h.reg.WithdrawKey(h.ctx, eve, lost.ID(), "lost"))
	foreign := must[*attest.Key](t)(attest.NewKey("eve"))
	items, other := itemsOf(950, 1000, h.clock.now()), itemsOf(951, 1000, h.clock.now())
	run := record.EvaluationRun{Artifact: model, Dataset: digest("data 1"), Finished: record.Millis(h.clock.now())}
	good := signed(t, key, run, items)
	flipped := bytes.Replace(good, []byte(`"sig":"`), []byte(`"sig":"AAAA`), 1)
	altered := must[attest.Envelope](t)(attest.ParseEnvelope(good))
	altered.Payload = bytes.Replace(altered.Payload, []byte(digest("data 1").Hex()), []byte(digest("data 2").Hex()), 1)
	forged := must[attest.Envelope](t)(attest.ParseEnvelope(signed(t, foreign, run, items)))
	forged.Signatures[0].KeyID = key.ID()
	named := run
	named.Evaluator = "rita"
	size := h.size()
	for _, x := range []struct {
		what     string
		envelope []byte
		said     record.EvaluationRun
		code     wire.Code
		says     []string
	}{
		{"not an envelope", []byte("{}"), record.EvaluationRun{}, wire.Invalid, []string{"not a DSSE envelope", "imprimatur eval wrap"}},
		{"a flipped signature", flipped, record.EvaluationRun{}, wire.Invalid, []string{"altered"}},
		{"an altered run", must[[]byte](t)(altered.Marshal()), record.EvaluationRun{}, wire.Invalid, []string{"altered"}},
		{"another's signature under the key's name", must[[]byte](t)(forged.Marshal()), record.EvaluationRun{}, wire.Invalid, []string{"forged"}},
		{"a key that nobody enrolled", signed(t, foreign, run, items), record.EvaluationRun{}, wire.Forbidden, []string{"not enrolled", "imprimatur principal key enrol"}},
		{"a key that was withdrawn", signed(t, lost, run, items), record.EvaluationRun{}, wire.Forbidden, []string{"was withdrawn"}},
		{"another's key", signed(t, robots, run, items), record.EvaluationRun{}, wire.Forbidden, []string{"signed by robot, and you are eve"}},
		{"another evaluator's name", signed(t, key, named, items), record.EvaluationRun{}, wire.Invalid, []string{"rita"}},
		{"a run of other files", signed(t, key, run, other), record.EvaluationRun{}, wire.Invalid, []string{"did not write file-0"}},
		{"a run of another model", good, record.EvaluationRun{Artifact: another}, wire.Invalid, []string{"artifact"}},
		{"a run on other data", good, record.EvaluationRun{Dataset: digest("data 2")}, wire.Invalid, []string{"dataset"}},
		{"a statement of another kind", must[[]byte](t)(key.Seal([]byte(`{"_type":"https://in-toto.io/Statement/v1"}`)).Marshal()), record.EvaluationRun{}, wire.Invalid, []string{"not a signed evaluation run"}},
	} {
		_, err := h.record(eve, wire.Submission{Run: x.said, Envelope: x.envelope}, items)
		if err == nil {
			t.Errorf("%s was taken", x.what)
			continue
		}
		h.refused(err, x.code, x.says...)
	}
	if h.size() != size {
		t.Error("something was stated")
	}

	imported := h.one(eve, submission(model, digest("data 1")), items)
	got := h.one(eve, wire.Submission{Envelope: good}, items)
	e := got.Record
	if e.Assurance != record.SignedRun || e.Artifact != model || e.SignedRun() != record.DigestOf(good) || e.Attempt != imported.Record.Attempt {
		t.Errorf("recorded %+v", e)
	}
	f := must[io.ReadCloser](t)(h.reg.Evidence(h.ctx, eve, e.SignedRun()))
	defer f.Close()
	if kept := must[[]byte](t)(io.ReadAll(f)); !bytes.Equal(kept, good) {
		t.Error("the signed run is not kept as it was")
	}
	if again := h.one(eve, wire.Submission{Envelope: good}, items); again.Statement != got.Statement {
		t.Error("the same signed run was stated twice")
	}
	if less := h.one(eve, submission(model, digest("data 1")), items); less.Statement != got.Statement && less.Statement != imported.Statement {
		t.Error("the same files without the signed run were stated anew")
	}
	// The owner of a workload records what the workload signed, and what the run
	// leaves open is said to be another's word.
	bare := record.EvaluationRun{Artifact: model, Finished: record.Millis(h.clock.now())}
	h.bind("ann", record.Evaluator)
	owned := h.one(ann, wire.Submission{Run: record.EvaluationRun{Dataset: digest("data 1")}, Envelope: signed(t, robots, bare, other)}, other)
	if w := strings.Join(owned.Record.Import.Warnings, "\n"); owned.Record.Assurance != record.SignedRun || !strings.Contains(w, "does not say dataset") {
		t.Errorf("%s, warnings %q", owned.Record.Assurance, w)
	}
}
