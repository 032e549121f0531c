package registry_test

import (
	"strings"
	"testing"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// readied publishes the house's rules with a way back.
func (h *house) readied() {
	h.Helper()
	text := strings.Replace(rules, "    mode: enforce\n", "    mode: enforce\n    rollback: { drill: 10d }\n    signals: { drift: rollback }\n", 1)
	must[wire.Published](h)(h.reg.PublishPolicy(h.ctx, rita, []byte(text), "a way back"))
}

func filesOf(version string) wire.DrillRequest {
	return wire.DrillRequest{Files: []record.File{{Path: "model.safetensors", SHA256: digest("model " + version).Hex(), Size: 10}}}
}

// The way back is proved by trying it, and the proof lapses.
func TestAWayBackIsTried(t *testing.T) {
	onEitherDatabase(t, func(h *house) {
		h.readied()
		first := h.live("1")
		h.evaluate(h.train("2", true), 950)
		_, err := h.propose("2", record.Authority{})
		h.refused(err, wire.Refused, "rollback", "Nobody has tried yet", "imprimatur release drill "+first.ID)

		_, err = h.reg.Drill(h.ctx, olga, first.ID, wire.DrillRequest{})
		h.refused(err, wire.Invalid, "nothing here can read the bytes of lab/net@1", "--model PATH")
		bad := filesOf("2")
		x := must[record.Recorded[record.Drill]](h)(h.reg.Drill(h.ctx, olga, first.ID, bad)).Record
		if x.Ready() || !strings.Contains(x.Fault(), "changed: model.safetensors") {
			h.Errorf("with other bytes: %+v", x)
		}
		_, err = h.propose("2", record.Authority{})
		h.refused(err, wire.Refused, "could not take over when that was tried", "changed: model.safetensors")

		x = must[record.Recorded[record.Drill]](h)(h.reg.Drill(h.ctx, olga, first.ID, filesOf("1"))).Record
		if !x.Ready() || len(x.Checks) != 2 {
			h.Errorf("with its own bytes: %+v", x)
		}
		second := must[wire.Case](h)(h.propose("2", record.Authority{}))
		for role, who := range map[record.RoleName]registry.Caller{record.ModelOwner: olga, record.Risk: rita, record.Security: sam} {
			must[wire.Case](h)(h.approve(who, role, second))
		}
		must[wire.Promoted](h)(h.reg.Promote(h.ctx, olga, second.ID))
		h.allowed("2")
		if report := h.verified(second.ID, h.clock.now()); !report.OK {
			h.Errorf("an auditor finds %v", report.Reasons)
		}
		h.drillIsAskedFor(first, second)
		// By the drift rule the first takes over, and can be left again.
		h.sees(second, record.SignalDrift)
		h.allowed("1")
		h.forbidden("2", "is live in production")
		if until := h.gate(h.check(second.ID).Verdict, "rollback").Until; until.Sub(h.clock.now().AddDate(0, 0, 10)).Abs() > time.Minute {
			h.Errorf("the drill lapses on %v", until)
		}
	})
}

// drillIsAskedFor demands that who may drill is asked for it a sixth of its ten days
// before it lapses, until it is done.
func (h *house) drillIsAskedFor(first, second wire.Case) {
	h.Helper()
	must[record.Recorded[record.Environment]](h)(h.reg.SetEnvironment(h.ctx, administrator, record.Environment{Name: "production", LeastTier: "low", Policy: "house", Workloads: []string{"robot"}}))
	h.waitsAre(olga)
	h.clock.turn(8 * 24 * time.Hour)
	h.waitsAre(olga)
	h.waitsAre(robot)
	h.clock.turn(9 * time.Hour)
	h.waitsAre(olga, "drill "+second.ID+" model-owner")
	h.waitsAre(robot, "drill "+second.ID+" ")
	h.waitsAre(rita)
	w := must[[]wire.Waiting](h)(h.reg.Waiting(h.ctx, robot))[0]
	if w.Drill != first.ID || !strings.Contains(w.Do, first.ID) || w.Due.Sub(w.Since) != 40*time.Hour || !w.Live {
		h.Errorf("robot is asked as %+v", w)
	}
	must[record.Recorded[record.Drill]](h)(h.reg.Drill(h.ctx, robot, first.ID, filesOf("1")))
	h.waitsAre(olga)
	h.waitsAre(robot)
}

func TestADrillOfWhatWasStoppedFails(t *testing.T) {
	h := open(t)
	first := h.live("1")
	h.live("2")
	must[record.Recorded[record.DataApproval]](t)(h.reg.DecideData(h.ctx, bob, record.DataApproval{Dataset: digest("data 1"), Decision: record.Withdraw, Reason: "recalled"}))
	x := must[record.Recorded[record.Drill]](t)(h.reg.Drill(h.ctx, olga, first.ID, filesOf("1"))).Record
	if x.Ready() || !strings.Contains(x.Fault(), "lineage/datasets") {
		t.Errorf("with data withdrawn: %+v", x)
	}
	_, err := h.reg.Drill(h.ctx, olga, h.ready("3").ID, filesOf("3"))
	h.refused(err, wire.Conflict, "never ran", "imprimatur release promote")
	must[wire.Case](t)(h.reg.Retire(h.ctx, olga, first.ID, "old"))
	if x = must[record.Recorded[record.Drill]](t)(h.reg.Drill(h.ctx, olga, first.ID, filesOf("1"))).Record; x.Ready() || !strings.Contains(x.Fault(), "retired") {
		t.Errorf("retired: %+v", x)
	}
}

// Nothing goes back by itself to what may do more, or was not tried, or in vain.
func TestNothingGoesBackToMoreAuthority(t *testing.T) {
	own, other := filesOf("1"), filesOf("9")
	for name, x := range map[string]struct {
		authority record.Authority
		drill     *wire.DrillRequest
		says      string
	}{
		"more authority": {record.Authority{Tools: []record.Grant{{Resource: "pager", Actions: []string{"call"}}}}, &own, "would widen what the model may do"},
		"a failed drill": {record.Authority{}, &other, "could not take over when that was tried"},
		"no drill":       {record.Authority{}, nil, "Nobody has tried yet"},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			h.responding("{ drift: rollback }")
			first := h.liveWith("1", x.authority)
			second := h.live("2")
			if x.drill != nil {
				must[record.Recorded[record.Drill]](t)(h.reg.Drill(h.ctx, olga, first.ID, *x.drill))
			}
			h.sees(second, record.SignalDrift)
			h.forbidden("1")
			h.forbidden("2", "suspended")
			last := must[[]wire.Entry](t)(h.reg.History(h.ctx, rita, second.ID))
			if said := string(last[len(last)-1].Record); !strings.Contains(said, x.says) {
				t.Errorf("the suspension says %q, want %q", said, x.says)
			}
		})
	}
}

