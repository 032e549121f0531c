package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/authority"
	"imprimatur.dev/inventory"
	"imprimatur.dev/wire"
)

// words parts a command as a shell does, as far as the findings write one.
var words = regexp.MustCompile(`'[^']*'|[^ ]+`)

// TestEveryMendIsACommand has all that may be wrong with workloads and credentials,
// and parses the command that each finding gives.
func TestEveryMendIsACommand(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	ago := func(days int) time.Time { return now.AddDate(0, 0, -days) }
	release := wire.BoundRelease{Release: "r-0123456789ab", Line: "a", Environment: "production", Status: "live"}
	other := wire.BoundRelease{Release: "r-ba9876543210", Line: "b", Environment: "staging", Status: "live"}
	var shown []wire.Credential
	for _, kind := range []string{wire.CredentialIdentity, wire.CredentialToken, wire.CredentialKey, wire.CredentialSecret} {
		shown = append(
			shown,
			wire.Credential{Kind: kind, ID: "lab/crm-key", State: "stands", Since: ago(100)},
			wire.Credential{Kind: kind, ID: "lab/crm-key", State: "stands", Since: ago(100), Used: now, Expires: now.AddDate(0, 0, 1)},
			wire.Credential{Kind: kind, ID: "lab/crm-key", State: "expired"},
			wire.Credential{Kind: kind, ID: "lab/crm-key", State: "ended"},
		)
	}
	scorer := wire.Inventoried{Type: wire.InventoryWorkload, Name: "scorer@ci", Owner: "olga", State: "stands", Since: ago(100), Expires: now.AddDate(0, 0, 1)}
	bound, busy, gone := scorer, scorer, scorer
	bound.Releases, bound.Credentials, bound.Used = []wire.BoundRelease{release, other}, shown, now
	busy.Releases = []wire.BoundRelease{release}
	gone.Releases, gone.State = busy.Releases, "expired"
	seen := map[string]bool{}
	for _, s := range []*inventory.Survey{
		{
			Item: bound, Shared: map[string][]string{"lab/crm-key": {"a", "b"}},
			Unused: map[string][]authority.Change{release.Release: {{Sentence: "may not"}}},
		},
		{Item: busy},
		{Item: gone},
		{Item: scorer, Ended: 1},
	} {
		for _, f := range inventory.Find(s, now) {
			seen[f.Code] = true
			var args []string
			for _, w := range words.FindAllString(f.Mend, -1) {
				args = append(args, strings.Trim(w, "'"))
			}
			var cli commands
			parser, err := newParser(&cli, newApp(t.Context(), none, nil, nil, nil))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parser.Parse(args[1:]); err != nil || args[0] != "imprimatur" {
				t.Errorf("%s: %q does not parse: %v", f.Code, f.Mend, err)
			}
		}
	}
	for _, code := range inventory.Codes {
		if !seen[code] {
			t.Errorf("no finding %s was tried", code)
		}
	}
}
