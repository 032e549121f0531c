package demo

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func read(t testing.TB, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSaveAndLoad(t *testing.T) {
	m, _ := trained(t)
	dir := filepath.Join(t.TempDir(), "model")
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	got, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, got); diff != "" {
		t.Errorf("the loaded model (-saved +loaded):\n%s", diff)
	}
	again := t.TempDir()
	second, _ := trained(t)
	if err := second.Save(again); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{tensorsFile, configFile, cardFile} {
		if string(read(t, dir, name)) != string(read(t, again, name)) {
			t.Errorf("two trainings give different bytes of %s", name)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	for name, breaks := range map[string]func(m *Model){
		"a weight too few":     func(m *Model) { m.Weights = m.Weights[1:] },
		"a limit too few":      func(m *Model) { m.Guard.Min = m.Guard.Min[1:] },
		"a weight of NaN":      func(m *Model) { m.Weights[3] = math.NaN() },
		"an infinite mean":     func(m *Model) { m.Mean[3] = math.Inf(1) },
		"a scale of nothing":   func(m *Model) { m.Scale[3] = 0 },
		"no feature at all":    func(m *Model) { *m = Model{} },
		"a threshold above 1":  func(m *Model) { m.Threshold = 1.5 },
		"a negative threshold": func(m *Model) { m.Threshold = -0.5 },
	} {
		m, _ := trained(t)
		breaks(&m)
		dir := t.TempDir()
		if err := m.Save(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(dir); err == nil {
			t.Errorf("%s: loaded", name)
		}
	}
	if _, err := Load(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an empty folder: %v", err)
	}
}

func TestGuard(t *testing.T) {
	m, d := trained(t)
	for _, r := range d.Train.Rows {
		if _, _, err := m.Predict(r.Features); err != nil {
			t.Fatalf("a training row is refused: %v", err)
		}
	}
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -0.001, 1e9} {
		x := slices.Clone(d.Train.Rows[0].Features)
		x[6] = v // concavity-mean, which may be zero
		if malignant, _, err := m.Predict(x); !errors.Is(err, ErrRefused) || malignant {
			t.Errorf("concavity %v: %v, %v, want a refusal", v, malignant, err)
		}
	}
	if _, score, err := m.Predict([]float64{1, 2}); !errors.Is(err, ErrRefused) || !math.IsNaN(score) {
		t.Errorf("two features: %v, %v", score, err)
	}
}

func FuzzParse(f *testing.F) {
	m, _ := trained(f)
	dir := f.TempDir()
	if err := m.Save(dir); err != nil {
		f.Fatal(err)
	}
	f.Add(read(f, dir, configFile), read(f, dir, tensorsFile))
	f.Add([]byte("{}"), []byte{})
	x := m.Mean
	f.Fuzz(func(t *testing.T, config, tensors []byte) {
		m, err := parse(config, tensors)
		if err != nil {
			return
		}
		// What loads gives a probability or a refusal, never a silent NaN.
		if _, score, err := m.Predict(x); err == nil && !(score >= 0 && score <= 1) {
			t.Errorf("an accepted input has the score %v", score)
		}
	})
}
