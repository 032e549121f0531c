package policy

import (
	"fmt"
	"slices"
	"time"

	"imprimatur.dev/record"
)

func (x *example) evaluations() {
	x.d.Evaluations = x.evaluate("", exampleDigest("artifact"), x.at.Add(-time.Minute))
}

// evaluate makes the evaluations of one model; of says whose they are, where it
// is not the release's.
func (x *example) evaluate(of string, artifact record.Digest, ran time.Time) (out []record.Recorded[record.Evaluation]) {
	for i := range x.tier.Evaluations {
		e := &x.tier.Evaluations[i]
		k := slices.IndexFunc(out, func(o record.Recorded[record.Evaluation]) bool {
			return o.Record.Category == e.Category && o.Record.Suite == e.Suite
		})
		if k < 0 {
			k = len(out)
			out = append(out, recorded(x, "ed", of+"evaluation "+e.Gate, record.Evaluation{
				Team: exampleTeam, Artifact: artifact, Category: e.Category, Suite: e.Suite, Dataset: exampleDigest("held-out set"),
				Tool:     record.Tool{Name: "example", Version: "1"},
				Evidence: []record.RawFile{{Name: "evidence", Digest: exampleDigest(of + "evidence " + e.Gate), Format: "example"}},
				Attempt:  1, Assurance: record.SignedRun, Ran: ran,
			}))
		}
		r := &out[k].Record
		paired := slices.ContainsFunc(x.tier.Evaluations, func(o Requirement) bool {
			return o.Regressions > 0 && o.Category == e.Category && o.Suite == e.Suite && o.Metric == e.Metric
		})
		for _, m := range e.metrics(of != "", paired) {
			if m.Outcomes != nil {
				r.Items = &record.Items{Set: exampleDigest("items"), N: m.N}
			}
			h := slices.IndexFunc(r.Metrics, func(h record.Metric) bool { return h.Label() == m.Label() })
			switch {
			case h < 0:
				r.Metrics = append(r.Metrics, m)
			case e.MinSamples > r.Metrics[h].N || e.measure(&r.Metrics[h]).result != record.Pass:
				r.Metrics[h] = m
			}
		}
	}
	return out
}

// metrics makes what meets a requirement, of every slice that it asks for.
func (e *Requirement) metrics(production, paired bool) []record.Metric {
	if e.Over == "" {
		m := e.metric(production, paired && len(e.Slice) == 0)
		m.Slice = e.Slice
		return []record.Metric{m}
	}
	out := make([]record.Metric, max(e.MinSlices, 2))
	for i := range out {
		out[i] = e.metric(production, false)
		out[i].Slice = map[string]string{e.Over: fmt.Sprintf("%s-%d", e.Over, i+1)}
	}
	return out
}

// metric makes a number that meets a requirement, and for production one that
// only just does.
func (e *Requirement) metric(production, paired bool) record.Metric {
	if e.Alarm > 0 {
		p := 1.0
		return record.Metric{Name: e.Metric, N: max(e.MinSamples, 1000), Drift: &record.DriftMeasure{Method: "example", PValue: &p, Reference: 1000}}
	}
	limit := e.Bound.Threshold
	if limit < 0 || limit > 1 || e.Bound.Operator == "==" {
		return e.measured(production)
	}
	better := limit + (1-limit)/2
	if !e.Bound.HigherIsBetter() {
		better = limit / 2
	}
	n := e.enough(better, paired)
	if production {
		better = limit
	}
	s := int(better * float64(n))
	m := record.Metric{Name: e.Metric, N: n, Successes: &s, Value: float64(s) / float64(n)}
	if paired {
		m.Outcomes = make([]byte, (n+7)/8)
		for i := range s {
			m.Outcomes[i/8] |= 1 << (i % 8)
		}
	}
	return m
}

// enough is a number of samples at which a share meets the bound, or the largest
// that was tried.
func (e *Requirement) enough(share float64, paired bool) int {
	if paired {
		return mostPairs
	}
	n := max(e.MinSamples, 100_000)
	for ; n < 1e9; n *= 10 {
		s := int(share * float64(n))
		m := record.Metric{N: n, Successes: &s, Value: float64(s) / float64(n)}
		if e.measure(&m).result == record.Pass {
			break
		}
	}
	return n
}

// measured makes a number that is no proportion.
func (e *Requirement) measured(production bool) record.Metric {
	step := 1.0
	switch {
	case e.Bound.Operator == "==" || production:
		step = 0
	case !e.Bound.HigherIsBetter():
		step = -1
	}
	stdErr := 1e-6
	return record.Metric{
		Name: e.Metric, N: max(e.MinSamples, 100_000), Value: e.Bound.Threshold + step,
		Reported: &record.Uncertainty{Method: "example", StdErr: &stdErr},
	}
}
