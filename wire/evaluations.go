package wire

import "imprimatur.dev/record"

// MaxEvidence is the largest file of evidence, in bytes.
const MaxEvidence = 4 << 30

// Kept is a file of evidence that the server holds.
type Kept struct {
	Digest record.Digest `json:"digest"`
}

// Submission asks for the evaluations that were uploaded as files to be read
// and recorded. What is in the files is read by the server; the run says what
// surrounds them.
type Submission struct {
	Run   record.EvaluationRun `json:"run"`
	Files []EvidenceFile       `json:"files"`
	// Envelope is a signed run, a DSSE envelope in JSON, in base64.
	Envelope []byte `json:"envelope,omitzero"`
}

// EvidenceFile is an uploaded file with the name that it had.
type EvidenceFile struct {
	Name   string        `json:"name"`
	Digest record.Digest `json:"digest"`
}

// KeyEnrolment enrols a principal's key.
type KeyEnrolment struct {
	Key record.PrincipalKey `json:"key"`
	// Proof is the key's signature of the record in canonical JSON, as of the
	// payload of an in-toto envelope: it shows that the key is at hand.
	Proof []byte `json:"proof"`
	// OverlapSeconds is how long the key that it replaces still counts, if it does
	// replace one.
	OverlapSeconds int64 `json:"overlapSeconds,omitzero"`
}
