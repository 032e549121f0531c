// Package openlineage reads the events of OpenLineage (spec 2-0-2) and folds them
// into a graph of datasets, jobs and runs.
//
// # Reading
//
// [Parse] takes a RunEvent, DatasetEvent or JobEvent as clients and integrations
// send them. What it reads must be of the right type; what producers are known to
// get wrong, and Marquez takes, is taken too: a missing producer or schemaURL,
// nanoseconds, times without a zone (UTC is meant) or with Java's "[UTC]" after
// it, null for what is not there, run IDs that are no UUIDs. A member that nobody
// here reads is kept in the raw event, whatever it is. An event that cannot be
// read is refused with a sentence; JSON with a name twice, or that is not UTF-8,
// is none. What is beyond the limits of package record is refused.
//
// These facets are read: parent (run), sourceCodeLocation (job), version,
// symlinks and columnLineage (dataset). One with "_deleted" says nothing.
//
// # Folding
//
// A [Graph] is the same for any order of the same events and any number of
// repetitions: sets are united, and of what can have one value only, that of the
// event with the latest eventTime counts, ties being broken by the events'
// digests. A run's state is that of its latest COMPLETE, ABORT or FAIL, or else
// of its latest START or RUNNING. So nothing needs to remember which events came
// before in order to count one that comes again once.
package openlineage

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/record"
)

// MaxEvent bounds one event, in bytes. Spark sends some of several hundred
// kilobytes, with its plan in a facet.
const MaxEvent = 4 << 20

// ErrEvent is wrapped by the refusal of an event that cannot be read.
var ErrEvent = errors.New("the event cannot be read")

// Event is an event as it came in.
type Event struct {
	record.LineageEvent
	// Raw is the event as it was sent, on one line.
	Raw []byte
}

// The members that are read, as the spec names them.
type (
	eventJSON struct {
		EventType string        `json:"eventType"`
		EventTime string        `json:"eventTime"`
		Run       *runJSON      `json:"run"`
		Job       *jobJSON      `json:"job"`
		Dataset   *datasetJSON  `json:"dataset"`
		Inputs    []datasetJSON `json:"inputs"`
		Outputs   []datasetJSON `json:"outputs"`
	}
	runJSON struct {
		RunID  string `json:"runId"`
		Facets struct {
			Parent *struct {
				linkJSON
				Root *linkJSON `json:"root"`
			} `json:"parent"`
		} `json:"facets"`
	}
	linkJSON struct {
		Run struct {
			RunID string `json:"runId"`
		} `json:"run"`
		Job record.LineageName `json:"job"`
	}
	jobJSON struct {
		record.LineageName
		Facets struct {
			Code *struct {
				deletable
				URL     string `json:"url"`
				RepoURL string `json:"repoUrl"`
				Version string `json:"version"`
			} `json:"sourceCodeLocation"`
		} `json:"facets"`
	}
	datasetJSON struct {
		record.LineageName
		Facets struct {
			Version *struct {
				deletable
				DatasetVersion string `json:"datasetVersion"`
			} `json:"version"`
			Symlinks *struct {
				deletable
				Identifiers []record.LineageName `json:"identifiers"`
			} `json:"symlinks"`
			Columns *struct {
				deletable
				Fields map[string]struct {
					From []record.LineageField `json:"inputFields"`
				} `json:"fields"`
				Dataset []record.LineageField `json:"dataset"`
			} `json:"columnLineage"`
		} `json:"facets"`
	}
	deletable struct {
		Deleted bool `json:"_deleted"`
	}
)

