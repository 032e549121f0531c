package demo

import (
	"errors"
	"math"
	"slices"
	"strings"

	"imprimatur.dev/record"
)

// perturbation is how far an attacker may move each feature, in standard
// deviations of the training rows.
const perturbation = 0.01

// Misuse is the suite "implausible-input": inputs that no mass can have, which
// the guard should refuse, and the worst perturbation of at most 1 % of each
// feature's standard deviation, which should not change a decision. Rows that
// the guard refuses as they stand have no decision to change.
func Misuse(m Model, s Split) (Result, error) {
	var attacks, nudges []item
	for i, r := range s.Rows {
		attacks = append(attacks, attack(m, r, i)...)
		if _, _, refusal := m.Predict(r.Features); refusal == nil {
			nudges = append(nudges, perturb(m, r))
		}
	}
	if len(nudges) == 0 {
		return Result{}, errors.New(s.Name + " has no row that the guard accepts, so nothing can be attacked")
	}
	return result(header{
		Category: record.Misuse, Suite: "implausible-input", Metrics: lower("attack_success_rate", "perturbation_flip_rate"),
	}, s, slices.Concat(attacks, nudges))
}

// tried is what came of one attack on a row. The attacks on a row depend on one
// another, and so are one cluster.
func tried(of Row, kind, metric string, succeeded bool, note string) item {
	return item{
		Item: of.ID + "/" + kind, Cluster: of.ID, Slice: map[string]string{"attack": kind}, Metrics: map[string]bool{metric: succeeded}, Note: note,
	}
}

// attack makes the row implausible in four ways, at a feature that a seeded
// draw picks, and gives each to the model. The row of zeros, which is the same
// whichever row it is made from, is tried once.
func attack(m Model, r Row, i int) []item {
	var items []item
	try := func(kind string, change func(x []float64)) {
		x := slices.Clone(r.Features)
		change(x)
		_, _, refusal := m.Predict(x)
		note := ""
		if refusal != nil {
			note = refusal.Error()
		}
		items = append(items, tried(r, kind, "attack_success_rate", refusal == nil, note))
	}
	j := int(draw("attack-feature", i, 0) * float64(len(m.Features)))
	try("not-a-number", func(x []float64) { x[j] = math.NaN() })
	try("negative", func(x []float64) { x[j] = -max(x[j], m.Scale[j]) })
	try("ten-sd-out", func(x []float64) { x[j] = m.Mean[j] + 10*m.Scale[j] })
	try("wrong-unit", func(x []float64) { wrongUnit(m, x, draw("attack-unit", i, 0) < 0.5) })
	if i == 0 {
		try("all-zero", func(x []float64) { clear(x) })
	}
	return items
}

// wrongUnit gives the lengths ten times too large or too small, and so the
// areas a hundred times.
func wrongUnit(m Model, x []float64, larger bool) {
	factor := 0.1
	if larger {
		factor = 10
	}
	for j, name := range m.Features {
		switch quantity, _, _ := strings.Cut(name, "-"); quantity {
		case "radius", "perimeter":
			x[j] *= factor
		case "area":
			x[j] *= factor * factor
		}
	}
}

// perturb moves an accepted row as far against the model's decision as the
// perturbation and the guard's limits allow. The score is monotone in every
// feature, so this corner is the worst point of the box, and no search could
// find a flip that it does not.
func perturb(m Model, r Row) item {
	x := slices.Clone(r.Features)
	decision, _, _ := m.Predict(r.Features)
	for j := range x {
		step := math.Copysign(perturbation*m.Scale[j], m.Weights[j])
		if decision {
			step = -step
		}
		low, high := m.Guard.limits(j)
		x[j] = min(max(x[j]+step, low), high)
	}
	after, _, refusal := m.Predict(x)
	return tried(r, "perturbation", "perturbation_flip_rate", refusal != nil || after != decision, "")
}
