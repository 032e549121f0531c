package record

import (
	"fmt"
	"slices"
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

// Evaluation is what one run of one suite found out about one model: evidence
// files kept by digest, and what was read from them.
type Evaluation struct {
	Team string `json:"team"`
	// Artifact is the model that was evaluated; Prompt and Configuration are
	// what it was evaluated with, where that is more than the model.
	Artifact      Digest   `json:"artifact"`
	Prompt        Digest   `json:"prompt,omitzero"`
	Configuration Digest   `json:"configuration,omitzero"`
	Category      Category `json:"category"`
	Suite         string   `json:"suite"`
	// SuiteVersion and Definition say which suite: its tasks, probes, scorers.
	SuiteVersion string `json:"suiteVersion,omitzero"`
	Definition   Digest `json:"definition,omitzero"`
	// Dataset is what it was evaluated on.
	Dataset Digest `json:"dataset"`
	Tool    Tool   `json:"tool"`
	// Settings are those that two evaluations must share to be compared.
	Settings map[string]string `json:"settings,omitzero"`
	// Labels are the tool's own names of the run and the model, which differ
	// from run to run and prove nothing.
	Labels map[string]string `json:"labels,omitzero"`
	// Judges are the models that scored the answers.
	Judges []Judge `json:"judges,omitzero"`
	// Evidence are the raw files, in the order in which they were read.
	Evidence []RawFile `json:"evidence"`
	// Items say what the metrics were counted over; absent where the tool gives
	// totals only.
	Items   *Items   `json:"items,omitzero"`
	Metrics []Metric `json:"metrics"`
	// Monitor is the monitor of drift that the evidence is of, whose baseline it has.
	Monitor *Monitor `json:"monitor,omitzero"`
	// Counts say how far the run came.
	Counts Counts `json:"counts,omitzero"`
	// Incomplete says why the run does not count: it did not cover what it set
	// out to, or it tested nothing. Such evidence never passes a gate.
	Incomplete string `json:"incomplete,omitzero"`
	// Import says how the files were read.
	Import    Import `json:"import,omitzero"`
	Assurance string `json:"assurance"`
	// Attempt is the how-manieth evaluation on this held-out set this is, for
	// the team and the suite. The server counts.
	Attempt int `json:"attempt,omitzero"`
	// Started and Ran are when the tool began and ended, not when the result
	// was recorded.
	Started time.Time `json:"started,omitzero"`
	Ran     time.Time `json:"ran"`
}

// Tool names what produced the evidence.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	// Commit is that of the evaluation's own code; Dirty says that the tree
	// differed from it.
	Commit string `json:"commit,omitzero"`
	Dirty  bool   `json:"dirty,omitzero"`
}

// Judge is a model that scored the answers of another.
type Judge struct {
	Model string `json:"model"`
	// Artifact is its digest, where it is known.
	Artifact Digest `json:"artifact,omitzero"`
}

// RawFile is one file of evidence.
type RawFile struct {
	Name   string `json:"name"`
	Digest Digest `json:"digest"`
	Bytes  int64  `json:"bytes"`
	// Format is what it was recognised as.
	Format string `json:"format"`
}

// FormatRun is the format of an envelope with the signed [EvaluationRun] that
// wrote the other files.
const FormatRun = "evaluation-run"

// FileOf describes a file of evidence.
func FileOf(name, format string, content []byte) RawFile {
	return RawFile{Name: name, Digest: DigestOf(content), Bytes: int64(len(content)), Format: format}
}

// Items are what was evaluated, one by one.
type Items struct {
	// Set is the SHA-256 of the first 16 bytes of the SHA-256 of every item's
	// identity, these sorted and put end to end: two evaluations with one set
	// had the same items.
	Set Digest `json:"set"`
	N   int    `json:"n"`
	// Clusters is how many groups of dependent items there are; 0 where the
	// items were not grouped.
	Clusters int `json:"clusters,omitzero"`
}

