package drift

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Each kind of drift, planted in one feature, breaches the check that is for it
// and no other feature's.
func TestJudgeFindsWhatIsPlanted(t *testing.T) {
	s := newStream(42)
	f := s.frame(t, 4000)
	plant := func(feature int, change func(*Sketch)) *Sketch {
		w := s.window(f, 2000)
		if change != nil {
			c := f.columns[feature]
			clear(w.counts[c.at : c.at+c.width])
			change(w)
		}
		return w
	}
	if r := judge(t, f, plant(0, nil), Defaults()); r.Outcome != Steady {
		t.Errorf("without drift the window is %s: %+v", r.Outcome, r)
	}
	moved := newStream(43)
	moved.shift = 0.5
	for _, c := range []struct {
		name    string
		feature int
		measure Measure
		change  func(*Sketch)
	}{
		{"half a standard deviation", 0, Distribution, func(w *Sketch) { w.AddBatch(0, moved.numbers(0, 2000)) }},
		{"5 % missing more", 1, MissingRate, func(w *Sketch) { w.AddBatch(1, s.numbers(1, 1900)); w.AddMissing(1, 100) }},
		{"none missing any more", 2, MissingRate, func(w *Sketch) {
			w.AddBatch(2, slices.DeleteFunc(s.numbers(2, 2000), math.IsNaN))
		}},
		{"out of range", 0, OutsideRate, func(w *Sketch) {
			w.AddBatch(0, append(s.numbers(0, 1950), slices.Repeat([]float64{1e9, math.Inf(-1)}, 25)...))
		}},
		{"a new category", 3, UnseenRate, func(w *Sketch) {
			w.AddCategories(3, append(s.labels(1950), slices.Repeat([]string{"new"}, 50)...))
		}},
		{"another mixture", 3, Distribution, func(w *Sketch) {
			w.AddCategories(3, append(s.labels(1600), slices.Repeat([]string{"c3"}, 400)...))
		}},
	} {
		settings := Defaults()
		settings.MissingLimit = 0.01
		r := judge(t, f, plant(c.feature, c.change), settings)
		if r.Outcome != Breach {
			t.Errorf("%s: the window is %s", c.name, r.Outcome)
		}
		for i, feature := range r.Features {
			for _, check := range feature.Checks {
				planted := i == c.feature && check.Measure == c.measure
				if (check.Outcome == Breach) != planted {
					t.Errorf("%s: check %s of %s is %+v", c.name, check.Measure, feature.Name, check)
				}
			}
		}
	}
}

// What is significant but not material, or material but not significant, is
// steady; what is too few to tell is inconclusive.
func TestBothFloorAndLimit(t *testing.T) {
	f := frameOf(t, numbers(t, "x", normals(1, 50_000, 0, 1)))
	seed := uint64(1)
	check := func(n int, shift float64) Check {
		seed++
		w := f.NewSketch()
		w.AddBatch(0, normals(seed, n, shift, 1))
		return judge(t, f, w, Defaults()).Features[0].Checks[0]
	}
	if c := check(100_000, 0.1); c.Outcome != Steady || c.Adjusted > 1e-6 || c.Value > c.Limit || c.Value < c.Floor {
		t.Errorf("a tenth of a standard deviation in 100,000 rows is %+v", c)
	}
	above := 0
	for range 50 {
		c := check(60, 0)
		if c.Outcome != Steady || c.Value > c.Floor || c.Groups < 4 || c.Groups > 6 {
			t.Errorf("chance in 60 rows is %+v", c)
		}
		if c.Value > c.Limit {
			above++
		}
	}
	if above < 10 {
		t.Errorf("chance passes the limit in %d of 50 windows of 60 rows: the floor was not needed", above)
	}
	if c := check(1000, 0.5); c.Outcome != Breach || c.Value < c.Floor || c.Value < c.Limit {
		t.Errorf("half a standard deviation in 1,000 rows is %+v", c)
	}
	if c := check(49, 5); c.Outcome != Inconclusive || c.P != 1 || c.Adjusted != 1 {
		t.Errorf("49 rows are %+v", c)
	}
	empty := judge(t, f, f.NewSketch(), Defaults())
	if empty.Outcome != Inconclusive {
		t.Errorf("no rows at all are %s", empty.Outcome)
	}
	if _, err := json.Marshal(empty); err != nil {
		t.Errorf("a report of nothing has no JSON: %v", err)
	}
}

