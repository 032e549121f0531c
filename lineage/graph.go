package lineage

import (
	"cmp"
	"slices"
	"strings"

	"imprimatur.dev/record"
)

// NodeID numbers a node of one graph in memory, from 0. It means nothing outside.
type NodeID uint32

// Graph is what was made from what, in memory: every statement of the ledger
// that says so, as nodes and edges. It is for walks over much of it, and for the
// way down, which [Trace] has not; verdicts rest on Trace, and a test holds the
// two to the same answers.
//
// A node takes 200 bytes with its name, an edge about 40, a statement 40.
// Statements may be learnt in any order and twice. It is not safe for use by
// several goroutines where one of them learns.
type Graph struct {
	chunks [][]node
	names  [][]called
	count  int
	ids    map[string]NodeID
	// refs are "team/name@version" of datasets and models, after a kind's byte.
	refs   map[string]NodeID
	stated []Stated
	teams  []string
	team   map[string]uint32
	// more are the names of a node after the first, and uris the sources of the
	// datasets as they were registered.
	more map[NodeID][]string
	uris map[NodeID]string
	// aliases are the other names of what a run of the events read.
	aliases map[[2]NodeID][]NodeID
	lines   map[string]*line
	dirty   map[string]bool
	live    map[NodeID]Live
	edges   int
}

// Stated is the place of a statement: its index in the ledger and the digest of
// its payload.
type Stated struct {
	Index  int64
	Digest record.Digest
}

// Live says where a release is live, and since when.
type Live struct {
	Line, Environment string
	Since             record.Event
}

// chunkBits is the logarithm of the nodes in one chunk: growing never copies.
const chunkBits = 12

// node is what a walk looks at, in the 64 bytes of a cache line.
type node struct {
	up, down []edge
	team     uint32
	// stated is where the thing itself was first stated, 0 where it never was, and
	// first where it was first named at all: places in Graph.stated.
	stated, first uint32
	kind          NodeKind
	live          bool
}

// called is what a node is called.
type called struct{ packed, label string }

// edge is one direction of an edge: to the other node.
type edge struct {
	to     NodeID
	stated uint32
	role   Role
}

// line is the history of a line of releases.
type line struct {
	events []record.Event
}

// NewGraph returns a graph of nothing.
func NewGraph() *Graph {
	return &Graph{
		ids: map[string]NodeID{}, refs: map[string]NodeID{}, teams: []string{""}, team: map[string]uint32{"": 0},
		more: map[NodeID][]string{}, uris: map[NodeID]string{}, aliases: map[[2]NodeID][]NodeID{},
		lines: map[string]*line{}, dirty: map[string]bool{}, live: map[NodeID]Live{}, stated: make([]Stated, 1),
	}
}

// Size returns how many nodes and edges there are.
func (g *Graph) Size() (nodes, edges int) { return g.count, g.edges }

func (g *Graph) at(id NodeID) *node { return &g.chunks[id>>chunkBits][id&(1<<chunkBits-1)] }

func (g *Graph) called(id NodeID) *called { return &g.names[id>>chunkBits][id&(1<<chunkBits-1)] }

// find returns a node that is there.
func (g *Graph) find(kind NodeKind, key string) (NodeID, bool) {
	id, ok := g.ids[Name{kind, key}.packed()]
	return id, ok
}

// node returns a node, making it where it is not there.
func (g *Graph) node(kind NodeKind, key string, by uint32) NodeID {
	packed := Name{kind, key}.packed()
	id, ok := g.ids[packed]
	if !ok {
		id = NodeID(g.count)
		if g.count&(1<<chunkBits-1) == 0 {
			g.chunks = append(g.chunks, make([]node, 1<<chunkBits))
			g.names = append(g.names, make([]called, 1<<chunkBits))
		}
		*g.at(id), g.called(id).packed = node{kind: kind, first: by}, packed
		g.ids[packed] = id
		g.count++
	}
	if n := g.at(id); g.stated[by].Index < g.stated[n.first].Index {
		n.first = by
	}
	return id
}

// state notes that a thing was stated, in a team and perhaps under a reference.
func (g *Graph) state(id NodeID, by uint32, team, ref string) {
	n, names := g.at(id), g.called(id)
	if n.stated == 0 || g.stated[by].Index < g.stated[n.stated].Index {
		n.stated = by
	}
	if n.team == 0 {
		n.team = g.teamOf(team)
	}
	switch {
	case ref == "" || names.label == ref || slices.Contains(g.more[id], ref):
		return
	case names.label == "":
		names.label = ref
	default:
		g.more[id] = append(g.more[id], ref)
	}
	key := string([]byte{byte(n.kind)}) + ref
	if _, taken := g.refs[key]; !taken {
		g.refs[key] = id
	}
}

