package evidence

import (
	"crypto/sha256"
	"slices"
	"strconv"
	"strings"

	"imprimatur.dev/record"
)

// promptfooFormat is promptfoo's output file (promptfoo eval -o out.json). One
// test of one prompt is an item. In a red team's file a test that passes is an
// attack that failed: its metric is attack_success_rate, with a slice for each
// plugin and misuse case. An error is neither: it counts against the model. A
// file with results of several providers must be told which one is meant.
// Source: src/types/index.ts of promptfoo 0.118 (EvaluateSummaryV3).
var promptfooFormat = importer{
	format: "promptfoo", version: 1, accepts: "promptfoo results version 3 (0.90 and later): eval and red team, JSON",
	match: func(h *head) string {
		if h.one().has("evalId", "results.version") {
			return "results"
		}
		return ""
	},
	read: func(in *input) error {
		for _, p := range in.parts {
			if err := readPromptfoo(in, p); err != nil {
				return err
			}
		}
		return nil
	},
}

const passRate = "pass_rate"

type promptfoo struct {
	in        *input
	d         *doc
	s         *suite
	attack    bool
	metric    string
	providers []string
	// counts are over all providers of the file, as the tool's are.
	passed, failed, errors int
	stats                  map[string]int
	version                string
}

func readPromptfoo(in *input, p part) error {
	f := &promptfoo{in: in, d: in.json(p), stats: map[string]int{}, attack: p.head.one().has("config.redteam"), metric: passRate}
	name, category := "promptfoo", record.Accuracy
	m := record.Metric{Name: passRate, Direction: record.Higher}
	if f.attack {
		name, category, f.metric = "promptfoo-redteam", record.Misuse, attackSuccess
		m = record.Metric{Name: attackSuccess, Direction: record.Lower}
	}
	f.s = in.suite(name, category)
	f.s.describe(m, 0, 1)
	f.file()
	if err := f.d.end(); err != nil {
		return err
	}
	if want := in.run.Subject; want == "" && len(f.providers) > 1 {
		return p.refuse("", "it has results of several providers, %s; say which one with --subject", strings.Join(f.providers, ", "))
	} else if want != "" && !slices.Contains(f.providers, want) {
		return p.refuse("", "it has no results of the provider %q; it has %s", want, strings.Join(f.providers, ", "))
	}
	f.s.Tool = record.Tool{Name: "promptfoo", Version: f.version}
	for _, c := range []struct {
		name string
		ours int
	}{{"successes", f.passed}, {"failures", f.failed}, {"errors", f.errors}} {
		if theirs, ok := f.stats[c.name]; ok {
			f.s.check(c.name, float64(theirs), float64(c.ours), 0)
		}
	}
	if f.s.items.len() == 0 {
		f.s.incomplete("it has no results of single tests")
	}
	return nil
}

func (f *promptfoo) file() {
	d := f.d
	d.object(func(name string) bool {
		switch name {
		case "results":
			d.object(f.results)
		case "metadata":
			d.object(func(name string) bool {
				switch name {
				case "promptfooVersion":
					f.version = d.text()
				case "evaluationCreatedAt":
					f.s.Started = d.time()
				default:
					d.skip()
				}
				return true
			})
		case "config":
			d.object(func(name string) bool {
				switch {
				case name == "description" && d.kind() == '"':
					f.s.Settings["description"] = d.text()
				case name == "env" && d.kind() == '{':
					d.object(func(string) bool {
						f.in.warn("the file holds the member config.env, in which secrets may stand; it is kept as it is")
						d.skip()
						return true
					})
				default:
					d.skip()
				}
				return true
			})
		case "evalId":
			f.s.Labels["evalId"] = d.text()
		case "shareableUrl", "author", "vars", "runtimeOptions":
			d.skip()
		default:
			return false
		}
		return true
	})
}

func (f *promptfoo) results(name string) bool {
	d := f.d
	switch name {
	case "version":
		if v := d.integer(); v != 3 {
			d.refuse("its results have the version %d, and version 3 is read; export them with promptfoo 0.90 or later", v)
		}
	case "timestamp":
		f.s.Ran = d.time()
	case "results":
		d.array(func(int) { f.result() })
	case "stats":
		d.object(func(name string) bool {
			switch name {
			case "successes", "failures", "errors":
				f.stats[name] = d.integer()
			default:
				d.skip()
			}
			return true
		})
	case "prompts":
		d.skip()
	default:
		return false
	}
	return true
}

// promptfooResult is one test of one prompt with one provider.
type promptfooResult struct {
	success        bool
	reason         int
	test, prompt   int
	id, vars       string
	provider       string
	plugin, method string
	named          map[string]bool
}

