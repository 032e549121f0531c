package policy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"imprimatur.dev/authority"
	"imprimatur.dev/record"
)

// scope judges that the release is of the envelope's line, judged by its rules, and
// proposed by one of its pipelines.
func (b *inside) scope() {
	e, x := &b.f.Envelope.Record, b.d.Release.Record.Context
	g := pass("It is of that line and tier, by that version.")
	switch {
	case b.d.Line != e.Line:
		g = outside("It is of the line %s.", b.d.Line)
	case x.Tier != e.Tier:
		g = outside("It is of tier %s.", x.Tier)
	case b.policy.Digest != e.Policy.Digest:
		g = outside("It is judged by policy %s %s.", b.policy.Name, b.policy.Digest.Short())
	}
	b.bound("scope", fmt.Sprintf("releases of %s at tier %s, by policy %s %s", e.Line, e.Tier, e.Policy.Name, e.Policy.Digest.Short()), g)
	by := b.d.Release.Actor
	g = pass("The workload %s proposed it.", by)
	if !slices.Contains(e.Workloads, by) || b.d.People[by].Principal.Type != record.Workload {
		g = outside("%s proposed it.", by)
	}
	b.bound("pipeline", "a release is proposed by the workload "+orList(e.Workloads), g)
}

// unchanged judges that a retrained model is the same but for its training.
func (b *inside) unchanged() {
	was, is := &b.f.Anchor.Release.Record, &b.d.Release.Record
	var changed []string
	differs := func(what string, same bool) {
		if !same {
			changed = append(changed, what)
		}
	}
	differs("the type of the model, "+string(is.Behaviour.Type), was.Behaviour.Type == is.Behaviour.Type)
	differs("the prompt", was.Behaviour.Prompt == is.Behaviour.Prompt)
	differs("the configuration", was.Behaviour.Configuration == is.Behaviour.Configuration)
	differs("the base models", slices.Equal(was.Data.Bases, is.Data.Bases))
	g := pass("They are the anchor's.")
	if len(changed) > 0 {
		g = outside("Other than the anchor's: %s.", list(changed))
	}
	b.bound("unchanged", "the type of the model, its prompt, configuration and base models are those of the anchor "+b.f.Envelope.Record.Anchor, g)
}

// sources judges where the data comes from, and when it is of.
func (b *inside) sources() {
	e := &b.f.Envelope.Record
	allowed := make([]string, len(e.Sources))
	for i, s := range e.Sources {
		allowed[i] = s.String()
	}
	var within, out []string
	for i := range b.d.Datasets {
		set := &b.d.Datasets[i].Dataset.Record
		if why := b.foreign(set); why != "" {
			out = append(out, why)
		} else {
			within = append(within, set.Ref()+windowOf(set))
		}
	}
	out = append(out, b.d.Unread...)
	g := pass("All %d datasets are: %s.", len(within), few(within))
	switch {
	case len(out) > 0:
		g = outside("%s.", strings.Join(out, "; "))
	case len(within) == 0:
		g = outside("It names no dataset.")
	}
	b.bound("sources", "every dataset is from "+strings.Join(allowed, ", or "), g)
}

func windowOf(d *record.Dataset) string {
	if d.From.IsZero() && d.To.IsZero() {
		return ""
	}
	return fmt.Sprintf(" (%s to %s)", d.From.UTC().Format(time.DateOnly), d.To.UTC().Format(time.DateOnly))
}

// foreign says why no source of the envelope allows a dataset, by the last that it
// is from; it is empty where one does.
func (b *inside) foreign(d *record.Dataset) string {
	why := fmt.Sprintf("%s is from %s", d.Ref(), d.Source)
	for _, s := range b.f.Envelope.Record.Sources {
		if !s.Matches(*d) {
			continue
		}
		switch {
		case (!s.From.IsZero() || !s.To.IsZero() || s.MaxAge > 0) && (d.From.IsZero() || d.To.IsZero()):
			why = d.Ref() + " does not say when it is of"
		case d.From.Before(s.From) || !s.To.IsZero() && d.To.After(s.To):
			why = d.Ref() + " is of" + windowOf(d)
		case s.MaxAge > 0 && b.started().Sub(d.To) > time.Duration(s.MaxAge)*24*time.Hour:
			why = fmt.Sprintf("%s ends on %s, and the run started on %s", d.Ref(), d.To.UTC().Format(time.DateOnly), b.started().UTC().Format(time.DateOnly))
		default:
			return ""
		}
	}
	return why
}

