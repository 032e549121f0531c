package drift

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"

	"imprimatur.dev/record"
)

// A Replay says how known shifts are replayed: in Repeats windows of Window rows
// each, drawn from the held-back sample by the seed, such as a digest of the
// evidence, so that anybody finds the same numbers.
type Replay struct {
	Window  int    `json:"window"`
	Repeats int    `json:"repeats"`
	Seed    string `json:"seed"`
}

// Trials counts windows. An inconclusive window is one that did not breach: a
// monitor that cannot decide has not seen the shift.
type Trials struct {
	Windows      int `json:"windows"`
	Breaches     int `json:"breaches"`
	Inconclusive int `json:"inconclusive"`
}

// A Detection counts the windows in which the shifted feature breached.
type Detection struct {
	Shift  Shift  `json:"shift"`
	Trials Trials `json:"trials"`
}

// Findings say what a monitor sees. Detections are in the order of the shifts;
// FalseAlarms counts the windows that breached, by any feature, without a shift.
// If the windows are Disjoint, no row is in two of them, so they are independent
// trials, of which an interval can be computed; otherwise they overlap, and an
// interval from the counts is too narrow.
type Findings struct {
	Baseline    record.Digest `json:"baseline"`
	Settings    Settings      `json:"settings"`
	Replay      Replay        `json:"replay"`
	Disjoint    bool          `json:"disjoint"`
	FalseAlarms Trials        `json:"falseAlarms"`
	Detections  []Detection   `json:"detections"`
}

// Sensitivity captures a baseline from the reference and judges windows of the
// held-back sample, each as it is and with every shift in turn.
//
// If the held-back rows suffice, the windows are consecutive parts of one random
// order of them; otherwise each is drawn anew, without a row twice. The orders
// are partial shuffles: for i = 0, 1, … row i is exchanged with row i + IntN(rows
// - i), by the generator that Shift.Apply describes for the purpose "rows", the
// seed, and of windows drawn anew the window's number from 0. The shift of
// window r has the seed followed by "/" and r.
//
// Errors match ErrSample, ErrBaseline or ErrSettings.
func Sensitivity(reference, heldback Sample, settings Settings, shifts []Shift, replay Replay) (Findings, error) {
	frame, columns, err := prepareReplay(reference, heldback, shifts, replay)
	if err != nil {
		return Findings{}, err
	}
	rows := columns[0].rows()
	findings := Findings{Baseline: frame.digest, Settings: settings, Replay: replay, Disjoint: replay.Window <= rows/replay.Repeats}
	for _, x := range shifts {
		findings.Detections = append(findings.Detections, Detection{Shift: x})
	}
	var order []int
	if findings.Disjoint {
		order = shuffled(rows, replay.Window*replay.Repeats, generator("rows", replay.Seed))
	}
	for r := range replay.Repeats {
		var picked []int
		if findings.Disjoint {
			picked = order[r*replay.Window : (r+1)*replay.Window]
		} else {
			picked = shuffled(rows, replay.Window, generator("rows", replay.Seed, strconv.Itoa(r)))
		}
		window := make([]Column, len(columns))
		for i, c := range columns {
			window[i] = c.pick(picked)
		}
		if err := findings.replay(frame, window, replay.Seed+"/"+strconv.Itoa(r)); err != nil {
			return Findings{}, err
		}
	}
	return findings, nil
}

// prepareReplay returns the held-back columns in the order of the baseline.
func prepareReplay(reference, heldback Sample, shifts []Shift, replay Replay) (*Frame, []Column, error) {
	baseline, err := Capture(reference)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the reference: %w", err)
	}
	rows, err := heldback.Rows()
	if err != nil {
		return nil, nil, fmt.Errorf("reading the held-back sample: %w", err)
	}
	if replay.Repeats < 1 || replay.Window < 1 || replay.Window > rows {
		return nil, nil, fmt.Errorf("%w: %d windows of %d rows cannot be drawn from %d held-back rows", ErrSample, replay.Repeats, replay.Window, rows)
	}
	columns := make([]Column, len(baseline.Features))
	for i, f := range baseline.Features {
		k := slices.IndexFunc(heldback.Columns, func(c Column) bool { return c.Name == f.Name })
		if k < 0 || (heldback.Columns[k].Labels != nil) != (f.Kind == Categorical) {
			return nil, nil, fmt.Errorf("%w: the held-back sample has no %s column %q", ErrSample, f.Kind, f.Name)
		}
		columns[i] = heldback.Columns[k]
	}
	for _, x := range shifts {
		if err := x.Validate(baseline); err != nil {
			return nil, nil, err
		}
	}
	frame, err := NewFrame(baseline)
	return frame, columns, err
}

func shuffled(rows, first int, rng *rand.Rand) []int {
	order := make([]int, rows)
	for i := range order {
		order[i] = i
	}
	for i := range first {
		k := i + rng.IntN(rows-i)
		order[i], order[k] = order[k], order[i]
	}
	return order[:first]
}

func (c Column) pick(rows []int) Column {
	picked := Column{Name: c.Name, Source: c.Source}
	for _, row := range rows {
		if c.Labels != nil {
			picked.Labels = append(picked.Labels, c.Labels[row])
		} else {
			picked.Numbers = append(picked.Numbers, c.Numbers[row])
		}
	}
	return picked
}

// replay judges one window as it is, and then with each shift.
func (t *Findings) replay(f *Frame, window []Column, seed string) error {
	plain := f.NewSketch()
	for i, c := range window {
		plain.addColumn(i, c)
	}
	report, err := Judge(f, plain, t.Settings)
	if err != nil {
		return err
	}
	t.FalseAlarms.count(report.Outcome)
	for k := range t.Detections {
		d := &t.Detections[k]
		i := f.index[d.Shift.Feature]
		at, width := f.columns[i].at, f.columns[i].width
		shifted := plain.Clone()
		clear(shifted.counts[at : at+width])
		shifted.addColumn(i, d.Shift.Apply(f.baseline.Features[i], window[i], seed))
		report, err := Judge(f, shifted, t.Settings)
		if err != nil {
			return err
		}
		d.Trials.count(report.Features[i].Outcome)
	}
	return nil
}

func (s *Sketch) addColumn(i int, c Column) {
	if c.Labels != nil {
		s.AddCategories(i, c.Labels)
		return
	}
	s.AddBatch(i, c.Numbers)
}

func (t *Trials) count(o Outcome) {
	t.Windows++
	switch o {
	case Breach:
		t.Breaches++
	case Inconclusive:
		t.Inconclusive++
	}
}
