package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rogpeppe/go-internal/testscript"

	"imprimatur.dev/drift"
	"imprimatur.dev/evidence"
)

// TestDriftScripts replays shifts in tables of which everything is known: ages
// 0 to 9 equally often, 70 % red and 30 % blue, 1,000 rows for reference and 400
// held back.
func TestDriftScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/drift", Cmds: scriptCommands, Setup: func(env *testscript.Env) error {
		for name, rows := range map[string]int{"reference": 1000, "heldback": 400} {
			table, lines := "id,age,colour\n", ""
			for i := range rows {
				colour := "red"
				if i/10%10 >= 7 {
					colour = "blue"
				}
				table += fmt.Sprintf("%d,%d,%s\n", i, i%10, colour)
				lines += fmt.Sprintf(`{"id":"%d","age":%d,"colour":"%s"}`+"\n", i, i%10, colour)
			}
			for file, text := range map[string]string{name + ".csv": table, name + ".ndjson": lines} {
				if err := os.WriteFile(filepath.Join(env.WorkDir, file), []byte(text), 0o644); err != nil {
					return err
				}
			}
		}
		return os.WriteFile(filepath.Join(env.WorkDir, "moved.ndjson"), []byte(strings.Repeat(`{"age":9,"colour":"red"}`+"\n", 100)), 0o644)
	}})
}

func TestShiftsThereAndBack(t *testing.T) {
	texts := []string{"mean:age:0.5", "scale:age:2", "bias:a:b:-3", "missing:colour:0.05", "swap:colour:red:blue", "swap:colour:red:blue:0.5"}
	shifts, err := parseShifts(texts)
	if err != nil {
		t.Fatal(err)
	}
	if want := (drift.Shift{Kind: drift.ShiftBias, Feature: "a:b", Size: -3}); shifts[2] != want {
		t.Errorf("%s is read as %+v", texts[2], shifts[2])
	}
	for i, x := range shifts {
		if got := evidence.NameOfShift(x); got != texts[i] {
			t.Errorf("%s comes back as %s", texts[i], got)
		}
	}
	for _, text := range []string{"", "mean", "mean:age", "mean::1", "mean:age:x", "swap:colour:red", "swap:colour:red:blue:x", "swap:a:b:c:1:2"} {
		if x, err := parseShifts([]string{text}); err == nil {
			t.Errorf("%q is read as %+v", text, x)
		}
	}
}

// Both forms of a table are the same sample, with missing values wherever a row
// has none.
func TestTables(t *testing.T) {
	forms := map[string]string{
		"csv":    "\xef\xbb\xbfage,colour,flag,code\n1.5,red,true,7\n,,false,8\nNaN,-,true,\n-2,\"b,\nc\",,7\n",
		"ndjson": `{"age":1.5,"colour":"red","flag":true,"code":"7"}` + "\n" + `{"age":null,"flag":false,"code":"8"}` + "\n" + `{"colour":"-","flag":true}` + "\n" + `{"code":"7","age":-2,"colour":"b,\nc"}`,
	}
	nan := func() float64 { var zero float64; return zero / zero }()
	want := drift.Sample{Columns: []drift.Column{
		{Name: "age", Source: drift.Input, Numbers: []float64{1.5, nan, nan, -2}},
		{Name: "colour", Source: drift.Input, Labels: []string{"red", "", "", "b,\nc"}},
		{Name: "flag", Source: drift.Prediction, Labels: []string{"true", "false", "true", ""}},
		{Name: "code", Source: drift.Input, Labels: []string{"7", "8", "", "7"}},
	}}
	rules := tableRules{Predictions: []string{"flag"}, Categorical: []string{"code"}, Missing: []string{"-"}}
	for form, text := range forms {
		path := filepath.Join(t.TempDir(), "table."+form)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		got, columns, err := rules.reference(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got, cmpopts.EquateNaNs()); d != "" {
			t.Errorf("%s differs:\n%s", form, d)
		}
		kinds := []drift.Kind{drift.Numeric, drift.Categorical, drift.Categorical, drift.Categorical}
		if !slices.EqualFunc(columns, kinds, func(c tableColumn, k drift.Kind) bool { return c.kind == k }) {
			t.Errorf("the columns of %s are %+v", form, columns)
		}
	}
}

func TestTablesRefused(t *testing.T) {
	for text, says := range map[string]string{
		"":                       "no rows",
		"a,b\n":                  "no rows",
		"a,a\n1,2\n":             "column 2",
		"a,\n1,2\n":              "column 2",
		"a,b\n1\n":               "wrong number of fields",
		"a\n1\nx\n2\n":           `2 numbers and 1 value that is none, the first of them "x" in row 2`,
		`{"a":1}` + "\n[1]":      "row 2",
		`{"a":1,"a":2}`:          "row 1",
		`{"a":[1]}`:              `row 1, column "a"`,
		`{"a":1}` + "\n" + `{"a`: "row 2",
		`{"a":1}{"a":"1"}`:       "1 number and 1 value",
	} {
		path := filepath.Join(t.TempDir(), "table")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, _, err := (&tableRules{}).reference(t.Context(), path)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("of %q the error is %v, want %q", text, err, says)
		}
	}
}

func FuzzTable(f *testing.F) {
	f.Add([]byte("a,b\n1,x\n,y\nNaN,\n"))
	f.Add([]byte(`{"a":1,"b":"x"}` + "\n" + `{"a":null,"b":true}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "table")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		sample, columns, err := (&tableRules{}).reference(t.Context(), path)
		if err != nil {
			return
		}
		if _, err := sample.Rows(); err != nil && len(columns) > 0 {
			t.Fatalf("a table is read whose columns do not fit each other: %v", err)
		}
	})
}
