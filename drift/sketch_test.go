package drift

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func frameOf(t testing.TB, features ...Feature) *Frame {
	t.Helper()
	b, err := NewBaseline(features...)
	if err != nil {
		t.Fatal(err)
	}
	f, err := NewFrame(b)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func numbers(t testing.TB, name string, values []float64) Feature {
	t.Helper()
	f, err := CaptureNumbers(name, Input, values)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func labels(t testing.TB, name string, values []string) Feature {
	t.Helper()
	f, err := CaptureCategories(name, Prediction, values)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func smallFrame(t testing.TB) *Frame {
	return frameOf(t,
		numbers(t, "age", []float64{1, 2, 3, 4, 4, 4, math.NaN()}),
		labels(t, "answer", []string{"yes", "no", "no", ""}),
	)
}

func TestCaptureByHand(t *testing.T) {
	got := numbers(t, "x", []float64{3, 1, math.NaN(), 2, 2, math.Inf(1), math.Copysign(0, -1)})
	want := Feature{
		Name: "x", Source: Input, Kind: Numeric, Missing: 1,
		Mean: 1.6, SD: math.Sqrt((1.4*1.4 + 0.6*0.6 + 0.4*0.4*2 + 1.6*1.6) / 5),
		Edges: []float64{0, 1, 2, 3, 3}, Bins: []int64{1, 1, 2, 1}, Above: 1,
	}
	near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-12 })
	if diff := cmp.Diff(want, got, near); diff != "" {
		t.Error(diff)
	}
	if math.Signbit(got.Edges[0]) {
		t.Error("a negative zero is among the edges")
	}
	if diff := cmp.Diff(
		Feature{Name: "c", Source: Prediction, Kind: Categorical, Missing: 1, Categories: []Category{{"a", 2}, {"b", 1}}},
		labels(t, "c", []string{"b", "a", "", "a"}),
	); diff != "" {
		t.Error(diff)
	}
}

func TestDefaultBins(t *testing.T) {
	// 2·243^(2/5) = 2·9 exactly.
	for n, want := range map[int]int{0: 10, 1: 10, 55: 10, 242: 17, 243: 18, 100: 12, 1000: 31, 1_000_000: 32} {
		if got := DefaultBins(n); got != want {
			t.Errorf("DefaultBins(%d) = %d, want %d", n, got, want)
		}
	}
}

func TestQuantileEdges(t *testing.T) {
	for name, c := range map[string]struct {
		values []float64
		bins   int
		want   []float64
	}{
		"a bin for each of few values": {[]float64{5, 5, 5, 1}, 3, []float64{1, 5, 5}},
		"constant":                     {[]float64{7, 7}, 10, []float64{7, 7}},
		"quarters":                     {[]float64{0, 1, 2, 3, 4, 5, 6, 7}, 4, []float64{0, 2, 4, 6, 7}},
		"many zeros":                   {[]float64{0, 0, 0, 0, 0, 0, 1, 2}, 2, []float64{0, 2}},
		"many at the greatest":         {[]float64{0, 1, 2, 9, 9, 9, 9, 9}, 2, []float64{0, 9, 9}},
		"nothing finite":               {[]float64{math.NaN(), math.Inf(1)}, 4, nil},
	} {
		if diff := cmp.Diff(c.want, QuantileEdges(c.values, c.bins)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestTooManyCategoriesKeepTheMostFrequent(t *testing.T) {
	var values []string
	for i := range MaxCategories + 5 {
		values = append(values, fmt.Sprintf("c%04d", i))
	}
	values = append(values, "c1004", "c1004") // the last by name, but not rare
	f := labels(t, "many", values)
	if len(f.Categories) != MaxCategories || f.Unseen != 5 || f.Categories[MaxCategories-1] != (Category{"c1004", 3}) {
		t.Errorf("%d categories, %d unseen, last %v", len(f.Categories), f.Unseen, f.Categories[len(f.Categories)-1])
	}
}

func TestBaselineForms(t *testing.T) {
	f := smallFrame(t)
	raw, err := f.Baseline().Canonical()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"features":[` +
		`{"bins":[1,1,1,3],"edges":[1,2,3,4,4],"kind":"numeric","mean":3,"missing":1,"name":"age","sd":1.1547005383792515,"source":"input"},` +
		`{"categories":[{"count":2,"name":"no"},{"count":1,"name":"yes"}],"kind":"categorical","missing":1,"name":"answer","source":"prediction"}]}`
	if diff := cmp.Diff(want, string(raw)); diff != "" {
		t.Error(diff)
	}
	parsed, err := ParseBaseline(raw)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(f.Baseline(), parsed); diff != "" {
		t.Error(diff)
	}
	for name, bad := range map[string]string{
		"unknown member":   strings.Replace(want, `"mean"`, `"median"`, 1),
		"out of order":     strings.Replace(want, `"age"`, `"zage"`, 1),
		"edges fall":       strings.Replace(want, `[1,2,3,4,4]`, `[1,2,2,4,4]`, 1),
		"bins missing":     strings.Replace(want, `[1,1,1,3]`, `[1,1,4]`, 1),
		"negative count":   strings.Replace(want, `[1,1,1,3]`, `[1,1,-1,3]`, 1),
		"count past 2^53":  strings.Replace(want, `[1,1,1,3]`, `[1,1,9007199254740993,3]`, 1),
		"no such kind":     strings.Replace(want, `"numeric"`, `"text"`, 1),
		"no such source":   strings.Replace(want, `"input"`, `"output"`, 1),
		"same category":    strings.Replace(want, `"yes"`, `"no"`, 1),
		"nameless":         strings.Replace(want, `"age"`, `""`, 1),
		"nameless value":   strings.Replace(want, `"no"`, `""`, 1),
		"no features":      `{"features":[]}`,
		"nothing counted":  strings.Replace(want, `[1,1,1,3]`, `[0,0,0,0]`, 1),
		"both kinds":       strings.Replace(want, `"kind":"numeric"`, `"kind":"numeric","unseen":1`, 1),
		"bins of category": strings.Replace(want, `"kind":"categorical"`, `"kind":"categorical","below":1`, 1),
		"trailing":         want + "{}",
	} {
		if _, err := ParseBaseline([]byte(bad)); !errors.Is(err, ErrBaseline) {
			t.Errorf("%s: error %v, want ErrBaseline", name, err)
		}
	}
}

func TestSketchForms(t *testing.T) {
	f := smallFrame(t)
	s := f.NewSketch()
	age, _ := f.Index("age")
	answer, _ := f.Index("answer")
	s.AddBatch(age, []float64{0, 1, 2.5, math.NaN()})
	s.Add(age, 4)
	s.Add(age, 4.5)
	s.Add(age, math.NaN())
	s.AddCategories(answer, []string{"yes", "perhaps", ""})
	s.AddMissing(answer, 200)
	raw, err := s.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"baseline":"` + string(f.Digest()) + `","features":[` +
		`{"above":1,"below":1,"bins":[1,1,0,1],"missing":2,"name":"age"},` +
		`{"categories":[0,1],"missing":201,"name":"answer","unseen":1}]}`
	if diff := cmp.Diff(want, string(raw)); diff != "" {
		t.Error(diff)
	}
	compact, err := s.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(compact[36:]), "\x02\x01\x01\x01\x00\x01\x01\xc9\x01\x01\x00\x01"; got != want {
		t.Errorf("compact counts are %q, want %q", got, want)
	}
	fromJSON, err1 := f.ParseSketch(raw)
	fromBinary, err2 := f.DecodeSketch(compact)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if !cmp.Equal(fromJSON.counts, s.counts) || !cmp.Equal(fromBinary.counts, s.counts) {
		t.Errorf("counts are %v from JSON and %v from the compact form, want %v", fromJSON.counts, fromBinary.counts, s.counts)
	}
	badSketches(t, f, want, string(compact))
}

func badSketches(t *testing.T, f *Frame, good, compact string) {
	for name, bad := range map[string]string{
		"other baseline":     strings.Replace(good, "sha256:", "sha256:0", 1),
		"a feature too few":  good[:strings.Index(good, `,{"categories"`)] + "]}",
		"features exchanged": strings.NewReplacer(`"age"`, `"answer"`, `"answer"`, `"age"`).Replace(good),
		"a bin too many":     strings.Replace(good, `[1,1,0,1]`, `[1,1,0,1,0]`, 1),
		"a category too few": strings.Replace(good, `[0,1]`, `[0]`, 1),
		"negative":           strings.Replace(good, `"above":1`, `"above":-1`, 1),
		"both kinds":         strings.Replace(good, `"above":1`, `"above":1,"unseen":1`, 1),
	} {
		if _, err := f.ParseSketch([]byte(bad)); !errors.Is(err, ErrSketch) {
			t.Errorf("%s: error %v, want ErrSketch", name, err)
		}
	}
	for name, bad := range map[string]string{
		"empty": "", "cut off": compact[:len(compact)-1], "longer": compact + "\x00", "another magic": "IDS2" + compact[4:],
		"another baseline": compact[:10] + "!" + compact[11:], "written too long": compact[:36] + "\x82\x00" + compact[37:],
		"above 2^43": compact[:36] + "\x81\x80\x80\x80\x80\x80\x02" + compact[37:],
	} {
		if _, err := f.DecodeSketch([]byte(bad)); !errors.Is(err, ErrSketch) {
			t.Errorf("%s: error %v, want ErrSketch", name, err)
		}
	}
}

// Whatever the cut into replicas and the order of merging, the sum is the
// sketch of one process that saw every row.
func TestMergeIsAddition(t *testing.T) {
	f := smallFrame(t)
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(rapid.SampledFrom([]float64{0, 1, 1.5, 2, 4, 5, math.NaN()}), 0, 60).Draw(t, "rows")
		whole := f.NewSketch()
		parts := make([]*Sketch, rapid.IntRange(1, 5).Draw(t, "replicas"))
		for i := range parts {
			parts[i] = f.NewSketch()
		}
		for _, v := range rows {
			category := []string{"yes", "no", "perhaps", ""}[rapid.IntRange(0, 3).Draw(t, "answer")]
			part := parts[rapid.IntRange(0, len(parts)-1).Draw(t, "replica")]
			for _, s := range []*Sketch{whole, part} {
				s.Add(0, v)
				s.AddCategory(1, category)
			}
		}
		// Merge in any order and any bracketing: two at random become one.
		for len(parts) > 1 {
			i := rapid.IntRange(0, len(parts)-1).Draw(t, "into")
			j := rapid.IntRange(0, len(parts)-2).Draw(t, "from")
			if j >= i {
				j++
			}
			if err := parts[i].Merge(parts[j]); err != nil {
				t.Fatal(err)
			}
			parts = append(parts[:j], parts[j+1:]...)
		}
		if diff := cmp.Diff(whole.counts, parts[0].counts); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestMergeRefuses(t *testing.T) {
	f := smallFrame(t)
	s, other := f.NewSketch(), frameOf(t, numbers(t, "age", []float64{1, 2})).NewSketch()
	if err := s.Merge(other); !errors.Is(err, ErrMerge) {
		t.Errorf("a sketch of another baseline: error %v, want ErrMerge", err)
	}
	s.AddMissing(0, maxSlot)
	before := s.Clone()
	if err := s.Merge(before); !errors.Is(err, ErrMerge) {
		t.Errorf("counts past 2^43: error %v, want ErrMerge", err)
	}
	if !cmp.Equal(before.counts, s.counts) {
		t.Error("a refused merge changed the counts")
	}
	if err := s.Merge(smallFrame(t).NewSketch()); err != nil {
		t.Errorf("an equal frame made elsewhere: %v", err)
	}
}

func FuzzParseBaseline(f *testing.F) {
	raw, err := smallFrame(f).Baseline().Canonical()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"features":[{"name":"x","source":"input","kind":"numeric","edges":[1,1],"bins":[1],"missing":0}]}`))
	f.Add([]byte(`{"features":[{"name":"x","source":"input","kind":"numeric","edges":[-1e308,-1,1e308],"bins":[100,70],"missing":0}]}`))
	f.Add([]byte(`{"features":[{"name":"x","source":"input","kind":"categorical","categories":[{"name":"a","count":9007199254740000},{"name":"b","count":1}],"missing":0}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := ParseBaseline(raw)
		if err != nil {
			return
		}
		frame, err := NewFrame(b)
		if err != nil {
			t.Fatalf("a baseline that parses makes no frame: %v", err)
		}
		judgeAnything(t, frame)
		canonical, err := b.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseBaseline(canonical)
		if err != nil || again.Validate() != nil {
			t.Fatalf("the canonical form does not parse: %v", err)
		}
		if d, _ := again.Digest(); d != frame.Digest() {
			t.Fatal("the canonical form has another digest")
		}
	})
}

// judgeAnything judges some window, whose report must have a JSON form.
func judgeAnything(t *testing.T, f *Frame) {
	w := f.NewSketch()
	for i, c := range f.columns {
		w.AddMissing(i, 3)
		if c.slots != nil {
			w.AddCategories(i, slices.Repeat([]string{"a", "b", "c"}, 30))
		} else {
			w.AddBatch(i, slices.Repeat([]float64{-math.MaxFloat64, -1, 0, 1, 5e-324, math.Inf(1)}, 20))
		}
	}
	report, err := Judge(f, w, Defaults())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := json.Marshal(report); err != nil {
		t.Fatalf("a report has no JSON: %v", err)
	}
}

func FuzzSketch(f *testing.F) {
	frame := smallFrame(f)
	s := frame.NewSketch()
	s.AddBatch(0, []float64{1, 2, 3})
	s.AddMissing(1, 300)
	raw, _ := s.Canonical()
	compact, _ := s.MarshalBinary()
	f.Add(raw)
	f.Add(compact)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if s, err := frame.DecodeSketch(raw); err == nil {
			if again, _ := s.MarshalBinary(); string(again) != string(raw) {
				t.Fatalf("%q comes back as %q", raw, again)
			}
		}
		if s, err := frame.ParseSketch(raw); err == nil {
			canonical, err := s.Canonical()
			if err != nil {
				t.Fatal(err)
			}
			again, err := frame.ParseSketch(canonical)
			if err != nil || !cmp.Equal(again.counts, s.counts) {
				t.Fatalf("the canonical form does not parse to the same counts: %v", err)
			}
		}
	})
}

// wideFrame has 50 features of 32 bins.
func wideFrame(t testing.TB, features int) *Frame {
	columns := make([]Feature, features)
	for i := range columns {
		columns[i] = numbers(t, fmt.Sprintf("f%03d", i), normals(uint64(i), 2000, 0, 1))
	}
	return frameOf(t, columns...)
}

// BenchmarkMerge merges the sketches of 1,000 replicas with 50 features; decode
// includes reading their compact form.
func BenchmarkMerge(b *testing.B) {
	f := wideFrame(b, 50)
	rng := rand.New(rand.NewPCG(1, 1))
	replicas := make([]*Sketch, 1000)
	compact := make([][]byte, len(replicas))
	for i := range replicas {
		replicas[i] = f.NewSketch()
		for k := range replicas[i].counts {
			replicas[i].counts[k] = rng.Int64N(1000)
		}
		compact[i], _ = replicas[i].MarshalBinary()
	}
	b.Run("memory", func(b *testing.B) {
		for b.Loop() {
			sum := f.NewSketch()
			for _, s := range replicas {
				if err := sum.Merge(s); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			sum := f.NewSketch()
			for _, raw := range compact {
				s, err := f.DecodeSketch(raw)
				if err == nil {
					err = sum.Merge(s)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
