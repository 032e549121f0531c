package registry

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"imprimatur.dev/authority"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// DiffReleases compares two releases; an empty from means the one that was live
// in the line before to.
func (r *Registry) DiffReleases(ctx context.Context, who Caller, from, to string) (wire.Diff, error) {
	var out wire.Diff
	err := r.read(ctx, who, func(t *tx) error {
		newer, err := t.readable(to)
		if err != nil {
			return err
		}
		if from == "" {
			if newer.dossier.ProductionAt(t.now) == nil {
				return refusef(wire.Refused, "nothing was live in %s before %s; name the release to compare with", newer.Line, to)
			}
			from = newer.dossier.ProductionAt(t.now).ID
		}
		older, err := t.readable(from)
		if err != nil {
			return err
		}
		out = compare(older, newer)
		return nil
	})
	return out, err
}

func compare(older, newer *examined) wire.Diff {
	was, is := older.Release.Record, newer.Release.Record
	widening := authority.Compare(was.Authority, is.Authority)
	d := wire.Diff{From: older.ID, To: newer.ID, Authority: widening.Relation}
	named := names(older, newer)
	sentences := map[record.Part][]string{
		record.PartBehaviour: behaviourChanges(was.Behaviour, is.Behaviour, named),
		record.PartData:      dataChanges(was.Data, is.Data, named),
		record.PartContext:   contextChanges(was.Context, is.Context),
	}
	for _, c := range widening.Changes {
		sentences[record.PartAuthority] = append(sentences[record.PartAuthority], c.Sentence)
	}
	for _, p := range record.Parts {
		changed := older.Digests.Parts[p] != newer.Digests.Parts[p]
		d.Parts = append(d.Parts, wire.PartChange{Part: p, Changed: changed, Changes: sentences[p]})
	}
	d.Approvals = carried(older, newer)
	return d
}

// carried tells of each approval that counts for the older release what the
// policy makes of it on the newer one.
func carried(older, newer *examined) []wire.Carried {
	var out []wire.Carried
	for i, a := range older.dossier.Approvals {
		rec := a.Approval.Record
		spokeAgain := slices.ContainsFunc(older.dossier.Approvals[i+1:], func(b record.ApprovalFacts) bool {
			return b.Approval.Actor == a.Approval.Actor && b.Approval.Record.Role == rec.Role && b.Approval.Record.Release != newer.ID
		})
		if counts, _ := older.policy.Carries(older.dossier, a, older.Verdict.At); !counts || spokeAgain || rec.Release == newer.ID {
			continue
		}
		ok, why := newer.policy.Carries(newer.dossier, a, newer.Verdict.At)
		out = append(out, wire.Carried{Approver: a.Approval.Actor, For: rec.For, Role: rec.Role, Carries: ok, Why: why})
	}
	return out
}

// names calls datasets and evaluations by name where a dossier knows them.
func names(older, newer *examined) func([]record.Digest) []string {
	known := map[record.Digest]string{}
	for _, d := range []*record.Dossier{older.dossier, newer.dossier} {
		for _, set := range d.Datasets {
			known[set.Dataset.Record.Digest] = set.Dataset.Record.Ref()
		}
		for _, e := range d.Evaluations {
			known[e.Digest] = fmt.Sprintf("%s of %s/%s", record.EvaluationID(e.Digest), e.Record.Category, e.Record.Suite)
		}
		for _, b := range d.Bases {
			known[b.Record.Artifact] = b.Record.Ref()
		}
	}
	return func(ds []record.Digest) []string {
		out := make([]string, len(ds))
		for i, d := range ds {
			out[i] = cmp.Or(known[d], d.Short())
		}
		return out
	}
}

func behaviourChanges(was, is record.Behaviour, named func([]record.Digest) []string) []string {
	var out []string
	out = changed(out, "the model version", was.Model+"@"+was.Version, is.Model+"@"+is.Version)
	out = changed(out, "the artifact", was.Artifact.Short(), is.Artifact.Short())
	out = changed(out, "the prompt", was.Prompt.Short(), is.Prompt.Short())
	out = changed(out, "the configuration", was.Configuration.Short(), is.Configuration.Short())
	return reevaluated(out, named(was.Evaluations), named(is.Evaluations))
}

// reevaluated says of each suite, which follows " of " in an evaluation's name,
// that it is new, gone, or was evaluated again.
func reevaluated(out []string, was, is []string) []string {
	suite := func(name string) string {
		_, s, _ := strings.Cut(name, " of ")
		return s
	}
	was, is = without(was, is), without(is, was)
	for i, old := range was {
		j := slices.IndexFunc(is, func(n string) bool { return suite(n) != "" && suite(n) == suite(old) })
		if j >= 0 {
			out = append(out, "the evaluation of "+suite(old)+" was "+strings.TrimSuffix(old, " of "+suite(old))+" and is "+strings.TrimSuffix(is[j], " of "+suite(old)))
			was[i], is = "", slices.Delete(is, j, j+1)
		}
	}
	return addedRemoved(out, "the evaluation", slices.DeleteFunc(was, func(s string) bool { return s == "" }), is)
}

// without returns the names that are not among others.
func without(names, others []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(others, n) })
}

func dataChanges(was, is record.ReleaseData, named func([]record.Digest) []string) []string {
	out := addedRemoved(nil, "the training run", was.Runs, is.Runs)
	out = addedRemoved(out, "the dataset", named(was.Datasets), named(is.Datasets))
	return addedRemoved(out, "the base model", named(was.Bases), named(is.Bases))
}

func contextChanges(was, is record.Context) []string {
	var out []string
	out = changed(out, "the use case", was.UseCase, is.UseCase)
	out = changed(out, "the tier", was.Tier, is.Tier)
	out = changed(out, "the environment", was.Environment, is.Environment)
	out = changed(out, "the owner", was.Owner, is.Owner)
	out = addedRemoved(out, "the required misuse case", was.Misuse, is.Misuse)
	return changed(out, "the policy", was.Policy.Name+" "+was.Policy.Digest.Short(), is.Policy.Name+" "+is.Policy.Digest.Short())
}

func changed(out []string, what, was, is string) []string {
	switch {
	case was == is:
		return out
	case was == "":
		return append(out, what+" "+is+" is new")
	case is == "":
		return append(out, what+" "+was+" is gone")
	}
	return append(out, what+" was "+was+" and is "+is)
}

func addedRemoved(out []string, what string, was, is []string) []string {
	for _, v := range is {
		if !slices.Contains(was, v) {
			out = append(out, what+" "+v+" is new")
		}
	}
	for _, v := range was {
		if !slices.Contains(is, v) {
			out = append(out, what+" "+v+" is gone")
		}
	}
	return out
}
