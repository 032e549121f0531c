package evidence

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/drift"
	"imprimatur.dev/record"
	"imprimatur.dev/statistics"
)

// driftSensitivityFormat is our own: one JSON object, [DriftSensitivity], that
// says what a monitor of drift saw of shifts that were made on purpose.
//
// false_alarm_rate is the share of windows without a shift in which the monitor
// breached, and detection_rate that of windows with one: over all shifts, for
// each by itself in the dimension "shift", by the name of [NameOfShift], and for
// those of each feature in the dimension "feature". A window in which the
// monitor could not decide is one in which it did not breach.
//
// Trials that share no row, of one shift, are independent and given as counts.
// Others are not: see [DriftSensitivity.worth].
var driftSensitivityFormat = importer{
	format: "drift-sensitivity", version: 2, accepts: "drift-sensitivity/v1, as imprimatur eval drift writes it",
	match: func(h *head) string {
		if strings.HasPrefix(h.one().text("imprimatur"), "drift-sensitivity/") {
			return "replay"
		}
		return ""
	},
	read: func(in *input) error {
		p := in.parts[0]
		if len(in.parts) > 1 {
			return in.parts[1].refuse("", "it is a second replay; record one at a time")
		}
		if p.Size > MaxWhole {
			return p.refuse("", "it has %d bytes, more than %d", p.Size, int64(MaxWhole))
		}
		f := &DriftSensitivity{}
		d := in.json(p)
		f.members(d)
		if err := d.end(); err != nil {
			return err
		}
		if why := f.fault(); why != "" {
			return p.refuse("", "%s", why)
		}
		f.suite(in)
		return nil
	},
}

// DriftSensitivityV1 is the format of a [DriftSensitivity].
const DriftSensitivityV1 = "drift-sensitivity/v1"

// DriftSensitivity is what a replay of known shifts found out about a monitor:
// the findings of [drift.Sensitivity] with all that is needed to repeat it. It
// carries the baseline itself, so that what production sees can be compared with
// the reference of the evidence, and no other.
type DriftSensitivity struct {
	Format         string            `json:"imprimatur"` // DriftSensitivityV1
	Tool           record.Tool       `json:"tool"`
	Settings       drift.Settings    `json:"settings"`
	BaselineDigest record.Digest     `json:"baselineDigest"`
	Baseline       drift.Baseline    `json:"baseline"`
	Reference      DriftSample       `json:"reference"`
	HeldBack       DriftSample       `json:"heldBack"`
	Replay         drift.Replay      `json:"replay"`
	Disjoint       bool              `json:"disjoint"`
	FalseAlarms    drift.Trials      `json:"falseAlarms"`
	Detections     []drift.Detection `json:"detections"`
}

// DriftSample names a table of rows by the digest of its file, as imprimatur
// digest prints it.
type DriftSample struct {
	Digest record.Digest `json:"digest"`
	Rows   int           `json:"rows"`
}

// Limits of a replay, so that no product of its counts overflows.
const (
	maxShifts  = 100_000
	maxRepeats = 1 << 20
)

// methodWindows is Wilson's interval over as many trials as the windows are
// worth, not over all trials.
const methodWindows = "wilson-over-windows"

// Marshal returns the bytes of the file: RFC 8785 and a line feed, so that the
// same findings are the same bytes.
func (f *DriftSensitivity) Marshal() ([]byte, error) {
	raw, err := record.CanonicalOf(f)
	if err != nil {
		return nil, fmt.Errorf("writing the evidence of a replay: %w", err)
	}
	return append(raw, '\n'), nil
}

// NameOfShift writes a shift as "mean:age:0.5" or, of categories, as
// "swap:colour:red:blue", followed by ":" and its size where that is not 1.
func NameOfShift(x drift.Shift) string {
	size := decimal(x.Size)
	if x.Kind != drift.ShiftSwap {
		return fmt.Sprintf("%s:%s:%s", x.Kind, x.Feature, size)
	}
	name := fmt.Sprintf("%s:%s:%s:%s", x.Kind, x.Feature, x.From, x.To)
	if x.Size != 1 {
		name += ":" + size
	}
	return name
}

