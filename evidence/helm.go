package evidence

import (
	"math"
	"slices"
	"strings"

	"imprimatur.dev/record"
)

// helmFormat is one run of Stanford's HELM: run_spec.json, stats.json and
// per_instance_stats.json, told apart by their structure. The counts in
// stats.json are of trials, not of instances, so that what counts is the
// statistics of the single instances; perturbed instances are left out. Source:
// helm/benchmark/metrics/statistic.py and adaptation/adapter_spec.py.
var helmFormat = importer{
	format: "helm", version: 1, accepts: "HELM 0.3 to 0.5: run_spec.json, stats.json and per_instance_stats.json of one run", nan: true,
	match: func(h *head) string {
		d := h.one()
		switch {
		case d.has("adapter_spec.model", "metric_specs", "scenario_spec"):
			return "spec"
		case d.has("[].instance_id", "[].train_trial_index", "[].stats"):
			return "instances"
		case d.has("[].name.name", "[].count", "[].sum"):
			return "stats"
		case d.has("adapter_spec", "request_states"):
			return "states"
		case d.has("definition_path", "tags", "description") && len(d) < 12:
			return "scenario"
		}
		return ""
	},
	read: readHELM,
}

// helmMetrics are the metrics that say how good the answers are; the many
// others say how they came about.
var helmMetrics = []string{
	"exact_match", "quasi_exact_match", "prefix_exact_match", "quasi_prefix_exact_match", "exact_match@5", "quasi_exact_match@5",
	"prefix_exact_match@5", "quasi_prefix_exact_match@5", "f1_score", "rouge_1", "rouge_2", "rouge_l", "bleu_1", "bleu_4",
	"math_equiv", "math_equiv_chain_of_thought", "code_eval_acc", "pass", "toxic_frac", "ndcg_cut_10", "rr", "chain_of_thought_correctness",
}

// helmBounded are those of them that lie between 0 and 1.
func helmBounded(name string) bool { return !strings.HasPrefix(name, "bleu") }

type helmRun struct {
	in    *input
	name  string
	s     *suite
	limit int
}

func readHELM(in *input) error {
	specs := in.of("spec")
	if len(specs) != 1 {
		return in.refuse("", "there are %d files run_spec.json; give the files of one run", len(specs))
	}
	r := &helmRun{in: in, s: newSuite(in)}
	if err := r.spec(in.json(specs[0])); err != nil {
		return err
	}
	s, err := in.adopt(specs[0], r.s, r.name, record.Accuracy)
	if err != nil {
		return err
	}
	s.Tool.Name = "helm"
	for _, p := range in.of("instances") {
		if err := r.instances(in.json(p)); err != nil {
			return err
		}
	}
	for _, p := range in.of("stats") {
		if err := r.totals(in.json(p)); err != nil {
			return err
		}
	}
	if r.limit > 0 && s.items.len() >= r.limit {
		in.warn("the run was limited to %d instances", r.limit)
	}
	return nil
}

func (r *helmRun) spec(d *doc) error {
	d.object(func(name string) bool {
		switch name {
		case "name":
			r.name, _, _ = strings.Cut(d.text(), ",model=")
		case "adapter_spec":
			d.object(func(name string) bool {
				switch name {
				case "model", "model_deployment":
					r.s.Labels[name] = d.scalar()
				case "max_eval_instances":
					r.limit = d.integer()
				case "method", "num_train_trials", "max_train_instances", "temperature", "num_outputs", "max_tokens", "instructions":
					if v := d.scalar(); v != "" {
						r.s.Settings[name] = clip(v)
					}
				default:
					d.skip()
				}
				return true
			})
		default:
			d.skip()
		}
		return true
	})
	return d.end()
}

// helmStat is one statistic.
type helmStat struct {
	name, split string
	perturbed   bool
	count       int
	mean        float64
}

func readHelmStat(d *doc) (s helmStat) {
	s.mean = math.NaN()
	d.object(func(name string) bool {
		switch name {
		case "name":
			d.object(func(name string) bool {
				switch name {
				case "name":
					s.name = d.text()
				case "split":
					s.split = d.text()
				case "perturbation", "sub_split":
					s.perturbed = s.perturbed || d.kind() != 'n'
					d.skip()
				default:
					d.skip()
				}
				return true
			})
		case "count":
			s.count = d.integer()
		case "mean":
			s.mean = d.number()
		default:
			d.skip()
		}
		return true
	})
	return s
}

func (r *helmRun) instances(d *doc) error {
	d.array(func(int) {
		id, trial, perturbed := "", "", false
		var stats []helmStat
		d.object(func(name string) bool {
			switch name {
			case "instance_id":
				id = d.scalar()
			case "train_trial_index":
				trial = d.scalar()
			case "perturbation":
				perturbed = d.kind() != 'n'
				d.skip()
			case "stats":
				d.array(func(int) { stats = append(stats, readHelmStat(d)) })
			default:
				d.skip()
			}
			return true
		})
		if d.err != nil || perturbed {
			return
		}
		i := r.s.item(id + "#" + trial)
		if r.s.Settings["num_train_trials"] != "1" {
			r.s.cluster(i, id)
		}
		for _, x := range stats {
			if x.perturbed || !slices.Contains(helmMetrics, x.name) {
				continue
			}
			r.describe(x.name)
			r.s.score(i, x.name, x.mean)
		}
	})
	return d.end()
}

func (r *helmRun) describe(name string) {
	if r.s.byName[name] != nil {
		return
	}
	low, high, direction := 0.0, math.NaN(), record.Higher
	if helmBounded(name) {
		high = 1
	}
	if name == "toxic_frac" {
		direction = record.Lower
	}
	r.s.describe(record.Metric{Name: name, Direction: direction}, low, high)
}

// totals reads stats.json. How many instances a mean is over stands in a
// statistic of its own, num_instances.
func (r *helmRun) totals(d *doc) error {
	var found []helmStat
	instances := map[string]int{}
	d.array(func(int) {
		x := readHelmStat(d)
		switch {
		case d.err != nil || x.perturbed || x.count == 0:
		case x.name == "num_instances":
			instances[x.split] = int(x.mean)
		case slices.Contains(helmMetrics, x.name):
			found = append(found, x)
		}
	})
	splits := map[string]bool{}
	for _, x := range found {
		splits[x.split] = true
	}
	for _, x := range found {
		m := record.Metric{Name: x.name, Value: x.mean, N: instances[x.split]}
		if len(splits) > 1 {
			m.Slice = map[string]string{"split": x.split}
		}
		if r.s.byName[x.name] == nil {
			r.s.Counts.Scored = max(r.s.Counts.Scored, m.N)
		}
		r.s.report(m)
	}
	return d.end()
}
