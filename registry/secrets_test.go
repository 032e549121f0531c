package registry_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/store/storetest"
	"imprimatur.dev/wire"
)

// secretly runs a test on SQLite and on PostgreSQL.
func secretly(t *testing.T, test func(t *testing.T, h *house)) {
	t.Run("SQLite", func(t *testing.T) { test(t, open(t)) })
	t.Run("PostgreSQL", func(t *testing.T) {
		h := openOn(t, storetest.Postgres(t).DSN)
		h.restartWith(must[string](t)(registry.NewSecretsKey()))
		test(t, h)
	})
}

// restartWith opens the registry anew with a key for secrets.
func (h *house) restartWith(key string) {
	h.Helper()
	h.config.SecretsKey = key
	h.again()
}

// held is the authority of a release that may use and read secrets.
func held(grants ...record.Grant) record.Authority {
	if len(grants) == 0 {
		grants = []record.Grant{{Resource: "crm-key", Actions: []string{"use", "read"}}}
	}
	return record.Authority{Secrets: grants, Workloads: []string{"scorer"}}
}

func (h *house) setSecret(name, value string) record.Recorded[record.Secret] {
	h.Helper()
	return must[record.Recorded[record.Secret]](h)(h.reg.SetSecret(h.ctx, sam, wire.SecretRequest{Team: "lab", Name: name, SecretVersion: wire.SecretVersion{Value: wire.SecretValue(value)}}))
}

func (h *house) rotate(name, value string, overlap time.Duration) record.Recorded[record.Secret] {
	h.Helper()
	return must[record.Recorded[record.Secret]](h)(h.reg.RotateSecret(h.ctx, sam, "lab", name, wire.SecretRotation{
		SecretVersion: wire.SecretVersion{Value: wire.SecretValue(value)}, OverlapSeconds: int64(overlap / time.Second),
	}))
}

func (h *house) lease(version int) *registry.Lease {
	h.Helper()
	return must[*registry.Lease](h)(h.reg.UseSecret(h.ctx, h.gateway(), scorer, registry.SecretUse{Secret: "lab/crm-key", Version: version}))
}

// lent demands that a workload is told a value.
func (h *house) lent(version int, value string) wire.LentSecret {
	h.Helper()
	got := must[wire.LentSecret](h)(h.reg.ReadSecret(h.ctx, scorer, "lab", "crm-key", wire.SecretAsk{Version: version}))
	if string(got.Value) != value {
		h.Fatalf("version %d is another value", version)
	}
	return got
}

// notLent demands that a workload is told no value, for a reason.
func (h *house) notLent(version int, says string) {
	h.Helper()
	got, err := h.reg.ReadSecret(h.ctx, scorer, "lab", "crm-key", wire.SecretAsk{Version: version})
	if err == nil || len(got.Value) > 0 || !strings.Contains(err.Error(), says) {
		h.Fatalf("got %+v and %v, want a refusal that says %q", got.Lease, err, says)
	}
}

// ended demands that a lease ends within a second, for a reason, and forgets its
// value.
func (h *house) ended(l *registry.Lease, says string) {
	h.Helper()
	select {
	case <-l.Context().Done():
	case <-time.After(time.Second):
		h.Fatalf("%v did not end within a second", l)
	}
	if why := context.Cause(l.Context()).Error(); !strings.Contains(why, says) || l.Value() != nil {
		h.Errorf("%v ended because %q, which does not say %q, or kept its value", l, why, says)
	}
}

const value = "hunter2-correct-horse-battery-staple"

