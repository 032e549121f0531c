package attest

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"runtime"

	"filippo.io/edwards25519"
	"golang.org/x/sync/errgroup"
)

// batchSize is where batch verification stops getting cheaper for each signature; smaller batches find a bad one faster.
const batchSize = 128

// Signed is a statement with the signature to be checked by [Trust.VerifyBatch]; Payload is the statement's JSON, not its PAE.
type Signed struct {
	Payload []byte
	Sig     []byte
	KeyID   string
}

// VerifyBatch checks many statements on all cores, each at about a quarter of the cost of [Trust.VerifyStatement]. It
// returns -1 when all are good, or the index of the first bad one and the error VerifyStatement gives for it.
func (t Trust) VerifyBatch(batch []Signed) (bad int, err error) {
	firstBad := make([]int, (len(batch)+batchSize-1)/batchSize)
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for n := range firstBad {
		start := n * batchSize
		part := batch[start:min(start+batchSize, len(batch))]
		group.Go(func() error {
			firstBad[n] = -1
			if t.allGood(part) {
				return nil
			}
			for i, s := range part {
				if t.VerifyStatement(s.Payload, s.Sig, s.KeyID) != nil {
					firstBad[n] = start + i
					break
				}
			}
			return nil
		})
	}
	_ = group.Wait() // no part returns an error: each leaves its finding in firstBad
	for _, i := range firstBad {
		if i >= 0 {
			return i, fmt.Errorf("statement %d of %d: %w", i, len(batch), t.VerifyStatement(batch[i].Payload, batch[i].Sig, batch[i].KeyID))
		}
	}
	return -1, nil
}

// allGood checks all signatures in one equation (Bernstein, Duif, Lange, Schwabe and Yang, "High-speed high-security
// signatures", section 5, with the cofactor of ZIP 215): for random 128-bit numbers z,
//
//	[8](Σ [z]R + Σ [Σ z·k]A − [Σ z·s]B) = 0, where k = SHA-512(R ‖ A ‖ message)
//
// The middle sum has one term for each key instead of one for each signature, which halves the work: a ledger has one
// key, or few. A bad signature, an unknown key and a malformed input all answer false.
func (t Trust) allGood(part []Signed) bool {
	sum := newEquation(len(part), len(t.keys))
	random := make([]byte, 16*len(part))
	_, _ = rand.Read(random) // it never fails (crypto/rand)
	for i, s := range part {
		if !sum.add(s, t.keys[s.KeyID], t.points[s.KeyID], random[16*i:][:16]) {
			return false
		}
	}
	return sum.holds()
}

// equation is the sum that must vanish: points, each with its number. The first point is the base point B.
type equation struct {
	points  []*edwards25519.Point
	numbers []*edwards25519.Scalar
	ofKey   map[string]*edwards25519.Scalar // Σ z·k of the keys met so far
	hash    hash.Hash
	scratch []byte
}

func newEquation(signatures, keys int) *equation {
	e := &equation{
		points:  make([]*edwards25519.Point, 1, 1+signatures+keys),
		numbers: make([]*edwards25519.Scalar, 1, 1+signatures+keys),
		ofKey:   make(map[string]*edwards25519.Scalar, keys),
		hash:    sha512.New(),
	}
	e.points[0], e.numbers[0] = edwards25519.NewGeneratorPoint(), edwards25519.NewScalar()
	return e
}

// add takes up one signature, weighed with a random number of 16 bytes.
func (e *equation) add(signed Signed, key ed25519.PublicKey, point *edwards25519.Point, random []byte) bool {
	if point == nil || len(signed.Sig) != ed25519.SignatureSize {
		return false
	}
	var weight [32]byte
	copy(weight[:], random)
	var k, s edwards25519.Scalar
	z := new(edwards25519.Scalar)
	r, err1 := new(edwards25519.Point).SetBytes(signed.Sig[:32])
	_, err2 := s.SetCanonicalBytes(signed.Sig[32:])
	_, err3 := z.SetCanonicalBytes(weight[:])
	_, err4 := k.SetUniformBytes(e.challenge(signed, key))
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return false
	}
	e.numbers[0].Subtract(e.numbers[0], s.Multiply(&s, z))
	sum, ok := e.ofKey[signed.KeyID]
	if !ok {
		sum = edwards25519.NewScalar()
		e.ofKey[signed.KeyID] = sum
		e.points, e.numbers = append(e.points, point), append(e.numbers, sum)
	}
	sum.MultiplyAdd(z, &k, sum)
	e.points, e.numbers = append(e.points, r), append(e.numbers, z)
	return true
}

// challenge is the hash that becomes k (RFC 8032, section 5.1.7), over the statement's [PAE]; it holds until the next.
func (e *equation) challenge(s Signed, key ed25519.PublicKey) []byte {
	e.hash.Reset()
	e.hash.Write(s.Sig[:32])
	e.hash.Write(key)
	e.scratch = appendPAE(e.scratch[:0], PayloadType, len(s.Payload))
	e.hash.Write(e.scratch)
	e.hash.Write(s.Payload)
	e.scratch = e.hash.Sum(e.scratch[:0])
	return e.scratch
}

func (e *equation) holds() bool {
	sum := new(edwards25519.Point).VarTimeMultiScalarMult(e.numbers, e.points)
	return sum.MultByCofactor(sum).Equal(edwards25519.NewIdentityPoint()) == 1
}
