package registry

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// Asked says how much of a graph is asked for; zeros are the defaults of wire.
type Asked struct {
	// Way is wire.WayFrom, wire.WayInto, or empty for both.
	Way          string
	Depth, Nodes int
}

// Graph returns a node with what it was made from and what was made from it. A
// name is one that lineage.ParseName reads. What belongs to teams that the caller
// may not read is there without its name, and is not walked through.
func (r *Registry) Graph(ctx context.Context, who Caller, node string, asked Asked) (wire.Graph, error) {
	out := wire.Graph{Nodes: []wire.GraphNode{}, Edges: []wire.GraphEdge{}}
	err := r.read(ctx, who, func(t *tx) error {
		if err := t.mayReadAny(); err != nil {
			return err
		}
		name, err := lineage.ParseName(node)
		if err != nil {
			return refusef(wire.Invalid, "%w", err)
		}
		r.graph.mu.RLock()
		defer r.graph.mu.RUnlock()
		starts := slices.DeleteFunc(r.graph.g.Find(name), func(id lineage.NodeID) bool { return t.hidden(id) })
		if len(starts) == 0 {
			return refusef(wire.Unknown, "nothing that you may read names %s; imprimatur audit who, dataset list, model list and release list show what there is", node)
		}
		return t.graph(starts, asked, &out)
	})
	return out, err
}

func (t *tx) graph(starts []lineage.NodeID, asked Asked, out *wire.Graph) error {
	limits, err := limitsOf(asked)
	if err != nil {
		return err
	}
	limits.Through = t.shown
	judge, err := t.judgeOf(starts)
	if err != nil {
		return err
	}
	g := t.reg.graph.g
	ways := []lineage.Way{lineage.Up, lineage.Down}
	for _, way := range ways {
		word := wire.WayFrom
		if way == lineage.Down {
			word = wire.WayInto
		}
		if asked.Way != "" && asked.Way != word {
			continue
		}
		steps, cut := g.Walk(starts, way, lineage.Around, limits)
		if cut.Depth || cut.Nodes {
			out.Cut = strings.TrimSpace(out.Cut + " " + cutSentence(word, cut, limits))
		}
		for _, s := range steps {
			if s.Depth == 0 && len(out.Nodes) >= len(starts) {
				continue // both ways have the starts
			}
			n, err := t.graphNode(s, word, judge)
			if err != nil {
				return err
			}
			out.Nodes = append(out.Nodes, n)
		}
		for _, e := range g.Edges(steps, lineage.Around) {
			out.Edges = append(out.Edges, t.edge(e))
		}
	}
	out.Broken, err = t.broken(starts, judge)
	return err
}

func limitsOf(a Asked) (lineage.Limits, error) {
	out := lineage.Limits{Depth: wire.GraphDepth, Nodes: wire.GraphNodes}
	if a.Way != "" && a.Way != wire.WayFrom && a.Way != wire.WayInto {
		return out, refusef(wire.Invalid, "the way %q is neither %s nor %s; give one of these, or none for both", a.Way, wire.WayFrom, wire.WayInto)
	}
	if a.Depth < 0 || a.Depth > wire.MaxGraphDepth || a.Nodes < 0 || a.Nodes > wire.MaxGraphNodes {
		return out, refusef(wire.Invalid, "a graph is answered with up to %d edges from its start and %d nodes each way; ask for less", wire.MaxGraphDepth, wire.MaxGraphNodes)
	}
	if a.Depth > 0 {
		out.Depth = a.Depth
	}
	if a.Nodes > 0 {
		out.Nodes = a.Nodes
	}
	return out, nil
}

func cutSentence(way string, cut lineage.Cut, at lineage.Limits) string {
	side := map[string]string{wire.WayFrom: "What it was made from", wire.WayInto: "What was made from it"}[way]
	if cut.Nodes {
		return fmt.Sprintf("%s is more than the %d nodes that are shown; ask for more nodes, or for a node nearer to what you look for.", side, at.Nodes)
	}
	return fmt.Sprintf("%s goes on beyond %d edges; ask for more depth.", side, at.Depth)
}

// mayRead reports whether the caller may read what a team has.
func (t *tx) mayRead(team string) bool {
	may, known := t.reads[team]
	if !known {
		if t.reads == nil {
			t.reads = map[string]bool{}
		}
		may = t.may(actRead, team) == nil
		t.reads[team] = may
	}
	return may
}

// hidden reports whether a node is of a team that the caller may not read.
func (t *tx) hidden(id lineage.NodeID) bool {
	team := t.reg.graph.g.Team(id)
	return team != "" && !t.mayRead(team)
}

func (t *tx) shown(id lineage.NodeID) bool { return !t.hidden(id) }

func (t *tx) nodeID(id lineage.NodeID) string {
	if t.hidden(id) {
		return fmt.Sprintf("hidden:%d", id)
	}
	return t.reg.graph.g.Node(id).Name.String()
}

func (t *tx) graphNode(s lineage.Step, way string, j *dataJudge) (wire.GraphNode, error) {
	n := t.reg.graph.g.Node(s.Node)
	out := wire.GraphNode{ID: t.nodeID(s.Node), Kind: n.Name.Kind.String(), Depth: int(s.Depth), Entry: n.Named.Index, Statement: n.Named.Digest}
	if s.Depth > 0 {
		out.Way = way
	}
	if n.Stated != nil {
		out.Entry, out.Statement = n.Stated.Index, n.Stated.Digest
	}
	if t.hidden(s.Node) {
		return out, nil
	}
	out.Labels, out.Team, out.Live = n.Labels, n.Team, liveIn(n.Live)
	var err error
	out.Standing, out.Purposes, out.Reason, err = j.standing(s.Node, n)
	return out, err
}

