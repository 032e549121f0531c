package opa

import (
	"bytes"
	"context"
	_ "embed"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"imprimatur.dev/policy"
	"imprimatur.dev/record"
)

//go:embed gates.rego
var gates string

//go:embed policy.yaml
var policyText []byte

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func load(t testing.TB) *policy.Policy {
	t.Helper()
	p, err := policy.Load(policyText)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func prepare(t testing.TB) rego.PreparedEvalQuery {
	t.Helper()
	q, err := rego.New(rego.Query("data.gates.gate = x; data.gates.passed = y"), rego.Module("gates.rego", gates)).PrepareForEval(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// input writes a dossier and the tier's demands as OPA's parsed input.
func input(t testing.TB, p *policy.Policy, d *record.Dossier) ast.Value {
	t.Helper()
	tier := p.Tier("high")
	var requirements, seats []any
	for _, e := range tier.Evaluations {
		m := map[string]any{
			"gate": e.Gate, "category": e.Category, "suite": e.Suite, "metric": e.Metric, "statistic": e.Bound.Statistic,
			"operator": e.Bound.Operator, "threshold": e.Bound.Threshold, "minSamples": e.MinSamples,
			"freshNs": int64(365 * 24 * time.Hour), "versus": e.Margin != nil, "margin": 0.0,
		}
		if e.FreshFor > 0 {
			m["freshNs"] = int64(e.FreshFor)
		}
		if e.Margin != nil {
			m["margin"] = *e.Margin
		}
		requirements = append(requirements, m)
	}
	for _, s := range tier.Approvals {
		seats = append(seats, map[string]any{"role": s.Role, "count": s.Count, "covers": s.Covers, "passkey": s.Passkey})
	}
	base := d.Baselines[0]
	raw, err := json.Marshal(map[string]any{
		"at": noon, "release": d.Release.Record, "usecase": d.UseCase.Record, "environment": d.Environment.Record,
		"version": d.Version.Record, "runs": d.Runs, "datasets": d.Datasets, "evaluations": d.Evaluations,
		"approvals": d.Approvals, "people": d.People, "history": d.History, "absent": d.Absent, "exceptions": d.Exceptions,
		"parts": d.Digests.Parts, "requirements": requirements, "seats": seats, "gates": tier.Gates(), "expiresNs": int64(tier.Expires),
		"production": map[string]any{"id": base.ID, "until": base.Until, "evaluations": base.Evaluations, "stopped": false},
	})
	if err != nil {
		t.Fatal(err)
	}
	v, err := ast.ValueFromReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// theirs returns the gates that the Rego lets through.
func theirs(t testing.TB, q rego.PreparedEvalQuery, in ast.Value) []string {
	t.Helper()
	rs, err := q.Eval(context.Background(), rego.EvalParsedInput(in))
	if err != nil {
		t.Fatal(err)
	}
	if len(rs) != 1 {
		return nil
	}
	var names []string
	for name := range rs[0].Bindings["x"].(map[string]any) {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func ours(v record.Verdict) []string {
	var names []string
	for _, g := range v.Gates {
		if g.Result == record.Pass {
			names = append(names, g.Name)
		}
	}
	slices.Sort(names)
	return names
}

// Both sides must say the same, or the comparison of their speed says nothing.
func TestBothSidesAgree(t *testing.T) {
	p := load(t)
	q, err := rego.New(rego.Query("data.gates.gate = x"), rego.Module("gates.rego", gates)).PrepareForEval(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	changes := map[string]func(d *record.Dossier){
		"nothing":            func(*record.Dossier) {},
		"dirty tree":         func(d *record.Dossier) { d.Runs[0].Record.Code.Dirty = true },
		"low value":          func(d *record.Dossier) { set(d, 0, 84_000, 100_000) },
		"a narrow miss":      func(d *record.Dossier) { set(d, 0, 855, 1000) },
		"few samples":        func(d *record.Dossier) { set(d, 0, 100, 100) },
		"no steward":         func(d *record.Dossier) { d.Datasets[0].Approvals[0].Record.Purposes = []string{"billing"} },
		"no passkey":         func(d *record.Dossier) { d.Approvals[1].Approval.Record.Method = record.MethodSession },
		"a changed part":     func(d *record.Dossier) { d.Approvals[0].Approval.Record.Parts[record.PartData] = "sha256:x" },
		"approved by author": func(d *record.Dossier) { d.Runs[0].Record.Code.Author = "risk-1@acme.example" },
		"a wildcard":         func(d *record.Dossier) { d.Release.Record.Authority.Records[0].Actions = []string{"*"} },
		"changes requested":  func(d *record.Dossier) { d.Approvals[2].Approval.Record.Decision = record.RequestChanges },
	}
	for name, change := range changes {
		d := p.Example("high", noon)
		change(d)
		want := ours(p.Evaluate(d, noon))
		if got := theirs(t, q, input(t, p, d)); !slices.Equal(got, want) {
			t.Errorf("%s:\nRego %v\nours %v", name, got, want)
		}
	}
}

func set(d *record.Dossier, evaluation, s, n int) {
	m := &d.Evaluations[evaluation].Record.Metrics[0]
	m.Successes, m.N, m.Value = &s, n, float64(s)/float64(n)
}

// BenchmarkRatio runs both sides alternately in one loop and reports how many
// times ours is faster.
func BenchmarkRatio(b *testing.B) {
	p, q := load(b), prepare(b)
	d := p.Example("high", noon)
	in := input(b, p, d)
	if n := len(theirs(b, q, in)); n != len(p.Tier("high").Gates()) {
		b.Fatalf("the Rego lets %d gates through", n)
	}
	ctx := context.Background()
	var we, they time.Duration
	rounds := 0
	for b.Loop() {
		rounds++
		start := time.Now()
		if v := p.Evaluate(d, noon); !v.Passed {
			b.Fatal("the release does not pass")
		}
		middle := time.Now()
		if rs, err := q.Eval(ctx, rego.EvalParsedInput(in)); err != nil || len(rs) != 1 {
			b.Fatal("the Rego does not pass", err)
		}
		we, they = we+middle.Sub(start), they+time.Since(middle)
	}
	b.ReportMetric(float64(we.Nanoseconds())/float64(rounds), "ours-ns/op")
	b.ReportMetric(float64(they.Nanoseconds())/float64(rounds), "opa-ns/op")
	b.ReportMetric(float64(they)/float64(we), "ratio")
}
