package lineage_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/verify/verifytest"
)

// history is a ledger in memory, and a source of it.
type history struct {
	entries []lineage.Entry
	byKey   map[string][]lineage.Entry
}

func (h *history) Find(key string) ([]lineage.Entry, error) { return h.byKey[key], nil }

func (h *history) state(tb interface{ Fatal(...any) }, actor string, body record.Body) lineage.Entry {
	i := len(h.entries)
	s, err := record.New(actor, time.Date(2026, 5, 1, 9, 0, i, 0, time.UTC), body)
	if err != nil {
		tb.Fatal(err)
	}
	e := lineage.Entry{Index: int64(i), Digest: record.DigestOf([]byte(fmt.Sprint("statement ", i))), Statement: s}
	h.entries = append(h.entries, e)
	for _, k := range s.Keys() {
		h.byKey[k] = append(h.byKey[k], e)
	}
	return e
}

// Pools of names, small so that what is stated meets.
func data(i int) record.Digest  { return verifytest.Digest(fmt.Sprint("data ", i)) }
func model(i int) record.Digest { return verifytest.Digest(fmt.Sprint("model ", i)) }
func uri(i int) string {
	if i == 0 {
		return "no name of a source"
	}
	return fmt.Sprint("s3://lake/", i)
}

// tell states n things at random.
func tell(t *rapid.T, n int) *history {
	h := &history{byKey: map[string][]lineage.Entry{}}
	pick := func(label string) int { return rapid.IntRange(0, 4).Draw(t, label) }
	some := func(label string) []int { return rapid.SliceOfN(rapid.IntRange(0, 4), 0, 2).Draw(t, label) }
	for range n {
		switch rapid.IntRange(0, 6).Draw(t, "what") {
		case 0, 1:
			i := pick("data")
			d := record.Dataset{Team: "lab", Name: fmt.Sprint("d", i), Version: "1", Digest: data(i), Source: uri(pick("source")), Classification: "public", Owner: "bob"}
			for _, j := range some("derived") {
				if j != i {
					d.Derived = append(d.Derived, data(j))
				}
			}
			h.state(t, "bob", d)
		case 2, 3:
			now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
			r := record.Run{
				Team: "lab", ID: fmt.Sprint("run-", pick("run")), Code: record.Code{Repository: "https://git.example/x", Commit: verifytest.Digest("c").Hex()[:40]},
				Started: now, Finished: now, Outputs: []record.Resource{{Type: record.ResourceModel, Name: "m", Digest: model(pick("output"))}},
			}
			if rapid.Bool().Draw(t, "external") {
				r.External = fmt.Sprint("run-", pick("external run"))
			}
			r.Inputs = append(r.Inputs, record.Resource{Type: record.ResourceDataset, Name: "d", Digest: data(pick("input"))})
			for _, j := range some("bases") {
				r.Inputs = append(r.Inputs, record.Resource{Type: record.ResourceModel, Name: "m", Digest: model(j)})
			}
			h.state(t, "robot", r)
		case 4:
			i := pick("model")
			v := record.ModelVersion{Model: "lab/net", Version: fmt.Sprint(i), Type: record.Trained, Artifact: model(i), Files: []record.File{{Path: "m", SHA256: model(i).Hex()}}}
			for _, j := range some("version's bases") {
				if j != i {
					v.Bases = append(v.Bases, model(j))
				}
			}
			if rapid.Bool().Draw(t, "claims") {
				v.Run = fmt.Sprint("lab/run-", pick("claimed"))
			}
			h.state(t, "ann", v)
		default:
			e := record.LineageEvent{Digest: data(0), Type: record.LineageComplete, Time: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), Run: fmt.Sprint("run-", pick("events"))}
			e.Job = record.LineageName{Namespace: "flow", Name: "job"}
			for _, j := range some("reads") {
				d := record.LineageDataset{LineageName: record.LineageName{Namespace: "s3a://lake", Name: fmt.Sprint("/", j)}}
				for _, k := range some("symlinks") {
					d.Aliases = append(d.Aliases, record.LineageName{Namespace: "s3://lake", Name: fmt.Sprint(k)})
				}
				e.Inputs = append(e.Inputs, d)
			}
			h.state(t, "robot", record.LineageEvents{Team: rapid.SampledFrom([]string{"lab", "lab", "other"}).Draw(t, "team"), Raw: data(0), Events: []record.LineageEvent{e}})
		}
	}
	return h
}

