package server_test

import (
	"bytes"
	"testing"
	"time"

	"imprimatur.dev/attest"
	"imprimatur.dev/client"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/verify"
	"imprimatur.dev/wire"
)

func TestSignIn(t *testing.T) {
	h := settle(t)
	me := must[wire.Myself](t)(h.people["robot"].Me(h.ctx))
	if me.Name != "robot" || me.Type != record.Workload || len(me.Roles) != 1 || me.Roles[0].Role != record.Contributor {
		t.Errorf("the token of robot stands for %+v", me)
	}
	for _, token := range []string{"", "imp_", h.tokens["ann"] + "0", "imp_00_00"} {
		_, err := client.New(h.url, token).Me(h.ctx)
		h.refused(err, wire.SignIn, "IMPRIMATUR_TOKEN")
	}
}

func TestRevokedTokenIsNobody(t *testing.T) {
	h := settle(t)
	issued := must[wire.IssuedToken](t)(h.people["ann"].IssueToken(h.ctx, wire.TokenRequest{Principal: "ann", Scopes: []string{record.ScopeRead}, Seconds: 60}))
	ann := client.New(h.url, issued.Secret)
	must[wire.Myself](t)(ann.Me(h.ctx))
	got := must[record.Recorded[record.Token]](t)(h.people["ann"].RevokeToken(h.ctx, issued.Token.Record.ID))
	if !got.Record.Revoked {
		t.Errorf("the token stands as %+v", got.Record)
	}
	_, err := ann.Me(h.ctx)
	h.refused(err, wire.SignIn)
}

func TestRule12RefusedRightsSayWhoCanHelp(t *testing.T) {
	h := settle(t)
	_, err := h.people["vic"].CreateTeam(h.ctx, record.Team{Name: "other"})
	h.refused(err, wire.Forbidden, "vic may not create teams", "administrator", "imprimatur principal bind vic")
	_, err = h.people["ann"].PublishPolicy(h.ctx, wire.PolicyFile{Text: rules})
	h.refused(err, wire.Forbidden, "risk")
	_, err = client.New(h.url, h.token("olga", record.ScopeRead)).Promote(h.ctx, "r-0123456789ab")
	h.refused(err, wire.Forbidden, "limited to read")
	_, err = h.people["olga"].Promote(h.ctx, "r-0123456789ab")
	h.refused(err, wire.Unknown, "r-0123456789ab", "imprimatur release list")
}

func TestRule12RefusedProposalBringsTheVerdict(t *testing.T) {
	h := settle(t)
	h.train("1")
	_, err := h.propose("1")
	p := h.refused(err, wire.Refused, "accuracy/holdout/accuracy", "approval/risk")
	if p.Status != 409 || p.Verdict == nil || p.Verdict.Passed || len(p.Verdict.Blocking()) < 4 || p.Verdict.Policy.Name != "house" {
		t.Errorf("the problem's verdict is %+v", p.Verdict)
	}
}

func TestReleaseFromProposalToProduction(t *testing.T) {
	h := settle(t)
	first := h.ready("1")
	if !first.Verdict.Passed || first.Status != record.Proposed {
		t.Fatalf("after three approvals: %+v", first.Verdict)
	}
	olga := h.people["olga"]
	done := must[wire.Promoted](t)(olga.Promote(h.ctx, first.ID))
	if done.Promotion.Record.Release != first.ID || done.Case.Status != record.Live || !done.Case.Stands {
		t.Errorf("after the promotion: %+v", done)
	}
	if d := must[wire.Decision](t)(h.people["robot"].Decide(h.ctx, "production", digest("model 1"))); !d.Allowed || d.Release != first.ID {
		t.Errorf("the live model may not run: %+v", d)
	}
	second := h.ready("2")
	if d := must[wire.Diff](t)(olga.DiffReleases(h.ctx, "", second.ID)); d.From != first.ID || len(d.Parts) != 4 || !d.Parts[0].Changed {
		t.Errorf("what changed: %+v", d)
	}
	must[wire.Promoted](t)(olga.Promote(h.ctx, second.ID))
	back := must[wire.Promoted](t)(olga.Rollback(h.ctx, second.ID, wire.Return{Reason: "more alarms"}))
	if back.Promotion.Record.Release != first.ID || back.Promotion.Record.How != record.Rollback {
		t.Errorf("the rollback promoted %+v", back.Promotion.Record)
	}
	stopped := must[wire.Case](t)(h.people["sam"].Suspend(h.ctx, first.ID, wire.Stop{Reason: "a leak"}))
	if stopped.Status != record.Suspended || stopped.Stands {
		t.Errorf("the suspended release is %s, stands %v", stopped.Status, stopped.Stands)
	}
	if d := must[wire.Decision](t)(olga.Decide(h.ctx, "production", digest("model 1"))); d.Allowed || len(d.Reasons) == 0 {
		t.Errorf("the suspended model may run: %+v", d)
	}
	must[wire.Case](t)(h.people["sam"].Suspend(h.ctx, first.ID, wire.Stop{Reason: "no leak", Lift: true}))
	ended := must[wire.Case](t)(olga.Retire(h.ctx, second.ID, wire.Stop{Reason: "never again"}))
	if ended.Status != record.Retired {
		t.Errorf("the retired release is %s", ended.Status)
	}
	_, err := olga.Promote(h.ctx, second.ID)
	h.refused(err, wire.Refused, "retired")
}

