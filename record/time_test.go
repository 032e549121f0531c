package record_test

import (
	"testing"
	"time"

	"imprimatur.dev/record"
)

// at is a time on the day of the tests, in hours from midnight.
func at(hour int) time.Time { return time.Date(2026, 3, 2, hour, 0, 0, 0, time.UTC) }

func TestRule08StandsUntilTheInstantOfExpiry(t *testing.T) {
	cases := []struct {
		from, until, t time.Time
		want           bool
	}{
		{at(1), at(3), at(0), false},
		{at(1), at(3), at(1), true},
		{at(1), at(3), at(3).Add(-1), true},
		{at(1), at(3), at(3), false},
		{at(1), time.Time{}, at(23), true},
		{time.Time{}, at(3), at(2), true},
		{at(3), at(3), at(3), false},
		{at(1), at(3), at(2).In(time.FixedZone("x", 3600)), true},
	}
	for _, c := range cases {
		if got := record.Stands(c.from, c.until, c.t); got != c.want {
			t.Errorf("from %s until %s at %s: %v", c.from, c.until, c.t, got)
		}
	}
}

func promoted(id string, hour int) record.Event {
	return record.Event{Time: at(hour), Promotion: &record.Promotion{Release: id}}
}

func suspended(id string, hour int, lifted bool) record.Event {
	return record.Event{Time: at(hour), Suspension: &record.Suspension{Release: id, Lifted: lifted}}
}

func retired(id string, hour int) record.Event {
	return record.Event{Time: at(hour), Retirement: &record.Retirement{Release: id}}
}

func TestStatusAt(t *testing.T) {
	cases := map[string]struct {
		history []record.Event
		hour    int
		status  record.Status // of release "a"
		live    string
	}{
		"nothing yet":                            {nil, 9, record.Proposed, ""},
		"promoted":                               {[]record.Event{promoted("a", 1)}, 9, record.Live, "a"},
		"at the instant":                         {[]record.Event{promoted("a", 9)}, 9, record.Live, "a"},
		"not yet promoted":                       {[]record.Event{promoted("a", 10)}, 9, record.Proposed, ""},
		"replaced":                               {[]record.Event{promoted("a", 1), promoted("b", 2)}, 9, record.Replaced, "b"},
		"rolled back to":                         {[]record.Event{promoted("a", 1), promoted("b", 2), promoted("a", 3)}, 9, record.Live, "a"},
		"before the rollback":                    {[]record.Event{promoted("a", 1), promoted("b", 2), promoted("a", 3)}, 2, record.Replaced, "b"},
		"suspended":                              {[]record.Event{promoted("a", 1), suspended("a", 2, false)}, 9, record.Suspended, ""},
		"lifted":                                 {[]record.Event{promoted("a", 1), suspended("a", 2, false), suspended("a", 3, true)}, 9, record.Live, "a"},
		"while suspended":                        {[]record.Event{promoted("a", 1), suspended("a", 2, false), suspended("a", 4, true)}, 3, record.Suspended, ""},
		"suspended twice, lifted once":           {[]record.Event{promoted("a", 1), suspended("a", 2, false), suspended("a", 3, false), suspended("a", 4, true)}, 9, record.Live, "a"},
		"lifted though never suspended":          {[]record.Event{suspended("a", 2, true)}, 9, record.Proposed, ""},
		"suspended before it was promoted":       {[]record.Event{suspended("a", 1, false)}, 9, record.Suspended, ""},
		"lifted before it was promoted":          {[]record.Event{suspended("a", 1, false), suspended("a", 2, true)}, 9, record.Proposed, ""},
		"replaced while suspended":               {[]record.Event{promoted("a", 1), suspended("a", 2, false), promoted("b", 3)}, 9, record.Suspended, "b"},
		"lifted after it was replaced":           {[]record.Event{promoted("a", 1), suspended("a", 2, false), promoted("b", 3), suspended("a", 4, true)}, 9, record.Replaced, "b"},
		"retired":                                {[]record.Event{promoted("a", 1), retired("a", 2)}, 9, record.Retired, ""},
		"retired after it was replaced":          {[]record.Event{promoted("a", 1), promoted("b", 2), retired("a", 3)}, 9, record.Retired, "b"},
		"what it replaced does not come back":    {[]record.Event{promoted("b", 1), promoted("a", 2), retired("a", 3)}, 9, record.Retired, ""},
		"a lifted suspension after retirement":   {[]record.Event{promoted("a", 1), retired("a", 2), suspended("a", 3, true)}, 9, record.Retired, ""},
		"a suspension after retirement":          {[]record.Event{promoted("a", 1), retired("a", 2), suspended("a", 3, false)}, 9, record.Retired, ""},
		"promoted though retired":                {[]record.Event{promoted("a", 1), retired("a", 2), promoted("a", 3)}, 9, record.Retired, ""},
		"promoted though suspended":              {[]record.Event{promoted("a", 1), suspended("a", 2, false), promoted("a", 3)}, 9, record.Suspended, ""},
		"another's suspension does not touch it": {[]record.Event{promoted("a", 1), suspended("b", 2, false)}, 9, record.Live, "a"},
	}
	for name, c := range cases {
		status, live := record.StatusAt(c.history, "a", at(c.hour))
		if status != c.status || live != c.live {
			t.Errorf("%s: %s and live %q, want %s and %q", name, status, live, c.status, c.live)
		}
	}
}

