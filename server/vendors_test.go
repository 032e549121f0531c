package server_test

import (
	"bytes"
	"time"

	"imprimatur.dev/probe"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// probe sends, as ann, what a model that calls itself by a name has answered to a suite.
func (h *house) probe(name string) wire.ProbeSubmission {
	h.Helper()
	text := []byte("apiVersion: imprimatur/v1\nkind: ProbeSuite\nname: basics\nprompts: [{id: capital, prompt: 'What is the capital of France?', score: {exact: Paris}}]\n")
	s, err := probe.ParseSuite(text)
	if err != nil {
		h.Fatal(err)
	}
	now := record.Millis(time.Now())
	run := probe.Run{Suite: s.Digest, Vendor: "lab/parrot", Model: "chat-2", Started: now, Finished: now, Prompts: []probe.Answered{{ID: "capital"}}}
	for range s.Baseline {
		run.Prompts[0].Answers = append(run.Prompts[0].Answers, probe.Answer{Text: "Paris", Model: name})
	}
	raw := must[[]byte](h)(run.Marshal())
	for _, content := range [][]byte{text, raw} {
		if err := h.people["ann"].KeepEvidence(h.ctx, record.DigestOf(content), bytes.NewReader(content), int64(len(content)), nil); err != nil {
			h.Fatal(err)
		}
	}
	return wire.ProbeSubmission{Vendor: "lab/parrot", Suite: s.Digest, Answers: record.DigestOf(raw)}
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
