package policy

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"imprimatur.dev/authority"
	"imprimatur.dev/record"
)

// drilledWithin is how old a drill may be where a tier that asks for a ready
// rollback does not say.
const drilledWithin = 90 * 24 * time.Hour

// readiness reads "rollback: ready" and "rollback: { drill: 30d }".
func (r *reader) readiness(n *yaml.Node) (within time.Duration) {
	if n.Kind == yaml.ScalarNode {
		r.oneOf(n, "rollback", "ready")
		return drilledWithin
	}
	r.mapping(n, "rollback", need("drill", func(n *yaml.Node) { within = r.span(n, "drill") }))
	return within
}

// rollback judges whether what ran before could take over.
func (j *judge) rollback() record.Gate {
	before := j.before()
	if before == "" {
		return pass("Nothing ran here before, so to stop the release is the way back.")
	}
	status, _ := record.StatusAt(j.d.History, before, j.at)
	who, do := roles(record.ModelOwner, record.Contributor), "imprimatur release show "+before
	b := j.baseline(before)
	switch {
	case b == nil || (status != record.Live && status != record.Replaced):
		return refuse(record.Fail, who, do, "The release before, %s, is %s and cannot take over.", before, status)
	case !record.Stands(time.Time{}, b.Until, j.at):
		return refuse(record.Fail, who, do, "The release before, %s, lapsed on %s and cannot take over until what lapsed is renewed.", before, date(b.Until))
	}
	if wider := authority.Compare(j.d.Release.Record.Authority, b.Release.Record.Authority).Widening(); wider != "" {
		if b.Release.Record.Behaviour.Artifact == j.d.Release.Record.Behaviour.Artifact {
			return pass("The release before, %s, is the same model with more authority, so to stop the release is the way back.", before)
		}
		return refuse(record.Fail, who, do, "To go back to the release before, %s, would widen what the model may do: it %s. Narrow what runs first, in a release of its own.", before, wider)
	}
	return j.drilled(before, b.Until)
}

// Drilled judges the last drill of a release of the dossier's line, by the tier of the
// dossier's own release, whether that asks for one or not.
func (p *Policy) Drilled(d *record.Dossier, release string, at time.Time) record.Gate {
	j := newJudge(p, d, record.Millis(at))
	if j.tier == nil {
		return j.unknownTier()
	}
	return j.drilled(release, time.Time{})
}

// DrillDue returns the release that has to be tried again before its last drill lapses,
// and the gate of a ready rollback with it; from when that is asked for, a sixth of the
// policy's time before; and when it lapses. There is none where no drill holds the gate.
func (p *Policy) DrillDue(d *record.Dossier, at time.Time) (release string, from, until time.Time) {
	j := newJudge(p, d, record.Millis(at))
	if j.tier == nil || j.tier.Rollback == 0 {
		return "", from, until
	}
	before := j.before()
	x := j.d.DrillAt(before, j.at)
	if g := j.rollback(); x == nil || !g.Lets() || g.Until.IsZero() {
		return "", from, until
	}
	const asked = 6
	until = x.Time.Add(j.tier.Rollback)
	return before, until.Add(-j.tier.Rollback / asked), until
}

// drilled judges the last drill of the release before.
func (j *judge) drilled(before string, until time.Time) record.Gate {
	who, do := roles(record.ModelOwner), "imprimatur release drill "+before
	x := j.d.DrillAt(before, j.at)
	if x == nil {
		return refuse(record.Missing, who, do, "Nobody has tried yet whether the release before, %s, could take over.", before)
	}
	within := cmp.Or(j.tier.Rollback, drilledWithin)
	lapses := x.Time.Add(within)
	var g record.Gate
	switch {
	case !x.Record.Ready():
		g = refuse(record.Fail, who, do, "The release before, %s, could not take over when that was tried on %s: %s.", before, date(x.Time), strings.TrimSuffix(x.Record.Fault(), "."))
	case !record.Stands(time.Time{}, lapses, j.at):
		g = refuse(record.Fail, who, do, "That the release before, %s, could take over was tried last on %s, more than %s ago.", before, date(x.Time), spell(within))
	default:
		g = pass("The release before, %s, still stands and can take over, as was tried on %s.", before, date(x.Time))
		g.Until = record.Earlier(until, lapses)
	}
	g.Evidence = []string{string(x.Digest)}
	return g
}

// before returns the ID of the release that the one judged is to be taken back to,
// whether it still stands or not: what it replaced when it was first promoted, or,
// of one that never was, what was promoted last. It is empty for none.
func (j *judge) before() (id string) {
	for _, e := range j.d.History {
		if e.Promotion == nil || e.Time.After(j.at) {
			continue
		}
		if e.Promotion.Release == j.d.ID {
			return e.Promotion.Replaces
		}
		id = e.Promotion.Release
	}
	return id
}

func (j *judge) baseline(id string) *record.Baseline {
	for i := range j.d.Baselines {
		if j.d.Baselines[i].ID == id {
			return &j.d.Baselines[i]
		}
	}
	return nil
}

// readyRule is what the gate asks.
func (t *Tier) readyRule() string {
	return fmt.Sprintf("the release before still stands, may do no more, and was tried within %s whether it can take over", spell(t.Rollback))
}
