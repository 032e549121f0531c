package lineage

import (
	"cmp"
	"slices"

	"imprimatur.dev/record"
)

// Way is a direction of a walk.
type Way bool

// The ways: to what a node came from, and to what came from it.
const (
	Up   Way = false
	Down Way = true
)

// Step is a node that a walk reached.
type Step struct {
	Node NodeID
	// From is the place, in the walk, of the step before; -1 for a start.
	From int32
	// Depth counts the edges from the start.
	Depth int32
	Role  Role
	// stated is the edge's.
	stated uint32
}

// Limits bound a walk; the zero value does not. A walk reaches what Through
// answers false to, and does not go on from there.
type Limits struct {
	Depth, Nodes int
	Through      func(NodeID) bool
	// visit is called with each step in turn.
	visit func(i int, s Step, n *node)
}

// Cut says which limit ended a walk before its end.
type Cut struct{ Depth, Nodes bool }

// Walk returns the starts and what is reached from them by certain roles, each
// node once, nearest first. Cycles end it. On the way up, what a release lists is
// reached last, so that it stands where its model came from it if it did.
func (g *Graph) Walk(starts []NodeID, way Way, roles Roles, most Limits) ([]Step, Cut) {
	w := walker{g: g, seen: make([]uint64, g.count/64+1), most: most}
	for _, s := range starts {
		w.steps = slices.Grow(w.steps, 4*len(g.at(s).edges(way))+64)
	}
	w.from = -1
	for _, s := range starts {
		w.reach(edge{to: s})
	}
	var later Roles
	if way == Up {
		later = roles & Listed
	}
	roles &^= later
	for i := 0; i < len(w.steps) && !w.cut.Nodes; i++ {
		s := w.steps[i]
		n := g.at(s.Node)
		if most.visit != nil {
			most.visit(i, s, n)
		}
		if most.Through == nil || most.Through(s.Node) {
			w.from, w.depth = int32(i), s.Depth+1
			w.reachAll(n.edges(way), roles)
			g.beside(s.Node, way, roles, w.reach)
		}
		if later != 0 && i == len(w.steps)-1 {
			for first := range starts {
				w.from, w.depth = int32(first), 1
				w.reachAll(g.at(w.steps[first].Node).up, later)
			}
			later = 0
		}
	}
	return w.steps, w.cut
}

type walker struct {
	g     *Graph
	seen  []uint64
	steps []Step
	most  Limits
	cut   Cut
	// from and depth are of what is reached next.
	from, depth int32
}

func (w *walker) reachAll(edges []edge, roles Roles) {
	for _, e := range edges {
		if roles.has(e.role) && w.seen[e.to/64]&(1<<(e.to%64)) == 0 {
			w.reach(e)
		}
	}
}

func (w *walker) reach(e edge) {
	if w.seen[e.to/64]&(1<<(e.to%64)) != 0 {
		return
	}
	switch {
	case w.most.Depth > 0 && int(w.depth) > w.most.Depth:
		w.cut.Depth = true
	case w.most.Nodes > 0 && len(w.steps) >= w.most.Nodes:
		w.cut.Nodes = true
	default:
		w.seen[e.to/64] |= 1 << (e.to % 64)
		w.steps = append(w.steps, Step{e.to, w.from, w.depth, e.role, e.stated})
	}
}

func (n *node) edges(way Way) []edge {
	if way == Up {
		return n.up
	}
	return n.down
}

// beside calls yield with the edges that no statement says by itself: between a
// run and the data that its events say it read.
func (g *Graph) beside(id NodeID, way Way, roles Roles, yield func(edge)) {
	n := g.at(id)
	switch {
	case !roles.has(RoleTold):
	case way == Up && n.kind == NodeRun:
		for _, e := range g.read(id) {
			yield(e)
		}
	case way == Down && n.kind == NodeDataset:
		g.readers(id, yield)
	}
}

// readers calls yield with the edges to the runs whose events read a dataset that
// they do not name.
func (g *Graph) readers(dataset NodeID, yield func(edge)) {
	for _, s := range g.at(dataset).up {
		if s.role != RoleSource {
			continue
		}
		for _, r := range g.at(s.to).down {
			if r.role != RoleRead && r.role != RoleReadAs || g.at(r.to).kind != NodeEvents {
				continue
			}
			for _, t := range g.at(r.to).down {
				if t.role == RoleTold && slices.ContainsFunc(g.read(t.to), func(e edge) bool { return e.to == dataset }) {
					yield(edge{t.to, r.stated, RoleRead})
				}
			}
		}
	}
}

// read returns what a run's events say that it read and the run does not name:
// the dataset that was last registered with such a source, or the source itself
// where none is. It is the rule of [Trace].
func (g *Graph) read(run NodeID) (out []edge) {
	for _, told := range g.at(run).up {
		if told.role != RoleTold {
			continue
		}
		for _, r := range g.at(told.to).up {
			if r.role != RoleRead {
				continue
			}
			sets := g.Registered(r.to)
			for _, a := range g.aliases[[2]NodeID{told.to, r.to}] {
				sets = append(sets, g.Registered(a)...)
			}
			switch {
			case len(sets) == 0:
				out = append(out, edge{r.to, r.stated, RoleRead})
			case !slices.ContainsFunc(sets, func(d NodeID) bool { return g.inputOf(run, d) }):
				out = append(out, edge{sets[len(sets)-1], r.stated, RoleRead})
			}
		}
	}
	return out
}

