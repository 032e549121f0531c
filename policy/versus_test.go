package policy

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"imprimatur.dev/record"
	"imprimatur.dev/statistics"
)

// outcomesOf sets a metric's outcomes from letters, one an item: 1 is a success.
func outcomesOf(x *record.Evaluation, letters string) {
	m, s := &x.Metrics[0], 0
	m.Outcomes = make([]byte, (len(letters)+7)/8)
	for i, c := range letters {
		if c == '1' {
			m.Outcomes[i/8] |= 1 << (i % 8)
			s++
		}
	}
	counts(m, s, len(letters))
	x.Items = &record.Items{Set: exampleDigest("items"), N: len(letters)}
}

// pairsOf gives the release and production outcomes on the same 1000 items:
// both are right but for those that were lost and gained.
func pairsOf(d *record.Dossier, lost, gained int) {
	rest := strings.Repeat("1", 1000-lost-gained)
	outcomesOf(&d.Evaluations[0].Record, strings.Repeat("0", lost)+strings.Repeat("1", gained)+rest)
	outcomesOf(&d.Baselines[0].Evaluations[0].Record, strings.Repeat("1", lost)+strings.Repeat("0", gained)+rest)
}

const comparing = "require: lower95 >= 0.5, versusProduction: { noWorseThan: 0.02 }"

const versusGate = "accuracy/holdout/accuracy/versus-production"

func TestPairedComparison(t *testing.T) {
	for _, c := range []struct {
		lost, gained int
		regressions  string
		want         record.Result
		reason       string
	}{
		{0, 0, "", record.Pass, "of 1000 items it lost 0 and gained 0"},
		{20, 30, "", record.Pass, "the difference of accuracy is 0.01, between"},
		{30, 30, "", record.Pass, "item by item"},
		{60, 60, "", record.Inconclusive, "more samples can tell"},
		{60, 20, "", record.Fail, "Worse than production by more than 0.02"},
		// Within the margin, and yet 12 more were lost than chance explains.
		{13, 1, "", record.Inconclusive, "more samples can tell"},
		{9, 0, "", record.Pass, "Not worse than production by more than 0.02"},
		{9, 0, ", regressions: 0.05", record.Fail, "It regresses against production: of 1000 items it lost 9 and gained 0, which chance explains with p = 0.003906"},
		{9, 3, ", regressions: 0.05", record.Pass, "exact McNemar p = 0.146"},
		{0, 9, ", regressions: 0.05", record.Pass, "it lost 0 and gained 9"},
	} {
		p := mustLoad(t, minimal(strings.Replace(comparing, " }", c.regressions+" }", 1)))
		d := p.Example("high", noon)
		pairsOf(d, c.lost, c.gained)
		g := gateOf(t, p.Evaluate(d, noon), versusGate)
		if g.Result != c.want || !strings.Contains(g.Reason, c.reason) {
			t.Errorf("lost %d, gained %d%s: %s: %s", c.lost, c.gained, c.regressions, g.Result, g.Reason)
		}
		n := g.Numbers
		test, span := statistics.NonInferiority(c.lost, c.gained, 1000, 0.02), statistics.Tango(c.lost, c.gained, 1000, 0.95)
		want := record.Pairs{N: 1000, Lost: c.lost, Gained: c.gained, P: test.P, McNemar: statistics.McNemarExact(c.lost, c.gained)}
		if *n.Pairs != want || n.Method != methodTango || *n.Lower != span.Lower || *n.Upper != span.Upper || n.Level != 0.95 || n.Unpaired != "" {
			t.Errorf("lost %d, gained %d: %+v %+v", c.lost, c.gained, n, *n.Pairs)
		}
		if n.Statistic != record.StatDifference || n.Operator != record.NoWorseThan || n.Threshold != 0.02 || *n.Production == 0 || !strings.HasPrefix(n.Against, "production r-") {
			t.Errorf("%+v", n)
		}
		// The interval is inside the margin exactly where the test rejects.
		if (g.Result == record.Pass) != (test.P <= 0.025) && c.regressions == "" {
			t.Errorf("lost %d, gained %d: %s with p = %v", c.lost, c.gained, g.Result, test.P)
		}
	}
}

