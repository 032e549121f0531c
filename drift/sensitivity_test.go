package drift

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
)

func (s *stream) sample(n int) Sample {
	return Sample{Columns: []Column{
		{Name: "f0", Source: Input, Numbers: s.numbers(0, n)},
		{Name: "f1", Source: Input, Numbers: s.numbers(1, n)},
		{Name: "answer", Source: Prediction, Labels: s.labels(n)},
	}}
}

func TestSensitivity(t *testing.T) {
	repeats := 20
	if long() {
		repeats = 200
	}
	s := newStream(5)
	reference, heldback := s.sample(5000), s.sample(1000*repeats)
	baseline, err := Capture(reference)
	if err != nil {
		t.Fatal(err)
	}
	shifts := append(KnownShifts(baseline),
		Shift{Kind: ShiftScale, Feature: "f0", Size: 2}, Shift{Kind: ShiftBias, Feature: "f0", Size: -0.7},
		Shift{Kind: ShiftMean, Feature: "f0", Size: 0.01})
	replay := Replay{Window: 1000, Repeats: repeats, Seed: "sha256:0123"}
	got, err := Sensitivity(reference, heldback, Defaults(), shifts, replay)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Disjoint || got.FalseAlarms.Windows != repeats || got.FalseAlarms.Breaches > repeats/20 || got.FalseAlarms.Inconclusive != 0 {
		t.Errorf("false alarms are %+v", got.FalseAlarms)
	}
	least := map[Shift]float64{
		{Kind: ShiftMean, Feature: "f0", Size: 0.25}:                      0.7,
		{Kind: ShiftMean, Feature: "f0", Size: 0.5}:                       1,
		{Kind: ShiftScale, Feature: "f0", Size: 2}:                        1,
		{Kind: ShiftBias, Feature: "f0", Size: -0.7}:                      1,
		{Kind: ShiftMissing, Feature: "f1", Size: 0.05}:                   0.9,
		{Kind: ShiftMissing, Feature: "answer", Size: 0.05}:               0.9,
		{Kind: ShiftSwap, Feature: "answer", Size: 1, From: "c0", To: ""}: 1,
	}
	for _, d := range got.Detections {
		key := d.Shift
		key.To = "" // whichever is the least frequent
		seen := rate(d.Trials.Breaches, d.Trials.Windows)
		t.Logf("%+v: seen in %.2f", d.Shift, seen)
		if want, ok := least[key]; ok && seen < want {
			t.Errorf("%+v is seen in %.2f of windows, want %.2f", d.Shift, seen, want)
		}
		delete(least, key)
		if d.Shift.Size == 0.01 && d.Trials.Breaches > 1 {
			t.Errorf("a shift of a hundredth is seen in %d windows", d.Trials.Breaches)
		}
	}
	if len(least) > 0 {
		t.Errorf("no detections of %v", least)
	}
}

