package attest

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"filippo.io/edwards25519"
	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"
)

func TestVerifyBatchNamesTheBadOne(t *testing.T) {
	key, stranger := newKey(t, "log"), newKey(t, "stranger")
	trust := trustIn(t, key)
	good := signedBy(key, 300)
	if bad, err := trust.VerifyBatch(good); bad != -1 || err != nil {
		t.Fatalf("all good: %d, %v", bad, err)
	}
	if bad, err := trust.VerifyBatch(nil); bad != -1 || err != nil {
		t.Errorf("nothing: %d, %v", bad, err)
	}
	rapid.Check(t, func(t *rapid.T) {
		batch := append([]Signed(nil), good[:rapid.IntRange(1, len(good)).Draw(t, "size")]...)
		want, wantErr := len(batch), error(nil)
		for range rapid.IntRange(1, 3).Draw(t, "bad ones") {
			i := rapid.IntRange(0, len(batch)-1).Draw(t, "index")
			broken, err := good[i], ErrBadSignature
			switch rapid.IntRange(0, 3).Draw(t, "how") {
			case 0:
				broken.Payload = []byte("other")
			case 1:
				broken.Sig = append([]byte(nil), broken.Sig...)
				broken.Sig[40] ^= 4
			case 2:
				broken.Sig = nil
			case 3:
				broken.Sig, broken.KeyID, err = stranger.Sign(broken.Payload), stranger.ID(), ErrUnknownKey
			}
			batch[i] = broken
			if i <= want {
				want, wantErr = i, err
			}
		}
		if bad, err := trust.VerifyBatch(batch); bad != want || !errors.Is(err, wantErr) {
			t.Fatalf("VerifyBatch = %d, %v; want %d, %v", bad, err, want, wantErr)
		}
	})
}

func signedBy(key *Key, n int) []Signed {
	batch := make([]Signed, n)
	for i := range batch {
		payload := fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","n":%d,"pad":%q}`, i, strings.Repeat("x", 600))
		batch[i] = Signed{Payload: payload, Sig: key.Sign(payload), KeyID: key.ID()}
	}
	return batch
}

// The signatures of several keys, mixed, and each against the word on it alone.
func TestVerifyBatchOfSeveralKeys(t *testing.T) {
	keys := []*Key{newKey(t, "log"), newKey(t, "log"), newKey(t, "other")}
	trust := trustIn(t, keys...)
	rapid.Check(t, func(t *rapid.T) {
		batch := make([]Signed, rapid.IntRange(1, 150).Draw(t, "size"))
		for i := range batch {
			payload := fmt.Appendf(nil, `{"n":%d}`, i)
			key := rapid.SampledFrom(keys).Draw(t, "key")
			batch[i] = Signed{Payload: payload, Sig: key.Sign(payload), KeyID: key.ID()}
		}
		if bad, err := trust.VerifyBatch(batch); bad != -1 || err != nil {
			t.Fatalf("all good: %d, %v", bad, err)
		}
		i := rapid.IntRange(0, len(batch)-1).Draw(t, "bad one")
		other := rapid.SampledFrom(keys).Filter(func(k *Key) bool { return k.ID() != batch[i].KeyID }).Draw(t, "passed off as")
		batch[i].KeyID = other.ID()
		if bad, err := trust.VerifyBatch(batch); bad != i || !errors.Is(err, ErrBadSignature) {
			t.Fatalf("VerifyBatch = %d, %v; want %d", bad, err, i)
		}
	})
}

// Two signatures are changed so that their faults add up to nothing; only the
// random weights tell.
func TestVerifyBatchIsNotFooledByFaultsThatCancel(t *testing.T) {
	key := newKey(t, "log")
	batch := signedBy(key, 2)
	one, err := edwards25519.NewScalar().SetCanonicalBytes(append([]byte{1}, make([]byte, 31)...))
	if err != nil {
		t.Fatal(err)
	}
	for i, change := range []func(a *edwards25519.Scalar) *edwards25519.Scalar{
		func(a *edwards25519.Scalar) *edwards25519.Scalar { return a.Add(a, one) },
		func(a *edwards25519.Scalar) *edwards25519.Scalar { return a.Subtract(a, one) },
	} {
		s, err := edwards25519.NewScalar().SetCanonicalBytes(batch[i].Sig[32:])
		if err != nil {
			t.Fatal(err)
		}
		batch[i].Sig = append(slices.Clone(batch[i].Sig[:32]), change(s).Bytes()...)
	}
	trust := trustIn(t, key)
	if trust.allGood(batch) {
		t.Error("faults that cancel pass the equation")
	}
	if bad, err := trust.VerifyBatch(batch); bad != 0 || !errors.Is(err, ErrBadSignature) {
		t.Errorf("VerifyBatch = %d, %v", bad, err)
	}
}

// The eight points of small order and the encodings of them that are not
// canonical (ZIP 215 takes them all): with s = 0 a signature of any message.
// What is accepted alone must be accepted in a batch, and the other way round.
func TestVerifyBatchAgreesAtTheEdges(t *testing.T) {
	encodings := []string{
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"0100000000000000000000000000000000000000000000000000000000000080",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0200000000000000000000000000000000000000000000000000000000000000", // no point at all
	}
	order := "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010" // L: s must be below
	accepted := 0
	for _, a := range encodings {
		vkey, err := note.NewEd25519VerifierKey("edge", ed25519.PublicKey(unhex(t, a)))
		if err != nil {
			t.Fatal(err)
		}
		trust, err := ParseTrust([]byte(vkey))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range encodings {
			for _, s := range []string{strings.Repeat("00", 32), order} {
				one := Signed{Payload: []byte("{}"), Sig: unhex(t, r+s), KeyID: trust.KeyIDs()[0]}
				alone := trust.VerifyStatement(one.Payload, one.Sig, one.KeyID) == nil
				if got := trust.allGood([]Signed{one, one, one}); got != alone {
					t.Errorf("key %s, signature %s%s: %v alone, %v in a batch", a, r, s, alone, got)
				}
				if alone {
					accepted++
				}
			}
		}
	}
	if accepted != 64 {
		t.Errorf("%d of the 64 pairs of small order are accepted", accepted)
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	out, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// BenchmarkVerifyBatch reports nanoseconds for one batch of 1,024 statements and, as the figure to compare with
// BenchmarkVerifyStatement, for each signature.
func BenchmarkVerifyBatch(b *testing.B) {
	key := newKey(b, "log")
	trust, batch := trustIn(b, key), signedBy(key, 1024)
	for b.Loop() {
		if _, err := trust.VerifyBatch(batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(batch)), "ns/signature")
}
