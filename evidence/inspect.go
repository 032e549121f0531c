package evidence

import (
	"archive/zip"
	"io"
	"regexp"
	"strings"

	"imprimatur.dev/record"
)

// inspectFormat is UK AISI's Inspect: a log as JSON, or as an .eval archive,
// whose members are deflated or compressed with Zstandard. A sample in one epoch
// is an item, and the epochs of a sample are one cluster. Source:
// inspect_ai/log/_log.py and scorer/_metric.py of 0.3.
var inspectFormat = importer{
	format: "inspect", version: 1, accepts: "Inspect log version 2 (inspect_ai 0.3): .json and .eval", nan: true,
	match: func(h *head) string {
		if d := h.one(); d.has("status", "eval.task_id", "eval.run_id") {
			return "log"
		}
		for _, e := range h.entries {
			if e == inspectStart || e == inspectHeader {
				return "archive"
			}
		}
		return ""
	},
	read: func(in *input) error {
		for _, p := range in.parts {
			if err := readInspect(in, p); err != nil {
				return err
			}
		}
		return nil
	},
}

const (
	inspectHeader = "header.json"
	inspectStart  = "_journal/start.json"
)

// inspectLog is what one log says.
type inspectLog struct {
	in     *input
	d      *doc
	status string
	// s is a suite without a name until the whole log is read.
	s    *suite
	task string
	// total is the size of the data set, ran how many samples of it were run.
	total, epochs    int
	invalidated      bool
	scorers          []inspectScorer
	samples          int
	completed, asked int
}

type inspectScorer struct {
	name             string
	scored, unscored int
	values           map[string]float64
}

func readInspect(in *input, p part) error {
	l := &inspectLog{in: in, s: newSuite(in), epochs: 1}
	var err error
	if p.role == "archive" {
		err = l.archive(p)
	} else {
		l.d = in.json(p)
		l.log()
		err = l.d.end()
	}
	if err != nil {
		return err
	}
	return l.finish(p)
}

var inspectSample = regexp.MustCompile(`^samples/.+_epoch_\d+\.json$`)

func (l *inspectLog) archive(p part) error {
	a, err := p.archive()
	if err != nil {
		return err
	}
	byName := map[string]*zip.File{}
	var samples []*zip.File
	for _, f := range a.zip.File {
		if byName[f.Name] != nil {
			return p.refuse(f.Name, "the archive has this member twice")
		}
		byName[f.Name] = f
		switch {
		case inspectSample.MatchString(f.Name):
			samples = append(samples, f)
		case strings.HasPrefix(f.Name, "samples/") && !strings.HasSuffix(f.Name, "/"):
			l.in.warn("samples are laid out in a way that is not known, and only totals are read")
		}
	}
	head := byName[inspectHeader]
	if head == nil {
		head, l.status = byName[inspectStart], "started"
	}
	if err := l.member(a, head, l.log); err != nil {
		return err
	}
	for _, f := range samples {
		if err := l.member(a, f, l.sample); err != nil {
			return err
		}
	}
	return nil
}

func (l *inspectLog) member(a *archive, f *zip.File, read func()) error {
	r, err := a.open(f)
	if err != nil {
		return err
	}
	defer r.Close()
	l.d = l.in.jsonFrom(a.part, r)
	l.d.member = f.Name
	read()
	if err := l.d.end(); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r)
	return err
}

func (l *inspectLog) log() {
	d := l.d
	d.object(func(name string) bool {
		switch name {
		case "version":
			if v := d.integer(); v > 2 {
				d.refuse("its version is %d, and logs up to version 2 are read", v)
			}
		case "status":
			l.status = d.text()
		case "invalidated":
			l.invalidated = d.truth()
		case "eval":
			l.eval()
		case "results":
			if d.kind() == 'n' {
				d.skip()
			} else {
				l.results()
			}
		case "stats":
			d.object(func(name string) bool {
				switch name {
				case "started_at":
					l.s.Started = d.time()
				case "completed_at":
					l.s.Ran = d.time()
				default:
					d.skip()
				}
				return true
			})
		case "samples":
			if d.kind() == 'n' {
				d.skip()
			} else {
				d.array(func(int) { l.sample() })
			}
		case "log_updates":
			if d.kind() == '[' {
				d.array(func(int) {
					l.in.warn("scores or tags were edited after the run")
					d.skip()
				})
			} else {
				d.skip()
			}
		case "plan", "error", "reductions", "location", "etag", "tags", "metadata":
			d.skip()
		default:
			return false
		}
		return true
	})
}