// Counts say how far a run came. Evaluated is the sum of Scored and Errors;
// Expected is 0 where nothing says how many items there should be.
type Counts struct {
	Expected  int `json:"expected,omitzero"`
	Evaluated int `json:"evaluated"`
	Scored    int `json:"scored"`
	Errors    int `json:"errors,omitzero"`
	Skipped   int `json:"skipped,omitzero"`
}

// Monitor names what observations of a release are compared with: a baseline by
// the digest of its canonical JSON, which is in the evidence, and the sample that
// it was counted on.
type Monitor struct {
	Baseline Digest `json:"baseline"`
	Sample   Digest `json:"sample"`
	Rows     int    `json:"rows"`
}

// Import says how evidence was read.
type Import struct {
	// Format and Version are the importer's.
	Format  string `json:"format"`
	Version int    `json:"version"`
	// Unknown are members of the files that the importer does not know, as
	// JSON pointers with '-' for every index.
	Unknown  []string `json:"unknown,omitzero"`
	Warnings []string `json:"warnings,omitzero"`
	// Checks compare what the tool says with what the items say.
	Checks []Check `json:"checks,omitzero"`
}

// Check is one comparison of the tool's own word with ours.
type Check struct {
	Name       string  `json:"name"`
	OK         bool    `json:"ok"`
	Reported   float64 `json:"reported"`
	Recomputed float64 `json:"recomputed"`
}

// Kind implements Body.
func (Evaluation) Kind() Kind { return KindEvaluation }

// EvaluationID returns "e-" and the first 12 hex digits of the record's
// digest: the same evidence recorded twice is one evaluation.
func EvaluationID(self Digest) string { return "e-" + self.Short() }

// Keys implements Body.
func (e Evaluation) Keys(self Digest) []string {
	keys := []string{
		KeyEvaluation(EvaluationID(self)), KeyEvaluations(e.Artifact), KeyUses(e.Dataset),
		KeyTries(e.Team, e.Dataset, e.Category, e.Suite),
	}
	if files := e.Files(); len(files) > 0 {
		keys = append(keys, KeyEvidence(files[0]))
	}
	return keys
}

// Files are the digests of the evidence in order, without the signed run: what
// the results were read from.
func (e Evaluation) Files() []Digest {
	var out []Digest
	for _, f := range e.Evidence {
		if f.Format != FormatRun {
			out = append(out, f.Digest)
		}
	}
	slices.Sort(out)
	return out
}

// SignedRun returns the digest of the envelope of the run that wrote the files,
// empty where there is none.
func (e Evaluation) SignedRun() Digest {
	for _, f := range e.Evidence {
		if f.Format == FormatRun {
			return f.Digest
		}
	}
	return ""
}

// Subject implements Body.
func (e Evaluation) Subject() (string, Digest) {
	return fmt.Sprintf("evaluation/%s/%s", e.Category, e.Suite), e.Artifact
}

// Contradiction says in what the evidence contradicts itself, or is empty.
func (e Evaluation) Contradiction() string {
	for _, k := range e.Import.Checks {
		if !k.OK {
			return fmt.Sprintf("the tool says %s = %v, and its items say %v", k.Name, k.Reported, k.Recomputed)
		}
	}
	return ""
}

// Validate implements Body.
func (e Evaluation) Validate() error {
	c := checker{kind: KindEvaluation}
	c.name("team", e.Team)
	c.digest("artifact", e.Artifact)
	c.optionalDigest("prompt", e.Prompt)
	c.optionalDigest("configuration", e.Configuration)
	c.oneOf("category", string(e.Category), string(Accuracy), string(Safety), string(Drift), string(Misuse))
	c.name("suite", e.Suite)
	c.text("suiteVersion", e.SuiteVersion, false)
	c.optionalDigest("definition", e.Definition)
	c.digest("dataset", e.Dataset)
	c.text("tool.name", e.Tool.Name, true)
	c.text("tool.version", e.Tool.Version, true)
	c.text("tool.commit", e.Tool.Commit, false)
	c.textMap("settings", e.Settings)
	c.textMap("labels", e.Labels)
	e.checkFiles(&c)
	e.checkMetrics(&c)
	e.checkImport(&c)
	if m := e.Monitor; m != nil {
		c.digest("monitor.baseline", m.Baseline)
		c.digest("monitor.sample", m.Sample)
		c.count("monitor.rows", m.Rows)
	}
	c.text("incomplete", e.Incomplete, false)
	c.oneOf("assurance", e.Assurance, SignedRun, Imported, Claimed)
	c.count("attempt", e.Attempt)
	c.optionalTime("started", e.Started)
	c.time("ran", e.Ran)
	if e.Started.After(e.Ran) {
		c.failf("started is later than ran")
	}
	return c.err()
}