// Registered returns the datasets whose source is a node, oldest first.
func (g *Graph) Registered(source NodeID) (out []NodeID) {
	if _, ok := record.LineageNameOf(g.called(source).packed[1:]); !ok {
		return nil
	}
	var edges []edge
	for _, e := range g.at(source).down {
		if e.role == RoleSource {
			edges = append(edges, e)
		}
	}
	slices.SortStableFunc(edges, func(a, b edge) int { return cmp.Compare(g.stated[a.stated].Index, g.stated[b.stated].Index) })
	for _, e := range edges {
		out = append(out, e.to)
	}
	return out
}

// inputOf reports whether a run names a dataset as its input.
func (g *Graph) inputOf(run, dataset NodeID) bool {
	return slices.ContainsFunc(g.at(run).up, func(e edge) bool { return e.role == RoleInput && e.to == dataset })
}

// Find returns the nodes that a name means: none where nothing stated names it,
// and several where a digest is that of a dataset and a model, or several teams
// have a job.
func (g *Graph) Find(n Name) (out []NodeID) {
	add := func(id NodeID, ok bool) {
		if ok {
			out = append(out, id)
		}
	}
	switch kinds := []NodeKind{n.Kind}; {
	case n.Kind == AnyNode || n.Kind == NodeDataset || n.Kind == NodeVersion:
		if n.Kind == AnyNode {
			kinds = []NodeKind{NodeVersion, NodeDataset, NodeEvaluation}
		}
		for _, k := range kinds {
			id, ok := g.find(k, n.Key)
			add(id, ok)
			if id, byRef := g.refs[string([]byte{byte(k)})+n.Key]; !ok {
				add(id, byRef)
			}
		}
	case n.Kind == NodeSecret || n.Kind == NodeVendor:
		add(g.find(n.Kind, n.Key))
		for i := range len(n.Key) + 1 {
			add(g.find(n.Kind, n.Key[:len(n.Key)-i]+"*"))
		}
	case n.Kind == NodeJob || n.Kind == NodeEvents:
		add(g.find(n.Kind, n.Key))
		for _, team := range g.teams[1:] {
			add(g.find(n.Kind, team+":"+n.Key))
		}
	default:
		add(g.find(n.Kind, n.Key))
	}
	return out
}

// Node is what is known of a node.
type Node struct {
	Name Name
	// Team is whose it is, empty for what is nobody's.
	Team string
	// Labels are what people call it: team/name@version of a dataset or model, the
	// line of a release.
	Labels []string
	// Stated is where the thing was first stated; where it never was, nil.
	Stated *Stated
	// Named is the first statement that names it.
	Named Stated
	Live  *Live
}

// Node returns what is known of a node.
func (g *Graph) Node(id NodeID) Node {
	n := g.at(id)
	names := g.called(id)
	out := Node{Name: unpack(names.packed), Team: g.teams[n.team], Named: g.stated[n.first]}
	if names.label != "" {
		out.Labels = append([]string{names.label}, g.more[id]...)
	}
	if n.stated != 0 {
		out.Stated = &g.stated[n.stated]
	}
	if l, ok := g.live[id]; ok {
		out.Live = &l
	}
	return out
}

// Team returns whose a node is, empty for what is nobody's.
func (g *Graph) Team(id NodeID) string { return g.teams[g.at(id).team] }

// Source returns the URI with which a dataset was registered.
func (g *Graph) Source(id NodeID) string { return g.uris[id] }

// Edge is an edge from the earlier node to the later.
type Edge struct {
	From, To NodeID
	Role     Role
	Stated   Stated
}

// Edges returns the edges by certain roles between the nodes that a walk reached,
// in the order of the walk; that something is listed, only where nothing else led
// to it.
func (g *Graph) Edges(steps []Step, roles Roles) (out []Edge) {
	held := make(map[NodeID]Role, len(steps))
	for _, s := range steps {
		held[s.Node] = s.Role
	}
	for _, s := range steps {
		add := func(e edge) {
			if by, ok := held[e.to]; ok && roles.has(e.role) && (e.role != RoleListed || by == RoleListed) {
				out = append(out, Edge{e.to, s.Node, e.role, g.stated[e.stated]})
			}
		}
		for _, e := range g.at(s.Node).up {
			add(e)
		}
		g.beside(s.Node, Up, roles, add)
	}
	return out
}

// Path returns the edges from a start of a walk up to one of its steps, nearest
// to the start first.
func (g *Graph) Path(steps []Step, i int) (out []Edge) {
	for ; steps[i].From >= 0; i = int(steps[i].From) {
		s := steps[i]
		out = append(out, Edge{s.Node, steps[s.From].Node, s.Role, g.stated[s.stated]})
	}
	slices.Reverse(out)
	return out
}