func TestProductionAt(t *testing.T) {
	second := promoted("b", 2)
	second.Promotion.Replaces = "a"
	back := promoted("a", 4)
	back.Promotion.Replaces = "b"
	history := []record.Event{promoted("a", 1), second, back}
	d := record.Dossier{ID: "b", History: history, Baselines: []record.Baseline{{ID: "a"}}}
	for hour, want := range map[int]string{0: "", 1: "a", 2: "a", 3: "a", 4: "a"} {
		if got := d.ProductionAt(at(hour)); (got == nil) != (want == "") || got != nil && got.ID != want {
			t.Errorf("at %d it is compared with %+v, want %q", hour, got, want)
		}
	}
	first := record.Dossier{ID: "a", History: history[:1], Baselines: []record.Baseline{{ID: "b"}}}
	if got := first.ProductionAt(at(5)); got != nil {
		t.Errorf("the first release is compared with %+v", got)
	}
}

// What came to run by a broken glass lowers no bar, until somebody else has upheld
// it.
func TestNothingIsComparedWithABrokenGlass(t *testing.T) {
	broken := func(id, replaces, exception string, hour int) record.Event {
		e := promoted(id, hour)
		e.Actor, e.Promotion.How, e.Promotion.Replaces, e.Promotion.Exception = "olga", record.BrokeGlass, replaces, exception
		return e
	}
	reviewed := func(exception, by, outcome string) record.Recorded[record.Review] {
		return record.Recorded[record.Review]{Actor: by, Time: at(5), Record: record.Review{Exception: exception, Outcome: outcome}}
	}
	history := []record.Event{promoted("a", 1), broken("b", "a", "x-1", 2), broken("c", "b", "x-2", 3)}
	for name, c := range map[string]struct {
		history []record.Event
		reviews []record.Recorded[record.Review]
		hour    int
		want    string
	}{
		"none is reviewed":             {history, nil, 9, "a"},
		"the last is upheld":           {history, []record.Recorded[record.Review]{reviewed("x-2", "rita", record.Upheld)}, 9, "c"},
		"upheld later":                 {history, []record.Recorded[record.Review]{reviewed("x-2", "rita", record.Upheld)}, 4, "a"},
		"upheld by who broke it":       {history, []record.Recorded[record.Review]{reviewed("x-2", "olga", record.Upheld)}, 9, "a"},
		"reversed, and the one before": {history, []record.Recorded[record.Review]{reviewed("x-2", "rita", record.Reversed), reviewed("x-1", "rita", record.Upheld)}, 9, "b"},
		"nothing ran before":           {[]record.Event{broken("b", "", "x-1", 2)}, nil, 9, ""},
		"each in the other's place":    {[]record.Event{broken("b", "c", "x-1", 2), broken("c", "b", "x-2", 3)}, nil, 9, ""},
	} {
		d := record.Dossier{ID: "d", History: c.history, Reviews: c.reviews, Baselines: []record.Baseline{{ID: "a"}, {ID: "b"}, {ID: "c"}}}
		if got := d.ProductionAt(at(c.hour)); (got == nil) != (c.want == "") || got != nil && got.ID != c.want {
			t.Errorf("%s: compared with %+v, want %q", name, got, c.want)
		}
	}
}

