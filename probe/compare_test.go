package probe_test

import (
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"imprimatur.dev/probe"
)

// rounds counts the alarms of some rounds, each judged by itself and with those before it, against a baseline that is made anew each
// so many rounds.
func rounds(s *probe.Suite, now model, n, fresh int, seed uint64) (alarms int, ps []float64) {
	r := rand.New(rand.NewPCG(seed, 7))
	var base *probe.Run
	var before []*probe.Run
	for i := range n {
		if i%fresh == 0 {
			base, before = usual.run(s, r, s.Baseline), nil
			for range s.Rounds - 1 {
				before = append(before, usual.run(s, r, s.Repeats))
			}
		}
		run := now.run(s, r, s.Repeats)
		f := probe.Compare(s, base, before, run)
		before = append(before[1:], run)
		if ps = append(ps, f.P); f.Result == probe.Changed {
			alarms++
		}
	}
	return alarms, ps
}

func TestQuietRoundsKeepTheRateOfFalseAlarms(t *testing.T) {
	prompts := 30
	if os.Getenv("IMPRIMATUR_LONG") != "" {
		prompts = 100
	}
	s := suiteOf(t, prompts, 5, 0.001)
	alarms, ps := rounds(s, usual, 1000, 1, 1)
	// One is expected; six or more has a chance of 6 in 10,000 at the stated rate.
	if alarms > 5 {
		t.Errorf("%d false alarms in 1,000 quiet rounds at a rate of 0.001", alarms)
	}
	// The p-values are those of a test of any level: 50 are expected at 0.05, and more than 75 has a chance of 3 in 10,000.
	small := 0
	for _, p := range ps {
		if p <= 0.05 {
			small++
		}
	}
	if small > 75 || small == 0 {
		t.Errorf("%d of 1,000 quiet rounds have p of at most 0.05", small)
	}
	t.Logf("%d prompts: %d false alarms in 1,000 rounds at 0.001, %d with p of at most 0.05", prompts, alarms, small)
}

// One baseline is used for long: an unlucky one is unlucky in every round.
func TestQuietRoundsAgainstOneBaseline(t *testing.T) {
	s := suiteOf(t, 30, 5, 0.01)
	var counts []int
	for seed := range uint64(5) {
		alarms, _ := rounds(s, usual, 100, 100, 100+seed)
		counts = append(counts, alarms)
	}
	sum := 0
	for _, n := range counts {
		sum += n
	}
	t.Logf("false alarms of five baselines with 100 rounds each, at 0.01: %v", counts)
	if sum > 20 {
		t.Errorf("%v false alarms of five baselines with 100 rounds each at a rate of 0.01, where 5 are expected", counts)
	}
}

func TestChangesAreSeen(t *testing.T) {
	s := suiteOf(t, 30, 5, 0.001)
	for name, c := range map[string]struct {
		now   model
		least int // of 20 rounds
		says  string
	}{
		"another name":        {model{name: "chat-3", system: "fp_1", odd: 0.2}, 20, `it calls itself "chat-3", and called itself "chat-2"`},
		"another fingerprint": {model{name: "chat-2", system: "fp_2", odd: 0.2}, 20, `its system says the fingerprint "fp_2", and said "fp_1"`},
		"one prompt shifted":  {model{name: "chat-2", system: "fp_1", odd: 0.2, shifted: 1}, 20, "its answers moved"},
		"noisier":             {model{name: "chat-2", system: "fp_1", odd: 0.6}, 18, "its answers moved"},
	} {
		r, seen := rand.New(rand.NewPCG(3, 9)), 0
		for range 20 {
			f := probe.Compare(s, usual.run(s, r, s.Baseline), nil, c.now.run(s, r, s.Repeats))
			if f.Result == probe.Changed && strings.Contains(f.Detail, c.says) {
				seen++
			}
		}
		if seen < c.least {
			t.Errorf("%s: seen in %d of 20 rounds", name, seen)
		}
		t.Logf("%s: seen in %d of 20 rounds", name, seen)
	}
}

func TestWhatMovedIsNamed(t *testing.T) {
	s := suiteOf(t, 30, 5, 0.001)
	r := rand.New(rand.NewPCG(5, 5))
	base, now := usual.run(s, r, s.Baseline), model{name: "chat-2", system: "fp_1", odd: 0.2, shifted: 1}.run(s, r, s.Repeats)
	f := probe.Compare(s, base, nil, now)
	m := f.Moved[0]
	if m.ID != "p0" || m.P > 0.001 || m.PassedBefore != 20 || m.Before != 20 || m.PassedNow != 0 || m.Now != 5 || m.Share < 0.9 {
		t.Errorf("moved first: %+v", m)
	}
	if len(f.Moved) != 1 {
		t.Errorf("moved: %+v", f.Moved)
	}
	again := probe.Compare(s, base, nil, now)
	if again.P != f.P || again.Deals != f.Deals || !slices.Equal(again.Moved, f.Moved) {
		t.Error("the same comparison comes to something else")
	}
	if g := probe.Compare(s, base, nil, base); g.Result != probe.Same || g.P < 0.5 {
		t.Errorf("a run against itself: %+v", g)
	}
}

func TestRunsThatCannotBeCompared(t *testing.T) {
	s := suiteOf(t, 30, 5, 0.001)
	r := rand.New(rand.NewPCG(6, 6))
	base, now := usual.run(s, r, s.Baseline), usual.run(s, r, s.Repeats)
	for i := range 3 {
		now.Prompts[7].Answers[i] = probe.Answer{Error: "the gateway answers 403"}
	}
	if f := probe.Compare(s, base, nil, now); f.Result != probe.Incomplete || !strings.Contains(f.Detail, "1 of 30 prompts have fewer than half of 5 answers (p7): the gateway answers 403") {
		t.Errorf("%+v", f)
	}
	now.Prompts[7].Answers[0] = usual.answer(r, 7)
	if f := probe.Compare(s, base, nil, now); f.Result != probe.Same {
		t.Errorf("%+v", f)
	}
	// Another name is a change, however little was answered.
	for i := range now.Prompts[7].Answers {
		now.Prompts[7].Answers[i] = probe.Answer{Error: "x"}
	}
	now.Prompts[8].Answers[0].Model = "chat-3"
	if f := probe.Compare(s, base, nil, now); f.Result != probe.Changed {
		t.Errorf("%+v", f)
	}
}

func BenchmarkQuietRound100(b *testing.B) {
	s := suiteOf(b, 100, 5, 0.001)
	r := rand.New(rand.NewPCG(8, 8))
	base, now := usual.run(s, r, s.Baseline), usual.run(s, r, s.Repeats)
	for b.Loop() {
		probe.Compare(s, base, nil, now)
	}
}

func BenchmarkChangedRound100(b *testing.B) {
	s := suiteOf(b, 100, 5, 0.001)
	r := rand.New(rand.NewPCG(8, 8))
	base, now := usual.run(s, r, s.Baseline), model{name: "chat-2", system: "fp_1", odd: 0.6}.run(s, r, s.Repeats)
	for b.Loop() {
		probe.Compare(s, base, nil, now)
	}
}
