package ledger_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"imprimatur.dev/ledger"
)

var when = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)

func drawLeaf(t *rapid.T) ledger.Leaf {
	digest := rapid.Custom(func(t *rapid.T) [32]byte {
		return sha256.Sum256(rapid.SliceOfN(rapid.Byte(), 0, 4).Draw(t, "seed"))
	})
	return ledger.Leaf{
		Kind:      rapid.StringN(1, 40, -1).Draw(t, "kind"),
		Principal: rapid.StringN(1, 40, -1).Draw(t, "principal"),
		Statement: digest.Draw(t, "statement"),
		Subjects:  rapid.SliceOfN(digest, 0, 5).Draw(t, "subjects"),
		Time:      time.UnixMilli(rapid.Int64Range(0, 253402300799999).Draw(t, "ms")).UTC(),
	}
}

func TestLeafIsCanonicalJSONAndReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawLeaf(t)
		got, err := want.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		canonical := jsontext.Value(bytes.Clone(got))
		if err := canonical.Canonicalize(); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		if !bytes.Equal(got, canonical) {
			t.Fatalf("leaf     %s\ncanonical %s", got, canonical)
		}
		back, err := ledger.ParseLeaf(got)
		if err != nil {
			t.Fatal(err)
		}
		if len(want.Subjects) == 0 {
			want.Subjects = nil
		}
		if diff := cmp.Diff(want, back); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestLeafText(t *testing.T) {
	leaf := ledger.Leaf{
		Kind: "https://imprimatur.dev/approval/v1", Principal: `ann "a" <b>&é` + "\u2028\n",
		Subjects: [][32]byte{{1}, {0xab}}, Time: when.Add(7 * time.Millisecond).In(time.FixedZone("", 3600)),
	}
	got, err := leaf.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	zero := strings.Repeat("0", 62)
	want := `{"kind":"https://imprimatur.dev/approval/v1","principal":"ann \"a\" <b>&é` + "\u2028" + `\n",` +
		`"statement":"sha256:00` + zero + `","subjects":["sha256:01` + zero + `","sha256:ab` + zero + `"],` +
		`"time":"2026-01-02T15:04:05.007Z","v":1}`
	if string(got) != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

func TestLeafRefusals(t *testing.T) {
	good := ledger.Leaf{Kind: "k", Principal: "p", Time: when}
	tests := map[string]func(*ledger.Leaf){
		"empty kind":        func(l *ledger.Leaf) { l.Kind = "" },
		"empty principal":   func(l *ledger.Leaf) { l.Principal = "" },
		"kind not UTF-8":    func(l *ledger.Leaf) { l.Kind = "\xff" },
		"principal not so":  func(l *ledger.Leaf) { l.Principal = "a\xc0" },
		"five-digit year":   func(l *ledger.Leaf) { l.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"too many subjects": func(l *ledger.Leaf) { l.Subjects = make([][32]byte, 900) },
	}
	for name, spoil := range tests {
		leaf := good
		spoil(&leaf)
		if b, err := leaf.Marshal(); !errors.Is(err, ledger.ErrLeaf) || b != nil {
			t.Errorf("%s: got %d bytes, error %v", name, len(b), err)
		}
	}
	if _, err := good.Marshal(); err != nil {
		t.Error(err)
	}
}

func TestParseLeafIsStrict(t *testing.T) {
	good, err := ledger.Leaf{Kind: "k/é", Principal: "p", Subjects: [][32]byte{{1}}, Time: when}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	edit := func(old, new string) string {
		out := strings.Replace(string(good), old, new, 1)
		if out == string(good) {
			t.Fatalf("%q is not in the leaf", old)
		}
		return out
	}
	for name, text := range map[string]string{
		"empty":             "",
		"cut":               string(good[:len(good)-1]),
		"trailing newline":  string(good) + "\n",
		"space":             edit(`,"v"`, `, "v"`),
		"escaped slash":     edit("k/", `k\/`),
		"escaped letter":    edit("é", `\u00e9`),
		"upper-case digest": edit("sha256:01", "sha256:0A"),
		"short digest":      edit("sha256:01", "sha256:1"),
		"other hash":        edit("sha256:01", "sha512:01"),
		"leading comma":     edit(`[`, `[,`),
		"trailing comma":    edit(`]`, `,]`),
		"no milliseconds":   edit(".000Z", "Z"),
		"comma fraction":    edit(".000Z", ",000Z"),
		"offset":            edit(".000Z", ".0+00"),
		"other version":     edit(`"v":1`, `"v":2`),
		"unknown member":    edit(`"v":1`, `"v":1,"w":1`),
		"31 February":       edit("2026-01-02", "2026-02-31"),
	} {
		if leaf, err := ledger.ParseLeaf([]byte(text)); !errors.Is(err, ledger.ErrLeaf) || !cmp.Equal(leaf, ledger.Leaf{}) {
			t.Errorf("%s: %s was read as %+v, error %v", name, text, leaf, err)
		}
	}
}

func FuzzLeafMalleability(f *testing.F) {
	for _, n := range []int{0, 1, 3} {
		b, err := ledger.Leaf{Kind: "k\n\x01", Principal: "é", Subjects: make([][32]byte, n), Time: when}.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		leaf, err := ledger.ParseLeaf(data)
		if err != nil {
			if !errors.Is(err, ledger.ErrLeaf) || !cmp.Equal(leaf, ledger.Leaf{}) {
				t.Fatalf("%+v came with error %v", leaf, err)
			}
			return
		}
		again, err := leaf.Marshal()
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%q marshals to %q, %v", data, again, err)
		}
	})
}

func BenchmarkLeafAppendTo(b *testing.B) {
	leaf := ledger.Leaf{Kind: "https://imprimatur.dev/approval/v1", Principal: "ann@example.org", Subjects: make([][32]byte, 2), Time: when}
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := leaf.AppendTo(buf[:0]); err != nil {
			b.Fatal(err)
		}
	}
}
