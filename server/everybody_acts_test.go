package server_test

import (
	"fmt"
	"strings"

	"imprimatur.dev/record"
	"imprimatur.dev/server/browsertest"
	"imprimatur.dev/wire"
)

const mainButton = "main form.change[method=post] button"

// administratorInvites enrols somebody, and makes the link by which the risk
// officer enrols a passkey.
func (v *tour) administratorInvites() {
	v.becomes("administrator")
	v.Go(v.at.String() + "/people")
	v.Follow("main a[href='/people/enrol']")
	v.Type("#f-name", "nurse")
	v.Type("#f-display", "Nurse on the ward")
	v.Follow(mainButton)
	v.Says("Roles of nurse", "No role stands")
	v.set("#f-role", "viewer")
	v.set("#f-team", "clinic")
	v.Follow(mainButton)
	v.Says("viewer for team clinic", "Take it away")
	v.shows("roles")
	v.Go(v.at.String() + "/principals/risk-officer")
	v.Follow("main a[href='/principals/risk-officer/invite']")
	v.Follow(mainButton)
	v.shows("link")
	link := v.Text("#invitation")
	if !strings.HasPrefix(link, v.at.String()+"/welcome/") {
		v.house.Fatalf("the link is %q", link)
	}
	v.leaves()
	v.Go(link)
	v.Follow("main form button")
	v.Authenticator()
	v.Type("#purpose", "this laptop")
	v.Follow("form[data-passkey=enrol] button")
	v.Says("The passkey is enrolled")
	v.who = "risk-officer"
}

// riskPublishes tries a stricter policy on what runs, and publishes it.
func (v *tour) riskPublishes() {
	newest := must[wire.Page](v.house)(v.admin.List(v.house.ctx, record.KindPolicy, 0, 1)).Entries[0]
	body, _ := record.Replay(newest.Kind, newest.Record)
	was := body.(record.Policy)
	v.Go(v.at.String() + "/policies/clinical")
	v.Follow("main a[href^='/policy-draft?from=']")
	strict := strings.Replace(was.Text, "{ role: risk, covers", "{ role: risk, passkey: required, covers", 1)
	v.set("#f-text", strict)
	v.Follow("form[action='/policy-draft'] button")
	v.Says("1 of the 1 live releases that you may read would fail policy clinical.", "approval/risk", "You may publish policies because you hold the role risk for all teams.")
	v.shows("tried")
	v.Type("#f-reason", "risk signs with a passkey")
	v.Follow("form[action='/policies'] button")
	v.Says("What changed since "+was.Digest.Short(), "passkey")
	open := must[wire.Case](v.house)(v.c.people["engineer"].CheckRelease(v.house.ctx, v.c.open)).Release.Record
	v.c.open = must[wire.Case](v.house)(v.c.people["engineer"].ProposeRelease(v.house.ctx, wire.Proposal{
		Version: open.Behaviour.Model + "@" + open.Behaviour.Version, UseCase: open.Context.UseCase, Environment: open.Context.Environment, Authority: open.Authority,
	})).ID
}

// decides says a word on the open release, in the page.
func (v *tour) decides(reason, button string) {
	v.house.Helper()
	v.Go(v.at.String() + "/releases/" + v.c.open)
	v.Type("#d-reason", reason)
	v.Follow("button[value=" + button + "]")
}

// othersDecide has those decide who need no passkey, and the auditor comment.
func (v *tour) othersDecide() {
	v.becomes("auditor")
	v.Go(v.at.String() + "/releases/" + v.c.open)
	v.Type("#f-text", "Which <b>clinic</b> asked for it?")
	v.Follow("form[action$='/comments'] button")
	v.Says("Your comment is in the ledger.", "Which <b>clinic</b> asked for it?")
	v.becomes("engineer")
	v.decides("I know it is good", record.Approve)
	v.Says("engineer may not approve the release", "trained the model")
	if typed := browsertest.Evaluate[string](v.Browser, "document.querySelector('#d-reason').value"); typed != "I know it is good" {
		v.house.Errorf("of what the engineer typed is left %q", typed)
	}
	v.becomes("model-owner")
	v.decides("fewer cancers are missed", record.Approve)
	v.Says("Your approval is in the ledger.", "It waits for the word of risk, security.")
	v.becomes("security-officer")
	v.decides("appointments are not needed", record.RequestChanges)
	v.Says("it blocks the release until you say otherwise", "requests changes", "appointments are not needed")
	v.shows("blocked")
	v.decides("reads them only", record.Approve)
	v.Says("Your approval is in the ledger.", "It waits for the word of risk.")
	_, err := v.c.people["risk-officer"].Approve(v.house.ctx, wire.Word{
		Release: v.c.open, Record: must[wire.Case](v.house)(v.c.people["risk-officer"].CheckRelease(v.house.ctx, v.c.open)).Digests.Record,
		Role: record.Risk, Decision: record.Approve, Reason: "by token",
	})
	v.house.refused(err, wire.Forbidden, "asks risk for a passkey")
}

// riskSigns signs in and approves, both with the passkey.
func (v *tour) riskSigns() {
	v.leaves()
	v.Go(v.at.String() + "/sign-in?next=/inbox")
	v.Follow("form[data-passkey=sign-in] button")
	v.who = "risk-officer"
	v.Says("Approve it or request changes, as risk.")
	v.shows("inbox")
	v.decides("I read the evidence.", record.Approve)
	v.Says("Your approval is in the ledger.", "Every gate passes", "By passkey")
	v.shows("approved")
}

