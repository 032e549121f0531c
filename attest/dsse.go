package attest

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// PayloadType is the DSSE payload type of an in-toto statement (in-toto attestation framework, spec/v1/envelope.md).
const PayloadType = "application/vnd.in-toto+json"

// ErrEnvelope is wrapped by every error about the shape of an envelope.
var ErrEnvelope = errors.New("not a DSSE envelope")

// Envelope is a DSSE envelope. Its JSON form is the one of the DSSE specification, with standard padded base64.
type Envelope struct {
	Payload     []byte      `json:"payload"`
	PayloadType string      `json:"payloadType"`
	Signatures  []Signature `json:"signatures"`
}

// Signature is one signature of an [Envelope]: the id of the key and the raw signature bytes.
type Signature struct {
	KeyID string `json:"keyid"`
	Sig   []byte `json:"sig"`
}

// PAE is the DSSE v1 pre-authentication encoding, the bytes a signature covers:
// "DSSEv1 LEN(type) type LEN(payload) payload", lengths in decimal bytes (DSSE protocol.md, "Signature Definition").
func PAE(payloadType string, payload []byte) []byte {
	b := make([]byte, 0, len("DSSEv1 ")+len(payloadType)+len(payload)+2*20+3)
	return append(appendPAE(b, payloadType, len(payload)), payload...)
}

// appendPAE appends what stands before the payload in its [PAE].
func appendPAE(b []byte, payloadType string, length int) []byte {
	b = append(b, "DSSEv1 "...)
	b = strconv.AppendInt(b, int64(len(payloadType)), 10)
	b = append(b, ' ')
	b = append(b, payloadType...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(length), 10)
	return append(b, ' ')
}

// Marshal returns the envelope as compact JSON, its members in the order payload, payloadType, signatures.
// It refuses an envelope that [ParseEnvelope] would refuse.
func (e Envelope) Marshal() ([]byte, error) {
	if err := e.validate(); err != nil {
		return nil, err
	}
	data, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("writing envelope: %w", err)
	}
	return data, nil
}

// ParseEnvelope reads an envelope strictly; white space and the order of members are free, nothing else is.
// It checks no signature: see [Trust.Open].
func ParseEnvelope(data []byte) (Envelope, error) {
	var e Envelope
	if err := json.Unmarshal(data, &e, json.RejectUnknownMembers(true)); err != nil {
		return Envelope{}, fmt.Errorf("%w: %w", ErrEnvelope, err)
	}
	again, err := e.Marshal()
	if err != nil {
		return Envelope{}, err
	}
	if same, err := sameJSON(data, again); err != nil {
		return Envelope{}, fmt.Errorf("%w: %w", ErrEnvelope, err)
	} else if !same {
		return Envelope{}, fmt.Errorf("%w: a member is missing, null, or not plain base64", ErrEnvelope)
	}
	return e, nil
}

func (e Envelope) validate() error {
	switch {
	case e.PayloadType == "":
		return fmt.Errorf("%w: payloadType is empty", ErrEnvelope)
	case len(e.Signatures) != 1:
		return fmt.Errorf("%w: it has %d signatures and must have exactly one", ErrEnvelope, len(e.Signatures))
	case e.Signatures[0].KeyID == "":
		return fmt.Errorf("%w: the signature names no key", ErrEnvelope)
	case len(e.Signatures[0].Sig) == 0:
		return fmt.Errorf("%w: the signature is empty", ErrEnvelope)
	}
	return nil
}

// sameJSON reports whether two texts are the same JSON value. Comparing what was read with what would be written
// closes every gap that a lenient decoder leaves, without listing the gaps.
func sameJSON(a, b []byte) (bool, error) {
	left, right := jsontext.Value(bytes.Clone(a)), jsontext.Value(bytes.Clone(b))
	if err := left.Canonicalize(); err != nil {
		return false, err
	}
	if err := right.Canonicalize(); err != nil {
		return false, err
	}
	return bytes.Equal(left, right), nil
}