func (g *Graph) teamOf(name string) uint32 {
	t, ok := g.team[name]
	if !ok {
		t = uint32(len(g.teams))
		g.teams = append(g.teams, name)
		g.team[name] = t
	}
	return t
}

// link adds an edge, once, with the earliest statement that says so.
func (g *Graph) link(from, to NodeID, role Role, by uint32) {
	a, b := g.at(from), g.at(to)
	// Looked for where there are fewer: a hub has edges by the thousand.
	list, other := a.down, to
	if len(b.up) < len(a.down) {
		list, other = b.up, from
	}
	i := slices.IndexFunc(list, func(e edge) bool { return e.to == other && e.role == role })
	if i < 0 {
		a.down, b.up = append(a.down, edge{to, by, role}), append(b.up, edge{from, by, role})
		g.edges++
		return
	}
	if g.stated[by].Index < g.stated[list[i].stated].Index {
		restate(a.down, edge{to, by, role})
		restate(b.up, edge{from, by, role})
	}
}

func restate(edges []edge, e edge) {
	for i := range edges {
		if edges[i].to == e.to && edges[i].role == e.role {
			edges[i].stated = e.stated
		}
	}
}

// unlink takes an edge away.
func (g *Graph) unlink(from, to NodeID, role Role) {
	a, b := g.at(from), g.at(to)
	a.down = slices.DeleteFunc(a.down, func(e edge) bool { return e.to == to && e.role == role })
	b.up = slices.DeleteFunc(b.up, func(e edge) bool { return e.to == from && e.role == role })
	g.edges--
}

// Learn takes in an entry of the ledger. What it does not read is passed over.
// After a number of entries [Graph.Settle] is due.
func (g *Graph) Learn(e Entry) {
	body := e.Statement.Body
	switch body.(type) {
	case record.Dataset, record.Run, record.ModelVersion, record.Release, record.Evaluation, record.Approval, record.DataApproval,
		record.Promotion, record.Suspension, record.Retirement, record.LineageEvents:
	default:
		return
	}
	g.stated = append(g.stated, Stated{e.Index, e.Digest})
	by := uint32(len(g.stated) - 1)
	switch b := body.(type) {
	case record.Dataset:
		g.dataset(b, by, e.Statement.Actor)
	case record.Run:
		g.run(b, by, e.Statement.Actor)
	case record.ModelVersion:
		g.version(b, by, e.Statement.Actor)
	case record.Release:
		g.release(b, by, e.Statement)
	case record.Evaluation:
		id := g.node(NodeEvaluation, string(e.Statement.Digest()), by)
		g.state(id, by, b.Team, "")
		g.link(g.node(NodeDataset, string(b.Dataset), by), id, RoleTested, by)
		g.did(e.Statement.Actor, id, RoleStated, by)
	case record.Approval:
		if b.Release != "" {
			g.did(e.Statement.Actor, g.node(NodeRelease, b.Release, by), RoleApproved, by)
		}
	case record.DataApproval:
		if b.Dataset != "" {
			g.did(e.Statement.Actor, g.node(NodeDataset, string(b.Dataset), by), RoleApproved, by)
		}
	case record.LineageEvents:
		for _, event := range b.Events {
			g.event(b.Team, event, by)
		}
	default:
		g.became(e, by)
	}
}

// did links a principal to what they did.
func (g *Graph) did(who string, id NodeID, role Role, by uint32) {
	if who != "" {
		g.link(g.node(NodePrincipal, who, by), id, role, by)
	}
}

func (g *Graph) dataset(d record.Dataset, by uint32, actor string) {
	id := g.node(NodeDataset, string(d.Digest), by)
	g.state(id, by, d.Team, d.Ref())
	if _, known := g.uris[id]; !known {
		g.uris[id] = d.Source
	}
	g.link(g.node(NodeSource, uriOf(d.Source), by), id, RoleSource, by)
	for _, from := range d.Derived {
		g.link(g.node(NodeDataset, string(from), by), id, RoleDerived, by)
	}
	g.did(actor, id, RoleStated, by)
}

func (g *Graph) run(r record.Run, by uint32, actor string) {
	id := g.node(NodeRun, r.Ref(), by)
	g.state(id, by, r.Team, "")
	for _, in := range r.Inputs {
		g.link(g.node(kindOf(in.Type), string(in.Digest), by), id, RoleInput, by)
	}
	for _, out := range r.Outputs {
		role := RoleOutput
		if out.Type == record.ResourceDataset {
			role = RoleMade
		}
		g.link(id, g.node(kindOf(out.Type), string(out.Digest), by), role, by)
	}
	g.link(g.node(NodeCommit, strings.ToLower(r.Code.Commit), by), id, RoleCode, by)
	g.did(r.Code.Author, id, RoleAuthor, by)
	g.did(r.Initiator, id, RoleFor, by)
	g.did(actor, id, RoleStated, by)
	g.told(id, cmp.Or(r.External, r.ID), r.Team, by)
}