func (v *tour) ownerPromotesAndRollsBack() {
	v.becomes("model-owner")
	v.Go(v.at.String() + "/releases/" + v.c.open)
	v.Follow("main a[href$='/promote']")
	v.Says(v.c.open+" runs in production in the place of "+v.c.live, "You may promote releases because you hold the role model-owner for team clinic.")
	v.shows("promote")
	v.Follow(mainButton)
	v.Says("The promotion is in the ledger", "It runs in production, and stands.")
	v.Go(v.at.String() + "/live")
	v.Says(v.c.open, "promoted by model-owner", "risk-officer (risk)")
	v.shows("live")
	v.Follow("main a[href='/live/" + v.c.open + "/rollback']")
	v.Says("Will run", "What changes")
	v.shows("rollback")
	v.Type("#f-reason", "more alarms than expected")
	v.Follow(mainButton)
	v.Says(v.c.live, "rolled back to by model-owner")
}

func (v *tour) securityStopsIt() {
	v.becomes("security-officer")
	v.Go(v.at.String() + "/live/" + v.c.live + "/suspend")
	if v.Click(mainButton); !browsertest.Evaluate[bool](v.Browser, "document.querySelector('#f-reason:invalid') !== null") {
		v.house.Error("a suspension was sent without a reason")
	}
	v.shows("suspend")
	v.Type("#f-reason", "a key leaked")
	v.Follow(mainButton)
	v.Says("Nothing runs in production.")
	v.Go(v.at.String() + "/live/" + v.c.live + "/suspend")
	v.Says("Lift the suspension of " + v.c.live)
	v.Type("#f-reason", "the key is another's")
	v.Follow(mainButton)
	v.Says(v.c.live)
}

// viewerLooksBack finds a release, moves the slider to when nothing ran, and has
// the browser check a proof.
func (v *tour) viewerLooksBack() {
	v.becomes("viewer")
	v.Type("#find", "second-reading")
	v.Press("\r")
	v.Wait("#find[value='second-reading']")
	v.Says("clinic/breast-mass", v.c.open)
	v.shows("search")
	v.Go(v.at.String() + "/live")
	browsertest.Evaluate[any](v.Browser, `(m => { m.value = m.min; m.dispatchEvent(new Event("input")); return m.value })(document.getElementById("moment"))`)
	v.Follow("form.slide button")
	v.Says("Nothing ran in production at that time.")
	v.Follow("form.slide a:last-of-type")
	v.Says(v.c.live)
	v.Go(v.at.String() + "/ledger/" + fmt.Sprint(must[wire.LogStatus](v.house)(v.reg.LogStatus(v.house.ctx)).Size-1))
	v.Click(".check-here button")
	v.Wait("#proof-steps li:nth-child(4)")
	if n := browsertest.Evaluate[int](v.Browser, "document.querySelectorAll('#proof-steps .holds').length"); n != 4 {
		v.house.Errorf("%d checks hold:\n%s", n, v.Text("#proof-steps"))
	}
	v.shows("proof")
}

// stewardWithdraws approves a data set for something else, and withdraws the one
// that what runs was trained on.
func (v *tour) stewardWithdraws() {
	v.becomes("data-steward")
	live := must[wire.Case](v.house)(v.c.people["engineer"].CheckRelease(v.house.ctx, v.c.live)).Release.Record
	at := v.at.String() + "/datasets/" + string(live.Data.Datasets[0])
	v.Go(at + "/decide?decision=allow")
	v.Type("#f-purposes", "teaching")
	v.set("#f-expires", "2100-01-01T00:00")
	v.Type("#f-reason", "asked by the school")
	v.Follow(mainButton)
	v.Says("asked by the school", "teaching")
	v.Go(at + "/decide?decision=withdraw")
	v.Says("What it hits", v.c.live, "stops")
	v.shows("withdraw")
	v.Type("#f-reason", "consent was taken back")
	v.Follow(mainButton)
	v.Says("withdrawn", "consent was taken back")
	if d := must[wire.Decision](v.house)(v.c.people["engineer"].Decide(v.house.ctx, "production", live.Behaviour.Artifact)); d.Allowed {
		v.house.Errorf("it may run still: %+v", d)
	}
	v.Go(v.at.String() + "/releases/" + v.c.live)
	v.Says("It was promoted and does not stand")
	v.shows("hit")
}

// administratorSeesOff sees the model owner off, and the engineer takes over.
func (v *tour) administratorSeesOff() {
	v.becomes("administrator")
	v.Go(v.at.String() + "/principals/model-owner/offboard")
	v.Says("clinic/second-reading", "Who takes over")
	v.Type("#f-to", "engineer")
	v.Follow("form.filters button")
	v.Says("engineer owns what model-owner owned", "1 role")
	v.shows("offboard")
	v.Click("#f-sure")
	v.Follow(mainButton)
	v.Says("disabled", "No role stands", "They own nothing that you may read.")
	v.shows("seen-off")
	if _, err := v.c.people["model-owner"].Me(v.house.ctx); err == nil {
		v.house.Error("the model owner gets in still")
	}
}