func TestDataApprovalMatches(t *testing.T) {
	d := record.Dataset{Digest: digest("data"), Source: "s3://acme/cases/1"}
	for _, c := range []struct {
		a    record.DataApproval
		want bool
	}{
		{record.DataApproval{Dataset: digest("data")}, true},
		{record.DataApproval{Dataset: digest("other")}, false},
		{record.DataApproval{Source: "s3://acme/cases/1"}, true},
		{record.DataApproval{Source: "s3://acme/cases"}, false},
		{record.DataApproval{Source: "s3://acme/*"}, true},
		{record.DataApproval{Source: "s3://acm*"}, true},
		{record.DataApproval{Source: "s3://other/*"}, false},
		{record.DataApproval{Source: "s3://*/cases/1"}, false},
	} {
		if got := c.a.Matches(d); got != c.want {
			t.Errorf("%+v: %v", c.a, got)
		}
	}
	allow := record.DataApproval{Decision: record.Allow, Purposes: []string{"triage", "audit"}}
	withdraw := record.DataApproval{Decision: record.Withdraw}
	if !allow.ForPurpose("triage") || allow.ForPurpose("marketing") || !allow.ForPurpose("x", "audit") || !withdraw.ForPurpose("anything") {
		t.Error("purposes are confused")
	}
	withdraw.Purposes = []string{"triage"}
	if !withdraw.ForPurpose("triage") || withdraw.ForPurpose("audit") {
		t.Error("a withdrawal of one purpose is confused with one of all")
	}
	if (record.DataApproval{Decision: record.Allow}).ForPurpose("triage") {
		t.Error("an approval that names no purpose is for one")
	}
}

func TestRule08RolesLapse(t *testing.T) {
	p := record.Person{
		Principal: record.Principal{Name: "rita", Expires: at(20)},
		Roles: []record.Role{
			{Role: record.Risk, Team: "acme", Expires: at(10)},
			{Role: record.Auditor, Team: record.AllTeams},
			{Role: record.Security, Team: "acme", Revoked: true},
			{Role: record.ModelOwner, Team: "acme", Model: "acme/net"},
		},
	}
	for _, c := range []struct {
		role record.RoleName
		team string
		hour int
		want bool
	}{
		{record.Risk, "acme", 9, true},
		{record.Risk, "acme", 10, false},
		{record.Risk, "other", 9, false},
		{record.Auditor, "other", 19, true},
		{record.Auditor, "other", 20, false},
		{record.Security, "acme", 9, false},
		{record.Viewer, "acme", 9, false},
		{record.Risk, "acme/net", 9, true},
		{record.Risk, "other/net", 9, false},
		{record.Auditor, "other/net", 9, true},
		{record.ModelOwner, "acme/net", 9, true},
		{record.ModelOwner, "acme/network", 9, false},
		{record.ModelOwner, "acme", 9, false},
	} {
		if got := p.Holds(c.role, c.team, at(c.hour)); got != c.want {
			t.Errorf("%s for %s at %d: %v", c.role, c.team, c.hour, got)
		}
	}
	if !p.HoldsWithin(record.ModelOwner, "acme", at(9)) || p.HoldsWithin(record.ModelOwner, "other", at(9)) {
		t.Error("who holds a role for a model does not hold it within its team alone")
	}
	p.Principal.Disabled = true
	if p.Holds(record.Risk, "acme", at(9)) || p.HoldsWithin(record.Risk, "acme", at(9)) {
		t.Error("a disabled person holds a role")
	}
}

func TestGatesLetThrough(t *testing.T) {
	v := record.Verdict{}
	for _, r := range []record.Result{record.Pass, record.Waived, record.Fail, record.Inconclusive, record.Invalid, record.Missing} {
		v.Gates = append(v.Gates, record.Gate{Name: string(r), Mode: record.Enforce, Result: r}, record.Gate{Name: "advised " + string(r), Mode: record.Advise, Result: r})
	}
	var names []string
	for _, g := range v.Blocking() {
		names = append(names, g.Name)
	}
	if want := []string{"fail", "inconclusive", "invalid", "missing"}; len(names) != 4 || names[0] != want[0] || names[1] != want[1] || names[2] != want[2] || names[3] != want[3] {
		t.Errorf("blocking: %q, want %q", names, want)
	}
}
