package demo

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/attest"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/verify"
	"imprimatur.dev/wire"
)

const nightlyRules = `apiVersion: imprimatur/v1
kind: Policy
name: nightly
tiers:
  high:
    lineage: { datasets: approved, run: attested, code: committed }
    rollback: ready
    approvals:
      - { role: model-owner, covers: [behaviour, data, context] }
      - { role: risk, covers: [behaviour, data, context] }
      - { role: security, covers: [authority, behaviour] }
    separation: [trainer, evaluator, code-author]
    expires: 180d
`

// night is one scheduled retraining: what is other than usual about it, and what has
// to come of it.
type night struct {
	name string
	// drift is by how much the scanners' scale is off by now; the model is trained on
	// what they measured.
	drift float64
	// scanner is the drift of the masses on which the alarm looks, where it is another.
	scanner float64
	rows    int
	source  string
	program string
	l2      float64
	// reads are the resources that it asks to read.
	reads []string
	// later is how long after the night before it is.
	later time.Duration
	// outside are the bounds that must be named; none where it must be promoted.
	outside []string
}

// schedule are the nights of two months. Each that must not pass differs from the
// usual in one thing, until tries and time run out.
func schedule() []night {
	const day = 24 * time.Hour
	return []night{
		{name: "a usual night", drift: 0, later: day},
		{name: "data from another place", drift: 0.02, source: "s3://elsewhere/scans", later: day, outside: []string{"envelope/sources"}},
		{name: "a penalty out of range", drift: 0.02, l2: 0.5, later: day, outside: []string{"envelope/parameters/l2"}},
		{name: "another program", drift: 0.02, program: "experiments/new.py", later: day, outside: []string{"envelope/code"}},
		{name: "a drifted night, still close", drift: 0.04, later: day},
		{name: "the third within a week", drift: 0.04, later: day, outside: []string{"envelope/week"}},
		{name: "not worse than last week, but than the anchor", drift: 0.12, later: 8 * day, outside: []string{"envelope/anchor/accuracy/holdout/right"}},
		{name: "wider authority", drift: 0.04, reads: []string{"patients/*"}, later: 8 * day, outside: []string{"envelope/authority"}},
		{name: "far too few rows", drift: 0, rows: 30, later: 8 * day, outside: []string{
			"envelope/floor/accuracy/holdout/right", "envelope/production/accuracy/holdout/right", "envelope/anchor/accuracy/holdout/right",
		}},
		{name: "scanners beyond the ceiling", drift: 0.02, scanner: 0.25, later: 8 * day, outside: []string{"envelope/ceiling/drift/shifted-holdout/psi_max"}},
		{name: "a usual night again", drift: 0.02, later: day},
		{name: "the held-out set is spent", drift: 0, later: 8 * day, outside: []string{"envelope/tries"}},
		{name: "after its end", drift: 0, later: 30 * day, outside: []string{"envelope/stands", "envelope/tries"}},
	}
}

// clinicHouse is the clinic with its people, on a real ledger.
type clinicHouse struct {
	testing.TB
	ctx  context.Context
	reg  *registry.Registry
	at   time.Time
	data Data
}

func is[T any](h *clinicHouse) func(T, error) T {
	return func(v T, err error) T {
		h.Helper()
		if err != nil {
			h.Fatal(err)
		}
		return v
	}
}

func somebody(name string) registry.Caller {
	kind := record.Human
	if name == pipeline {
		kind = record.Workload
	}
	return registry.Caller{Name: name, Type: kind, Method: record.MethodToken}
}

