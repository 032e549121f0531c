package wire

import (
	"time"

	"imprimatur.dev/record"
)

// The most nodes and edges from the start that a graph is answered with, and how
// many where nothing is asked for.
const (
	MaxGraphNodes = 2000
	MaxGraphDepth = 100
	GraphNodes    = 200
	GraphDepth    = 20
)

// The ways of a graph from its start: to what it came from, to what came from it.
const (
	WayFrom = "from"
	WayInto = "into"
)

// Graph is what a thing was made from and what was made from it, as far as it was
// asked for.
type Graph struct {
	// Nodes are the start first, then nearest first; what a digest means twice has
	// several starts, which have no way.
	Nodes []GraphNode `json:"nodes"`
	// Edges lead from the earlier to the later.
	Edges []GraphEdge `json:"edges"`
	// Cut says in a sentence what was left out by the limits; empty when nothing was.
	Cut string `json:"cut,omitzero"`
	// Broken is the first path to something that keeps the start from being made of
	// approved data alone, nearest first; nil where there is none.
	Broken *GraphPath `json:"broken,omitzero"`
}

// GraphNode is one node.
type GraphNode struct {
	// ID names the node and is taken wherever one is asked for: source:URI,
	// dataset:DIGEST, run:TEAM/ID, model:DIGEST, release:ID, evaluation:DIGEST,
	// commit:HASH, principal:NAME, vendor:NAME, secret:NAME, job:TEAM:NAMESPACE:NAME
	// or events:TEAM:ID. What belongs to a team that the caller may not read is
	// hidden:N.
	ID string `json:"id"`
	// Kind is the ID's first word.
	Kind string `json:"kind"`
	// Labels are what people call it: TEAM/NAME@VERSION, or the line of a release.
	Labels []string `json:"labels,omitzero"`
	Team   string   `json:"team,omitzero"`
	// Way is WayFrom or WayInto, Depth how many edges away.
	Way   string `json:"way,omitzero"`
	Depth int    `json:"depth"`
	// Standing is that of data; anything else that is named and was never stated is
	// unknown too. Reason is a sentence where it is not approved.
	Standing Standing `json:"standing,omitzero"`
	Reason   string   `json:"reason,omitzero"`
	// Purposes are those for which data is approved.
	Purposes []string `json:"purposes,omitzero"`
	// Live is of a release that is live now.
	Live *LiveIn `json:"live,omitzero"`
	// Entry and Statement are the place of the statement that first stated it, or
	// else named it, and its digest.
	Entry     int64         `json:"entry"`
	Statement record.Digest `json:"statement"`
}

// LiveIn says where a release is live, since when and by whom.
type LiveIn struct {
	Line        string    `json:"line"`
	Environment string    `json:"environment"`
	Since       time.Time `json:"since"`
	By          string    `json:"by"`
}

// GraphEdge is one edge.
type GraphEdge struct {
	From string `json:"from"`
	To   string `json:"to"`
	// Role is what From was to To: source, derived, input, output, made, claimed,
	// base, vendor, release, listed, tested, shown, code, granted, read, read as,
	// wrote, told, stated, author, for, approved or promoted.
	Role string `json:"role"`
	// Entry is the index of the first statement that says so, Statement its digest.
	Entry     int64         `json:"entry"`
	Statement record.Digest `json:"statement"`
}

// GraphPath is a path through the graph.
type GraphPath struct {
	// Reason is a sentence: what is wrong at its end, and who can mend it.
	Reason string      `json:"reason"`
	Edges  []GraphEdge `json:"edges"`
}

// Impact is what was made from a thing, rests on it or was done by it: the
// releases that are live first, then the others, then models, then the rest, each
// newest first.
type Impact struct {
	// Counts are over all pages, by the word of Reached.
	Counts map[string]int `json:"counts"`
	// Live counts the releases that are live.
	Live int `json:"live"`
	// Others and OthersLive count what belongs to teams that the caller may not read.
	Others     int       `json:"others,omitzero"`
	OthersLive int       `json:"othersLive,omitzero"`
	Reached    []Reached `json:"reached"`
	// Next is the cursor of the next page; empty at the end.
	Next string `json:"next,omitzero"`
}

// Reached is one thing that another's impact reaches.
type Reached struct {
	// ID names the node, Word is what it is, Name what people call it.
	ID   string `json:"id"`
	Word string `json:"word"`
	Name string `json:"name"`
	// Live is of a release that is live now.
	Live *LiveIn `json:"live,omitzero"`
	// Via is the edge by which it was reached first.
	Via GraphEdge `json:"via"`
}

// Withdrawal is a withdrawal of data, with the hit list that was looked at before.
type Withdrawal struct {
	// Approval is the steward's word, with the decision withdraw.
	Approval record.DataApproval `json:"approval"`
	// Seen is the digest of that list; where it is another now, the withdrawal is
	// refused. Empty holds it to none.
	Seen record.Digest `json:"seen,omitzero"`
}

// Hits is what a withdrawal of data would hit.
type Hits struct {
	// Digest is that of the list of releases.
	Digest record.Digest `json:"digest"`
	// Releases are live and rest on the data for a purpose that is withdrawn.
	Releases []Hit `json:"releases"`
	// Others counts those of teams that the caller may not read.
	Others int `json:"others,omitzero"`
	// Impact is the first page of all that the data touches.
	Impact Impact `json:"impact"`
}

// Hit is one release that a withdrawal would hit.
type Hit struct {
	Release string `json:"release"`
	Model   string `json:"model"`
	LiveIn
	// Does is what its policy does.
	Does record.Response `json:"does"`
	// Stops says that it may run no longer unless an approval of another steward's
	// stands: by suspension, or since its verdict demands approved data.
	Stops bool `json:"stops"`
}