func graphOf(entries []lineage.Entry) *lineage.Graph {
	g := lineage.NewGraph()
	for _, e := range entries {
		g.Learn(e)
	}
	g.Settle()
	return g
}

// reached sorts what a walk reached by kind.
func reached(g *lineage.Graph, steps []lineage.Step) map[lineage.NodeKind][]string {
	out := map[lineage.NodeKind][]string{}
	for _, s := range steps {
		n := g.Node(s.Node).Name
		out[n.Kind] = append(out[n.Kind], n.Key)
	}
	for _, names := range out {
		slices.Sort(names)
	}
	return out
}

// The verdict's walk over statements and the graph in memory find the same: every
// run, base and dataset, from every model of every history; and the way down
// from a dataset leads to exactly the models whose way up leads to it.
func TestRule02TheGraphAnswersAsTheStatementsDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := tell(t, rapid.IntRange(1, 25).Draw(t, "statements"))
		g := graphOf(h.entries)
		above := map[string][]string{}
		for i := range 5 {
			starts := g.Find(lineage.Name{Kind: lineage.NodeVersion, Key: string(model(i))})
			if len(starts) == 0 {
				continue
			}
			steps, _ := g.Walk(starts, lineage.Up, lineage.MadeFrom, lineage.Limits{})
			got := reached(g, steps)
			trail, err := lineage.Trace(h, model(i))
			if err != nil {
				t.Fatal(err)
			}
			var runs, sets, bases []string
			for _, r := range trail.Runs {
				runs = append(runs, r.Record.Ref())
			}
			for _, d := range trail.Datasets {
				sets = append(sets, string(d))
			}
			for _, b := range append(trail.Bases, model(i)) {
				bases = append(bases, string(b))
			}
			slices.Sort(runs)
			slices.Sort(bases)
			for _, c := range []struct {
				kind lineage.NodeKind
				want []string
			}{{lineage.NodeDataset, sets}, {lineage.NodeVersion, bases}} {
				if diff := gocmp.Diff(c.want, got[c.kind]); diff != "" {
					t.Fatalf("%s of model %d: by statements -, by the graph +\n%s", c.kind, i, diff)
				}
			}
			// A run that only a version names is in the graph, and was never stated.
			stated := slices.DeleteFunc(got[lineage.NodeRun], func(ref string) bool { return len(h.byKey[record.KeyRun(ref)]) == 0 })
			if diff := gocmp.Diff(runs, stated, equalEmpty); diff != "" {
				t.Fatalf("runs of model %d: by statements -, by the graph +\n%s", i, diff)
			}
			for _, d := range sets {
				above[d] = append(above[d], string(model(i)))
			}
		}
		for i := range 5 {
			starts := g.Find(lineage.Name{Kind: lineage.NodeDataset, Key: string(data(i))})
			steps, _ := g.Walk(starts, lineage.Down, lineage.MadeFrom, lineage.Limits{})
			want := above[string(data(i))]
			slices.Sort(want)
			if diff := gocmp.Diff(want, reached(g, steps)[lineage.NodeVersion], equalEmpty); diff != "" {
				t.Fatalf("models from data %d: by the way up -, by the way down +\n%s", i, diff)
			}
		}
	})
}

var equalEmpty = gocmp.Transformer("empty", func(s []string) map[int]string {
	return maps.Collect(slices.All(s))
})