func TestASecretIsLentAgainstAGrantAlone(t *testing.T) {
	secretly(t, func(t *testing.T, h *house) {
		h.agent("scorer")
		if got := h.setSecret("crm-key", value); got.Record.Version != 1 || got.Record.Reference == "" {
			t.Fatalf("%+v", got.Record)
		}
		h.notLent(0, "no release that stands names the workload")
		c := h.liveWith("1", held())
		got := h.lent(0, value)
		if l := got.Lease; l.Release != c.ID || l.Version != 1 || !l.Until.Equal(h.clock.peek().Add(5*time.Minute).Truncate(time.Millisecond)) && l.Until.After(h.clock.peek().Add(5*time.Minute)) {
			t.Errorf("%+v", l)
		}
		l := h.lease(0)
		if string(l.Value()) != value {
			t.Error("the gateway has another value")
		}
		h.again()
		h.ended(l, "closed its ledger")
		h.lent(0, value)
		for _, who := range []registry.Caller{ann, sam, administrator} {
			if _, err := h.reg.ReadSecret(h.ctx, who, "lab", "crm-key", wire.SecretAsk{}); err == nil || !strings.Contains(err.Error(), "told to nobody else") {
				t.Errorf("%s: %v", who.Name, err)
			}
		}
		read := scorer
		read.Scopes = []string{record.ScopeRead}
		if _, err := h.reg.ReadSecret(h.ctx, read, "lab", "crm-key", wire.SecretAsk{}); err == nil || !strings.Contains(err.Error(), "limited to read") {
			t.Error(err)
		}
		if _, err := h.reg.UseSecret(h.ctx, h.gateway(), scorer, registry.SecretUse{Secret: "crm-key"}); err == nil || !strings.Contains(err.Error(), "team/name") {
			t.Error(err)
		}
		must[wire.Case](t)(h.reg.Suspend(h.ctx, sam, c.ID, "incident", false))
		h.notLent(0, "is suspended")
	})
}

// TestRule11UseIsNotRead: with a grant to use, the gateway has the value and the
// workload cannot have it.
func TestRule11UseIsNotRead(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	h.setSecret("crm-key", value)
	h.liveWith("1", held(record.Grant{Resource: "crm-key", Actions: []string{"use"}}))
	h.lease(0)
	h.notLent(0, "read")
}

func TestEveryHandOutIsInTheDecisionLog(t *testing.T) {
	h := open(t)
	h.config.KeepEvery = 1000 // allowed answers are sampled, hand-outs are not
	h.again()
	h.agent("scorer")
	h.setSecret("crm-key", value)
	c := h.liveWith("1", held())
	leases := map[string]bool{h.lent(0, value).Lease.ID: true, h.lease(0).ID: true, h.lease(0).ID: true}
	h.notLent(7, "version 7")
	h.again() // seals
	refused := 0
	for _, d := range h.sealed() {
		for _, l := range h.lines(d.Record.Log) {
			if l.Allowed && l.Kind == "secrets" && l.Release == c.ID && l.Resource == "crm-key" {
				delete(leases, l.Lease)
			}
			if !l.Allowed && strings.Contains(l.Reason, "version 7") && l.Lease == "" {
				refused++
			}
		}
	}
	if len(leases) > 0 || refused != 1 {
		t.Errorf("%d leases are not in the log, and %d refusals are", len(leases), refused)
	}
}

