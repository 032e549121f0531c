package registry_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/policy"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/verify"
	"imprimatur.dev/wire"
)

func TestLiveAtAnyTimeOfALongHistory(t *testing.T) {
	h := open(t)
	ids := map[string]string{"": ""}
	for _, v := range []string{"1", "2"} {
		h.shift(v)
		c := h.incomplete(v)
		ids[v] = c.ID
		for _, role := range seats {
			must[wire.Case](t)(h.approve(approver(role, v), role, c))
		}
	}
	began := h.clock.now()
	type moment struct {
		at   time.Time
		runs string
	}
	var moments []moment
	step := func(runs string, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		entries := must[[]wire.Entry](t)(h.reg.History(h.ctx, rita, ids["1"]))
		moments = append(moments, moment{entries[len(entries)-1].Time, runs})
		h.clock.turn(time.Hour)
	}
	promote := func(v string) error { return only(h.reg.Promote(h.ctx, olga, ids[v])) }
	suspend := func(v string, lift bool) error { return only(h.reg.Suspend(h.ctx, sam, ids[v], "r", lift)) }
	step("1", promote("1"))
	step("2", promote("2"))
	step("", suspend("2", false))
	step("2", suspend("2", true))
	step("", suspend("2", false))
	step("1", only(h.reg.Rollback(h.ctx, olga, ids["2"], ids["1"], "r")))
	step("1", suspend("2", true))
	step("1", suspend("2", false))
	step("", only(h.reg.Retire(h.ctx, olga, ids["1"], "r")))
	step("", suspend("2", true)) // it was replaced in the meantime
	step("2", promote("2"))
	step("", only(h.reg.Retire(h.ctx, olga, ids["2"], "r")))
	ask := func() {
		t.Helper()
		runs := func(at time.Time) string {
			l := must[[]wire.LiveRelease](t)(h.reg.Live(h.ctx, rita, at))
			if len(l) == 0 {
				return ""
			}
			if len(l) > 1 || len(l[0].Approvals) != 3 || len(l[0].Evaluations) != 1 || l[0].Since.After(at) || l[0].PromotedBy != "olga" {
				t.Errorf("at %s: %+v", at, l)
			}
			return l[0].Release
		}
		before := ""
		if got := runs(began); got != "" {
			t.Errorf("before all, %s ran", got)
		}
		for i, m := range moments {
			if got := runs(m.at.Add(-time.Millisecond)); got != ids[before] {
				t.Errorf("just before step %d %q ran, want version %q", i, got, before)
			}
			if got := runs(m.at); got != ids[m.runs] {
				t.Errorf("from step %d on %q ran, want version %q", i, got, m.runs)
			}
			before = m.runs
		}
	}
	ask()
	h.again()
	ask()
}

