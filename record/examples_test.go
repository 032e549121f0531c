package record_test

import (
	"strings"
	"testing"
	"time"

	"imprimatur.dev/record"
)

const (
	line    = "acme/triage/acme:queue/production"
	release = "r-0123456789ab"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func number(v float64) *float64 { return &v }

func digest(of string) record.Digest { return record.DigestOf([]byte(of)) }

func ptr[T any](v T) *T { return &v }

// examples has one valid record of every kind, made anew at each call.
func examples() map[record.Kind]record.Body {
	out := map[record.Kind]record.Body{}
	for _, b := range append(peopleAndPlaces(), append(append(lineageRecords(), registrations()...), decisions()...)...) {
		out[b.Kind()] = b
	}
	return out
}

func peopleAndPlaces() []record.Body {
	return []record.Body{
		record.Principal{Name: "pipeline", Type: record.Workload, Owner: "tess", Purpose: "training", Emails: []string{"ci@acme.example"}, Expires: noon},
		record.PrincipalKey{Principal: "tess", KeyID: "tess+0a1b2c3d", Type: record.KeyEd25519, Public: make([]byte, 32), Purpose: "laptop", Expires: noon},
		record.Credential{Principal: "tess", Type: record.CredentialIssuer, Issuer: "https://login.acme.example", Account: "248289761001", Expires: noon},
		record.Role{Principal: "tess", Role: record.Contributor, Team: "acme", Expires: noon},
		record.Delegation{From: "rita", To: "tess", Role: record.ModelOwner, Team: "acme", Model: "acme/triage", Starts: noon, Expires: noon.Add(record.MaxDelegation), Reason: "on leave"},
		record.Token{ID: "t-1", Principal: "tess", Hash: digest("secret"), Scopes: []string{record.ScopeRead, "risk"}, Expires: noon, Note: "laptop"},
		record.Identity{ID: "i-1", Workload: "pipeline", Type: record.IdentityGitHub, Issuer: "https://token.actions.example", Claims: map[string]string{"/repository_id": "74", "/environment": "production"}, Expires: noon},
		record.Revocation{Workload: "pipeline", Token: "0123456789abcdef", Expires: noon, Reason: "leaked"},
		record.Team{Name: "acme", DisplayName: "Acme"},
		record.Environment{Name: "production", LeastTier: "low", Policy: "default", Aliases: []string{"champion"}, Namespaces: []string{"prod"}, Workloads: []string{"pipeline"}},
		record.UseCase{Team: "acme", Name: "queue", Title: "Sort the queue", Purpose: "triage", Owner: "mona", Tier: "high", Environments: []string{"production"}, Misuse: []record.MisuseCase{{Case: "direct-prompt-injection", Required: true}, {Case: "tool-misuse", Reason: "it has no tools"}}, Catalogue: "2026-11", Anchor: digest("anchor")},
		record.Policy{Name: "default", Text: "name: default\n", Digest: digest("name: default\n"), Reason: "first"},
	}
}

func lineageRecords() []record.Body {
	return []record.Body{
		record.Dataset{Team: "acme", Name: "cases", Version: "1", Digest: digest("data"), Source: "s3://acme/cases", Classification: "internal", Owner: "stella", Derived: []record.Digest{digest("raw")}, Labels: map[string]string{"mlflow": "1234abcd"}, Visibility: record.PrivateCommitted, Commitment: &record.Commitment{Root: digest("root"), Items: 3, Leaves: digest("leaves"), Key: digest("key"), Identity: "csv"}},
		record.DataApproval{Source: "s3://acme/*", Decision: record.Allow, Purposes: []string{"triage"}, Expires: noon, Reason: "collected for this"},
		record.Run{
			Team: "acme", ID: "run-1", Code: record.Code{Repository: "https://git.example/x", Commit: strings.Repeat("0a", 20), Author: "cody@acme.example"},
			Parameters: map[string]string{"lr": "1e-3"}, Environment: map[string]string{"python": "3.14"}, Initiator: "tess",
			Inputs:  []record.Resource{{Type: record.ResourceDataset, Name: "cases", Digest: digest("data")}},
			Outputs: []record.Resource{{Type: record.ResourceModel, Name: "triage", Digest: digest("model")}, {Type: record.ResourceModel, Name: "tokeniser", Digest: digest("tokeniser")}},
			Started: noon, Finished: noon.Add(time.Hour),
		},
		lineageEvents(),
		record.Overlap{A: digest("b"), B: digest("a"), LeavesA: digest("leaves a"), LeavesB: digest("leaves b"), Common: 1, OfA: 2, OfB: 3},
		record.Model{Team: "acme", Name: "triage", Type: record.Trained, Owner: "mona", Description: "sorts"},
		record.ModelVersion{
			Model: "acme/triage", Version: "1", Type: record.FineTuned, Artifact: digest("model"), Run: "acme/run-1", Bases: []record.Digest{digest("base")},
			Files:    []record.File{{Path: "a.json", SHA256: digest("a").Hex(), Size: 1}, {Path: "b.bin", SHA256: digest("b").Hex(), Size: 2}},
			Findings: []record.Finding{{File: "b.bin", Type: "pickle", Detail: "loads os.system"}},
		},
		record.Evaluation{
			Team: "acme", Artifact: digest("model"), Category: record.Accuracy, Suite: "holdout", Dataset: digest("held out"), Tool: record.Tool{Name: "t", Version: "1"},
			Evidence: []record.RawFile{{Name: "items.ndjson", Digest: digest("file"), Bytes: 9, Format: "items"}}, Metrics: []record.Metric{{Name: "accuracy", Value: 0.9, N: 10, Successes: ptr(9)}, {Name: "loss", Value: 0.3, Reported: &record.Uncertainty{Method: "t", StdErr: ptr(0.1), Lower95: ptr(0.1), Upper95: ptr(0.5)}}},
			Settings: map[string]string{"seed": "1"}, Assurance: record.Imported, Ran: noon,
		},
	}
}

func lineageEvents() record.LineageEvents {
	cases, queue := record.LineageName{Namespace: "s3://acme", Name: "cases"}, record.LineageName{Namespace: "airflow", Name: "queue.train"}
	return record.LineageEvents{Team: "acme", Raw: digest("events"), Events: []record.LineageEvent{{
		Digest: digest("event"), Type: record.LineageComplete, Time: noon.Add(time.Microsecond), Run: "0199f0c0-0000-7000-8000-000000000001", Job: queue,
		Parent: record.LineageRun{Run: "0199f0c0-0000-7000-8000-000000000000", Job: record.LineageName{Namespace: "airflow", Name: "queue"}},
		Code:   record.LineageCode{URL: "https://git.example/x", Version: strings.Repeat("0a", 20)},
		Inputs: []record.LineageDataset{{LineageName: cases, Version: "7", Aliases: []record.LineageName{{Namespace: "hive://meta:9083", Name: "acme.cases"}}}},
		Outputs: []record.LineageDataset{{
			LineageName: record.LineageName{Namespace: "file", Name: "/models/queue"},
			Columns:     []record.LineageColumn{{Name: "score", From: []record.LineageField{{LineageName: cases, Field: "age"}}}},
		}},
	}}}
}

func decisions() []record.Body {
	return []record.Body{
		record.Release{
			Behaviour: record.Behaviour{Model: "acme/triage", Version: "1", Type: record.Trained, Artifact: digest("model"), Evaluations: []record.Digest{}},
			Data:      record.ReleaseData{Runs: []string{"acme/run-1"}, Datasets: []record.Digest{digest("data")}},
			Authority: record.Authority{Tools: []record.Grant{{Resource: "mail/*", Actions: []string{"send"}, Definition: digest("tool"), Limit: record.Limit{Calls: 1, Seconds: 60}, Until: noon, Condition: "true", Why: "to tell"}}},
			Context:   record.Context{UseCase: "acme/queue", Tier: "high", Environment: "production", Owner: "mona", Policy: record.PolicyRef{Name: "default", Digest: digest("policy")}, Envelope: digest("envelope")},
		},
		record.Approval{
			Release: release, Line: line, Record: digest("record"), Role: record.Risk, Decision: record.Approve, Parts: map[record.Part]record.Digest{record.PartData: digest("part")},
			Reason: "read it", Method: record.MethodPasskey, Expires: noon, Asked: noon,
			Assertion: &record.Assertion{Key: "AQID", Authenticator: []byte{1}, Client: []byte{2}, Signature: []byte{3}},
		},
		record.Exception{Type: record.Waiver, Release: release, Line: line, Record: digest("record"), Gate: "rollback", Reason: "once", Expires: noon, ReviewBy: noon},
		record.Comment{Release: release, Line: line, Record: digest("record"), Text: "why so few items?"},
		record.Review{Exception: "x-0123456789ab", Release: release, Line: line, Outcome: record.Upheld, Reason: "it was right"},
		record.Verdict{
			Release: release, Line: line, Record: digest("record"), Artifact: digest("model"), Policy: record.PolicyRef{Name: "default", Digest: digest("policy")},
			Tier: "high", At: noon, Passed: true, Gates: []record.Gate{{Name: "rollback", Rule: "r", Mode: record.Enforce, Result: record.Pass, Reason: "ok", Numbers: &record.Numbers{Value: 0.1, Threshold: 1e21, Method: "none"}}},
			Marks: []string{"first release"}, Inputs: []record.Digest{digest("1"), digest("2")},
		},
		record.Promotion{Release: release, Line: line, Record: digest("record"), Environment: "production", Artifact: digest("model"), How: record.Rollback, Verdict: digest("verdict"), Until: noon, Replaces: "r-ba9876543210", Envelope: &record.EnvelopeUse{Envelope: digest("envelope"), Use: 2, Left: 2}, Reason: "worse"},
		record.Suspension{Release: release, Line: line, Record: digest("record"), Reason: "leak"},
		record.Retirement{Release: release, Line: line, Record: digest("record"), Reason: "done"},
		record.Decisions{
			Team: "acme", From: noon, To: noon.Add(time.Second), Log: digest("log"), Allowed: 5, Denied: 3, Unkept: 1, Others: 1,
			Denials: []record.Denial{{Workload: "scorer", Release: release, Type: "tools", Resource: "mail", Action: "send", Reason: "no grant", Count: 2, First: noon, Last: noon}},
		},
		record.Envelope{
			Name: "weekly", Line: line, Tier: "high", Policy: record.PolicyRef{Name: "default", Digest: digest("policy")}, Anchor: release, Workloads: []string{"nightly"},
			Sources:    []record.SourceBound{{Source: "s3://acme/*", From: noon, To: noon.Add(time.Hour), MaxAge: 30}},
			Code:       record.CodeBound{Repository: "https://git.example/acme", Commits: []string{strings.Repeat("a", 40)}, Paths: []string{"train/"}},
			Parameters: map[string]record.ParameterBound{"lr": {Least: number(0.1), Most: number(0.2)}, "loss": {Values: []string{"log"}}, "seed": {Any: true}},
			Evaluations: []record.MetricBound{{
				Category: record.Accuracy, Suite: "holdout", Metric: "recall", Slice: map[string]string{"sex": "f"}, Require: "lower95 >= 0.8",
				Production: number(0.02), Anchor: number(0.03), MinSamples: 100,
			}},
			Rollback: true, Tries: 10, Releases: 4, Weekly: 2, People: record.PeopleBound{First: true, Each: 10}, Ends: noon, Reason: "nightly data",
		},
		record.EnvelopeWithdrawal{Envelope: "env-0123456789ab", Line: line, Record: digest("envelope"), Reason: "the source moved"},
		record.Signal{Release: release, Line: line, Type: "drift", Detail: "psi 0.4", Observed: noon, Evidence: digest("report"), Does: record.Reapprove, Due: noon, Move: &record.Move{
			Registry: "mlflow:5000", Team: "acme", Model: "net", Alias: "champion", Version: 3, Artifact: digest("model"), Environment: "production", To: 2,
		}},
		record.Drill{Release: release, Line: line, Record: digest("record"), Artifact: digest("model"), Checks: []record.DrillCheck{{Name: record.DrillBytes, OK: true, Detail: "read"}}},
		record.Window{
			Release: release, Line: line, Of: record.Drift, From: noon, To: noon.Add(time.Hour), Baseline: digest("baseline"), Rows: 500, Batches: 2, Late: 3, Outcome: record.WindowBreach,
			Worst:  []record.WindowCheck{{Feature: "age", Measure: "psi", Outcome: record.WindowBreach, Value: 0.3, P: 1e-6, Limit: 0.05, Floor: 0.04}},
			Others: 1, Report: digest("report"), Recent: []string{record.WindowSteady}, Blind: 1, Alarm: true, Raw: []record.Digest{digest("raw")},
		},
		record.Target{ID: "t-1", Team: "acme", Name: "chat", Form: record.FormWebhook, URL: "https://chat.example/hook", Events: []string{"data-approval"}, Environments: []string{"production"}, Secret: "s-1", Created: noon, Updated: noon},
		record.ModelVendor{Team: "acme", Name: "parrot", Owner: "mona", Contact: "trust@parrot.example", Description: "chat models"},
		record.Probe{
			Team: "acme", Vendor: "parrot", Model: "chat-2", APIVersion: "2026-05", Suite: digest("suite"), Answers: digest("answers"), Fingerprint: digest("fingerprint"), Result: record.ProbeChanged, Detail: "it calls itself chat-3",
			Baseline: digest("before"), Earlier: []record.Digest{digest("earlier")}, Together: true, Report: digest("report"), P: 0.5, FalseAlarm: 0.001, Prompts: 2, Given: 9, Missing: 1, Names: []string{"chat-3"}, Systems: []string{"fp"}, Ran: noon,
		},
		record.Assurance{
			Team: "acme", Vendor: "parrot", Type: "soc-2", Document: record.RawFile{Name: "soc2.pdf", Digest: digest("soc 2"), Bytes: 9, Format: "document"}, Scope: "the API", Issuer: "Auditors", Issued: noon, Expires: noon.Add(time.Hour),
			Clauses: []record.Clause{{Name: record.ClauseModelChange, Given: true, Days: ptr(30), Text: "thirty days before", Where: "section 4.2"}}, Withdrawn: true, Reason: "qualified",
		},
		record.Gateway{ID: "g-1", Workload: "egress", Team: "acme", Environment: "production", Secrets: []string{"crm-key"}, Expires: noon},
		record.Secret{Team: "acme", Name: "crm-key", Description: "the CRM", Version: 2, Provider: record.SecretVault, Vault: record.VaultPlace{Server: "main", Namespace: "eu/acme", Mount: "secret", Path: "crm/key", Field: "token"}, Expires: noon, RotateBy: noon, Previous: 1, PreviousUntil: noon, Reason: "leak", Withdrawn: true},
	}
}

func TestEveryKindHasAValidExample(t *testing.T) {
	have := examples()
	for _, k := range record.Kinds() {
		b, ok := have[k]
		if !ok {
			t.Errorf("the kind %s has no example: add one", string(k))
			continue
		}
		if err := b.Validate(); err != nil {
			t.Errorf("%s: %v", k, err)
		}
		if k.String() == string(k) {
			t.Errorf("the kind %s has no word", string(k))
		}
		if name, _ := b.Subject(); name == "" || len(b.Keys(digest("self"))) == 0 {
			t.Errorf("%s: subject %q, keys %q", k, name, b.Keys(digest("self")))
		}
	}
	if len(have) != len(record.Kinds()) {
		t.Errorf("%d examples for %d kinds", len(have), len(record.Kinds()))
	}
}
