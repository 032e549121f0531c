package record_test

import (
	"slices"
	"testing"

	"imprimatur.dev/record"
)

// TestRule08DelegationsLapse asks on the clock of the other tests of time.
func TestRule08DelegationsLapse(t *testing.T) {
	rita := record.Person{
		Principal: record.Principal{Name: "rita", Expires: at(20)},
		Roles:     []record.Role{{Role: record.Risk, Team: record.AllTeams, Expires: at(18)}, {Role: record.ModelOwner, Team: "acme"}},
	}
	lent := func(role record.RoleName, team, model string) record.Delegated {
		return record.Delegated{Delegation: record.Delegation{From: "rita", To: "sam", Role: role, Team: team, Model: model, Starts: at(10), Expires: at(19)}, From: rita}
	}
	sam := record.Person{
		Principal: record.Principal{Name: "sam"}, Roles: []record.Role{{Role: record.Security, Team: "acme"}},
		Delegated: []record.Delegated{lent(record.Risk, "acme", ""), lent(record.ModelOwner, "acme", "acme/net"), lent(record.Auditor, "acme", "")},
	}
	for _, c := range []struct {
		role  record.RoleName
		where string
		hour  int
		want  bool
	}{
		{record.Risk, "acme", 9, false},
		{record.Risk, "acme", 10, true},
		{record.Risk, "acme/net", 17, true},
		{record.Risk, "acme", 18, false}, // rita's own binding ends
		{record.Risk, "other", 12, false},
		{record.ModelOwner, "acme/net", 18, true},
		{record.ModelOwner, "acme/net", 19, false},
		{record.ModelOwner, "acme/other", 12, false},
		{record.Auditor, "acme", 12, false}, // rita never had it
		{record.Security, "acme", 23, true},
	} {
		if got := sam.Holds(c.role, c.where, at(c.hour)); got != c.want {
			t.Errorf("%s for %s at %d: %v", c.role, c.where, c.hour, got)
		}
		if got := len(sam.Holdings(c.role, c.where, at(c.hour))) > 0; got != c.want {
			t.Errorf("%s for %s at %d has holdings: %v", c.role, c.where, c.hour, got)
		}
	}
	held := sam.Holdings(record.Risk, "acme", at(12))
	if len(held) != 1 || held[0] != (record.Holding{For: "rita", Lent: at(19), Until: at(18)}) {
		t.Errorf("sam holds risk by %+v", held)
	}
	if !sam.HoldsWithin(record.ModelOwner, "acme", at(12)) || sam.HoldsWithin(record.ModelOwner, "acme", at(9)) {
		t.Error("what is lent for one model is within its team, in its time")
	}
	names := []record.RoleName{}
	for _, r := range sam.RolesAt(at(12)) {
		names = append(names, r.Role)
	}
	if !slices.Equal(names, []record.RoleName{record.Security, record.Risk, record.ModelOwner}) {
		t.Errorf("sam has the roles %q", names)
	}
	if !sam.OnlyFor("rita", []record.RoleName{record.Risk, record.Auditor}, "acme", at(12)) || sam.OnlyFor("rita", []record.RoleName{record.Risk, record.Security}, "acme", at(12)) {
		t.Error("whether sam acts for rita alone is confused")
	}
	sam.Roles = append(sam.Roles, record.Role{Role: record.Risk, Team: "acme"})
	if held := sam.Holdings(record.Risk, "acme", at(12)); len(held) != 2 || held[0] != (record.Holding{}) {
		t.Errorf("their own binding is not the first: %+v", held)
	}
	sam.Principal.Disabled = true
	if sam.Holds(record.Risk, "acme", at(12)) || len(sam.Holdings(record.Risk, "acme", at(12))) != 0 || len(sam.RolesAt(at(12))) != 0 {
		t.Error("a disabled person holds what was lent")
	}
}
