package evidence_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"imprimatur.dev/drift"
	"imprimatur.dev/evidence"
	"imprimatur.dev/record"
	"imprimatur.dev/statistics"
)

var (
	heldBack = record.DigestOf([]byte("held back"))
	halfSD   = drift.Shift{Kind: drift.ShiftMean, Feature: "age", Size: 0.5}
	gone     = drift.Shift{Kind: drift.ShiftMissing, Feature: "age", Size: 0.05}
	swapped  = drift.Shift{Kind: drift.ShiftSwap, Feature: "colour", Size: 1, From: "red", To: "blue"}
)

// replayed writes a replay of three shifts in 20 windows of 50 of 1,000 rows,
// changed as a test wants.
func replayed(change func(f *evidence.DriftSensitivity)) string {
	f := &evidence.DriftSensitivity{
		Format: evidence.DriftSensitivityV1, Tool: record.Tool{Name: "imprimatur", Version: "v1"}, Settings: drift.Defaults(),
		Baseline: drift.Baseline{Features: []drift.Feature{
			{Name: "age", Source: drift.Input, Kind: drift.Numeric, Missing: 10, Mean: 50, SD: 10, Edges: []float64{20, 50, 80}, Bins: []int64{45, 45}},
			{Name: "colour", Source: drift.Prediction, Kind: drift.Categorical, Categories: []drift.Category{{Name: "blue", Count: 30}, {Name: "red", Count: 70}}},
		}},
		Reference: evidence.DriftSample{Digest: record.DigestOf([]byte("reference")), Rows: 100}, HeldBack: evidence.DriftSample{Digest: heldBack, Rows: 1000},
		Replay: drift.Replay{Window: 50, Repeats: 20, Seed: string(heldBack)}, Disjoint: true,
		FalseAlarms: drift.Trials{Windows: 20, Breaches: 1, Inconclusive: 2},
		Detections: []drift.Detection{
			{Shift: halfSD, Trials: drift.Trials{Windows: 20, Breaches: 17}},
			{Shift: gone, Trials: drift.Trials{Windows: 20, Breaches: 8, Inconclusive: 1}},
			{Shift: swapped, Trials: drift.Trials{Windows: 20, Breaches: 20}},
		},
	}
	digest, err := f.Baseline.Digest()
	if err != nil {
		panic(err)
	}
	f.BaselineDigest = digest
	if change != nil {
		change(f)
	}
	raw, err := f.Marshal()
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func TestDriftSensitivity(t *testing.T) {
	e := read(t, replayed(nil), complete)
	if err := e.Validate(); err != nil {
		t.Fatal(err)
	}
	if e.Category != record.Drift || e.Suite != "drift-sensitivity" || e.Incomplete != "" || e.Contradiction() != "" || e.Tool.Name != "imprimatur" {
		t.Errorf("it is read as %s/%s by %s, incomplete %q, contradiction %q", e.Category, e.Suite, e.Tool.Name, e.Incomplete, e.Contradiction())
	}
	// 4 times 20 windows, of which 3 were not decided.
	if d := cmp.Diff(record.Counts{Expected: 80, Evaluated: 80, Scored: 77, Errors: 3}, e.Counts); d != "" {
		t.Errorf("the counts differ:\n%s", d)
	}
	for label, want := range map[string]struct{ breaches, windows, clusters int }{
		"false_alarm_rate":                           {1, 20, 0},
		"detection_rate":                             {45, 60, 20}, // three shifts of the same 20 windows
		"detection_rate[shift=mean:age:0.5]":         {17, 20, 0},
		"detection_rate[shift=missing:age:0.05]":     {8, 20, 0},
		"detection_rate[shift=swap:colour:red:blue]": {20, 20, 0},
		"detection_rate[feature=age]":                {25, 40, 20},
		"detection_rate[feature=colour]":             {20, 20, 0},
	} {
		m := metric(t, e, label)
		counted(t, m, want.breaches, want.windows)
		if m.Clusters != want.clusters || (m.Computed != nil) != (want.clusters > 0) {
			t.Errorf("%s is of %d clusters, %+v; want %d", label, m.Clusters, m.Computed, want.clusters)
		}
		if want := map[bool]string{true: record.Lower, false: record.Higher}[m.Name == "false_alarm_rate"]; m.Direction != want {
			t.Errorf("of %s %s is better, want %s", label, m.Direction, want)
		}
	}
	if len(e.Metrics) != 7 {
		t.Errorf("there are %d metrics, want 7", len(e.Metrics))
	}
	// 45 of 60 are 15 of 20 windows.
	sameInterval(t, metric(t, e, "detection_rate"), statistics.Wilson(15, 20, 0.95))
	// 25 of 40 are 12.5 of 20: the lower bound is of 12, the upper of 13.
	sameInterval(t, metric(t, e, "detection_rate[feature=age]"), statistics.Interval{
		Lower: statistics.Wilson(12, 20, 0.95).Lower, Upper: statistics.Wilson(13, 20, 0.95).Upper,
	})
	digest := record.Digest(e.Labels["baseline"])
	if err := digest.Validate(); err != nil || e.Labels["heldBack"] != string(heldBack) || e.Settings["psiLimit"] != "0.05" || e.Settings["window"] != "50" {
		t.Errorf("labels are %v, settings %v", e.Labels, e.Settings)
	}
	warned(t, e, "could not decide in 2 of 20", "recorded as of the dataset")
}

func sameInterval(t *testing.T, m record.Metric, want statistics.Interval) {
	t.Helper()
	got := statistics.Interval{Lower: *m.Computed.Lower95, Upper: *m.Computed.Upper95}
	if d := cmp.Diff(want, got, cmpopts.EquateApprox(0, 1e-12)); d != "" {
		t.Errorf("the interval of %s differs:\n%s", m.Label(), d)
	}
}

// warned demands the warnings that have these words, and no other.
func warned(t *testing.T, e record.Evaluation, words ...string) {
	t.Helper()
	if len(e.Import.Warnings) != len(words) {
		t.Errorf("the warnings are %q, want %d", e.Import.Warnings, len(words))
	}
	all := strings.Join(e.Import.Warnings, "\n")
	for _, w := range words {
		if !strings.Contains(all, w) {
			t.Errorf("no warning of %q says %q", e.Import.Warnings, w)
		}
	}
}

// 40 windows of 500 of 1,000 rows are no 40 trials: they are worth 40/(1+39/2) =
// 1.95, of which one is whole.
func TestOverlappingWindowsAreNotCountedAsIndependent(t *testing.T) {
	overlapping := func(window, breaches int) func(f *evidence.DriftSensitivity) {
		return func(f *evidence.DriftSensitivity) {
			f.Replay.Window, f.Replay.Repeats, f.Disjoint = window, 40, false
			f.FalseAlarms = drift.Trials{Windows: 40, Breaches: breaches}
			f.Detections = f.Detections[:1]
			f.Detections[0].Trials = drift.Trials{Windows: 40, Breaches: 40}
		}
	}
	e := read(t, replayed(overlapping(500, 0)))
	warned(t, e, "worth 1 independent")
	for _, m := range e.Metrics {
		if m.Clusters != 1 || m.N != 40 {
			t.Errorf("%s is over %d clusters of %d windows", m.Label(), m.Clusters, m.N)
		}
	}
	sameInterval(t, metric(t, e, "false_alarm_rate"), statistics.Wilson(0, 1, 0.95))
	sameInterval(t, metric(t, e, "detection_rate"), statistics.Wilson(1, 1, 0.95))
	// Windows of 50 rows: 40/(1+39/20) = 13.6; 10 of 40 are 3.25 of 13.
	e = read(t, replayed(overlapping(50, 10)))
	sameInterval(t, metric(t, e, "false_alarm_rate"), statistics.Interval{
		Lower: statistics.Wilson(3, 13, 0.95).Lower, Upper: statistics.Wilson(4, 13, 0.95).Upper,
	})
}

func TestReplaysThatDoNotCount(t *testing.T) {
	for _, c := range []struct {
		says   string
		change func(f *evidence.DriftSensitivity)
	}{
		{"is the reference itself", func(f *evidence.DriftSensitivity) { f.HeldBack.Digest = f.Reference.Digest }},
		{"replays no shift", func(f *evidence.DriftSensitivity) { f.Detections = nil }},
		{"decided in none of 20", func(f *evidence.DriftSensitivity) { f.FalseAlarms = drift.Trials{Windows: 20, Inconclusive: 20} }},
		{"covers 76 of 80", func(f *evidence.DriftSensitivity) { f.FalseAlarms.Windows = 16 }},
	} {
		if e := read(t, replayed(c.change), complete); !strings.Contains(e.Incomplete, c.says) {
			t.Errorf("incomplete is %q, want %q", e.Incomplete, c.says)
		}
	}
	e := read(t, replayed(func(f *evidence.DriftSensitivity) { f.Reference.Rows = 101 }))
	if why := e.Contradiction(); !strings.Contains(why, "rows of the reference = 101") {
		t.Errorf("the contradiction is %q: the baseline counts 100 rows", why)
	}
	e = read(t, replayed(func(f *evidence.DriftSensitivity) { f.Replay.Seed = "lucky" }))
	warned(t, e, "could not decide", "the seed was chosen")
}

func TestReplaysThatNobodyRan(t *testing.T) {
	type file = evidence.DriftSensitivity
	for _, c := range []struct {
		says   string
		change func(f *file)
	}{
		{`"drift-sensitivity/v2"`, func(f *file) { f.Format = "drift-sensitivity/v2" }},
		{"the baseline in it is", func(f *file) { f.Baseline.Features[0].Bins[0]++ }},
		{"unusable baseline", func(f *file) { f.Baseline.Features = nil }},
		{"unusable drift settings", func(f *file) { f.Settings.Alpha = 2 }},
		{"held-back sample", func(f *file) { f.HeldBack.Digest = "x" }},
		{"cannot be drawn from 1000", func(f *file) { f.Replay.Window = 1001 }},
		{"0 windows", func(f *file) { f.Replay.Repeats = 0 }},
		{"says disjoint is true", func(f *file) { f.Replay.Window = 51 }},
		{"says disjoint is false", func(f *file) { f.Disjoint = false }},
		{"21 windows", func(f *file) { f.Detections[0].Trials.Windows = 21 }},
		{"21 breaches", func(f *file) { f.Detections[0].Trials.Breaches = 21 }},
		{"13 inconclusive", func(f *file) { f.Detections[1].Trials.Inconclusive = 13 }},
		{"-1 breaches", func(f *file) { f.FalseAlarms.Breaches = -1 }},
		{"comes twice", func(f *file) { f.Detections[1] = f.Detections[0] }},
		{"no feature", func(f *file) { f.Detections[0].Shift.Feature = "height" }},
	} {
		refused(t, replayed(c.change), c.says)
	}
	refused(t, strings.Replace(replayed(nil), `"need":2`, `"need":2,"nede":3`, 1), "nede")
	if _, err := readAll(nil, replayed(nil), replayed(nil)); err == nil || !strings.Contains(err.Error(), "second replay") {
		t.Errorf("two replays are read together: %v", err)
	}
	e := read(t, strings.Replace(replayed(nil), `"disjoint"`, `"note":1,"disjoint"`, 1))
	if d := cmp.Diff([]string{"/note"}, e.Import.Unknown); d != "" {
		t.Errorf("the unknown members differ:\n%s", d)
	}
}

func TestManyShiftsAreReportedTogether(t *testing.T) {
	e := read(t, replayed(func(f *evidence.DriftSensitivity) {
		for i := range 600 {
			x := drift.Shift{Kind: drift.ShiftBias, Feature: "age", Size: float64(i + 1)}
			f.Detections = append(f.Detections, drift.Detection{Shift: x, Trials: drift.Trials{Windows: 20, Breaches: 20}})
		}
	}))
	counted(t, metric(t, e, "detection_rate"), 45+600*20, 603*20)
	if len(e.Metrics) != 2 {
		t.Errorf("there are %d metrics, want 2", len(e.Metrics))
	}
	warned(t, e, "could not decide", "603 shifts")
}

// The interval of overlapping windows holds the rate that it is of: windows of a
// sample whose values are above a limit in more than half of the rows.
func TestIntervalOfOverlappingWindowsCovers(t *testing.T) {
	const samples, rows, window, windows = 400, 60, 20, 30
	covered, narrow := 0, 0
	truth := binomialAbove(window, 0.5, window/2)
	for k := range samples {
		rng := rand.New(rand.NewPCG(7, uint64(k)))
		values := make([]bool, rows)
		for i := range values {
			values[i] = rng.Float64() < 0.5
		}
		hits := 0
		for range windows {
			above := 0
			for _, i := range rng.Perm(rows)[:window] {
				if values[i] {
					above++
				}
			}
			if above > window/2 {
				hits++
			}
		}
		e := read(t, replayed(func(f *evidence.DriftSensitivity) {
			f.HeldBack.Rows, f.Replay.Window, f.Replay.Repeats, f.Disjoint = rows, window, windows, false
			f.FalseAlarms, f.Detections = drift.Trials{Windows: windows, Breaches: hits}, nil
		}))
		m := metric(t, e, "false_alarm_rate")
		if *m.Computed.Lower95 <= truth && truth <= *m.Computed.Upper95 {
			covered++
		}
		if statistics.Wilson(hits, windows, 0.95).Contains(truth) {
			narrow++
		}
	}
	t.Logf("the truth is %.3f; covered %d of %d, by Wilson over all windows %d", truth, covered, samples, narrow)
	if covered < samples*95/100 {
		t.Errorf("95 %% intervals cover %d of %d times", covered, samples)
	}
	if narrow > samples*80/100 {
		t.Errorf("Wilson over all windows covers %d of %d times: the test shows nothing", narrow, samples)
	}
}

func binomialAbove(n int, p float64, k int) float64 {
	sum := 0.0
	for i := k + 1; i <= n; i++ {
		a, _ := math.Lgamma(float64(n + 1))
		b, _ := math.Lgamma(float64(i + 1))
		c, _ := math.Lgamma(float64(n - i + 1))
		sum += math.Exp(a - b - c + float64(i)*math.Log(p) + float64(n-i)*math.Log(1-p))
	}
	return sum
}

func TestNameOfShift(t *testing.T) {
	names := map[string]drift.Shift{
		"mean:age:0.5": halfSD, "missing:age:0.05": gone, "swap:colour:red:blue": swapped,
		"swap:colour:red:blue:0.25": {Kind: drift.ShiftSwap, Feature: "colour", Size: 0.25, From: "red", To: "blue"},
		"bias:age:-1e-09":           {Kind: drift.ShiftBias, Feature: "age", Size: -1e-9},
	}
	for name, x := range names {
		if got := evidence.NameOfShift(x); got != name {
			t.Errorf("%+v is called %q, want %q", x, got, name)
		}
	}
}