func (l *inspectLog) eval() {
	d, s := l.d, l.s
	d.object(func(name string) bool {
		switch name {
		case "task":
			l.task = d.text()
		case "task_version":
			s.SuiteVersion = d.scalar()
		case "model":
			s.Labels["model"] = d.text()
		case "task_args":
			d.settings(s.Settings, "task.")
		case "model_args":
			d.settings(s.Labels, "model.")
		case "model_generate_config":
			d.settings(s.Settings, "generate.")
		case "model_roles":
			l.judges()
		case "config":
			d.object(func(name string) bool {
				switch name {
				case "epochs":
					l.epochs = max(1, d.integer())
				case "limit", "fail_on_error", "message_limit", "token_limit", "time_limit":
					if d.kind() == '[' {
						d.skip()
					} else if v := d.scalar(); v != "" {
						s.Settings["config."+name] = v
					}
				default:
					d.skip()
				}
				return true
			})
		case "dataset":
			d.object(func(name string) bool {
				switch name {
				case "samples":
					l.total = d.integer()
				case "name", "location", "shuffled":
					if v := d.scalar(); v != "" {
						s.Settings["dataset."+name] = v
					}
				default:
					d.skip()
				}
				return true
			})
		case "revision":
			if d.kind() == 'n' {
				d.skip()
				return true
			}
			d.object(func(name string) bool {
				switch name {
				case "commit":
					s.Tool.Commit = d.text()
				case "dirty":
					s.Tool.Dirty = d.truth()
				default:
					d.skip()
				}
				return true
			})
		case "packages":
			d.object(func(name string) bool {
				if name == "inspect_ai" {
					s.Tool.Version = d.text()
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
}

// judges are the models in other roles than that of the one evaluated.
func (l *inspectLog) judges() {
	d := l.d
	if d.kind() != '{' {
		d.skip()
		return
	}
	d.object(func(role string) bool {
		if d.kind() == '"' {
			l.s.Judges = append(l.s.Judges, record.Judge{Model: d.text()})
			return true
		}
		d.object(func(name string) bool {
			if name == "model" {
				l.s.Judges = append(l.s.Judges, record.Judge{Model: d.text()})
			} else {
				d.skip()
			}
			return true
		})
		return true
	})
}

func (l *inspectLog) results() {
	d := l.d
	d.object(func(name string) bool {
		switch name {
		case "total_samples":
			l.asked = d.integer()
		case "completed_samples":
			l.completed = d.integer()
		case "early_stopping":
			if d.kind() != 'n' {
				l.s.incomplete("the run stopped early")
			}
			d.skip()
		case "scores":
			d.array(func(int) { l.score() })
		default:
			d.skip()
		}
		return true
	})
}

func (l *inspectLog) score() {
	d := l.d
	c := inspectScorer{values: map[string]float64{}, scored: -1}
	d.object(func(name string) bool {
		switch name {
		case "name":
			c.name = d.text()
		case "scored_samples":
			c.scored = d.integer()
		case "unscored_samples":
			c.unscored = d.integer()
		case "metrics":
			d.object(func(metric string) bool {
				d.object(func(name string) bool {
					if name == "value" {
						c.values[metric] = d.number()
					} else {
						d.skip()
					}
					return true
				})
				return true
			})
		default:
			d.skip()
		}
		return true
	})
	l.scorers = append(l.scorers, c)
}

// finish names the suite and its metrics, now that all is read.
func (l *inspectLog) finish(p part) error {
	s, err := l.in.adopt(p, l.s, l.task, record.Accuracy)
	if err != nil {
		return err
	}
	s.Tool.Name = "inspect"
	switch {
	case l.status != "success":
		s.incomplete("the run's status is %s", l.status)
	case l.invalidated:
		s.incomplete("the run or one of its samples is marked as not valid")
	case l.asked > l.completed:
		s.incomplete("%d of %d samples were completed", l.completed, l.asked)
	}
	s.Counts.Expected = l.total * l.epochs
	for _, c := range l.scorers {
		l.totals(s, c)
	}
	return nil
}

// totals reports a scorer's metrics and gives its items the name of the metric
// that is their mean.
func (l *inspectLog) totals(s *suite, c inspectScorer) {
	prefix := ""
	if len(l.scorers) > 1 {
		prefix = c.name + "."
	}
	n := c.scored
	if n < 0 {
		n = l.completed
	}
	mean := "mean"
	if _, ok := c.values["accuracy"]; ok {
		mean = "accuracy"
	}
	if x := s.byName[c.name]; x != nil {
		x.metric.Name, x.metric.Direction = nameOf(prefix+mean), record.Higher
		if mean == "accuracy" {
			x.low, x.high = 0, 1
		}
	}
	if l.samples == 0 {
		s.Counts.Scored, s.Counts.Errors = n, c.unscored
	}
	for _, name := range keys(c.values) {
		if name == "stderr" {
			continue
		}
		m := record.Metric{Name: prefix + name, Value: c.values[name], N: n}
		if e, ok := c.values["stderr"]; ok && name == mean && e > 0 {
			m.Reported = &record.Uncertainty{Method: "inspect", StdErr: &e}
		}
		s.report(m)
	}
}
