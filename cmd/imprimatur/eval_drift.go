package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"golang.org/x/sync/errgroup"

	"imprimatur.dev/drift"
	"imprimatur.dev/evidence"
	"imprimatur.dev/record"
)

// evalDriftCmd is "imprimatur eval drift".
type evalDriftCmd struct {
	Reference string     `required:"" placeholder:"FILE" help:"The table that production is compared with: CSV with a header, or one JSON object a line."`
	Heldback  string     `required:"" placeholder:"FILE" help:"A table that the reference does not contain; the shifts are made in it."`
	Columns   tableRules `embed:""`
	Settings  string     `placeholder:"FILE" help:"The monitor's settings as JSON; what it leaves out is as by default."`
	Shift     []string   `sep:"none" placeholder:"KIND:COLUMN:SIZE" help:"A shift to replay instead of the usual ones. May be repeated."`
	Window    int        `default:"500" placeholder:"ROWS" help:"The rows of a window, as the monitor will have them in production (default ${default})."`
	Repeats   int        `placeholder:"N" help:"The number of windows; else as many as share no row, at most 1000."`
	Seed      string     `placeholder:"TEXT" help:"What the windows are drawn by; else the digest of the held-back table."`
	Out       string     `placeholder:"FILE" help:"Write the evidence, for imprimatur eval record."`
}

// Help implements kong.HelpProvider.
func (c *evalDriftCmd) Help() string {
	return `A monitor of drift is worth what it sees. This captures the baseline of the reference, draws windows from the held-back table,
and counts in how many of them the monitor breaches: as they are, which are false alarms, and with each known shift, which are detections.

  imprimatur eval drift --reference train.csv --heldback holdout.csv --predictions answer --without id --out drift.json
  imprimatur eval record drift.json --model clinic/triage@3 --dataset clinic/holdout@1 --ran 2026-05-01T12:00:00Z

The usual shifts are a quarter and half a standard deviation of every number, the exchange of the most and the least frequent category, and
5 % missing. Others are named with --shift:

  mean:age:0.5          half a standard deviation up
  scale:age:2           twice as far from the mean
  bias:age:-3           three less, in its own unit
  missing:age:0.05      5 % of the rows without a value
  swap:colour:red:blue  red for blue and blue for red; in half of the rows with :0.5 at the end

No monitor of distributions sees the exchange of two categories that are equally frequent.

Settings are those of the monitor that ships with the release, with any of these members:

  {"alpha": 0.01, "correction": "holm", "minCount": 50, "bins": 10, "psiLimit": 0.05, "missingLimit": 0.02,
   "unseenLimit": 0.01, "outsideLimit": 0.01, "need": 2, "of": 3}

Rates are of single windows; an alarm needs "need" breaches in "of" windows. The same tables, settings and seed give the same bytes. Exit 1 says
that the evidence cannot count, and why.`
}

// Run implements the command.
func (c *evalDriftCmd) Run(a *app) error {
	found, err := c.replay(a)
	if err != nil {
		return err
	}
	raw, err := found.Marshal()
	if err != nil {
		return err
	}
	// What is shown is what the importer reads.
	r, err := evidence.Read([]evidence.File{evidence.FileOf("the replay", raw)}, record.EvaluationRun{})
	if err != nil {
		return fmt.Errorf("reading the evidence back: %w", err)
	}
	if c.Out != "" {
		if err := a.write(c.Out, raw); err != nil {
			return err
		}
	}
	e := r.Evaluations[0]
	if a.json {
		_, err = a.stdout.Write(raw)
	} else {
		err = a.show(nil, func(p *page) { c.draw(p, found, &e) })
	}
	if err == nil && e.Incomplete != "" {
		if a.json {
			fmt.Fprintln(a.stderr, "imprimatur: this cannot count: "+plain(e.Incomplete))
		}
		return no()
	}
	return err
}