// Anybody finds the same numbers from the same seed, and others from another.
func TestSensitivityIsReproducible(t *testing.T) {
	s := newStream(6)
	reference, heldback := s.sample(1000), s.sample(600)
	heldback.Columns[0], heldback.Columns[2] = heldback.Columns[2], heldback.Columns[0]
	run := func(seed string) string {
		shifts := []Shift{{Kind: ShiftMissing, Feature: "f0", Size: 0.05}, {Kind: ShiftMean, Feature: "f0", Size: 0.3}}
		f, err := Sensitivity(reference, heldback, Defaults(), shifts, Replay{Window: 400, Repeats: 25, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		if f.Disjoint {
			t.Error("25 windows of 400 in 600 rows are called disjoint")
		}
		raw, err := json.Marshal(f.Detections)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	first := run("a")
	if again := run("a"); again != first {
		t.Errorf("the same seed finds\n%s and\n%s", first, again)
	}
	if run("b") == first && run("c") == first {
		t.Error("three seeds find the same: the seed is not used")
	}
}

// Windows differ, so a drift at the edge of what can be seen is seen in some of
// them; and what another feature does is no detection.
func TestDetectionsAreOfTheShiftedFeature(t *testing.T) {
	column := func(name string, seed uint64, n int, shift float64) Column {
		return Column{Name: name, Source: Input, Numbers: normals(seed, n, shift, 1)}
	}
	reference := Sample{Columns: []Column{column("drifted", 1, 5000, 0), column("steady", 2, 5000, 0)}}
	heldback := Sample{Columns: []Column{column("drifted", 3, 4000, 0.31), column("steady", 4, 4000, 0)}}
	shifts := []Shift{{Kind: ShiftMean, Feature: "steady", Size: 0.001}}
	got, err := Sensitivity(reference, heldback, Defaults(), shifts, Replay{Window: 200, Repeats: 20, Seed: "s"})
	if err != nil {
		t.Fatal(err)
	}
	if b := got.FalseAlarms.Breaches; !got.Disjoint || b < 3 || b > 17 {
		t.Errorf("a drift at the edge of sight is seen in %d of 20 windows", b)
	}
	if got.Detections[0].Trials.Breaches > 0 {
		t.Errorf("the feature that hardly moved is seen in %d windows", got.Detections[0].Trials.Breaches)
	}
}

func TestApply(t *testing.T) {
	f := Feature{Name: "x", Kind: Numeric, Mean: 10, SD: 2}
	values := Column{Name: "x", Numbers: []float64{8, 10, math.NaN()}}
	words := Column{Name: "w", Labels: []string{"a", "b", "c", ""}}
	same := cmp.Comparer(func(a, b float64) bool { return a == b || a != a && b != b })
	for _, c := range []struct {
		shift  Shift
		before Column
		want   Column
	}{
		{Shift{Kind: ShiftMean, Size: 0.5}, values, Column{Name: "x", Numbers: []float64{9, 11, math.NaN()}}},
		{Shift{Kind: ShiftScale, Size: 3}, values, Column{Name: "x", Numbers: []float64{4, 10, math.NaN()}}},
		{Shift{Kind: ShiftBias, Size: -1}, values, Column{Name: "x", Numbers: []float64{7, 9, math.NaN()}}},
		{Shift{Kind: ShiftMissing, Size: 1}, values, Column{Name: "x", Numbers: slices.Repeat([]float64{math.NaN()}, 3)}},
		{Shift{Kind: ShiftMissing, Size: 1}, words, Column{Name: "w", Labels: []string{"", "", "", ""}}},
		{Shift{Kind: ShiftSwap, Size: 1, From: "a", To: "b"}, words, Column{Name: "w", Labels: []string{"b", "a", "c", ""}}},
	} {
		if diff := cmp.Diff(c.want, c.shift.Apply(f, c.before, "seed"), same); diff != "" {
			t.Errorf("%+v: %s", c.shift, diff)
		}
	}
	if values.Numbers[0] != 8 || words.Labels[0] != "a" {
		t.Error("a shift changed the sample it was given")
	}
	half := Shift{Kind: ShiftMissing, Size: 0.5}
	many := Column{Labels: slices.Repeat([]string{"a"}, 64)}
	if cmp.Equal(half.Apply(f, many, "seed"), half.Apply(f, many, "another")) {
		t.Error("two seeds hit the same rows")
	}
	missing := 0
	for _, v := range (Shift{Kind: ShiftMissing, Size: 0.05}).Apply(f, Column{Numbers: make([]float64, 10_000)}, "seed").Numbers {
		if v != v {
			missing++
		}
	}
	if missing < 430 || missing > 570 {
		t.Errorf("5 %% missing is %d of 10,000", missing)
	}
}

func TestSensitivityRefuses(t *testing.T) {
	s := newStream(8)
	reference, heldback := s.sample(300), s.sample(200)
	good := Replay{Window: 100, Repeats: 2, Seed: "x"}
	without := Sample{Columns: heldback.Columns[:2]}
	ragged := Sample{Columns: []Column{heldback.Columns[0], {Name: "f1", Numbers: []float64{1}}}}
	both := Sample{Columns: []Column{{Name: "f0", Numbers: []float64{1}, Labels: []string{"a"}}}}
	crossed := Sample{Columns: []Column{{Name: "f0", Labels: slices.Repeat([]string{"a"}, 200)}, heldback.Columns[1], heldback.Columns[2]}}
	for name, c := range map[string]struct {
		heldback Sample
		shift    Shift
		replay   Replay
	}{
		"no such feature":     {heldback, Shift{Kind: ShiftMean, Feature: "f9", Size: 1}, good},
		"no such shift":       {heldback, Shift{Kind: "twist", Feature: "f0", Size: 1}, good},
		"mean of a category":  {heldback, Shift{Kind: ShiftMean, Feature: "answer", Size: 1}, good},
		"swap of a number":    {heldback, Shift{Kind: ShiftSwap, Feature: "f0", Size: 1, From: "a", To: "b"}, good},
		"swap with itself":    {heldback, Shift{Kind: ShiftSwap, Feature: "answer", Size: 1, From: "a", To: "a"}, good},
		"more than all":       {heldback, Shift{Kind: ShiftMissing, Feature: "f0", Size: 1.1}, good},
		"not a size":          {heldback, Shift{Kind: ShiftBias, Feature: "f0", Size: math.Inf(1)}, good},
		"window too large":    {heldback, Shift{Kind: ShiftMean, Feature: "f0", Size: 1}, Replay{Window: 201, Repeats: 1}},
		"no windows":          {heldback, Shift{Kind: ShiftMean, Feature: "f0", Size: 1}, Replay{Window: 10}},
		"a column is missing": {without, Shift{Kind: ShiftMean, Feature: "f0", Size: 1}, good},
		"ragged":              {ragged, Shift{Kind: ShiftMean, Feature: "f0", Size: 1}, good},
		"both kinds":          {both, Shift{Kind: ShiftMean, Feature: "f0", Size: 1}, good},
		"the other kind":      {crossed, Shift{Kind: ShiftMean, Feature: "f0", Size: 1}, good},
		"empty":               {Sample{}, Shift{Kind: ShiftMean, Feature: "f0", Size: 1}, good},
	} {
		if _, err := Sensitivity(reference, c.heldback, Defaults(), []Shift{c.shift}, c.replay); !errors.Is(err, ErrSample) {
			t.Errorf("%s: error %v, want ErrSample", name, err)
		}
	}
	if _, err := Sensitivity(reference, heldback, Settings{}, nil, good); !errors.Is(err, ErrSettings) {
		t.Errorf("no settings: error %v, want ErrSettings", err)
	}
}
