package attest

import (
	"bytes"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

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
	Type          string        `json:"_type"`
	Subject       []subjectJSON `json:"subject"`
	PredicateType record.Kind   `json:"predicateType"`
	Predicate     struct {
		statedJSON
		Statement statedJSON `json:"imprimatur_statement"`
	} `json:"predicate"`
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
	if !s.Raw.IsValid() {
		return nil, fmt.Errorf("%w: the record of a %s is not JSON", ErrStatement, s.Body.Kind())
	}
	name, digest := s.Subject()
	out := payloadWriter{text: make([]byte, 0, 512+len(s.Raw))}
	out.member(`{"_type":`, StatementType)
	out.member(`,"subject":[{"name":`, name)
	out.member(`,"digest":{"sha256":`, digest.Hex())
	out.member(`}}],"predicateType":`, string(s.Body.Kind()))
	out.text = append(out.text, `,"predicate":`...)
	stated := statedJSON{Actor: s.Actor, Time: s.Time.UTC().Format(statementTime), Request: s.Request, Record: s.Raw}
	switch body := s.Body.(type) {
	case record.Run:
		out.marshal(provenanceOf(body, stated))
	case record.Verdict:
		out.marshal(summaryOf(body, stated))
	default:
		out.stated(stated)
	}
	if out.err != nil {
		return nil, fmt.Errorf("writing a statement of a %s: %w", s.Body.Kind(), out.err)
	}
	return append(out.text, '}'), nil
}

// payloadWriter writes what json.Marshal would, at a third of the cost, since
// the record in it is compact JSON already. It keeps the first error.
type payloadWriter struct {
	text []byte
	err  error
}

// member writes what stands before a string, and the string.
func (w *payloadWriter) member(before, value string) {
	if w.err == nil {
		w.text, w.err = jsontext.AppendQuote(append(w.text, before...), value)
	}
}

func (w *payloadWriter) stated(s statedJSON) {
	w.member(`{"actor":`, s.Actor)
	w.member(`,"time":`, s.Time)
	if s.Request != "" {
		w.member(`,"request":`, s.Request)
	}
	w.text = append(w.text, `,"record":`...)
	w.text = append(append(w.text, s.Record...), '}')
}

func (w *payloadWriter) marshal(predicate any) {
	if w.err != nil {
		return
	}
	var raw []byte
	raw, w.err = json.Marshal(predicate, json.Deterministic(true))
	w.text = append(w.text, raw...)
}

// DecodeStatement reads a payload back, keeping members it does not know in
// the statement's Raw. Errors wrap [ErrStatement].
func DecodeStatement(payload []byte) (record.Statement, error) {
	if in, ok := scanPayload(payload); ok {
		if s, err := in.statement(); err == nil {
			return s, nil
		}
	}
	var in statementJSON
	if err := json.Unmarshal(payload, &in); err != nil {
		return record.Statement{}, fmt.Errorf("%w: %w", ErrStatement, err)
	}
	return in.statement()
}

func (in *statementJSON) statement() (record.Statement, error) {
	if in.Type != StatementType || len(in.Subject) != 1 {
		return record.Statement{}, fmt.Errorf("%w: it is not an in-toto Statement v1 with one subject", ErrStatement)
	}
	stated, err := in.stated()
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

// scanPayload takes apart a payload of our own kinds in the very form in which
// EncodeStatement writes it, at a tenth of what parsing it costs. The record is
// taken to be what stands before the last two braces; when it reads as one JSON
// object, so does the payload. Whatever else it is, the JSON package decides.
func scanPayload(payload []byte) (in statementJSON, ok bool) {
	rest, ok := bytes.CutSuffix(payload, []byte("}}"))
	text := func(before string) (value string) {
		if ok {
			rest, ok = bytes.CutPrefix(rest, []byte(before))
		}
		if ok {
			value, rest, ok = cutString(rest)
		}
		return value
	}
	in.Type = text(`{"_type":`)
	in.Subject = make([]subjectJSON, 1)
	in.Subject[0].Name = text(`,"subject":[{"name":`)
	in.Subject[0].Digest.SHA256 = text(`,"digest":{"sha256":`)
	in.PredicateType = record.Kind(text(`}}],"predicateType":`))
	in.Predicate.Actor = text(`,"predicate":{"actor":`)
	in.Predicate.Time = text(`,"time":`)
	if bytes.HasPrefix(rest, []byte(`,"request":`)) {
		in.Predicate.Request = text(`,"request":`)
	}
	if ok {
		rest, ok = bytes.CutPrefix(rest, []byte(`,"record":`))
	}
	in.Predicate.Record = bytes.Clone(rest)
	return in, ok && bytes.HasPrefix(rest, []byte("{")) && bytes.HasSuffix(rest, []byte("}"))
}

// cutString cuts a JSON string without escapes or characters beyond ASCII off
// the front; there is none where ok is false.
func cutString(text []byte) (value string, rest []byte, ok bool) {
	if len(text) == 0 || text[0] != '"' {
		return "", nil, false
	}
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return string(text[1:i]), text[i+1:], true
		case c == '\\' || c < ' ' || c >= utf8.RuneSelf:
			return "", nil, false
		}
	}
	return "", nil, false
}

// stated returns what the predicate states, wherever its kind has it.
func (in *statementJSON) stated() (statedJSON, error) {
	stated := in.Predicate.statedJSON
	if in.PredicateType == record.KindRun || in.PredicateType == record.KindVerdict {
		stated = in.Predicate.Statement
	}
	if stated.Actor == "" || len(stated.Record) == 0 {
		return stated, fmt.Errorf("%w: its predicate names no actor or no record", ErrStatement)
	}
	return stated, nil
}
