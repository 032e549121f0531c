package registry

import (
	"context"
	"slices"

	"imprimatur.dev/lineage"
	"imprimatur.dev/lineage/openlineage"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// LineageOf returns a node of what pipelines sent ("dataset:NAMESPACE:NAME",
// "job:NAMESPACE:NAME" or "run:ID") and those up to depth edges around it, in the
// teams that the caller may read. A dataset that nobody registered is marked as
// unknown, which is as good as unapproved.
func (r *Registry) LineageOf(ctx context.Context, who Caller, id string, depth int) (wire.Lineage, error) {
	out := wire.Lineage{Graph: []wire.LineageNode{}}
	err := r.read(ctx, who, func(t *tx) error {
		if err := t.mayReadAny(); err != nil {
			return err
		}
		nodes, all := r.pipelines.around(id, depth, func(team string) bool { return t.may(actRead, team) == nil })
		if len(nodes) == 0 {
			return refusef(wire.Unknown, "no event that you may read names %s; give dataset:NAMESPACE:NAME, job:NAMESPACE:NAME or run:ID", id)
		}
		out.Truncated = !all
		sources, err := lineage.All[record.DataApproval](t, record.KeySourceApprovals)
		if err != nil {
			return err
		}
		for _, n := range nodes {
			shown, err := t.lineageNode(n, sources)
			if err != nil {
				return err
			}
			out.Graph = append(out.Graph, shown)
		}
		return nil
	})
	return out, err
}

// around walks over the graphs of the teams that may be read.
func (p *pipelines) around(id string, depth int, may func(team string) bool) ([]openlineage.Node, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var graphs []*openlineage.Graph
	for team, g := range p.graphs {
		if may(team) {
			graphs = append(graphs, g)
		}
	}
	return openlineage.Around(graphs, id, depth)
}

func (t *tx) lineageNode(n openlineage.Node, sources []record.Recorded[record.DataApproval]) (wire.LineageNode, error) {
	out := wire.LineageNode{ID: n.ID, Type: n.Type, InEdges: edges(n.In), OutEdges: edges(n.Out), Data: wire.LineageData{
		ID: n.Name, Namespace: n.Name.Namespace, Name: n.Name.Name,
		Version: n.Version, Columns: n.Columns, Parent: n.Parent, Location: n.Code.URL, Commit: n.Code.Version,
	}}
	if n.Run != "" {
		out.Data.Run = &wire.LineageRun{ID: n.Run, State: n.State, Started: n.Began, Ended: n.Ended}
	}
	if n.Type != openlineage.TypeDataset {
		return out, nil
	}
	for _, a := range n.Aliases {
		if a != n.Name {
			out.Data.Symlinks = append(out.Data.Symlinks, a)
		}
	}
	return out, t.standing(n.Aliases, sources, &out.Data)
}

func edges(in []openlineage.Edge) []wire.LineageEdge {
	out := make([]wire.LineageEdge, len(in))
	for i, e := range in {
		out[i] = wire.LineageEdge{Origin: e.From, Destination: e.To, Entry: e.Index}
	}
	return out
}

// standing finds the registered datasets that have one of the names as their
// source, and the purposes for which the stewards' words on them stand.
func (t *tx) standing(names []record.LineageName, sources []record.Recorded[record.DataApproval], into *wire.LineageData) error {
	into.Standing = wire.DataUnknown
	for _, n := range names {
		sets, err := lineage.All[record.Dataset](t, record.KeyDatasetSource(n))
		if err != nil {
			return err
		}
		for _, set := range sets {
			if into.Standing == wire.DataUnknown {
				into.Standing = wire.DataUnapproved
			}
			if ref := set.Record.Ref(); t.may(actRead, set.Record.Team) == nil && !slices.Contains(into.Datasets, ref) {
				into.Datasets = append(into.Datasets, ref)
			}
			words, err := lineage.All[record.DataApproval](t, record.KeyDataApprovals(set.Record.Digest))
			if err != nil {
				return err
			}
			for _, w := range sources {
				if w.Record.Matches(set.Record) {
					words = append(words, w)
				}
			}
			into.Purposes = append(into.Purposes, t.purposes(words)...)
		}
	}
	slices.Sort(into.Purposes)
	into.Purposes = slices.Compact(into.Purposes)
	if len(into.Purposes) > 0 {
		into.Standing = wire.DataApproved
	}
	return nil
}

// purposes returns those for which an approval stands now that no later word
// withdrew. Whether that lets a release through is for its policy to say.
func (t *tx) purposes(words []record.Recorded[record.DataApproval]) (out []string) {
	for _, a := range words {
		if a.Record.Decision != record.Allow || !record.Stands(a.Time, a.Record.Expires, t.now) {
			continue
		}
		for _, p := range a.Record.Purposes {
			withdrawn := slices.ContainsFunc(words, func(w record.Recorded[record.DataApproval]) bool {
				return w.Record.Decision == record.Withdraw && w.Index > a.Index && w.Record.ForPurpose(p)
			})
			if !withdrawn {
				out = append(out, p)
			}
		}
	}
	return out
}