func TestImpactReachesAllThatUsesAThing(t *testing.T) {
	h := open(t)
	h.shift("2")
	grants := record.Authority{Secrets: []record.Grant{{Resource: "db-main", Actions: []string{"use"}}, {Resource: "mail-*", Actions: []string{"use"}}}}
	base := h.train("1", true)
	h.evaluate(base, 950)
	c := must[wire.Case](t)(h.propose("1", grants))
	for who, role := range map[string]record.RoleName{"olga": record.ModelOwner, "rita": record.Risk, "sam": record.Security} {
		must[wire.Case](t)(h.approve(caller(who), role, c))
	}
	must[wire.Promoted](t)(h.reg.Promote(h.ctx, olga, c.ID))
	// A second model is tuned from the first by a run that names it.
	tuned := h.trainBy(robot, "2", true, func(r *record.Run) {
		r.Inputs = append(r.Inputs, record.Resource{Type: record.ResourceModel, Name: "net", Digest: base})
	})
	h.evaluate(tuned, 950)
	second := must[wire.Case](t)(h.propose("2", record.Authority{}))
	reached := func(thing string) map[string]bool {
		t.Helper()
		releases := map[string]bool{}
		for _, r := range must[wire.Impact](t)(h.reg.Impact(h.ctx, rita, thing, "", 0)).Reached {
			if r.Word == "release" {
				id, _, _ := strings.Cut(r.Name, " ")
				releases[id] = r.Live != nil
			}
		}
		return releases
	}
	both := map[string]bool{c.ID: true, second.ID: false}
	for thing, want := range map[string]map[string]bool{
		string(digest("data 1")): both, "lab/data-1@1": both, string(base): both, "lab/net@1": both,
		string(digest("data 2")): {second.ID: false}, "lab/net@2": {second.ID: false},
		"run:lab/run-1": both, "commit:" + strings.Repeat("ab", 20): both, "principal:robot": both, "s3://lab/1": both, "run:lab/run-2": {second.ID: false},
		"principal:bob": both, "principal:sam": {c.ID: true}, "principal:nobody": {},
		"secret:db-main": {c.ID: true}, "secret:mail-smtp": {c.ID: true}, "secret:db-other": {},
		string(digest("nothing")): {},
	} {
		if diff := cmp.Diff(want, reached(thing)); diff != "" {
			t.Errorf("the releases reached by %s, and whether they are live:\n%s", thing, diff)
		}
	}
	words := map[string]int{}
	for _, r := range must[wire.Impact](t)(h.reg.Impact(h.ctx, rita, "lab/data-1@1", "", 0)).Reached {
		words[r.Word]++
	}
	if diff := cmp.Diff(map[string]int{"training run": 2, "model version": 2, "release": 2}, words); diff != "" {
		t.Errorf("what the first data reaches:\n%s", diff)
	}
	must[wire.Case](t)(h.reg.Suspend(h.ctx, sam, c.ID, "r", false))
	if got := reached("lab/data-1@1"); got[c.ID] {
		t.Error("a suspended release is shown as live")
	}
}

const solo = `apiVersion: imprimatur/v1
kind: Policy
name: alone
tiers:
  low:
    solo: true
    approvals:
      - { role: model-owner, covers: [behaviour, data, authority, context] }
`

// TestRule13ASoloReleaseIsMarkedForEver lets one person do everything.
func TestRule13ASoloReleaseIsMarkedForEver(t *testing.T) {
	h := open(t)
	h.bind("ann", record.Risk)
	must[wire.Published](t)(h.reg.PublishPolicy(h.ctx, ann, []byte(solo), "one of us"))
	must[record.Recorded[record.Environment]](t)(h.reg.SetEnvironment(h.ctx, administrator, record.Environment{Name: "shed", LeastTier: "low", Policy: "alone"}))
	must[record.Recorded[record.UseCase]](t)(h.reg.RegisterUseCase(h.ctx, ann, record.UseCase{Team: "lab", Name: "hobby", Title: "H", Purpose: "h", Owner: "ann", Tier: "low", Environments: []string{"shed"}}))
	model := h.train("1", true)
	c := must[wire.Case](t)(h.reg.ProposeRelease(h.ctx, ann, wire.Proposal{Version: "lab/net@1", UseCase: "lab/hobby", Environment: "shed"}))
	must[wire.Case](t)(h.approve(ann, record.ModelOwner, c))
	p := must[wire.Promoted](t)(h.reg.Promote(h.ctx, ann, c.ID))
	marked := func(where string, marks []string) {
		t.Helper()
		if !slices.Contains(marks, policy.MarkNoIndependent) {
			t.Errorf("%s is marked %v", where, marks)
		}
	}
	marked("the answer", p.Case.Verdict.Marks)
	look := func() {
		t.Helper()
		marked("the case", h.check(c.ID).Verdict.Marks)
		d := h.reg.Decide(h.ctx, "shed", model)
		if !d.Allowed {
			t.Errorf("it may not run: %v", d.Reasons)
		}
		marked("the decision", d.Marks)
		l := must[[]wire.LiveRelease](t)(h.reg.Live(h.ctx, rita, time.Time{}))
		if len(l) != 1 {
			t.Fatalf("live: %+v", l)
		}
		marked("the live release", l[0].Marks)
		trusted := h.bundleReport(c.ID, "shed", h.clock.now())
		if !trusted.OK {
			t.Errorf("the bundle: %v", trusted.Reasons)
		}
		marked("the bundle's report", trusted.Marks)
		marked("the bundle's verdict", trusted.Verdict.Marks)
	}
	look()
	h.clock.turn(200 * day)
	h.again()
	look()
	then := h.clock.now()
	must[wire.Case](t)(h.reg.Retire(h.ctx, ann, c.ID, "done"))
	h.clock.turn(day)
	l := must[[]wire.LiveRelease](t)(h.reg.Live(h.ctx, rita, then))
	marked("what was live", l[0].Marks)
}

