package registry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"imprimatur.dev/attest"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/verify"
	"imprimatur.dev/wire"
)

const rules = `apiVersion: imprimatur/v1
kind: Policy
name: house
tiers:
  high:
    mode: enforce
    lineage: { datasets: approved, run: attested, code: committed }
    evaluations:
      - { category: accuracy, suite: holdout, metric: accuracy, require: lower95 >= 0.85, minSamples: 100, freshFor: 30d }
    approvals:
      - { role: model-owner, count: 1, covers: [behaviour, data, context] }
      - { role: risk, count: 1, covers: [behaviour, data, context] }
      - { role: security, count: 1, covers: [authority, behaviour] }
    separation: [trainer, evaluator, code-author]
    expires: 90d
`

// clock is a hand-turned clock.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	// Each reading is later than the one before, as a real clock's.
	c.at = c.at.Add(time.Millisecond)
	return c.at
}

// set makes the next reading at or just after t.
func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = t.Add(-time.Millisecond)
}

func (c *clock) turn(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// house is an installation with its people, on a real store.
type house struct {
	testing.TB
	ctx   context.Context
	reg   *registry.Registry
	clock *clock
	dir   string
	// database is a PostgreSQL URL; empty for SQLite in dir.
	database string
	// config is what the installation is opened with besides.
	config registry.Config
	// aProbe is the ID of one that was recorded.
	aProbe string
}

var (
	administrator = caller(registry.FirstAdministrator)
	ann           = caller("ann") // contributor and model owner: the trainer's owner
	bob           = caller("bob") // data steward
	eve           = caller("eve") // evaluator
	olga          = caller("olga")
	rita          = caller("rita")
	sam           = caller("sam")
	robot         = registry.Caller{Name: "robot", Type: record.Workload, Method: record.MethodToken}
)

func caller(name string) registry.Caller {
	return registry.Caller{Name: name, Type: record.Human, Method: record.MethodToken}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// open opens an installation and enrols everybody.
func open(t testing.TB) *house { return openOn(t, "") }

func openOn(t testing.TB, database string) *house {
	h := &house{TB: t, database: database, ctx: t.Context(), dir: t.TempDir(), clock: &clock{at: time.Date(2026, 5, 1, 9, 0, 0, 0, time.UTC)}}
	h.reopen()
	if secret := must[string](t)(h.reg.Begin(h.ctx)); !strings.HasPrefix(secret, "imp_") {
		t.Fatalf("the first start gave the token %q", secret)
	}
	must[record.Recorded[record.Team]](t)(h.reg.CreateTeam(h.ctx, administrator, record.Team{Name: "lab"}))
	h.enrol("ann", record.Contributor, record.ModelOwner)
	h.enrol("bob", record.DataSteward)
	h.enrol("eve", record.Evaluator)
	h.enrol("olga", record.ModelOwner)
	h.enrol("rita", record.Risk)
	h.enrol("sam", record.Security)
	must[record.Recorded[record.Principal]](t)(h.reg.EnrolPrincipal(h.ctx, administrator, record.Principal{
		Name: "robot", Type: record.Workload, Owner: "ann", Purpose: "trains", Expires: h.clock.now().AddDate(1, 0, 0).Truncate(time.Millisecond),
	}))
	h.bind("robot", record.Contributor)
	must[wire.Published](t)(h.reg.PublishPolicy(h.ctx, rita, []byte(rules), "house rules"))
	must[record.Recorded[record.Environment]](t)(h.reg.SetEnvironment(h.ctx, administrator, record.Environment{Name: "production", LeastTier: "low", Policy: "house"}))
	must[record.Recorded[record.UseCase]](t)(h.reg.RegisterUseCase(h.ctx, olga, record.UseCase{
		Team: "lab", Name: "triage", Title: "Triage", Purpose: "triage", Owner: "olga", Tier: "high", Environments: []string{"production"},
	}))
	must[record.Recorded[record.Model]](t)(h.reg.RegisterModel(h.ctx, ann, record.Model{Team: "lab", Name: "net", Type: record.Trained, Owner: "olga"}))
	return h
}

func (h *house) reopen() {
	h.Helper()
	cfg := h.config
	cfg.Data, cfg.Database, cfg.Now, cfg.URL = h.dir, h.database, h.clock.now, here
	reg, err := registry.Open(h.ctx, cfg)
	if err != nil {
		h.Fatal(err)
	}
	h.reg = reg
	h.Cleanup(func() { reg.Close() })
}

func (h *house) enrol(name string, roles ...record.RoleName) {
	h.Helper()
	must[record.Recorded[record.Principal]](h)(h.reg.EnrolPrincipal(h.ctx, administrator, record.Principal{Name: name, Type: record.Human}))
	for _, r := range roles {
		h.bind(name, r)
	}
}

func (h *house) bind(name string, role record.RoleName) {
	h.Helper()
	team := "lab"
	if role == record.Risk {
		team = record.AllTeams
	}
	must[record.Recorded[record.Role]](h)(h.reg.BindRole(h.ctx, administrator, record.Role{Principal: name, Role: role, Team: team}))
}

func digest(text string) record.Digest { return record.DigestOf([]byte(text)) }

// train registers data, run and version; the data is approved when asked.
func (h *house) train(version string, approved bool) record.Digest {
	h.Helper()
	return h.trainBy(robot, version, approved, func(*record.Run) {})
}

// trainBy is train with another actor and a change to the run.
func (h *house) trainBy(who registry.Caller, version string, approved bool, change func(*record.Run)) record.Digest {
	h.Helper()
	data, model := digest("data "+version), digest("model "+version)
	must[record.Recorded[record.Dataset]](h)(h.reg.RegisterDataset(h.ctx, ann, record.Dataset{
		Team: "lab", Name: "data-" + version, Version: "1", Digest: data, Source: "s3://lab/" + version, Classification: "internal", Owner: "bob",
	}))
	if approved {
		h.approveData(data)
	}
	now := record.Millis(h.clock.now())
	run := record.Run{
		Team: "lab", ID: "run-" + version, Code: record.Code{Repository: "https://lab.example/net", Commit: strings.Repeat("ab", 20)},
		Inputs:  []record.Resource{{Type: record.ResourceDataset, Name: "data", Digest: data}},
		Outputs: []record.Resource{{Type: record.ResourceModel, Name: "net", Digest: model}},
		Started: now.Add(-time.Hour), Finished: now.Add(-time.Minute),
	}
	change(&run)
	must[record.Recorded[record.Run]](h)(h.reg.RecordRun(h.ctx, who, run))
	must[record.Recorded[record.ModelVersion]](h)(h.reg.RegisterVersion(h.ctx, ann, record.ModelVersion{
		Model: "lab/net", Version: version, Type: record.Trained, Artifact: model, Run: "lab/run-" + version,
		Files: []record.File{{Path: "model.safetensors", SHA256: model.Hex(), Size: 10}},
	}))
	return model
}

func (h *house) approveData(data record.Digest) {
	h.Helper()
	must[record.Recorded[record.DataApproval]](h)(h.reg.DecideData(h.ctx, bob, record.DataApproval{
		Dataset: data, Decision: record.Allow, Purposes: []string{"triage"}, Expires: record.Millis(h.clock.now().AddDate(0, 6, 0)), Reason: "licensed",
	}))
}

// evaluate records successes out of 1,000 on a held-out set.
func (h *house) evaluate(model record.Digest, successes int) {
	h.Helper()
	h.evaluateAs(eve, model, successes)
}

func (h *house) evaluateAs(who registry.Caller, model record.Digest, successes int) {
	h.Helper()
	held := record.Dataset{Team: "lab", Name: "held-out", Version: "1", Digest: digest("held out"), Source: "s3://lab/held", Classification: "internal", Owner: "bob"}
	must[record.Recorded[record.Dataset]](h)(h.reg.RegisterDataset(h.ctx, ann, held))
	must[[]record.Recorded[record.Evaluation]](h)(h.record(who, submission(model, held.Digest), itemsOf(successes, 1000, h.clock.now())))
}

// submission is what is said of an evaluation of a model.
func submission(model, dataset record.Digest) wire.Submission {
	return wire.Submission{Run: record.EvaluationRun{Team: "lab", Artifact: model, Dataset: dataset}}
}

// itemsOf is the evidence of an evaluation of n items, of which some succeeded.
func itemsOf(successes, n int, ran time.Time) []byte {
	out := fmt.Appendf(nil, `{"imprimatur":"items/v1","suite":"holdout","category":"accuracy","ran":%q,"tool":{"name":"own","version":"1"},"metrics":{"accuracy":{"direction":"higher"}}}`+"\n",
		record.Millis(ran).Format(time.RFC3339Nano))
	for i := range n {
		out = fmt.Appendf(out, `{"item":"%d","metrics":{"accuracy":%v}}`+"\n", i, i < successes)
	}
	return out
}

// record keeps the evidence and records it.
func (h *house) record(who registry.Caller, in wire.Submission, files ...[]byte) ([]record.Recorded[record.Evaluation], error) {
	h.Helper()
	for i, f := range files {
		d := record.DigestOf(f)
		if _, err := h.reg.KeepEvidence(h.ctx, who, d, bytes.NewReader(f)); err != nil {
			return nil, err
		}
		in.Files = append(in.Files, wire.EvidenceFile{Name: fmt.Sprintf("file-%d", i), Digest: d})
	}
	return h.reg.RecordEvaluations(h.ctx, who, in)
}

func (h *house) propose(version string, authority record.Authority) (wire.Case, error) {
	return h.reg.ProposeRelease(h.ctx, ann, wire.Proposal{Version: "lab/net@" + version, UseCase: "lab/triage", Environment: "production", Authority: authority})
}

func (h *house) approve(who registry.Caller, role record.RoleName, c wire.Case) (wire.Case, error) {
	return h.reg.Approve(h.ctx, who, wire.Word{Release: c.ID, Record: c.Digests.Record, Role: role, Decision: record.Approve, Reason: "seen"})
}

// ready proposes a version with good evidence and has all three approve it.
func (h *house) ready(version string) wire.Case {
	h.Helper()
	return must[wire.Case](h)(h.approve(rita, record.Risk, h.proposed(version)))
}

// proposed proposes a version with good evidence that waits for rita alone.
func (h *house) proposed(version string) wire.Case {
	h.Helper()
	h.evaluate(h.train(version, true), 950)
	c := must[wire.Case](h)(h.propose(version, record.Authority{}))
	must[wire.Case](h)(h.approve(olga, record.ModelOwner, c))
	return must[wire.Case](h)(h.approve(sam, record.Security, c))
}

// live is ready, promoted.
func (h *house) live(version string) wire.Case {
	h.Helper()
	return must[wire.Promoted](h)(h.reg.Promote(h.ctx, olga, h.ready(version).ID)).Case
}

// refused demands a refusal with a code that says certain things.
func (h *house) refused(err error, code wire.Code, says ...string) {
	h.Helper()
	if err == nil || registry.CodeOf(err) != code {
		h.Fatalf("got %v, want a refusal with the code %s", err, code)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			h.Errorf("the refusal does not say %q:\n%v", s, err)
		}
	}
}

func TestReleaseFromProposalToProduction(t *testing.T) {
	h := open(t)
	c := h.live("1")
	if !c.Stands || c.Status != record.Live || !c.Verdict.Passed {
		t.Fatalf("after promotion: %+v", c.Verdict)
	}
	if d := h.reg.Decide(h.ctx, "production", digest("model 1")); !d.Allowed || d.Release != c.ID {
		t.Errorf("the live model may not run: %v", d.Reasons)
	}
	live := must[[]wire.LiveRelease](t)(h.reg.Live(h.ctx, rita, time.Time{}))
	if len(live) != 1 || live[0].Release != c.ID || len(live[0].Approvals) != 3 || len(live[0].Evaluations) != 1 {
		t.Errorf("live now: %+v", live)
	}
}

func TestProposalWithoutEvidenceIsRefusedWithEveryReason(t *testing.T) {
	h := open(t)
	h.train("1", false)
	_, err := h.propose("1", record.Authority{})
	h.refused(err, wire.Refused, "lineage/datasets", "accuracy/holdout/accuracy", "approval/risk")
	if page := must[wire.Page](t)(h.reg.Releases(h.ctx, rita, "", 0, 0)); len(page.Entries) != 0 {
		t.Errorf("the refused proposal was kept: %+v", page.Entries)
	}
}

func TestAConditionThatCannotBeUsedIsRefusedWhenProposed(t *testing.T) {
	h := open(t)
	h.train("1", true)
	_, err := h.propose("1", record.Authority{Tools: []record.Grant{{Resource: "mail", Actions: []string{"call"}, Condition: "argz.to == 'a'"}}})
	h.refused(err, wire.Invalid, "authority.tools[0]", "argz")
}

func TestRule01LedgerVerifiesAndTheProjectionIsItsRebuild(t *testing.T) {
	h := open(t)
	h.live("1")
	h.live("2")
	report, err := h.reg.VerifyLedger(h.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if report.Entries < 40 || report.Facts < 3*report.Entries || report.Tiles == 0 || report.Checkpoints == 0 {
		t.Errorf("verified %+v", report)
	}
	trust := must[attest.Trust](t)(attest.ParseTrust([]byte(h.reg.VerifierKey() + "\n")))
	beside, err := registry.VerifyLedger(h.ctx, registry.Config{Data: h.dir}, trust, nil)
	if err != nil || beside.Root != report.Root {
		t.Errorf("beside the server: %+v, %v", beside, err)
	}
}

func TestErrorsKeepTheirCause(t *testing.T) {
	h := open(t)
	_, err := h.reg.EnrolPrincipal(h.ctx, administrator, record.Principal{Name: "Bad Name", Type: record.Human})
	var invalid *record.InvalidError
	if !errors.As(err, &invalid) || registry.CodeOf(err) != wire.Invalid {
		t.Errorf("got %v, want the record's own faults", err)
	}
}

func TestBundleVerifiesFromItselfAlone(t *testing.T) {
	h := open(t)
	first := h.live("1")
	second := h.live("2")
	trust, err := attest.ParseTrust([]byte(h.reg.VerifierKey() + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []wire.Case{first, second} {
		b := must[*verify.Bundle](t)(h.reg.Bundle(h.ctx, rita, c.ID))
		raw := must[[]byte](t)(b.Marshal())
		again := must[*verify.Bundle](t)(verify.ParseBundle(raw))
		report := verify.Verify(again, trust, verify.Options{Artifact: c.Release.Record.Behaviour.Artifact, Environment: "production", At: h.clock.now()})
		if want := c.ID == second.ID; report.OK != want || !report.Authentic {
			t.Errorf("%s of %d bytes: ok %v, authentic %v: %s", c.ID, len(raw), report.OK, report.Authentic, strings.Join(report.Reasons, "; "))
		}
	}
}

func TestDecisionFollowsEachPromotion(t *testing.T) {
	h := open(t)
	for _, version := range []string{"1", "2", "3"} {
		c := h.live(version)
		if d := h.reg.Decide(h.ctx, "production", digest("model "+version)); !d.Allowed || d.Release != c.ID {
			t.Fatalf("version %s was promoted and may not run: %v", version, d.Reasons)
		}
	}
	if d := h.reg.Decide(h.ctx, "production", digest("model 1")); d.Allowed {
		t.Error("version 1 was replaced and may still run")
	}
}

func TestRule07WordsOnALaterReleaseTakeNothingBack(t *testing.T) {
	h := open(t)
	first := h.live("1")
	second := h.live("2")
	back := must[wire.Promoted](t)(h.reg.Rollback(h.ctx, olga, second.ID, "", "alarms"))
	if back.Promotion.Record.Release != first.ID || !back.Case.Stands {
		t.Fatalf("rolled back to %s, stands %v: %v", back.Promotion.Record.Release, back.Case.Stands, back.Case.Reasons)
	}
	if _, err := h.reg.Approve(h.ctx, rita, wire.Word{Release: first.ID, Record: first.Digests.Record, Role: record.Risk, Decision: record.RequestChanges, Reason: "seen more"}); err != nil {
		t.Fatal(err)
	}
	if d := h.reg.Decide(h.ctx, "production", digest("model 1")); d.Allowed {
		t.Error("a standing request for changes on the live release does not stop it")
	}
}

func TestUseCaseOfAnotherTeamIsRefused(t *testing.T) {
	h := open(t)
	h.evaluate(h.train("1", true), 950)
	must[record.Recorded[record.Team]](t)(h.reg.CreateTeam(h.ctx, administrator, record.Team{Name: "play"}))
	must[record.Recorded[record.UseCase]](t)(h.reg.RegisterUseCase(h.ctx, rita, record.UseCase{
		Team: "play", Name: "toy", Title: "Toy", Purpose: "triage", Owner: "rita", Tier: "high", Environments: []string{"production"},
	}))
	_, err := h.reg.ProposeRelease(h.ctx, ann, wire.Proposal{Version: "lab/net@1", UseCase: "play/toy", Environment: "production"})
	h.refused(err, wire.Invalid, "another team")
}
