package wire

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/drift"
	"imprimatur.dev/record"
)

// MaxObservations is the longest body of observations, in bytes as they are sent.
const MaxObservations = 1 << 30

// ObservationBatch is what is said of a file of observations. Sent again under the
// same ID it counts once.
type ObservationBatch struct {
	// ID is the sender's own name of it, of up to 128 letters, digits, '.', '_', ':'
	// and '-'.
	ID string `json:"batch"`
	// Release says which of the workload's releases produced them, where it has
	// several, or what was on the way when the one that it has now took over.
	Release string `json:"release,omitzero"`
	// From and To are the span, [From, To).
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Time is the column with the time of each row; without one the span must lie
	// in one window.
	Time string `json:"time,omitzero"`
}

// Observed answers a batch.
type Observed struct {
	Batch   string `json:"batch"`
	Release string `json:"release"`
	Format  string `json:"format"`
	Rows    int64  `json:"rows"`
	// Again says that the batch was counted before, and this is what was answered.
	Again   bool           `json:"again,omitzero"`
	Windows []ObservedPart `json:"windows"`
	// Unknown are columns that the baseline does not have.
	Unknown []string `json:"unknown,omitzero"`
}

// ObservedPart is what of a batch was counted in one window.
type ObservedPart struct {
	Of   record.Category `json:"of"`
	From time.Time       `json:"from"`
	To   time.Time       `json:"to"`
	Rows int64           `json:"rows"`
	// Late says that the window had closed: the rows are not in it.
	Late bool `json:"late,omitzero"`
}

// WindowReport is the file that a record.Window names: all checks of a window, and
// all counts, in RFC 8785 form.
type WindowReport struct {
	Release string          `json:"release"`
	Of      record.Category `json:"of"`
	From    time.Time       `json:"from"`
	To      time.Time       `json:"to"`
	// Drift and Sketch are those of a window of drift: the judgement and what it was
	// made of.
	Drift  *drift.Report  `json:"drift,omitzero"`
	Sketch jsontext.Value `json:"sketch,omitzero"`
	// Check, Settings, Reference and Counted are those of a window of accuracy.
	Check     *drift.Check    `json:"check,omitzero"`
	Settings  *drift.Settings `json:"settings,omitzero"`
	Reference *drift.Rate     `json:"reference,omitzero"`
	Counted   *drift.Rate     `json:"counted,omitzero"`
}

// Monitored says how a release is watched and what was seen.
type Monitored struct {
	Release string `json:"release"`
	Line    string `json:"line"`
	// Baseline is what observations are compared with; Evaluation is the evidence
	// that has it, and Sample the digest of the table that it was counted on.
	Baseline   record.Digest  `json:"baseline"`
	Evaluation record.Digest  `json:"evaluation"`
	Sample     record.Digest  `json:"sample"`
	Settings   drift.Settings `json:"settings"`
	// Window and Lateness are in whole seconds.
	Window   int64 `json:"window"`
	Lateness int64 `json:"lateness"`
	// Silent is how many whole windows have brought nothing by now, since Since, of a
	// live release; as many as Silence are a signal, where that is not 0.
	Silent  int64     `json:"silent,omitzero"`
	Since   time.Time `json:"since,omitzero"`
	Silence int       `json:"silence,omitzero"`
	// Metric is the rate that outcomes are compared with, with its value, where there is
	// one.
	Metric    string      `json:"metric,omitzero"`
	Reference *drift.Rate `json:"reference,omitzero"`
	// Windows are the newest that have closed, oldest first, of drift and of accuracy.
	Windows []record.Recorded[record.Window] `json:"windows"`
	// Open are those that are still counted.
	Open []OpenWindow `json:"open"`
}

// Stopped reports whether as many windows have brought nothing as the policy allows.
func (m *Monitored) Stopped() bool { return m.Silence > 0 && m.Silent >= int64(m.Silence) }

// Quiet says of how many windows nothing came, and what that means.
func (m *Monitored) Quiet() string {
	text := fmt.Sprintf("%d whole windows have brought nothing, since %s", m.Silent, m.Since.UTC().Format("2 January 2006, 15:04"))
	switch {
	case m.Stopped():
		return text + ": observations have stopped, and a monitor that gets nothing sees no drift"
	case m.Silence > 0:
		return text + fmt.Sprintf("; %d are a signal", m.Silence)
	}
	return text + "; the policy asks for no signal of that (monitor: silence)"
}

// OpenWindow is a window that is still counted.
type OpenWindow struct {
	Of      record.Category `json:"of"`
	From    time.Time       `json:"from"`
	To      time.Time       `json:"to"`
	Rows    int64           `json:"rows"`
	Batches int64           `json:"batches"`
}
