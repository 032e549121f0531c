package wire

import (
	"time"

	"imprimatur.dev/record"
)

// AssuranceRequest records a document of a vendor, whose file was sent before.
type AssuranceRequest struct {
	Type     string         `json:"type"`
	Document record.RawFile `json:"document"`
	Scope    string         `json:"scope"`
	Issuer   string         `json:"issuer"`
	Issued   time.Time      `json:"issued,omitzero"`
	// Expires is when it speaks no more.
	Expires time.Time       `json:"expires"`
	Clauses []record.Clause `json:"clauses,omitzero"`
}

// AssuranceEnd withdraws a document.
type AssuranceEnd struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// How a document of a vendor stands.
const (
	AssuranceStands    = "stands"
	AssuranceLapsed    = "lapsed"
	AssuranceWithdrawn = "withdrawn"
	AssuranceComing    = "not yet"
)

// AssuranceStatus is a document as it stands.
type AssuranceStatus struct {
	ID       string                            `json:"id"`
	Document record.Recorded[record.Assurance] `json:"document"`
	// State is one of the states above.
	State string `json:"state"`
}

// VendorStatus is a vendor as it stands.
type VendorStatus struct {
	Vendor    record.Recorded[record.ModelVendor] `json:"vendor"`
	Documents []AssuranceStatus                   `json:"documents"`
	// Next is when the next of those that stand lapses.
	Next time.Time `json:"next,omitzero"`
	// Probes are the newest of each model and suite. Only the vendor's own answer has them.
	Probes []ProbeStatus `json:"probes,omitzero"`
	// Live are the live releases of the team that rest on the vendor. Only the vendor's own
	// answer has them.
	Live []VendorUse `json:"live,omitzero"`
}

// VendorUse is a live release that rests on a vendor.
type VendorUse struct {
	LiveIn
	Release string `json:"release"`
	// Model is the release's own.
	Model string `json:"model"`
	// ProbeDue is by when the first of the vendor's models that it uses is to be probed again, where its policy asks
	// for that.
	ProbeDue time.Time `json:"probeDue,omitzero"`
}

// ServiceRequest takes a vendor's model as a version.
type ServiceRequest struct {
	// Version is "team/name@version" of the model that it becomes.
	Version string `json:"version"`
	// Vendor is the name of a vendor of the team, Service the ID by which it knows the model.
	Vendor     string `json:"vendor,omitzero"`
	Service    string `json:"service,omitzero"`
	APIVersion string `json:"apiVersion,omitzero"`
	// Probe is the ID of a probe whose answers are accepted with it; it says what the model is.
	Probe string `json:"probe,omitzero"`
}

// ModelSeen is by what name and fingerprint a vendor's model has answered under a release.
type ModelSeen struct {
	Release string `json:"release"`
	Vendor  string `json:"vendor"`
	// Model is what was asked for.
	Model       string `json:"model"`
	Answered    string `json:"answered,omitzero"`
	Fingerprint string `json:"fingerprint,omitzero"`
}

// ModelJudged says whether that is another model than was accepted, and why.
type ModelJudged struct {
	Changed bool   `json:"changed"`
	Detail  string `json:"detail,omitzero"`
}

// ProbeSubmission names the files of a probe that were sent as evidence: the suite, and what the
// model answered.
type ProbeSubmission struct {
	// Vendor is "team/name".
	Vendor  string        `json:"vendor"`
	Suite   record.Digest `json:"suite"`
	Answers record.Digest `json:"answers"`
}

// ProbeStatus is the newest probe of one of a vendor's models by one suite.
type ProbeStatus struct {
	ID    string                        `json:"id"`
	Probe record.Recorded[record.Probe] `json:"probe"`
	// Due is by when the model is to be probed again for a live release, where it is the newest probe of it and a policy asks for
	// that. Only the vendor's own answer has it.
	Due time.Time `json:"due,omitzero"`
}
