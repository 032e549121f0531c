package record

import "strings"

// Metric is one number with what its uncertainty needs.
type Metric struct {
	Name string `json:"name"`
	// Slice says which items it is over; empty is all of them.
	Slice map[string]string `json:"slice,omitzero"`
	// Case is the misuse case that it speaks of, from the catalogue.
	Case string `json:"case,omitzero"`
	// Unit is empty for a plain number.
	Unit string `json:"unit,omitzero"`
	// Direction is which way is better, Higher or Lower; empty is not known.
	Direction string  `json:"direction,omitzero"`
	Value     float64 `json:"value"`
	// N is how many items it is over, Clusters how many groups of dependent
	// items these are; 0 is none known.
	N        int `json:"n"`
	Clusters int `json:"clusters,omitzero"`
	// Successes makes it a proportion: Value is Successes of N.
	Successes *int `json:"successes,omitzero"`
	// Reported is the tool's word, Computed is ours, from the items.
	Reported *Uncertainty `json:"reported,omitzero"`
	Computed *Uncertainty `json:"computed,omitzero"`
	// Drift is given by a measure of drift.
	Drift *DriftMeasure `json:"drift,omitzero"`
	// Outcomes is one bit an item, 1 for a success, in the order of the items'
	// identities, the first item in the lowest bit of the first byte. Two
	// evaluations of the same items are compared pair by pair with it.
	Outcomes []byte `json:"outcomes,omitzero"`
}

// The directions of a metric.
const (
	Higher = "higher"
	Lower  = "lower"
)

// Uncertainty is a standard error, a two-sided 95 % interval, or both.
type Uncertainty struct {
	// Method is how it came about.
	Method  string   `json:"method"`
	StdErr  *float64 `json:"stdErr,omitzero"`
	Lower95 *float64 `json:"lower95,omitzero"`
	Upper95 *float64 `json:"upper95,omitzero"`
	// Draws is the number of a bootstrap's draws.
	Draws int `json:"draws,omitzero"`
}

// DriftMeasure says how a drift statistic was found.
type DriftMeasure struct {
	// Method is the statistic's name, such as psi.
	Method string `json:"method"`
	// PValue is given by a test.
	PValue *float64 `json:"pValue,omitzero"`
	// Floor is what the statistic reaches without drift, at these counts.
	Floor *float64 `json:"floor,omitzero"`
	// Reference is how many values the reference has.
	Reference int `json:"reference,omitzero"`
}

// Label returns the name, with the slice in brackets: "recall[sex=f]".
func (m Metric) Label() string {
	if len(m.Slice) == 0 {
		return m.Name
	}
	parts := make([]string, 0, len(m.Slice))
	for _, k := range sortedKeys(m.Slice) {
		parts = append(parts, k+"="+m.Slice[k])
	}
	return m.Name + "[" + strings.Join(parts, ",") + "]"
}

func (m Metric) check(c *checker, field string) {
	c.name(field+".name", m.Name)
	c.textMap(field+".slice", m.Slice)
	if m.Case != "" {
		c.name(field+".case", m.Case)
	}
	c.text(field+".unit", m.Unit, false)
	if m.Direction != "" {
		c.oneOf(field+".direction", m.Direction, Higher, Lower)
	}
	c.finite(field+".value", m.Value)
	c.count(field+".n", m.N)
	c.count(field+".clusters", m.Clusters)
	if m.Successes != nil {
		c.count(field+".successes", *m.Successes)
		if *m.Successes > m.N {
			c.failf("%s.successes %d exceeds n %d", field, *m.Successes, m.N)
		}
	}
	m.Reported.check(c, field+".reported")
	m.Computed.check(c, field+".computed")
	if d := m.Drift; d != nil {
		c.text(field+".drift.method", d.Method, true)
		c.optionalFinite(field+".drift.pValue", d.PValue)
		c.optionalFinite(field+".drift.floor", d.Floor)
		c.count(field+".drift.reference", d.Reference)
	}
}

func (u *Uncertainty) check(c *checker, field string) {
	if u == nil {
		return
	}
	c.text(field+".method", u.Method, true)
	c.optionalFinite(field+".stdErr", u.StdErr)
	if u.StdErr != nil && *u.StdErr < 0 {
		c.failf("%s.stdErr is negative", field)
	}
	c.optionalFinite(field+".lower95", u.Lower95)
	c.optionalFinite(field+".upper95", u.Upper95)
	c.count(field+".draws", u.Draws)
	switch {
	case (u.Lower95 == nil) != (u.Upper95 == nil):
		c.failf("%s gives one end of an interval only", field)
	case u.Lower95 == nil && u.StdErr == nil:
		c.failf("%s gives neither a standard error nor an interval", field)
	case u.Lower95 != nil && *u.Lower95 > *u.Upper95:
		c.failf("%s ends before it begins", field)
	}
}

func (c *checker) optionalFinite(field string, v *float64) {
	if v != nil {
		c.finite(field, *v)
	}
}