// Parse reads one event. Errors wrap [ErrEvent] or are a *record.InvalidError.
// The bytes are taken over.
func Parse(raw []byte) (Event, error) {
	if len(raw) > MaxEvent {
		return Event{}, fmt.Errorf("%w: it has %d bytes, more than %d", ErrEvent, len(raw), MaxEvent)
	}
	var in eventJSON
	if err := json.Unmarshal(raw, &in); err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrEvent, err)
	}
	line := jsontext.Value(raw)
	if bytes.ContainsAny(raw, "\n\r") {
		if err := line.Compact(); err != nil {
			return Event{}, fmt.Errorf("%w: %w", ErrEvent, err)
		}
	}
	digest, err := record.DigestJSON(line)
	if err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrEvent, err)
	}
	e := Event{record.LineageEvent{Digest: digest}, line}
	if err := in.read(&e.LineageEvent); err != nil {
		return Event{}, err
	}
	return e, e.Validate()
}

func (in *eventJSON) read(e *record.LineageEvent) (err error) {
	if e.Time, err = parseTime(in.EventTime); err != nil {
		return err
	}
	switch {
	case in.Run != nil && in.Job == nil:
		return fmt.Errorf("%w: it has a run and no job; a RunEvent has both", ErrEvent)
	case in.Run != nil:
		in.readRun(e)
	case in.Job != nil:
		e.Type = record.LineageJob
	case in.Dataset != nil:
		e.Type, in.Inputs, in.Outputs = record.LineageDataSet, nil, []datasetJSON{*in.Dataset}
	default:
		return fmt.Errorf("%w: it has none of run, job and dataset, so it is no RunEvent, JobEvent or DatasetEvent", ErrEvent)
	}
	if in.Job != nil {
		e.Job = in.Job.LineageName
		if c := in.Job.Facets.Code; c != nil && !c.Deleted {
			e.Code = record.LineageCode{URL: c.RepoURL, Version: c.Version}
			if e.Code.URL == "" {
				e.Code.URL = c.URL
			}
		}
	}
	e.Inputs, e.Outputs = datasets(in.Inputs), datasets(in.Outputs)
	return nil
}

func (in *eventJSON) readRun(e *record.LineageEvent) {
	e.Run, e.Type = runID(in.Run.RunID), strings.ToUpper(in.EventType)
	if e.Type == "" {
		e.Type = record.LineageOther
	}
	if p := in.Run.Facets.Parent; p != nil {
		e.Parent = p.link()
		if p.Root != nil {
			e.Root = p.Root.link()
		}
	}
}

func (l linkJSON) link() record.LineageRun {
	return record.LineageRun{Run: runID(l.Run.RunID), Job: l.Job}
}

// runID writes a UUID as RFC 9562 does; another ID is left as it is.
func runID(id string) string {
	isUUID := len(id) == 36 && !strings.ContainsFunc(id, func(c rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF-", c) })
	if isUUID {
		return strings.ToLower(id)
	}
	return id
}

func datasets(in []datasetJSON) []record.LineageDataset {
	var out []record.LineageDataset
	for _, d := range in {
		set := record.LineageDataset{LineageName: d.LineageName}
		if v := d.Facets.Version; v != nil && !v.Deleted {
			set.Version = v.DatasetVersion
		}
		if s := d.Facets.Symlinks; s != nil && !s.Deleted {
			set.Aliases = s.Identifiers
		}
		if c := d.Facets.Columns; c != nil && !c.Deleted {
			for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
				if from := c.Fields[name].From; len(from) > 0 {
					set.Columns = append(set.Columns, record.LineageColumn{Name: name, From: from})
				}
			}
			if len(c.Dataset) > 0 {
				set.Columns = append(set.Columns, record.LineageColumn{From: c.Dataset})
			}
		}
		out = append(out, set)
	}
	return out
}

// layouts are those of times without a zone and with one that lacks its colon.
var layouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04Z07:00", "2006-01-02T15:04"}

func parseTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, fmt.Errorf("%w: it has no eventTime", ErrEvent)
	}
	plain, _, _ := strings.Cut(text, "[")
	for _, layout := range layouts {
		if t, err := time.Parse(layout, plain); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%w: its eventTime %q is no time of ISO 8601, as in 2026-03-02T12:00:00.123Z", ErrEvent, text)
}