func TestWhateverEndsEndsOpenLeasesWithinASecond(t *testing.T) {
	for name, row := range map[string]struct {
		end  func(h *house, c wire.Case)
		says string
	}{
		"release suspended": {func(h *house, c wire.Case) { must[wire.Case](h)(h.reg.Suspend(h.ctx, sam, c.ID, "incident", false)) }, "is suspended"},
		"release retired":   {func(h *house, c wire.Case) { must[wire.Case](h)(h.reg.Retire(h.ctx, olga, c.ID, "over")) }, "is retired"},
		"data withdrawn": {func(h *house, _ wire.Case) {
			must[record.Recorded[record.DataApproval]](h)(h.reg.DecideData(h.ctx, bob, record.DataApproval{Dataset: digest("data 1"), Decision: record.Withdraw, Reason: "r"}))
		}, "data"},
		"secret withdrawn": {func(h *house, _ wire.Case) {
			must[record.Recorded[record.Secret]](h)(h.reg.WithdrawSecret(h.ctx, sam, "lab", "crm-key", "it leaked"))
		}, "it leaked"},
		"rotated without overlap": {func(h *house, _ wire.Case) { h.rotate("crm-key", "next", 0) }, "cannot be read"},
		"grant gone": {func(h *house, _ wire.Case) {
			h.liveWith("2", held(record.Grant{Resource: "other", Actions: []string{"use"}}))
		}, ""},
		"time over": {func(h *house, _ wire.Case) { h.clock.turn(5 * time.Minute) }, "its time is over"},
		"workload disabled": {func(h *house, _ wire.Case) {
			must[record.Recorded[record.Principal]](h)(h.reg.EnrolPrincipal(h.ctx, administrator, record.Principal{
				Name: "scorer", Type: record.Workload, Owner: "olga", Purpose: "scores", Expires: h.clock.now().AddDate(0, 1, 0).Truncate(time.Millisecond), Disabled: true,
			}))
		}, "disabled"},
		"returned": {func(*house, wire.Case) {}, "returned"},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			h.agent("scorer")
			h.setSecret("crm-key", value)
			c := h.liveWith("1", held())
			l := h.lease(0)
			row.end(h, c)
			if name == "returned" {
				l.Return()
			}
			h.ended(l, row.says)
			l.Return() // a second end is none
		})
	}
}

func TestRotationIsToldAndOverlaps(t *testing.T) {
	secretly(t, func(t *testing.T, h *house) {
		h.agent("scorer")
		h.setSecret("crm-key", "first")
		h.liveWith("1", held())
		old := h.lease(0)
		h.rotate("crm-key", "second", time.Minute)
		select {
		case <-old.Rotated():
		case <-time.After(time.Second):
			t.Fatal("an open lease was not told of the rotation")
		}
		if string(old.Value()) != "first" || old.Context().Err() != nil {
			t.Error("the old version is not to be had during the overlap")
		}
		h.lent(0, "second")
		if got := h.lent(1, "first"); got.Lease.Until.After(h.clock.peek().Add(time.Minute)) {
			t.Errorf("lent beyond the overlap: %s", got.Lease.Until)
		}
		h.clock.turn(time.Minute)
		h.ended(old, "")
		h.notLent(1, "cannot be read")
		h.lent(2, "second")
		h.rotate("crm-key", "third", time.Minute)
		h.notLent(1, "cannot be read")
		h.again()
		h.lent(2, "second")
		h.lent(3, "third")
		must[record.Recorded[record.Secret]](t)(h.reg.WithdrawSecret(h.ctx, sam, "lab", "crm-key", "over"))
		h.notLent(0, "was withdrawn: over")
		h.setSecret("crm-key", "fourth")
		h.lent(4, "fourth")
		h.notLent(3, "cannot be read")
	})
}

// TestConcurrentRotationAndUse has no reader see what is neither the version that
// it was told nor a refusal, and no two rotations the same number.
func TestConcurrentRotationAndUse(t *testing.T) {
	secretly(t, func(t *testing.T, h *house) {
		h.agent("scorer")
		h.setSecret("crm-key", "value 1")
		h.liveWith("1", held())
		var all sync.WaitGroup
		for w := range 3 {
			all.Go(func() {
				for range 4 {
					in := wire.SecretRotation{OverlapSeconds: 60}
					// Whoever rotates does not know the number beforehand.
					in.Value = wire.SecretValue(fmt.Sprintf("by %d", w))
					if _, err := h.reg.RotateSecret(h.ctx, sam, "lab", "crm-key", in); err != nil {
						t.Error(err)
					}
				}
			})
			all.Go(func() {
				for range 10 {
					l, err := h.reg.UseSecret(h.ctx, h.gateway(), scorer, registry.SecretUse{Secret: "lab/crm-key"})
					if err != nil {
						// The version was overtaken twice between yes and its value.
						if !strings.Contains(err.Error(), "not kept here any more") {
							t.Error(err)
						}
						continue
					}
					if v := string(l.Value()); v != "" && v != "value 1" && !strings.HasPrefix(v, "by ") {
						t.Errorf("read %d bytes that nobody set", len(v))
					}
					l.Return()
				}
			})
		}
		all.Wait()
		if got := must[wire.SecretStatus](t)(h.reg.Secret(h.ctx, rita, "lab", "crm-key")); got.Secret.Record.Version != 13 || len(got.Versions) != 13 {
			t.Errorf("version %d of %d", got.Secret.Record.Version, len(got.Versions))
		}
		h.lent(13, must[string](t)(valueOf(h)))
	})
}

