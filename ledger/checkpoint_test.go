package ledger_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"imprimatur.dev/ledger"
)

func newKey(t testing.TB, name string) (note.Signer, note.Verifier) {
	t.Helper()
	secret, public, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	return signer, verifier
}

func TestCheckpointSignedByTwoKeys(t *testing.T) {
	s1, v1 := newKey(t, "log.example/one")
	s2, v2 := newKey(t, "log.example/two")
	_, stranger := newKey(t, "log.example/three")
	want := ledger.Checkpoint{Origin: "log.example", Size: 42, Root: record(1)}
	signed, err := want.Sign(s1, s2)
	if err != nil {
		t.Fatal(err)
	}
	for _, known := range []note.Verifiers{note.VerifierList(v1), note.VerifierList(v2), note.VerifierList(v1, v2, stranger)} {
		if got, err := ledger.OpenCheckpoint(signed, "log.example", known); err != nil || got != want {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	if _, err := ledger.OpenCheckpoint(signed, "log.example", note.VerifierList(stranger)); err == nil {
		t.Error("a note without a known signature was accepted")
	}
	if _, err := ledger.OpenCheckpoint(signed, "other.example", note.VerifierList(v1)); !errors.Is(err, ledger.ErrCheckpoint) {
		t.Errorf("a note of another origin: %v", err)
	}
	forged := bytes.Replace(signed, []byte("\n42\n"), []byte("\n43\n"), 1)
	if _, err := ledger.OpenCheckpoint(forged, "log.example", note.VerifierList(v1)); err == nil {
		t.Error("a changed note was accepted")
	}
	if got, err := ledger.UnverifiedCheckpoint(signed); err != nil || got != want {
		t.Errorf("unverified: %+v, %v", got, err)
	}
	if _, err := want.Sign(); err == nil {
		t.Error("a checkpoint was signed by nobody")
	}
	if _, err := (ledger.Checkpoint{Origin: "a\nb"}).Sign(s1); !errors.Is(err, ledger.ErrCheckpoint) {
		t.Errorf("an origin of two lines: %v", err)
	}
}

func TestParseCheckpointIsStrict(t *testing.T) {
	good := ledger.Checkpoint{Origin: "log.example", Size: 10, Root: record(3)}.Text()
	if _, err := ledger.ParseCheckpoint(good); err != nil {
		t.Fatal(err)
	}
	root := record(3).String()
	for name, text := range map[string]string{
		"empty":          "",
		"no newline":     strings.TrimSuffix(good, "\n"),
		"extension":      good + "more\n",
		"no origin":      strings.TrimPrefix(good, "log.example"),
		"leading zero":   "log.example\n010\n" + root + "\n",
		"plus":           "log.example\n+10\n" + root + "\n",
		"negative":       "log.example\n-1\n" + root + "\n",
		"too large":      "log.example\n9223372036854775808\n" + root + "\n",
		"short root":     "log.example\n10\nAAAA\n",
		"trailing bits":  "log.example\n10\n" + strings.Repeat("A", 42) + "B=\n",
		"carriage break": strings.ReplaceAll(good, "\n", "\r\n"),
	} {
		if c, err := ledger.ParseCheckpoint(text); !errors.Is(err, ledger.ErrCheckpoint) || c != (ledger.Checkpoint{}) {
			t.Errorf("%s: read as %+v, error %v", name, c, err)
		}
	}
}

func FuzzCheckpointMalleability(f *testing.F) {
	f.Add(ledger.Checkpoint{Origin: "log.example", Size: 10, Root: record(3)}.Text())
	f.Add("a\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ledger.ParseCheckpoint(text)
		if err == nil && c.Text() != text {
			t.Fatalf("%q is written as %q", text, c.Text())
		}
	})
}

func TestTilePaths(t *testing.T) {
	for path, want := range map[string]tlog.Tile{
		"tile/0/000":                     {H: 8, L: 0, N: 0, W: 256},
		"tile/0/x001/x234/067":           {H: 8, L: 0, N: 1234067, W: 256},
		"tile/5/999.p/255":               {H: 8, L: 5, N: 999, W: 255},
		"tile/entries/x001/x234/067":     {H: 8, L: -1, N: 1234067, W: 256},
		"tile/entries/x001/x234/067.p/8": {H: 8, L: -1, N: 1234067, W: 8},
	} {
		if got, err := ledger.ParseTilePath(path); err != nil || got != want {
			t.Errorf("%s: %+v, %v", path, got, err)
		}
		if got := ledger.TilePath(want); got != path {
			t.Errorf("%+v: %s, want %s", want, got, path)
		}
	}
	for _, path := range []string{
		"", "tile", "tile/0", "tile/8/0/000", "tile/data/000", "tile/6/000", "tile/00/000", "tile/0/0", "tile/0/1000",
		"tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/08", "tile/0/x000/001", "tile/0/-01", "tile/-1/000", "/tile/0/000",
		"tile/0/x999/x999/x999/x999/x999/x999/x999/x999/999", "tile/0/000/", "tile/entries/../0/000",
	} {
		if got, err := ledger.ParseTilePath(path); !errors.Is(err, ledger.ErrPath) || got != (tlog.Tile{}) {
			t.Errorf("%q was read as %+v, error %v", path, got, err)
		}
	}
}

func FuzzTilePath(f *testing.F) {
	f.Add("tile/0/x001/067.p/8")
	f.Add("tile/entries/067")
	f.Fuzz(func(t *testing.T, path string) {
		if tile, err := ledger.ParseTilePath(path); err == nil && ledger.TilePath(tile) != path {
			t.Fatalf("%q is written as %q", path, ledger.TilePath(tile))
		}
	})
}

func FuzzEntries(f *testing.F) {
	bundle, err := ledger.AppendEntry(nil, []byte("one"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bundle)
	f.Add([]byte{0, 0, 0, 1, 'x'})
	f.Add([]byte{0, 9, 'x'})
	f.Fuzz(func(t *testing.T, data []byte) {
		leaves, err := ledger.ParseEntries(data)
		if err != nil {
			return
		}
		var again []byte
		for _, leaf := range leaves {
			if again, err = ledger.AppendEntry(again, leaf); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(again, data) {
			t.Fatalf("%x is written as %x", data, again)
		}
	})
}

func TestEntryTooLong(t *testing.T) {
	if _, err := ledger.AppendEntry(nil, make([]byte, ledger.MaxLeaf)); err != nil {
		t.Error(err)
	}
	if _, err := ledger.AppendEntry(nil, make([]byte, ledger.MaxLeaf+1)); !errors.Is(err, ledger.ErrLeaf) {
		t.Errorf("a leaf of 65,536 bytes: %v", err)
	}
}
