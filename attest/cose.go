package attest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
)

// Labels and values of a COSE_Key (RFC 9053 sections 7 and 2, RFC 8230 section 4).
const (
	coseType, coseAlgorithm     = 1, 3
	coseCurve, coseX, coseY     = -1, -2, -3
	coseModulus, coseExponent   = -1, -2
	typeOctet, typeEC, typeRSA  = 1, 2, 3
	algES256, algEdDSA          = -7, -8
	algRS256                    = -257
	curveP256, curveEd25519     = 1, 6
	leastRSA, mostRSA, mostCOSE = 2048, 8192, 16
)

var errCOSE = errors.New("the public key is not a COSE_Key that is understood here (ES256, EdDSA with Ed25519, or RS256)")

// parseCOSE reads the public key of a passkey. The bytes are one CBOR map in
// the form that CTAP2 writes: the shortest, without repeated labels.
func parseCOSE(raw []byte) (crypto.PublicKey, error) {
	numbers, texts, err := coseMap(raw)
	if err != nil {
		return nil, err
	}
	switch [2]int64{numbers[coseType], numbers[coseAlgorithm]} {
	case [2]int64{typeEC, algES256}:
		x, y := texts[coseX], texts[coseY]
		if numbers[coseCurve] != curveP256 || len(x) != 32 || len(y) != 32 {
			return nil, errCOSE
		}
		k, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errCOSE, err)
		}
		return k, nil
	case [2]int64{typeOctet, algEdDSA}:
		if numbers[coseCurve] != curveEd25519 || len(texts[coseX]) != ed25519.PublicKeySize {
			return nil, errCOSE
		}
		return ed25519.PublicKey(texts[coseX]), nil
	case [2]int64{typeRSA, algRS256}:
		n, e := new(big.Int).SetBytes(texts[coseModulus]), texts[coseExponent]
		if n.BitLen() < leastRSA || n.BitLen() > mostRSA || n.Bit(0) == 0 || string(e) != "\x01\x00\x01" {
			return nil, errCOSE
		}
		return &rsa.PublicKey{N: n, E: 65537}, nil
	}
	return nil, errCOSE
}

// coseMap reads a CBOR map whose labels are integers and whose values are
// integers or byte strings.
func coseMap(raw []byte) (numbers map[int64]int64, texts map[int64][]byte, err error) {
	c := &cborReader{rest: raw}
	major, pairs := c.head()
	if major != cborMap || pairs > mostCOSE {
		return nil, nil, errCOSE
	}
	numbers, texts = map[int64]int64{}, map[int64][]byte{}
	for range pairs {
		label, ok := c.integer(c.head())
		_, twice := numbers[label]
		if _, also := texts[label]; !ok || twice || also {
			return nil, nil, errCOSE
		}
		major, n := c.head()
		if major == cborBytes {
			texts[label] = c.take(n)
		} else if numbers[label], ok = c.integer(major, n); !ok {
			return nil, nil, errCOSE
		}
	}
	if c.bad || len(c.rest) > 0 {
		return nil, nil, errCOSE
	}
	return numbers, texts, nil
}

// Major types of CBOR (RFC 8949 section 3.1).
const (
	cborUnsigned = 0
	cborNegative = 1
	cborBytes    = 2
	cborMap      = 5
)

// cborReader reads the little of CBOR that keys are written in. After a fault
// it is bad, and gives nothing any more.
type cborReader struct {
	rest []byte
	bad  bool
}

func (c *cborReader) take(n uint64) []byte {
	if c.bad || n > uint64(len(c.rest)) {
		c.bad = true
		return nil
	}
	out := c.rest[:n]
	c.rest = c.rest[n:]
	return out
}

// head reads a major type and its argument, in the shortest form.
func (c *cborReader) head() (major int, n uint64) {
	first := c.take(1)
	if c.bad {
		return -1, 0
	}
	info := first[0] & 31
	if info < 24 {
		return int(first[0] >> 5), uint64(info)
	}
	if info > 27 {
		c.bad = true
		return -1, 0
	}
	for _, b := range c.take(1 << (info - 24)) {
		n = n<<8 | uint64(b)
	}
	shortest := [4]uint64{24, 1 << 8, 1 << 16, 1 << 32}
	if n < shortest[info-24] {
		c.bad = true
	}
	return int(first[0] >> 5), n
}

func (c *cborReader) integer(major int, n uint64) (int64, bool) {
	const most = 1 << 31
	switch {
	case c.bad || n > most:
		return 0, false
	case major == cborUnsigned:
		return int64(n), true
	case major == cborNegative:
		return -1 - int64(n), true
	}
	return 0, false
}
