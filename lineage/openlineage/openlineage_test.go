package openlineage_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"imprimatur.dev/lineage/openlineage"
	"imprimatur.dev/record"
)

func name(namespace, name string) record.LineageName {
	return record.LineageName{Namespace: namespace, Name: name}
}

// sample returns the events of one producer, or of all.
func sample(tb testing.TB, producer string) []openlineage.Event {
	tb.Helper()
	files, err := filepath.Glob("testdata/" + producer + ".ndjson")
	if err != nil || len(files) == 0 {
		tb.Fatalf("no events of %s: %v", producer, err)
	}
	var out []openlineage.Event
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			tb.Fatal(err)
		}
		for line := range bytes.Lines(raw) {
			e, err := openlineage.Parse(bytes.Clone(bytes.TrimSpace(line)))
			if err != nil {
				tb.Fatalf("%s: %v", f, err)
			}
			out = append(out, e)
		}
	}
	return out
}

func TestWhatAirflowSaysOfATask(t *testing.T) {
	got := sample(t, "airflow")[2]
	orders := name("postgres://db.shop.example:5432", "shop.public.orders")
	dag := record.LineageRun{Run: "0199f0c0-1111-7b3c-8a52-9d7e11d6a001", Job: name("airflow-prod", "churn")}
	want := record.LineageEvent{
		Type: "COMPLETE", Time: time.Date(2026, 5, 1, 6, 2, 44, 1000, time.UTC),
		Run: "0199f0c0-1112-7c11-9f41-0b8f5a6fe002", Job: name("airflow-prod", "churn.export_orders"), Parent: dag, Root: dag,
		Code:   record.LineageCode{URL: "https://git.shop.example/pipelines", Version: "4f0c9a3d2b7e5c1180d6aa77e2f31b90c4d5e6f7"},
		Inputs: []record.LineageDataset{{LineageName: orders}},
		Outputs: []record.LineageDataset{{LineageName: name("s3://lake", "raw/orders"), Columns: []record.LineageColumn{
			{Name: "amount", From: []record.LineageField{{LineageName: orders, Field: "amount"}}},
			{From: []record.LineageField{{LineageName: orders, Field: "placed"}}},
		}}},
	}
	if diff := cmp.Diff(want, got.LineageEvent, cmpopts.IgnoreFields(record.LineageEvent{}, "Digest")); diff != "" {
		t.Error(diff)
	}
	if got.Digest.Validate() != nil || !bytes.Contains(got.Raw, []byte(`"operator_class":"SQLToS3Operator"`)) {
		t.Errorf("the facet of Airflow's own is not kept: %s", got.Raw)
	}
}

// graphOf folds events that stand in the statements with given indexes.
func graphOf(events []openlineage.Event, index func(i int) int64) *openlineage.Graph {
	g := openlineage.NewGraph()
	for i, e := range events {
		g.Add(e.LineageEvent, index(i))
	}
	return g
}

func around(g *openlineage.Graph, id string) []openlineage.Node {
	nodes, _ := openlineage.Around([]*openlineage.Graph{g}, id, 20)
	return nodes
}

func ids(nodes []openlineage.Node) []string {
	var out []string
	for _, n := range nodes {
		out = append(out, n.ID)
	}
	slices.Sort(out)
	return out
}

// Spark reads s3a://lake/raw/orders, which Airflow wrote as s3://lake raw/orders
// and Hive calls raw.orders: one dataset, and so one graph.
func TestPipelinesOfSeveralToolsAreOneGraph(t *testing.T) {
	g := graphOf(sample(t, "*"), func(int) int64 { return 7 })
	nodes := around(g, "dataset:hive://metastore.shop.example:9083:raw.orders")
	want := []string{
		"dataset:postgres://db.shop.example:5432:shop.public.orders",
		"dataset:s3://lake:raw/orders",
		"dataset:s3a://lake:/features/orders",
		"job:airflow-prod:churn.export_orders",
		"job:spark-prod:churn_features.execute_insert_into_hadoop_fs_relation_command.features_orders",
	}
	if diff := cmp.Diff(want, ids(nodes)); diff != "" {
		t.Error(diff)
	}
	orders := nodes[0]
	if orders.ID != want[1] || len(orders.Aliases) != 3 {
		t.Errorf("the dataset is %s, also %v", orders.ID, orders.Aliases)
	}
	if diff := cmp.Diff([]openlineage.Edge{{From: want[3], To: want[1], Index: 7}}, orders.In); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]openlineage.Edge{{From: want[1], To: want[4], Index: 7}}, orders.Out); diff != "" {
		t.Error(diff)
	}
}

