package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/record"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// design is the policy of the design, as users will first see one.
const design = `apiVersion: imprimatur/v1
kind: Policy
name: default
tiers:
  high:
    mode: enforce                    # or: advise (reported, never blocks), per gate too
    lineage:
      datasets: approved             # every dataset, through every base model and derived dataset
      run: attested                  # signed by the pipeline's own identity
      code: committed                # a full commit, clean tree
    evaluations:
      - category: accuracy
        suite: holdout
        metric: roc_auc
        require: lower95 >= 0.85     # the lower bound of the interval, not the point estimate
        versusProduction: { noWorseThan: 0.01 }
        minSamples: 500
        freshFor: 30d
      - category: safety
        suite: garak
        metric: attack_success_rate
        require: upper95 <= 0.02
      - category: drift
        suite: shifted-holdout
        metric: psi_max
        require: value <= 0.2
      - category: misuse
        suite: red-team
        metric: attack_success_rate
        require: upper95 <= 0.05
    rollback: ready                  # a standing target, bytes present and hashed, drill within 90d
    expressions:
      - name: no-wildcard-writes
        cel: "!release.authority.records.exists(g, g.actions.exists(a, a == '*'))"
        message: "record-write grants name their actions"
    approvals:
      - { role: model-owner, count: 1, covers: [behaviour, data, context] }
      - { role: risk,        count: 1, covers: [behaviour, data, context], passkey: required }
      - { role: security,    count: 1, covers: [authority, behaviour] }
    separation: [trainer, evaluator, code-author]    # may hold no seat
    expires: 180d
`

