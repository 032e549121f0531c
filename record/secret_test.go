package record_test

import (
	"testing"
	"time"

	"imprimatur.dev/record"
)

func faultsOfSecrets() []fault {
	embedded := func(s *record.Secret) {
		s.Provider, s.Vault, s.Reference = record.SecretEmbedded, record.VaultPlace{}, "s-1"
	}
	return []fault{
		wrong("team", func(s *record.Secret) { s.Team = "*" }),
		wrong("name", func(s *record.Secret) { s.Name = "../x" }),
		wrong("description", func(s *record.Secret) { s.Description = bidi }),
		wrong("version 0", func(s *record.Secret) { s.Version, s.Previous, s.PreviousUntil = 0, 0, time.Time{} }),
		wrong("provider", func(s *record.Secret) { embedded(s); s.Provider = "drawer" }),
		wrong("reference is only for", func(s *record.Secret) { s.Reference = "s-1" }),
		wrong("reference", func(s *record.Secret) { embedded(s); s.Reference = "" }),
		wrong("vault is only for", func(s *record.Secret) { s.Provider = record.SecretEmbedded }),
		wrong("vault.server", func(s *record.Secret) { s.Vault.Server = "" }),
		wrong("vault.mount", func(s *record.Secret) { s.Vault.Mount = "" }),
		wrong("vault.mount", func(s *record.Secret) { s.Vault.Mount = "sys/../secret" }),
		wrong("vault.path", func(s *record.Secret) { s.Vault.Path = "" }),
		wrong("vault.path", func(s *record.Secret) { s.Vault.Path = "/crm" }),
		wrong("vault.path", func(s *record.Secret) { s.Vault.Path = "crm//key" }),
		wrong("vault.path", func(s *record.Secret) { s.Vault.Path = "crm/../bank" }),
		wrong("vault.path", func(s *record.Secret) { s.Vault.Path = "crm%2fkey" }),
		wrong("vault.path", func(s *record.Secret) { s.Vault.Path = "crm?version=1" }),
		wrong("vault.namespace", func(s *record.Secret) { s.Vault.Namespace = "../root" }),
		wrong("vault.field", func(s *record.Secret) { s.Vault.Field = "a\nb" }),
		wrong("vault.field", func(s *record.Secret) { s.Vault.Field = "tökén" }),
		wrong("vault.version -1", func(s *record.Secret) { s.Vault.Version = -1 }),
		wrong("vault.version 1", func(s *record.Secret) { s.Vault.Version, s.Vault.Dynamic = 1, true }),
		wrong("id", func(g *record.Gateway) { g.ID = "" }),
		wrong("workload", func(g *record.Gateway) { g.Workload = "" }),
		wrong("team", func(g *record.Gateway) { g.Team = "*" }),
		wrong("environment", func(g *record.Gateway) { g.Environment = "" }),
		wrong("secrets", func(g *record.Gateway) { g.Secrets = []string{"*"} }),
		wrong("expires", func(g *record.Gateway) { g.Expires = noon.Add(1) }),
		wrong("reason", func(g *record.Gateway) { g.Ended = true }),
		wrong("expires", func(s *record.Secret) { s.Expires = noon.Add(1) }),
		wrong("rotateBy", func(s *record.Secret) { s.RotateBy = noon.Add(1) }),
		wrong("previous 2 is not", func(s *record.Secret) { s.Previous = 2 }),
		wrong("previousUntil", func(s *record.Secret) { s.PreviousUntil = time.Time{} }),
		wrong("previousUntil is only", func(s *record.Secret) { s.Previous = 0 }),
		wrong("reason", func(s *record.Secret) { s.Reason = "" }),
	}
}

func TestVersionsOfASecretAreReadableInTheirTime(t *testing.T) {
	s := record.Secret{Version: 3, Previous: 2, PreviousUntil: noon, Expires: noon.Add(time.Hour)}
	for _, row := range []struct {
		version int
		at      time.Time
		want    bool
	}{
		{3, noon, true},
		{3, noon.Add(time.Hour), false},
		{2, noon.Add(-time.Millisecond), true},
		{2, noon, false},
		{1, noon.Add(-time.Hour), false},
		{0, noon.Add(-time.Hour), false},
		{4, noon.Add(-time.Hour), false},
	} {
		if got := s.Readable(row.version, row.at); got != row.want {
			t.Errorf("version %d at %s: %v", row.version, row.at, got)
		}
	}
	if s.Withdrawn = true; s.Readable(3, noon) || s.Readable(2, noon.Add(-time.Hour)) {
		t.Error("what was withdrawn can be read")
	}
}