func openClinic(t testing.TB) *clinicHouse {
	h := &clinicHouse{TB: t, ctx: t.Context(), at: time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC), data: splits(t)}
	now := func() time.Time { h.at = h.at.Add(time.Millisecond); return h.at }
	h.reg = is[*registry.Registry](h)(registry.Open(h.ctx, registry.Config{Data: t.TempDir(), Now: now}))
	t.Cleanup(func() { h.reg.Close() })
	is[string](h)(h.reg.Begin(h.ctx))
	admin := somebody(registry.FirstAdministrator)
	is[record.Recorded[record.Team]](h)(h.reg.CreateTeam(h.ctx, admin, record.Team{Name: team}))
	roles := map[string]record.RoleName{
		engineer: record.Contributor, steward: record.DataSteward, assessor: record.Evaluator, risk: record.Risk,
		security: record.Security, owner: record.ModelOwner, pipeline: record.Contributor,
	}
	for _, name := range slices.Sorted(maps.Keys(roles)) { // the engineer before the pipeline
		role := roles[name]
		p := record.Principal{Name: name, Type: record.Human}
		if name == pipeline {
			p = record.Principal{Name: name, Type: record.Workload, Owner: engineer, Purpose: "trains every night", Expires: h.at.AddDate(1, 0, 0)}
		}
		is[record.Recorded[record.Principal]](h)(h.reg.EnrolPrincipal(h.ctx, admin, p))
		in := team
		if role == record.Risk || role == record.DataSteward {
			in = record.AllTeams
		}
		is[record.Recorded[record.Role]](h)(h.reg.BindRole(h.ctx, admin, record.Role{Principal: name, Role: role, Team: in}))
	}
	is[wire.Published](h)(h.reg.PublishPolicy(h.ctx, somebody(risk), []byte(nightlyRules), "for nights"))
	is[record.Recorded[record.Environment]](h)(h.reg.SetEnvironment(h.ctx, admin, record.Environment{Name: environment, LeastTier: "low", Policy: "nightly"}))
	is[record.Recorded[record.UseCase]](h)(h.reg.RegisterUseCase(h.ctx, somebody(owner), record.UseCase{
		Team: team, Name: "second-reading", Title: "Second reading", Purpose: purpose, Owner: owner, Tier: "high", Environments: []string{environment},
	}))
	is[record.Recorded[record.Model]](h)(h.reg.RegisterModel(h.ctx, somebody(engineer), record.Model{Team: team, Name: "breast-mass", Type: record.Trained, Owner: owner}))
	for _, source := range []string{"s3://clinic/*", "s3://elsewhere/*"} {
		is[record.Recorded[record.DataApproval]](h)(h.reg.DecideData(h.ctx, somebody(steward), record.DataApproval{
			Source: source, Decision: record.Allow, Purposes: []string{purpose}, Expires: record.Millis(h.at.AddDate(1, 0, 0)), Reason: "licensed",
		}))
	}
	return h
}

// measured are rows of the training set as scanners measured them in one night that
// are off by a drift: drawn anew, every value off by 3 % besides.
func (h *clinicHouse) measured(k int, drift float64, n int) Split {
	s := Split{Name: fmt.Sprintf("night-%02d", k)}
	for i := range n {
		pick := h.data.Train.Rows[int(draw(s.Name+"-pick", i, 0)*float64(len(h.data.Train.Rows)))]
		pick.ID = fmt.Sprintf("%s-%03d", s.Name, i+1)
		pick.Features = noisy(scaledBy(pick.Features, 1+drift), s.Name+"-jitter", i, intakeJitter)
		s.Rows = append(s.Rows, pick)
	}
	return s
}

func scaledBy(features []float64, by float64) []float64 {
	out := slices.Clone(features)
	for j := range out {
		out[j] *= by
	}
	return out
}

func (h *clinicHouse) register(s Split, source string, from, to time.Time) record.Digest {
	h.Helper()
	d := s.Digest()
	is[record.Recorded[record.Dataset]](h)(h.reg.RegisterDataset(h.ctx, somebody(engineer), record.Dataset{
		Team: team, Name: s.Name, Version: "1", Digest: d, Source: source, Classification: "personal", Owner: steward, From: from, To: to,
	}))
	return d
}

// retrain trains, records and evaluates what a night has; version names it.
func (h *clinicHouse) retrain(k int, n night, rows Split) (version string) {
	h.Helper()
	l2, program, source := n.l2, n.program, n.source
	if l2 == 0 {
		l2 = 0.01
	}
	if program == "" {
		program = "train/nightly.py"
	}
	if source == "" {
		source = "s3://clinic/scans/"
	}
	today := h.at.UTC().Truncate(24 * time.Hour)
	data := h.register(rows, source+"/"+rows.Name, today.AddDate(0, 0, -7), today)
	m, err := Train(rows.Rows, Params{L2: l2, Seed: uint64(k), Iterations: 400})
	if err != nil {
		h.Fatal(err)
	}
	artifact := record.DigestOf(fmt.Appendf(nil, "%v %v", m.Weights, m.Bias))
	version = fmt.Sprint(k)
	now := record.Millis(h.at)
	is[record.Recorded[record.Run]](h)(h.reg.RecordRun(h.ctx, somebody(pipeline), record.Run{
		Team: team, ID: "run-" + version, Code: record.Code{Repository: "https://git.clinic.example/net", Commit: strings.Repeat("ab", 20), Path: program},
		Parameters: map[string]string{"l2": fmt.Sprint(l2), "seed": version, "optimiser": "l-bfgs"},
		Inputs:     []record.Resource{{Type: record.ResourceDataset, Name: rows.Name, Digest: data}},
		Outputs:    []record.Resource{{Type: record.ResourceModel, Name: "net", Digest: artifact}},
		Started:    now.Add(-time.Hour), Finished: now.Add(-time.Minute),
	}))
	is[record.Recorded[record.ModelVersion]](h)(h.reg.RegisterVersion(h.ctx, somebody(pipeline), record.ModelVersion{
		Model: model, Version: version, Type: record.Trained, Artifact: artifact, Run: team + "/run-" + version,
		Files: []record.File{{Path: "weights.safetensors", SHA256: artifact.Hex(), Size: 240}},
	}))
	h.evaluate(artifact, h.data.Holdout, h.judged(m))
	shift := n.scanner
	if shift == 0 {
		shift = n.drift
	}
	seen := Split{Name: "seen-" + version}
	for i, r := range h.data.Holdout.Rows {
		r.Features = noisy(scaledBy(r.Features, 1+shift), seen.Name, i, shiftNoise)
		seen.Rows = append(seen.Rows, r)
	}
	h.evaluate(artifact, seen, is[Result](h)(Drift(m, h.data.Train, h.data.Holdout, seen)))
	return version
}