func TestRunsEndAsTheirEventsSay(t *testing.T) {
	g := graphOf(sample(t, "*"), func(int) int64 { return 0 })
	for _, c := range []struct{ run, state, parent, began, ended string }{
		{"0199f0c0-1112-7c11-9f41-0b8f5a6fe002", "COMPLETE", "run:0199f0c0-1111-7b3c-8a52-9d7e11d6a001", "06:00:03.500112", "06:02:44.000001"},
		{"0199f0c0-2221-7d02-b1de-1f1f77aa0002", "COMPLETE", "run:0199f0c0-2220-7d01-b1de-1f1f77aa0001", "06:03:10.25", "06:05:59.999"},
		{"0199f0c0-2220-7d01-b1de-1f1f77aa0001", "COMPLETE", "run:0199f0c0-1112-7c11-9f41-0b8f5a6fe002", "06:03:00.001", "06:06:01"},
		{"0199f0c0-3331-7e00-a000-00000000f001", "FAIL", "", "00:00:00.000000001", "04:11:00.5"},
		{"0199f0c0-4441-7aaa-8bbb-000000000d02", "COMPLETE", "run:0199f0c0-4440-7aaa-8bbb-000000000d01", "05:00:02.1", "05:00:41.9"},
	} {
		n := around(g, "run:"+c.run)[0]
		const clock = "15:04:05.999999999"
		got := []string{n.State, n.Parent, n.Began.Format(clock), n.Ended.Format(clock)}
		if want := []string{c.state, c.parent, c.began, c.ended}; !slices.Equal(got, want) {
			t.Errorf("run %s is %q, want %q", c.run, got, want)
		}
	}
	marts := around(g, "dataset:snowflake://shop-prod:SHOP.MARTS.CUSTOMERS")[0]
	if marts.Version != "9" || len(marts.In) != 1 || len(marts.Out) != 2 {
		t.Errorf("the mart is %+v", marts)
	}
}

