package demo

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/record"
)

// reference is what testdata/reference.py computes with scikit-learn.
type reference struct {
	Digests map[string]record.Digest `json:"digests"`
	Weights []float64                `json:"weights"`
	Bias    float64                  `json:"bias"`
	Metrics map[string]float64       `json:"metrics"`
}

func readReference(t testing.TB) reference {
	t.Helper()
	b, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var r reference
	if err := json.Unmarshal(b, &r, json.RejectUnknownMembers(true)); err != nil {
		t.Fatal(err)
	}
	return r
}

func splits(t testing.TB) Data {
	t.Helper()
	d, err := Splits()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func malignant(s Split) (n int) {
	for _, r := range s.Rows {
		n += int(r.label())
	}
	return n
}

func TestDataIsWhatItsAuthorsPublished(t *testing.T) {
	rows, err := parseWDBC(wdbc)
	if err != nil {
		t.Fatal(err)
	}
	if got := malignant(Split{Rows: rows}); len(rows) != 569 || got != 212 {
		t.Errorf("%d rows with %d malignant, want 569 and 212", len(rows), got)
	}
	// The first row of UCI's wdbc.data: patient 842302, M, 17.99, 10.38, ...
	if first := rows[0]; !first.Malignant || first.Features[0] != 17.99 || first.Features[29] != 0.1189 {
		t.Errorf("the first row is %+v", first)
	}
}

func TestSplitsAreStratifiedAndApart(t *testing.T) {
	d := splits(t)
	// 40 % of 212 and of 357, rounded: 85 and 143.
	got := [][2]int{{len(d.Train.Rows), malignant(d.Train)}, {len(d.Holdout.Rows), malignant(d.Holdout)}}
	if diff := cmp.Diff([][2]int{{341, 127}, {228, 85}}, got); diff != "" {
		t.Errorf("rows and malignant rows of train and holdout (-want +got):\n%s", diff)
	}
	held := map[string]bool{}
	for i, r := range d.Holdout.Rows {
		held[r.ID] = true
		if s := d.Shifted.Rows[i]; s.ID != r.ID || s.Malignant != r.Malignant {
			t.Fatalf("row %d of the shifted set is not of %s", i, r.ID)
		}
	}
	for _, r := range d.Train.Rows {
		if held[r.ID] {
			t.Errorf("%s is trained on and held out", r.ID)
		}
	}
}

func TestDigestsAgreeWithPython(t *testing.T) {
	d := splits(t)
	got := map[string]record.Digest{}
	for _, s := range []Split{d.Train, d.Holdout, d.Shifted, d.Intake} {
		got[s.Name] = s.Digest()
	}
	if diff := cmp.Diff(readReference(t).Digests, got); diff != "" {
		t.Errorf("digests (-python +go):\n%s", diff)
	}
}

func TestBrokenDataIsRefused(t *testing.T) {
	line := "\n" + strings.Split(string(wdbc), "\n")[1]
	header := "569,30,malignant,benign"
	for name, content := range map[string]string{
		"empty":          "",
		"other header":   "150,4,setosa,versicolor" + line,
		"too few rows":   header + line,
		"missing field":  header + strings.Repeat(line, 568) + "\n1,2,3",
		"third class":    header + strings.Repeat(line, 568) + line[:len(line)-1] + "2",
		"not a number":   header + strings.Repeat(line, 568) + strings.Replace(line, "17.99", "large", 1),
		"unclosed quote": header + line + "\n\"",
	} {
		if rows, err := parseWDBC([]byte(content)); err == nil {
			t.Errorf("%s: read as %d rows", name, len(rows))
		}
	}
	if !bytes.HasPrefix(wdbc, []byte(header)) {
		t.Error("the header of this test is not the file's")
	}
}