// A feature that is nearly always one value cannot be pooled into two groups
// that the approximation needs; the exact test takes over.
func TestNearlyConstantFeatures(t *testing.T) {
	values := make([]float64, 5000)
	values[0], values[1], values[2] = 1, 2, 3
	f := frameOf(t, numbers(t, "constant", make([]float64, 5000)), numbers(t, "nearly", values))
	for _, c := range []struct {
		ones int
		want Outcome
	}{{0, Steady}, {1, Steady}, {60, Breach}} {
		window := make([]float64, 300)
		for i := range c.ones {
			window[i] = 1
		}
		w := f.NewSketch()
		w.AddBatch(0, make([]float64, 300))
		w.AddBatch(1, window)
		r := judge(t, f, w, Defaults())
		psi := r.Features[1].Checks[0]
		if psi.Outcome != c.want || !psi.Exact || psi.Groups != 2 || psi.Floor != 0 {
			t.Errorf("%d values of 300 that are not 0: %+v, want %s by an exact test", c.ones, psi, c.want)
		}
		if c.ones < 2 && psi.P < 0.05 {
			t.Errorf("%d values of 300 against 3 of 5,000 have P %v", c.ones, psi.P)
		}
		if constant := r.Features[0]; constant.Outcome != Steady {
			t.Errorf("a constant that stays is %+v", constant)
		}
	}
	w := f.NewSketch()
	w.AddBatch(0, slices.Repeat([]float64{0.5}, 300))
	if r := judge(t, f, w, Defaults()); r.Features[0].Checks[2].Outcome != Breach {
		t.Errorf("a constant that moves is %+v", r.Features[0])
	}
}

// The floor counts the values that the PSI is of: neither missing nor unseen.
// Of unlisted categories one more is expected than were seen once.
func TestChecksOfCategories(t *testing.T) {
	words := func(a, b, missing, z int) []string {
		return slices.Concat(slices.Repeat([]string{"a"}, a), slices.Repeat([]string{"b"}, b),
			slices.Repeat([]string{""}, missing), slices.Repeat([]string{"z"}, z))
	}
	f := frameOf(t, labels(t, "x", words(300, 100, 77, 0)))
	w := f.NewSketch()
	w.AddCategories(0, words(80, 20, 20, 3))
	checks := judge(t, f, w, Defaults()).Features[0].Checks
	near := func(name string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-9 {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	near("PSI", checks[0].Value, (301./402-81./102)*math.Log(301./402/(81./102))+(101./402-21./102)*math.Log(101./402/(21./102)))
	near("floor", checks[0].Floor, PSIFloor(2, 400, 100, 0.01/3))
	near("rate of missing", checks[1].Value, 20./123-77./477)
	near("rate of unseen", checks[2].Value, 3./103)
	upper, _ := RateTest(1, 400, 3, 103)
	near("P of unseen", checks[2].P, upper)
}

func TestCorrections(t *testing.T) {
	run := func(correction Correction, ps ...float64) (adjusted, levels []float64) {
		decided := make([]*verdict, len(ps))
		for i, p := range ps {
			decided[i] = &verdict{&Check{P: p, Groups: 2}, 2, 2}
		}
		ordered := slices.Clone(decided)
		settings := Defaults()
		settings.Alpha, settings.Correction = 0.05, correction
		correct(ordered, settings)
		for _, v := range decided {
			adjusted = append(adjusted, v.Adjusted)
			levels = append(levels, psiP(v.Floor, 2, 2, 2))
		}
		return adjusted, levels
	}
	near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9 })
	adjusted, levels := run(Holm, 0.03, 0.01, 0.04, 0.005)
	if diff := cmp.Diff([]float64{0.06, 0.03, 0.06, 0.02}, adjusted, near); diff != "" {
		t.Error("Holm:", diff)
	}
	// 0.005 had to pass 0.05/4, 0.01 a third of it; 0.03 failed at the half.
	if diff := cmp.Diff([]float64{0.025, 0.05 / 3, 0.025, 0.0125}, levels, near); diff != "" {
		t.Error("levels of Holm:", diff)
	}
	adjusted, levels = run(BenjaminiHochberg, 0.03, 0.01, 0.9, 0.005)
	if diff := cmp.Diff([]float64{0.04, 0.02, 0.9, 0.02}, adjusted, near); diff != "" {
		t.Error("Benjamini-Hochberg:", diff)
	}
	if diff := cmp.Diff(slices.Repeat([]float64{0.05 * 3 / 4}, 4), levels, near); diff != "" {
		t.Error("levels of Benjamini-Hochberg:", diff)
	}
}

