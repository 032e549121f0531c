package record

import (
	"fmt"
	"time"
)

// Category is what an evaluation speaks of.
type Category string

// The four kinds of gate that evidence can feed.
const (
	Accuracy Category = "accuracy"
	Safety   Category = "safety"
	Drift    Category = "drift"
	Misuse   Category = "misuse"
)

// Assurance says how closely a result is bound to the model's bytes.
const (
	SignedRun = "signed-run" // produced under our own wrapper, which hashed the model
	Imported  = "imported"   // read from a tool's file by an authenticated evaluator
	Claimed   = "claimed"    // somebody's word
)

// Evaluation is one evidence file, kept by digest and read into metrics.
type Evaluation struct {
	Team string `json:"team"`
	// Artifact is the model that was evaluated.
	Artifact Digest   `json:"artifact"`
	Category Category `json:"category"`
	Suite    string   `json:"suite"`
	// Dataset is what it was evaluated on.
	Dataset Digest `json:"dataset"`
	Tool    Tool   `json:"tool"`
	// Evidence is the digest of the raw file.
	Evidence Digest   `json:"evidence"`
	Metrics  []Metric `json:"metrics"`
	// Incomplete says why the run did not cover what it set out to; evidence
	// that is incomplete never passes a gate.
	Incomplete string            `json:"incomplete,omitzero"`
	Settings   map[string]string `json:"settings,omitzero"`
	Assurance  string            `json:"assurance"`
	// Ran is when the tool ran, not when the result was recorded.
	Ran time.Time `json:"ran"`
}

// Tool names what produced the evidence.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Metric is one number with what its uncertainty needs. A proportion gives
// Successes of N; another metric gives its standard error, or the tool's own
// 95 % interval.
type Metric struct {
	Name      string   `json:"name"`
	Value     float64  `json:"value"`
	N         int      `json:"n"`
	Successes *int     `json:"successes,omitzero"`
	StdErr    *float64 `json:"stdErr,omitzero"`
	Lower95   *float64 `json:"lower95,omitzero"`
	Upper95   *float64 `json:"upper95,omitzero"`
}

// Kind implements Body.
func (Evaluation) Kind() Kind { return KindEvaluation }

// EvaluationID returns "e-" and the first 12 hex digits of the record's
// digest: the same evidence recorded twice is one evaluation.
func EvaluationID(self Digest) string { return "e-" + self.Short() }

// Keys implements Body.
func (e Evaluation) Keys(self Digest) []string {
	return []string{KeyEvaluation(EvaluationID(self)), KeyEvaluations(e.Artifact), KeyUses(e.Dataset)}
}

// Subject implements Body.
func (e Evaluation) Subject() (string, Digest) {
	return fmt.Sprintf("evaluation/%s/%s", e.Category, e.Suite), e.Artifact
}

// Validate implements Body.
func (e Evaluation) Validate() error {
	c := checker{kind: KindEvaluation}
	c.name("team", e.Team)
	c.digest("artifact", e.Artifact)
	c.oneOf("category", string(e.Category), string(Accuracy), string(Safety), string(Drift), string(Misuse))
	c.name("suite", e.Suite)
	c.digest("dataset", e.Dataset)
	c.text("tool.name", e.Tool.Name, true)
	c.text("tool.version", e.Tool.Version, true)
	c.digest("evidence", e.Evidence)
	if len(e.Metrics) == 0 && e.Incomplete == "" {
		c.failf("metrics is empty, and incomplete does not say why")
	}
	c.list("metrics", len(e.Metrics))
	seen := map[string]bool{}
	for i, m := range e.Metrics {
		m.check(&c, fmt.Sprintf("metrics[%d]", i))
		if seen[m.Name] {
			c.failf("metric %q is given twice", m.Name)
		}
		seen[m.Name] = true
	}
	c.text("incomplete", e.Incomplete, false)
	c.textMap("settings", e.Settings)
	c.oneOf("assurance", e.Assurance, SignedRun, Imported, Claimed)
	c.time("ran", e.Ran)
	return c.err()
}

func (m Metric) check(c *checker, field string) {
	c.name(field+".name", m.Name)
	c.finite(field+".value", m.Value)
	c.count(field+".n", m.N)
	if m.Successes != nil {
		c.count(field+".successes", *m.Successes)
		if *m.Successes > m.N {
			c.failf("%s.successes %d exceeds n %d", field, *m.Successes, m.N)
		}
	}
	if m.StdErr != nil {
		c.finite(field+".stdErr", *m.StdErr)
		if *m.StdErr < 0 {
			c.failf("%s.stdErr is negative", field)
		}
	}
	if (m.Lower95 == nil) != (m.Upper95 == nil) {
		c.failf("%s gives one end of an interval only", field)
	} else if m.Lower95 != nil {
		c.finite(field+".lower95", *m.Lower95)
		c.finite(field+".upper95", *m.Upper95)
		if *m.Lower95 > m.Value || m.Value > *m.Upper95 {
			c.failf("%s.value lies outside its own interval", field)
		}
	}
}

// KeyEvaluation finds an evaluation by its ID.
func KeyEvaluation(id string) string { return "evaluation/" + id }

// KeyEvaluations finds the evaluations of an artifact.
func KeyEvaluations(artifact Digest) string { return "evaluations/" + string(artifact) }