// What MLflow's clients registered is read by the server itself.
func TestADrillReadsWhatIsRegistered(t *testing.T) {
	h := open(t)
	folder := t.TempDir()
	write(t, folder+"/model.bin", "weights")
	h.with(nil, folder)
	h.name("net")
	h.number("net", folder)
	advises := "apiVersion: imprimatur/v1\nkind: Policy\nname: house\ntiers: { high: { mode: advise } }\n"
	must[wire.Published](t)(h.reg.PublishPolicy(h.ctx, rita, []byte(advises), "a trial"))
	c := must[wire.Case](t)(h.propose("1", record.Authority{}))
	must[wire.Promoted](t)(h.reg.Promote(h.ctx, olga, c.ID))
	if x := must[record.Recorded[record.Drill]](t)(h.reg.Drill(h.ctx, olga, c.ID, wire.DrillRequest{})).Record; !x.Ready() || !strings.Contains(x.Checks[1].Detail, "The server read 1 files") {
		t.Errorf("as registered: %+v", x)
	}
	write(t, folder+"/model.bin", "weightz")
	if x := must[record.Recorded[record.Drill]](t)(h.reg.Drill(h.ctx, olga, c.ID, wire.DrillRequest{})).Record; x.Ready() || !strings.Contains(x.Fault(), "changed: model.bin") {
		t.Errorf("overwritten: %+v", x)
	}
}