func mustLoad(t testing.TB, text string) *Policy {
	t.Helper()
	p, err := Load([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestLoadDesign(t *testing.T) {
	p := mustLoad(t, design)
	d := p.Example("high", noon)
	v := p.Evaluate(d, noon)
	if !v.Passed || len(v.Blocking()) > 0 {
		t.Error("the example release does not pass")
	}
	if err := v.Validate(); err != nil {
		t.Error(err)
	}
}

func TestLoadFaults(t *testing.T) {
	for _, c := range []struct{ name, from, to, want string }{
		{"an unknown member", "    rollback: ready", "    rolback: ready", `line 31, column 5: tier high has no member "rolback"`},
		{"a member given twice", "    rollback: ready", "    mode: enforce\n    rollback: ready", `line 31, column 5: tier high gives "mode" twice`},
		{"a second document", "    expires: 180d\n", "    expires: 180d\n---\nkind: Policy\n", "second document"},
		{"another version", "imprimatur/v1", "imprimatur/v2", `line 1, column 13: apiVersion "imprimatur/v2" is not one of imprimatur/v1`},
		{"no name", "name: default\n", "", `the policy lacks "name"`},
		{"a span without unit", "freshFor: 30d", "freshFor: 30", "line 18, column 19: freshFor \"30\" is not a length of time"},
		{"a glass broken for a week", "expires: 180d", "breakGlass: 7d", `breakGlass "7d" is longer than the 3d`},
		{"a glass broken for words", "expires: 180d", "breakGlass: always", `breakGlass "always" is not a length of time`},
		{"a span of months", "expires: 180d", "expires: 6y", `line 41, column 14: expires "6y" is not a length of time`},
		{"a truth of YAML 1.1", "mode: enforce ", "solo: yes #", "line 6, column 11: solo is neither true nor false"},
		{"a quoted truth", "mode: enforce ", "solo: 'true' #", "line 6, column 11: solo is neither true nor false"},
		{"a role not known", "role: security, ", "role: boss, ", `line 39, column 17: role "boss" is not one of viewer`},
		{"a part not known", "[authority, behaviour]", "[authority, looks]", `covers: "looks" is not one of behaviour, data, authority and context`},
		{"nothing covered", "[authority, behaviour]", "[]", "covers is empty"},
		{"a seat twice", "role: security, ", "role: risk, ", `tier high has two gates "approval/risk"`},
		{"an evaluation twice", "suite: garak", "suite: red-team\n        name: misuse-red-team", ""},
		{"a contributor not known", "[trainer, evaluator, code-author]", "[trainer, friend]", `line 40, column 27: separation: "friend" is not one of trainer`},
		{"a bound not known", "lower95 >= 0.85", "lower99 >= 0.85", `line 15, column 18: require: "lower99" is not one of value, lower95, upper95`},
		{"no operator", "lower95 >= 0.85", "lower95", `require: "lower95" is not a comparison`},
		{"no number", "lower95 >= 0.85", "lower95 >= NaN", "is not a finite number"},
		{"two operators", "lower95 >= 0.85", "lower95 >== 0.85", "is not a finite number"},
		{"a margin below 0", "noWorseThan: 0.01", "noWorseThan: -0.01", "line 16, column 42: noWorseThan is below 0"},
		{"a direction unknown", "lower95 >= 0.85", "value == 0.85", "line 12, column 9: versusProduction cannot tell"},
		{"a tier without rank", "  high:", "  severe:", "line 5, column 3: tier severe has no rank"},
		{"a response not known", "    rollback: ready", "    signals: { drift: panic }", `the signal drift "panic" is not one of notify, reapprove, suspend, rollback`},
		{"a response in no time", "    rollback: ready", "    signals: { drift: reapprove within }", `the signal drift "reapprove within" is not one of`},
		{"a response in a time of no unit", "    rollback: ready", "    signals: { drift: reapprove within 7 }", `the time of the signal drift "7" is not a length of time`},
		{"a response that waits", "    rollback: ready", "    signals: { drift: suspend within 7d }", "only reapprove has a time within which"},
		{"a response to nothing", "    rollback: ready", "    signals: { '': suspend }", "a type of signal"},
		{"an alias", "[authority, behaviour]", "*x", "unknown anchor"},
		{"an anchor", "[authority, behaviour]", "&x [authority, behaviour]", "anchors and aliases are not read here"},
		{"not YAML", "tiers:\n", "tiers: [\n", "not valid YAML"},
		{"a misspelt field", "release.authority.records", "release.authorty.records", `line 34, column 23: cel: undefined field 'authorty'`},
		{"no truth value", `"!release.authority.records.exists(g, g.actions.exists(a, a == '*'))"`, "release.behaviour.model", "line 34, column 14: cel: the expression gives string"},
		{"a map walked", `"!release.authority.records.exists(g, g.actions.exists(a, a == '*'))"`, "runs.all(r, r.parameters.all(k, k != ''))", "walks a map"},
		{"too dear", `"!release.authority.records.exists(g, g.actions.exists(a, a == '*'))"`, "runs.all(a, runs.all(b, runs.all(c, runs.all(d, a.id + b.id != c.id + d.id))))", "may cost"},
		{"an expression of many lines", `"!release.authority.records.exists(g, g.actions.exists(a, a == '*'))"`, "|\n          version.type == 'agent' ||\n            version.tipe == 'x'", "line 36, column 20: cel: undefined field 'tipe'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(design, c.from, c.to, 1)
			if text == design {
				t.Fatal("the case changes nothing")
			}
			_, err := Load([]byte(text))
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
	for _, empty := range []string{"", "# nothing\n", "---\n", "null", "[]", "tiers: 3"} {
		if _, err := Load([]byte(empty)); err == nil {
			t.Errorf("%q is read as a policy", empty)
		}
	}
}

func TestOwnTiers(t *testing.T) {
	own := strings.Replace(design, "  high:\n", "  severe:\n    rank: 4\n", 1)
	p := mustLoad(t, own)
	d := p.Example("severe", noon)
	d.Environment.Record.LeastTier = "high"
	if v := p.Evaluate(d, noon); !v.Passed {
		t.Errorf("%v", v.Blocking())
	}
	p = mustLoad(t, strings.Replace(own, "rank: 4", "rank: 2", 1))
	if g := gateOf(t, p.Evaluate(d, noon), gateEnvironment); g.Result != record.Fail || !strings.Contains(g.Reason, "tier high or higher") {
		t.Errorf("%s: %s", g.Result, g.Reason)
	}
}

func TestExpressionsSeeTheRecord(t *testing.T) {
	for _, c := range []struct {
		cel  string
		want record.Result
	}{
		{"release.behaviour.artifact == version.artifact && version.artifact.startsWith('sha256:')", record.Pass},
		{"version.type in ['trained', 'fine-tuned']", record.Pass},
		{"usecase.purpose == 'triage' && environment.name == 'production'", record.Pass},
		{"datasets.all(d, d.classification == 'internal') && size(datasets) == 1", record.Pass},
		{"runs.all(r, r.finished - r.started < duration('25h'))", record.Pass},
		{"evaluations.exists(e, e.category == 'drift' && e.metrics.all(m, m.value < 0.2))", record.Pass},
		{"evaluations.all(e, e.metrics.all(m, has(m.successes) && m.successes <= m.n))", record.Pass},
		{"has(release.behaviour.prompt)", record.Fail},
		{"runs.all(r, r.parameters['epochs'] == '3')", record.Invalid},
		{"runs.all(r, int(r.id) > 0)", record.Invalid},
		{"1 / (size(runs) - 1) > 0", record.Invalid},
	} {
		p := mustLoad(t, strings.Replace(design, `"!release.authority.records.exists(g, g.actions.exists(a, a == '*'))"`, `"`+c.cel+`"`, 1))
		g := gateOf(t, p.Evaluate(p.Example("high", noon), noon), "expression/no-wildcard-writes")
		if g.Result != c.want {
			t.Errorf("%s is %s, want %s: %s", c.cel, g.Result, c.want, g.Reason)
		}
	}
}

// What the estimate lets through is still counted while it runs.
func TestExpressionCostIsBoundedAtRunTime(t *testing.T) {
	p := mustLoad(t, strings.Replace(design, `"!release.authority.records.exists(g, g.actions.exists(a, a == '*'))"`,
		"release.authority.records.all(a, release.authority.records.all(b, a.resource == b.resource))", 1))
	d := p.Example("high", noon)
	grants := make([]record.Grant, 3000)
	for i := range grants {
		grants[i] = record.Grant{Resource: "r", Actions: []string{"w"}}
	}
	d.Release.Record.Authority.Records = grants
	g := gateOf(t, p.Evaluate(d, noon), "expression/no-wildcard-writes")
	if g.Result != record.Invalid || !strings.Contains(g.Reason, "cost limit") {
		t.Errorf("%s: %s", g.Result, g.Reason)
	}
}

func TestLint(t *testing.T) {
	const text = `apiVersion: imprimatur/v1
kind: Policy
name: loose
tiers:
  low: {}
  medium:
    signals: { drift: suspend, drfit: suspend, default: notify }
    evaluations:
      - { category: accuracy, suite: s, metric: m, require: lower95 <= 0.1 }
    approvals:
      - { role: risk, covers: [data] }
`
	want := []string{
		`line 5, column 3: tier low asks for no approval; its releases are marked "no independent approval"`,
		"line 5, column 3: tier low asks for no evaluation",
		"line 6, column 3: tier medium has no expires; approvals last as long as the approver says",
		"line 6, column 3: tier medium lets the trainer approve; name trainer under separation",
		"line 6, column 3: no approval of tier medium covers the behaviour, authority and context; such a change voids nothing",
		"line 7, column 39: the signal drfit is none that is stated by itself; somebody has to record it",
		"line 9, column 9: accuracy/s/m compares the lower bound with <=: few samples make that easier; compare the upper bound",
		"line 9, column 9: accuracy/s/m has no freshFor; its evidence never lapses",
	}
	var got []string
	for _, p := range Lint([]byte(text)) {
		got = append(got, p.String())
		if !p.Warning {
			t.Errorf("%s is an error", p)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	broken := Lint([]byte("kind: Policy\nname: X\n"))
	if len(broken) < 2 || broken[0].Warning {
		t.Errorf("%v", broken)
	}
}

func TestSatisfiable(t *testing.T) {
	p := mustLoad(t, design)
	roster := func(bindings ...string) (people []record.Person) {
		for _, b := range bindings {
			name, roles, _ := strings.Cut(b, ":")
			person := record.Person{Principal: record.Principal{Name: name, Type: record.Human}}
			for r := range strings.SplitSeq(roles, ",") {
				person.Roles = append(person.Roles, record.Role{Principal: name, Role: record.RoleName(r), Team: "acme"})
			}
			people = append(people, person)
		}
		return people
	}
	check := func(people []record.Person, problems, warnings int, names string) {
		t.Helper()
		gotP, gotW := Satisfiable(p, people, "acme", noon)
		if len(gotP) != problems || len(gotW) != warnings || !strings.Contains(strings.Join(append(gotP, gotW...), " "), names) {
			t.Errorf("problems %v, warnings %v", gotP, gotW)
		}
	}
	check(roster("a:model-owner", "b:risk", "c:security"), 0, 0, "")
	check(roster("a:model-owner,risk", "b:risk,security"), 1, 0, "nobody is left for the seat of")
	check(roster("a:model-owner,contributor", "b:risk", "c:security"), 0, 1, "when a has trained the model, nobody is left for the seat of model-owner")
	check(roster("a:model-owner,contributor", "d:model-owner,contributor", "b:risk", "c:security"), 0, 0, "")
	machine := roster("a:model-owner", "b:risk", "c:security")
	machine[1].Principal.Type = record.Workload
	check(machine, 1, 0, "the seat of risk")
	p = mustLoad(t, strings.Replace(design, "mode: enforce ", "solo: true #", 1))
	check(roster("a:model-owner,risk,security,contributor"), 0, 0, "")
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(design))
	for _, name := range ReadyNames() {
		text, _ := Ready(name)
		f.Add(text)
	}
	f.Add([]byte(twenty))
	f.Add([]byte("a: &x [*x]\n---\n"))
	f.Add([]byte("apiVersion: imprimatur/v1\nkind: Policy\nname: x\ntiers: {low: {expressions: [{name: a, message: b, cel: |\n a\n}]}}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Load(text)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		for _, tier := range p.Tiers {
			if v := p.Evaluate(p.Example(tier.Name, noon), noon); len(v.Gates) < 4 {
				t.Errorf("tier %s judges %d gates", tier.Name, len(v.Gates))
			}
		}
	})
}

func BenchmarkEvaluate(b *testing.B) {
	p := mustLoad(b, withContent)
	d := p.Example("high", noon)
	b.ReportMetric(float64(len(p.Evaluate(d, noon).Gates)), "gates")
	b.ReportAllocs()
	for b.Loop() {
		if !p.Evaluate(d, noon).Passed {
			b.Fatal("the release does not pass")
		}
	}
}
