package policy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/record"
)

// mutation changes a complete release so that one gate says something else.
type mutation struct {
	name   string
	change func(d *record.Dossier)
	gate   string
	result record.Result
	reason string
}

// metricOf returns the first metric of an example's evaluation of a suite.
func metricOf(d *record.Dossier, suite string) *record.Metric {
	return &evaluationOf(d, suite).Metrics[0]
}

func evaluationOf(d *record.Dossier, suite string) *record.Evaluation {
	i := slices.IndexFunc(d.Evaluations, func(e record.Recorded[record.Evaluation]) bool { return e.Record.Suite == suite })
	return &d.Evaluations[i].Record
}

func counts(m *record.Metric, s, n int) {
	m.Successes, m.N, m.Value = &s, n, float64(s)/float64(n)
}

func approvalOf(d *record.Dossier, role record.RoleName) *record.Recorded[record.Approval] {
	i := slices.IndexFunc(d.Approvals, func(a record.ApprovalFacts) bool { return a.Approval.Record.Role == role })
	return &d.Approvals[i].Approval
}

func give(d *record.Dossier, name string, role record.RoleName) {
	p := d.People[name]
	p.Principal.Name, p.Principal.Type = name, record.Human
	p.Roles = append(p.Roles, record.Role{Principal: name, Role: role, Team: exampleTeam})
	d.People[name] = p
}

const auc, aucVersus = "accuracy/holdout/roc_auc", "accuracy/holdout/roc_auc/versus-production"

