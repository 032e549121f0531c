package policy

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"imprimatur.dev/record"
)

// Bound is the comparison in a requirement, such as "lower95 >= 0.85".
type Bound struct {
	// Statistic is "value", "lower95" or "upper95".
	Statistic string
	// Operator is one of >=, <=, >, < and ==.
	Operator  string
	Threshold float64
}

var (
	// bounded are the statistics of a metric that a requirement can name.
	bounded   = []string{record.StatValue, record.StatLower, record.StatUpper}
	operators = []string{">=", "<=", "==", ">", "<"}
)

// ParseBound reads a requirement's comparison.
func ParseBound(s string) (Bound, error) {
	i := strings.IndexAny(s, "<>=")
	if i < 0 {
		return Bound{}, fmt.Errorf("%q is not a comparison such as lower95 >= 0.85", s)
	}
	b := Bound{Statistic: strings.TrimSpace(s[:i])}
	if !slices.Contains(bounded, b.Statistic) {
		return Bound{}, fmt.Errorf("%q is not one of value, lower95, upper95", b.Statistic)
	}
	for _, op := range operators {
		if rest, ok := strings.CutPrefix(s[i:], op); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
				return Bound{}, fmt.Errorf("%q is not a finite number to compare %s with", strings.TrimSpace(rest), b.Statistic)
			}
			b.Operator, b.Threshold = op, v
			return b, nil
		}
	}
	return Bound{}, fmt.Errorf("%q has no operator among >=, <=, ==, >, <", s)
}

// Holds reports whether v meets the bound.
func (b Bound) Holds(v float64) bool {
	switch b.Operator {
	case ">=":
		return v >= b.Threshold
	case "<=":
		return v <= b.Threshold
	case ">":
		return v > b.Threshold
	case "<":
		return v < b.Threshold
	default:
		return v == b.Threshold
	}
}

// HigherIsBetter tells the direction of the metric from the operator.
func (b Bound) HigherIsBetter() bool { return b.Operator == ">=" || b.Operator == ">" }

// number writes a number as short as it can be read back.
func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// rounded writes a number for people, to four significant digits or more where
// the number has a large whole part.
func rounded(v float64) string {
	if math.Abs(v) >= 1000 {
		return strconv.FormatFloat(math.Round(v), 'f', -1, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}
