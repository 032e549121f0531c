package wire

import (
	"time"

	"imprimatur.dev/record"
)

// Lineage is a node of the graph that pipelines have sent, with those around it,
// in the shape of Marquez's GET /lineage. What Marquez does not have is beside it.
type Lineage struct {
	Graph []LineageNode `json:"graph"`
	// Truncated says that there are more nodes than are answered.
	Truncated bool `json:"truncated,omitzero"`
}

// LineageNode is a dataset, a job or a run.
type LineageNode struct {
	// ID is "dataset:NAMESPACE:NAME", "job:NAMESPACE:NAME" or "run:ID".
	ID string `json:"id"`
	// Type is DATASET, JOB or RUN.
	Type     string        `json:"type"`
	Data     LineageData   `json:"data"`
	InEdges  []LineageEdge `json:"inEdges"`
	OutEdges []LineageEdge `json:"outEdges"`
}

// LineageEdge leads from what was read to its reader, and from a writer to what it
// wrote.
type LineageEdge struct {
	Origin      string `json:"origin"`
	Destination string `json:"destination"`
	// Entry is the index of the first statement in the ledger that says so.
	Entry int64 `json:"entry"`
}

// Standing is where a dataset of the graph stands in the register.
type Standing string

// The standings of a dataset.
const (
	DataApproved   Standing = "approved"   // an approval stands for some purpose
	DataUnapproved Standing = "unapproved" // it is registered, and no approval stands
	DataUnknown    Standing = "unknown"    // no dataset with this source is registered
)

// LineageData is what is known of a node.
type LineageData struct {
	ID        record.LineageName `json:"id"`
	Namespace string             `json:"namespace"`
	Name      string             `json:"name"`

	// Of a dataset: where it stands, the registered datasets that it is, and the
	// purposes for which one of them is approved.
	Standing Standing               `json:"standing,omitzero"`
	Datasets []string               `json:"datasets,omitzero"`
	Purposes []string               `json:"purposes,omitzero"`
	Symlinks []record.LineageName   `json:"symlinks,omitzero"`
	Version  string                 `json:"currentVersion,omitzero"`
	Columns  []record.LineageColumn `json:"columnLineage,omitzero"`

	// Of a job or a run: the node of its parent, its code, and the run itself or
	// the job's latest.
	Parent   string      `json:"parent,omitzero"`
	Location string      `json:"location,omitzero"`
	Commit   string      `json:"commit,omitzero"`
	Run      *LineageRun `json:"latestRun,omitzero"`
}

// LineageRun is a run as its events tell of it.
type LineageRun struct {
	ID string `json:"id"`
	// State is START, RUNNING, COMPLETE, ABORT or FAIL, or empty where no event
	// said.
	State   string    `json:"state,omitzero"`
	Started time.Time `json:"startedAt,omitzero"`
	Ended   time.Time `json:"endedAt,omitzero"`
}

// LineageOutcome is the answer to a batch of events of which not all are kept.
type LineageOutcome struct {
	// Status is "partial_success", or "failure" where none is kept.
	Status  string         `json:"status"`
	Summary LineageSummary `json:"summary"`
	Failed  []FailedEvent  `json:"failed_events"`
}

// LineageSummary counts the events of a batch.
type LineageSummary struct {
	Received     int `json:"received"`
	Successful   int `json:"successful"`
	Failed       int `json:"failed"`
	Retriable    int `json:"retriable"`
	NonRetriable int `json:"non_retriable"`
}

// FailedEvent is an event of a batch that is not kept, by its place from 0.
type FailedEvent struct {
	Index     int    `json:"index"`
	Reason    string `json:"reason"`
	Retriable bool   `json:"retriable"`
}
