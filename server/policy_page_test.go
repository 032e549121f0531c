package server_test

import (
	"net/url"
	"strings"
	"testing"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

func TestPolicyIsReadTriedAndPublishedInTheConsole(t *testing.T) {
	h := settle(t)
	c := h.ready("1")
	must[wire.Promoted](t)(h.people["olga"].Promote(h.ctx, c.ID))
	rita, vic := h.as("rita"), h.as("vic")
	vic.page("/policies", 200, "house", "house rules", "rita")
	vic.page("/policies/house", 200, "Tier high", "one person with the role security must approve the authority and behaviour", "draft one from this")
	vic.page("/policies/none", 404, "no such version of the policy none")
	digest := string(record.DigestOf([]byte(rules)))
	vic.page("/policy-draft?from="+digest, 200, "kind: Policy")
	size := must[wire.LogStatus](t)(h.reg.LogStatus(h.ctx)).Size
	stricter := strings.Replace(rules, "lower95 >= 0.85", "lower95 >= 0.99", 1)
	crlf := strings.ReplaceAll(stricter, "\n", "\r\n")
	rita.send("/policy-draft", url.Values{"text": {rules}}, 200, "0 of the 1 live releases that you may read would fail policy house.")
	rita.send("/policy-draft", url.Values{"text": {crlf}}, 200, "1 of the 1 live releases that you may read would fail policy house.", c.ID, "accuracy/holdout/accuracy", "You may publish policies because you hold the role risk for all teams.", "Publish house")
	vic.send("/policy-draft", url.Values{"text": {stricter}}, 200, "1 of the 1 live releases", "vic may not publish policies")
	vic.send("/policy-draft", url.Values{"text": {"kind: nonsense"}}, 422, "kind")
	vic.send("/policies", url.Values{"text": {stricter}, "reason": {"mine"}}, 403, "vic may not publish")
	if got := must[wire.LogStatus](t)(h.reg.LogStatus(h.ctx)).Size; got != size {
		t.Errorf("trying stated %d things", got-size)
	}
	status, to := rita.post("/policies", url.Values{"text": {crlf}, "reason": {"stricter"}})
	if want := "/policies/house?version=" + url.QueryEscape(string(record.DigestOf([]byte(stricter)))); status != 303 || to != want {
		t.Fatalf("publishing answers %d to %s, want %s", status, to, want)
	}
	vic.page(to, 200, "What changed since "+record.Digest(digest).Short(), "must be >= 0.85", "must be >= 0.99", "stricter")
	trial := must[wire.Trial](t)(h.people["vic"].TryPolicy(h.ctx, wire.PolicyFile{Text: stricter}))
	if trial.Failing != 1 || len(trial.Tried) != 1 || trial.Tried[0].Passes || trial.Left != 0 {
		t.Errorf("the trial says %+v", trial)
	}
}