// Where less is better, an item that only this release lets pass is lost.
func TestPairedComparisonWhereLessIsBetter(t *testing.T) {
	p := mustLoad(t, minimal("require: upper95 <= 0.2, versusProduction: { noWorseThan: 0.02 }"))
	for _, c := range []struct {
		hits, hitsBefore int
		want             record.Result
	}{{0, 20, record.Pass}, {60, 0, record.Fail}} {
		d := p.Example("high", noon)
		outcomesOf(&d.Evaluations[0].Record, strings.Repeat("1", c.hits)+strings.Repeat("0", 1000-c.hits))
		outcomesOf(&d.Baselines[0].Evaluations[0].Record, strings.Repeat("0", 1000-c.hitsBefore)+strings.Repeat("1", c.hitsBefore))
		g := gateOf(t, p.Evaluate(d, noon), versusGate)
		n := g.Numbers
		d0 := float64(c.hits-c.hitsBefore) / 1000
		if g.Result != c.want || n.Pairs.Lost != c.hits || n.Pairs.Gained != c.hitsBefore || *n.Lower > d0 || *n.Upper < d0 {
			t.Errorf("%d hits after %d: %s %+v %+v: %s", c.hits, c.hitsBefore, g.Result, n, n.Pairs, g.Reason)
		}
	}
}

func TestWhatCannotBePaired(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(is, was *record.Evaluation)
		why    string
	}{
		{"no items", func(is, _ *record.Evaluation) { is.Items = nil }, "one of the evaluations has no items"},
		{"other items", func(is, _ *record.Evaluation) { is.Items.Set = exampleDigest("x") }, "the items are not those of production"},
		{"another version of the suite", func(_, was *record.Evaluation) { was.SuiteVersion = "0" }, "the suite has another version"},
		{"another definition of the suite", func(_, was *record.Evaluation) { was.Definition = exampleDigest("x") }, "the suite has another version"},
		{"another tool", func(_, was *record.Evaluation) { was.Tool.Name = "other" }, "the tool is example 1, and was other 1 for production"},
		{"another version of the tool", func(is, _ *record.Evaluation) { is.Tool.Version = "2" }, "the tool is example 2, and was example 1 for production"},
		{"other settings", func(is, _ *record.Evaluation) { is.Settings = map[string]string{"shots": "5"} }, "the settings are not those of production"},
		{"another judge", func(is, _ *record.Evaluation) { is.Judges = []record.Judge{{Model: "another"}} }, "the judges are not those of production"},
		{"dependent items", func(is, was *record.Evaluation) {
			is.Items.Clusters = 20
			for _, x := range []*record.Evaluation{is, was} {
				x.Metrics[0].Clusters, x.Metrics[0].Computed = 20, &record.Uncertainty{Method: "cluster-robust", StdErr: ptr(0.001)}
			}
		}, "the items depend on each other, in clusters"},
		{"no outcomes", func(_, was *record.Evaluation) { was.Metrics[0].Outcomes = nil }, "the outcome of every item is not known for both"},
		{"not every item scored", func(is, _ *record.Evaluation) {
			is.Metrics[0].N, is.Metrics[0].Successes, is.Metrics[0].Value = 999, ptr(999), 1
		}, "the outcome of every item is not known for both"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := mustLoad(t, minimal(comparing))
			d := p.Example("high", noon)
			pairsOf(d, 0, 0)
			c.change(&d.Evaluations[0].Record, &d.Baselines[0].Evaluations[0].Record)
			g := gateOf(t, p.Evaluate(d, noon), versusGate)
			if n := g.Numbers; g.Result != record.Pass || n.Pairs != nil || !strings.HasPrefix(n.Unpaired, c.why) || !strings.Contains(g.Reason, "not paired, for "+c.why) {
				t.Errorf("%s: %s", g.Result, g.Reason)
			}
			p = mustLoad(t, minimal(strings.Replace(comparing, " }", ", regressions: 0.05 }", 1)))
			if g := gateOf(t, p.Evaluate(d, noon), versusGate); g.Result != record.Inconclusive || !strings.Contains(g.Reason, "Regressions are counted item by item") {
				t.Errorf("regressions: %s: %s", g.Result, g.Reason)
			}
			d.Evaluations[0].Record.Dataset = exampleDigest("fresh set")
			if g := gateOf(t, p.Evaluate(d, noon), versusGate); g.Result != record.Inconclusive || !strings.Contains(g.Reason, "not comparable") {
				t.Errorf("other data too: %s: %s", g.Result, g.Reason)
			}
		})
	}
}