// Statements that are learnt twice and in another order give the same graph.
func TestTheOrderOfLearningDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := tell(t, rapid.IntRange(1, 20).Draw(t, "statements"))
		var order []int
		for i := range 2 * len(h.entries) {
			order = append(order, i/2)
		}
		var shuffled []lineage.Entry
		for _, i := range rapid.Permutation(order).Draw(t, "order") {
			shuffled = append(shuffled, h.entries[i])
		}
		if diff := gocmp.Diff(edgesOf(graphOf(h.entries)), edgesOf(graphOf(shuffled))); diff != "" {
			t.Fatal(diff)
		}
	})
}

// edgesOf writes every edge with the statement that it comes from.
func edgesOf(g *lineage.Graph) (out []string) {
	nodes, _ := g.Size()
	var all []lineage.NodeID
	for i := range nodes {
		all = append(all, lineage.NodeID(i))
	}
	steps, _ := g.Walk(all, lineage.Up, lineage.Touched, lineage.Limits{})
	for _, e := range g.Edges(steps, lineage.Touched) {
		out = append(out, fmt.Sprintf("%s -%s-> %s at %d", g.Node(e.From).Name, e.Role, g.Node(e.To).Name, e.Stated.Index))
	}
	slices.Sort(out)
	return out
}

func find(t *testing.T, g *lineage.Graph, text string) []lineage.NodeID {
	t.Helper()
	n, err := lineage.ParseName(text)
	if err != nil {
		t.Fatal(err)
	}
	return g.Find(n)
}

func TestImpactReachesReleases(t *testing.T) {
	s := verifytest.Tell(t)
	g := graphOf(s.Entries)
	everyone := func(string) bool { return true }
	cases := map[string]struct {
		of   string
		want []string
	}{
		"raw data":         {string(s.Raw), []string{"acme/derived@1", "run:acme/run-1", "acme/triage@1"}},
		"a base's data":    {string(s.BaseData), []string{"run:acme/base-run", "acme/base@1", "acme/triage@2"}},
		"a held-out set":   {string(verifytest.Digest("held out")), []string{"evaluation"}},
		"a secret":         {"secret:queue/key", nil},
		"a secret's grant": {"secret:queue/*", nil},
		"a run":            {"run:acme/run-1", []string{"acme/triage@1"}},
		"a person":         {"principal:mona", nil},
		"the pipeline":     {"principal:pipeline", []string{"acme/triage@1", "acme/triage@2"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := g.ImpactOf(find(t, g, c.of), everyone, "", 100)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, h := range got.Hits {
				n := g.Node(h.Node)
				names = append(names, cmp.Or(append(n.Labels, n.Name.String())[0], ""))
			}
			for _, w := range c.want {
				if !slices.ContainsFunc(names, func(n string) bool { return len(n) >= len(w) && n[:len(w)] == w }) {
					t.Errorf("%s is not among %q", w, names)
				}
			}
			if name != "a run" && got.Counts[lineage.NodeRelease] != 2 {
				t.Errorf("%d releases are touched, want both: %q", got.Counts[lineage.NodeRelease], names)
			}
			if live := g.Node(got.Hits[0].Node).Live; name != "a run" && (live == nil || live.Environment != "production" || live.Since.Time.IsZero() || got.Live != 1) {
				t.Errorf("%d live, first is %+v", got.Live, g.Node(got.Hits[0].Node))
			}
		})
	}
	for _, of := range []string{"secret:other/key", string(verifytest.Digest("unused"))} {
		if got, err := g.ImpactOf(find(t, g, of), everyone, "", 10); err != nil || len(got.Hits) > 0 {
			t.Errorf("%s touches %d things: %v", of, len(got.Hits), err)
		}
	}
}

