package registry

import (
	"context"
	"strings"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// graphWords are the words of the kinds of node that are statements.
var graphWords = map[lineage.NodeKind]record.Kind{
	lineage.NodeDataset: record.KindDataset, lineage.NodeRun: record.KindRun, lineage.NodeVersion: record.KindModelVersion,
	lineage.NodeRelease: record.KindRelease, lineage.NodeEvaluation: record.KindEvaluation,
}

func wordOf(k lineage.NodeKind) string {
	if kind, ok := graphWords[k]; ok {
		return kind.String()
	}
	return map[lineage.NodeKind]string{lineage.NodeSource: "data source", lineage.NodeJob: "pipeline job", lineage.NodeEvents: "pipeline run"}[k]
}

// Impact answers what was made from a thing, rests on it or was done by it, in
// pages: after is the cursor of the page before, limit the most on one page. The
// thing is the name of a node, as lineage.ParseName reads it: data, a run, a model,
// a commit, a person or workload, a vendor, a secret.
func (r *Registry) Impact(ctx context.Context, who Caller, thing, after string, limit int) (wire.Impact, error) {
	var out wire.Impact
	err := r.read(ctx, who, func(t *tx) error {
		if err := t.mayReadAny(); err != nil {
			return err
		}
		name, err := lineage.ParseName(thing)
		if err != nil {
			return refusef(wire.Invalid, "%w", err)
		}
		r.graph.mu.RLock()
		defer r.graph.mu.RUnlock()
		starts := r.graph.g.Find(name)
		if len(starts) == 0 && name.Kind == lineage.AnyNode && record.Digest(name.Key).Validate() != nil {
			return refusef(wire.Unknown, "no dataset or model version %s is registered; give its digest, or register it: imprimatur dataset register", thing)
		}
		out, err = t.impact(starts, after, limit)
		return err
	})
	return out, err
}

// impact walks from nodes. The graph is locked.
func (t *tx) impact(starts []lineage.NodeID, after string, limit int) (wire.Impact, error) {
	g := t.reg.graph.g
	if limit <= 0 || limit > wire.MaxPage {
		limit = wire.MaxPage
	}
	got, err := g.ImpactOf(starts, t.mayRead, after, limit)
	if err != nil {
		return wire.Impact{}, refusef(wire.Invalid, "%w", err)
	}
	out := wire.Impact{Counts: map[string]int{}, Live: got.Live, Others: got.Others, OthersLive: got.OthersLive, Reached: []wire.Reached{}, Next: got.Next}
	for kind, n := range got.Counts {
		out.Counts[wordOf(kind)] += n
	}
	for _, h := range got.Hits {
		n := g.Node(h.Node)
		w := wire.Reached{ID: n.Name.String(), Word: wordOf(n.Name.Kind), Name: n.Name.Key, Live: liveIn(n.Live), Via: t.edge(h.Via)}
		switch {
		case n.Name.Kind == lineage.NodeRelease && len(n.Labels) > 0:
			w.Name += " " + n.Labels[0]
		case len(n.Labels) > 0:
			w.Name = strings.Join(n.Labels, ", ")
		}
		out.Reached = append(out.Reached, w)
	}
	return out, nil
}

func liveIn(l *lineage.Live) *wire.LiveIn {
	if l == nil {
		return nil
	}
	return &wire.LiveIn{Line: l.Line, Environment: l.Environment, Since: l.Since.Time, By: l.Since.Actor}
}

func (t *tx) edge(e lineage.Edge) wire.GraphEdge {
	return wire.GraphEdge{From: t.nodeID(e.From), To: t.nodeID(e.To), Role: e.Role.String(), Entry: e.Stated.Index, Statement: e.Stated.Digest}
}
