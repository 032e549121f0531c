package record

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of what one OpenLineage event may name. Producers have sent events of
// thousands of columns and names of hundreds of bytes; what is beyond these is
// no dataset that a person could look for.
const (
	MaxLineageNamespace = 1024 // characters
	MaxLineageName      = 2048 // characters
	MaxLineageRun       = 200  // characters
	MaxLineageDatasets  = 1000 // inputs or outputs of one event
	maxLineageKey       = 512  // bytes of a node's ID in a key; a longer one is hashed
)

// LineageEvents are events of a pipeline as its OpenLineage client sent them,
// read for what they say of runs, jobs and datasets. Many stand in one statement,
// since a busy pipeline sends thousands a second. The events themselves, with the
// facets that nobody here reads, are the lines of one file.
type LineageEvents struct {
	Team string `json:"team"`
	// Raw is the file: the events of the statement as they were sent, one a line,
	// in the same order.
	Raw    Digest         `json:"raw"`
	Events []LineageEvent `json:"events"`
}

// The types of event. A run's are those of OpenLineage 2-0-2.
const (
	LineageStart    = "START"
	LineageRunning  = "RUNNING"
	LineageComplete = "COMPLETE"
	LineageAbort    = "ABORT"
	LineageFail     = "FAIL"
	LineageOther    = "OTHER"
	LineageDataSet  = "DATASET" // a DatasetEvent
	LineageJob      = "JOB"     // a JobEvent
)

// LineageEvent is what one OpenLineage event says.
type LineageEvent struct {
	// Digest is that of the event's canonical form: two events with the same
	// digest are one.
	Digest Digest `json:"digest"`
	Type   string `json:"type"`
	// Time is the event's own, as fine as the producer wrote it.
	Time time.Time `json:"time"`
	// Run is the run's ID; only a RunEvent has one.
	Run    string      `json:"run,omitzero"`
	Job    LineageName `json:"job,omitzero"`
	Parent LineageRun  `json:"parent,omitzero"`
	// Root is the run with which the hierarchy of parents begins.
	Root    LineageRun       `json:"root,omitzero"`
	Code    LineageCode      `json:"code,omitzero"`
	Inputs  []LineageDataset `json:"inputs,omitzero"`
	Outputs []LineageDataset `json:"outputs,omitzero"`
}

// LineageRun is another run that an event names, with its job.
type LineageRun struct {
	Run string      `json:"run,omitzero"`
	Job LineageName `json:"job,omitzero"`
}

// LineageCode is where a job's source is, from the facet sourceCodeLocation.
type LineageCode struct {
	URL     string `json:"url,omitzero"`
	Version string `json:"version,omitzero"`
}

// LineageDataset is a dataset as an event names it.
type LineageDataset struct {
	LineageName
	// Version is that of the facet version.
	Version string `json:"version,omitzero"`
	// Aliases are its other names, from the facet symlinks.
	Aliases []LineageName `json:"aliases,omitzero"`
	// Columns say which fields its own were made from. The one without a name
	// stands for fields on which every column depends.
	Columns []LineageColumn `json:"columns,omitzero"`
}

// LineageColumn is a column with the fields that it was made from.
type LineageColumn struct {
	Name string         `json:"name"`
	From []LineageField `json:"from"`
}

// LineageField is a field of a dataset.
type LineageField struct {
	LineageName
	Field string `json:"field"`
}

// Kind implements Body.
func (LineageEvents) Kind() Kind { return KindLineageEvents }

// Subject implements Body.
func (l LineageEvents) Subject() (string, Digest) { return "lineage-events/" + l.Team, l.Raw }

// Keys implements Body.
func (l LineageEvents) Keys(Digest) []string {
	seen := map[string]bool{}
	for _, e := range l.Events {
		for _, n := range e.Nodes() {
			seen[lineageKey(l.Team, n)] = true
		}
	}
	return sortedKeys(seen)
}

// Nodes returns the IDs of the runs, jobs and datasets that the event names, some
// of them twice.
func (e LineageEvent) Nodes() []string {
	var out []string
	for _, id := range []string{e.Run, e.Parent.Run, e.Root.Run} {
		if id != "" {
			out = append(out, NodeRun(id))
		}
	}
	for _, job := range []LineageName{e.Job, e.Parent.Job, e.Root.Job} {
		if job != (LineageName{}) {
			out = append(out, NodeJob(job))
		}
	}
	for _, sets := range [][]LineageDataset{e.Inputs, e.Outputs} {
		for _, d := range sets {
			out = append(out, NodeDataset(d.LineageName))
			for _, a := range d.Aliases {
				out = append(out, NodeDataset(a))
			}
			for _, c := range d.Columns {
				for _, f := range c.From {
					out = append(out, NodeDataset(f.LineageName))
				}
			}
		}
	}
	return out
}