var mutations = []mutation{
	{"absent facts", func(d *record.Dossier) { d.Absent = []string{"run acme/run-0"} }, gateKnown, record.Missing, "does not have run acme/run-0"},
	{"environment taken from the use case", func(d *record.Dossier) { d.UseCase.Record.Environments = []string{"staging"} }, gateUseCase, record.Fail, "not production"},
	{"use case raised", func(d *record.Dossier) { d.UseCase.Record.Tier = "higher" }, gateUseCase, record.Fail, "now of tier higher"},
	{"use case lowered", func(d *record.Dossier) { d.UseCase.Record.Tier = "low" }, gateUseCase, record.Pass, "lower tier low"},
	{"use case handed on", func(d *record.Dossier) { d.UseCase.Record.Owner = "ed" }, gateUseCase, record.Fail, "now owned by ed"},
	{"use case unknown", func(d *record.Dossier) { d.UseCase = record.Recorded[record.UseCase]{} }, gateUseCase, record.Fail, "not known"},
	{"environment of a rank not known", func(d *record.Dossier) { d.Environment.Record.LeastTier = "extreme" }, gateEnvironment, record.Fail, "does not rank"},
	{"environment unknown", func(d *record.Dossier) { d.Environment = record.Recorded[record.Environment]{} }, gateEnvironment, record.Missing, "not known"},
	{"no steward", func(d *record.Dossier) { d.Datasets[0].Approvals = nil }, gateDatasets, record.Missing, "acme/cases@1: no steward"},
	{"another purpose", func(d *record.Dossier) { d.Datasets[0].Approvals[0].Record.Purposes = []string{"billing"} }, gateDatasets, record.Missing, "no steward"},
	{"data approval lapsed", func(d *record.Dossier) { d.Datasets[0].Approvals[0].Record.Expires = noon }, gateDatasets, record.Missing, "lapsed on 2026-06-01"},
	{"data approval withdrawn", withdraw, gateDatasets, record.Missing, "stella withdrew the approval"},
	{"steward gone", func(d *record.Dossier) { d.People["stella"] = record.Person{} }, gateDatasets, record.Missing, "stella is no person"},
	{"steward of another team", func(d *record.Dossier) { d.People["stella"].Roles[0].Team = "other" }, gateDatasets, record.Missing, "does not hold the role data-steward"},
	{"no run", func(d *record.Dossier) { d.Runs = nil }, gateRun, record.Missing, "No recorded run"},
	{"a run of something else", func(d *record.Dossier) { d.Runs[0].Record.Outputs[0].Digest = exampleDigest("x") }, gateCode, record.Missing, "No recorded run"},
	{"a run that is only reported", reported, gateRun, record.Fail, "is what mlflow reports, asked on behalf of"},
	{"a reported run without a commit", func(d *record.Dossier) { reported(d); d.Runs[0].Record.Code.Commit = "" }, gateCode, record.Fail, "full commit"},
	{"a reported run without data", func(d *record.Dossier) { reported(d); d.Datasets = nil }, gateDatasets, record.Missing, "as mlflow reports it, names no dataset"},
	{"data that nobody read", func(d *record.Dossier) { d.Unread = []string{"the frame"} }, gateDatasets, record.Missing, "Unknown by its bytes: the frame. Who has the data registers it"},
	{"a run recorded by hand", func(d *record.Dossier) { d.Runs[0].Actor = "cody" }, gateRun, record.Fail, "cody, who is no workload"},
	{"a dirty tree", func(d *record.Dossier) { d.Runs[0].Record.Code.Dirty = true }, gateCode, record.Fail, "differs from its commit"},
	{"a short commit", func(d *record.Dossier) { d.Runs[0].Record.Code.Commit = "0123456" }, gateCode, record.Fail, "full commit"},
	{"no evaluation", func(d *record.Dossier) { d.Evaluations = d.Evaluations[1:] }, auc, record.Missing, "names no evaluation"},
	{"an evaluation of other bytes", func(d *record.Dossier) { evaluationOf(d, "holdout").Artifact = exampleDigest("x") }, auc, record.Missing, "names no evaluation"},
	{"an evaluation not named", func(d *record.Dossier) { d.Evaluations[0].Digest = exampleDigest("x") }, auc, record.Missing, "names no evaluation"},
	{"incomplete", func(d *record.Dossier) { evaluationOf(d, "holdout").Incomplete = "3 of 9 shards" }, auc, record.Invalid, "incomplete: 3 of 9 shards"},
	{"no samples", func(d *record.Dossier) { metricOf(d, "garak").N = 0 }, "safety/garak/attack_success_rate", record.Invalid, "no samples at all"},
	{"a contradiction", func(d *record.Dossier) { metricOf(d, "holdout").Value += 0.01 }, auc, record.Invalid, "contradicts itself"},
	{"evaluated by the trainer", func(d *record.Dossier) { d.Evaluations[0].Actor = "tess" }, auc, record.Invalid, "owns the workload pipeline"},
	{"evaluated by the pipeline", func(d *record.Dossier) { d.Evaluations[0].Actor = "pipeline" }, auc, record.Invalid, "trained the model (run acme/run-1)"},
	{"evaluated by the trainer's workload", func(d *record.Dossier) {
		d.People["bot"] = record.Person{Principal: record.Principal{Name: "bot", Type: record.Workload, Owner: "tess"}}
		d.Evaluations[0].Actor = "bot"
	}, auc, record.Invalid, "bot, who belongs to tess"},
	{"too few samples", func(d *record.Dossier) { counts(metricOf(d, "holdout"), 490, 499) }, auc, record.Inconclusive, "at least 500"},
	{"ran in the future", func(d *record.Dossier) { evaluationOf(d, "holdout").Ran = noon.Add(time.Hour) }, auc, record.Invalid, "later than now"},
	{"stale", func(d *record.Dossier) { evaluationOf(d, "holdout").Ran = noon.AddDate(0, 0, -30) }, auc, record.Fail, "counted for 30d"},
	{"somebody's word", func(d *record.Dossier) { evaluationOf(d, "holdout").Assurance = record.Claimed }, auc, record.Fail, "assurance claimed"},
	{"below the limit", func(d *record.Dossier) { counts(metricOf(d, "holdout"), 500, 1000) }, auc, record.Fail, "is not >= 0.85"},
	{"the bound below the limit", func(d *record.Dossier) { counts(metricOf(d, "holdout"), 855, 1000) }, auc, record.Fail, "more samples may show"},
	{"no interval", func(d *record.Dossier) { metricOf(d, "holdout").Successes = nil }, auc, record.Inconclusive, "so lower95 is not known"},
	{"worse than production", func(d *record.Dossier) { counts(metricOf(d, "holdout"), 80_000, 100_000) }, aucVersus, record.Fail, "Worse than production"},
	{"perhaps worse", func(d *record.Dossier) { counts(metricOf(d, "holdout"), 850, 1000) }, aucVersus, record.Inconclusive, "more samples can tell"},
	{"another held-out set", func(d *record.Dossier) { evaluationOf(d, "holdout").Dataset = exampleDigest("x") }, aucVersus, record.Inconclusive, "not comparable"},
	{"production not evaluated", func(d *record.Dossier) { d.Baselines[0].Evaluations = nil }, aucVersus, record.Inconclusive, "no complete evaluation"},
	{"no error in common", func(d *record.Dossier) { d.Baselines[0].Evaluations[0].Record.Metrics[0].Successes = nil }, aucVersus, record.Inconclusive, "has no interval"},
	{"nothing in production", firstRelease, aucVersus, record.Pass, "Not worse than the anchor by more than 0.01"},
	{"nothing in production, and no anchor", func(d *record.Dossier) {
		firstRelease(d)
		d.Anchor = nil
	}, aucVersus, record.Missing, "Nothing is in production to compare with: this is the first release of its line. Name the model"},
	{"nothing to roll back to", firstRelease, gateRollback, record.Pass, "Nothing ran here before"},
	{"production suspended", suspendProduction, gateRollback, record.Fail, "is suspended"},
	{"never drilled", func(d *record.Dossier) { d.Drills = nil }, gateRollback, record.Missing, "Nobody has tried yet"},
	{"drilled long ago", func(d *record.Dossier) { d.Drills[0].Time = noon.AddDate(0, 0, -90) }, gateRollback, record.Fail, "more than 90d ago"},
	{"drilled just in time", func(d *record.Dossier) { d.Drills[0].Time = noon.AddDate(0, 0, -90).Add(time.Second) }, gateRollback, record.Pass, "can take over"},
	{"drilled later", func(d *record.Dossier) { d.Drills[0].Time = noon.Add(time.Second) }, gateRollback, record.Missing, "Nobody has tried yet"},
	{"another one drilled", func(d *record.Dossier) { d.Drills[0].Record.Release = "r-000000000000" }, gateRollback, record.Missing, "Nobody has tried yet"},
	{"the last drill failed", failedDrill, gateRollback, record.Fail, "could not take over when that was tried"},
	{"production may do more", moreAuthority, gateRollback, record.Fail, "would widen what the model may do"},
	{"production is the same model with more authority", func(d *record.Dossier) {
		moreAuthority(d)
		d.Baselines[0].Release.Record.Behaviour.Artifact = d.Release.Record.Behaviour.Artifact
	}, gateRollback, record.Pass, "same model with more authority"},
	{"put back after what came later", putBack, gateRollback, record.Pass, "Nothing ran here before"},
	{"production lapsed", func(d *record.Dossier) { d.Baselines[0].Until = noon }, gateRollback, record.Fail, "lapsed on"},
	{"production suspended, so not compared", func(d *record.Dossier) {
		suspendProduction(d)
		d.Anchor = nil
	}, aucVersus, record.Missing, "does not run any more"},
	{"a pickle", func(d *record.Dossier) {
		d.Version.Record.Findings = []record.Finding{{File: "model.pkl", Type: "pickle", Detail: "os.system"}}
	}, gateContent, record.Fail, "model.pkl of acme/triage@2: pickle"},
	{"a pickle in a base", func(d *record.Dossier) {
		d.Bases = []record.Recorded[record.ModelVersion]{{Record: record.ModelVersion{Model: "x/y", Version: "1", Findings: []record.Finding{{File: "b.bin", Type: "unknown"}}}}}
	}, gateContent, record.Fail, "b.bin of x/y@1"},
	{"a wildcard", func(d *record.Dossier) { d.Release.Record.Authority.Records[0].Actions = []string{"*"} }, "expression/no-wildcard-writes", record.Fail, "is false"},
	{"nobody approved", func(d *record.Dossier) { d.Approvals = nil }, "approval/risk", record.Missing, "nobody has approved in this role yet"},
	{"approval lapsed", func(d *record.Dossier) { approvalOf(d, record.Risk).Record.Expires = noon }, "approval/risk", record.Missing, "lapsed on"},
	{"approval older than the policy allows", func(d *record.Dossier) {
		approvalOf(d, record.Risk).Time = noon.AddDate(0, 0, -180)
		approvalOf(d, record.Risk).Record.Expires = noon.AddDate(1, 0, 0)
	}, "approval/risk", record.Missing, "lapsed on 2026-06-01"},
	{"no passkey", func(d *record.Dossier) { approvalOf(d, record.Risk).Record.Method = record.MethodToken }, "approval/risk", record.Missing, "a passkey is required"},
	{"a workload approves", func(d *record.Dossier) {
		p := d.People["risk-1"]
		p.Principal.Type = record.Workload
		d.People["risk-1"] = p
	}, "approval/risk", record.Missing, "risk-1 is no person"},
	{"role lost", func(d *record.Dossier) { d.People["risk-1"].Roles[0].Revoked = true }, "approval/risk", record.Missing, "does not hold the role risk"},
	{"one for two seats", func(d *record.Dossier) {
		approvalOf(d, record.Risk).Actor = "security-1"
		give(d, "security-1", record.Risk)
	}, "approval/security", record.Missing, "security-1 already fills a seat as risk"},
	{"exception unreviewed", func(d *record.Dossier) { except(d, record.Exception{Type: record.BreakGlass, ReviewBy: noon}) }, gateReviews, record.Fail, "was to be reviewed by"},
	{"exception to be reviewed", func(d *record.Dossier) {
		except(d, record.Exception{Type: record.BreakGlass, ReviewBy: noon.Add(time.Hour)})
	}, gateReviews, record.Pass, "to be reviewed, the first by"},
	{"exception reviewed", func(d *record.Dossier) {
		except(d, record.Exception{Type: record.BreakGlass, ReviewBy: noon})
		review(d, "rita", record.Upheld)
	}, gateReviews, record.Pass, "No exception"},
	{"exception reviewed by its maker", func(d *record.Dossier) {
		except(d, record.Exception{Type: record.BreakGlass, ReviewBy: noon})
		review(d, "risk-1", record.Upheld)
	}, gateReviews, record.Fail, "somebody other than risk-1"},
}

