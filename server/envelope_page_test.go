package server_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// weekly is an envelope that is anchored to a release.
func weekly(anchor string) wire.EnvelopeProposal {
	return wire.EnvelopeProposal{
		Name: "weekly", Anchor: anchor, Workloads: []string{"robot"}, Sources: []record.SourceBound{{Source: "s3://lab/*"}},
		Code:        record.CodeBound{Repository: "https://lab.example/net", Paths: []string{"train/"}},
		Evaluations: []record.MetricBound{{Category: record.Accuracy, Suite: "holdout", Metric: "accuracy", Require: "lower95 >= 0.9"}},
		Tries:       9, Releases: 9, Weekly: 3, Ends: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), Reason: "new cases",
	}
}

func TestAnEnvelopeIsApprovedOnItsPage(t *testing.T) {
	h := settle(t)
	h.url = servedAt(t, h)
	c := h.ready("1")
	must[wire.Promoted](t)(h.people["olga"].Promote(h.ctx, c.ID))
	e := must[wire.EnvelopeCase](t)(h.people["ann"].ProposeEnvelope(h.ctx, weekly(c.ID)))
	rita, vic := h.as("rita"), h.as("vic")
	rita.page("/inbox", 200, "The envelope weekly", e.ID)
	rita.page("/envelopes", 200, "weekly", e.ID, "lab/net")
	vic.page("/envelopes/"+e.ID, 200, "s3://lab/*", "lower95 >= 0.9", "at most 9, and 3 in seven days", "The seat of the role risk is empty")
	vic.page("/envelopes/env-000000000000", 404, "is not known here")
	path := "/envelopes/" + e.ID + "/decision"
	form := url.Values{"record": {string(digest("other"))}, "role": {"risk"}, "decision": {"approve"}, "reason": {"bounds seen"}}
	rita.send(path, form, 409, "look again at what you approve", "bounds seen")
	form.Set("record", string(e.Envelope.Digest))
	vic.send(path, form, 403, "vic may not approve as risk")
	rita.send(path, form, 303)
	rita.page("/envelopes/"+e.ID+"?done=approve", 200, "Your approval is in the ledger", "rita approved on")
	rita.page("/inbox", 200, "Nothing waits for you")

	rita.page("/envelopes/"+e.ID, 200, "Withdraw it", "0 of 9, 9 left", "3 more of 3 in seven days")
	if text := vic.page("/envelopes/"+e.ID, 200); strings.Contains(text, "Withdraw it") {
		t.Errorf("a viewer is offered to withdraw it:\n%s", text)
	}
	// The pipeline's release is outside of one bound, and its page says of which.
	h.evaluate(h.train("2"))
	in := proposal("2")
	in.Envelope, in.Incomplete = "weekly", true
	second := must[wire.Case](t)(h.people["robot"].ProposeRelease(h.ctx, in))
	rita.page("/envelopes/"+e.ID, 200, second.ID, "outside, so people decide", "Bounds and values of "+second.ID, "a program that is not named")
	path = "/envelopes/" + e.ID + "/withdraw"
	rita.page(path, 200, "No further release is approved by it", "You may withdraw envelopes because you hold the role risk")
	vic.page(path, 200, "vic may not withdraw envelopes")
	vic.send(path, url.Values{"reason": {"mine"}}, 403, "vic may not withdraw")
	rita.send(path, url.Values{}, 422, "reason")
	rita.send(path, url.Values{"reason": {"the clinics changed"}}, 303)
	rita.page("/envelopes/"+e.ID+"?done=withdraw", 200, "It is withdrawn", "rita withdrew it on", "the clinics changed")
	rita.page(path, 200, "was withdrawn already, by rita")
}