func TestAuditOfAStory(t *testing.T) {
	h := settle(t)
	first := h.ready("1")
	before := now()
	must[wire.Promoted](t)(h.people["olga"].Promote(h.ctx, first.ID))
	vic := h.people["vic"]
	live := must[[]wire.LiveRelease](t)(vic.Live(h.ctx, time.Time{}))
	if len(live) != 1 || live[0].Release != first.ID || live[0].PromotedBy != "olga" || len(live[0].Approvals) != 3 {
		t.Errorf("live now: %+v", live)
	}
	if earlier := must[[]wire.LiveRelease](t)(vic.Live(h.ctx, before.Add(-time.Minute))); len(earlier) != 0 {
		t.Errorf("live before the promotion: %+v", earlier)
	}
	if p := must[wire.Page](t)(vic.By(h.ctx, "rita", 0, 0)); len(p.Entries) != 2 || p.Entries[0].Kind != record.KindApproval || p.Entries[1].Kind != record.KindPolicy {
		t.Errorf("rita stated %+v", p.Entries)
	}
	reached := must[wire.Impact](t)(vic.Impact(h.ctx, string(digest("data 1")), "", 0))
	found := false
	for _, r := range reached.Reached {
		found = found || r.Word == "release" && r.Live != nil && r.Live.By == "olga"
	}
	if !found {
		t.Errorf("the data reaches no live release: %+v", reached)
	}
	history := must[[]wire.Entry](t)(vic.History(h.ctx, first.ID))
	kinds := map[record.Kind]int{}
	for _, e := range history {
		kinds[e.Kind]++
	}
	if kinds[record.KindRelease] != 1 || kinds[record.KindApproval] != 3 || kinds[record.KindPromotion] != 1 {
		t.Errorf("the history has %v", kinds)
	}
	if p := must[wire.Page](t)(vic.Releases(h.ctx, "lab/net", 0, 0)); len(p.Entries) != 1 {
		t.Errorf("releases of the model: %+v", p.Entries)
	}
	if p := must[wire.Page](t)(vic.Releases(h.ctx, "lab/other", 0, 0)); len(p.Entries) != 0 {
		t.Errorf("releases of another model: %+v", p.Entries)
	}
	who := must[wire.Enrolled](t)(vic.Principal(h.ctx, "ann"))
	if who.Principal.Record.Name != "ann" || who.Principal.Actor != registry.FirstAdministrator || len(who.Roles) != 2 {
		t.Errorf("ann is %+v", who)
	}
	_, err := vic.Principal(h.ctx, "nobody")
	h.refused(err, wire.Unknown, "nobody")
}

func TestExceptionsOverHTTP(t *testing.T) {
	h := settle(t)
	h.train("1")
	in := proposal("1")
	in.Incomplete = true
	c := must[wire.Case](t)(h.people["ann"].ProposeRelease(h.ctx, in))
	waived := must[wire.Case](t)(h.people["rita"].Waive(h.ctx, c.ID, wire.ExceptionRequest{Gate: "accuracy/holdout/accuracy", Reason: "trial", Seconds: 3600}))
	if len(waived.Exceptions) != 1 || waived.Exceptions[0].Record.Type != record.Waiver {
		t.Fatalf("the exceptions are %+v", waived.Exceptions)
	}
	done := must[wire.Promoted](t)(h.people["sam"].BreakGlass(h.ctx, c.ID, wire.ExceptionRequest{Gates: []string{"approval/risk", "approval/security", "approval/model-owner"}, Reason: "outage", Seconds: 600}))
	if done.Promotion.Record.How != record.BrokeGlass || !done.Case.Stands {
		t.Errorf("after breaking the glass: %+v", done)
	}
	id := record.ExceptionID(waived.Exceptions[0].Digest)
	_, err := h.people["rita"].ReviewException(h.ctx, id, wire.ReviewRequest{Outcome: record.Upheld, Reason: "fine"})
	h.refused(err, wire.Forbidden, "may not review")
	for name, seconds := range map[string]int64{"nothing": 0, "before": -1, "for ever": 1 << 62} {
		_, err := h.people["rita"].Waive(h.ctx, c.ID, wire.ExceptionRequest{Gate: "accuracy/holdout/accuracy", Reason: name, Seconds: seconds})
		h.refused(err, wire.Invalid, "lasts")
	}
}

func TestBundleFromTheServerVerifiesOffline(t *testing.T) {
	h := settle(t)
	c := h.ready("1")
	must[wire.Promoted](t)(h.people["olga"].Promote(h.ctx, c.ID))
	raw := must[[]byte](t)(h.people["vic"].Bundle(h.ctx, c.ID))
	key := must[string](t)(client.New(h.url, "").Key(h.ctx))
	b, err := verify.ParseBundle(raw)
	if err != nil {
		t.Fatal(err)
	}
	trust, err := attest.ParseTrust([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	report := verify.Verify(b, trust, verify.Options{Artifact: digest("model 1"), Environment: "production", At: time.Now()})
	if !report.OK || !report.Authentic {
		t.Errorf("the bundle of %d bytes: %v", len(raw), report.Reasons)
	}
}

func TestEvidenceComesBackAsItWent(t *testing.T) {
	h := settle(t)
	e := h.evaluate(h.train("1"))
	got := must[[]byte](t)(h.people["vic"].Evidence(h.ctx, e.Record.Evidence[0].Digest))
	if !bytes.Equal(got, evidenceOf(digest("model 1"))) {
		t.Errorf("the evidence came back as %q", got)
	}
	_, err := h.people["vic"].Evidence(h.ctx, digest("nothing"))
	h.refused(err, wire.Unknown)
	_, err = h.people["vic"].Evidence(h.ctx, "sha256:xyz")
	h.refused(err, wire.Invalid)
}
