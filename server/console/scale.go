package console

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"imprimatur.dev/record"
)

// Scale is a gate's numbers on one line: the value with its interval, the
// threshold, and what runs in production. Positions are in units of the drawing,
// which is scaleWidth wide.
type Scale struct {
	// Title says the same in words.
	Title string
	// Low and High are what the ends of the line stand for.
	Low, High string
	// Good is the stretch in which the threshold is met.
	GoodFrom, GoodWidth float64
	Value               float64
	// From and To are the ends of the interval, HasInterval says there is one.
	From, To    float64
	HasInterval bool
	// Held is the number that was held against the threshold: the value, or an
	// end of the interval.
	Held         float64
	Threshold    float64
	ThresholdTag string
	// TagAnchor is where the tag's text is anchored: start, middle or end.
	TagAnchor     string
	Production    float64
	HasProduction bool
}

const (
	scaleWidth  = 300.0
	scaleMargin = 10.0
)

// rival is the value of what runs in production, where it is known.
type rival struct {
	value float64
	known bool
}

// scaleOf draws a gate's numbers. higher says that more is better, which a
// comparison with production does not say itself.
func scaleOf(n *record.Numbers, production rival, higher bool) *Scale {
	g := geometry{value: n.Value, threshold: n.Threshold, held: n.Value, production: production}
	g.tag = operatorSign(n.Operator) + " " + number(n.Threshold)
	higher = higher && n.Operator == record.NoWorseThan || strings.HasPrefix(n.Operator, ">")
	if n.Lower != nil && n.Upper != nil {
		g.lower, g.upper, g.interval = *n.Lower, *n.Upper, true
	}
	switch n.Statistic {
	case record.StatLower:
		g.held = g.lower
	case record.StatUpper:
		g.held = g.upper
	case record.StatDifference:
		// The interval bounds the difference: it is drawn around production.
		if n.Production == nil {
			return nil
		}
		g.production = rival{*n.Production, true}
		g.lower, g.upper = g.lower+*n.Production, g.upper+*n.Production
		g.tag = "no worse by " + number(n.Threshold)
		g.threshold, g.held = *n.Production-n.Threshold, g.lower
		if !higher {
			g.threshold, g.held = *n.Production+n.Threshold, g.upper
		}
	case record.StatAdjustedP:
		return nil
	}
	return g.draw(n, higher)
}

// geometry is a scale in the numbers themselves.
type geometry struct {
	value, lower, upper, held, threshold float64
	interval                             bool
	production                           rival
	tag                                  string
}

// ends returns the round numbers between which everything lies.
func (g geometry) ends() (low, high float64) {
	all := []float64{g.value, g.threshold}
	if g.interval {
		all = append(all, g.lower, g.upper)
	}
	if g.production.known {
		all = append(all, g.production.value)
	}
	low, high = all[0], all[0]
	for _, v := range all {
		low, high = min(low, v), max(high, v)
	}
	proportion := low >= 0 && high <= 1
	span := high - low
	if span == 0 {
		span = max(math.Abs(high), 0.1)
	}
	step := math.Pow(10, math.Floor(math.Log10(span)))
	low, high = math.Floor((low-span*0.08)/step)*step, math.Ceil((high+span*0.08)/step)*step
	if proportion {
		low, high = max(low, 0), min(high, 1)
	}
	return low, high
}

func (g geometry) draw(n *record.Numbers, higher bool) *Scale {
	for _, v := range []float64{g.value, g.lower, g.upper, g.threshold, g.production.value} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
	}
	low, high := g.ends()
	at := func(v float64) float64 {
		return math.Round(10*(scaleMargin+(v-low)/(high-low)*(scaleWidth-2*scaleMargin))) / 10
	}
	s := &Scale{
		Low: number(low), High: number(high), Value: at(g.value), Held: at(g.held), HasInterval: g.interval,
		From: at(g.lower), To: at(g.upper), Threshold: at(g.threshold), ThresholdTag: g.tag, TagAnchor: "middle",
		Production: at(g.production.value), HasProduction: g.production.known,
	}
	s.GoodFrom, s.GoodWidth = s.Threshold, scaleWidth-scaleMargin-s.Threshold
	if !higher {
		s.GoodFrom, s.GoodWidth = scaleMargin, s.Threshold-scaleMargin
	}
	switch {
	case s.Threshold < scaleWidth*0.2:
		s.TagAnchor = "start"
	case s.Threshold > scaleWidth*0.8:
		s.TagAnchor = "end"
	}
	s.Title = inWords(n, g)
	return s
}

// inWords says what a scale draws.
func inWords(n *record.Numbers, g geometry) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Value %s over %d items", number(n.Value), n.N)
	if g.interval {
		fmt.Fprintf(&b, ", %s %% interval from %s to %s (%s)", number(100*n.Level), number(g.lower), number(g.upper), n.Method)
	}
	fmt.Fprintf(&b, "; threshold %s", g.tag)
	if n.Statistic != record.StatValue {
		fmt.Fprintf(&b, " for the %s, which is %s", statistics[n.Statistic], number(g.held))
	}
	if g.production.known {
		fmt.Fprintf(&b, "; production %s", number(g.production.value))
	}
	return b.String() + "."
}

var statistics = map[string]string{
	record.StatLower: "lower bound", record.StatUpper: "upper bound", record.StatDifference: "worst case against production",
}

func operatorSign(op string) string {
	if sign, ok := map[string]string{">=": "≥", "<=": "≤", "==": "="}[op]; ok {
		return sign
	}
	return op
}

// number writes a number with four significant digits.
func number(v float64) string {
	return strconv.FormatFloat(v, 'g', 4, 64)
}