func withdraw(d *record.Dossier) {
	f := &d.Datasets[0]
	f.Approvals = append(f.Approvals, record.Recorded[record.DataApproval]{
		Actor: "stella", Time: noon, Index: 90,
		Record: record.DataApproval{Dataset: f.Dataset.Record.Digest, Decision: record.Withdraw, Reason: "a complaint"},
	})
}

func firstRelease(d *record.Dossier) { d.Baselines, d.History = nil, nil }

func suspendProduction(d *record.Dossier) {
	d.History = append(d.History, record.Event{Time: noon, Index: 99, Suspension: &record.Suspension{Release: d.Baselines[0].ID}})
}

func failedDrill(d *record.Dossier) {
	later := d.Drills[0]
	later.Time, later.Index = noon.Add(-time.Hour), 61
	later.Record.Checks = []record.DrillCheck{{Name: record.DrillBytes, Detail: "two files are missing"}}
	d.Drills = append(d.Drills, later)
}

func moreAuthority(d *record.Dossier) {
	d.Baselines[0].Release.Record.Authority.Tools = append(d.Baselines[0].Release.Record.Authority.Tools, record.Grant{Resource: "pager", Actions: []string{"call"}})
}

// putBack has the release run first, then what is now production, which was stopped.
func putBack(d *record.Dossier) {
	first := d.History[0]
	mine := *first.Promotion
	mine.Release, mine.Replaces = d.ID, ""
	theirs := *first.Promotion
	theirs.Replaces = d.ID
	d.History = []record.Event{
		{Actor: "pat", Time: first.Time.Add(-time.Hour), Index: first.Index, Promotion: &mine},
		{Actor: "pat", Time: first.Time, Index: first.Index + 1, Promotion: &theirs},
	}
	suspendProduction(d)
}

