package inventory_test

import (
	"strings"
	"testing"
	"time"

	"imprimatur.dev/authority"
	"imprimatur.dev/catalogue"
	"imprimatur.dev/inventory"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func ago(d time.Duration) time.Time { return now.Add(-d) }

// sound is a workload about which nothing is to be mended.
func sound() *inventory.Survey {
	return &inventory.Survey{
		Item: wire.Inventoried{
			Type: wire.InventoryWorkload, Name: "scorer", Owner: "olga", State: "stands", Since: ago(80 * day), Used: ago(time.Hour), Expires: now.Add(60 * day),
			Releases: []wire.BoundRelease{{Release: "r-0123456789ab", Line: "lab/net:lab/triage:production", Model: "lab/net@1", Environment: "production", Status: "live", Since: ago(60 * day)}},
			Credentials: []wire.Credential{
				{Kind: wire.CredentialIdentity, ID: "i-0123456789abcdef", State: "stands", Since: ago(80 * day), Used: ago(time.Hour)},
				{Kind: wire.CredentialKey, ID: "scorer-key", State: "stands", Since: ago(10 * day), Expires: now.Add(80 * day)},
				{Kind: wire.CredentialSecret, ID: "lab/crm-key", State: "stands", Since: ago(10 * day), Expires: now.Add(80 * day)},
			},
		},
		Owner: record.Principal{Name: "olga", Type: record.Human},
	}
}

func token(since, expires, used time.Time) wire.Credential {
	return wire.Credential{Kind: wire.CredentialToken, ID: "0123456789abcdef", State: "stands", Since: since, Expires: expires, Used: used}
}

// broken are the ways in which a workload comes to have each finding alone, and
// how the finding just does not come about.
var broken = map[string]struct {
	breaks, spares func(*inventory.Survey)
	says           string
}{
	inventory.Orphaned: {
		func(s *inventory.Survey) { s.Owner.Disabled = true },
		func(s *inventory.Survey) { s.Owner.Expires = now.Add(time.Second) },
		"nobody does",
	},
	inventory.LeftBehind: {
		func(s *inventory.Survey) { s.Item.Releases, s.Ended = nil, 1 },
		func(s *inventory.Survey) {
			s.Item.Releases, s.Ended, s.Item.Roles = nil, 1, []string{"contributor of team lab"}
		},
		"nothing left to do",
	},
	inventory.Unused: {
		func(s *inventory.Survey) { s.Item.Used = ago(30 * day); s.Item.Credentials = nil },
		func(s *inventory.Survey) { s.Item.Used = ago(30*day - time.Second) },
		"since 2026-10-02",
	},
	inventory.UnusedCredential: {
		func(s *inventory.Survey) { s.Item.Credentials[0].Used = time.Time{} },
		func(s *inventory.Survey) { s.Item.Credentials[1].Since = ago(30*day - time.Second) },
		"nor ever",
	},
	inventory.Expired: {
		func(s *inventory.Survey) { s.Item.State = "expired" },
		func(s *inventory.Survey) { s.Item.State, s.Item.Releases = "expired", nil },
		"gets nothing",
	},
	inventory.Bearer: {
		func(s *inventory.Survey) {
			s.Item.Credentials = append(s.Item.Credentials, token(ago(day), now.Add(29*day), ago(day)))
		},
		func(s *inventory.Survey) { s.Item.Credentials[0] = token(ago(day), now.Add(29*day), ago(day)) },
		"good for whoever has it",
	},
	inventory.Wider: {
		func(s *inventory.Survey) {
			s.Unused = map[string][]authority.Change{"r-0123456789ab": {{Sentence: "may no longer call the tool page: call"}, {}}}
		},
		func(s *inventory.Survey) { s.Unused = map[string][]authority.Change{"r-0123456789ab": nil} },
		"may no longer call the tool page: call, and 1 more",
	},
	inventory.NotRotated: {
		func(s *inventory.Survey) {
			s.Item.Credentials[1].Since, s.Item.Credentials[1].Used = ago(91*day), ago(day)
		},
		func(s *inventory.Survey) {
			s.Item.Credentials[1].Since, s.Item.Credentials[1].Used = ago(90*day), ago(day)
		},
		"91 days old",
	},
	inventory.LongLived: {
		func(s *inventory.Survey) { s.Item.Credentials[1].Expires = time.Time{} },
		func(s *inventory.Survey) { s.Item.Credentials[1].Expires = now.Add(170 * day) },
		"has no end",
	},
	inventory.ExpiresSoon: {
		func(s *inventory.Survey) { s.Item.Expires = now.Add(14*day - time.Second) },
		func(s *inventory.Survey) { s.Item.Expires = now.Add(14 * day) },
		"within 14 days",
	},
	inventory.Environments: {
		func(s *inventory.Survey) {
			s.Item.Releases = append(s.Item.Releases, s.Item.Releases[0])
			s.Item.Releases[1].Environment = "staging"
		},
		func(s *inventory.Survey) {
			s.Item.Releases = append(s.Item.Releases, wire.BoundRelease{Environment: "staging", Status: "proposed"})
		},
		"production, staging",
	},
	inventory.Shared: {
		func(s *inventory.Survey) { s.Shared = map[string][]string{"lab/crm-key": {"a", "b"}} },
		func(s *inventory.Survey) { s.Shared = map[string][]string{"lab/crm-key": {"a"}} },
		"granted to 2 releases: a, b",
	},
}

func TestEachFindingIsFoundAndNothingElse(t *testing.T) {
	if got := inventory.Find(sound(), now); len(got) > 0 {
		t.Fatalf("a sound workload has %+v", got)
	}
	if len(broken) != len(inventory.Codes) {
		t.Errorf("%d findings are tried of %d", len(broken), len(inventory.Codes))
	}
	for _, code := range inventory.Codes {
		t.Run(code, func(t *testing.T) {
			s := sound()
			broken[code].breaks(s)
			got := inventory.Find(s, now)
			if len(got) != 1 || got[0].Code != code || !strings.Contains(got[0].Sentence, broken[code].says) {
				t.Fatalf("%+v", got)
			}
			title, _, known := catalogue.Entry(catalogue.Ref{Catalogue: "owasp-nhi", Edition: "2025", ID: got[0].Risk})
			if !known || got[0].Title != title || !strings.HasPrefix(got[0].Mend, "imprimatur ") {
				t.Errorf("%+v", got[0])
			}
			s = sound()
			broken[code].spares(s)
			if got := inventory.Find(s, now); len(got) > 0 {
				t.Errorf("just within: %+v", got)
			}
		})
	}
}

// TestWhatHasEndedIsNotToBeMended has a disabled workload with all that may be
// wrong, but that no release names.
func TestWhatHasEndedIsNotToBeMended(t *testing.T) {
	s := sound()
	s.Item.State, s.Item.Releases, s.Ended, s.Item.Used, s.Owner.Disabled = "disabled", nil, 1, time.Time{}, true
	s.Item.Credentials = append(s.Item.Credentials, token(ago(200*day), time.Time{}, time.Time{}))
	for i := range s.Item.Credentials {
		s.Item.Credentials[i].State = "ended"
	}
	if got := inventory.Find(s, now); len(got) > 0 {
		t.Errorf("%+v", got)
	}
}

func TestALooseSecretIsFoundWhenNobodyUsesIt(t *testing.T) {
	s := &inventory.Survey{Item: wire.Inventoried{Type: wire.InventorySecret, Name: "lab/old", State: "stands", Since: ago(40 * day), Credentials: []wire.Credential{
		{Kind: wire.CredentialSecret, ID: "lab/old", State: "stands", Since: ago(40 * day), Expires: now.Add(day)},
	}}}
	got := inventory.Find(s, now)
	if len(got) != 1 || got[0].Code != inventory.UnusedCredential || got[0].Mend != "imprimatur secret withdraw lab/old --reason 'not used'" {
		t.Errorf("%+v", got)
	}
}
