package policy

import (
	"cmp"
	"time"

	"go.yaml.in/yaml/v4"

	"imprimatur.dev/drift"
)

// Monitor says how observations of a live release are gathered in windows and
// judged: see package drift.
type Monitor struct {
	// Window is the length of a window; they begin at whole multiples of it since
	// 1970, in UTC.
	Window time.Duration
	// Lateness is how long a window waits for what comes late, after its end or
	// after the first of it came, whichever is later.
	Lateness time.Duration
	// Settings are those of the judge; what is zero is as the evidence of the monitor
	// has it.
	Settings drift.Settings
	// Silence is how many whole windows may bring nothing before that is a signal; 0
	// is any number.
	Silence int
	// Raw keeps each batch as it came.
	Raw bool
	// Performance is demanded of the outcomes of predictions; nil for nothing.
	Performance *Performance

	where position
}

// Performance is a comparison of outcomes in production with an evaluation.
type Performance struct {
	// Suite and Metric name the rate, a count of successes, in the release's
	// evaluations.
	Suite, Metric string
	// Margin is how much lower the rate may be.
	Margin float64
	// Labels is the Lateness of outcomes, which come later than predictions.
	Labels time.Duration
}

// DefaultMonitor is that of a tier which says nothing.
func DefaultMonitor() Monitor { return Monitor{Window: 24 * time.Hour, Lateness: time.Hour} }

// MonitorOf returns the tier's monitor, or the default one.
func (t *Tier) MonitorOf() Monitor {
	if t == nil || t.Monitor == nil {
		return DefaultMonitor()
	}
	return *t.Monitor
}

// Over returns the settings of a monitor whose evidence was made with others.
func (m Monitor) Over(evidence drift.Settings) drift.Settings {
	s := m.Settings
	return drift.Settings{
		Alpha: cmp.Or(s.Alpha, evidence.Alpha), Correction: cmp.Or(s.Correction, evidence.Correction),
		MinCount: cmp.Or(s.MinCount, evidence.MinCount), Bins: cmp.Or(s.Bins, evidence.Bins),
		PSILimit: cmp.Or(s.PSILimit, evidence.PSILimit), MissingLimit: cmp.Or(s.MissingLimit, evidence.MissingLimit),
		UnseenLimit: cmp.Or(s.UnseenLimit, evidence.UnseenLimit), OutsideLimit: cmp.Or(s.OutsideLimit, evidence.OutsideLimit),
		Need: cmp.Or(s.Need, evidence.Need), Of: cmp.Or(s.Of, evidence.Of),
	}
}

// Bounds of a monitor. The alpha is Holm's or Benjamini and Hochberg's over all
// checks of a window.
const (
	leastWindow = time.Minute
	mostWindow  = 366 * 24 * time.Hour
	mostLate    = 400 * 24 * time.Hour
	mostCount   = 1 << 30
)

func (r *reader) monitor(n *yaml.Node) *Monitor {
	m := DefaultMonitor()
	m.where = at(n)
	s := &m.Settings
	r.mapping(n, "monitor",
		may("window", func(n *yaml.Node) { m.Window = r.spanWithin(n, "window", leastWindow, mostWindow) }),
		may("lateness", func(n *yaml.Node) { m.Lateness = r.lateness(n, "lateness") }),
		may("alpha", func(n *yaml.Node) { s.Alpha = r.part(n, "alpha") }),
		may("correction", func(n *yaml.Node) {
			s.Correction = drift.Correction(r.oneOf(n, "correction", string(drift.Holm), string(drift.BenjaminiHochberg)))
		}),
		may("minCount", func(n *yaml.Node) { s.MinCount = int64(r.count(n, "minCount", 20, mostCount)) }),
		may("bins", func(n *yaml.Node) { s.Bins = r.count(n, "bins", 2, drift.MaxBins) }),
		may("limits", func(n *yaml.Node) {
			r.mapping(n, "limits",
				may("psi", func(n *yaml.Node) { s.PSILimit = r.positive(n, "psi") }),
				may("missing", func(n *yaml.Node) { s.MissingLimit = r.part(n, "missing") }),
				may("unseen", func(n *yaml.Node) { s.UnseenLimit = r.part(n, "unseen") }),
				may("outside", func(n *yaml.Node) { s.OutsideLimit = r.part(n, "outside") }),
			)
		}),
		may("alarm", func(n *yaml.Node) {
			r.mapping(n, "alarm",
				need("need", func(n *yaml.Node) { s.Need = r.count(n, "need", 1, 1000) }),
				need("of", func(n *yaml.Node) { s.Of = r.count(n, "of", 1, 1000) }),
			)
			if s.Of > 0 && s.Need > s.Of {
				r.failf(at(n), "alarm needs %d breaches of %d windows; it must be that many at most", s.Need, s.Of)
			}
		}),
		may("performance", func(n *yaml.Node) { m.Performance = r.performance(n) }),
		may("silence", func(n *yaml.Node) { m.Silence = r.count(n, "silence", 1, 1000) }),
		may("raw", func(n *yaml.Node) { m.Raw = r.oneOf(n, "raw", "keep") == "keep" }),
	)
	return &m
}

func (r *reader) performance(n *yaml.Node) *Performance {
	p := &Performance{Labels: 30 * 24 * time.Hour}
	r.mapping(n, "performance",
		need("suite", func(n *yaml.Node) { p.Suite = r.name(n, "suite") }),
		need("metric", func(n *yaml.Node) { p.Metric = r.text(n, "metric") }),
		need("noWorseThan", func(n *yaml.Node) {
			if p.Margin = r.number(n, "noWorseThan"); p.Margin < 0 || p.Margin >= 1 {
				r.failf(at(n), "noWorseThan is not from 0 to below 1")
			}
		}),
		may("labels", func(n *yaml.Node) { p.Labels = r.lateness(n, "labels") }),
	)
	return p
}

// lateness reads a length of time, or none.
func (r *reader) lateness(n *yaml.Node, what string) time.Duration {
	if n.Kind == yaml.ScalarNode && n.Value == "none" {
		return 0
	}
	return r.spanWithin(n, what, time.Minute, mostLate)
}

func (r *reader) spanWithin(n *yaml.Node, what string, least, most time.Duration) time.Duration {
	d := r.span(n, what)
	if d != 0 && (d < least || d > most) {
		r.failf(at(n), "%s is not from %s to %s", what, spell(least), spell(most))
	}
	return d
}

// part reads a number above 0 and below 1, and positive one above 0.
func (r *reader) part(n *yaml.Node, what string) float64 {
	v := r.positive(n, what)
	if v >= 1 {
		r.failf(at(n), "%s is not below 1", what)
	}
	return v
}

func (r *reader) positive(n *yaml.Node, what string) float64 {
	v := r.number(n, what)
	if v <= 0 {
		r.failf(at(n), "%s is not above 0", what)
	}
	return v
}