func except(d *record.Dossier, x record.Exception) {
	x.Release, x.Line, x.Record, x.Reason = d.ID, d.Line, d.Digests.Record, "an outage"
	if x.Expires.IsZero() {
		x.Expires = noon.AddDate(0, 0, 7)
	}
	d.Exceptions = append(d.Exceptions, record.Recorded[record.Exception]{
		Record: x, Actor: "risk-1", Time: noon.Add(-time.Hour), Index: 80, Digest: exampleDigest("exception " + x.Gate),
	})
}

func review(d *record.Dossier, actor, outcome string) {
	x := d.Exceptions[len(d.Exceptions)-1]
	d.Reviews = append(d.Reviews, record.Recorded[record.Review]{
		Actor: actor, Time: noon, Index: 85, Record: record.Review{Exception: record.ExceptionID(x.Digest), Outcome: outcome},
	})
}

// withContent is the design's policy with every gate there is.
var withContent = strings.Replace(design, "    rollback: ready", "    content: { unsafe: forbid }\n    rollback: ready", 1)

func gateOf(t testing.TB, v record.Verdict, name string) record.Gate {
	t.Helper()
	i := slices.IndexFunc(v.Gates, func(g record.Gate) bool { return g.Name == name })
	if i < 0 {
		t.Fatalf("no gate %s in the verdict", name)
	}
	return v.Gates[i]
}

