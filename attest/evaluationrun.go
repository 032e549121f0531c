package attest

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/record"
)

// ErrRun is wrapped by every error about the content of a signed evaluation run.
var ErrRun = errors.New("not a signed evaluation run")

// runJSON is an in-toto Statement v1 about the model that was evaluated, with
// the run as its predicate (spec/v1/statement.md).
type runJSON struct {
	Type          string               `json:"_type"`
	Subject       []subjectJSON        `json:"subject"`
	PredicateType string               `json:"predicateType"`
	Predicate     record.EvaluationRun `json:"predicate"`
}

const runSubject = "model"

// EncodeRun writes an evaluation run as an in-toto statement, to be signed with
// [Key.Seal]. It must name its artifact.
func EncodeRun(run record.EvaluationRun) ([]byte, error) {
	if err := run.Artifact.Validate(); err != nil {
		return nil, fmt.Errorf("writing an evaluation run: its artifact: %w", err)
	}
	out := runJSON{Type: StatementType, Subject: []subjectJSON{{Name: runSubject}}, PredicateType: record.EvaluationRunType, Predicate: run}
	out.Subject[0].Digest.SHA256 = run.Artifact.Hex()
	raw, err := json.Marshal(out, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("writing an evaluation run: %w", err)
	}
	return raw, nil
}

// DecodeRun reads the payload of a signed evaluation run, strictly. It checks
// no signature: see [Trust.VerifyStatement]. Errors wrap [ErrRun].
func DecodeRun(payload []byte) (record.EvaluationRun, error) {
	var in runJSON
	if err := json.Unmarshal(payload, &in, json.RejectUnknownMembers(true)); err != nil {
		return record.EvaluationRun{}, fmt.Errorf("%w: %w", ErrRun, err)
	}
	run := in.Predicate
	switch {
	case in.Type != StatementType || in.PredicateType != record.EvaluationRunType:
		return run, fmt.Errorf("%w: it is a %q of the type %q", ErrRun, in.Type, in.PredicateType)
	case len(in.Subject) != 1 || in.Subject[0].Digest.SHA256 != run.Artifact.Hex() || run.Artifact.Validate() != nil:
		return run, fmt.Errorf("%w: its subject is not the model that its run names", ErrRun)
	}
	return run, nil
}