// started is when the last run that made the model began; when the release was
// proposed where there is none.
func (b *inside) started() time.Time {
	var last time.Time
	for _, r := range b.attested() {
		if r.Started.After(last) {
			last = r.Started
		}
	}
	if last.IsZero() {
		return b.d.Release.Time
	}
	return last
}

// attested are the runs that made the model as the pipeline itself states them; as
// others report them where it states none.
func (b *inside) attested() []*record.Run { return attested(b.ownRuns()) }

func attested(runs []*record.Recorded[record.Run]) (out []*record.Run) {
	own := slices.ContainsFunc(runs, func(r *record.Recorded[record.Run]) bool { return r.Record.Reported == nil })
	for _, r := range runs {
		if !own || r.Record.Reported == nil {
			out = append(out, &r.Record)
		}
	}
	return out
}

// anchored are the runs that made the anchor.
func (b *inside) anchored() []*record.Run {
	var made []*record.Recorded[record.Run]
	for i := range b.f.AnchorRuns {
		r := &b.f.AnchorRuns[i]
		if slices.ContainsFunc(r.Record.Outputs, func(o record.Resource) bool { return o.Digest == b.f.Anchor.Release.Record.Behaviour.Artifact }) {
			made = append(made, r)
		}
	}
	return attested(made)
}

// code judges which program ran.
func (b *inside) code() {
	c := &b.f.Envelope.Record.Code
	rule := "the code is of " + c.String()
	runs := b.attested()
	if len(runs) == 0 {
		b.bound("code", rule, outside("No recorded run made the model."))
		return
	}
	g := record.Gate{Result: record.Pass}
	var ran []string
	for _, r := range runs {
		text := fmt.Sprintf("%s at %.12s of %s", orNothing(r.Code.Path), r.Code.Commit, r.Code.Repository)
		if r.Code.Dirty {
			text += ", changed"
		}
		ran = append(ran, text)
		if r.Code.Dirty || !c.Allows(r.Code) {
			g.Result = record.Fail
		}
	}
	g.Reason = "It ran " + list(ran) + "."
	b.bound("code", rule, g)
}

func orNothing(path string) string {
	if path == "" {
		return "a program that is not named"
	}
	return path
}

// parameters judges each parameter that the envelope names, and that all others are
// the anchor's.
func (b *inside) parameters() {
	e := &b.f.Envelope.Record
	runs := b.attested()
	for _, name := range slices.Sorted(maps.Keys(e.Parameters)) {
		p := e.Parameters[name]
		g := outside("No recorded run made the model.")
		for i, r := range runs {
			v, given := r.Parameters[name]
			is := pass("It is %s.", v)
			if !given {
				is = outside("The run %s does not name it.", r.Ref())
			} else if !within(p, v) {
				is = outside("It is %s.", v)
			}
			if i == 0 || is.Result != record.Pass {
				g = is
			}
		}
		b.bound("parameters/"+name, "the parameter "+name+" is "+p.String(), g)
	}
	b.bound("parameters", "parameters that it does not name are those of the anchor", b.otherParameters(runs))
}

func (b *inside) otherParameters(runs []*record.Run) record.Gate {
	was := map[string]string{}
	for _, r := range b.anchored() {
		maps.Copy(was, r.Parameters)
	}
	var changed []string
	for _, r := range runs {
		names := map[string]bool{}
		for n := range was {
			names[n] = true
		}
		for n := range r.Parameters {
			names[n] = true
		}
		for _, n := range slices.Sorted(maps.Keys(names)) {
			if _, named := b.f.Envelope.Record.Parameters[n]; named {
				continue
			}
			before, had := was[n]
			if now, has := r.Parameters[n]; had != has || before != now {
				changed = append(changed, fmt.Sprintf("%s is %q and was %q", n, now, before))
			}
		}
	}
	if len(changed) > 0 {
		return outside("Others changed: %s.", few(changed))
	}
	return pass("They are.")
}

