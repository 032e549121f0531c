package registry_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/authority"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

func tools(names ...string) record.Authority {
	var a record.Authority
	for _, n := range names {
		a.Tools = append(a.Tools, record.Grant{Resource: n, Actions: []string{"call"}})
	}
	return a
}

// approvals returns the results of the approval gates of a release.
func (h *house) approvals(c wire.Case) map[record.RoleName]record.Result {
	h.Helper()
	out := map[record.RoleName]record.Result{}
	for _, role := range seats {
		out[role] = h.gate(c.Verdict, "approval/"+string(role)).Result
	}
	return out
}

// TestRule06AChangeVoidsOnlyWhatCoversIt changes one part after everybody has
// approved, and proposes again.
func TestRule06AChangeVoidsOnlyWhatCoversIt(t *testing.T) {
	const pass, missing = record.Pass, record.Missing
	for _, x := range []struct {
		part   record.Part
		change func(h *house, model record.Digest)
		ask    record.Authority
		want   map[record.RoleName]record.Result
	}{
		{
			record.PartBehaviour, func(h *house, m record.Digest) { h.evaluate(m, 951) }, tools("mail", "search"),
			map[record.RoleName]record.Result{record.ModelOwner: missing, record.Risk: missing, record.Security: missing},
		},
		{record.PartData, func(h *house, m record.Digest) {
			other := digest("more data")
			must[record.Recorded[record.Dataset]](h)(h.reg.RegisterDataset(h.ctx, ann, record.Dataset{Team: "lab", Name: "more", Version: "1", Digest: other, Source: "s3://lab/more", Classification: "internal", Owner: "bob"}))
			h.approveData(other)
			now := record.Millis(h.clock.now())
			must[record.Recorded[record.Run]](h)(h.reg.RecordRun(h.ctx, robot, record.Run{
				Team: "lab", ID: "more", Code: record.Code{Repository: "https://lab.example/net", Commit: strings.Repeat("cd", 20)},
				Inputs:  []record.Resource{{Type: record.ResourceDataset, Name: "more", Digest: other}},
				Outputs: []record.Resource{{Type: record.ResourceModel, Name: "net", Digest: m}}, Started: now, Finished: now,
			}))
		}, tools("mail", "search"), map[record.RoleName]record.Result{record.ModelOwner: missing, record.Risk: missing, record.Security: pass}},
		{record.PartContext, func(h *house, _ record.Digest) {
			must[wire.Published](h)(h.reg.PublishPolicy(h.ctx, rita, []byte(rules+"# again\n"), "a remark"))
		}, tools("mail", "search"), map[record.RoleName]record.Result{record.ModelOwner: missing, record.Risk: missing, record.Security: pass}},
		{
			record.PartAuthority, func(*house, record.Digest) {}, tools("mail", "search", "write"),
			map[record.RoleName]record.Result{record.ModelOwner: pass, record.Risk: pass, record.Security: missing},
		},
	} {
		t.Run(string(x.part), func(t *testing.T) {
			h := open(t)
			model := h.train("1", true)
			h.evaluate(model, 950)
			first := must[wire.Case](t)(h.propose("1", tools("mail", "search")))
			for who, role := range map[string]record.RoleName{"olga": record.ModelOwner, "rita": record.Risk, "sam": record.Security} {
				must[wire.Case](t)(h.approve(caller(who), role, first))
			}
			x.change(h, model)
			second := must[wire.Case](t)(h.propose("1", x.ask))
			for _, p := range record.Parts {
				if same := first.Digests.Parts[p] == second.Digests.Parts[p]; same == (p == x.part) {
					t.Errorf("the part %s is the same: %v", p, same)
				}
			}
			if diff := cmp.Diff(x.want, h.approvals(second)); diff != "" {
				t.Errorf("a change of the %s (-want +got):\n%s", x.part, diff)
			}
			d := must[wire.Diff](t)(h.reg.DiffReleases(h.ctx, rita, first.ID, second.ID))
			for _, a := range d.Approvals {
				if want := x.want[a.Role] == pass; a.Carries != want || a.Why == "" {
					t.Errorf("the difference says that the approval by %s carries %v: %s", a.Approver, a.Carries, a.Why)
				}
			}
			for _, p := range d.Parts {
				if p.Changed != (p.Part == x.part) || p.Changed != (len(p.Changes) > 0) {
					t.Errorf("the difference of %s: %v %q", p.Part, p.Changed, p.Changes)
				}
			}
			_, err := h.reg.Promote(h.ctx, olga, second.ID)
			h.refused(err, wire.Refused, "approval/", "void since")
			must[wire.Promoted](t)(h.reg.Promote(h.ctx, olga, first.ID))
		})
	}
}

