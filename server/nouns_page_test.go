package server_test

import (
	"net/url"
	"strings"
	"testing"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

func TestThingsHaveListsAndPages(t *testing.T) {
	h := settle(t)
	c := h.ready("1")
	must[wire.Promoted](t)(h.people["olga"].Promote(h.ctx, c.ID))
	must[record.Recorded[record.Model]](t)(h.people["ann"].RegisterModel(h.ctx, record.Model{Team: "lab", Name: "bought", Type: record.Vendor, Owner: "olga"}))
	must[record.Recorded[record.ModelVersion]](t)(h.people["ann"].RegisterVersion(h.ctx, record.ModelVersion{
		Model: "lab/bought", Version: "1", Type: record.Vendor, Artifact: digest("bought"), Source: "https://models.example/bought/1", Files: []record.File{{Path: "m", SHA256: digest("bought file").Hex(), Size: 1}},
	}))
	must[record.Recorded[record.ModelVendor]](t)(h.people["rita"].RegisterVendor(h.ctx, record.ModelVendor{Team: "lab", Name: "parrot", Owner: "olga", Contact: "trust@parrot.example"}))
	must[record.Recorded[record.Probe]](t)(h.people["ann"].RecordProbe(h.ctx, h.probe("chat-2")))
	h.assure("parrot")
	vic := h.as("vic")
	data := string(digest("data 1"))
	for path, says := range map[string][]string{
		"/models":                         {"lab/net", "trained", "olga"},
		"/models/lab/net":                 {"Versions", "lab/run-1", "olga"},
		"/models/lab/net?version=1":       {"model.safetensors", "release: 1", "One release is live."},
		"/versions":                       {"lab/net@1", "lab/run-1"},
		"/datasets":                       {"lab/data-1", "internal", "s3://lab/1"},
		"/data/lab/data-1":                {"Newest version", "ann"},
		"/datasets/" + data:               {"approved", "licensed", "lab/net@1", "One release is live.", "Withdraw it"},
		"/datasets?q=" + data:             {"lab/data-1"},
		"/runs":                           {"lab/run-1", "robot", "abababababab"},
		"/runs/lab/run-1":                 {"https://lab.example/net", "lab/net@1"},
		"/use-cases":                      {"lab/triage", "high"},
		"/use-cases/lab/triage":           {"Triage", "what data may be approved for"},
		"/people":                         {"olga", "stands"},
		"/workloads":                      {"robot", "trains", "ann"},
		"/principals/robot":               {"contributor", "team lab", "None that you may see", "training run"},
		"/principals/olga":                {"model-owner", "use case", "lab/triage", "lab/net"},
		"/evaluations/" + evaluationOf(c): {"accuracy/holdout", "0.95", "items.ndjson", "1000 scored of 1000"},
		"/vendors":                        {"models.example", "lab/bought", "lab/bought@1", "ann"},
		"/vendors/parrot":                 {"olga", "trust@parrot.example", "soc-2", "section 4.2", "model-change-notice", "45", "chat-2", "baseline", "Documents"},
		"/vendors/models.example":         {"lab/bought@1", "https://models.example/bought/1", "It reaches", "model version"},
	} {
		vic.page(path, 200, says...)
	}
	for path, says := range map[string]string{
		"/models/lab/none": "the model lab/none is not known here", "/models/lab/net?version=9": "lab/net@9", "/datasets/sha256:00": "not a digest",
		"/runs/lab/none": "not known here", "/use-cases/lab/none": "not known here", "/principals/nobody": "nobody", "/vendors/none": "the vendor none is not known here", "/evaluations/e-000000000000": "not known here",
	} {
		vic.page(path, 404, says)
	}
	if text := vic.page("/people", 200); strings.Contains(text, "robot") {
		t.Errorf("a workload is among the people:\n%s", text)
	}
	vic.page("/inventory", 200, "You oversee no workload and answer for none.")
	h.as("ann").page("/inventory", 200, "robot", "trains", "no release", "never")
	h.as("ann").page("/inventory?q=none", 200, "Nothing that you oversee or answer for is like that.")
	vic.page("/models?q=other", 200, "Nothing that you may read is like that.")
	vic.page("/models?kind=agent", 200, "Nothing that you may read is like that.")
	h.as("olga").page("/principals/olga", 200, "write")
}

func evaluationOf(c wire.Case) string {
	return record.EvaluationID(c.Release.Record.Behaviour.Evaluations[0])
}

func TestStewardSeesTheHitsBeforeWithdrawing(t *testing.T) {
	h := settle(t)
	c := h.ready("1")
	must[wire.Promoted](t)(h.people["olga"].Promote(h.ctx, c.ID))
	path := "/datasets/" + string(digest("data 1")) + "/decide"
	bob, vic := h.as("bob"), h.as("vic")
	bob.page(path+"?decision=withdraw", 200, "What it hits", "One release is live.", c.ID, "stops", "because you hold the role data-steward")
	vic.page(path+"?decision=withdraw", 200, "vic may not approve or withdraw data")
	vic.send(path, url.Values{"decision": {"withdraw"}, "reason": {"mine"}}, 403, "vic may not")
	bob.send(path, url.Values{"decision": {"withdraw"}}, 422, "reason", "What it hits")
	bob.send(path, url.Values{"decision": {"withdraw"}, "reason": {"licence ended"}, "seen": {string(digest("another list"))}}, 409, c.ID)
	bob.send(path, url.Values{"decision": {"withdraw"}, "reason": {"licence ended"}}, 303)
	if d := must[wire.Decision](t)(h.people["robot"].Decide(h.ctx, "production", digest("model 1"))); d.Allowed {
		t.Error("it may run on withdrawn data")
	}
	bob.page(strings.TrimSuffix(path, "/decide"), 200, "withdrawn", "licence ended")
	bob.send(path, url.Values{"decision": {"allow"}, "purposes": {"triage, reading"}, "expires": {now().AddDate(0, 1, 0).Format("2006-01-02T15:04")}, "reason": {"renewed"}}, 303)
	if d := must[wire.Decision](t)(h.people["robot"].Decide(h.ctx, "production", digest("model 1"))); !d.Allowed {
		t.Errorf("it may not run again: %v", d.Reasons)
	}
}

// Whatever people name and say is text on every page.
func TestHostileNamesAreText(t *testing.T) {
	h := settle(t)
	const evil = `<img src=x onerror=alert(1)>"'</script><svg onload=alert(1)>{{.}}`
	must[record.Recorded[record.Model]](t)(h.people["ann"].RegisterModel(h.ctx, record.Model{Team: "lab", Name: "evil", Type: record.Vendor, Owner: "olga", Description: evil}))
	set := record.Dataset{Team: "lab", Name: "evil", Version: "1", Digest: digest("evil"), Source: "javascript:alert(1)//" + evil, Classification: "internal", Owner: "bob", Licence: evil}
	must[record.Recorded[record.Dataset]](t)(h.people["ann"].RegisterDataset(h.ctx, set))
	must[record.Recorded[record.Principal]](t)(h.admin.EnrolPrincipal(h.ctx, record.Principal{Name: "mal", Type: record.Human, DisplayName: evil}))
	must[record.Recorded[record.DataApproval]](t)(h.people["bob"].DecideData(h.ctx, record.DataApproval{Dataset: set.Digest, Decision: record.Withdraw, Reason: evil}))
	bob := h.as("bob")
	for _, path := range []string{"/models/lab/evil", "/datasets/" + string(set.Digest), "/people", "/principals/mal", "/ledger"} {
		bob.page(path, 200, evil)
	}
	bob.page("/models?q="+url.QueryEscape(evil), 200)
	bob.page("/ledger?actor="+url.QueryEscape(evil), 200)
	bob.page("/ledger/"+url.PathEscape(evil), 404)
}
