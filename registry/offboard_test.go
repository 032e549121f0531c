package registry_test

import (
	"slices"
	"testing"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// offboards sees somebody off, or says what that would do.
func (h *house) offboards(name string, in wire.Offboarding) wire.Offboarded {
	h.Helper()
	return must[wire.Offboarded](h)(h.reg.Offboard(h.ctx, administrator, name, in))
}

func ownedOf(got wire.Offboarded) (out []string) {
	for _, e := range got.Owns {
		out = append(out, e.Subject)
	}
	slices.Sort(out)
	return out
}

// TestOffboardingHandsOverAndEndsEverythingAtOnce sees olga off, who owns the
// model and the use case of what runs, and approved it.
func TestOffboardingHandsOverAndEndsEverythingAtOnce(t *testing.T) {
	h := open(t)
	live := h.live("1")
	token := must[wire.IssuedToken](t)(h.reg.IssueToken(h.ctx, administrator, wire.TokenRequest{Principal: "olga", Scopes: []string{"write"}, Seconds: 600}))
	key := h.key(olga).ID()
	session := must[string](t)(h.reg.SignInByToken(h.ctx, token.Secret))
	size := h.size()

	plan := h.offboards("olga", wire.Offboarding{DryRun: true})
	if h.size() != size || plan.Done {
		t.Error("a dry run changed something")
	}
	owns := []string{"model/lab/net", "use-case/lab/triage"}
	if got := ownedOf(plan); !slices.Equal(got, owns) {
		t.Errorf("she owns %q, want %q", got, owns)
	}
	if !slices.Equal(plan.Keys, []string{key}) || !slices.Equal(plan.Tokens, []string{token.Token.Record.ID}) || len(plan.Roles) != 1 {
		t.Errorf("she has %+v", plan)
	}
	// Ann, the other model owner, owns the workload that trained it.
	lost := plan.Losses
	if len(lost) != 1 || lost[0].Release != live.ID || lost[0].Status != record.Live || len(lost[0].Reasons) == 0 || !slices.Equal(lost[0].Seats, []record.RoleName{record.ModelOwner}) {
		t.Errorf("what runs on her approval: %+v", lost)
	}

	for _, x := range []struct {
		name, to, says string
		code           wire.Code
	}{
		{"olga", "", "--to OTHER", wire.Refused},
		{"olga", "robot", "enrol one first", wire.Invalid},
		{"olga", "olga", "another person", wire.Invalid},
		{"olga", "nobody", "imprimatur principal enrol nobody", wire.Invalid},
		{"robot", "ann", "is a workload", wire.Invalid},
		{"ghost", "ann", "imprimatur principal enrol ghost", wire.Unknown},
		{"administrator", "ann", "ask another administrator", wire.Forbidden},
	} {
		h.refused(only(h.reg.Offboard(h.ctx, administrator, x.name, wire.Offboarding{To: x.to})), x.code, x.says)
	}
	if h.size() != size {
		t.Fatal("a refusal changed something")
	}

	done := h.offboards("olga", wire.Offboarding{To: "rita"})
	if !done.Done || !slices.Equal(ownedOf(done), owns) {
		t.Errorf("it was answered: %+v", done)
	}
	// Two things are handed over; a role, a token and a key end; she is disabled.
	if got := h.size() - size; got != 6 {
		t.Errorf("%d statements were made", got)
	}
	if _, err := h.reg.Authenticate(h.ctx, token.Secret); err == nil {
		t.Error("her token stands")
	}
	if _, err := h.reg.Session(h.ctx, session); err == nil {
		t.Error("her session goes on")
	}
	h.forbidden("1")
	if p := must[wire.Enrolled](t)(h.reg.Principal(h.ctx, administrator, "olga")); !p.Principal.Record.Disabled || len(p.Roles) != 0 {
		t.Errorf("she is not disabled: %+v", p)
	}
	if got := must[[]wire.Entry](t)(h.reg.Owned(h.ctx, administrator, "olga")); len(got) != 0 {
		t.Errorf("she owns still %+v", got)
	}
	if got := must[[]wire.Entry](t)(h.reg.Owned(h.ctx, administrator, "rita")); len(got) != 2 {
		t.Errorf("rita owns %+v", got)
	}
	again := h.offboards("olga", wire.Offboarding{})
	if len(again.Owns)+len(again.Tokens)+len(again.Keys)+len(again.Roles)+len(again.Losses) != 0 {
		t.Errorf("after it, she has %+v", again)
	}
}

// TestOffboardingHandsOverDataAndWorkloads sees off who owns the rest.
func TestOffboardingHandsOverDataAndWorkloads(t *testing.T) {
	h := open(t)
	model := h.train("1", true)
	h.offboards("bob", wire.Offboarding{To: "rita"})
	h.offboards("ann", wire.Offboarding{To: "rita"})
	p := must[wire.Enrolled](t)(h.reg.Principal(h.ctx, administrator, "robot"))
	if p.Principal.Record.Owner != "rita" || p.Principal.Record.Purpose != "trains" || p.Principal.Record.Disabled {
		t.Errorf("the workload is now %+v", p.Principal.Record)
	}
	for _, e := range must[[]wire.Entry](t)(h.reg.Owned(h.ctx, administrator, "rita")) {
		body := must[record.Body](t)(record.Replay(e.Kind, e.Record))
		if d, ok := body.(record.Dataset); ok && d.Owner == "rita" {
			return
		}
	}
	t.Errorf("rita owns no data of what made %s", model.Short())
}