// within reports whether a parameter's spelling is allowed: as a number where there
// is a range.
func within(p record.ParameterBound, v string) bool {
	switch {
	case p.Any:
		return true
	case p.Least == nil || p.Most == nil:
		return slices.Contains(p.Values, v)
	}
	x, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
	return err == nil && x >= *p.Least && x <= *p.Most
}

func orList(names []string) string { return strings.Join(names, " or ") }

// authority judges that it may do no more than the anchor.
func (b *inside) authority() {
	d := authority.Compare(b.f.Anchor.Release.Record.Authority, b.d.Release.Record.Authority)
	g := pass("It is %s.", d.Relation)
	if !d.Relation.Within() {
		g = outside("It is wider: it %s.", d.Widening())
	}
	b.bound("authority", "its authority is no wider than that of the anchor "+b.f.Envelope.Record.Anchor, g)
}

// budget judges how often the envelope was used, and that there is a way back.
func (b *inside) budget() {
	e := &b.f.Envelope.Record
	if e.Rollback {
		then := *b.judge
		then.at = b.moment
		g := then.rollback()
		if b.used {
			g.Until = time.Time{}
		}
		b.bound("rollback", "there is a release to go back to", g)
	}
	week := 0
	for _, u := range b.before {
		if b.moment.Sub(u.Time) < Week {
			week++
		}
	}
	count := func(name, rule string, before, most int) {
		g := pass("It is the release %d of %d.", before+1, most)
		if before >= most {
			g = outside("%d of %d releases used it already.", before, most)
		}
		b.bound(name, fmt.Sprintf(rule, most), g)
	}
	count("releases", "at most %d releases use it", len(b.before), e.Releases)
	count("week", "at most %d releases use it in seven days", week, e.Weekly)
}

// people judges whether it is the turn of people to look: at the first release that
// names the envelope, and after so many in a row that ran without them.
func (b *inside) people() {
	asks := b.f.Envelope.Record.People
	if asks == (record.PeopleBound{}) {
		return
	}
	looked, since := false, 0
	for _, e := range b.d.History {
		if e.Index >= b.index || e.Time.After(b.moment) {
			break
		}
		if p := e.Promotion; p == nil || p.Envelope == nil || p.Envelope.Envelope != b.f.Envelope.Digest {
			continue
		}
		if since++; e.Promotion.Envelope.People {
			looked, since = true, 0
		}
	}
	g := pass("It is the release %d without people.", since+1)
	switch {
	case asks.First && !looked:
		g = outside("People have let none run yet that names the envelope, and look at the first.")
	case asks.Each > 0 && since+1 >= asks.Each:
		g = outside("%d in a row ran without people, who look at one of each %d.", since, asks.Each)
	}
	rule := "people look at the first release"
	switch {
	case asks.First && asks.Each > 0:
		rule += fmt.Sprintf(", and at one of each %d in a row", asks.Each)
	case asks.Each > 0:
		rule = fmt.Sprintf("people look at one of each %d releases in a row", asks.Each)
	}
	b.bound("people", rule, g)
}

