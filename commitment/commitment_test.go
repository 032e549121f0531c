package commitment

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"imprimatur.dev/record"
)

var (
	ours   = bytes.Repeat([]byte{7}, KeySize)
	theirs = bytes.Repeat([]byte{8}, KeySize)
)

func setOf(t rapid.TB, key []byte, identity string, items ...string) *Set {
	t.Helper()
	b := NewBuilder(key, identity)
	for _, x := range items {
		if err := b.Add([]byte(x)); err != nil {
			t.Fatal(err)
		}
	}
	s, _, err := b.Set()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func marshal(t rapid.TB, s *Set) []byte {
	t.Helper()
	raw, err := s.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func commitmentOf(t rapid.TB, s *Set) record.Commitment {
	t.Helper()
	c, err := s.Commitment()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var drawItems = rapid.SliceOfN(rapid.StringMatching(`[a-d]{1,2}`), 1, 40)

// The count is that of the plain sets, however often and in whatever order the
// items come, and from either side.
func TestOverlapIsThatOfThePlainSets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawItems.Draw(t, "a"), drawItems.Draw(t, "b")
		in := map[string]bool{}
		for _, x := range a {
			in[x] = true
		}
		distinct, want := len(in), 0
		for _, x := range b {
			if in[x] {
				want++
				delete(in, x)
			}
		}
		A, B := setOf(t, ours, "csv", a...), setOf(t, ours, "csv", b...)
		got, err := Overlap(A, B)
		back, err2 := Overlap(B, A)
		if err != nil || err2 != nil || got != want || back != want || A.Items() != distinct {
			t.Fatalf("%q and %q: %d and %d in common (%v, %v), want %d", a, b, got, back, err, err2, want)
		}
	})
}

// Order and repeats change nothing, a changed item changes the root, and the
// file reads back to what it was.
func TestCommitmentIsOfTheSetOfItems(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		items := drawItems.Draw(t, "items")
		s := setOf(t, ours, "field id", items...)
		c := commitmentOf(t, s)
		other := append(slices.Clone(items), items[0])
		rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)).Shuffle(len(other), func(i, k int) { other[i], other[k] = other[k], other[i] })
		if again := commitmentOf(t, setOf(t, ours, "field id", other...)); again != c {
			t.Fatalf("another order gives %+v, not %+v", again, c)
		}
		if more := commitmentOf(t, setOf(t, ours, "field id", append(other, "new")...)); more.Root == c.Root {
			t.Fatal("one more item gives the same root")
		}
		raw := marshal(t, s)
		read, err := Parse(raw)
		if err != nil || !bytes.Equal(marshal(t, read), raw) || commitmentOf(t, read) != c {
			t.Fatalf("the file does not read back: %v", err)
		}
		if c.Leaves != record.DigestOf(raw) {
			t.Fatal("the digest is not that of the file")
		}
	})
}

// The root is the one that tlog computes, and the leaves are HMACs that anybody
// with the key can make.
func TestRootIsThatOfRFC6962(t *testing.T) {
	for n := 1; n <= 70; n++ {
		items := make([]string, n)
		leaves := make([][]byte, n)
		for i := range items {
			items[i] = fmt.Sprint("item ", i)
			m := hmac.New(sha256.New, ours)
			m.Write([]byte(items[i]))
			leaves[i] = m.Sum(nil)
		}
		slices.SortFunc(leaves, bytes.Compare)
		var stored []tlog.Hash
		reader := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
			out := make([]tlog.Hash, len(at))
			for i, x := range at {
				out[i] = stored[x]
			}
			return out, nil
		})
		for i, l := range leaves {
			more, err := tlog.StoredHashes(int64(i), l, reader)
			if err != nil {
				t.Fatal(err)
			}
			stored = append(stored, more...)
		}
		want, err := tlog.TreeHash(int64(n), reader)
		if err != nil {
			t.Fatal(err)
		}
		if got := commitmentOf(t, setOf(t, ours, "csv", items...)).Root; got != record.DigestFromHex(fmt.Sprintf("%x", want[:])) {
			t.Fatalf("%d items: root %s, want %x", n, got, want)
		}
	}
}

func TestSetsThatCannotBeCompared(t *testing.T) {
	a := setOf(t, ours, "csv", "x")
	for says, b := range map[string]*Set{
		"commit to both with one key file":     setOf(t, theirs, "csv", "x"),
		"commit to both by the same field":     setOf(t, ours, "field id", "x"),
		`known by "csv" and of the other by "`: setOf(t, ours, "ndjson", "x"),
	} {
		if n, err := Overlap(a, b); !errors.Is(err, ErrComparable) || n != 0 || !strings.Contains(err.Error(), says) {
			t.Errorf("%d, %v; want an error that says %q", n, err, says)
		}
	}
	if bytes.Equal(a.leaves[0][:], setOf(t, theirs, "csv", "x").leaves[0][:]) || KeyID(ours) == KeyID(theirs) {
		t.Error("two keys give one leaf or one name")
	}
}