// The same names of items in other data are other items, and a bit beyond the
// last item is none.
func TestPairsAreOfTheSameData(t *testing.T) {
	p := mustLoad(t, minimal(comparing))
	d := p.Example("high", noon)
	pairsOf(d, 0, 0)
	d.Evaluations[0].Record.Dataset = exampleDigest("x")
	expect(t, p, d, versusGate, record.Inconclusive, "not comparable: production was evaluated on the dataset")
	d = p.Example("high", noon)
	outcomesOf(&d.Evaluations[0].Record, strings.Repeat("1", 998)+"0")
	outcomesOf(&d.Baselines[0].Evaluations[0].Record, strings.Repeat("1", 999))
	expect(t, p, d, versusGate, record.Pass, "of 999 items it lost 1 and gained 0")
	m := metricOf(d, "holdout")
	m.Outcomes[124] ^= 1<<5 | 1<<7 // of item 997, and of none
	expect(t, p, d, versusGate, record.Pass, "the outcome of every item is not known for both")
}

// Counting discordant pairs by bits gives what looking at each item gives.
func TestPairedCountingIsCountingEveryItem(t *testing.T) {
	p := mustLoad(t, minimal(comparing))
	rapid.Check(t, func(t *rapid.T) {
		is := rapid.SliceOfN(rapid.Bool(), 1, 300).Draw(t, "is")
		was := rapid.SliceOfN(rapid.Bool(), len(is), len(is)).Draw(t, "was")
		var a, b strings.Builder
		lost, gained := 0, 0
		for i := range is {
			a.WriteByte("01"[one(is[i])])
			b.WriteByte("01"[one(was[i])])
			lost += one(was[i] && !is[i])
			gained += one(is[i] && !was[i])
		}
		d := p.Example("high", noon)
		outcomesOf(&d.Evaluations[0].Record, a.String())
		outcomesOf(&d.Baselines[0].Evaluations[0].Record, b.String())
		v := p.Evaluate(d, noon)
		for _, g := range v.Gates {
			if n := g.Numbers; g.Name == versusGate && (n.Pairs == nil || n.Pairs.N != len(is) || n.Pairs.Lost != lost || n.Pairs.Gained != gained) {
				t.Fatalf("of %d, %d lost and %d gained: %+v", len(is), lost, gained, n.Pairs)
			}
		}
	})
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestFirstReleaseIsComparedWithTheAnchor(t *testing.T) {
	anchored := func(d *record.Dossier) *record.Recorded[record.Evaluation] { return &d.Anchor.Evaluations[0] }
	for _, c := range []struct {
		name   string
		change func(d *record.Dossier)
		want   record.Result
		reason string
	}{
		{"no worse", func(*record.Dossier) {}, record.Pass, "Not worse than the anchor by more than 0.02"},
		{"item by item", func(d *record.Dossier) {
			outcomesOf(&d.Evaluations[0].Record, strings.Repeat("1", 500))
			outcomesOf(&anchored(d).Record, strings.Repeat("1", 499)+"0")
		}, record.Pass, "of 500 items it lost 0 and gained 1"},
		{"worse", func(d *record.Dossier) { counts(&anchored(d).Record.Metrics[0], 99_000, 100_000) }, record.Fail, "Worse than the anchor"},
		{"none named", func(d *record.Dossier) { d.Anchor = nil }, record.Missing, "Name the model that it must not be worse than as the use case's anchor"},
		{"itself", func(d *record.Dossier) { d.Anchor.Artifact = d.Release.Record.Behaviour.Artifact }, record.Invalid, "a comparison with itself shows nothing"},
		{"not evaluated", func(d *record.Dossier) { d.Anchor.Evaluations = nil }, record.Inconclusive, "has no complete evaluation"},
		{"evaluated by the trainer", func(d *record.Dossier) { anchored(d).Actor = "tess" }, record.Inconclusive, "has no complete evaluation"},
		{"evaluated by somebody's word", func(d *record.Dossier) { anchored(d).Record.Assurance = record.Claimed }, record.Inconclusive, "has no complete evaluation"},
		{"evaluated incompletely", func(d *record.Dossier) { anchored(d).Record.Incomplete = "stopped" }, record.Inconclusive, "has no complete evaluation"},
		{"evaluated on other data", func(d *record.Dossier) { anchored(d).Record.Dataset = exampleDigest("x") }, record.Inconclusive, "has no complete evaluation"},
		{"an evaluation of something else", func(d *record.Dossier) { anchored(d).Record.Artifact = exampleDigest("x") }, record.Inconclusive, "has no complete evaluation"},
		{"an evaluation that contradicts itself", func(d *record.Dossier) { anchored(d).Record.Metrics[0].Value = 0.1 }, record.Inconclusive, "of the anchor"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := mustLoad(t, minimal(comparing))
			d := p.Example("high", noon)
			firstRelease(d)
			c.change(d)
			v := p.Evaluate(d, noon)
			g := gateOf(t, v, versusGate)
			if g.Result != c.want || !strings.Contains(g.Reason, c.reason) {
				t.Errorf("%s: %s", g.Result, g.Reason)
			}
			if g.Result != record.Pass && (len(g.Who) == 0 || g.Do == "" || v.Passed) {
				t.Errorf("nobody is told what to do: %+v", g)
			}
			if c.want == record.Pass && !strings.HasPrefix(g.Numbers.Against, "anchor ") {
				t.Errorf("%+v", g.Numbers)
			}
			if fmt.Sprint(v.Marks) != "["+MarkNoIndependent+"]" && fmt.Sprint(v.Marks) != "["+MarkFirst+" "+MarkNoIndependent+"]" {
				t.Errorf("marks %v", v.Marks)
			}
		})
	}
}

