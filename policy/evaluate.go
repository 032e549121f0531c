package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/record"
)

// Evaluate judges a release at a time: a pure function of the policy, the
// dossier and the time, and the only one that reaches a verdict. It judges
// every gate, also after one has failed, in the order of the policy file. The
// time is cut to the millisecond. What the dossier holds of later times is
// passed over. Verdict.Inputs is left for the caller.
func (p *Policy) Evaluate(d *record.Dossier, at time.Time) record.Verdict {
	j := newJudge(p, d, record.Millis(at))
	v := record.Verdict{
		Release: d.ID, Line: d.Line, Record: d.Digests.Record, Artifact: d.Release.Record.Behaviour.Artifact,
		Policy: record.PolicyRef{Name: p.Name, Digest: p.Digest},
		Tier:   d.Release.Record.Context.Tier, At: j.at,
	}
	if j.tier == nil {
		j.gates = []record.Gate{j.unknownTier()}
	} else {
		j.judgeAll()
	}
	v.Gates, v.Passed = j.gates, true
	for _, g := range j.gates {
		v.Passed = v.Passed && g.Lets()
		if g.Mode == record.Enforce && g.Lets() {
			v.Until = record.Earlier(v.Until, g.Until)
		}
	}
	v.Marks, v.Envelope = j.verdictMarks(), j.by
	return v
}

// Marks of a verdict, shown wherever the release is.
const (
	MarkFirst         = "first release"
	MarkApart         = "first release: compared with nothing"
	MarkAlone         = "compared with nothing" // not the first, and none runs now
	MarkNoIndependent = "no independent approval"
	MarkAdvisory      = "advisory"
	MarkWaived        = "waived: " // and the gate's name
	MarkEnvelope      = "by envelope "
	MarkOutside       = "outside envelope " // and the envelope's name
)

// judge holds what several gates need while one release is judged.
type judge struct {
	policy *Policy
	tier   *Tier
	d      *record.Dossier
	at     time.Time
	// team is the team whose roles count.
	team string
	// stewards are the standing approvals, one per dataset of the dossier.
	stewards []standing
	// parts say in which ways each person contributed.
	parts map[string][]contribution
	gates []record.Gate
	// dependent says that a seat is filled by a contributor, or a person
	// fills two.
	dependent bool
	// apart says that a comparison was passed over for want of production.
	apart bool
	// by is the envelope that fills a seat.
	by record.Digest
}

func newJudge(p *Policy, d *record.Dossier, at time.Time) *judge {
	j := &judge{policy: p, tier: p.Tier(d.Release.Record.Context.Tier), d: d, at: at, team: teamOf(d.Release.Record.Behaviour.Model)}
	j.stewards = make([]standing, len(d.Datasets))
	for i := range d.Datasets {
		j.stewards[i] = j.steward(&d.Datasets[i])
	}
	j.parts = j.contributions()
	return j
}

func (j *judge) judgeAll() {
	t := j.tier
	j.gates = make([]record.Gate, 0, 8+2*len(t.Evaluations)+len(t.Expressions)+len(t.Approvals))
	j.add(gateKnown, record.Enforce, j.known())
	j.add(gateUseCase, record.Enforce, j.useCase())
	j.add(gateEnvironment, record.Enforce, j.environment())
	if t.Datasets {
		j.add(gateDatasets, t.Mode, j.datasets())
	}
	if t.Run {
		j.add(gateRun, t.Mode, j.run())
	}
	if t.Code {
		j.add(gateCode, t.Mode, j.code())
	}
	j.evaluations()
	j.misuse()
	if t.Holdout != nil {
		j.add(gateHoldout, t.Mode, j.holdout())
	}
	if t.Vendor != nil {
		j.add(gateVendor, t.Mode, j.vendors())
	}
	if t.Rollback > 0 {
		j.add(gateRollback, t.Mode, j.rollback())
	}
	if t.Content {
		j.add(gateContent, t.Mode, j.content())
	}
	if len(t.Expressions) > 0 {
		vars := variables(j.d)
		for _, e := range t.Expressions {
			j.add(expressionPrefix+e.Name, t.lighter(e.Mode), e.judge(vars, j.d))
		}
	}
	j.add(gateReviews, record.Enforce, j.reviews())
	e := j.envelope()
	for i, g := range j.approvals(e) {
		j.add(approvalPrefix+string(t.Approvals[i].Role), t.Mode, g)
	}
}

