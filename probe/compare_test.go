package probe_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/probe"
)

// model answers at random: to each prompt one of a few texts, by weights.
type model struct {
	name, system string
	// odd is how often a noisy prompt is answered in another way than its usual one.
	odd float64
	// shifted is how many prompts are answered wrongly by a new model.
	shifted int
}

// suiteOf has some prompts, each asked five times and twenty times for the baseline. One in three always has the same
// answer, as at temperature 0.
func suiteOf(t testing.TB, prompts int, falseAlarm float64) *probe.Suite {
	t.Helper()
	var text strings.Builder
	fmt.Fprintf(&text, "apiVersion: imprimatur/v1\nkind: ProbeSuite\nname: quiet\nrepeats: 5\nbaseline: 20\nfalseAlarm: %v\nprompts:\n", falseAlarm)
	for i := range prompts {
		fmt.Fprintf(&text, "  - { id: p%d, prompt: Question %d?, score: { regex: '^answer' } }\n", i, i)
	}
	s, err := probe.ParseSuite([]byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (m model) answer(r *rand.Rand, prompt int) probe.Answer {
	a := probe.Answer{Model: m.name, System: m.system, Text: "answer one of the two words"}
	odd := m.odd
	if prompt%3 == 0 {
		odd = 0
	}
	switch {
	case prompt < m.shifted:
		a.Text = "it is otherwise now"
	case r.Float64() < odd:
		a.Text = []string{"answer two of the three words", "no answer", "answer one of the two words, and more beside"}[r.IntN(3)]
	}
	return a
}

func (m model) run(s *probe.Suite, r *rand.Rand, repeats int) *probe.Run {
	at := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	out := &probe.Run{Suite: s.Digest, Vendor: "lab/parrot", Model: "chat-2", Started: at, Finished: at}
	for i, p := range s.Prompts {
		x := probe.Answered{ID: p.ID}
		for range repeats {
			x.Answers = append(x.Answers, m.answer(r, i))
		}
		out.Prompts = append(out.Prompts, x)
	}
	return out
}

var usual = model{name: "chat-2", system: "fp_1", odd: 0.2}

// rounds counts the alarms of some rounds, against a baseline that is made anew each so many rounds.
func rounds(s *probe.Suite, now model, n, fresh int, seed uint64) (alarms int, ps []float64) {
	r := rand.New(rand.NewPCG(seed, 7))
	var base *probe.Run
	for i := range n {
		if i%fresh == 0 {
			base = usual.run(s, r, s.Baseline)
		}
		f := probe.Compare(s, base, now.run(s, r, s.Repeats))
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
	s := suiteOf(t, prompts, 0.001)
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
	s := suiteOf(t, 30, 0.01)
	var counts []int
	for seed := range uint64(5) {
		alarms, _ := rounds(s, usual, 200, 200, 100+seed)
		counts = append(counts, alarms)
	}
	sum := 0
	for _, n := range counts {
		sum += n
	}
	t.Logf("false alarms of five baselines with 200 rounds each, at 0.01: %v", counts)
	if sum > 25 {
		t.Errorf("%v false alarms of five baselines with 200 rounds each at a rate of 0.01, where 10 are expected", counts)
	}
}

func TestChangesAreSeen(t *testing.T) {
	s := suiteOf(t, 30, 0.001)
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
			f := probe.Compare(s, usual.run(s, r, s.Baseline), c.now.run(s, r, s.Repeats))
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
	s := suiteOf(t, 30, 0.001)
	r := rand.New(rand.NewPCG(5, 5))
	base, now := usual.run(s, r, s.Baseline), model{name: "chat-2", system: "fp_1", odd: 0.2, shifted: 1}.run(s, r, s.Repeats)
	f := probe.Compare(s, base, now)
	m := f.Moved[0]
	if m.ID != "p0" || m.P > 0.001 || m.PassedBefore != 20 || m.Before != 20 || m.PassedNow != 0 || m.Now != 5 || m.Share < 0.9 {
		t.Errorf("moved first: %+v", m)
	}
	if m := f.Moved[1]; m.P < 0.05 {
		t.Errorf("moved second: %+v", m)
	}
	again := probe.Compare(s, base, now)
	if again.P != f.P || again.Deals != f.Deals || !slices.Equal(again.Moved, f.Moved) {
		t.Error("the same comparison comes to something else")
	}
	if g := probe.Compare(s, base, base); g.Result != probe.Same || g.P < 0.5 {
		t.Errorf("a run against itself: %+v", g)
	}
}

func TestRunsThatCannotBeCompared(t *testing.T) {
	s := suiteOf(t, 30, 0.001)
	r := rand.New(rand.NewPCG(6, 6))
	base, now := usual.run(s, r, s.Baseline), usual.run(s, r, s.Repeats)
	for i := range 3 {
		now.Prompts[7].Answers[i] = probe.Answer{Error: "the gateway answers 403"}
	}
	if f := probe.Compare(s, base, now); f.Result != probe.Incomplete || !strings.Contains(f.Detail, "1 of 30 prompts have fewer than half of 5 answers (p7): the gateway answers 403") {
		t.Errorf("%+v", f)
	}
	now.Prompts[7].Answers[0] = usual.answer(r, 7)
	if f := probe.Compare(s, base, now); f.Result != probe.Same {
		t.Errorf("%+v", f)
	}
	// Another name is a change, however little was answered.
	for i := range now.Prompts[7].Answers {
		now.Prompts[7].Answers[i] = probe.Answer{Error: "x"}
	}
	now.Prompts[8].Answers[0].Model = "chat-3"
	if f := probe.Compare(s, base, now); f.Result != probe.Changed {
		t.Errorf("%+v", f)
	}
}

func BenchmarkQuietRound100(b *testing.B) {
	s := suiteOf(b, 100, 0.001)
	r := rand.New(rand.NewPCG(8, 8))
	base, now := usual.run(s, r, s.Baseline), usual.run(s, r, s.Repeats)
	for b.Loop() {
		probe.Compare(s, base, now)
	}
}

func BenchmarkChangedRound100(b *testing.B) {
	s := suiteOf(b, 100, 0.001)
	r := rand.New(rand.NewPCG(8, 8))
	base, now := usual.run(s, r, s.Baseline), model{name: "chat-2", system: "fp_1", odd: 0.6}.run(s, r, s.Repeats)
	for b.Loop() {
		probe.Compare(s, base, now)
	}
}
