package evidence_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"imprimatur.dev/evidence"
	"imprimatur.dev/record"
)

// TestLinesAreReadAlikeOnAnyNumberOfProcessors reads files of many blocks.
func TestLinesAreReadAlikeOnAnyNumberOfProcessors(t *testing.T) {
	for _, c := range perItem {
		// Lines with members that nobody knows, some of them out of order.
		text := lines(c.head, func(i int64) string {
			return strings.Replace(c.line(i), "{", fmt.Sprintf(`{"unknown-%d": [{"5": %d}], `, i*77%190, i), 1)
		}, 1<<20)
		var first *evidence.Reading
		for _, processors := range []int{1, 2, 7} {
			before := runtime.GOMAXPROCS(processors)
			r, err := readAll(nil, text)
			runtime.GOMAXPROCS(before)
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = r
			}
			if d := cmp.Diff(first, r); d != "" {
				t.Errorf("%s on %d processors:\n%s", c.name, processors, d)
			}
		}
		if c.name == "items" && len(first.Evaluations[0].Import.Unknown) != 100 {
			t.Errorf("the unknown members are %q", first.Evaluations[0].Import.Unknown)
		}
	}
}

// TestLinesAreReadAlikeByBothReaders writes the names of members with escapes,
// which leaves every line to jsontext.
func TestLinesAreReadAlikeByBothReaders(t *testing.T) {
	escape := strings.NewReplacer(`"item"`, `"\u0069tem"`, `"status"`, `"\u0073tatus"`, `"doc_id"`, `"\u0064oc_id"`)
	// The draws of a bootstrap begin with the digest of the file.
	same := cmp.Options{cmpopts.IgnoreFields(record.Evaluation{}, "Evidence"), cmpopts.IgnoreFields(record.Metric{}, "Computed")}
	for _, c := range perItem {
		text := lines(c.head, c.line, 1<<18)
		if escape.Replace(text) == text {
			t.Fatalf("no name of %s is escaped", c.name)
		}
		fast, err := readAll(nil, text)
		if err != nil {
			t.Fatal(err)
		}
		slow, err := readAll(nil, escape.Replace(text))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(fast, slow, same); d != "" {
			t.Errorf("%s differs:\n%s", c.name, d)
		}
	}
}

func TestLinesOfAFile(t *testing.T) {
	const a, b = `{"item":"a","outcome":true}`, `{"item":"b","outcome":false}`
	for name, text := range map[string]string{
		"without an end of line": a + "\n" + b,
		"blank lines":            "\n\n" + a + "\r\n \t\r\n\n" + b + "\n\n",
		"a header over lines":    "{\"imprimatur\":\n\"items/v1\"\n}\n" + a + "\n" + b,
		"a first item over two":  strings.Replace(a, ",", ",\n", 1) + "\n" + b + "\n",
	} {
		t.Run(name, func(t *testing.T) { counted(t, metric(t, read(t, text), "success_rate"), 1, 2) })
	}
	many := a + "\n" + strings.Repeat(strings.Repeat(" ", 1000)+"\n", 2000)
	for name, c := range map[string]struct {
		text  string
		words []string
	}{
		"a value over lines":       {a + "\n" + strings.Replace(b, ",", ",\n", 1) + "\n", []string{"line 2", "does not end on its line"}},
		"two values on a line":     {a + "\n" + b + b, []string{"line 2", "something follows"}},
		"a line that does not end": {a + "\n" + `{"item":"b","x":[` + strings.Repeat(`"y",`, 6<<20) + `1]}`, []string{"longer than"}},
		"an error many blocks on":  {many + `{"item":"b","outcome":7e}`, []string{"line 2002", "/outcome"}},
		"an item many blocks on":   {many + `{"outcome":true}`, []string{"line 2002", "no identity"}},
		"an error before another":  {a + "\n[]\n" + many + `{"item":`, []string{"line 2"}},
	} {
		t.Run(name, func(t *testing.T) { refused(t, c.text, c.words...) })
	}
}
