package verifytest

import (
	"slices"
	"testing"
	"time"

	"imprimatur.dev/artifact"
	"imprimatur.dev/attest/passkeytest"
	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
)

// PolicyText is the policy of the story.
const PolicyText = `apiVersion: imprimatur/v1
kind: Policy
name: default
tiers:
  high:
    lineage: { datasets: approved, run: attested, code: committed }
    evaluations:
      - category: accuracy
        suite: holdout
        metric: accuracy
        require: lower95 >= 0.8
        versusProduction: { noWorseThan: 0.05, first: apart }
        minSamples: 300
        freshFor: 60d
      - category: safety
        suite: garak
        metric: attack_success_rate
        require: upper95 <= 0.05
        freshFor: 90d
    rollback: ready
    content: { unsafe: forbid }
    expressions:
      - name: no-wildcard-writes
        cel: "!release.authority.records.exists(g, g.actions.exists(a, a == '*'))"
        message: "Record-write grants name their actions."
    approvals:
      - { role: model-owner, covers: [behaviour, data, context] }
      - { role: risk, covers: [behaviour, data, context] }
      - { role: security, covers: [authority, behaviour] }
    separation: [trainer, evaluator, code-author]
    expires: 180d
`

// Names of the story.
const (
	Team    = "acme"
	Model   = "acme/triage"
	UseCase = "acme/triage-queue"
	Line    = "acme/triage/acme:triage-queue/production"
)

// Day is a day.
const Day = 24 * time.Hour

// Story is a ledger on which two releases of one line were made, approved and
// promoted; the second is live.
type Story struct {
	*Ledger
	// First and Second are the releases' IDs.
	First, Second string
	// Manifest is of the second release's model.
	Manifest artifact.Manifest
	// Raw, Derived and BaseData are the datasets' digests: Derived was made from
	// Raw, and the base model was trained on BaseData.
	Raw, Derived, BaseData record.Digest
	// Base is the artifact of the base model.
	Base record.Digest
	// Passkeys are those of the approvers.
	Passkeys map[string]*passkeytest.Passkey
}

// Digest returns a made-up digest.
func Digest(of string) record.Digest { return record.DigestOf([]byte("story: " + of)) }

// Tell tells the story on a new ledger.
func Tell(tb testing.TB) *Story {
	tb.Helper()
	s := &Story{Ledger: New(tb), Raw: Digest("raw"), Derived: Digest("derived"), BaseData: Digest("base data"), Base: Digest("base model"), Passkeys: map[string]*passkeytest.Passkey{}}
	s.people()
	s.places()
	s.data()
	s.base()
	s.First = s.release("1", 900, files("weights one", "config"))
	s.Now = s.Now.Add(20 * Day)
	s.drill(s.First)
	s.bystanders()
	m := files("weights two", "config")
	s.Second, s.Manifest = s.release("2", 930, m), m
	return s
}

func files(contents ...string) artifact.Manifest {
	names := []string{"model.safetensors", "config.json"}
	var m artifact.Manifest
	for i, c := range contents {
		m.Files = append(m.Files, artifact.File{Path: names[i], SHA256: record.DigestOf([]byte(c)).Hex(), Size: int64(len(c))})
	}
	slices.SortFunc(m.Files, func(a, b artifact.File) int {
		if a.Path < b.Path {
			return -1
		}
		return 1
	})
	return m
}

// Enrol states a human with roles in the team.
func (s *Story) Enrol(name string, roles ...record.RoleName) {
	s.State("root", record.Principal{Name: name, Type: record.Human, DisplayName: name, Emails: []string{name + "@acme.example"}})
	for _, r := range roles {
		s.State("root", record.Role{Principal: name, Role: r, Team: Team})
	}
}