func TestFirstReleaseApartIsToldApart(t *testing.T) {
	p := mustLoad(t, minimal(strings.Replace(comparing, " }", ", first: apart }", 1)))
	d := p.Example("high", noon)
	if v := p.Evaluate(d, noon); !v.Passed || strings.Contains(strings.Join(v.Marks, ","), "compared") {
		t.Errorf("with production: %v", v.Marks)
	}
	suspendProduction(d)
	if v := p.Evaluate(d, noon); !v.Passed || v.Marks[0] != "compared with nothing" {
		t.Errorf("with production suspended: %v", v.Marks)
	}
	firstRelease(d)
	v := p.Evaluate(d, noon)
	if g := gateOf(t, v, versusGate); !v.Passed || v.Marks[0] != "first release: compared with nothing" || !strings.Contains(g.Reason, "told apart") {
		t.Errorf("%v: %s", v.Marks, g.Reason)
	}
	d.Evaluations[0].Record.Attempt, d.Evaluations[0].Record.Incomplete = 1, "stopped"
	if v := p.Evaluate(d, noon); v.Passed {
		t.Error("told apart, and nothing of its own to show")
	}
}

// A fresh held-out set is judged against production on that set, which its own
// release could not name.
func TestProductionIsEvaluatedOnTheFreshSet(t *testing.T) {
	p := mustLoad(t, minimal(comparing))
	d := p.Example("high", noon)
	fresh := exampleDigest("fresh set")
	d.Evaluations[0].Record.Dataset = fresh
	expect(t, p, d, versusGate, record.Inconclusive, "not comparable")
	again := d.Baselines[0].Evaluations[0]
	again.Digest, again.Record.Dataset, again.Record.Ran = exampleDigest("again"), fresh, noon.Add(-time.Hour)
	d.Baselines[0].Others = []record.Recorded[record.Evaluation]{again}
	expect(t, p, d, versusGate, record.Pass, "Not worse than production")
	for _, change := range []func(x *record.Recorded[record.Evaluation]){
		func(x *record.Recorded[record.Evaluation]) { x.Actor = "tess" },
		func(x *record.Recorded[record.Evaluation]) { x.Record.Assurance = record.Claimed },
		func(x *record.Recorded[record.Evaluation]) { x.Record.Ran = noon.Add(time.Hour) },
	} {
		mine := again
		change(&mine)
		d.Baselines[0].Others[0] = mine
		expect(t, p, d, versusGate, record.Inconclusive, "not comparable")
	}
	// What its own release names goes before what came later.
	d.Evaluations[0].Record.Dataset = d.Baselines[0].Evaluations[0].Record.Dataset
	again.Record.Dataset = d.Evaluations[0].Record.Dataset
	again.Record.Metrics = []record.Metric{{Name: "accuracy"}}
	counts(&again.Record.Metrics[0], 100, 1000)
	d.Baselines[0].Others[0] = again
	g := gateOf(t, p.Evaluate(d, noon), versusGate)
	if math.Abs(*g.Numbers.Production-0.5) > 1e-9 {
		t.Errorf("production is taken to be %v", *g.Numbers.Production)
	}
	// So does what was known when the release was proposed.
	d.Evaluations[0].Record.Dataset, again.Record.Dataset, again.Index = fresh, fresh, d.Release.Index-1
	later := again
	later.Index, later.Record.Ran, later.Record.Metrics = d.Release.Index+1, noon, []record.Metric{{Name: "accuracy"}}
	counts(&later.Record.Metrics[0], 999, 1000)
	d.Baselines[0].Others = []record.Recorded[record.Evaluation]{again, later}
	if g := gateOf(t, p.Evaluate(d, noon), versusGate); *g.Numbers.Production != 0.1 {
		t.Errorf("production is taken to be %v", *g.Numbers.Production)
	}
}
