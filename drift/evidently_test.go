package drift

import (
	"math"
	"os"
	"strconv"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// testdata/evidently.json is written by scripts/drift_table.py from Evidently's
// own reports and SciPy.
type evidentlyTable struct {
	Evidently string `json:"evidently"`
	SciPy     string `json:"scipy"`
	Numeric   []struct {
		Name          string           `json:"name"`
		Reference     []jsontext.Value `json:"reference"`
		Current       []jsontext.Value `json:"current"`
		PSI           float64          `json:"psi"`
		JensenShannon float64          `json:"jensenshannon"`
		Wasserstein   float64          `json:"wasserstein"`
		KS            float64          `json:"ks"`
	} `json:"numeric"`
	Categorical []struct {
		Name          string   `json:"name"`
		Reference     []string `json:"reference"`
		Current       []string `json:"current"`
		PSI           float64  `json:"psi"`
		JensenShannon float64  `json:"jensenshannon"`
		ChiSquare     *float64 `json:"chisquare"`
	} `json:"categorical"`
	Kolmogorov []struct {
		N int     `json:"n"`
		M int     `json:"m"`
		D float64 `json:"d"`
		P float64 `json:"p"`
	} `json:"kolmogorov"`
}

func readEvidently(t *testing.T) (table evidentlyTable) {
	t.Helper()
	raw, err := os.ReadFile("testdata/evidently.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &table, json.RejectUnknownMembers(true)); err != nil {
		t.Fatal(err)
	}
	return table
}

// floats reads numbers, and NaN and infinities written as strings.
func floats(t *testing.T, values []jsontext.Value) []float64 {
	t.Helper()
	out := make([]float64, len(values))
	for i, raw := range values {
		text := string(raw)
		if raw.Kind() == '"' {
			text, _ = strconv.Unquote(text)
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = v
	}
	return out
}

// near fails the test unless got is within 1e-6 of want, and for a probability
// below that within a thousandth of it.
func near(t *testing.T, name string, got, want float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > 1e-6 || want > 0 && math.Abs(got/want-1) > 1e-3 {
		t.Errorf("%s is %v, want %v", name, got, want)
	}
}

func TestEvidentlyNumeric(t *testing.T) {
	table := readEvidently(t)
	if len(table.Numeric) < 20 {
		t.Errorf("%d cases, want 20 or more", len(table.Numeric))
	}
	for _, c := range table.Numeric {
		t.Run(c.Name, func(t *testing.T) {
			reference, current := floats(t, c.Reference), floats(t, c.Current)
			near(t, "PSI", SamplePSI(reference, current), c.PSI)
			near(t, "Jensen-Shannon", SampleJensenShannon(reference, current), c.JensenShannon)
			near(t, "Wasserstein", SampleWasserstein(reference, current), c.Wasserstein)
			_, p := SampleKolmogorovSmirnov(reference, current)
			near(t, "Kolmogorov-Smirnov P", p, c.KS)
		})
	}
}

func TestEvidentlyCategorical(t *testing.T) {
	table := readEvidently(t)
	if len(table.Categorical) < 6 {
		t.Errorf("%d cases, want 6 or more", len(table.Categorical))
	}
	for _, c := range table.Categorical {
		t.Run(c.Name, func(t *testing.T) {
			near(t, "PSI", SamplePSICategories(c.Reference, c.Current), c.PSI)
			near(t, "Jensen-Shannon", SampleJensenShannonCategories(c.Reference, c.Current), c.JensenShannon)
			want := 1.0 // of a single category there is nothing to test; SciPy says NaN
			if c.ChiSquare != nil {
				want = *c.ChiSquare
			}
			near(t, "chi-square P", SampleChiSquare(c.Reference, c.Current).P, want)
		})
	}
}

func TestKolmogorovSmirnovProbabilities(t *testing.T) {
	table := readEvidently(t)
	if len(table.Kolmogorov) < 100 {
		t.Errorf("%d cases, want 100 or more", len(table.Kolmogorov))
	}
	for _, c := range table.Kolmogorov {
		near(t, strconv.Itoa(c.N)+" and "+strconv.Itoa(c.M)+" values at "+strconv.FormatFloat(c.D, 'g', -1, 64),
			smirnovP(c.D, c.N, c.M), c.P)
	}
}