func (s *Story) people() {
	s.Enrol("root", record.Administrator)
	s.Enrol("tess", record.Contributor)
	s.Enrol("cody", record.Contributor, record.Risk)
	s.Enrol("ed", record.Evaluator)
	s.Enrol("stella", record.DataSteward)
	s.Enrol("mona", record.ModelOwner)
	s.Enrol("rita", record.Risk)
	s.Enrol("sam", record.Security)
	for _, who := range []string{"mona", "rita", "sam", "cody"} {
		s.Passkeys[who] = passkeytest.New(s.tb, "ES256")
		s.State(who, s.Passkeys[who].Key(who))
	}
	s.State("root", record.Principal{Name: "pipeline", Type: record.Workload, Owner: "tess", Purpose: "training", Expires: s.Now.Add(365 * Day)})
	s.State("root", record.Role{Principal: "pipeline", Role: record.Contributor, Team: Team})
}

func (s *Story) places() {
	s.State("root", record.Policy{Name: "default", Text: PolicyText, Digest: record.DigestOf([]byte(PolicyText)), Reason: "first"})
	s.State("root", record.Environment{Name: "production", LeastTier: "high", Policy: "default", Workloads: []string{"pipeline"}})
	s.State("mona", record.UseCase{
		Team: Team, Name: "triage-queue", Title: "Sort the queue", Purpose: "triage", Owner: "mona", Tier: "high",
		Environments: []string{"production"},
	})
	s.State("tess", record.Model{Team: Team, Name: "triage", Type: record.FineTuned, Owner: "mona"})
}

func (s *Story) data() {
	set := func(name string, d record.Digest, derived ...record.Digest) {
		s.State("stella", record.Dataset{
			Team: Team, Name: name, Version: "1", Digest: d, Source: "s3://acme/" + name, Classification: "internal",
			Owner: "stella", Derived: derived,
		})
	}
	set("raw", s.Raw)
	set("derived", s.Derived, s.Raw)
	set("base-data", s.BaseData)
	allow := record.DataApproval{Decision: record.Allow, Purposes: []string{"triage"}, Expires: s.Now.Add(120 * Day), Reason: "collected for this"}
	bySource := allow
	bySource.Source = "s3://acme/*"
	s.State("stella", bySource)
	elsewhere := allow
	elsewhere.Source = "s3://other/*"
	s.State("stella", elsewhere)
	allow.Dataset = s.Derived
	s.State("stella", allow)
}

func (s *Story) run(id string, out record.Digest, in ...record.Resource) {
	s.State("pipeline", record.Run{
		Team: Team, ID: id,
		Code:   record.Code{Repository: "https://git.acme.example/triage", Commit: "0123456789abcdef0123456789abcdef01234567", Author: "Cody <Cody@acme.example>"},
		Inputs: in, Outputs: []record.Resource{{Type: record.ResourceModel, Name: "model", Digest: out}},
		Parameters: map[string]string{"epochs": "3"}, Started: s.Now.Add(-2 * time.Hour), Finished: s.Now.Add(-time.Hour),
	})
}

func (s *Story) base() {
	s.run("base-run", s.Base, record.Resource{Type: record.ResourceDataset, Name: "base-data", Digest: s.BaseData})
	s.State("pipeline", record.ModelVersion{
		Model: "acme/base", Version: "1", Type: record.Trained, Artifact: s.Base, Run: "acme/base-run",
		Files: []record.File{{Path: ".", SHA256: s.Base.Hex(), Size: 12}},
	})
}

// release makes, approves and promotes one release, with correct answers out of
// a thousand.
func (s *Story) release(version string, correct int, m artifact.Manifest) string {
	a := record.Digest(m.Digest())
	s.run("run-"+version, a,
		record.Resource{Type: record.ResourceDataset, Name: "derived", Digest: s.Derived},
		record.Resource{Type: record.ResourceModel, Name: "base", Digest: s.Base})
	v := record.ModelVersion{Model: Model, Version: version, Type: record.FineTuned, Artifact: a, Run: "acme/run-" + version, Bases: []record.Digest{s.Base}}
	for _, f := range m.Files {
		v.Files = append(v.Files, record.File(f))
	}
	s.State("pipeline", v)
	named := []record.Digest{
		s.evaluate(a, record.Accuracy, "holdout", "accuracy", correct, 1000),
		s.evaluate(a, record.Safety, "garak", "attack_success_rate", 3, 500),
	}
	slices.Sort(named)
	id := s.propose(v, named)
	s.approve(id, "mona", record.ModelOwner, record.PartBehaviour, record.PartData, record.PartContext)
	s.approve(id, "rita", record.Risk, record.PartBehaviour, record.PartData, record.PartContext)
	s.approve(id, "sam", record.Security, record.PartAuthority, record.PartBehaviour)
	verdict := s.Judge(id)
	for _, g := range verdict.Blocking() {
		s.tb.Errorf("release %s: gate %s: %s: %s", version, g.Name, g.Result, g.Reason)
	}
	s.Promote("mona", verdict, record.Promote, verdict.Until)
	return id
}