func TestRule06AnApprovalIsOfWhatWasSeen(t *testing.T) {
	h := open(t)
	c := h.incomplete("1")
	seen := c
	seen.Digests.Record = digest("another record")
	_, err := h.approve(olga, record.ModelOwner, seen)
	h.refused(err, wire.Conflict, string(c.Digests.Record), "imprimatur release show "+c.ID)
	if n := h.count(record.KindApproval); n != 0 {
		t.Errorf("%d approvals were kept", n)
	}
}

func TestRule09NarrowerAuthorityKeepsEveryApproval(t *testing.T) {
	h := open(t)
	h.evaluate(h.train("1", true), 950)
	wide := must[wire.Case](t)(h.propose("1", tools("mail", "search")))
	for who, role := range map[string]record.RoleName{"olga": record.ModelOwner, "rita": record.Risk, "sam": record.Security} {
		must[wire.Case](t)(h.approve(caller(who), role, wide))
	}
	must[wire.Promoted](t)(h.reg.Promote(h.ctx, olga, wide.ID))
	narrow := must[wire.Case](t)(h.propose("1", tools("mail")))
	d := must[wire.Diff](t)(h.reg.DiffReleases(h.ctx, rita, "", narrow.ID))
	if d.Authority != authority.Narrower || d.From != wide.ID {
		t.Errorf("the difference from %s is %s", d.From, d.Authority)
	}
	if !narrow.Verdict.Passed {
		t.Errorf("narrower authority needs %v", narrow.Verdict.Blocking())
	}
	must[wire.Promoted](t)(h.reg.Promote(h.ctx, olga, narrow.ID))
	for _, a := range []record.Authority{tools("mail", "search", "pay"), tools("pay"), {Secrets: []record.Grant{{Resource: "bank", Actions: []string{"use"}}}}} {
		c := must[wire.Case](t)(h.propose("1", a))
		if g := h.gate(c.Verdict, "approval/security"); g.Result != record.Missing || c.Verdict.Passed {
			t.Errorf("wider authority %+v: %s: %s", a, g.Result, g.Reason)
		}
	}
}

func TestRule07TheLatestWordCountsAndChangesBlock(t *testing.T) {
	h := open(t)
	h.enrol("ruth", record.Risk)
	c := h.live("1")
	say := func(who registry.Caller, decision string) {
		t.Helper()
		must[wire.Case](t)(h.reg.Approve(h.ctx, who, wire.Word{Release: c.ID, Record: c.Digests.Record, Role: record.Risk, Decision: decision, Reason: "the test set leaks"}))
	}
	h.allowed("1")
	say(rita, record.RequestChanges)
	h.forbidden("1", "rita requested changes", "the test set leaks")
	say(caller("ruth"), record.Approve)
	h.forbidden("1", "rita requested changes") // nobody is outvoted
	narrow := must[wire.Case](t)(h.propose("1", tools()))
	if g := h.gate(narrow.Verdict, "approval/risk"); g.Result != record.Fail {
		t.Errorf("proposed again with nothing changed: %s: %s", g.Result, g.Reason)
	}
	h.clock.turn(20 * 24 * time.Hour)
	h.forbidden("1", "rita requested changes")
	h.rebind(record.Role{Principal: "rita", Role: record.Risk, Team: record.AllTeams, Revoked: true})
	h.forbidden("1", "rita requested changes")
	h.rebind(record.Role{Principal: "rita", Role: record.Risk, Team: record.AllTeams})
	say(rita, record.Approve)
	h.allowed("1")
}