func (e Evaluation) checkFiles(c *checker) {
	if len(e.Evidence) == 0 {
		c.failf("evidence names no file")
	}
	c.list("evidence", len(e.Evidence))
	for i, f := range e.Evidence {
		field := fmt.Sprintf("evidence[%d]", i)
		c.text(field+".name", f.Name, true)
		c.digest(field+".digest", f.Digest)
		c.text(field+".format", f.Format, true)
		if f.Bytes < 0 {
			c.failf("%s.bytes is negative", field)
		}
	}
	c.list("judges", len(e.Judges))
	for i, j := range e.Judges {
		c.text(fmt.Sprintf("judges[%d].model", i), j.Model, true)
		c.optionalDigest(fmt.Sprintf("judges[%d].artifact", i), j.Artifact)
	}
}

func (e Evaluation) checkMetrics(c *checker) {
	if len(e.Metrics) == 0 && e.Incomplete == "" {
		c.failf("metrics is empty, and incomplete does not say why")
	}
	c.list("metrics", len(e.Metrics))
	seen := map[string]bool{}
	for i, m := range e.Metrics {
		m.check(c, fmt.Sprintf("metrics[%d]", i))
		if seen[m.Label()] {
			c.failf("metric %q is given twice", m.Label())
		}
		seen[m.Label()] = true
		if m.Outcomes != nil && (e.Items == nil || len(m.Outcomes) != (e.Items.N+7)/8) {
			c.failf("metrics[%d].outcomes does not have one bit an item", i)
		}
	}
	if e.Items != nil {
		c.digest("items.set", e.Items.Set)
		c.count("items.n", e.Items.N)
		c.count("items.clusters", e.Items.Clusters)
	}
}

func (e Evaluation) checkImport(c *checker) {
	n := e.Counts
	for _, f := range []struct {
		name string
		n    int
	}{{"expected", n.Expected}, {"evaluated", n.Evaluated}, {"scored", n.Scored}, {"errors", n.Errors}, {"skipped", n.Skipped}} {
		c.count("counts."+f.name, f.n)
	}
	if n.Evaluated != n.Scored+n.Errors {
		c.failf("counts.evaluated %d is not the sum of %d scored and %d errors", n.Evaluated, n.Scored, n.Errors)
	}
	c.text("import.format", e.Import.Format, false)
	c.count("import.version", e.Import.Version)
	c.texts("import.unknown", e.Import.Unknown)
	c.texts("import.warnings", e.Import.Warnings)
	c.list("import.checks", len(e.Import.Checks))
	for i, k := range e.Import.Checks {
		field := fmt.Sprintf("import.checks[%d]", i)
		c.text(field+".name", k.Name, true)
		c.finite(field+".reported", k.Reported)
		c.finite(field+".recomputed", k.Recomputed)
	}
}

// KeyEvaluation finds an evaluation by its ID.
func KeyEvaluation(id string) string { return "evaluation/" + id }

// KeyEvaluations finds the evaluations of an artifact.
func KeyEvaluations(artifact Digest) string { return "evaluations/" + string(artifact) }

// KeyTries finds the evaluations of a team's models by one suite on one dataset.
func KeyTries(team string, dataset Digest, c Category, suite string) string {
	return fmt.Sprintf("tries/%s/%s/%s/%s", team, dataset, c, suite)
}

// KeyEvidence finds the evaluations whose files begin, in the order of their
// digests, with this one.
func KeyEvidence(file Digest) string { return "evidence/" + string(file) }