func (f *promptfoo) result() {
	d := f.d
	r := promptfooResult{named: map[string]bool{}}
	d.object(func(name string) bool {
		switch name {
		case "success":
			r.success = d.truth()
		case "failureReason":
			r.reason = d.integer()
		case "testIdx":
			r.test = d.integer()
		case "promptIdx":
			r.prompt = d.integer()
		case "promptId":
			r.id = d.text()
		case "vars":
			sum := sha256.Sum256(d.raw())
			r.vars = string(sum[:])
		case "provider":
			r.provider = f.provider()
		case "gradingResult":
			f.grading(r.named)
		case "metadata":
			if d.kind() == 'n' {
				d.skip()
				return true
			}
			d.object(func(name string) bool {
				switch {
				case name == "pluginId" && d.kind() == '"':
					r.plugin = d.text()
				case name == "strategyId" && d.kind() == '"':
					r.method = d.text()
				default:
					d.skip()
				}
				return true
			})
		case "testCase":
			f.testCase(&r)
		default:
			d.skip()
		}
		return true
	})
	f.take(&r)
}

// provider reads a provider's identity, which older files write as a text.
func (f *promptfoo) provider() (id string) {
	d := f.d
	if d.kind() == '"' {
		return d.text()
	}
	d.object(func(name string) bool {
		if name == "id" {
			id = d.text()
		} else {
			d.skip()
		}
		return true
	})
	return id
}

// testCase looks for the plugin where the result itself does not name it.
func (f *promptfoo) testCase(r *promptfooResult) {
	d := f.d
	if d.kind() != '{' {
		d.skip()
		return
	}
	d.object(func(name string) bool {
		if name != "metadata" || d.kind() != '{' {
			d.skip()
			return true
		}
		d.object(func(name string) bool {
			switch {
			case name == "pluginId" && r.plugin == "" && d.kind() == '"':
				r.plugin = d.text()
			case name == "strategyId" && r.method == "" && d.kind() == '"':
				r.method = d.text()
			default:
				d.skip()
			}
			return true
		})
		return true
	})
}

// grading reads which named metrics the test passed: all assertions of a name
// must have passed.
func (f *promptfoo) grading(named map[string]bool) {
	d := f.d
	if d.kind() != '{' {
		d.skip()
		return
	}
	d.object(func(name string) bool {
		if name != "componentResults" || d.kind() != '[' {
			d.skip()
			return true
		}
		d.array(func(int) {
			pass, metric := false, ""
			if d.kind() != '{' {
				d.skip()
				return
			}
			d.object(func(name string) bool {
				switch {
				case name == "pass":
					pass = d.truth()
				case name == "assertion" && d.kind() == '{':
					d.object(func(name string) bool {
						if name == "metric" && d.kind() == '"' {
							metric = d.text()
						} else {
							d.skip()
						}
						return true
					})
				default:
					d.skip()
				}
				return true
			})
			if metric != "" {
				before, seen := named[metric]
				named[metric] = pass && (before || !seen)
			}
		})
		return true
	})
}

func (f *promptfoo) take(r *promptfooResult) {
	if f.d.err != nil {
		return
	}
	failed := !r.success && r.reason == 2
	switch {
	case failed:
		f.errors++
	case r.success:
		f.passed++
	default:
		f.failed++
	}
	if !slices.Contains(f.providers, r.provider) {
		f.providers = append(f.providers, r.provider)
	}
	if want := f.in.run.Subject; want != "" && want != r.provider || want == "" && r.provider != f.providers[0] {
		return
	}
	f.s.Labels["provider"] = r.provider
	i := f.s.newItem(strconv.Itoa(r.test) + " " + strconv.Itoa(r.prompt) + " " + r.id + " " + r.vars)
	if failed {
		f.s.none(i, f.metric)
	} else {
		f.s.outcome(i, f.metric, r.success != f.attack)
	}
	f.s.slice(i, f.slices(r))
	for name, pass := range r.named {
		if _, known := f.s.byName[name]; !known {
			f.s.describe(record.Metric{Name: name, Direction: record.Higher}, 0, 1)
		}
		f.s.outcome(i, name, pass)
	}
}

func (f *promptfoo) slices(r *promptfooResult) map[string]string {
	out := map[string]string{}
	if r.plugin != "" {
		out["plugin"] = r.plugin
	}
	if r.method != "" {
		out["strategy"] = r.method
	}
	if c := caseOfPlugin(r.plugin); f.attack && c != "" {
		out[caseDimension] = c
	}
	return out
}