func valueOf(h *house) (string, error) {
	l, err := h.reg.UseSecret(h.ctx, h.gateway(), scorer, registry.SecretUse{Secret: "lab/crm-key"})
	if err != nil {
		return "", err
	}
	return string(l.Value()), nil
}

// TestNHI2NoValueLeavesButByTheOneDoor looks for values in all that the server
// keeps and says: ledger, blobs, decision log, errors.
func TestNHI2NoValueLeavesButByTheOneDoor(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	who := sam
	who.Request = "key-1#0123456789abcdef"
	in := wire.SecretRequest{Team: "lab", Name: "crm-key", SecretVersion: wire.SecretVersion{Value: wire.SecretValue(value)}}
	must[record.Recorded[record.Secret]](t)(h.reg.SetSecret(h.ctx, who, in))
	h.liveWith("1", held())
	l := h.lease(0)
	h.lent(0, value)
	said := fmt.Sprintf("%v %+v %#v %s %x %d %v %+v %#v %s", in, in, in, in.Value, in.Value, in.Value, l, l, l, l)
	var refused *registry.Error
	_, err := h.reg.SetSecret(h.ctx, sam, in)
	if !errors.As(err, &refused) || refused.Code != wire.Conflict {
		t.Errorf("set twice: %v", err)
	}
	said += err.Error()
	big := wire.SecretVersion{Value: bytes.Repeat([]byte(value), wire.MaxSecret/len(value)+1)}
	if _, err = h.reg.RotateSecret(h.ctx, sam, "lab", "crm-key", wire.SecretRotation{SecretVersion: big}); err == nil || !strings.Contains(err.Error(), "1048576") {
		t.Errorf("more than 1 MB: %v", err)
	}
	said += fmt.Sprint(err)
	// A repeat is answered with what was stated. A fingerprint of the value in the
	// ledger would let a weak one be guessed.
	if again := must[record.Recorded[record.Secret]](t)(h.reg.SetSecret(h.ctx, who, in)); again.Record.Version != 1 {
		t.Errorf("a repeat made version %d", again.Record.Version)
	}
	if err := h.reg.Close(); err != nil {
		t.Fatal(err)
	}
	kept := 0
	err = filepath.WalkDir(h.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		kept += len(raw)
		for _, form := range []string{value, base64.StdEncoding.EncodeToString([]byte(value))[:40], hex.EncodeToString([]byte(value)), "AGE-SECRET-KEY", "0123456789abcdef"} {
			if bytes.Contains(raw, []byte(form)) {
				t.Errorf("%s holds %.8s…", filepath.Base(path), form)
			}
		}
		return err
	})
	if err != nil || kept == 0 {
		t.Fatal(err, kept)
	}
	if strings.Contains(said, value) || strings.Contains(said, hex.EncodeToString([]byte(value))) || strings.Contains(said, "104 117 110") {
		t.Error("what was printed shows the value")
	}
}

// TestASecretIsKeptBeforeItIsStated: a crash between the two leaves no name
// without a value.
func TestASecretIsKeptBeforeItIsStated(t *testing.T) {
	secretly(t, func(t *testing.T, h *house) {
		h.agent("scorer")
		h.setSecret("crm-key", value)
		h.liveWith("1", held())
		// What a crash leaves: the next version's value is kept, and not stated.
		x := record.Secret{Team: "lab", Name: "crm-key", Version: 2, Provider: record.SecretEmbedded, Reference: "s-crashed"}
		if err := h.reg.KeepValue(h.ctx, x, []byte("lost")); err != nil {
			t.Fatal(err)
		}
		h.again()
		h.lent(0, value)
		h.rotate("crm-key", "next", 0)
		h.lent(2, "next")
	})
}