// judged says of every held-out mass whether the model was right; what it refuses it
// was not right about.
func (h *clinicHouse) judged(m Model) Result {
	h.Helper()
	items := is[[]item](h)(classify(m, h.data.Holdout))
	for i := range items {
		items[i] = item{Item: items[i].Item, Metrics: map[string]bool{"right": items[i].Prediction == items[i].Label}}
	}
	return is[Result](h)(result(header{Category: record.Accuracy, Suite: "holdout", Metrics: map[string]direction{"right": {record.Higher}}}, h.data.Holdout, items))
}

func (h *clinicHouse) evaluate(artifact record.Digest, on Split, found Result) {
	h.Helper()
	data := h.register(on, "s3://clinic/held/"+on.Name, time.Time{}, time.Time{})
	file := record.DigestOf(found.Items)
	if _, err := h.reg.KeepEvidence(h.ctx, somebody(assessor), file, bytes.NewReader(found.Items)); err != nil {
		h.Fatal(err)
	}
	is[[]record.Recorded[record.Evaluation]](h)(h.reg.RecordEvaluations(h.ctx, somebody(assessor), wire.Submission{
		Run:   record.EvaluationRun{Team: team, Artifact: artifact, Dataset: data, Finished: record.Millis(h.at)},
		Files: []wire.EvidenceFile{{Name: found.Suite + ".ndjson", Digest: file}},
	}))
}

func (h *clinicHouse) propose(who, version string, may record.Authority, envelope string) wire.Case {
	h.Helper()
	return is[wire.Case](h)(h.reg.ProposeRelease(h.ctx, somebody(who), wire.Proposal{
		Version: model + "@" + version, UseCase: useCase, Environment: environment, Authority: may, Envelope: envelope, Promote: envelope != "",
	}))
}

// drill tries whether what was promoted could take over from what follows it.
func (h *clinicHouse) drill(c wire.Case) {
	h.Helper()
	file := record.File{Path: "weights.safetensors", SHA256: c.Release.Record.Behaviour.Artifact.Hex(), Size: 240}
	x := is[record.Recorded[record.Drill]](h)(h.reg.Drill(h.ctx, somebody(owner), c.ID, wire.DrillRequest{Files: []record.File{file}}))
	if !x.Record.Ready() {
		h.Errorf("%s could not take over: %s", c.ID, x.Record.Fault())
	}
}

var seated = map[string]record.RoleName{owner: record.ModelOwner, risk: record.Risk, security: record.Security}

func reading(resources ...string) (a record.Authority) {
	for _, r := range append([]string{"scans"}, resources...) {
		a.Data = append(a.Data, record.Grant{Resource: r, Actions: []string{"read"}})
	}
	return a
}