func TestJudgeRefuses(t *testing.T) {
	f := smallFrame(t)
	for name, spoil := range map[string]func(*Settings){
		"alpha": func(s *Settings) { s.Alpha = 0 }, "alpha NaN": func(s *Settings) { s.Alpha = math.NaN() },
		"correction": func(s *Settings) { s.Correction = "none" }, "count": func(s *Settings) { s.MinCount = 1 },
		"bins": func(s *Settings) { s.Bins = 1 }, "limit": func(s *Settings) { s.UnseenLimit = -1 },
		"need": func(s *Settings) { s.Need = 4 }, "of": func(s *Settings) { s.Of = maxWindows + 1 },
	} {
		s := Defaults()
		spoil(&s)
		if _, err := Judge(f, f.NewSketch(), s); !errors.Is(err, ErrSettings) {
			t.Errorf("%s: error %v, want ErrSettings", name, err)
		}
	}
	other := frameOf(t, numbers(t, "age", []float64{1, 2}))
	if _, err := Judge(f, other.NewSketch(), Defaults()); !errors.Is(err, ErrSketch) {
		t.Errorf("another baseline's sketch: error %v, want ErrSketch", err)
	}
}

func TestState(t *testing.T) {
	settings := Defaults() // two of three
	state := State{}
	for i, step := range []struct {
		window Outcome
		want   State
	}{
		{Breach, State{Recent: []Outcome{Breach}}},
		{Inconclusive, State{Recent: []Outcome{Breach}, Blind: 1}},
		{Steady, State{Recent: []Outcome{Breach, Steady}}},
		{Steady, State{Recent: []Outcome{Breach, Steady, Steady}}},
		{Breach, State{Recent: []Outcome{Steady, Steady, Breach}}},
		{Breach, State{Alarm: true}},
		{Steady, State{Alarm: true, Recent: []Outcome{Steady}}},
		{Breach, State{Alarm: true, Recent: []Outcome{Steady, Breach}}},
		{Inconclusive, State{Alarm: true, Recent: []Outcome{Steady, Breach}, Blind: 1}},
		{Steady, State{}},
	} {
		before, err := json.Marshal(state)
		if err != nil {
			t.Fatal(err)
		}
		next := state.Next(step.window, settings)
		if diff := cmp.Diff(step.want, next); diff != "" {
			t.Fatalf("step %d: %s", i, diff)
		}
		after, _ := json.Marshal(state)
		if string(before) != string(after) {
			t.Fatalf("step %d changed the state before it", i)
		}
		// What is stored and read back goes on in the same way.
		raw, _ := json.Marshal(next)
		state = State{}
		if err := json.Unmarshal(raw, &state); err != nil {
			t.Fatal(err)
		}
	}
}

// Two futures of one state do not write over each other.
func TestStateBranches(t *testing.T) {
	now := State{Recent: append(make([]Outcome, 0, 8), Steady)}
	settings := Defaults()
	breach := now.Next(Breach, settings)
	now.Next(Steady, settings)
	if diff := cmp.Diff([]Outcome{Steady, Breach}, breach.Recent); diff != "" {
		t.Error(diff)
	}
}

// Fewer than Need breaches raise no alarm, and Need in a row always do.
func TestStateProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		settings := Defaults()
		settings.Of = rapid.IntRange(1, 8).Draw(t, "of")
		settings.Need = rapid.IntRange(1, settings.Of).Draw(t, "need")
		state, breaches, row := State{}, 0, 0
		for _, o := range rapid.SliceOf(rapid.SampledFrom([]Outcome{Steady, Breach, Inconclusive})).Draw(t, "windows") {
			was := state.Alarm
			state = state.Next(o, settings)
			switch o {
			case Breach:
				breaches, row = breaches+1, row+1
			case Steady:
				row = 0
			}
			if state.Alarm && !was && breaches < settings.Need {
				t.Fatalf("an alarm after %d breaches, of which %d are needed", breaches, settings.Need)
			}
			if !state.Alarm && row >= settings.Need {
				t.Fatalf("no alarm after %d breaches in a row, of which %d are needed", row, settings.Need)
			}
			if state.Alarm != was && o == Inconclusive || len(state.Recent) > settings.Of {
				t.Fatalf("the state after %s is %+v", o, state)
			}
		}
	})
}

// BenchmarkJudge decides a window of 200 features.
func BenchmarkJudge(b *testing.B) {
	f := wideFrame(b, 200)
	w := f.NewSketch()
	rng := rand.New(rand.NewPCG(1, 1))
	values := make([]float64, 5000)
	for i := range f.columns {
		for k := range values {
			values[k] = rng.NormFloat64()
		}
		w.AddBatch(i, values)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Judge(f, w, Defaults()); err != nil {
			b.Fatal(err)
		}
	}
}