func TestSecretsAreOpenedByTheirKeyAlone(t *testing.T) {
	secretly(t, func(t *testing.T, h *house) {
		h.agent("scorer")
		first, second := must[string](t)(registry.NewSecretsKey()), must[string](t)(registry.NewSecretsKey())
		h.restartWith(first)
		h.setSecret("crm-key", value)
		h.liveWith("1", held())
		h.restartWith(second)
		h.notLent(0, "no key that this server has opens it")
		h.restartWith("# the new one first\n" + second + "\n" + first + "\n")
		h.lent(0, value)
		if n := must[int](t)(h.reg.RekeySecrets(h.ctx)); n != 1 {
			t.Errorf("%d values were encrypted anew", n)
		}
		h.restartWith(second)
		h.lent(0, value)
		h.restartWith(first)
		h.notLent(0, "no key that this server has opens it")
	})
}

func TestServersOfOneLedgerNeedAGivenKey(t *testing.T) {
	h := openOn(t, storetest.Postgres(t).DSN)
	_, err := h.reg.SetSecret(h.ctx, sam, wire.SecretRequest{Team: "lab", Name: "crm-key", SecretVersion: wire.SecretVersion{Value: []byte(value)}})
	if err == nil || !strings.Contains(err.Error(), "--secrets-key") {
		t.Fatal(err)
	}
	for _, key := range []string{"AGE-SECRET-KEY-1QQQ", "hunter2", "AGE-SECRET-KEY-1" + strings.Repeat("B", 58)} {
		_, err := registry.Open(h.ctx, registry.Config{Data: t.TempDir(), SecretsKey: key})
		if err == nil || !strings.Contains(err.Error(), "age identities") || strings.Contains(err.Error(), key) {
			t.Errorf("%v", err)
		}
	}
}

// TestNHI9AnotherTeamsSecretIsNotLent: whoever approves for one team cannot give
// away what is another's.
func TestNHI9AnotherTeamsSecretIsNotLent(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	must[record.Recorded[record.Team]](t)(h.reg.CreateTeam(h.ctx, administrator, record.Team{Name: "bank"}))
	in := wire.SecretRequest{Team: "bank", Name: "crm-key", SecretVersion: wire.SecretVersion{Value: []byte(value)}}
	if _, err := h.reg.SetSecret(h.ctx, sam, in); err == nil || !strings.Contains(err.Error(), "set secrets for team bank") {
		t.Fatal(err)
	}
	must[record.Recorded[record.Secret]](t)(h.reg.SetSecret(h.ctx, administrator, in))
	h.liveWith("1", held(record.Grant{Resource: "*", Actions: []string{"*"}}))
	_, err := h.reg.ReadSecret(h.ctx, scorer, "bank", "crm-key", wire.SecretAsk{})
	if err == nil || !strings.Contains(err.Error(), "not of the team of the release") {
		t.Fatal(err)
	}
}