func decimal(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func (f *DriftSensitivity) members(d *doc) {
	d.object(func(name string) bool {
		switch name {
		case "imprimatur":
			f.Format = d.text()
		case "tool":
			f.Tool = d.tool()
		case "settings":
			strictly(d, &f.Settings)
		case "baselineDigest":
			f.BaselineDigest = record.Digest(d.text())
		case "baseline":
			if raw := d.raw(); d.err == nil {
				var err error
				if f.Baseline, err = drift.ParseBaseline(raw); err != nil {
					d.refuse("%v", err)
				}
			}
		case "reference":
			strictly(d, &f.Reference)
		case "heldBack":
			strictly(d, &f.HeldBack)
		case "replay":
			strictly(d, &f.Replay)
		case "disjoint":
			f.Disjoint = d.truth()
		case "falseAlarms":
			strictly(d, &f.FalseAlarms)
		case "detections":
			d.array(func(int) {
				var x drift.Detection
				strictly(d, &x)
				f.Detections = append(f.Detections, x)
			})
		default:
			return false
		}
		return true
	})
}

// strictly reads a value of a form of our own, in which no member is unknown.
func strictly(d *doc, into any) {
	raw := d.raw()
	if d.err != nil {
		return
	}
	if err := json.Unmarshal(raw, into, json.RejectUnknownMembers(true)); err != nil {
		d.refuse("%v", err)
	}
}

// fault says why no replay can have written the file, or is empty.
func (f *DriftSensitivity) fault() string {
	if f.Format != DriftSensitivityV1 {
		return fmt.Sprintf("its version is %q, and %q is what is read", clip(f.Format), DriftSensitivityV1)
	}
	if err := f.Settings.Validate(); err != nil {
		return err.Error()
	}
	if err := f.Baseline.Validate(); err != nil {
		return err.Error()
	}
	digest, err := f.Baseline.Digest()
	if err != nil {
		return err.Error()
	}
	if digest != f.BaselineDigest {
		return fmt.Sprintf("it names the baseline %s, and the baseline in it is %s", clip(string(f.BaselineDigest)), digest)
	}
	for _, x := range []struct {
		name   string
		sample DriftSample
	}{{"reference", f.Reference}, {"held-back sample", f.HeldBack}} {
		if err := x.sample.Digest.Validate(); err != nil {
			return fmt.Sprintf("of the %s %v", x.name, err)
		}
	}
	r := f.Replay
	switch {
	case r.Repeats < 1 || r.Repeats > maxRepeats:
		return fmt.Sprintf("it has %d windows, not 1 to %d", r.Repeats, maxRepeats)
	case r.Window < 1 || r.Window > f.HeldBack.Rows:
		return fmt.Sprintf("windows of %d rows cannot be drawn from %d held-back rows", r.Window, f.HeldBack.Rows)
	case f.Disjoint != (r.Window <= f.HeldBack.Rows/r.Repeats):
		return fmt.Sprintf("it says disjoint is %v of %d windows of %d rows, drawn from %d rows", f.Disjoint, r.Repeats, r.Window, f.HeldBack.Rows)
	}
	return f.faultOfTrials()
}

func (f *DriftSensitivity) faultOfTrials() string {
	if len(f.Detections) > maxShifts {
		return fmt.Sprintf("it has %d shifts, more than %d", len(f.Detections), maxShifts)
	}
	possible := func(t drift.Trials) bool {
		return t.Windows >= 0 && t.Windows <= f.Replay.Repeats && t.Breaches >= 0 && t.Breaches <= t.Windows &&
			t.Inconclusive >= 0 && t.Inconclusive <= t.Windows-t.Breaches
	}
	if !possible(f.FalseAlarms) {
		return fmt.Sprintf("without a shift it counts %s of %d windows", counts(f.FalseAlarms), f.Replay.Repeats)
	}
	seen := map[string]bool{}
	for _, x := range f.Detections {
		name := NameOfShift(x.Shift)
		if err := x.Shift.Validate(f.Baseline); err != nil {
			return err.Error()
		}
		if !possible(x.Trials) {
			return fmt.Sprintf("of the shift %s it counts %s of %d windows", clip(name), counts(x.Trials), f.Replay.Repeats)
		}
		if seen[name] {
			return fmt.Sprintf("the shift %s comes twice", clip(name))
		}
		seen[name] = true
	}
	return ""
}

func counts(t drift.Trials) string {
	return fmt.Sprintf("%d windows with %d breaches and %d inconclusive,", t.Windows, t.Breaches, t.Inconclusive)
}

// suite reports what the file says.
func (f *DriftSensitivity) suite(in *input) {
	s := in.suite("drift-sensitivity", record.Drift)
	s.SuiteVersion, s.Tool = "v1", f.Tool
	s.Monitor = &record.Monitor{Baseline: f.BaselineDigest, Sample: f.Reference.Digest, Rows: f.Reference.Rows}
	s.Labels["baseline"], s.Labels["reference"], s.Labels["heldBack"] = string(f.BaselineDigest), string(f.Reference.Digest), string(f.HeldBack.Digest)
	s.Labels["seed"], s.Labels["windows"] = f.Replay.Seed, strconv.Itoa(f.Replay.Repeats)
	s.Settings = f.settings()
	s.Definition = f.definition()
	s.Counts.Expected = f.Replay.Repeats * (1 + len(f.Detections))
	all, byFeature := drift.Trials{}, map[string]drift.Trials{}
	for _, x := range f.Detections {
		all, byFeature[x.Shift.Feature] = sum(all, x.Trials), sum(byFeature[x.Shift.Feature], x.Trials)
	}
	s.report(f.rate("false_alarm_rate", record.Lower, nil, f.FalseAlarms))
	if len(f.Detections) > 0 {
		s.report(f.rate(detectionRate, record.Higher, nil, all))
	}
	if len(f.Detections) > maxSlices {
		in.warn("it has %d shifts; only up to %d are reported one by one", len(f.Detections), maxSlices)
	} else {
		for _, x := range f.Detections {
			s.report(f.rate(detectionRate, record.Higher, map[string]string{"shift": NameOfShift(x.Shift)}, x.Trials))
		}
		for _, name := range keys(byFeature) {
			s.report(f.rate(detectionRate, record.Higher, map[string]string{"feature": name}, byFeature[name]))
		}
	}
	all = sum(all, f.FalseAlarms)
	s.Counts.Errors = all.Inconclusive
	s.Counts.Scored = all.Windows - all.Inconclusive
	f.checkRows(s)
	f.remarks(in, s)
}

const detectionRate = "detection_rate"

func sum(a, b drift.Trials) drift.Trials {
	return drift.Trials{Windows: a.Windows + b.Windows, Breaches: a.Breaches + b.Breaches, Inconclusive: a.Inconclusive + b.Inconclusive}
}

// rate is the share of trials that breached.
func (f *DriftSensitivity) rate(name, direction string, slice map[string]string, t drift.Trials) record.Metric {
	m := record.Metric{
		Name: name, Slice: slice, Direction: direction,
		Value: float64(t.Breaches) / float64(t.Windows), N: t.Windows, Successes: &t.Breaches,
	}
	if worth := f.worth(); worth < t.Windows {
		// Both ways to the whole trial that widens the interval.
		least, most := t.Breaches*worth/t.Windows, (t.Breaches*worth+t.Windows-1)/t.Windows
		lower, upper := statistics.Wilson(least, worth, level).Lower, statistics.Wilson(most, worth, level).Upper
		m.Clusters, m.Computed = worth, &record.Uncertainty{Method: methodWindows, Lower95: &lower, Upper95: &upper}
	}
	return m
}

// worth is how many independent windows the replay is worth, at least. Disjoint
// windows are independent. Of R windows of m rows, each drawn anew from N rows,
// the mean of any share of 0 to 1 has at most the variance of R/(1+(R-1)m/N)
// independent ones: that over all windows there are is a U-statistic, with at
// most the part m/N of a window's variance (Hoeffding 1948, theorem 5.1), to
// which the choice of R of them adds. However the shifts of one window depend on
// each other, the share of them that is seen is such a share.
func (f *DriftSensitivity) worth() int {
	windows := f.Replay.Repeats
	if f.Disjoint {
		return windows
	}
	part := float64(f.Replay.Window) / float64(f.HeldBack.Rows)
	return max(1, int(float64(windows)/(1+float64(float64(windows-1)*part))))
}

func (f *DriftSensitivity) settings() map[string]string {
	s := f.Settings
	return map[string]string{
		"alpha": decimal(s.Alpha), "correction": string(s.Correction), "minCount": strconv.FormatInt(s.MinCount, 10), "bins": strconv.Itoa(s.Bins),
		"psiLimit": decimal(s.PSILimit), "missingLimit": decimal(s.MissingLimit), "unseenLimit": decimal(s.UnseenLimit), "outsideLimit": decimal(s.OutsideLimit),
		"need": strconv.Itoa(s.Need), "of": strconv.Itoa(s.Of), "window": strconv.Itoa(f.Replay.Window),
	}
}

// definition digests the shifts: two replays with one definition asked the same.
func (f *DriftSensitivity) definition() record.Digest {
	names := make([]string, len(f.Detections))
	for i, x := range f.Detections {
		names[i] = NameOfShift(x.Shift)
	}
	slices.Sort(names)
	return record.DigestOf([]byte(strings.Join(names, "\n")))
}

// checkRows compares the rows of the reference with what the baseline counts,
// at the first feature that differs.
func (f *DriftSensitivity) checkRows(s *suite) {
	rows := int64(f.Reference.Rows)
	for _, x := range f.Baseline.Features {
		counted := x.Missing + x.Below + x.Above + x.Unseen
		for _, n := range x.Bins {
			counted += n
		}
		for _, c := range x.Categories {
			counted += c.Count
		}
		if rows = counted; counted != int64(f.Reference.Rows) {
			break
		}
	}
	s.check("rows of the reference", float64(f.Reference.Rows), float64(rows), 0)
}

// remarks say what the numbers do not.
func (f *DriftSensitivity) remarks(in *input, s *suite) {
	blind := f.FalseAlarms.Inconclusive
	switch {
	case f.Reference.Digest == f.HeldBack.Digest:
		s.incomplete("the held-back sample is the reference itself")
	case len(f.Detections) == 0:
		s.incomplete("it replays no shift")
	case f.FalseAlarms.Windows > 0 && blind == f.FalseAlarms.Windows:
		s.incomplete("the monitor decided in none of %d windows without a shift", blind)
	case blind > 0:
		in.warn("the monitor could not decide in %d of %d windows without a shift, which count as no alarm", blind, f.FalseAlarms.Windows)
	}
	if !f.Disjoint {
		in.warn("%d windows of %d rows are drawn from %d rows and overlap: they are worth %d independent ones, from which the intervals are computed",
			f.Replay.Repeats, f.Replay.Window, f.HeldBack.Rows, f.worth())
	}
	if f.Replay.Seed != string(f.HeldBack.Digest) {
		in.warn("the seed was chosen; by default it is the digest of the held-back sample")
	}
	if d := in.run.Dataset; d != "" && d != f.HeldBack.Digest {
		in.warn("it is recorded as of the dataset %s, and the held-back sample is the file %s", d.Short(), f.HeldBack.Digest.Short())
	}
}

// MonitorOf reads the monitor out of a [DriftSensitivity] file: its baseline and
// its settings.
func MonitorOf(raw []byte) (drift.Baseline, drift.Settings, error) {
	var f DriftSensitivity
	err := json.Unmarshal(raw, &f)
	if err == nil {
		err = f.Baseline.Validate()
	}
	if err == nil {
		err = f.Settings.Validate()
	}
	if err != nil {
		return f.Baseline, f.Settings, fmt.Errorf("reading a monitor: %w", err)
	}
	return f.Baseline, f.Settings, nil
}
