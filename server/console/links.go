package console

import (
	"net/url"
	"strconv"
	"strings"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// Where the pages of things are. A thing is addressed by its own name, so that
// an address can be guessed, sent and kept.

func releaseHref(id string) string { return "/releases/" + url.PathEscape(id) }

// monitorHref is the page of what a release was seen to do.
func monitorHref(id string) string { return releaseHref(id) + "/monitor" }

// modelHref is the page of "team/name".
func modelHref(ref string) string { return "/models/" + escape(ref) }

// versionHref is the page of "team/name@version".
func versionHref(ref string) string {
	model, version, _ := strings.Cut(ref, "@")
	return modelHref(model) + "?version=" + url.QueryEscape(version)
}

// datasetHref is the page of "team/name".
func datasetHref(ref string) string { return "/data/" + escape(ref) }

// dataHref is the page of a dataset version by its digest.
func dataHref(d record.Digest) string { return "/datasets/" + url.PathEscape(string(d)) }

func runHref(ref string) string { return "/runs/" + escape(ref) }

func envelopeHref(id string) string { return "/envelopes/" + url.PathEscape(id) }

func vendorHref(name string) string { return "/vendors/" + url.PathEscape(name) }

func useCaseHref(ref string) string { return "/use-cases/" + escape(ref) }

// principalHref is the page of a principal. What the server states of itself is
// by the ledger, whose name no principal can have.
func principalHref(name string) string {
	if strings.Contains(name, "/") {
		return "/ledger"
	}
	return "/principals/" + url.PathEscape(name)
}

// policyHref is the page of one version of a policy, or of the newest.
func policyHref(name string, d record.Digest) string {
	if d == "" {
		return "/policies/" + url.PathEscape(name)
	}
	return "/policies/" + url.PathEscape(name) + "?version=" + url.QueryEscape(string(d))
}

// evaluationHref is the page of an evaluation by the digest of its record.
func evaluationHref(d record.Digest) string { return "/evaluations/" + record.EvaluationID(d) }

func entryHref(index int64) string { return "/ledger/" + strconv.FormatInt(index, 10) }

// escape escapes a reference, leaving the slash between team and name.
func escape(ref string) string {
	team, name, ok := strings.Cut(ref, "/")
	if !ok {
		return url.PathEscape(ref)
	}
	return url.PathEscape(team) + "/" + url.PathEscape(name)
}

// thingHref is the page of what an entry of the ledger is about.
func thingHref(e wire.Entry) string {
	body, err := record.Replay(e.Kind, e.Record)
	if err != nil {
		return entryHref(e.Index)
	}
	switch b := body.(type) {
	case record.Release:
		return releaseHref(record.ReleaseID(e.Digest))
	case record.Model:
		return modelHref(b.Ref())
	case record.ModelVersion:
		return versionHref(b.Ref())
	case record.Dataset:
		return dataHref(b.Digest)
	case record.Evaluation:
		return evaluationHref(e.Digest)
	case record.Promotion:
		return releaseHref(b.Release)
	case record.Window:
		return monitorHref(b.Release)
	case record.Suspension:
		return releaseHref(b.Release)
	case record.Retirement:
		return releaseHref(b.Release)
	case record.Run:
		return runHref(b.Ref())
	case record.UseCase:
		return useCaseHref(b.Ref())
	case record.Policy:
		return policyHref(b.Name, b.Digest)
	case record.Principal:
		return principalHref(b.Name)
	case record.Delegation:
		return principalHref(b.From)
	case record.Envelope:
		return envelopeHref(record.EnvelopeID(e.Digest))
	case record.EnvelopeWithdrawal:
		return envelopeHref(b.Envelope)
	case record.ModelVendor:
		return vendorHref(b.Name)
	case record.Assurance:
		return vendorHref(b.Vendor)
	case record.Probe:
		return probeHref(record.ProbeID(e.Digest))
	}
	return entryHref(e.Index)
}