func kindOf(t record.ResourceType) NodeKind {
	if t == record.ResourceModel {
		return NodeVersion
	}
	return NodeDataset
}

// told ties a recorded run to the run of the events that its newest statement
// says it is.
func (g *Graph) told(run NodeID, external, team string, by uint32) {
	events := g.node(NodeEvents, team+":"+external, by)
	g.state(events, by, team, "")
	if i := slices.IndexFunc(g.at(run).up, func(e edge) bool { return e.role == RoleTold }); i >= 0 {
		was := g.at(run).up[i]
		if g.stated[by].Index < g.stated[was.stated].Index {
			return
		}
		g.unlink(was.to, run, RoleTold)
	}
	g.link(events, run, RoleTold, by)
}

func (g *Graph) version(v record.ModelVersion, by uint32, actor string) {
	id := g.node(NodeVersion, string(v.Artifact), by)
	team, _, _ := strings.Cut(v.Model, "/")
	g.state(id, by, team, v.Ref())
	for _, b := range v.Bases {
		g.link(g.node(NodeVersion, string(b), by), id, RoleBase, by)
	}
	if v.Run != "" {
		g.link(g.node(NodeRun, v.Run, by), id, RoleClaimed, by)
	}
	if v.Type == record.Vendor {
		g.link(g.node(NodeVendor, VendorOf(v), by), id, RoleVendor, by)
	}
	g.did(actor, id, RoleStated, by)
}

// VendorOf names who made a vendor's model: the vendor that the version names, or the
// host that it came from, or else the model, which is the vendor's own.
func VendorOf(v record.ModelVersion) string {
	if v.Service != nil {
		return v.Service.Vendor
	}
	_, rest, ok := strings.Cut(v.Source, "://")
	host, _, _ := strings.Cut(rest, "/")
	if ok && host != "" {
		return strings.ToLower(host)
	}
	return v.Model
}

func (g *Graph) release(r record.Release, by uint32, s record.Statement) {
	id := g.node(NodeRelease, record.ReleaseID(s.Digest()), by)
	team, _, _ := strings.Cut(r.Behaviour.Model, "/")
	g.state(id, by, team, r.Line())
	g.link(g.node(NodeVersion, string(r.Behaviour.Artifact), by), id, RoleRelease, by)
	for _, ref := range r.Data.Runs {
		g.link(g.node(NodeRun, ref, by), id, RoleListed, by)
	}
	for _, d := range r.Data.Datasets {
		g.link(g.node(NodeDataset, string(d), by), id, RoleListed, by)
	}
	for _, d := range r.Data.Bases {
		g.link(g.node(NodeVersion, string(d), by), id, RoleListed, by)
	}
	for _, d := range r.Behaviour.Evaluations {
		g.link(g.node(NodeEvaluation, string(d), by), id, RoleShown, by)
	}
	for _, grant := range r.Authority.Secrets {
		g.link(g.node(NodeSecret, grant.Resource, by), id, RoleGranted, by)
	}
	for _, used := range record.VendorsUsed(r, nil) {
		g.link(g.node(NodeVendor, used.Name, by), id, RoleGranted, by)
	}
	g.did(s.Actor, id, RoleStated, by)
}

// event takes in what a pipeline's event says was read and written.
func (g *Graph) event(team string, e record.LineageEvent, by uint32) {
	var reader []NodeID
	if e.Job != (record.LineageName{}) && len(e.Inputs)+len(e.Outputs) > 0 {
		job := g.node(NodeJob, team+":"+e.Job.Namespace+":"+e.Job.Name, by)
		g.state(job, by, team, "")
		reader = append(reader, job)
		for _, out := range e.Outputs {
			g.link(job, g.node(NodeSource, out.Canonical().String(), by), RoleWrote, by)
		}
	}
	if e.Run != "" && len(e.Inputs) > 0 {
		events := g.node(NodeEvents, team+":"+e.Run, by)
		g.state(events, by, team, "")
		reader = append(reader, events)
	}
	for _, in := range e.Inputs {
		own := g.node(NodeSource, in.Canonical().String(), by)
		for _, r := range reader {
			g.link(own, r, RoleRead, by)
		}
		for _, a := range in.Aliases {
			g.alias(own, a, reader, by)
		}
	}
}

func (g *Graph) alias(own NodeID, a record.LineageName, readers []NodeID, by uint32) {
	id := g.node(NodeSource, a.Canonical().String(), by)
	for _, r := range readers {
		if id == own || g.at(r).kind != NodeEvents {
			continue
		}
		g.link(id, r, RoleReadAs, by)
		if pair := [2]NodeID{r, own}; !slices.Contains(g.aliases[pair], id) {
			g.aliases[pair] = append(g.aliases[pair], id)
		}
	}
}