func (s *Story) evaluate(a record.Digest, c record.Category, suite, metric string, successes, n int) record.Digest {
	e := s.State("ed", record.Evaluation{
		Team: Team, Artifact: a, Category: c, Suite: suite, Dataset: Digest("held out"), Tool: record.Tool{Name: suite, Version: "1.0"},
		Evidence:  []record.RawFile{{Name: "items.ndjson", Digest: Digest(suite + string(a)), Format: "items"}},
		Metrics:   []record.Metric{{Name: metric, Value: float64(successes) / float64(n), N: n, Successes: &successes}},
		Assurance: record.SignedRun, Ran: s.Now.Add(-time.Hour),
	})
	return e.Statement.Digest()
}

func (s *Story) propose(v record.ModelVersion, evaluations []record.Digest) string {
	trail, err := lineage.Trace(s, v.Artifact)
	must(s.tb, err)
	return s.Propose("tess", record.Release{
		Behaviour: record.Behaviour{Model: v.Model, Version: v.Version, Type: v.Type, Artifact: v.Artifact, Evaluations: evaluations},
		Data:      record.ReleaseData{Runs: trail.RunRefs(), Datasets: trail.Datasets, Bases: trail.Bases},
		Authority: record.Authority{
			Records: []record.Grant{{Resource: "queue", Actions: []string{"update"}, Limit: record.Limit{Calls: 100, Seconds: 60}}},
			Secrets: []record.Grant{{Resource: "queue/*", Actions: []string{"use"}}},
		},
		Context: record.Context{
			UseCase: UseCase, Tier: "high", Environment: "production", Owner: "mona",
			Policy: record.PolicyRef{Name: "default", Digest: record.DigestOf([]byte(PolicyText))},
		},
	})
}

// Propose states a release and returns its ID.
func (s *Story) Propose(actor string, r record.Release) string {
	e := s.State(actor, r)
	return record.ReleaseID(e.Statement.Digest())
}

// drill states that a release could take over.
func (s *Story) drill(id string) {
	d, _, err := lineage.Collect(s, id)
	must(s.tb, err)
	s.State("mona", record.Drill{
		Release: id, Line: d.Line, Record: d.Digests.Record, Artifact: d.Release.Record.Behaviour.Artifact,
		Checks: []record.DrillCheck{{Name: record.DrillStands, OK: true, Detail: "It is live, and every gate passes."}, {Name: record.DrillBytes, OK: true, Detail: "mona read 2 files, which are those that were approved."}},
	})
}

func (s *Story) approve(id, who string, role record.RoleName, parts ...record.Part) {
	d, _, err := lineage.Collect(s, id)
	must(s.tb, err)
	a := record.Approval{
		Release: id, Line: d.Line, Record: d.Digests.Record, Role: role, Decision: record.Approve, Parts: map[record.Part]record.Digest{},
		Reason: "read all of it", Method: record.MethodPasskey, Asked: s.Now, Expires: s.Now.Add(90 * Day),
	}
	for _, p := range parts {
		a.Parts[p] = d.Digests.Parts[p]
	}
	s.Passkeys[who].Approve(s.tb, &a)
	s.State(who, a)
}

// bystanders state what has nothing to do with the releases, so that the
// bundle's entries are spread over the ledger.
func (s *Story) bystanders() {
	for _, name := range []string{"abel", "beth", "carl", "dora", "emil", "faye", "gil", "hope"} {
		s.State("root", record.Principal{Name: name, Type: record.Human})
		s.State("root", record.Role{Principal: name, Role: record.Viewer, Team: "elsewhere"})
	}
}
