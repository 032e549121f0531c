package policy

import (
	"fmt"
	"slices"
	"time"

	"imprimatur.dev/record"
)

// Example builds a dossier of a made-up release for a tier: complete, by
// different people, with numbers that meet every requirement, with an earlier
// release in production, and with an anchor of the use case that is as good as
// that. Expressions of the policy's own may still
// refuse it. It is the ground on which the tests beside a policy make their
// changes, and panics if the policy has no such tier.
//
// Its names: team acme, model acme/triage, use case acme/triage-queue of the
// purpose triage, environment production, run acme/run-1 by the workload
// pipeline owned by tess, evaluations by ed, dataset acme/cases@1 approved by
// stella, proposed by pat, and approvers named after role and seat: risk-1. Slices
// of a dimension site are called site-1, site-2 and so on. Where the tier asks for
// vendors, the release may call parrot/chat-2 of the vendor parrot, whom pat answers for.
func (p *Policy) Example(tier string, at time.Time) *record.Dossier {
	t := p.Tier(tier)
	if t == nil {
		panic(fmt.Sprintf("policy %s has no tier %q", p.Name, tier))
	}
	x := example{policy: p, tier: t, at: record.Millis(at), d: &record.Dossier{People: map[string]record.Person{}}}
	x.people()
	x.lineage()
	x.evaluations()
	x.misuse()
	x.heldOut()
	x.release()
	x.production()
	x.approvals()
	return x.d
}

type example struct {
	policy *Policy
	tier   *Tier
	at     time.Time
	d      *record.Dossier
	index  int64
}

const (
	exampleTeam = "acme"
	day         = 24 * time.Hour
)

func exampleDigest(of string) record.Digest { return record.DigestOf([]byte("example " + of)) }

// recorded stamps a record; each is stated an hour after the one before.
func recorded[T record.Body](x *example, actor, name string, body T) record.Recorded[T] {
	x.index++
	return record.Recorded[T]{
		Record: body, Digest: exampleDigest(name), Actor: actor, Statement: exampleDigest("statement of " + name),
		Time: x.at.Add(-day).Add(time.Duration(x.index) * time.Minute), Index: x.index,
	}
}

func (x *example) person(name string, held ...record.RoleName) {
	p := record.Person{Principal: record.Principal{Name: name, Type: record.Human, Emails: []string{name + "@acme.example"}}}
	for _, r := range held {
		p.Roles = append(p.Roles, record.Role{Principal: name, Role: r, Team: exampleTeam})
	}
	x.d.People[name] = p
}

func (x *example) people() {
	x.person("tess", record.Contributor)
	x.person("cody", record.Contributor)
	x.person("pat", record.Contributor)
	x.person("ed", record.Evaluator)
	x.person("stella", record.DataSteward)
	x.person("rita", record.Risk)
	x.d.People["pipeline"] = record.Person{Principal: record.Principal{
		Name: "pipeline", Type: record.Workload, Owner: "tess", Purpose: "training", Expires: x.at.Add(365 * day),
	}}
}

func (x *example) lineage() {
	d := x.d
	artifact, data := exampleDigest("artifact"), exampleDigest("dataset")
	d.Datasets = []record.DatasetFacts{{
		Dataset: recorded(x, "stella", "dataset record", record.Dataset{
			Team: exampleTeam, Name: "cases", Version: "1", Digest: data, Source: "s3://acme/cases", Classification: "internal", Owner: "stella",
		}),
		Approvals: []record.Recorded[record.DataApproval]{recorded(x, "stella", "data approval", record.DataApproval{
			Dataset: data, Decision: record.Allow, Purposes: []string{"triage"}, Expires: x.at.Add(365 * day), Reason: "collected for this",
		})},
	}}
	d.Runs = []record.Recorded[record.Run]{recorded(x, "pipeline", "run", record.Run{
		Team: exampleTeam, ID: "run-1",
		Code:    record.Code{Repository: "https://git.acme.example/triage", Commit: "0123456789abcdef0123456789abcdef01234567", Author: "cody@acme.example"},
		Inputs:  []record.Resource{{Type: record.ResourceDataset, Name: "cases", Digest: data}},
		Outputs: []record.Resource{{Type: record.ResourceModel, Name: "triage", Digest: artifact}},
		Started: x.at.Add(-2 * day), Finished: x.at.Add(-day),
	})}
	d.Version = recorded(x, "pipeline", "version", record.ModelVersion{
		Model: exampleTeam + "/triage", Version: "2", Type: record.Trained, Artifact: artifact, Run: exampleTeam + "/run-1",
		Files: []record.File{{Path: "model.safetensors", SHA256: artifact.Hex(), Size: 1 << 20}},
	})
	d.UseCase = recorded(x, "pat", "use case", record.UseCase{
		Team: exampleTeam, Name: "triage-queue", Title: "Sort the queue", Purpose: "triage", Owner: "pat",
		Tier: x.tier.Name, Environments: []string{"staging", "production"},
	})
	d.Environment = recorded(x, "pat", "environment", record.Environment{Name: "production", LeastTier: x.tier.Name, Policy: x.policy.Name})
}