// lighter returns advise where the tier or the gate says so.
func (t *Tier) lighter(mode string) string {
	if t.Mode == record.Advise {
		return t.Mode
	}
	return mode
}

// add finishes a gate's result and keeps it.
func (j *judge) add(name, mode string, g record.Gate) {
	j.gates = append(j.gates, j.finish(name, mode, g))
}

// finish completes a gate's result, and lets a waiver speak.
func (j *judge) finish(name, mode string, g record.Gate) record.Gate {
	g.Name, g.Rule, g.Mode = name, j.tier.rule(name), mode
	if g.Result != record.Pass {
		g = j.waive(g)
	}
	return g
}

func (j *judge) unknownTier() record.Gate {
	names := make([]string, len(j.policy.Tiers))
	for i, t := range j.policy.Tiers {
		names[i] = t.Name
	}
	return record.Gate{
		Name: gateTier, Mode: record.Enforce, Result: record.Fail,
		Rule:   fmt.Sprintf("Policy %s: a release has one of the policy's tiers.", j.policy.Name),
		Reason: fmt.Sprintf("The policy has no tier %q; it has %s.", j.d.Release.Record.Context.Tier, list(names)),
		Who:    []record.RoleName{record.Risk, record.ModelOwner},
		Do:     doPropose(j.d),
	}
}

func (j *judge) verdictMarks() []string {
	var marks []string
	switch first := j.before() == ""; {
	case first && j.apart:
		marks = append(marks, MarkApart)
	case first:
		marks = append(marks, MarkFirst)
	case j.apart:
		marks = append(marks, MarkAlone)
	}
	if j.tier != nil && (j.dependent || len(j.tier.Approvals) == 0) {
		marks = append(marks, MarkNoIndependent)
	}
	advisory := false
	for _, g := range j.gates {
		switch {
		case g.Result == record.Waived:
			marks = append(marks, MarkWaived+g.Name)
		case strings.HasPrefix(g.Name, EnvelopePrefix):
			// Of the bounds of an envelope the marks below speak.
		case g.Result != record.Pass && g.Mode == record.Advise:
			advisory = true
		}
	}
	switch e := j.d.Envelope; {
	case j.by != "":
		marks = append(marks, MarkEnvelope+e.Envelope.Record.Name)
	case slices.ContainsFunc(j.gates, func(g record.Gate) bool { return strings.HasPrefix(g.Name, EnvelopePrefix) && g.Result != record.Pass }):
		marks = append(marks, MarkOutside+e.Envelope.Record.Name)
	}
	if advisory {
		marks = append(marks, MarkAdvisory)
	}
	return marks
}

// pass, and its like below, make a gate's outcome.
func pass(format string, args ...any) record.Gate {
	return record.Gate{Result: record.Pass, Reason: fmt.Sprintf(format, args...)}
}

func refuse(result record.Result, who []record.RoleName, do, format string, args ...any) record.Gate {
	return record.Gate{Result: result, Who: who, Do: do, Reason: fmt.Sprintf(format, args...)}
}

func roles(names ...record.RoleName) []record.RoleName { return names }

// holding returns how a person holds a role for a team or a model: by a binding of
// their own or, where behalf names somebody, by what that person delegated to them.
func (j *judge) holding(name, behalf string, role record.RoleName, where string) (best record.Holding, ok bool) {
	for _, h := range j.d.People[name].Holdings(role, where, j.at) {
		if h.For == behalf && (!ok || h.Until.After(best.Until)) {
			best, ok = h, true
		}
	}
	return best, ok
}

