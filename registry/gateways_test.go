package registry_test

import (
	"strings"
	"testing"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// gateway is the gateway "gate" of the team in production.
func (h *house) gateway() registry.Caller {
	h.Helper()
	got := must[[]wire.KeptGateway](h)(h.reg.Gateways(h.ctx, administrator, "lab"))
	if len(got) == 0 {
		h.agent("gate")
		h.bindGate("gate", nil)
	}
	return registry.Caller{Name: "gate", Type: record.Workload, Method: record.MethodToken}
}

func (h *house) bindGate(workload string, change func(*record.Gateway)) record.Gateway {
	h.Helper()
	in := record.Gateway{Workload: workload, Team: "lab", Environment: "production"}
	if change != nil {
		change(&in)
	}
	return must[record.Recorded[record.Gateway]](h)(h.reg.BindGateway(h.ctx, sam, in)).Record
}

// tokenOf is a token of a workload, limited to read: using a secret through a
// gateway changes nothing here.
func (h *house) tokenOf(workload string) wire.IssuedToken {
	h.Helper()
	return must[wire.IssuedToken](h)(h.reg.IssueToken(h.ctx, administrator, wire.TokenRequest{Principal: workload, Scopes: []string{record.ScopeRead}, Seconds: 3600}))
}

// TestAGatewayAttachesByTwoRights: the release's grant and the gateway's own.
func TestAGatewayAttachesByTwoRights(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	h.agent("other")
	h.setSecret("crm-key", value)
	c := h.liveWith("1", held(record.Grant{Resource: "crm-key", Actions: []string{"use"}, Condition: "about.to == 'https://crm.example'"}))
	gate, token := h.gateway(), h.tokenOf("scorer").Secret
	attach := func(who registry.Caller, in wire.SecretAttach) (wire.LentSecret, error) {
		return h.reg.AttachSecret(h.ctx, who, "lab", "crm-key", in)
	}
	in := wire.SecretAttach{Token: token, To: "https://crm.example"}
	got := must[wire.LentSecret](t)(attach(gate, in))
	if string(got.Value) != value || got.Lease.Gateway != "gate" || got.Lease.Workload != "scorer" || got.Lease.Release != c.ID {
		t.Fatalf("%+v", got.Lease)
	}
	listed := must[[]wire.KeptGateway](t)(h.reg.Gateways(h.ctx, rita, "lab"))
	if len(listed) != 1 || listed[0].State != "stands" || listed[0].Leases != 1 {
		t.Errorf("%+v", listed)
	}
	h.notLent(0, "read")
	no := func(who registry.Caller, in wire.SecretAttach, says string) {
		t.Helper()
		got, err := attach(who, in)
		if registry.CodeOf(err) != wire.Forbidden || !strings.Contains(err.Error(), says) || len(got.Value) > 0 || strings.Contains(err.Error(), in.Token) && in.Token != "" {
			t.Errorf("%+v, %v, want %q", got.Lease, err, says)
		}
	}
	other := gate
	other.Name = "other"
	no(other, in, "other is no gateway that may attach the secret lab/crm-key in production; an administrator can bind it: imprimatur gateway bind other")
	no(scorer, in, "would attach a secret for itself")
	no(sam, in, "are workloads, and sam is none")
	read := gate
	read.Scopes = []string{record.ScopeRead}
	no(read, in, "limited to read")
	no(gate, wire.SecretAttach{Token: token, To: "https://evil.example"}, "not lent")
	no(gate, wire.SecretAttach{Token: "imp_x_y", To: in.To}, "does not count")
	no(gate, wire.SecretAttach{Token: h.tokenOf("other").Secret, To: in.To}, "no release that stands names the workload")
	no(gate, wire.SecretAttach{Token: h.tokenOf("sam").Secret, To: in.To}, "lent to workloads")
	// A gateway of another environment, of other secrets, or of a time that is over.
	must[record.Recorded[record.Environment]](t)(h.reg.SetEnvironment(h.ctx, administrator, record.Environment{Name: "staging", LeastTier: "low", Policy: "house"}))
	h.bindGate("other", func(g *record.Gateway) { g.Environment = "staging" })
	h.bindGate("other", func(g *record.Gateway) { g.Secrets = []string{"mail-key"} })
	soon := h.clock.peek().Add(time.Minute).Truncate(time.Millisecond)
	no(other, in, "other is no gateway")
	h.bindGate("other", func(g *record.Gateway) { g.Secrets, g.Expires = []string{"crm-key"}, soon })
	if got := must[wire.LentSecret](t)(attach(other, in)); got.Lease.Until.After(soon) {
		t.Errorf("the lease outlives the gateway's right: %s", got.Lease.Until)
	}
	h.clock.turn(time.Minute)
	no(other, in, "other is no gateway")
	h.refused(bindFails(h, func(g *record.Gateway) { g.Workload = "ann" }), wire.Invalid, "is no workload that stands here")
	h.refused(bindFails(h, func(g *record.Gateway) { g.Environment = "nowhere" }), wire.Unknown, "the environment nowhere")
	h.refused(bindFails(h, func(g *record.Gateway) { g.Expires = soon }), wire.Invalid, "expired already")
	h.refused(bindFails(h, func(g *record.Gateway) { g.Team = record.AllTeams }), wire.Forbidden, "bind gateways")
}

func bindFails(h *house, change func(*record.Gateway)) error {
	in := record.Gateway{Workload: "gate", Team: "lab", Environment: "production"}
	change(&in)
	_, err := h.reg.BindGateway(h.ctx, sam, in)
	return err
}

// TestAGatewayAsksHowItsLeasesStand, and of no others.
func TestAGatewayAsksHowItsLeasesStand(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	h.agent("other")
	h.setSecret("crm-key", value)
	h.liveWith("1", held())
	gate := h.gateway()
	other := gate
	other.Name = "other"
	l := h.lease(0)
	stands := func(who registry.Caller) wire.LeaseState {
		return must[[]wire.LeaseState](t)(h.reg.CheckLeases(h.ctx, who, wire.LeaseCheck{Leases: []string{l.ID}}))[0]
	}
	if got := stands(gate); !got.Open || got.Newer || !got.Until.Equal(l.Until) {
		t.Errorf("%+v", got)
	}
	if got := stands(other); got.Open {
		t.Error("a gateway is told of another's lease")
	}
	must[[]wire.LeaseState](t)(h.reg.CheckLeases(h.ctx, other, wire.LeaseCheck{Returned: []string{l.ID}}))
	h.rotate("crm-key", "next", time.Minute)
	h.soon("the rotation", l.Rotated())
	if got := stands(gate); !got.Open || !got.Newer {
		t.Errorf("%+v", got)
	}
	must[[]wire.LeaseState](t)(h.reg.CheckLeases(h.ctx, gate, wire.LeaseCheck{Returned: []string{l.ID}}))
	h.ended(l, "returned")
	if got := stands(gate); got.Open {
		t.Errorf("%+v", got)
	}
	_, err := h.reg.CheckLeases(h.ctx, gate, wire.LeaseCheck{Leases: make([]string, wire.MaxLeases+1)})
	h.refused(err, wire.Invalid, "10001 leases")
	_, err = h.reg.CheckLeases(h.ctx, ann, wire.LeaseCheck{})
	h.refused(err, wire.Forbidden, "workloads")
}

// TestWhateverEndsAGatewayEndsItsLeases within a second: its right, its principal, its
// token, and the token that the workload has shown it.
func TestWhateverEndsAGatewayEndsItsLeases(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	h.setSecret("crm-key", value)
	h.liveWith("1", held())
	h.gateway()
	lend := func() (l *registry.Lease, gate, workload wire.IssuedToken) {
		workload = h.tokenOf("scorer")
		gate = must[wire.IssuedToken](t)(h.reg.IssueToken(h.ctx, administrator, wire.TokenRequest{Principal: "gate", Scopes: []string{record.ScopeWrite}, Seconds: 3600}))
		by := must[registry.Caller](t)(h.reg.Authenticate(h.ctx, gate.Secret))
		who := must[registry.Caller](t)(h.reg.Authenticate(h.ctx, workload.Secret))
		return must[*registry.Lease](t)(h.reg.UseSecret(h.ctx, by, who, registry.SecretUse{Secret: "lab/crm-key"})), gate, workload
	}
	l, gate, _ := lend()
	must[record.Recorded[record.Token]](t)(h.reg.RevokeToken(h.ctx, administrator, gate.Token.Record.ID))
	h.ended(l, "token that it was asked for with was ended")
	l, _, workload := lend()
	must[record.Recorded[record.Token]](t)(h.reg.RevokeToken(h.ctx, administrator, workload.Token.Record.ID))
	h.ended(l, "token that it was asked for with was ended")
	l, _, _ = lend()
	bound := must[[]wire.KeptGateway](t)(h.reg.Gateways(h.ctx, sam, ""))[0].Gateway.Record
	must[record.Recorded[record.Gateway]](t)(h.reg.EndGateway(h.ctx, sam, bound.ID, wire.Stop{Reason: "it was taken over"}))
	h.ended(l, "is no gateway")
	_, err := h.reg.EndGateway(h.ctx, sam, bound.ID, wire.Stop{Lift: true})
	h.refused(err, wire.Invalid, "imprimatur gateway bind gate")
	h.again()
	if got := must[[]wire.KeptGateway](t)(h.reg.Gateways(h.ctx, sam, ""))[0]; got.State != "ended" || got.Gateway.Record.Reason != "it was taken over" {
		t.Errorf("after a start: %+v", got)
	}
	h.bindGate("gate", nil)
	l, _, _ = lend()
	must[record.Recorded[record.Principal]](t)(h.reg.EnrolPrincipal(h.ctx, administrator, record.Principal{
		Name: "gate", Type: record.Workload, Owner: "olga", Purpose: "x", Expires: h.clock.now().AddDate(0, 1, 0).Truncate(time.Millisecond), Disabled: true,
	}))
	h.ended(l, "the workload gate is disabled")
}

// TestTheDecisionLogNamesWorkloadAndGateway, for what was lent and for what was refused.
func TestTheDecisionLogNamesWorkloadAndGateway(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	h.agent("other")
	h.setSecret("crm-key", value)
	h.liveWith("1", held())
	l := h.lease(0)
	other := h.gateway()
	other.Name = "other"
	if _, err := h.reg.UseSecret(h.ctx, other, scorer, registry.SecretUse{Secret: "lab/crm-key"}); err == nil {
		t.Fatal("lent to any workload")
	}
	h.again() // seals
	lent, refused := 0, 0
	for _, d := range h.sealed() {
		for _, line := range h.lines(d.Record.Log) {
			switch {
			case line.Workload != "scorer" || line.Kind != "secrets":
			case line.Allowed && line.By == "gate" && line.Lease == l.ID:
				lent++
			case !line.Allowed && line.By == "other" && strings.Contains(line.Reason, "is no gateway"):
				refused++
			}
		}
	}
	if lent != 1 || refused != 1 {
		t.Errorf("%d are lent and %d refused in the log", lent, refused)
	}
}