// everything is the whole graph as text.
func everything(g *openlineage.Graph, events []openlineage.Event) string {
	seen := map[string]bool{}
	for _, e := range events {
		for _, id := range e.Nodes() {
			seen[id] = true
		}
	}
	var out []string
	for id := range seen {
		out = append(out, fmt.Sprintf("%s: %+v", id, around(g, id)))
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// Any order and any repetition of the same events gives the same graph.
func TestOrderAndRepetitionDoNotCount(t *testing.T) {
	events := sample(t, "*")
	// Two that contradict each other at one instant, and one that ends a run twice.
	for _, text := range []string{
		`{"eventType":"COMPLETE","eventTime":"2026-05-01T06:02:44.000001Z","run":{"runId":"0199f0c0-1112-7c11-9f41-0b8f5a6fe002"},"job":{"namespace":"airflow-prod","name":"other"}}`,
		`{"eventType":"FAIL","eventTime":"2026-05-01T06:02:44.000001Z","run":{"runId":"0199f0c0-1112-7c11-9f41-0b8f5a6fe002"},"job":{"namespace":"airflow-prod","name":"third"}}`,
		`{"eventType":"RUNNING","eventTime":"2026-05-01T09:00:00Z","run":{"runId":"0199f0c0-2221-7d02-b1de-1f1f77aa0002"},"job":{"namespace":"spark-prod","name":"late"}}`,
	} {
		e, err := openlineage.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	want := everything(graphOf(events, func(i int) int64 { return int64(i) }), events)
	rapid.Check(t, func(t *rapid.T) {
		order := rapid.Permutation(slices.Collect(func(yield func(int) bool) {
			for i := range events {
				if !yield(i) {
					return
				}
			}
		})).Draw(t, "order")
		order = append(order, rapid.SliceOf(rapid.IntRange(0, len(events)-1)).Draw(t, "again")...)
		g := openlineage.NewGraph()
		for _, i := range order {
			g.Add(events[i].LineageEvent, int64(i))
		}
		if got := everything(g, events); got != want {
			t.Fatal(cmp.Diff(want, got))
		}
	})
	if !strings.Contains(want, "State:FAIL") {
		t.Error("no run failed")
	}
}

func TestWhatProducersGetWrongIsTaken(t *testing.T) {
	for what, text := range map[string]string{
		"no schemaURL and producer": `{"eventType":"START","eventTime":"2026-05-01T06:00:00Z","run":{"runId":"a"},"job":{"namespace":"n","name":"j"}}`,
		"lower-case type":           `{"eventType":"start","eventTime":"2026-05-01T06:00:00Z","run":{"runId":"a"},"job":{"namespace":"n","name":"j"}}`,
		"no type":                   `{"eventTime":"2026-05-01T06:00:00Z","run":{"runId":"a"},"job":{"namespace":"n","name":"j"}}`,
		"null for nothing":          `{"eventType":"START","eventTime":"2026-05-01T06:00:00Z","run":{"runId":"a","facets":null},"job":{"namespace":"n","name":"j","facets":{"sourceCodeLocation":null}},"inputs":null,"outputs":[{"namespace":"n","name":"d","facets":{"symlinks":null,"columnLineage":{"fields":null}}}]}`,
		"nanoseconds":               `{"eventType":"START","eventTime":"2026-05-01T06:00:00.000000000Z","run":{"runId":"a"},"job":{"namespace":"n","name":"j"}}`,
		"no zone":                   `{"eventType":"START","eventTime":"2026-05-01T06:00:00","run":{"runId":"a"},"job":{"namespace":"n","name":"j"}}`,
		"Java's zone":               `{"eventType":"START","eventTime":"2026-05-01T06:00:00Z[UTC]","run":{"runId":"a"},"job":{"namespace":"n","name":"j"}}`,
		"zone without a colon":      `{"eventType":"START","eventTime":"2026-05-01T08:00:00+0200","run":{"runId":"a"},"job":{"namespace":"n","name":"j"}}`,
		"no seconds":                `{"eventType":"START","eventTime":"2026-05-01T06:00Z","run":{"runId":"a"},"job":{"namespace":"n","name":"j"}}`,
		"facets of other types":     `{"eventType":"START","eventTime":"2026-05-01T06:00:00Z","run":{"runId":"a","facets":{"mine":7,"nominalTime":"x"}},"job":{"namespace":"n","name":"j"},"more":[1,{"a":null}]}`,
	} {
		e, err := openlineage.Parse([]byte(text))
		if err != nil || !e.Time.Equal(time.Date(2026, 5, 1, 6, 0, 0, 0, time.UTC)) || e.Run != "a" {
			t.Errorf("%s: %+v, %v", what, e, err)
		}
	}
}

func TestWhatCannotBeReadIsRefused(t *testing.T) {
	const begin = `{"eventType":"START","eventTime":"2026-05-01T06:00:00Z","run":{"runId":"a"},"job":{"namespace":"n","name":"j"}`
	for _, c := range []struct{ what, text, says string }{
		{"nothing", ``, "cannot be read"},
		{"an array", `[` + begin + `}]`, "cannot be read"},
		{"two", begin + `}` + begin + `}`, "cannot be read"},
		{"no time", `{"eventType":"START","run":{"runId":"a"},"job":{"namespace":"n","name":"j"}}`, "eventTime"},
		{"a bad time", `{"eventTime":"yesterday","job":{"namespace":"n","name":"j"}}`, "yesterday"},
		{"an old time", `{"eventTime":"0001-01-01T00:00:00Z","job":{"namespace":"n","name":"j"}}`, "years"},
		{"a number for a time", `{"eventTime":7,"job":{"namespace":"n","name":"j"}}`, "eventTime"},
		{"about nothing", `{"eventTime":"2026-05-01T06:00:00Z"}`, "none of run, job and dataset"},
		{"a run without a job", `{"eventTime":"2026-05-01T06:00:00Z","run":{"runId":"a"}}`, "no job"},
		{"no run ID", `{"eventTime":"2026-05-01T06:00:00Z","run":{},"job":{"namespace":"n","name":"j"}}`, "runId"},
		{"an unknown type", `{"eventType":"DONE","eventTime":"2026-05-01T06:00:00Z","run":{"runId":"a"},"job":{"namespace":"n","name":"j"}}`, "DONE"},
		{"a name twice", begin + `,"job":{"namespace":"n","name":"k"}}`, "duplicate"},
		{"no UTF-8", begin + ",\"x\":\"\xff\"}", "UTF-8"},
		{"a list for a run", begin + `,"inputs":{}}`, "inputs"},
		{"a number for a name", begin + `,"inputs":[{"namespace":"n","name":7}]}`, "name"},
		{"an empty name", begin + `,"inputs":[{"namespace":"n","name":""}]}`, "inputs.name"},
		{"a forged line", begin + `,"inputs":[{"namespace":"n","name":"a\u001b[2K"}]}`, "control"},
		{"a parent of another type", `{"eventTime":"2026-05-01T06:00:00Z","run":{"runId":"a","facets":{"parent":"b"}},"job":{"namespace":"n","name":"j"}}`, "parent"},
		{"too deep", begin + `,"x":` + strings.Repeat(`[`, 20_000) + strings.Repeat(`]`, 20_000) + `}`, "depth"},
		{"too long", begin + `,"x":"` + strings.Repeat("a", openlineage.MaxEvent) + `"}`, "bytes"},
		{"too many", begin + `,"inputs":[{"namespace":"n","name":"d"}` + strings.Repeat(`,{"namespace":"n","name":"d"}`, record.MaxLineageDatasets) + `]}`, "1001"},
	} {
		_, err := openlineage.Parse([]byte(c.text))
		var invalid *record.InvalidError
		if !errors.Is(err, openlineage.ErrEvent) && !errors.As(err, &invalid) {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		if !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: the refusal does not say %q: %v", c.what, c.says, err)
		}
	}
}

// An event is known by what it says, not by how it is spelled.
func TestSpellingDoesNotMakeAnotherEvent(t *testing.T) {
	a, err := openlineage.Parse([]byte(`{"eventTime":"2026-05-01T06:00:00Z","job":{"namespace":"n","name":"j"}}`))
	b, err2 := openlineage.Parse([]byte("{ \"job\": {\"name\":\"\\u006a\",\n\"namespace\":\"n\"}, \"eventTime\":\"2026-05-01T06:00:00Z\" }"))
	c, err3 := openlineage.Parse([]byte(`{"eventTime":"2026-05-01T06:00:00Z","job":{"namespace":"n","name":"j"},"x":1}`))
	if err := errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
	if a.Digest != b.Digest || a.Digest == c.Digest || bytes.ContainsRune(b.Raw, '\n') {
		t.Errorf("the digests are %s, %s and %s; raw %q", a.Digest, b.Digest, c.Digest, b.Raw)
	}
}

func FuzzParse(f *testing.F) {
	for _, e := range sample(f, "*") {
		f.Add(e.Raw)
	}
	f.Add([]byte(`{"eventTime":"2026-05-01T06:00:00","dataset":{"namespace":"s3a://b","name":"/k/","facets":{"symlinks":{"identifiers":[{"namespace":"file","name":"/a"}]}}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := openlineage.Parse(bytes.Clone(raw))
		if err != nil {
			return
		}
		again, err := openlineage.Parse(bytes.Clone(e.Raw))
		if err != nil {
			t.Fatalf("what was kept cannot be read: %v", err)
		}
		if diff := cmp.Diff(e, again); diff != "" {
			t.Fatalf("what was kept says something else:\n%s", diff)
		}
		g := openlineage.NewGraph()
		g.Add(e.LineageEvent, 1)
		for _, id := range e.Nodes() {
			if nodes := around(g, id); len(nodes) == 0 {
				t.Fatalf("the node %q is not in the graph", id)
			}
		}
		if _, err := record.New("robot", e.Time, record.LineageEvents{Team: "lab", Raw: e.Digest, Events: []record.LineageEvent{e.LineageEvent}}); err != nil {
			t.Fatalf("what was read cannot be stated: %v", err)
		}
	})
}

// BenchmarkParse reads events of all four producers.
func BenchmarkParse(b *testing.B) {
	events := sample(b, "*")
	bytesOf := 0
	for _, e := range events {
		bytesOf += len(e.Raw)
	}
	b.SetBytes(int64(bytesOf / len(events)))
	i := 0
	for b.Loop() {
		if _, err := openlineage.Parse(events[i%len(events)].Raw); err != nil {
			b.Fatal(err)
		}
		i++
	}
}