// dataJudge says where nodes stand. For a release it speaks the words of the
// release's own policy; else data is approved that is approved for any purpose.
type dataJudge struct {
	t       *tx
	lacking map[record.Digest]string
	known   map[record.Digest]bool
	sources []record.Recorded[record.DataApproval]
}

func (t *tx) judgeOf(starts []lineage.NodeID) (*dataJudge, error) {
	j := &dataJudge{t: t, known: map[record.Digest]bool{}}
	var err error
	if j.sources, err = lineage.All[record.DataApproval](t, record.KeySourceApprovals); err != nil {
		return nil, err
	}
	n := t.reg.graph.g.Node(starts[0])
	if n.Name.Kind != lineage.NodeRelease || n.Stated == nil {
		return j, nil
	}
	d, _, err := lineage.Collect(t, n.Name.Key)
	if err != nil {
		return nil, err
	}
	p, err := t.policyByDigest(d.Release.Record.Context.Policy.Digest)
	if err != nil {
		return nil, err
	}
	for _, f := range d.Datasets {
		j.known[f.Dataset.Record.Digest] = true
	}
	j.lacking = p.Lacking(d, t.now)
	return j, nil
}

func (j *dataJudge) standing(id lineage.NodeID, n lineage.Node) (standing wire.Standing, purposes []string, reason string, err error) {
	switch n.Name.Kind {
	case lineage.NodeDataset:
		if n.Stated != nil {
			return j.dataset(n)
		}
		return wire.DataUnknown, nil, "nobody registered this dataset; a contributor can: imprimatur dataset register TEAM/NAME@VERSION --digest " + n.Name.Key, nil
	case lineage.NodeSource:
		return j.source(id)
	case lineage.NodeVersion:
		reason = "no model version with this artifact is registered; a contributor can register it: imprimatur model register TEAM/NAME@VERSION PATH"
	case lineage.NodeRun:
		reason = "this run was never recorded; its pipeline can: imprimatur run record RUN.json"
	}
	if n.Stated != nil || reason == "" {
		return "", nil, "", nil
	}
	return wire.DataUnknown, nil, reason, nil
}

// source says of data that pipelines read and nobody registered that it is unknown.
func (j *dataJudge) source(id lineage.NodeID) (wire.Standing, []string, string, error) {
	if len(j.t.reg.graph.g.Registered(id)) > 0 {
		return "", nil, "", nil
	}
	uri := j.t.reg.graph.g.Node(id).Name.Key
	return wire.DataUnknown, nil, "nobody registered a dataset with this source; a contributor can: imprimatur dataset register TEAM/NAME@VERSION PATH --source " + uri, nil
}

func (j *dataJudge) dataset(n lineage.Node) (wire.Standing, []string, string, error) {
	digest := record.Digest(n.Name.Key)
	words, err := lineage.All[record.DataApproval](j.t, record.KeyDataApprovals(digest))
	if err != nil {
		return "", nil, "", err
	}
	set, ok, err := lineage.Last[record.Dataset](j.t, record.KeyDataset(digest))
	if err != nil || !ok {
		return "", nil, "", err
	}
	for _, w := range j.sources {
		if w.Record.Matches(set.Record) {
			words = append(words, w)
		}
	}
	purposes := j.t.purposes(words)
	slices.Sort(purposes)
	purposes = slices.Compact(purposes)
	why, lacks := j.lacking[digest]
	approve := "; a data steward can approve it: imprimatur dataset approve " + set.Record.Ref() + " --purpose PURPOSE --until DATE --reason TEXT"
	switch {
	case lacks:
		return wire.DataUnapproved, purposes, why + approve, nil
	case len(purposes) > 0 || j.known[digest]:
		return wire.DataApproved, purposes, "", nil
	}
	return wire.DataUnapproved, nil, lapsed(words) + approve, nil
}

// lapsed says what became of the stewards' words, none of which stands.
func lapsed(words []record.Recorded[record.DataApproval]) string {
	if len(words) == 0 {
		return "no steward has approved it"
	}
	last := slices.MaxFunc(words, func(a, b record.Recorded[record.DataApproval]) int { return int(a.Index - b.Index) })
	if last.Record.Decision == record.Withdraw {
		return fmt.Sprintf("%s withdrew its approval on %s: %s", last.Actor, last.Time.UTC().Format(time.DateOnly), last.Record.Reason)
	}
	return fmt.Sprintf("the approval by %s lapsed on %s", last.Actor, last.Record.Expires.UTC().Format(time.DateOnly))
}

// broken walks every path by which a verdict would, and returns the first that
// ends at something unknown or unapproved.
func (t *tx) broken(starts []lineage.NodeID, j *dataJudge) (*wire.GraphPath, error) {
	g := t.reg.graph.g
	steps, _ := g.Walk(starts, lineage.Up, lineage.MadeFrom|lineage.Listed, lineage.Limits{Nodes: wire.MaxGraphNodes, Through: t.shown})
	for i, s := range steps {
		if t.hidden(s.Node) {
			continue // its own team sees to it
		}
		n := g.Node(s.Node)
		standing, _, reason, err := j.standing(s.Node, n)
		if err != nil {
			return nil, err
		}
		if standing == wire.DataUnapproved || standing == wire.DataUnknown {
			out := &wire.GraphPath{Reason: t.nodeID(s.Node) + ": " + reason, Edges: []wire.GraphEdge{}}
			for _, e := range g.Path(steps, i) {
				out.Edges = append(out.Edges, t.edge(e))
			}
			return out, nil
		}
	}
	return nil, nil
}
