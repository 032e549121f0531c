package registry_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/vault"
	"imprimatur.dev/vault/vaulttest"
	"imprimatur.dev/wire"
)

// withVault opens the registry anew with a vault "main", of which it may read
// what is the team's.
func (h *house) withVault() *vaulttest.Server {
	h.Helper()
	s := vaulttest.Start(h.TB)
	text := fmt.Sprintf("vaults: {main: {address: %q, timeout: 1s, token: {env: BAO}, teams: {lab: [secret/lab/*, database/creds/lab]}}}", s.URL)
	h.config.Secrets = must[*vault.Source](h)(vault.Open([]byte(text), func(string) string { return vaulttest.Root }))
	h.again()
	return s
}

func (h *house) setInVault(at record.VaultPlace) error {
	h.Helper()
	_, err := h.reg.SetSecret(h.ctx, sam, wire.SecretRequest{Team: "lab", Name: "crm-key", SecretVersion: wire.SecretVersion{Vault: &at}})
	return err
}

// soon demands that something ends within three seconds: a vault is asked each
// second.
func (h *house) soon(what string, done <-chan struct{}) {
	h.Helper()
	select {
	case <-done:
	case <-time.After(3 * time.Second):
		h.Fatalf("%s was not seen within three seconds", what)
	}
}

var inVault = record.VaultPlace{Server: "main", Mount: "secret", Path: "lab/crm", Field: "key"}

func TestASecretInAVaultIsLentAndFollowed(t *testing.T) {
	h := open(t)
	s := h.withVault()
	h.agent("scorer")
	s.Write("", "lab/crm", map[string]string{"key": value})
	if err := h.setInVault(inVault); err != nil {
		t.Fatal(err)
	}
	h.liveWith("1", held())
	h.lent(0, value)
	first := h.lease(0)
	s.Write("", "lab/crm", map[string]string{"key": "the second"})
	h.soon("a version that was written there", first.Rotated())
	if string(first.Value()) != value {
		t.Error("a lease ended because of a newer version")
	}
	h.lent(0, "the second")
	second := h.lease(0)
	s.Delete("lab/crm", 2, time.Now())
	h.soon("a version that was deleted there", second.Context().Done())
	if why := context.Cause(second.Context()).Error(); !strings.Contains(why, "was deleted on") || second.Value() != nil {
		t.Error(why)
	}
	h.notLent(0, "was deleted on")
	s.Write("", "lab/crm", map[string]string{"key": "the third"})
	third := h.lease(0)
	s.Seal(true)
	h.soon("that the vault is sealed", third.Context().Done())
	h.notLent(0, "is sealed")
	s.Seal(false)
	fourth := h.lease(0)
	s.Silence()
	h.notLent(0, "did not answer")
	h.clock.turn(11 * time.Second)
	h.soon("that the vault is silent", fourth.Context().Done())
	s.Answer(nil)
	s.Allow(vaulttest.Root)
	h.notLent(0, "denies")
	if err := h.reg.Close(); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(h.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		for _, secret := range []string{value, "the second", "the third", vaulttest.Root} {
			if bytes.Contains(raw, []byte(secret)) {
				t.Errorf("%s holds %.8s…", filepath.Base(path), secret)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestACredentialThatAVaultMadeEndsWithItsLease(t *testing.T) {
	h := open(t)
	s := h.withVault()
	h.agent("scorer")
	if err := h.setInVault(record.VaultPlace{Server: "main", Mount: "database", Path: "creds/lab", Field: "password", Dynamic: true}); err != nil {
		t.Fatal(err)
	}
	c := h.liveWith("1", held())
	l := h.lease(0)
	if len(l.Value()) == 0 || s.Leases() != 1 {
		t.Fatal("no credential was made")
	}
	must[wire.Case](t)(h.reg.Suspend(h.ctx, sam, c.ID, "incident", false))
	h.ended(l, "is suspended")
	h.again() // waits for what is being ended
	if s.Leases() != 0 {
		t.Error("the credential outlives its lease")
	}
}

func TestAPlaceThatIsNotTheTeamsIsRefused(t *testing.T) {
	h := open(t)
	h.refused(h.setInVault(inVault), wire.Invalid, "knows no vault", "imprimatur serve --vaults")
	s := h.withVault()
	s.Write("", "bank/crm", map[string]string{"key": value})
	other := inVault
	other.Path = "bank/crm"
	h.refused(h.setInVault(other), wire.Invalid, "is not read at main:secret/bank/crm (key) for the team lab")
	other.Path, other.Version = "lab/crm", -1
	if err := h.setInVault(other); registry.CodeOf(err) != wire.Invalid {
		t.Error(err)
	}
}
