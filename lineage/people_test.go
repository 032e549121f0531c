package lineage_test

import (
	"testing"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/verify/verifytest"
)

func TestAPersonHoldsWhatTheNewestDelegationsSay(t *testing.T) {
	s := verifytest.Tell(t)
	s.Enrol("dora")
	d := record.Delegation{From: "rita", To: "dora", Role: record.Risk, Team: verifytest.Team, Starts: s.Now, Expires: s.Now.Add(30 * verifytest.Day), Reason: "on leave"}
	lent := func(name string) int {
		t.Helper()
		p, err := lineage.PersonOf(s, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, held := range p.Delegated {
			if _, ok := held.At(s.Now.Add(verifytest.Day)); !ok || len(held.From.Delegated) > 0 {
				t.Errorf("%s holds %+v, which gives nothing", name, held)
			}
		}
		return len(p.Delegated)
	}
	s.State("rita", d)
	if lent("dora") != 1 || lent("rita") != 0 {
		t.Error("rita lent it to dora, and it is not so")
	}
	// Another role is another delegation, the same one again the newer statement.
	also := d
	also.Team = record.AllTeams
	s.State("root", record.Role{Principal: "rita", Role: record.Risk, Team: record.AllTeams})
	s.State("rita", also)
	s.State("rita", also)
	if n := lent("dora"); n != 2 {
		t.Errorf("dora was lent %d roles", n)
	}
	made, err := lineage.Delegations(s, "rita")
	if err != nil || len(made) != 2 || made[1].Index <= made[0].Index+1 {
		t.Errorf("rita made %+v, %v", made, err)
	}
	d.Revoked, also.Revoked = true, true
	s.State("root", d)
	s.State("rita", also)
	if n := lent("dora"); n != 0 {
		t.Errorf("dora was lent %d roles after all were taken back", n)
	}
	// What somebody else states in rita's name gives nothing.
	d.Revoked = false
	s.State("root", d)
	if n := lent("dora"); n != 0 {
		t.Errorf("dora was lent %d roles by root, for rita", n)
	}
}