func (a *app) write(path string, raw []byte) error {
	if path == "-" {
		return wrongf("--out names a file; --json prints the evidence to standard output")
	}
	w, done, err := a.output(path)
	if err != nil {
		return err
	}
	_, err = w.Write(raw)
	if ended := done(); err == nil {
		err = ended
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// replay reads the tables and makes the evidence.
func (c *evalDriftCmd) replay(a *app) (*evidence.DriftSensitivity, error) {
	f := &evidence.DriftSensitivity{Format: evidence.DriftSensitivityV1, Tool: thisProgram()}
	var err error
	if f.Settings, err = c.monitor(a); err != nil {
		return nil, err
	}
	shifts, err := parseShifts(c.Shift)
	if err != nil {
		return nil, err
	}
	reference, heldback, err := c.tables(a, f)
	if err != nil {
		return nil, err
	}
	if f.Baseline, err = drift.Capture(reference); err == nil {
		f.BaselineDigest, err = f.Baseline.Digest()
	}
	if err != nil {
		return nil, wrongf("%s: %w", c.Reference, err)
	}
	if len(shifts) == 0 {
		// Of categories that are equally frequent none is the most frequent.
		shifts = slices.DeleteFunc(drift.KnownShifts(f.Baseline), func(x drift.Shift) bool {
			return x.Kind == drift.ShiftSwap && x.From == x.To
		})
	}
	f.Replay = drift.Replay{Window: c.Window, Repeats: c.Repeats, Seed: orElse(c.Seed, string(f.HeldBack.Digest))}
	if c.Window < 1 || c.Window > f.HeldBack.Rows {
		e := wrongf("a window of %s cannot be drawn from the %s of %s", count(c.Window, "row"), count(f.HeldBack.Rows, "row"), c.Heldback)
		e.hint = "say with --window how many rows the monitor will see at a time"
		return nil, e
	}
	if c.Repeats == 0 {
		f.Replay.Repeats = min(1000, f.HeldBack.Rows/c.Window)
	}
	return f, replayShifts(a, f, reference, heldback, shifts)
}

// monitor reads the settings.
func (c *evalDriftCmd) monitor(a *app) (drift.Settings, error) {
	s := drift.Defaults()
	if c.Settings == "" {
		return s, nil
	}
	raw, err := a.readFile(c.Settings, "the settings")
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(raw, &s, json.RejectUnknownMembers(true)); err != nil {
		return s, wrongf("the settings %s cannot be read: %w", c.Settings, err)
	}
	if err := s.Validate(); err != nil {
		return s, wrongf("%s: %w", c.Settings, err)
	}
	return s, nil
}

// tables reads both tables; the kinds of the reference's columns are the
// baseline's, so they hold for the held-back table too.
func (c *evalDriftCmd) tables(a *app, f *evidence.DriftSensitivity) (reference, heldback drift.Sample, err error) {
	reference, columns, err := c.Columns.reference(a.ctx, c.Reference)
	if err == nil {
		heldback, err = c.Columns.sample(a.ctx, c.Heldback, columns)
	}
	if err != nil {
		return reference, heldback, err
	}
	for _, t := range []struct {
		path   string
		sample drift.Sample
		to     *evidence.DriftSample
	}{{c.Reference, reference, &f.Reference}, {c.Heldback, heldback, &f.HeldBack}} {
		rows, err := t.sample.Rows()
		if err != nil {
			return reference, heldback, wrongf("%s: %w", t.path, err)
		}
		b, err := a.hash(t.path)
		if err != nil {
			return reference, heldback, err
		}
		*t.to = evidence.DriftSample{Digest: b.Digest, Rows: rows}
	}
	return reference, heldback, nil
}

// replayShifts replays some shifts at a time, on all processors: the windows of
// one seed are the same whichever shifts are made in them. So a bar can be
// drawn, and an interrupt is heard.
func replayShifts(a *app, f *evidence.DriftSensitivity, reference, heldback drift.Sample, shifts []drift.Shift) error {
	const parts, least = 20, 8
	size := max(least, (len(shifts)+parts-1)/parts)
	report, end := a.progress("replaying shifts")
	defer end()
	f.Detections = make([]drift.Detection, len(shifts))
	var mu sync.Mutex
	replayed := 0
	work, ctx := errgroup.WithContext(a.ctx)
	work.SetLimit(runtime.GOMAXPROCS(0))
	for part := range slices.Chunk(f.Detections, size) {
		some := shifts[:len(part)]
		shifts = shifts[len(part):]
		work.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			found, err := drift.Sensitivity(reference, heldback, f.Settings, some, f.Replay)
			if err != nil {
				return wrongf("%w", err)
			}
			copy(part, found.Detections)
			mu.Lock()
			defer mu.Unlock()
			f.FalseAlarms, f.Disjoint = found.FalseAlarms, found.Disjoint
			replayed += len(part)
			report(int64(replayed), int64(len(f.Detections)))
			return nil
		})
	}
	return work.Wait()
}

// parseShifts reads shifts as evidence.NameOfShift writes them.
func parseShifts(texts []string) ([]drift.Shift, error) {
	var shifts []drift.Shift
	for _, text := range texts {
		x, ok := parseShift(text)
		if !ok {
			return nil, wrongf("%q is no shift: write KIND:COLUMN:SIZE with mean, scale, bias or missing, or swap:COLUMN:FROM:TO", text)
		}
		if slices.Contains(shifts, x) {
			return nil, wrongf("the shift %s is given twice", text)
		}
		shifts = append(shifts, x)
	}
	return shifts, nil
}

func parseShift(text string) (drift.Shift, bool) {
	kind, rest, _ := strings.Cut(text, ":")
	x := drift.Shift{Kind: drift.ShiftKind(kind), Size: 1}
	var err error
	if x.Kind == drift.ShiftSwap {
		parts := strings.Split(rest, ":")
		if len(parts) == 4 {
			x.Size, err = strconv.ParseFloat(parts[3], 64)
			parts = parts[:3]
		}
		if len(parts) != 3 || err != nil {
			return x, false
		}
		x.Feature, x.From, x.To = parts[0], parts[1], parts[2]
		return x, true
	}
	at := strings.LastIndex(rest, ":")
	if at < 1 {
		return x, false
	}
	x.Feature = rest[:at]
	x.Size, err = strconv.ParseFloat(rest[at+1:], 64)
	return x, err == nil
}

// thisProgram names the program that makes evidence.
func thisProgram() record.Tool {
	t := record.Tool{Name: "imprimatur", Version: "unknown"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return t
	}
	t.Version = orElse(info.Main.Version, t.Version)
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			t.Commit = s.Value
		case "vcs.modified":
			t.Dirty = s.Value == "true"
		}
	}
	return t
}