func TestParseRefusesWhatWasTamperedWith(t *testing.T) {
	raw := marshal(t, setOf(t, ours, "csv", "a", "b", "c"))
	headEnds := bytes.IndexByte(raw, '\n') + 1
	edit := func(change func(b []byte) []byte) []byte { return change(slices.Clone(raw)) }
	for name, c := range map[string]struct {
		raw  []byte
		says string
	}{
		"empty":     {nil, "no first line"},
		"no leaves": {raw[:headEnds], "0 bytes follow"},
		"cut":       {raw[:len(raw)-1], "95 bytes follow"},
		"another order": {edit(func(b []byte) []byte {
			copy(b[headEnds:], raw[headEnds+32:])
			copy(b[len(b)-32:], raw[headEnds:])
			return b
		}), "not greater"},
		"a repeat":           {edit(func(b []byte) []byte { return append(b, b[len(b)-32:]...) }), "leaf 4 is not greater"},
		"another format":     {edit(func(b []byte) []byte { return bytes.Replace(b, []byte("commitment/1"), []byte("commitment/2"), 1) }), "does not say"},
		"more in the head":   {edit(func(b []byte) []byte { return bytes.Replace(b, []byte(`,"identity"`), []byte(`,"x":1,"identity"`), 1) }), "does not say"},
		"blanks in the head": {edit(func(b []byte) []byte { return bytes.Replace(b, []byte(`,"identity"`), []byte(`, "identity"`), 1) }), "not canonical"},
		"no key":             {edit(func(b []byte) []byte { return bytes.Replace(b, []byte(`"sha256:`), []byte(`"sha255:`), 1) }), "does not name the key"},
		"no identity":        {edit(func(b []byte) []byte { return bytes.Replace(b, []byte(`"csv"`), []byte(`"tsv"`), 1) }), "does not name the key and the identity"},
		"a long head":        {append(bytes.Repeat([]byte("x"), 2000), raw...), "no first line"},
		"past the cap":       {make([]byte, MaxFile+1), "longer than 64 MB"},
	} {
		if s, err := Parse(c.raw); !errors.Is(err, ErrFile) || s != nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want an error that says %q", name, err, c.says)
		}
	}
	// A changed leaf that keeps the order reads, but is another set.
	flipped := edit(func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
	s, err := Parse(flipped)
	if err != nil || commitmentOf(t, s).Root == commitmentOf(t, setOf(t, ours, "csv", "a", "b", "c")).Root {
		t.Errorf("a flipped bit leaves the root as it was (%v)", err)
	}
}

func TestReadTakesTheItems(t *testing.T) {
	const ndjson = `{"id":"p-1","age":40}
{"age":41,"id":"p-2"}

{"age":4.1e1,"id":"p-2"}
{"id":3,"age":0}
`
	const table = "\ufeffid,age\np-1,40\np-2,41\n\"p-\n9\",1\n"
	s, repeats, err := Read(strings.NewReader(ndjson), ours, false, "")
	if err != nil || s.Items() != 3 || repeats != 1 {
		t.Fatalf("NDJSON: %v, %d repeats, %v", s, repeats, err)
	}
	want := setOf(t, ours, "ndjson", `{"age":40,"id":"p-1"}`, `{"age":41,"id":"p-2"}`, `{"age":0,"id":3}`)
	if commitmentOf(t, s) != commitmentOf(t, want) {
		t.Error("a line is not known by its canonical JSON")
	}
	rows, _, err := Read(strings.NewReader(table), ours, true, "")
	if err != nil || commitmentOf(t, rows) != commitmentOf(t, setOf(t, ours, "csv", `{"age":"40","id":"p-1"}`, `{"age":"41","id":"p-2"}`, `{"age":"1","id":"p-\n9"}`)) {
		t.Errorf("a row is not known by its canonical JSON: %v", err)
	}
	a, _, err := Read(strings.NewReader(ndjson), ours, false, "id")
	b, _, err2 := Read(strings.NewReader(table), ours, true, "id")
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	if n, err := Overlap(a, b); n != 2 || err != nil {
		t.Errorf("by id, NDJSON and CSV have %d in common (%v), want 2", n, err)
	}
}

func TestReadNamesWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		text  string
		csv   bool
		field string
		says  string
	}{
		{"", false, "", "no items"},
		{"\n\n", false, "", "no items"},
		{"", true, "", "no items"},
		{"a,b\n", true, "", "no items"},
		{"{\"a\":1}\n{\"a\":1,\"a\":2}\n", false, "", "line 2: "},
		{"{\"a\":\"\xff\"}\n", false, "", "line 1: "},
		{"{\"a\":1} x\n", false, "", "line 1: "},
		{"{\"a\":NaN}\n", false, "", "line 1: "},
		{"{\"a\":1}\n", false, "id", `line 1: the field "id" is neither`},
		{"{\"id\":1.5}\n", false, "id", `line 1: the field "id" is neither`},
		{"{\"id\":\"\"}\n", false, "id", `line 1: the field "id" is empty`},
		{"[1]\n", false, "id", "line 1: "},
		{strings.Repeat("x", maxLine+1), false, "", "line 1 is longer than 16 MB"},
		{"a,a\n1,2\n", true, "", `line 1: the column "a" is there twice`},
		{"a,b\n1,2\n", true, "id", `line 1: there is no column "id"; it has a, b`},
		{"id,b\n,2\n", true, "id", `line 2: the column "id" is empty`},
		{"a,b\n1\n", true, "", "line 2: wrong number of fields"},
		{"a,b\n\xff,1\n", true, "", "line 2: "},
		{"x\n", false, "a\nb", "is not the name of a field"},
	} {
		s, _, err := Read(strings.NewReader(c.text), ours, c.csv, c.field)
		if err == nil || s != nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.40q by %q: %v, want an error that says %q", c.text, c.field, err, c.says)
		}
	}
}

func TestTooManyItems(t *testing.T) {
	b := NewBuilder(ours, "csv")
	b.set.leaves = make([]leaf, MaxItems+1)
	for i := range b.set.leaves {
		b.set.leaves[i][0], b.set.leaves[i][1], b.set.leaves[i][2] = byte(i>>16), byte(i>>8), byte(i)
	}
	if _, _, err := b.Set(); !errors.Is(err, ErrTooLarge) {
		t.Errorf("ended with %v", err)
	}
	b.set.leaves = b.set.leaves[:len(b.set.leaves):len(b.set.leaves)]
	if err := b.Add([]byte("one more")); !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "64 MB") {
		t.Errorf("added with %v", err)
	}
	b.set.leaves = b.set.leaves[:MaxItems]
	s, _, err := b.Set()
	if err != nil {
		t.Fatal(err)
	}
	if raw := marshal(t, s); len(raw) > MaxFile {
		t.Errorf("the longest file has %d bytes", len(raw))
	}
}

func FuzzParse(f *testing.F) {
	b := NewBuilder(ours, "field id")
	_, _ = b.Add([]byte("x")), b.Add([]byte("y"))
	s, _, _ := b.Set()
	raw, _ := s.Marshal()
	f.Add(raw)
	f.Add(raw[:len(raw)-32])
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := Parse(raw)
		if err != nil {
			if !errors.Is(err, ErrFile) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(marshal(t, s), raw) {
			t.Fatal("the file does not read back to the same bytes")
		}
		if n, err := Overlap(s, s); n != s.Items() || err != nil {
			t.Fatalf("a set has %d of its own %d items (%v)", n, s.Items(), err)
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("{\"id\":1}\n{\"id\":\"x\"}\n"), false, "id")
	f.Add([]byte("id,b\n1,2\n\"a\nb\",3\n"), true, "")
	f.Fuzz(func(t *testing.T, raw []byte, csv bool, field string) {
		s, repeats, err := Read(bytes.NewReader(raw), ours, csv, field)
		if (s == nil) != (err != nil) {
			t.Fatalf("set %v, error %v", s, err)
		}
		if err != nil {
			return
		}
		if again, n, err := Read(bytes.NewReader(raw), ours, csv, field); err != nil || n != repeats || commitmentOf(t, again) != commitmentOf(t, s) {
			t.Fatal("the same file gives two commitments")
		}
		if _, err := Parse(marshal(t, s)); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	var text bytes.Buffer
	for i := range 100_000 {
		fmt.Fprintf(&text, "{\"id\":\"p-%d\",\"age\":%d,\"text\":\"a patient with a cough since %d days\"}\n", i, i%90, i%14)
	}
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		if s, _, err := Read(bytes.NewReader(text.Bytes()), ours, false, ""); err != nil || s.Items() != 100_000 {
			b.Fatal(err)
		}
	}
}

func BenchmarkOverlap(b *testing.B) {
	build := func(from int) *Set {
		x := NewBuilder(ours, "csv")
		for i := range 1_000_000 {
			_ = x.Add(fmt.Append(nil, from+i))
		}
		s, _, _ := x.Set()
		return s
	}
	x, y := build(0), build(500_000)
	for b.Loop() {
		if n, err := Overlap(x, y); n != 500_000 || err != nil {
			b.Fatal(n, err)
		}
	}
}