// NodeRun is the ID of a run in the graph of lineage.
func NodeRun(id string) string { return "run:" + id }

// NodeJob is the ID of a job, as Marquez writes it.
func NodeJob(n LineageName) string { return "job:" + n.Namespace + ":" + n.Name }

// NodeDataset is the ID of a dataset, as Marquez writes it.
func NodeDataset(n LineageName) string { return "dataset:" + n.Namespace + ":" + n.Name }

// KeyLineageRun finds the events of a run, and of the runs that it is the parent
// of.
func KeyLineageRun(team, id string) string { return lineageKey(team, NodeRun(id)) }

// KeyLineageNode finds the events that name a node.
func KeyLineageNode(team, node string) string { return lineageKey(team, node) }

func lineageKey(team, node string) string {
	// The store bounds its keys, and keeps the last character for itself.
	if len(node) > maxLineageKey || strings.ContainsRune(node, utf8.MaxRune) {
		kind, _, _ := strings.Cut(node, ":")
		node = kind + ":" + string(DigestOf([]byte(node)))
	}
	return "lineage/" + team + "/" + node
}

// Validate implements Body.
func (l LineageEvents) Validate() error {
	c := checker{kind: KindLineageEvents}
	c.name("team", l.Team)
	c.digest("raw", l.Raw)
	c.list("events", len(l.Events))
	if len(l.Events) == 0 {
		c.failf("events is empty")
	}
	for _, e := range l.Events {
		c.lineageEvent(e)
	}
	return c.err()
}

// Validate reports every fault of one event.
func (e LineageEvent) Validate() error {
	c := checker{kind: KindLineageEvents}
	c.lineageEvent(e)
	return c.err()
}

func (c *checker) lineageEvent(e LineageEvent) {
	c.digest("digest", e.Digest)
	if e.Time.Year() < 1970 || e.Time.Year() > 9999 {
		c.failf("eventTime is outside the years 1970 to 9999")
	}
	switch e.Type {
	case LineageStart, LineageRunning, LineageComplete, LineageAbort, LineageFail, LineageOther:
		c.oneLine("run.runId", e.Run, MaxLineageRun, true)
		c.lineageName("job", e.Job)
	case LineageJob:
		c.lineageName("job", e.Job)
	case LineageDataSet:
		if len(e.Inputs) != 0 || len(e.Outputs) != 1 {
			c.failf("a DatasetEvent is about one dataset")
		}
	default:
		c.failf("eventType %q is not one of START, RUNNING, COMPLETE, ABORT, FAIL, OTHER", e.Type)
	}
	c.lineageRun("parent", e.Parent)
	c.lineageRun("root", e.Root)
	c.text("sourceCodeLocation.url", e.Code.URL, false)
	c.text("sourceCodeLocation.version", e.Code.Version, false)
	c.lineageDatasets("inputs", e.Inputs)
	c.lineageDatasets("outputs", e.Outputs)
}

func (c *checker) lineageRun(field string, r LineageRun) {
	if r == (LineageRun{}) {
		return
	}
	c.oneLine(field+".run.runId", r.Run, MaxLineageRun, true)
	c.lineageName(field+".job", r.Job)
}

func (c *checker) lineageDatasets(field string, sets []LineageDataset) {
	if len(sets) > MaxLineageDatasets {
		c.failf("%s has %d members, more than %d", field, len(sets), MaxLineageDatasets)
		return
	}
	nodes := 0
	for _, d := range sets {
		c.lineageName(field, d.LineageName)
		c.text(field+".version.datasetVersion", d.Version, false)
		c.list(field+".symlinks", len(d.Aliases))
		c.list(field+".columnLineage", len(d.Columns))
		for _, a := range d.Aliases {
			c.lineageName(field+".symlinks", a)
		}
		nodes += len(d.Aliases) + 1
		for _, col := range d.Columns {
			c.text(field+".columnLineage", col.Name, false)
			c.list(field+".columnLineage."+col.Name, len(col.From))
			for _, f := range col.From {
				c.lineageName(field+".columnLineage", f.LineageName)
				c.text(field+".columnLineage", f.Field, false)
			}
		}
	}
	c.list(field+" with their symlinks", nodes)
}

func (c *checker) lineageName(field string, n LineageName) {
	c.oneLine(field+".namespace", n.Namespace, MaxLineageNamespace, true)
	c.oneLine(field+".name", n.Name, MaxLineageName, true)
}
