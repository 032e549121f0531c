package registry

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"imprimatur.dev/authority"
	"imprimatur.dev/lineage"
	"imprimatur.dev/policy"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// examined is a release with its verdict and what the verdict was computed from.
type examined struct {
	wire.Case
	dossier *record.Dossier
	policy  *policy.Policy
}

// ProposeRelease freezes a model version, its lineage, its evaluations and the
// authority it asks for into a release. It is refused, with every reason, while
// a gate other than the approvals does not pass.
func (r *Registry) ProposeRelease(ctx context.Context, who Caller, in wire.Proposal) (wire.Case, error) {
	got, err := command[record.Release](ctx, r, who, func(t *tx) error { return t.propose(in) })
	if err != nil {
		return wire.Case{}, err
	}
	id := record.ReleaseID(got.Digest)
	if !in.Promote {
		return r.CheckRelease(ctx, who, id)
	}
	return r.promoteProposed(ctx, who, id)
}

func (t *tx) propose(in wire.Proposal) error {
	if in.Promote && in.Envelope == "" {
		return refusef(wire.Invalid, "only an envelope lets a proposal be promoted at once; name it, or propose first and promote when people have approved: imprimatur release promote ID")
	}
	rel, err := t.freeze(in)
	if err != nil {
		return err
	}
	raw, err := record.CanonicalOf(rel)
	if err != nil {
		return err
	}
	id := record.ReleaseID(record.DigestOf(raw))
	if err := once(t, record.KeyRelease(id), rel, "the release "+id); err != nil || t.answer != nil {
		return err
	}
	c, err := t.examine(id)
	if err != nil {
		return err
	}
	if !in.Incomplete {
		if err := t.refuseGaps(c, in.Version); err != nil {
			return err
		}
	}
	if rel.Context.Envelope == "" {
		return nil
	}
	// What an envelope said of each attempt stays, for its next uses.
	return t.state(c.Verdict)
}

// refuseGaps refuses a proposal that lacks more than approvals. What is refused
// is not kept, so nobody is told to approve it yet. An inconclusive one by an envelope
// is kept: two in a row end that.
func (t *tx) refuseGaps(c *examined, version string) error {
	gaps := false
	refused := *c
	refused.Verdict.Gates = slices.Clone(c.Verdict.Gates)
	for i, g := range c.Verdict.Gates {
		if strings.HasPrefix(g.Name, approvalGate) {
			refused.Verdict.Gates[i].Do = ""
		} else {
			kept := g.Result == record.Inconclusive && c.dossier.Envelope != nil
			gaps = gaps || !g.Lets() && !kept
		}
	}
	if !gaps {
		return nil
	}
	return refusedBy(t.named(&refused), "A release of "+version)
}

// approvalGate begins the names of the gates that people pass by approving.
const approvalGate = "approval/"

// freeze builds the release record from what the ledger knows.
func (t *tx) freeze(in wire.Proposal) (record.Release, error) {
	var none record.Release
	version, err := need[record.ModelVersion](t, record.KeyVersion(in.Version), "the model version "+in.Version, "register it first: imprimatur model register")
	if err != nil {
		return none, err
	}
	if err := t.within(actPropose, version.Record.Model); err != nil {
		return none, err
	}
	use, err := need[record.UseCase](t, record.KeyUseCase(in.UseCase), "the use case "+in.UseCase, "its owner registers it: imprimatur usecase register")
	if err != nil {
		return none, err
	}
	if teamOf(in.UseCase) != teamOf(version.Record.Model) {
		return none, refusef(wire.Invalid, "the use case %s is of another team than the model %s, and another team's tier is no measure of this one's risk; register a use case of team %s: imprimatur usecase register",
			in.UseCase, version.Record.Model, teamOf(version.Record.Model))
	}
	env, err := need[record.Environment](t, record.KeyEnvironment(in.Environment), "the environment "+in.Environment, "an administrator can set it up: imprimatur principal environment "+in.Environment)
	if err != nil {
		return none, err
	}
	rules, err := need[record.Policy](t, record.KeyPolicyName(env.Record.Policy), "the policy "+env.Record.Policy+" of the environment "+in.Environment, "publish it: imprimatur policy publish FILE")
	if err != nil {
		return none, err
	}
	if _, err := authority.Compile(in.Authority); err != nil {
		return none, refusef(wire.Invalid, "the authority cannot be used: %v; mend the conditions, and read it out with imprimatur authority show FILE", err)
	}
	trail, err := lineage.Trace(t, version.Record.Artifact)
	if err != nil {
		return none, err
	}
	evaluations, err := t.newestEvaluations(teamOf(version.Record.Model), version.Record.Artifact)
	if err != nil {
		return none, err
	}
	v := version.Record
	rel := record.Release{
		Behaviour: record.Behaviour{
			Model: v.Model, Version: v.Version, Type: v.Type, Artifact: v.Artifact,
			Prompt: v.Prompt, Configuration: v.Configuration, Evaluations: evaluations,
		},
		Data:      record.ReleaseData{Runs: trail.RunRefs(), Datasets: trail.Datasets, Bases: trail.Bases},
		Authority: in.Authority,
		Context: record.Context{
			UseCase: use.Record.Ref(), Tier: use.Record.Tier, Environment: env.Record.Name, Owner: use.Record.Owner,
			Policy: record.PolicyRef{Name: rules.Record.Name, Digest: rules.Record.Digest},
			Misuse: use.Record.RequiredMisuse(),
		},
	}
	if in.Envelope != "" {
		rel.Context.Envelope, err = t.envelopeOf(rel.Line(), in.Envelope)
	}
	return rel, err
}

