package record_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"imprimatur.dev/record"
)

func faultsOfEvents() []fault {
	event := func(says string, change func(*record.LineageEvent)) fault {
		return wrong(says, func(l *record.LineageEvents) { change(&l.Events[0]) })
	}
	far := record.LineageName{Namespace: "n", Name: strings.Repeat("a", record.MaxLineageName+1)}
	return []fault{
		wrong("team", func(l *record.LineageEvents) { l.Team = "" }),
		wrong("raw", func(l *record.LineageEvents) { l.Raw = "" }),
		wrong("events is empty", func(l *record.LineageEvents) { l.Events = nil }),
		event("digest", func(e *record.LineageEvent) { e.Digest = "" }),
		event("eventTime", func(e *record.LineageEvent) { e.Time = time.Time{} }),
		event("eventType", func(e *record.LineageEvent) { e.Type = "DONE" }),
		event("run.runId is empty", func(e *record.LineageEvent) { e.Run = "" }),
		event("run.runId", func(e *record.LineageEvent) { e.Run = "a\nb" }),
		event("job.name is empty", func(e *record.LineageEvent) { e.Job.Name = "" }),
		event("job.namespace", func(e *record.LineageEvent) { e.Type, e.Job.Namespace = record.LineageJob, bidi }),
		event("one dataset", func(e *record.LineageEvent) { e.Type = record.LineageDataSet }),
		event("parent.run", func(e *record.LineageEvent) { e.Parent.Run = "" }),
		event("root.job.name", func(e *record.LineageEvent) { e.Root = e.Parent; e.Root.Job.Name = "" }),
		event("url", func(e *record.LineageEvent) { e.Code.URL = bidi }),
		event("inputs.name", func(e *record.LineageEvent) { e.Inputs[0].LineageName = far }),
		event("symlinks", func(e *record.LineageEvent) { e.Inputs[0].Aliases[0] = far }),
		event("columnLineage", func(e *record.LineageEvent) { e.Outputs[0].Columns[0].From[0].LineageName = far }),
		event("outputs has 1001", func(e *record.LineageEvent) { e.Outputs = slices.Repeat(e.Outputs, record.MaxLineageDatasets+1) }),
	}
}

// The spellings are those of OpenLineage's spec/Naming.md, and those that
// producers and people use beside them.
func TestSourcesAreNamedByTheRules(t *testing.T) {
	for _, c := range []struct{ uri, namespace, name string }{
		{"s3://bucket/path/to/data.csv", "s3://bucket", "path/to/data.csv"},
		{"s3a://bucket/path/", "s3://bucket", "path"},
		{"s3://bucket", "s3://bucket", "/"},
		{"gs://bucket/a", "gs://bucket", "a"},
		{"gcs://bucket//a", "gs://bucket", "a"},
		{"hdfs://nn:8020/user/x", "hdfs://nn:8020", "user/x"},
		{"abfss://box@acme.dfs.core.windows.net/a/b", "abfss://box@acme.dfs.core.windows.net", "a/b"},
		{"file:///data/a.csv", "file", "/data/a.csv"},
		{"file:/data/a.csv", "file", "/data/a.csv"},
		{"/data/a.csv", "file", "/data/a.csv"},
		{"file://host/data", "file://host", "data"},
		{"postgres://db.example:5432/shop.public.orders", "postgres://db.example:5432", "shop.public.orders"},
		{"postgresql://me:secret@DB.example/shop/public/orders?sslmode=require", "postgres://db.example:5432", "shop.public.orders"},
		{"mysql://db/shop.orders", "mysql://db:3306", "shop.orders"},
		{"snowflake://org-acme/SHOP.PUBLIC.ORDERS", "snowflake://org-acme", "SHOP.PUBLIC.ORDERS"},
		{"bigquery:shop.sales.orders", "bigquery", "shop.sales.orders"},
		{"bigquery://shop/sales/orders", "bigquery", "shop.sales.orders"},
		{"kafka://broker:9093/orders", "kafka://broker:9093", "orders"},
		{"kafka://broker/orders", "kafka://broker:9092", "orders"},
		{"unitycatalog://dbc.example/main.sales.orders", "unitycatalog://dbc.example", "main.sales.orders"},
		{"arn:aws:glue:eu-west-1:123456789012:table/sales/orders", "arn:aws:glue:eu-west-1:123456789012", "table/sales/orders"},
		{"https://data.example/a.csv?version=2", "https://data.example", "a.csv?version=2"},
	} {
		want := record.LineageName{Namespace: c.namespace, Name: c.name}
		if got, ok := record.LineageNameOf(c.uri); !ok || got != want {
			t.Errorf("%s is %+v, %v; want %+v", c.uri, got, ok, want)
		}
		if got := want.Canonical(); got != want {
			t.Errorf("%+v is not canonical: %+v", want, got)
		}
	}
	for _, uri := range []string{"", "sales data", "postgres:", "x:", "s3:bucket", "arn:aws:glue:eu-west-1:1"} {
		if got, ok := record.LineageNameOf(uri); ok {
			t.Errorf("%q is named %+v", uri, got)
		}
	}
	for _, c := range [][2]record.LineageName{
		{{Namespace: "s3a://b", Name: "/k/"}, {Namespace: "s3://b", Name: "k"}},
		{{Namespace: "postgresql://h", Name: "d.s.t"}, {Namespace: "postgres://h:5432", Name: "d.s.t"}},
		{{Namespace: "file", Name: "/a"}, {Namespace: "file", Name: "/a"}},
		{{Namespace: "airflow", Name: "x"}, {Namespace: "airflow", Name: "x"}},
	} {
		if got := c[0].Canonical(); got != c[1] {
			t.Errorf("%+v is %+v, want %+v", c[0], got, c[1])
		}
	}
}

// A name that is canonical stays as it is: the graph makes it an alias of every
// other spelling.
func TestCanonicalNamesAreStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		uri := rapid.OneOf(rapid.String(), rapid.StringMatching(`(s3a|postgresql|file|arn|bigquery|kafka):(//)?[a-z@:/.]*`)).Draw(t, "uri")
		n, ok := record.LineageNameOf(uri)
		if ok && n.Canonical() != n {
			t.Fatalf("%q is %+v and then %+v", uri, n, n.Canonical())
		}
		if ok && (n.Namespace == "" || n.Name == "") {
			t.Fatalf("%q is %+v", uri, n)
		}
	})
}

func TestLongNodesHaveKeysOfTheirOwn(t *testing.T) {
	long := record.LineageName{Namespace: "s3://b", Name: strings.Repeat("a", 1000)}
	other := record.LineageName{Namespace: "s3://b", Name: strings.Repeat("a", 1001)}
	last := record.LineageName{Namespace: "s3://b", Name: "a\U0010FFFF"}
	seen := map[string]bool{}
	for _, n := range []record.LineageName{long, other, last} {
		key := record.KeyLineageNode("acme", record.NodeDataset(n))
		if seen[key] || len(key) > 600 || strings.Contains(key, "\U0010FFFF") || !strings.HasPrefix(key, "lineage/acme/dataset:") {
			t.Errorf("the key is %q", key)
		}
		seen[key] = true
	}
}
