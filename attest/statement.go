package attest

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/record"
)

// StatementType is the type of an in-toto Statement v1 (in-toto attestation
// framework, spec/v1/statement.md).
const StatementType = "https://in-toto.io/Statement/v1"

// statementTime is RFC 3339 in UTC with exactly three decimals.
const statementTime = "2006-01-02T15:04:05.000Z"

// ErrStatement is wrapped by every error about the shape of a statement.
var ErrStatement = errors.New("not a statement of Imprimatur")

type statementJSON struct {
	Type          string         `json:"_type"`
	Subject       []subjectJSON  `json:"subject"`
	PredicateType record.Kind    `json:"predicateType"`
	Predicate     jsontext.Value `json:"predicate"`
}

type subjectJSON struct {
	Name   string `json:"name"`
	Digest struct {
		SHA256 string `json:"sha256"`
	} `json:"digest"`
}

// statedJSON is the predicate of our own kinds. The vetted predicates carry
// the same members under the name "imprimatur_statement": SLSA asks producers
// of extension fields for such a prefix (Provenance v1, "Extension fields").
type statedJSON struct {
	Actor   string         `json:"actor"`
	Time    string         `json:"time"`
	Request string         `json:"request,omitzero"`
	Record  jsontext.Value `json:"record"`
}

// EncodeStatement writes a statement as an in-toto Statement v1: the payload of
// its envelope. Training runs become SLSA Provenance v1 and verdicts SLSA
// Verification Summary v1, whose standard members are derived from the record.
func EncodeStatement(s record.Statement) ([]byte, error) {
	stated := statedJSON{Actor: s.Actor, Time: s.Time.UTC().Format(statementTime), Request: s.Request, Record: s.Raw}
	var predicate any = stated
	switch body := s.Body.(type) {
	case record.Run:
		predicate = provenanceOf(body, stated)
	case record.Verdict:
		predicate = summaryOf(body, stated)
	}
	raw, err := json.Marshal(predicate, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("writing the predicate of a %s: %w", s.Body.Kind(), err)
	}
	name, digest := s.Subject()
	out := statementJSON{Type: StatementType, PredicateType: s.Body.Kind(), Predicate: raw, Subject: make([]subjectJSON, 1)}
	out.Subject[0].Name = name
	out.Subject[0].Digest.SHA256 = digest.Hex()
	payload, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("writing a statement of a %s: %w", s.Body.Kind(), err)
	}
	return payload, nil
}

// DecodeStatement reads a payload back, keeping members it does not know in
// the statement's Raw. Errors wrap [ErrStatement].
func DecodeStatement(payload []byte) (record.Statement, error) {
	var in statementJSON
	if err := json.Unmarshal(payload, &in); err != nil {
		return record.Statement{}, fmt.Errorf("%w: %w", ErrStatement, err)
	}
	if in.Type != StatementType || len(in.Subject) != 1 {
		return record.Statement{}, fmt.Errorf("%w: it is not an in-toto Statement v1 with one subject", ErrStatement)
	}
	stated, err := decodeStated(in.PredicateType, in.Predicate)
	if err != nil {
		return record.Statement{}, err
	}
	at, err := time.Parse(statementTime, stated.Time)
	if err != nil {
		return record.Statement{}, fmt.Errorf("%w: time %q is not UTC with milliseconds", ErrStatement, stated.Time)
	}
	body, err := record.Replay(in.PredicateType, stated.Record)
	if err != nil {
		return record.Statement{}, fmt.Errorf("%w: %w", ErrStatement, err)
	}
	s := record.Statement{Actor: stated.Actor, Time: at.UTC(), Request: stated.Request, Raw: stated.Record, Body: body}
	name, digest := s.Subject()
	if in.Subject[0].Name != name || in.Subject[0].Digest.SHA256 != digest.Hex() {
		return record.Statement{}, fmt.Errorf("%w: its subject %q is not what its record is about", ErrStatement, in.Subject[0].Name)
	}
	return s, nil
}

func decodeStated(kind record.Kind, predicate jsontext.Value) (statedJSON, error) {
	var stated statedJSON
	var err error
	if kind == record.KindRun || kind == record.KindVerdict {
		var outer struct {
			Statement *statedJSON `json:"imprimatur_statement"`
		}
		if err = json.Unmarshal(predicate, &outer); err == nil && outer.Statement != nil {
			stated = *outer.Statement
		}
	} else {
		err = json.Unmarshal(predicate, &stated)
	}
	switch {
	case err != nil:
		return stated, fmt.Errorf("%w: %w", ErrStatement, err)
	case stated.Actor == "" || len(stated.Record) == 0:
		return stated, fmt.Errorf("%w: its predicate names no actor or no record", ErrStatement)
	}
	return stated, nil
}