// TestRule11SecretsAreNeverStated looks for every secret of a story in all that
// is kept or given out.
func TestRule11SecretsAreNeverStated(t *testing.T) {
	const passphrase = "correct horse battery staple"
	dir := t.TempDir()
	c := clock{at: time.Date(2026, 5, 1, 9, 0, 0, 0, time.UTC)}
	ctx := t.Context()
	reg := must[*registry.Registry](t)(registry.Open(ctx, registry.Config{Data: dir, Passphrase: passphrase, Now: c.now}))
	t.Cleanup(func() { reg.Close() })
	secrets := []string{passphrase, must[string](t)(reg.Begin(ctx)), must[string](t)(reg.RecoverAdministrator(ctx))}
	for range 2 {
		issued := must[wire.IssuedToken](t)(reg.IssueToken(ctx, administrator, wire.TokenRequest{Principal: administrator.Name, Scopes: []string{"write"}, Seconds: 60}))
		secrets = append(secrets, issued.Secret)
		if _, err := reg.Authenticate(ctx, issued.Secret); err != nil {
			t.Fatal(err)
		}
		must[record.Recorded[record.Token]](t)(reg.RevokeToken(ctx, administrator, issued.Token.Record.ID))
	}
	var needles [][]byte
	for _, s := range secrets {
		needles = append(needles, []byte(s))
		if parts := strings.Split(s, "_"); len(parts) == 3 {
			needles = append(needles, []byte(parts[2]))
		}
	}
	clean := func(where string, text []byte) {
		t.Helper()
		for i, n := range needles {
			if bytes.Contains(text, n) {
				t.Errorf("%s holds secret %d", where, i)
			}
		}
	}
	for i, p := range must[[][]byte](t)(reg.Payloads(ctx)) {
		clean("payload", p)
		if i == 0 && len(p) == 0 {
			t.Error("there are no payloads")
		}
	}
	_, err := reg.Authenticate(ctx, secrets[3])
	clean("the refusal of a revoked token", []byte(err.Error()))
	clean("the answer about it", []byte(wire.SignIn+registry.CodeOf(err)))
	if err := reg.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = registry.Open(context.Background(), registry.Config{Data: dir, Passphrase: passphrase + "r"})
	if err == nil {
		t.Fatal("another passphrase opens the key")
	}
	clean("the refusal of a passphrase", []byte(err.Error()))
	files := 0
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		content, err := os.ReadFile(path)
		clean(path, content)
		return err
	})
	if err != nil || files < 3 {
		t.Errorf("%d files were looked at: %v", files, err)
	}
}

// TestRule11GrantsNameSecretsOnly reads a bundle of a release with secrets.
func TestRule11GrantsNameSecretsOnly(t *testing.T) {
	h := open(t)
	issued := must[wire.IssuedToken](t)(h.reg.IssueToken(h.ctx, rita, wire.TokenRequest{Principal: "rita", Scopes: []string{"write"}, Seconds: 60}))
	c := h.live("1")
	raw := must[[]byte](t)(must[*verify.Bundle](t)(h.reg.Bundle(h.ctx, rita, c.ID)).Marshal())
	_, secret, _ := strings.Cut(strings.TrimPrefix(issued.Secret, "imp_"), "_")
	for what, text := range map[string]string{"a token": issued.Secret, "a secret": secret, "a token's hash": string(issued.Token.Record.Hash)} {
		if bytes.Contains(raw, []byte(text)) {
			t.Errorf("the bundle holds %s", what)
		}
	}
	for _, e := range must[*verify.Bundle](t)(h.reg.Bundle(h.ctx, rita, c.ID)).Entries {
		for what, text := range map[string]string{"a secret": secret, "a token's hash": string(issued.Token.Record.Hash)} {
			if bytes.Contains(e.Payload, []byte(text)) {
				t.Errorf("statement %d of the bundle holds %s", e.Index, what)
			}
		}
	}
}