// newestEvaluations returns the digests of the newest evaluation of each suite
// and dataset by the model's team, in order.
func (t *tx) newestEvaluations(team string, artifact record.Digest) ([]record.Digest, error) {
	entries, err := t.Find(record.KeyEvaluations(artifact))
	if err != nil {
		return nil, err
	}
	newest := map[string]record.Digest{}
	for _, e := range entries {
		if ev, ok := e.Statement.Body.(record.Evaluation); ok && ev.Team == team {
			newest[string(ev.Category)+"/"+ev.Suite+"/"+string(ev.Dataset)] = e.Statement.Digest()
		}
	}
	digests := make([]record.Digest, 0, len(newest))
	for _, d := range newest {
		digests = append(digests, d)
	}
	slices.Sort(digests)
	return slices.Compact(digests), nil
}

// release returns a release by its ID.
func (t *tx) release(id string) (record.Recorded[record.Release], error) {
	return need[record.Release](t, record.KeyRelease(id), "the release "+id, "imprimatur release list shows them")
}

// examine gathers a release's dossier and evaluates its policy now.
func (t *tx) examine(id string) (*examined, error) {
	if _, err := t.release(id); err != nil {
		return nil, err
	}
	d, entries, err := lineage.Collect(t, id)
	if err != nil {
		return nil, err
	}
	p, err := t.policyByDigest(d.Release.Record.Context.Policy.Digest)
	if err != nil {
		return nil, err
	}
	c := &examined{Case: wire.Case{ID: id, Line: d.Line, Release: d.Release, Digests: d.Digests, Exceptions: d.Exceptions}, dossier: d, policy: p}
	c.Verdict = p.Evaluate(d, t.now)
	for _, e := range entries {
		c.Verdict.Inputs = append(c.Verdict.Inputs, e.Digest)
	}
	standing := p.Stands(d, t.now)
	c.Status, c.Live = standing.Status, standing.Live
	c.Stands, c.Reasons = standing.OK, standing.Reasons
	c.Last = lastTurn(d.History, id)
	return c, nil
}

// named adds the people who could supply what is missing. Whom the release's
// lineage excludes from a seat is not asked to take one.
func (t *tx) named(c *examined) *examined {
	c.Approvers = map[record.RoleName][]string{}
	for _, g := range c.Verdict.Blocking() {
		for _, role := range g.Who {
			if _, done := c.Approvers[role]; done {
				continue
			}
			people, err := t.roster(role, c.Release.Record.Behaviour.Model)
			if err != nil {
				continue // the names are a help; the refusal stands without them
			}
			c.Approvers[role] = []string{}
			for _, p := range people {
				if !strings.HasPrefix(g.Name, approvalGate) || t.barred(c, p, role) == "" {
					c.Approvers[role] = append(c.Approvers[role], p.Principal.Name)
				}
			}
		}
	}
	return c
}

// CheckRelease evaluates a release now. It changes nothing.
func (r *Registry) CheckRelease(ctx context.Context, who Caller, id string) (wire.Case, error) {
	var out wire.Case
	err := r.read(ctx, who, func(t *tx) error {
		c, err := t.readable(id)
		if err != nil {
			return err
		}
		out = t.named(c).Case
		return nil
	})
	return out, err
}

// readable is examine for a caller who only looks.
func (t *tx) readable(id string) (*examined, error) {
	rel, err := t.release(id)
	if err != nil {
		return nil, err
	}
	if err := t.may(actRead, rel.Record.Behaviour.Model); err != nil {
		return nil, err
	}
	return t.examine(id)
}

// sentence joins reasons.
func sentence(reasons []string) string { return strings.Join(reasons, "; ") }

func byName(a, b record.Person) int { return cmp.Compare(a.Principal.Name, b.Principal.Name) }
