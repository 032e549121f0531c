package registry_test

import (
	"strings"
	"testing"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// ownerOf binds somebody as model owner of one model.
func (h *house) ownerOf(name, model string, revoked bool) {
	h.Helper()
	must[record.Recorded[record.Role]](h)(h.reg.BindRole(h.ctx, administrator, record.Role{
		Principal: name, Role: record.ModelOwner, Team: record.TeamOf(model), Model: model, Revoked: revoked,
	}))
}

// TestTheOwnerOfOneModelOwnsThatAlone has one person own the model that is
// released, and another a model beside it.
func TestTheOwnerOfOneModelOwnsThatAlone(t *testing.T) {
	h := open(t)
	must[record.Recorded[record.Model]](t)(h.reg.RegisterModel(h.ctx, ann, record.Model{Team: "lab", Name: "other", Type: record.Trained, Owner: "olga"}))
	h.enrol("nora")
	h.enrol("otto")
	nora, otto := caller("nora"), caller("otto")
	h.ownerOf("nora", "lab/net", false)
	h.ownerOf("otto", "lab/other", false)

	h.evaluate(h.train("1", true), 950)
	c := must[wire.Case](t)(h.propose("1", record.Authority{}))
	h.waitsAre(nora, "approve "+c.ID+" model-owner")
	h.waitsAre(otto)
	seats := must[wire.Case](t)(h.reg.CheckRelease(h.ctx, otto, c.ID)).Approvers[record.ModelOwner]
	if got := strings.Join(seats, " "); got != "nora olga" {
		t.Errorf("the seat of model-owner may be filled by %q", got)
	}
	_, err := h.approve(otto, record.ModelOwner, c)
	h.refused(err, wire.Forbidden, "otto may not approve as model-owner for team lab", "imprimatur principal bind otto --role model-owner --team lab")
	for _, x := range []struct {
		role record.RoleName
		by   string
	}{{record.ModelOwner, "nora"}, {record.Risk, "rita"}, {record.Security, "sam"}} {
		c = must[wire.Case](t)(h.approve(caller(x.by), x.role, c))
	}
	h.refused(only(h.reg.Promote(h.ctx, otto, c.ID)), wire.Forbidden, "promote releases")
	must[wire.Promoted](t)(h.reg.Promote(h.ctx, nora, c.ID))
	if r := h.verified(c.ID, h.clock.now()); !r.OK {
		t.Errorf("offline, the release is judged otherwise: %+v", r)
	}
	h.refused(only(h.reg.Suspend(h.ctx, otto, c.ID, "mine", false)), wire.Forbidden, "suspend releases")
	must[wire.Case](t)(h.reg.Suspend(h.ctx, nora, c.ID, "a fault", false))
	must[wire.Case](t)(h.reg.Suspend(h.ctx, nora, c.ID, "mended", true))

	h.refused(only(h.reg.RegisterModel(h.ctx, nora, record.Model{Team: "lab", Name: "third", Type: record.Trained, Owner: "nora"})), wire.Forbidden, "register models")
	h.refused(only(h.reg.Waive(h.ctx, nora, c.ID, "approval/risk", "no", 1)), wire.Forbidden, "waive gates")
	h.refused(only(h.reg.BindRole(h.ctx, administrator, record.Role{Principal: "nora", Role: record.ModelOwner, Team: "lab", Model: "lab/none"})), wire.Unknown, "imprimatur model create lab/none")

	// The seat is empty once the right to it is taken away, and a right to
	// another model does not fill it.
	h.ownerOf("nora", "lab/net", true)
	h.ownerOf("nora", "lab/other", false)
	if g := h.gate(h.check(c.ID).Verdict, "approval/model-owner"); g.Result != record.Missing || !strings.Contains(g.Reason, "nora does not hold the role model-owner") {
		t.Errorf("the seat of model-owner: %+v", g)
	}
	h.refused(only(h.reg.Retire(h.ctx, nora, c.ID, "old")), wire.Forbidden, "retire releases")
}
