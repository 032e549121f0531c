package registry_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/inventory"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/store/storetest"
	"imprimatur.dev/wire"
)

// inventory asks for all that a caller sees.
func (h *house) inventory(who registry.Caller, q wire.InventoryQuery) wire.Inventory {
	h.Helper()
	return must[wire.Inventory](h)(h.reg.Inventory(h.ctx, who, q))
}

func named(got wire.Inventory) (names []string) {
	for _, i := range got.Items {
		names = append(names, i.Name)
	}
	return names
}

// item is one thing of the inventory, as an administrator sees it.
func (h *house) item(name string) wire.Inventoried {
	h.Helper()
	for _, i := range h.inventory(administrator, wire.InventoryQuery{}).Items {
		if i.Name == name {
			return i
		}
	}
	h.Fatalf("the inventory has no %s", name)
	return wire.Inventoried{}
}

func codes(i wire.Inventoried) (out []string) {
	for _, f := range i.Findings {
		out = append(out, f.Code)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// token issues a token of a workload.
func (h *house) token(workload string, life time.Duration) wire.IssuedToken {
	h.Helper()
	return must[wire.IssuedToken](h)(h.reg.IssueToken(h.ctx, administrator, wire.TokenRequest{Principal: workload, Scopes: []string{record.ScopeRead}, Seconds: int64(life / time.Second), Note: "for the job"}))
}

func TestTheInventoryKnowsEveryWorkloadAndCredential(t *testing.T) {
	for name, database := range map[string]func() string{"SQLite": func() string { return "" }, "PostgreSQL": func() string { return storetest.Postgres(t).DSN }} {
		t.Run(name, func(t *testing.T) {
			h := openOn(t, database())
			if h.database != "" {
				h.restartWith(must[string](t)(registry.NewSecretsKey()))
			}
			h.agent("scorer")
			i := h.identify("scorer", nil)
			issued := h.token("scorer", time.Hour)
			h.setSecret("crm-key", value)
			h.setSecret("loose", value)
			a := scoring("scorer")
			a.Secrets = []record.Grant{{Resource: "crm-*", Actions: []string{"read"}}}
			c := h.liveWith("1", a)
			h.lent(0, value)
			must[registry.Caller](t)(h.reg.Authenticate(h.ctx, issued.Secret))
			h.access("scorer")
			h.sealed()
			h.again()
			got := h.item("scorer")
			if got.Owner != "olga" || got.Purpose != "scores" || got.State != "stands" || got.Used.IsZero() || got.Rotated.IsZero() || len(got.Roles) > 0 || !slices.Equal(codes(got), []string{inventory.Bearer, inventory.LongLived}) {
				t.Errorf("%+v", got)
			}
			if len(got.Releases) != 1 || got.Releases[0].Release != c.ID || got.Releases[0].Environment != "production" || got.Releases[0].Status != "live" ||
				!slices.Contains(got.Releases[0].May, "may call with the tool look-up") {
				t.Errorf("%+v", got.Releases)
			}
			var shown []string
			for _, x := range got.Credentials {
				shown = append(shown, x.Kind+" "+x.ID+" "+x.State)
				if x.Used.IsZero() {
					t.Errorf("the %s was used, and nobody knows", x.Kind)
				}
			}
			want := []string{"identity " + i.ID + " stands", "token " + issued.Token.Record.ID + " stands", "secret lab/crm-key stands"}
			if diff := cmp.Diff(want, shown); diff != "" {
				t.Error(diff)
			}
			all := h.inventory(administrator, wire.InventoryQuery{})
			if diff := cmp.Diff([]string{"robot", "scorer", "lab/loose"}, named(all)); diff != "" {
				t.Error(diff)
			}
			raw := string(must[[]byte](t)(json.Marshal(all)))
			for _, secret := range []string{value, issued.Secret, strings.TrimPrefix(issued.Secret, "imp_"+issued.Token.Record.ID+"_")} {
				if strings.Contains(raw, secret) {
					t.Error("the inventory tells a secret")
				}
			}
		})
	}
}

func TestTheInventoryIsForWhoOverseesAndWhoAnswers(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	h.agent("idle")
	h.setSecret("loose", value)
	c := h.liveWith("1", scoring("scorer"))
	must[record.Recorded[record.Team]](t)(h.reg.CreateTeam(h.ctx, administrator, record.Team{Name: "other"}))
	all := []string{"idle", "robot", "scorer", "lab/loose"}
	see := func(who registry.Caller, want ...string) {
		t.Helper()
		got := h.inventory(who, wire.InventoryQuery{})
		if diff := cmp.Diff(want, named(got)); diff != "" || got.Total != len(want) {
			t.Errorf("%s with %v sees %d: %s", who.Name, who.Scopes, got.Total, diff)
		}
	}
	see(administrator, all...)
	see(h.holder(record.Security, record.AllTeams, record.Principal{Name: "guard"}), all...)
	see(h.holder(record.Auditor, record.AllTeams, record.Principal{Name: "aud"}), all...)
	see(sam, "scorer", "lab/loose") // security of the team whose release names it
	see(h.holder(record.Security, "other", record.Principal{Name: "far"}))
	see(olga, "idle", "scorer")
	see(ann, "robot")
	see(bob)
	narrow := administrator
	narrow.Scopes = []string{record.ScopeRead}
	see(narrow, all...)
	narrow.Scopes = []string{string(record.Viewer)}
	see(narrow)
	gone := h.holder(record.Administrator, record.AllTeams, record.Principal{Name: "gone"})
	must[record.Recorded[record.Principal]](t)(h.reg.EnrolPrincipal(h.ctx, administrator, record.Principal{Name: "gone", Type: record.Human, Disabled: true}))
	_, err := h.reg.Inventory(h.ctx, gone, wire.InventoryQuery{})
	h.refused(err, wire.Forbidden, "disabled or has expired")
	_, err = h.reg.Inventory(h.ctx, registry.Caller{Name: "scorer", Type: record.Workload, Method: registry.MethodPlatform}, wire.InventoryQuery{})
	h.refused(err, wire.Forbidden)

	for _, ask := range []struct {
		q    wire.InventoryQuery
		want []string
	}{
		{wire.InventoryQuery{Text: "SCOR"}, []string{"idle", "scorer"}}, // by name, and by purpose
		{wire.InventoryQuery{Text: c.ID}, []string{"scorer"}},
		{wire.InventoryQuery{Owner: "ann"}, []string{"robot"}},
		{wire.InventoryQuery{Environment: "production"}, []string{"scorer"}},
		{wire.InventoryQuery{Environment: "staging"}, nil},
		{wire.InventoryQuery{Finding: inventory.LongLived}, []string{"lab/loose"}},
		{wire.InventoryQuery{Finding: wire.AnyFinding}, []string{"lab/loose"}},
		{wire.InventoryQuery{Finding: "NHI7"}, []string{"lab/loose"}},
		{wire.InventoryQuery{Finding: "NHI9"}, nil},
	} {
		if diff := cmp.Diff(ask.want, named(h.inventory(administrator, ask.q))); diff != "" {
			t.Errorf("%+v: %s", ask.q, diff)
		}
	}
	_, err = h.reg.Inventory(h.ctx, administrator, wire.InventoryQuery{Finding: "longlived"})
	h.refused(err, wire.Invalid, `there is no finding "longlived"`, inventory.LongLived, "NHI7")
	var paged []string
	for q := (wire.InventoryQuery{Limit: 1}); ; {
		got := h.inventory(administrator, q)
		paged = append(paged, named(got)...)
		if q.From = got.Next; got.Total != len(all) {
			t.Fatalf("%+v", got)
		}
		if q.From == "" {
			break
		}
	}
	if diff := cmp.Diff(all, paged); diff != "" {
		t.Error(diff)
	}
}

// TestFindingsComeAndGo has each finding come about in a real installation, as time
// goes by and things are done, and be gone when it is mended.
func TestFindingsComeAndGo(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	must[record.Recorded[record.Principal]](t)(h.reg.EnrolPrincipal(h.ctx, administrator, record.Principal{
		Name: "scorer", Type: record.Workload, Owner: "olga", Purpose: "scores", Expires: h.clock.peek().AddDate(0, 2, 0).Truncate(time.Millisecond),
	}))
	a := scoring("scorer")
	a.APIs = []record.Grant{{Resource: "crm/*", Actions: []string{"*"}}}
	c := h.liveWith("1", a)
	has := func(want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, codes(h.item("scorer"))); diff != "" {
			t.Error(diff)
		}
	}
	has()
	token := h.token("scorer", 200*24*time.Hour)
	has(inventory.LongLived)
	h.clock.turn(20 * 24 * time.Hour)
	h.ask(scorer, nil)
	h.ask(scorer, func(a *wire.Ask) { a.Kind, a.Resource, a.Action = "apis", "crm/cases", "GET" })
	h.sealed()
	h.clock.turn(11 * 24 * time.Hour)
	has(inventory.LongLived, inventory.UnusedCredential, inventory.Wider)
	for _, f := range h.item("scorer").Findings {
		if f.Code == inventory.Wider && (f.Mend != "imprimatur authority suggest "+c.ID+" --since 30d --propose" || !strings.Contains(f.Sentence, "page")) {
			t.Errorf("%+v", f)
		}
	}
	// Another, shorter one takes its place at once.
	must[wire.IssuedToken](t)(h.reg.RotateToken(h.ctx, olga, token.Token.Record.ID, wire.TokenRotation{Seconds: 60 * 60 * 24 * 60}))
	has(inventory.Wider)
	h.clock.turn(26 * 24 * time.Hour)
	has(inventory.ExpiresSoon, inventory.Unused)
	h.clock.turn(5 * 24 * time.Hour)
	has(inventory.Expired)
	must[record.Recorded[record.Principal]](t)(h.reg.EnrolPrincipal(h.ctx, administrator, record.Principal{
		Name: "scorer", Type: record.Workload, Owner: "olga", Purpose: "scores", Expires: h.clock.peek().AddDate(0, 2, 0).Truncate(time.Millisecond),
	}))
	has(inventory.Unused)
	must[record.Recorded[record.Principal]](t)(h.reg.EnrolPrincipal(h.ctx, administrator, record.Principal{Name: "olga", Type: record.Human, Disabled: true}))
	has(inventory.Orphaned, inventory.Unused)
	must[wire.Offboarded](t)(h.reg.Offboard(h.ctx, administrator, "olga", wire.Offboarding{To: "ann"}))
	has(inventory.Unused)
	must[wire.Case](t)(h.reg.Retire(h.ctx, ann, c.ID, "over"))
	has(inventory.LeftBehind)
	must[record.Recorded[record.Principal]](t)(h.reg.DisableWorkload(h.ctx, ann, "scorer", wire.Stop{Reason: "not needed"}))
	has()
	if got := h.item("scorer"); got.State != "disabled" {
		t.Errorf("%+v", got)
	}
}