// TestNHI7NoLeaseOutlivesWhatItRestsOn: five minutes, the grant, the token, the
// secret.
func TestNHI7NoLeaseOutlivesWhatItRestsOn(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	now := h.clock.peek()
	soon := now.Add(time.Minute).Truncate(time.Millisecond)
	in := wire.SecretRequest{Team: "lab", Name: "short", SecretVersion: wire.SecretVersion{Value: []byte("v"), Expires: now.Add(90 * time.Second).Truncate(time.Millisecond)}}
	must[record.Recorded[record.Secret]](t)(h.reg.SetSecret(h.ctx, sam, in))
	h.setSecret("crm-key", value)
	h.liveWith("1", held(record.Grant{Resource: "crm-key", Actions: []string{"read"}}, record.Grant{Resource: "short", Actions: []string{"read"}}, record.Grant{Resource: "crm-key", Actions: []string{"use"}, Until: soon}))
	if got := h.lease(0); !got.Until.Equal(soon) {
		t.Errorf("the grant ends %s, the lease %s", soon, got.Until)
	}
	short := must[wire.LentSecret](t)(h.reg.ReadSecret(h.ctx, scorer, "lab", "short", wire.SecretAsk{}))
	if !short.Lease.Until.Equal(in.Expires) {
		t.Errorf("the secret expires %s, the lease ends %s", in.Expires, short.Lease.Until)
	}
	token := must[wire.IssuedToken](t)(h.reg.IssueToken(h.ctx, administrator, wire.TokenRequest{Principal: "scorer", Scopes: []string{record.ScopeWrite}, Seconds: 30}))
	who := must[registry.Caller](t)(h.reg.Authenticate(h.ctx, token.Secret))
	got := must[wire.LentSecret](t)(h.reg.ReadSecret(h.ctx, who, "lab", "crm-key", wire.SecretAsk{}))
	if !got.Lease.Until.Equal(token.Token.Record.Expires) {
		t.Errorf("the token expires %s, the lease ends %s", token.Token.Record.Expires, got.Lease.Until)
	}
	h.clock.turn(2 * time.Minute)
	if _, err := h.reg.ReadSecret(h.ctx, scorer, "lab", "short", wire.SecretAsk{}); err == nil || !strings.Contains(err.Error(), "has expired") {
		t.Error(err)
	}
	if _, err := h.reg.RotateSecret(h.ctx, sam, "lab", "crm-key", wire.SecretRotation{SecretVersion: wire.SecretVersion{Value: []byte("v")}, OverlapSeconds: 1 << 40}); err == nil || !strings.Contains(err.Error(), "30 days") {
		t.Error(err)
	}
}

// TestAnAccessTokenIsLentSecrets: its end, and its revocation, end the leases.
func TestAnAccessTokenIsLentSecrets(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	h.identify("scorer", nil)
	h.setSecret("crm-key", value)
	h.liveWith("1", held())
	got := h.access("scorer")
	who := must[registry.Caller](t)(h.reg.VerifyAccess(h.ctx, shown(got.Secret)))
	h.clock.turn(time.Minute)
	l := must[*registry.Lease](t)(h.reg.UseSecret(h.ctx, h.gateway(), who, registry.SecretUse{Secret: "lab/crm-key"}))
	if !l.Until.Equal(time.Unix(got.Access.Expires, 0)) {
		t.Errorf("the token ends %s, the lease %s", time.Unix(got.Access.Expires, 0), l.Until)
	}
	must[record.Recorded[record.Revocation]](t)(h.reg.EndAccess(h.ctx, olga, "scorer", wire.Stop{Reason: "a key leaked"}))
	h.ended(l, "access token")
	if _, err := h.reg.SetSecret(h.ctx, who, wire.SecretRequest{Team: "lab", Name: "own", SecretVersion: wire.SecretVersion{Value: []byte("v")}}); registry.CodeOf(err) != wire.Forbidden {
		t.Error(err)
	}
}

func TestHostileNamesOfSecretsAreRefused(t *testing.T) {
	h := open(t)
	for _, name := range []string{"", "..", "a/b", "../bank/key", "Key", "kéy", "k\u202ey", "k\x00y", "%2e%2e", "*", strings.Repeat("k", 129)} {
		in := wire.SecretRequest{Team: "lab", Name: name, SecretVersion: wire.SecretVersion{Value: []byte(value)}}
		if _, err := h.reg.SetSecret(h.ctx, sam, in); registry.CodeOf(err) != wire.Invalid {
			t.Errorf("%q: %v", name, err)
		}
	}
	if got := must[[]wire.SecretStatus](t)(h.reg.Secrets(h.ctx, sam, "")); len(got) > 0 {
		t.Errorf("%+v", got)
	}
}
