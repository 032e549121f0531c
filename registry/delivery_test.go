package registry_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

func TestReceiverThatWasDownIsToldOfEverythingOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		r := receive(t)
		r.answers(status(http.StatusServiceUnavailable))
		id := h.hook(r, everything).Target.Record.ID
		h.enrol("first")
		down := r.next()
		s := h.eventually(id, "a failure", func(s wire.TargetStatus) bool { return s.Failures > 0 })
		if s.Rest.IsZero() || !strings.Contains(s.Fault, "503") || s.Sent != 0 || len(s.Deliveries) != 1 || s.Deliveries[0].Attempts == 0 || s.Deliveries[0].State != "due" {
			t.Errorf("down, it is %+v", s)
		}
		// What comes meanwhile waits in the ledger.
		h.enrol("second")
		r.answers(nil)
		ids := map[string]int{}
		h.eventually(id, "both", func(s wire.TargetStatus) bool { return s.Sent == 2 })
		for len(r.came) > 0 {
			ids[r.next().header.Get("webhook-id")]++
		}
		if len(ids) != 2 || ids[down.header.Get("webhook-id")] == 0 {
			t.Errorf("came %v, first %s", ids, down.header.Get("webhook-id"))
		}
		h.eventually(id, "nothing left", func(s wire.TargetStatus) bool { return len(s.Deliveries) == 0 && s.Fault == "" && s.Rest.IsZero() })
	})
}

func TestRateLimitedReceiverIsLeftAlone(t *testing.T) {
	h := told(t, "")
	r := receive(t)
	r.answers(func(w http.ResponseWriter) {
		w.Header().Set("Retry-After", "1200")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	id := h.hook(r, everything).Target.Record.ID
	h.enrol("first")
	r.next()
	s := h.eventually(id, "a rest", func(s wire.TargetStatus) bool { return !s.Rest.IsZero() })
	if until := time.Until(s.Rest); until < 19*time.Minute || until > 21*time.Minute {
		t.Errorf("it rests for %s", until)
	}
	// Whoever changes the target wants it tried at once.
	r.answers(nil)
	must[wire.KeptTarget](t)(h.reg.ChangeTarget(h.ctx, administrator, id, wire.TargetChange{Description: new("a larger plan")}))
	h.enrol("second")
	if g := r.next(); !strings.Contains(string(g.body), "second") {
		t.Errorf("came %s", g.body)
	}
}

func TestGoneReceiverGetsNothingMoreAndDeadLettersAreReplayed(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		r := receive(t)
		r.answers(status(http.StatusGone))
		id := h.hook(r, everything).Target.Record.ID
		h.enrol("first")
		dead := r.next()
		// The target and its letters are read one after the other.
		s := h.eventually(id, "a dead letter", func(s wire.TargetStatus) bool {
			return len(s.Deliveries) == 1 && s.Deliveries[0].State == "dead" && strings.Contains(s.Fault, "410")
		})
		if s.Deliveries[0].ID != dead.header.Get("webhook-id") {
			t.Errorf("gone, it is %+v", s)
		}
		h.enrol("second")
		r.answers(nil)
		_, err := h.reg.ReplayTarget(h.ctx, administrator, id, wire.Replay{Delivery: "msg_none"})
		h.refused(err, wire.Unknown, "msg_none")
		if n := must[wire.Replayed](t)(h.reg.ReplayTarget(h.ctx, ownerOfAll(h), id, wire.Replay{})); n.Deliveries != 1 {
			t.Errorf("replayed %+v", n)
		}
		// What is tried again keeps no order with what comes for the first time.
		for again, second := false, false; !again || !second; {
			g := r.next()
			again = again || g.header.Get("webhook-id") == dead.header.Get("webhook-id")
			second = second || strings.Contains(string(g.body), "principal/second")
		}
		h.eventually(id, "nothing left", func(s wire.TargetStatus) bool { return len(s.Deliveries) == 0 && s.Sent >= 2 })
	})
}

// ownerOfAll is a model owner of all teams, who may do with targets what an
// administrator may.
func ownerOfAll(h *house) registry.Caller {
	h.enrol("otto")
	must[record.Recorded[record.Role]](h)(h.reg.BindRole(h.ctx, administrator, record.Role{Principal: "otto", Role: record.ModelOwner, Team: record.AllTeams}))
	return caller("otto")
}