func TestEveryGate(t *testing.T) {
	p := mustLoad(t, withContent)
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			d := p.Example("high", noon)
			m.change(d)
			v := p.Evaluate(d, noon)
			g := gateOf(t, v, m.gate)
			if g.Result != m.result || !strings.Contains(g.Reason, m.reason) {
				t.Errorf("%s is %s: %s", g.Name, g.Result, g.Reason)
			}
			if v.Passed != (len(v.Blocking()) == 0) || (m.result != record.Pass && v.Passed) {
				t.Errorf("passed is %t with %d gates in the way", v.Passed, len(v.Blocking()))
			}
		})
	}
	tried := map[string]bool{}
	for _, m := range mutations {
		tried[m.gate] = true
	}
	for _, kind := range []string{gateKnown, gateUseCase, gateEnvironment, gateDatasets, gateRun, gateCode, gateRollback, gateContent, gateReviews} {
		if !tried[kind] {
			t.Errorf("no case for the gate %s", kind)
		}
	}
}

func TestVendorModelsHaveNoRun(t *testing.T) {
	p := mustLoad(t, design)
	d := p.Example("high", noon)
	d.Runs, d.Datasets, d.Version.Record.Type = nil, nil, record.Vendor
	v := p.Evaluate(d, noon)
	for _, name := range []string{gateDatasets, gateRun, gateCode} {
		if g := gateOf(t, v, name); g.Result != record.Pass || !strings.Contains(g.Reason, "vendor's model") {
			t.Errorf("%s is %s: %s", name, g.Result, g.Reason)
		}
	}
}

func TestUnknownTierPassesNothing(t *testing.T) {
	p := mustLoad(t, design)
	d := p.Example("high", noon)
	d.Release.Record.Context.Tier = "low"
	except(d, record.Exception{Type: record.Waiver, Gate: gateTier})
	v := p.Evaluate(d, noon)
	if v.Passed || len(v.Gates) != 1 || v.Gates[0].Result != record.Fail {
		t.Errorf("%+v", v)
	}
}

func TestEmptyDossierIsRefusedNotPanicked(t *testing.T) {
	p := mustLoad(t, design)
	d := &record.Dossier{}
	d.Release.Record.Context.Tier = "high"
	if v := p.Evaluate(d, noon); v.Passed || len(v.Blocking()) < 8 {
		t.Errorf("an empty dossier: passed %t, %d gates in the way", v.Passed, len(v.Blocking()))
	}
}

// Where less is better, the bad side of the difference is its upper end.
func TestVersusProductionWhereLessIsBetter(t *testing.T) {
	p := mustLoad(t, strings.Replace(design, "upper95 <= 0.02", "upper95 <= 0.02\n        versusProduction: { noWorseThan: 0.005 }", 1))
	for _, c := range []struct {
		failures, samples int
		want              record.Result
	}{
		{1000, 100_000, record.Pass}, // 1 % against production's 2 %
		{2000, 100_000, record.Pass},
		{2450, 100_000, record.Inconclusive},
		{3000, 100_000, record.Fail},
		{0, 50, record.Inconclusive}, // up to 7 %
	} {
		d := p.Example("high", noon)
		counts(metricOf(d, "garak"), c.failures, c.samples)
		g := gateOf(t, p.Evaluate(d, noon), "safety/garak/attack_success_rate/versus-production")
		if g.Result != c.want || *g.Numbers.Production != 0.02 || g.Numbers.Method != methodNewcombe {
			t.Errorf("%d of %d: %s, want %s: %s", c.failures, c.samples, g.Result, c.want, g.Reason)
		}
	}
}

// The newest complete evaluation counts, whichever is recorded last.
func TestNewestEvaluationCounts(t *testing.T) {
	p := mustLoad(t, design)
	d := p.Example("high", noon)
	older := d.Evaluations[0]
	older.Digest, older.Index = exampleDigest("older"), 500
	older.Record.Ran = older.Record.Ran.Add(-time.Hour)
	older.Record.Metrics = slices.Clone(older.Record.Metrics)
	counts(&older.Record.Metrics[0], 500, 1000)
	newer := older
	newer.Digest, newer.Record.Incomplete, newer.Record.Ran = exampleDigest("newer"), "stopped early", noon
	d.Evaluations = append(d.Evaluations, older, newer)
	d.Release.Record.Behaviour.Evaluations = append(d.Release.Record.Behaviour.Evaluations, older.Digest, newer.Digest)
	expect(t, p, d, auc, record.Pass, "0.925")
	d.Evaluations[len(d.Evaluations)-1].Record.Incomplete = ""
	expect(t, p, d, auc, record.Fail, "is not >= 0.85")
}

// reported makes the run what a tracking server says of it.
func reported(d *record.Dossier) {
	d.Runs[0].Record.Reported = &record.Reported{By: "mlflow"}
}