// metrics judges the floors and ceilings, and the margins against production and
// the anchor.
func (b *inside) metrics() {
	e := &b.f.Envelope.Record
	looked := map[string]bool{}
	worst, set := 0, ""
	for i := range e.Evaluations {
		m := &e.Evaluations[i]
		q, err := requirementOf(e, m)
		if err != nil {
			b.bound("floor/"+m.Name(), m.Require, outside("%v.", err))
			continue
		}
		f := b.find(&q)
		b.metric(m, &q, &f)
		if suite := string(m.Category) + "/" + m.Suite; !looked[suite] {
			looked[suite] = true
			b.bound("evaluator/"+suite, "the suite, tool and evaluator of "+suite+" are those of the anchor, at the same versions", b.sameEvaluator(&q, &f))
		}
		if x := f.evaluation; x != nil && (set == "" || x.Record.Attempt > worst) {
			worst, set = x.Record.Attempt, record.EvaluationID(x.Digest)
		}
	}
	g := pass("The most is the try %d (%s).", worst, set)
	switch {
	case set == "":
		g = refuse(record.Missing, evaluators, "", "There is no evaluation that counts.")
	case worst <= 0:
		g = refuse(record.Inconclusive, evaluators, "", "%s does not say how many tries on its held-out set there were before it.", set)
	case worst > e.Tries:
		g = outside("%s is the try %d: the held-out set is spent; evaluate on a fresh one.", set, worst)
	}
	b.bound("tries", fmt.Sprintf("at most %d evaluations on one held-out set", e.Tries), g)
}

func (b *inside) metric(m *record.MetricBound, q *Requirement, f *found) {
	side := "ceiling/"
	if q.Bound.HigherIsBetter() {
		side = "floor/"
	}
	b.bound(side+m.Name(), q.sentence(), b.evaluation(q, f))
	compare := func(name string, margin *float64, other func(*Requirement) (*rival, record.Gate)) {
		if margin == nil {
			return
		}
		q.Margin = margin
		b.bound(name+"/"+m.Name(), fmt.Sprintf("%s on the %s suite %s is no more than %s worse than in %s", q.label(), m.Category, m.Suite, number(*margin), name), b.versus(q, f, other))
	}
	compare("production", m.Production, b.production)
	compare("anchor", m.Anchor, b.anchor)
}

// production is what runs; where nothing does, people decide.
func (b *inside) production(q *Requirement) (*rival, record.Gate) {
	if b.d.ProductionAt(b.at) == nil {
		return nil, outside("Nothing is in production to compare with.")
	}
	return b.rival(q)
}

func (b *inside) anchor(*Requirement) (*rival, record.Gate) {
	a := &b.f.Anchor
	behaviour := &a.Release.Record.Behaviour
	if a.Release.Digest == "" {
		return nil, outside("The release %s is not known.", b.f.Envelope.Record.Anchor)
	}
	return &rival{name: "the anchor", id: a.ID, model: behaviour.Model + "@" + behaviour.Version, artifact: behaviour.Artifact, named: a.Evaluations, others: a.Others}, record.Gate{}
}

// sameEvaluator judges that the numbers come about as those of the anchor did.
func (b *inside) sameEvaluator(q *Requirement, f *found) record.Gate {
	if f.evaluation == nil {
		return f.usable
	}
	a := newest(q, b.f.Anchor.Evaluations, b.f.Anchor.Release.Record.Behaviour.Artifact, func(*record.Recorded[record.Evaluation]) bool { return true })
	if a.evaluation == nil {
		return outside("The anchor has no complete evaluation of this suite.")
	}
	was, is := &a.evaluation.Record, &f.evaluation.Record
	switch {
	case was.Tool.Name != is.Tool.Name || was.Tool.Version != is.Tool.Version || is.Tool.Dirty:
		return outside("The tool is %s, and was %s.", toolName(is.Tool), toolName(was.Tool))
	case was.SuiteVersion != is.SuiteVersion || was.Definition != is.Definition:
		return outside("The suite has another version or definition than it had.")
	case !slices.Equal(was.Judges, is.Judges) || !maps.Equal(was.Settings, is.Settings):
		return outside("The judges or the settings are not those that they were.")
	case a.evaluation.Actor != f.evaluation.Actor:
		return outside("%s evaluated it, and %s the anchor.", f.evaluation.Actor, a.evaluation.Actor)
	}
	return pass("They are: %s, by %s.", toolName(is.Tool), f.evaluation.Actor)
}

func toolName(t record.Tool) string {
	if t.Dirty {
		return t.Name + " " + t.Version + " with changed code"
	}
	return t.Name + " " + t.Version
}
