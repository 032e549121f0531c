package evidence_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"strings"
	"testing"

	"imprimatur.dev/evidence"
	"imprimatur.dev/record"
)

const header = `{"imprimatur":"items/v1","metrics":{"m":{"direction":"higher","low":0,"high":1}}}` + "\n"

func TestHostileText(t *testing.T) {
	for _, c := range []struct {
		name, text string
		words      []string
	}{
		{"nothing", "", []string{"empty"}},
		{"only space", " \n\t", []string{"empty"}},
		{"a byte order mark", "\xef\xbb\xbf{}", []string{"byte order mark"}},
		{"UTF-16", "\xff\xfe{\x00}\x00", []string{"byte order mark"}},
		{"bytes of no kind", "\x00\x01\x02\x03", []string{"no importer knows it"}},
		{"invalid UTF-8 in JSON", header + `{"item":"` + "\xff" + `","outcome":true}`, []string{"line 2", "/item", "UTF-8"}},
		{"invalid UTF-8 in CSV", "item,outcome\n" + strings.Repeat("a,true\n", 20_000) + "\xff,true\n", []string{"UTF-8"}},
		{"a repeated member", header + `{"item":"a","outcome":true,"outcome":false}`, []string{"line 2", "twice"}},
		{"a repeated item", header + `{"item":"a","outcome":true}` + "\n" + `{"item":"a","outcome":true}`, []string{`"a" comes twice`}},
		{"a bare NaN where the format has none", header + `{"item":"a","score":NaN}`, []string{"line 2", "not valid JSON"}},
		{"cut short", header + `{"item":"a","outco`, []string{"line 2", "cut short"}},
		{"deep nesting", header + `{"item":"a","outcome":true,"x":` + strings.Repeat("[", 100_000), []string{"nested deeper"}},
		{"an endless number", header + `{"item":"a","score":1` + strings.Repeat("0", 10<<20) + `}`, []string{"longer than 256"}},
		{"a number out of range", header + `{"item":"a","score":1e999}`, []string{"line 2", "/score", "out of range"}},
		{"an endless string", header + `{"item":"` + strings.Repeat("a", 20<<20) + `"}`, []string{"longer than"}},
		{"the wrong type", header + `{"item":"a","outcome":"yes"}`, []string{"line 2", "/outcome", "expected"}},
		{"no identity", header + `{"outcome":true}`, []string{"line 2", "no identity"}},
		{"a second value", `{"evalId":"e","results":{"version":3,"results":[],"stats":{}}}{}`, []string{}},
		{"a version of tomorrow", strings.Replace(fmt.Sprintf(inspectLog, "success", 2, false, 2, 2, 2, "0.5", "0.5", ""), `"version":2`, `"version":3`, 1), []string{"version is 3"}},
		{"a version of yesterday", `{"evalId":"e","results":{"version":2,"table":{}}}`, []string{"version 2", "version 3 is read"}},
		{"two models in one file", strings.Replace(samples["promptfoo"][0], `"provider":{"id":"echo"}`, `"provider":{"id":"other"}`, 1), []string{"several providers", "--subject"}},
		{"an external entity", `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><testsuites><testsuite name="&e;"/></testsuites>`, []string{"document type"}},
		{"XML cut short", `<testsuites><testsuite name="s"><testcase name="a">`, []string{"cut short"}},
		{"deep XML", "<testsuites>" + strings.Repeat("<a>", 100_000), []string{"nested deeper"}},
		{"a count that is none", `<testsuites><testsuite name="s" tests="-3"/></testsuites>`, []string{"no count"}},
		{"a zip archive of nothing", "PK\x05\x06" + strings.Repeat("\x00", 18), []string{"no importer knows it"}},
		{"a damaged zip archive", "PK\x03\x04 is how it begins", []string{"cannot be read"}},
		{"a billion laughs", "---\nmodel-index:\na: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n---\n", []string{"model-index"}},
		{"a ragged table", "item,outcome\na,true,more\n", []string{"line 2"}},
		{"two columns of a name", "item,outcome,outcome\na,true,false\n", []string{"line 1", "name of its own"}},
		{"a quote that does not end", "item,outcome\n\"a,true\n", []string{"line"}},
		{"an endless row", "item,outcome\n\"" + strings.Repeat("a", 3<<20), []string{"longer than"}},
	} {
		t.Run(c.name, func(t *testing.T) { refused(t, c.text, c.words...) })
	}
}

func TestZipBombs(t *testing.T) {
	var bomb bytes.Buffer
	w := zip.NewWriter(&bomb)
	w.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) { return flate.NewWriter(out, flate.BestCompression) })
	f, err := w.Create("header.json")
	if err == nil {
		_, err = io.WriteString(f, `{"version":2,"status":"success","plan":[`)
	}
	zeros := bytes.Repeat([]byte("0,"), 1<<19)
	for range 64 {
		if err == nil {
			_, err = f.Write(zeros)
		}
	}
	if err == nil {
		_, err = io.WriteString(f, "0]}")
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if bomb.Len() > 1<<17 {
		t.Fatalf("the bomb has %d bytes, which is none", bomb.Len())
	}
	refused(t, bomb.String(), "header.json", "expands to more than")
}

func TestAMemberTwice(t *testing.T) {
	refused(t, zipped("header.json", "{}", "header.json", "{}"), "header.json", "twice")
}

func TestTwoFormatsAtOnce(t *testing.T) {
	_, err := readAll(nil, samples["junit"][0], samples["promptfoo"][0])
	if err == nil || !strings.Contains(err.Error(), "one after the other") {
		t.Errorf("the error is %v", err)
	}
}

func TestNamesProveNothing(t *testing.T) {
	for _, name := range []string{"report.jsonl", "results.xml", "../../etc/passwd", "x\x1b[31m"} {
		r, err := evidence.Read([]evidence.File{evidence.FileOf(name, []byte(samples["junit"][0]))}, record.EvaluationRun{})
		if err != nil || r.Format != "junit" {
			t.Errorf("%q is read as %v, %v", name, r, err)
		}
	}
}

func TestAnItemWithoutAnAnswerCountsAgainstTheModel(t *testing.T) {
	for direction, successes := range map[string]int{"higher": 1, "lower": 2} {
		e := read(t, fmt.Sprintf(`{"imprimatur":"items/v1","metrics":{"m":{"direction":%q}}}`, direction)+`
{"item":"a","metrics":{"m":true}}
{"item":"b","error":"timeout"}
{"item":"c","metrics":{"m":false}}
`)
		counted(t, metric(t, e, "m"), successes, 3)
		if e.Counts.Errors != 1 || e.Counts.Scored != 2 {
			t.Errorf("the counts are %+v", e.Counts)
		}
	}
}
