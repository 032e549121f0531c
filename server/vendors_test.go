package server_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/probe"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

const askedOfVendors = `apiVersion: imprimatur/v1
kind: ProbeSuite
name: basics
prompts:
  - { id: capital, prompt: 'What is the capital of France?', score: { exact: Paris } }
  - { id: order, prompt: 'Write an order of two pens as JSON with its total.', score: { schema: { type: object, required: [total] } } }
`

// probe sends, as ann, what a model that calls itself by a name has answered to a suite: as often as a baseline has it, or some
// answers of another model.
func (h *house) probe(name string, others ...string) wire.ProbeSubmission {
	h.Helper()
	text := []byte(askedOfVendors)
	s, err := probe.ParseSuite(text)
	if err != nil {
		h.Fatal(err)
	}
	now := record.Millis(time.Now())
	run := probe.Run{Suite: s.Digest, Vendor: "lab/parrot", Model: "chat-2", Started: now, Finished: now, Prompts: []probe.Answered{{ID: "capital"}, {ID: "order"}}}
	answers := others
	if len(others) == 0 {
		answers = slices.Repeat([]string{"Paris"}, s.Baseline)
	}
	for i, answer := range answers {
		order := fmt.Sprintf(`{"items": [{"name": "pen", "count": 2}], "total": %d.5}`, 3+i%2)
		run.Prompts[0].Answers = append(run.Prompts[0].Answers, probe.Answer{Text: answer, Model: name})
		run.Prompts[1].Answers = append(run.Prompts[1].Answers, probe.Answer{Text: order, Model: name})
	}
	raw := must[[]byte](h)(run.Marshal())
	for _, content := range [][]byte{text, raw} {
		if err := h.people["ann"].KeepEvidence(h.ctx, record.DigestOf(content), bytes.NewReader(content), int64(len(content)), nil); err != nil {
			h.Fatal(err)
		}
	}
	return wire.ProbeSubmission{Vendor: "lab/parrot", Suite: s.Digest, Answers: record.DigestOf(raw)}
}

// seesAChangedProbe looks at a probe whose answers moved, hostile ones among them, and at its vendor.
func (v *visited) seesAChangedProbe(rules string) {
	h := v.house
	h.Helper()
	must[record.Recorded[record.ModelVendor]](h)(h.people["rita"].RegisterVendor(h.ctx, record.ModelVendor{Team: "lab", Name: "parrot", Owner: "olga", Contact: "trust@parrot.example"}))
	h.assure("parrot")
	must[record.Recorded[record.Probe]](h)(h.people["ann"].RecordProbe(h.ctx, h.probe("chat-2")))
	long := "The capital is " + strings.Repeat("without any doubt ", 30) + strings.Repeat("Lyon", 60)
	p := must[record.Recorded[record.Probe]](h)(h.people["ann"].RecordProbe(h.ctx, h.probe("chat-2", "Lyon", "Lyon", "<script>document.title='owned'</script>\x1b[31m\u202e", long, "Lyon\n\nis the capital,\nand has been for long.")))
	if p.Record.Result != record.ProbeChanged {
		h.Fatalf("the probe is %+v", p.Record)
	}
	page := "/probes/" + record.ProbeID(p.Digest)
	v.accessible(rules, page, page, page, page, "/vendors/parrot", "/vendors/parrot", "/vendors/parrot", "/vendors/parrot")
	for i, path := range []string{page, "/vendors/parrot"} {
		for _, width := range []int64{1280, 390} {
			v.Scheme([]string{"light", "dark"}[width%2])
			v.Size(width, 900)
			v.Go(v.at.String() + path)
			v.Screenshot(fmt.Sprintf("probe-%d-%d", i, width))
		}
	}
	v.Go(v.at.String() + page)
	text := v.Text("main")
	for _, says := range []string{"capital passed 20 of 20, and passes 0 of 5", "Paris", "Lyon", "<script>document.title='owned'</script>\\x1b[31m\\u202e", "What is the capital of France?"} {
		if !strings.Contains(text, says) {
			h.Errorf("the page of the probe does not say %q:\n%s", says, text)
		}
	}
	if strings.ContainsAny(text, "\x1b\u202e") {
		h.Error("the page of the probe has control characters of an answer")
	}
}

// assure records, as olga, a report of a vendor.
func (h *house) assure(vendor string) {
	h.Helper()
	content, days := []byte("the report"), 45
	d := record.DigestOf(content)
	if err := h.people["olga"].KeepEvidence(h.ctx, d, bytes.NewReader(content), int64(len(content)), nil); err != nil {
		h.Fatal(err)
	}
	must[record.Recorded[record.Assurance]](h)(h.people["olga"].Assure(h.ctx, "lab", vendor, wire.AssuranceRequest{
		Type: "soc-2", Document: record.FileOf("soc2.pdf", "document", content), Scope: "the API", Issuer: "Auditors", Expires: time.Now().AddDate(1, 0, 0),
		Clauses: []record.Clause{{Name: record.ClauseModelChange, Given: true, Days: &days, Where: "section 4.2"}},
	}))
}