// begin has people release the first model and approve the envelope about it.
func (h *clinicHouse) begin() wire.EnvelopeCase {
	h.Helper()
	c := h.propose(pipeline, h.retrain(0, night{}, h.data.Train), reading(), "")
	for who, role := range seated {
		is[wire.Case](h)(h.reg.Approve(h.ctx, somebody(who), wire.Word{Release: c.ID, Record: c.Digests.Record, Role: role, Decision: record.Approve, Reason: "seen"}))
	}
	is[wire.Promoted](h)(h.reg.Promote(h.ctx, somebody(owner), c.ID))
	h.drill(c)
	v := func(x float64) *float64 { return &x }
	e := is[wire.EnvelopeCase](h)(h.reg.ProposeEnvelope(h.ctx, somebody(engineer), wire.EnvelopeProposal{
		Name: "nightly", Anchor: c.ID, Workloads: []string{pipeline},
		Sources: []record.SourceBound{{Source: "s3://clinic/scans/*", From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC), MaxAge: 3}},
		Code:    record.CodeBound{Repository: "https://git.clinic.example/net", Paths: []string{"train/"}},
		Parameters: map[string]record.ParameterBound{
			"l2": {Least: v(0.001), Most: v(0.1)}, "seed": {Any: true},
		},
		Evaluations: []record.MetricBound{
			{Category: record.Accuracy, Suite: "holdout", Metric: "right", Require: "lower95 >= 0.75", Production: v(0.1), Anchor: v(0.12), MinSamples: 200},
			{Category: record.Drift, Suite: "shifted-holdout", Metric: "psi_max", Require: "value <= 2"},
		},
		Rollback: true, Tries: 12, Releases: 10, Weekly: 2, Ends: h.at.AddDate(0, 0, 75), Reason: "new scans every night, from the same clinics",
	}))
	for who, role := range seated {
		e = is[wire.EnvelopeCase](h)(h.reg.ApproveEnvelope(h.ctx, somebody(who), wire.Word{Envelope: e.ID, Record: e.Envelope.Digest, Role: role, Decision: record.Approve, Reason: "bounds seen"}))
	}
	return e
}

// TestScheduledRetrainingOnDataThatDrifts plays two months of nights on real
// measurements whose scanners drift.
func TestScheduledRetrainingOnDataThatDrifts(t *testing.T) {
	h := openClinic(t)
	e := h.begin()
	var promoted []string
	for i, n := range schedule() {
		h.at = h.at.Add(n.later)
		rows := n.rows
		if rows == 0 {
			rows = len(h.data.Train.Rows)
		}
		c := h.propose(pipeline, h.retrain(i+1, n, h.measured(i+1, n.drift, rows)), reading(n.reads...), "nightly")
		var out []string
		for _, g := range c.Verdict.Gates {
			if strings.HasPrefix(g.Name, "envelope/") && g.Result != record.Pass {
				out = append(out, g.Name)
			}
		}
		slices.Sort(out)
		slices.Sort(n.outside)
		if diff := cmp.Diff(n.outside, out); diff != "" {
			t.Errorf("night %d, %s, is outside of (-want +got):\n%s", i+1, n.name, diff)
		}
		if c.Status == record.Live {
			h.drill(c)
		}
		if (c.Status == record.Live) != (len(n.outside) == 0) || (c.NotPromoted == "") != (len(n.outside) == 0) {
			t.Errorf("night %d, %s: %s, %s", i+1, n.name, c.Status, c.NotPromoted)
		}
		for _, bound := range n.outside {
			if !strings.Contains(c.NotPromoted, bound) {
				t.Errorf("night %d, %s: the refusal does not name %s:\n%s", i+1, n.name, bound, c.NotPromoted)
			}
		}
		if c.Status == record.Live {
			promoted = append(promoted, c.ID)
		}
		h.stands(c)
	}
	e = is[wire.EnvelopeCase](h)(h.reg.Envelope(h.ctx, somebody(risk), e.ID))
	var spent []string
	for _, u := range e.Uses {
		spent = append(spent, u.Release)
	}
	if diff := cmp.Diff(promoted, spent); diff != "" || e.Left != 10-len(promoted) || e.Verdict.Passed || len(e.Releases) != len(schedule()) {
		t.Errorf("spent (-promoted +envelope): %s\n%d left, passes %v, %d releases", diff, e.Left, e.Verdict.Passed, len(e.Releases))
	}
}

// stands demands that a release's bundle says offline what the server says.
func (h *clinicHouse) stands(c wire.Case) {
	h.Helper()
	b := is[*verify.Bundle](h)(h.reg.Bundle(h.ctx, somebody(risk), c.ID))
	trust := is[attest.Trust](h)(attest.ParseTrust([]byte(h.reg.VerifierKey() + "\n")))
	r := verify.Verify(b, trust, verify.Options{Environment: environment, At: h.at})
	if !r.Authentic || r.OK != c.Stands {
		h.Errorf("%s offline: authentic %v, ok %v, on the server %v: %q", c.ID, r.Authentic, r.OK, c.Stands, r.Reasons)
	}
}