func TestSlowReceiverHoldsUpNobodyElse(t *testing.T) {
	h := told(t, "")
	slow, quick := receive(t), receive(t)
	stuck := make(chan struct{})
	slow.answers(func(http.ResponseWriter) { <-stuck })
	defer close(stuck)
	h.hook(slow, everything)
	h.hook(quick, everything)
	for _, name := range []string{"one", "two", "three"} {
		h.enrol(name)
	}
	for range 3 {
		for g := quick.next(); !strings.Contains(string(g.body), "enrolled"); {
			g = quick.next()
		}
	}
}

func TestRotatedSecretSignsBesideTheOld(t *testing.T) {
	h := told(t, "")
	r := receive(t)
	old := h.hook(r, everything)
	id := old.Target.Record.ID
	h.enrol("first")
	r.next().signedBy(t, old.Secret)
	fresh := must[wire.KeptTarget](t)(h.reg.ChangeTarget(h.ctx, administrator, id, wire.TargetChange{Rotate: true}))
	if fresh.Secret == "" || fresh.Secret == old.Secret {
		t.Fatalf("rotated to %q", fresh.Secret)
	}
	h.enrol("second")
	g := r.next()
	g.signedBy(t, old.Secret)
	g.signedBy(t, fresh.Secret)
	h.clock.turn(25 * time.Hour)
	h.enrol("third")
	g = r.next()
	g.signedBy(t, fresh.Secret)
	if n := len(strings.Fields(g.header.Get("webhook-signature"))); n != 1 {
		t.Errorf("a day later %d secrets sign", n)
	}
	// The secrets are in nothing that is stated.
	for _, p := range must[[][]byte](t)(h.reg.Payloads(h.ctx)) {
		for _, s := range []string{old.Secret, fresh.Secret} {
			if strings.Contains(string(p), s[6:20]) {
				t.Errorf("a secret stands in the ledger: %s", p)
			}
		}
	}
	// A server that begins anew opens them.
	h.sendsHere(nothing)
	h.enrol("fourth")
	r.next().signedBy(t, fresh.Secret)
}

func TestInternalAddressesAreRefusedWhereTheyAreNotAllowed(t *testing.T) {
	h := open(t)
	for _, url := range []string{"http://127.0.0.1/x", "https://127.0.0.1/x", "https://169.254.169.254/latest", "https://[::1]/", "https://10.0.0.1", "http://example.org/x", "ftp://example.org", "https://a:b@example.org"} {
		for _, form := range []string{record.FormWebhook, record.FormSlack, record.FormMLflow} {
			_, err := h.reg.AddTarget(h.ctx, administrator, wire.TargetRequest{Team: "lab", Name: "x", Form: form, URL: url, Events: map[string][]string{record.FormMLflow: {"prompt.created"}}[form]})
			h.refused(err, wire.Invalid, "refused")
		}
	}
	_, err := h.reg.AddTarget(h.ctx, administrator, wire.TargetRequest{Team: "lab", Name: "x", Form: record.FormMail, Address: "a@b.example"})
	h.refused(err, wire.Invalid, "imprimatur serve --smtp")
	// The name of this machine is found out when it is dialled.
	made := must[wire.KeptTarget](t)(h.reg.AddTarget(h.ctx, administrator, wire.TargetRequest{Team: "lab", Name: "x", Form: record.FormWebhook, URL: "https://localhost:1/x"}))
	if got := must[wire.TargetTest](t)(h.reg.TestTarget(h.ctx, administrator, made.Target.Record.ID, "")); got.OK || !strings.Contains(got.Fault, "not a public address") {
		t.Errorf("tested with %+v", got)
	}
}

func TestSlackAddressIsASecret(t *testing.T) {
	h := told(t, "")
	r := receive(t)
	made := h.hook(r, func(in *wire.TargetRequest) { in.Form, in.URL = record.FormSlack, r.URL+"/services/T0/B0/hidden" })
	h.enrol("first")
	if g := r.next(); !strings.Contains(string(g.body), `"text":"administrator enrolled first, or changed it.`) {
		t.Errorf("sent %s", g.body)
	}
	if made.Secret != "" || strings.Contains(made.Target.Record.URL, "hidden") {
		t.Errorf("answered %+v", made)
	}
	for _, p := range must[[][]byte](t)(h.reg.Payloads(h.ctx)) {
		if strings.Contains(string(p), "hidden") {
			t.Errorf("the address stands in the ledger: %s", p)
		}
	}
}