// Pages of any size put together are the whole, in order; what may not be read is
// counted and not shown.
func TestImpactInPagesIsTheWhole(t *testing.T) {
	s := verifytest.Tell(t)
	g := graphOf(s.Entries)
	of := find(t, g, string(s.BaseData))
	whole, err := g.ImpactOf(of, func(string) bool { return true }, "", 1000)
	if err != nil || len(whole.Hits) < 5 || whole.Next != "" {
		t.Fatalf("%d hits, next %q, %v", len(whole.Hits), whole.Next, err)
	}
	for limit := 1; limit < len(whole.Hits)+1; limit++ {
		var got []lineage.Hit
		for after := ""; ; {
			p, err := g.ImpactOf(of, func(string) bool { return true }, after, limit)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, p.Hits...)
			if after = p.Next; after == "" {
				break
			}
		}
		if !slices.EqualFunc(whole.Hits, got, func(a, b lineage.Hit) bool { return a.Node == b.Node && a.Via == b.Via }) {
			t.Errorf("pages of %d give %v, want %v", limit, got, whole.Hits)
		}
	}
	none, err := g.ImpactOf(of, func(string) bool { return false }, "", 10)
	if err != nil || len(none.Hits) > 0 || none.Others != len(whole.Hits) || none.OthersLive != whole.Live {
		t.Errorf("a stranger is shown %+v, %v", none, err)
	}
	for _, bad := range []string{"x", "1.2", "1.x.y", "1.2."} {
		if _, err := g.ImpactOf(of, func(string) bool { return true }, bad, 10); err == nil {
			t.Errorf("the cursor %q was taken", bad)
		}
	}
}

func TestNamesOfNodes(t *testing.T) {
	d := string(verifytest.Digest("x"))
	for text, want := range map[string]lineage.Name{
		"r-0123456789ab":                       {Kind: lineage.NodeRelease, Key: "r-0123456789ab"},
		d:                                      {Key: d},
		"lab/net@1":                            {Key: "lab/net@1"},
		"model:lab/net@1":                      {Kind: lineage.NodeVersion, Key: "lab/net@1"},
		"dataset:lab/cases@1":                  {Kind: lineage.NodeDataset, Key: "lab/cases@1"},
		"dataset:s3a://lake:/raw/":             {Kind: lineage.NodeSource, Key: "s3://lake/raw"},
		"dataset:postgres://db:5432:shop.a.b":  {Kind: lineage.NodeSource, Key: "postgres://db:5432/shop.a.b"},
		"s3n://lake/raw":                       {Kind: lineage.NodeSource, Key: "s3://lake/raw"},
		"source:anything at all":               {Kind: lineage.NodeSource, Key: "anything at all"},
		"run:lab/run-1":                        {Kind: lineage.NodeRun, Key: "lab/run-1"},
		"run:0199f0c0-0000-7000-8000-00000001": {Kind: lineage.NodeEvents, Key: "0199f0c0-0000-7000-8000-00000001"},
		"job:flow:train":                       {Kind: lineage.NodeJob, Key: "flow:train"},
		"principal:ann":                        {Kind: lineage.NodePrincipal, Key: "ann"},
	} {
		if got, err := lineage.ParseName(text); err != nil || got != want {
			t.Errorf("%q is read as %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "what", "commit:", "dataset:what", "a\x00b", "r-1\n", "dataset:\xff"} {
		if got, err := lineage.ParseName(text); err == nil {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
}

// A name is read again as it is written, and finding it in a graph ends.
func FuzzParseName(f *testing.F) {
	for _, seed := range []string{"r-0123456789ab", "lab/net@1", "dataset:s3a://lake:/raw/", "run:x", "job:a:b", "source:s3:", "dataset:::", "dataset:a:b:c", "secret:", "secret:é*", "model:sha256:00"} {
		f.Add(seed)
	}
	g := graphOf(verifytest.Tell(f).Entries)
	f.Fuzz(func(t *testing.T, text string) {
		n, err := lineage.ParseName(text)
		if err != nil {
			return
		}
		again, err := lineage.ParseName(n.String())
		if err != nil || again != n {
			t.Errorf("%q is read as %+v, which is read as %+v, %v", text, n, again, err)
		}
		g.Find(n)
	})
}
