package probe_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/probe"
)

// model answers at random. One prompt in three always has the same answer, as at temperature 0.
type model struct {
	name, system string
	// odd is how often another prompt is answered in another way than its usual one.
	odd float64
	// shifted is how many prompts are answered wrongly by a new model, and how often; 0 is always.
	shifted int
	often   float64
	// heat is the temperature of answers of ten words, which are all unlike; 0 is none of them.
	heat float64
}

var usual = model{name: "chat-2", system: "fp_1", odd: 0.2}

// suiteOf has some prompts, each asked some times and four times as often for the baseline.
func suiteOf(t testing.TB, prompts, repeats int, falseAlarm float64) *probe.Suite {
	t.Helper()
	var text strings.Builder
	fmt.Fprintf(&text, "apiVersion: imprimatur/v1\nkind: ProbeSuite\nname: quiet\nrepeats: %d\nfalseAlarm: %v\nprompts:\n", repeats, falseAlarm)
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
	switch {
	case prompt < m.shifted && (m.often == 0 || r.Float64() < m.often):
		a.Text = "it is otherwise now"
	case prompt%3 == 0:
	case m.heat > 0:
		a.Text = m.words(r, prompt)
	case r.Float64() < m.odd:
		a.Text = []string{"answer two of the three words", "no answer", "answer one of the two words, and more beside"}[r.IntN(3)]
	}
	return a
}

// words are ten, each one of five by weights of the prompt's own, which heat makes more alike.
func (m model) words(r *rand.Rand, prompt int) string {
	own := rand.New(rand.NewPCG(uint64(prompt), 3))
	out := []string{"answer"}
	for place := range 10 {
		var weights [5]float64
		sum := 0.0
		for i := range weights {
			weights[i] = math.Exp(1.5 * own.NormFloat64() / m.heat)
			sum += weights[i]
		}
		i, at := 0, r.Float64()*sum
		for ; i < len(weights)-1 && at >= weights[i]; i++ {
			at -= weights[i]
		}
		out = append(out, fmt.Sprintf("w%d%d", place, i))
	}
	return strings.Join(out, " ")
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

// firstSeen says in which round after a change it was seen, or 0: the rounds before the change were quiet.
func firstSeen(s *probe.Suite, was, is model, rounds int, r *rand.Rand) int {
	base := was.run(s, r, s.Baseline)
	var before []*probe.Run
	for range s.Rounds - 1 {
		before = append(before, was.run(s, r, s.Repeats))
	}
	for round := range rounds {
		run := is.run(s, r, s.Repeats)
		if probe.Compare(s, base, before, run).Result == probe.Changed {
			return round + 1
		}
		if len(before) > 0 {
			before = append(before[1:], run)
		}
	}
	return 0
}

// within counts the changes that were seen by the first round, the fourth, the eighth and the sixteenth.
func within(s *probe.Suite, was, is model, trials int) (seen [4]int) {
	r := rand.New(rand.NewPCG(11, uint64(len(s.Prompts))))
	for range trials {
		at := firstSeen(s, was, is, 16, r)
		for i, by := range []int{1, 4, 8, 16} {
			if at > 0 && at <= by {
				seen[i]++
			}
		}
	}
	return seen
}

// TestPower prints how many changes in a hundred are seen by the size of the change, prompts, answers and rate of false alarms. The whole
// table is printed where IMPRIMATUR_LONG is set; else two of its rows are held.
func TestPower(t *testing.T) {
	changes := []struct {
		what    string
		was, is model
	}{
		{"other answers 0.2 to 0.25", usual, model{odd: 0.25}},
		{"other answers 0.2 to 0.3", usual, model{odd: 0.3}},
		{"other answers 0.2 to 0.35", usual, model{odd: 0.35}},
		{"other answers 0.2 to 0.4", usual, model{odd: 0.4}},
		{"other answers 0.2 to 0.5", usual, model{odd: 0.5}},
		{"temperature 0.7 to 0.8", model{heat: 0.7}, model{heat: 0.8}},
		{"temperature 0.7 to 1", model{heat: 0.7}, model{heat: 1}},
		{"2 prompts wrong in 0.5", usual, model{odd: 0.2, shifted: 2, often: 0.5}},
		{"all prompts wrong in 0.05", usual, model{odd: 0.2, shifted: 500, often: 0.05}},
	}
	row := func(prompts, repeats int, alarm float64, change, trials int) [4]int {
		c := changes[change]
		c.was.name, c.is.name, c.was.system, c.is.system = "chat-2", "chat-2", "", ""
		seen := within(suiteOf(t, prompts, repeats, alarm), c.was, c.is, trials)
		for i := range seen {
			seen[i] = 100 * seen[i] / trials
		}
		t.Logf("| %d | %d | %v | %s | %d | %d | %d | %d |", prompts, repeats, alarm, c.what, seen[0], seen[1], seen[2], seen[3])
		return seen
	}
	if os.Getenv("IMPRIMATUR_LONG") == "" {
		if seen := row(100, 5, 0.001, 1, 10); seen[2] < 90 {
			t.Errorf("of slight changes of 100 prompts %d in 100 are seen within eight rounds", seen[2])
		}
		if seen := row(30, 5, 0.001, 2, 10); seen[2] < 80 {
			t.Errorf("of slight changes of 30 prompts %d in 100 are seen within eight rounds", seen[2])
		}
		return
	}
	for _, repeats := range []int{5, 20} {
		for _, alarm := range []float64{0.001, 0.01} {
			for _, prompts := range []int{30, 100} {
				for change := range changes {
					row(prompts, repeats, alarm, change, 20)
				}
			}
		}
	}
}