func (x *example) release() {
	d := x.d
	named := make([]record.Digest, len(d.Evaluations))
	for i, e := range d.Evaluations {
		named[i] = e.Digest
	}
	slices.Sort(named)
	r := record.Release{
		Behaviour: record.Behaviour{
			Model: d.Version.Record.Model, Version: d.Version.Record.Version, Type: d.Version.Record.Type,
			Artifact: d.Version.Record.Artifact, Evaluations: named,
		},
		Data: record.ReleaseData{Runs: []string{"acme/run-1"}, Datasets: []record.Digest{d.Datasets[0].Dataset.Record.Digest}},
		Authority: record.Authority{
			Tools: []record.Grant{{
				Resource: "notify-clinician", Actions: []string{"send"}, Definition: exampleDigest("tool"),
				Limit: record.Limit{Calls: 10, Seconds: 60}, Why: "to tell the clinician on duty",
			}},
			Records: []record.Grant{{Resource: "queue", Actions: []string{"update"}, Limit: record.Limit{Calls: 100, Seconds: 60}}},
			Secrets: []record.Grant{{Resource: "queue-key", Actions: []string{"use"}, Limit: record.Limit{Calls: 100, Seconds: 60}}},
		},
		Context: record.Context{
			UseCase: d.UseCase.Record.Ref(), Tier: x.tier.Name, Environment: "production", Owner: "pat",
			Policy: record.PolicyRef{Name: x.policy.Name, Digest: x.policy.Digest},
			Misuse: d.UseCase.Record.RequiredMisuse(),
		},
	}
	if x.tier.Vendor != nil {
		r.Authority.Models = []record.Grant{{Resource: "parrot/chat-2", Actions: []string{"chat"}, Limit: record.Limit{Calls: 100, Seconds: 60}}}
		d.Vendors = record.VendorsUsed(r, nil)
		x.vendor(&d.Vendors[0])
	}
	d.Release = recorded(x, "pat", "release", r)
	refreeze(d)
}

// vendor has the documents and clauses that the tier asks for, one of each type.
func (x *example) vendor(f *record.VendorFacts) {
	f.Stated = recorded(x, "pat", "vendor", record.ModelVendor{Team: exampleTeam, Name: f.Name, Owner: "pat", Contact: "trust@parrot.example"})
	kinds := x.tier.Vendor.Assurance
	if len(kinds) == 0 {
		kinds = []string{"contract"}
	}
	for i, kind := range kinds {
		a := record.Assurance{
			Team: exampleTeam, Vendor: f.Name, Type: kind, Scope: "the API", Issuer: "Parrot", Expires: x.at.Add(365 * day),
			Document: record.RawFile{Name: kind + ".pdf", Digest: exampleDigest(kind), Bytes: 1 << 20},
		}
		for _, c := range x.tier.Vendor.Clauses {
			if i > 0 {
				break
			}
			days := c.AtLeast
			if days == nil {
				days = c.AtMost
			}
			a.Clauses = append(a.Clauses, record.Clause{Name: c.Name, Given: true, Days: days, Where: "section 4"})
		}
		f.Assurances = append(f.Assurances, recorded(x, "pat", kind, a))
	}
}

// refreeze computes the digests of a release after a change. A release that can
// be built in Go can also be written as JSON, so there is no error to report.
func refreeze(d *record.Dossier) {
	raw, err := record.CanonicalOf(d.Release.Record)
	if err == nil {
		d.Digests, err = record.DigestsOf(raw)
	}
	if err != nil {
		panic(fmt.Sprintf("writing the example release: %v", err))
	}
	d.Release.Digest = d.Digests.Record
	d.ID, d.Line = record.ReleaseID(d.Digests.Record), d.Release.Record.Line()
}

func (x *example) production() {
	old := x.d.Release
	old.Record.Behaviour.Version, old.Record.Behaviour.Artifact = "1", exampleDigest("old artifact")
	old.Digest = exampleDigest("old release")
	id := record.ReleaseID(old.Digest)
	x.d.Baselines = []record.Baseline{{
		ID: id, Release: old, Until: x.at.Add(60 * day),
		Evaluations: x.evaluate("production's ", old.Record.Behaviour.Artifact, x.at.Add(-30*day)),
	}}
	anchor := exampleDigest("anchor artifact")
	x.d.UseCase.Record.Anchor = anchor
	x.d.Anchor = &record.AnchorFacts{Artifact: anchor, Evaluations: x.evaluate("anchor's ", anchor, x.at.Add(-60*day))}
	x.d.History = []record.Event{{Actor: "pat", Time: x.at.Add(-20 * day), Promotion: &record.Promotion{
		Release: id, Line: x.d.Line, Record: old.Digest, Environment: "production", Artifact: old.Record.Behaviour.Artifact,
		How: record.Promote, Verdict: exampleDigest("old verdict"), Until: x.at.Add(60 * day),
	}}}
	x.d.Drills = []record.Recorded[record.Drill]{{
		Record: record.Drill{
			Release: id, Line: x.d.Line, Record: old.Digest, Artifact: old.Record.Behaviour.Artifact,
			Checks: []record.DrillCheck{{Name: record.DrillBytes, OK: true, Detail: "The bytes are those that were approved."}},
		},
		Actor: "pat", Time: x.at.Add(-10 * day), Index: 60, Digest: exampleDigest("drill"),
	}}
}

func (x *example) approvals() {
	for _, s := range x.tier.Approvals {
		for seat := range s.Count {
			name := fmt.Sprintf("%s-%d", s.Role, seat+1)
			x.person(name, s.Role)
			parts := map[record.Part]record.Digest{}
			for _, part := range s.Covers {
				parts[part] = x.d.Digests.Parts[part]
			}
			x.d.Approvals = append(x.d.Approvals, record.ApprovalFacts{
				Approval: recorded(x, name, "approval by "+name, record.Approval{
					Release: x.d.ID, Line: x.d.Line, Record: x.d.Digests.Record, Role: s.Role, Decision: record.Approve,
					Parts: parts, Reason: "reviewed", Method: record.MethodPasskey, Expires: x.at.Add(90 * day),
				}),
				Digests: x.d.Digests, Authority: x.d.Release.Record.Authority,
			})
		}
	}
}