// acting chooses by which of their holdings a person acts: their own, where they
// have one, else the first that was delegated by somebody who is not barred. It
// says why they may not, where they or all of these are.
func acting(name string, holdings []record.Holding, barred func(string) string) (h record.Holding, why string) {
	if len(holdings) > 0 {
		h = holdings[0]
	}
	if why = barred(name); why != "" || h.For == "" {
		return h, why
	}
	if i := slices.IndexFunc(holdings, func(h record.Holding) bool { return barred(h.For) == "" }); i >= 0 {
		return holdings[i], ""
	}
	return h, lentBy(barred(h.For), name)
}

// lentBy says of somebody who is barred that this bars whom they delegated to.
func lentBy(why, to string) string { return why + ", and delegated the role to " + to }

func (j *judge) human(name string) bool {
	return j.d.People[name].Principal.Type == record.Human
}

// known judges that nothing is missing from the ledger. No waiver helps here:
// what is unknown cannot be judged.
func (j *judge) known() record.Gate {
	if len(j.d.Absent) == 0 {
		return pass("All that the release refers to is known.")
	}
	absent := slices.Clone(j.d.Absent)
	slices.Sort(absent)
	return refuse(record.Missing, roles(record.Contributor), doPropose(j.d),
		"The ledger does not have %s; record it and propose the release again.", list(absent))
}

func (j *judge) useCase() record.Gate {
	now, frozen := &j.d.UseCase.Record, j.d.Release.Record.Context
	again := func(format string, args ...any) record.Gate {
		return refuse(record.Fail, roles(record.Contributor, record.ModelOwner), doPropose(j.d), format, args...)
	}
	rank, known := j.policy.Rank(now.Tier)
	switch {
	case now.Ref() != frozen.UseCase:
		return again("The use case %s is not known as the release names it.", frozen.UseCase)
	case !slices.Contains(now.Environments, frozen.Environment):
		return again("The use case %s allows the environments %s, not %s; its owner %s can change that.", now.Ref(), list(now.Environments), frozen.Environment, now.Owner)
	case now.Tier != frozen.Tier && (!known || rank > j.tier.Rank):
		return again("The use case %s is now of tier %s, and the release was frozen at tier %s; propose it again, to be judged by the rules of %s.", now.Ref(), now.Tier, frozen.Tier, now.Tier)
	case now.Owner != frozen.Owner:
		return again("The use case %s is now owned by %s, and the release names %s; propose it again, so that the reviewers see who answers for it.", now.Ref(), now.Owner, frozen.Owner)
	case now.Tier != frozen.Tier:
		return pass("The use case %s is now of the lower tier %s; the rules of %s still hold for this release.", now.Ref(), now.Tier, frozen.Tier)
	}
	return pass("The use case %s allows %s at tier %s.", now.Ref(), frozen.Environment, now.Tier)
}

func (j *judge) environment() record.Gate {
	e, frozen := &j.d.Environment.Record, j.d.Release.Record.Context
	least, known := j.policy.Rank(e.LeastTier)
	switch {
	case e.Name != frozen.Environment:
		return refuse(record.Missing, roles(record.Administrator), "imprimatur principal environment "+frozen.Environment+" --least-tier TIER --policy "+j.policy.Name,
			"The environment %s is not known.", frozen.Environment)
	case !known:
		return refuse(record.Fail, roles(record.Administrator, record.Risk), doPropose(j.d),
			"The environment %s asks for the tier %s at least, which policy %s does not rank.", e.Name, e.LeastTier, j.policy.Name)
	case j.tier.Rank < least:
		return refuse(record.Fail, roles(record.ModelOwner, record.Risk), doPropose(j.d),
			"The environment %s accepts releases of tier %s or higher, and this one is of tier %s; raise the use case's tier and propose again.", e.Name, e.LeastTier, frozen.Tier)
	}
	return pass("The tier %s is enough for %s, which asks for %s.", frozen.Tier, e.Name, e.LeastTier)
}
