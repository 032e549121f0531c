package record_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/record"
)

func faultsOfVendors() []fault {
	return []fault{
		wrong("team", func(v *record.ModelVendor) { v.Team = "*" }),
		wrong("name", func(v *record.ModelVendor) { v.Name = "Parrot Inc." }),
		wrong("owner", func(v *record.ModelVendor) { v.Owner = "" }),
		wrong("contact", func(v *record.ModelVendor) { v.Contact = " " }),
		wrong("description", func(v *record.ModelVendor) { v.Description = bidi }),
		wrong("vendor", func(a *record.Assurance) { a.Vendor = "" }),
		wrong("type", func(a *record.Assurance) { a.Type = "SOC 2" }),
		wrong("document.name", func(a *record.Assurance) { a.Document.Name = "" }),
		wrong("document.digest", func(a *record.Assurance) { a.Document.Digest = "x" }),
		wrong("document.bytes", func(a *record.Assurance) { a.Document.Bytes = 0 }),
		wrong("scope", func(a *record.Assurance) { a.Scope = "" }),
		wrong("issuer", func(a *record.Assurance) { a.Issuer = bidi }),
		wrong("expires is not given", func(a *record.Assurance) { a.Issued, a.Expires = time.Time{}, time.Time{} }),
		wrong("expires is not after issued", func(a *record.Assurance) { a.Expires = a.Issued }),
		wrong("clauses.name", func(a *record.Assurance) { a.Clauses[0].Name = "" }),
		wrong("names model-change-notice twice", func(a *record.Assurance) { a.Clauses = append(a.Clauses, a.Clauses[0]) }),
		wrong("days -1", func(a *record.Assurance) { a.Clauses[0].Days = ptr(-1) }),
		wrong("where is empty", func(a *record.Assurance) { a.Clauses[0].Where = "" }),
		wrong("reason is empty", func(a *record.Assurance) { a.Reason = "" }),
		wrong("vendor", func(p *record.Probe) { p.Vendor = "" }),
		wrong("model", func(p *record.Probe) { p.Model = "a\nb" }),
		wrong("suite", func(p *record.Probe) { p.Suite = "" }),
		wrong("result", func(p *record.Probe) { p.Result = "fine" }),
		wrong("baseline is for", func(p *record.Probe) { p.Baseline = "" }),
		wrong("falseAlarm 2", func(p *record.Probe) { p.FalseAlarm = 2 }),
		wrong("missing -1", func(p *record.Probe) { p.Missing = -1 }),
		wrong("names and systems", func(p *record.Probe) { p.Names = []string{bidi} }),
		wrong("service is only for", func(v *record.ModelVersion) { serve(v); v.Type = record.Trained }),
		wrong("service.vendor", func(v *record.ModelVersion) { serve(v); v.Service.Vendor = "*"; file(v) }),
		wrong("service.model", func(v *record.ModelVersion) { serve(v); v.Service.Model = ""; file(v) }),
		wrong("service.apiVersion", func(v *record.ModelVersion) { serve(v); v.Service.APIVersion = "a\nb"; file(v) }),
		wrong("service.fingerprint", func(v *record.ModelVersion) { serve(v); v.Service.Fingerprint = "x"; file(v) }),
		wrong("files is not the one file service.json", func(v *record.ModelVersion) { serve(v); v.Service.Model = "chat-3" }),
	}
}

// serve makes a version of a vendor's service.
func serve(v *record.ModelVersion) {
	v.Type, v.Run, v.Bases, v.Findings = record.Vendor, "", nil, nil
	v.Service = &record.Service{Vendor: "parrot", Model: "chat-2"}
	file(v)
}

// file gives it the one file that says so.
func file(v *record.ModelVersion) {
	raw, err := v.Service.Canonical()
	if err != nil {
		panic(err)
	}
	v.Files = []record.File{{Path: record.ServiceFile, SHA256: record.DigestOf(raw).Hex(), Size: int64(len(raw))}}
}

func TestServiceOfAVendorIsValid(t *testing.T) {
	v := examples()[record.KindModelVersion].(record.ModelVersion)
	serve(&v)
	if err := v.Validate(); err != nil {
		t.Fatal(err)
	}
	keys := v.Keys("")
	if keys[len(keys)-1] != record.KeyService("acme/parrot", "chat-2") {
		t.Errorf("keys %q", keys)
	}
}

func TestAssuranceIsAsItWasLastStatedByThen(t *testing.T) {
	stated := func(document string, withdrawn bool, at time.Time) record.Recorded[record.Assurance] {
		return record.Recorded[record.Assurance]{Record: record.Assurance{Team: "acme", Vendor: "parrot", Type: "dpa", Document: record.RawFile{Digest: digest(document)}, Withdrawn: withdrawn}, Time: at}
	}
	all := []record.Recorded[record.Assurance]{stated("a", false, noon), stated("b", false, noon), stated("a", true, noon.Add(time.Hour))}
	for at, want := range map[time.Time][]bool{noon.Add(-1): nil, noon: {false, false}, noon.Add(time.Hour): {true, false}} {
		var got []bool
		for _, a := range record.AssuranceAt(all, at) {
			got = append(got, a.Record.Withdrawn)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("at %s: %s", at, diff)
		}
	}
}

func TestVendorsThatAReleaseUses(t *testing.T) {
	v := examples()[record.KindModelVersion].(record.ModelVersion)
	serve(&v)
	rel := record.Release{Authority: record.Authority{Models: []record.Grant{{Resource: "zoo/owl"}, {Resource: "parrot/*"}, {Resource: "zoo/owl"}}}}
	want := []record.VendorFacts{
		{Name: "parrot", Uses: []string{"the model acme/triage@1", "the grant of parrot/*"}},
		{Name: "zoo", Uses: []string{"the grant of zoo/owl"}},
	}
	if diff := cmp.Diff(want, record.VendorsUsed(rel, []record.ModelVersion{v})); diff != "" {
		t.Error(diff)
	}
}
