package record

import (
	"fmt"
	"strings"
	"time"
)

// Run is a training run: code, parameters, environment, the principal that ran
// it, what went in and what came out. On the ledger it is written as SLSA
// Provenance v1, with this record beside the standard fields.
type Run struct {
	Team string `json:"team"`
	// ID is the pipeline's own name for the run, unique in the team.
	ID string `json:"id"`
	// External is the run's ID in the OpenLineage events of its pipeline; empty
	// where that is ID itself.
	External string `json:"external,omitzero"`
	Code     Code   `json:"code"`
	// Parameters and Environment are kept as text: numbers in a run are the
	// pipeline's own spelling, and a double would change some of them.
	Parameters  map[string]string `json:"parameters,omitzero"`
	Environment map[string]string `json:"environment,omitzero"`
	// Initiator is the person for whom the pipeline ran, if not its owner.
	Initiator string     `json:"initiator,omitzero"`
	Inputs    []Resource `json:"inputs"`
	Outputs   []Resource `json:"outputs"`
	Started   time.Time  `json:"started"`
	Finished  time.Time  `json:"finished"`
	// Reported is nil where the pipeline stated the run itself.
	Reported *Reported `json:"reported,omitzero"`
}

// Code names the exact source of a run.
type Code struct {
	Repository string `json:"repository"`
	// Commit is the full object name, 40 or 64 hex digits.
	Commit string `json:"commit"`
	// Dirty says that the working tree differed from the commit.
	Dirty bool `json:"dirty,omitzero"`
	// Path is the program that ran, within the repository; empty where the
	// pipeline does not say.
	Path string `json:"path,omitzero"`
	// Author is the commit's author: a principal's name or an e-mail address.
	Author string `json:"author,omitzero"`
}

// ResourceType says what a run read or wrote.
type ResourceType string

// The types of resource.
const (
	ResourceDataset ResourceType = "dataset"
	ResourceModel   ResourceType = "model"
)

// Resource is one input or output of a run.
type Resource struct {
	Type   ResourceType `json:"type"`
	Name   string       `json:"name"`
	Digest Digest       `json:"digest"`
}

// Kind implements Body.
func (Run) Kind() Kind { return KindRun }

// Ref returns "team/id".
func (r Run) Ref() string { return r.Team + "/" + r.ID }

// Keys implements Body.
func (r Run) Keys(Digest) []string {
	keys := []string{KeyRun(r.Ref())}
	for _, o := range r.Outputs {
		keys = append(keys, KeyRunsOf(o.Digest))
	}
	for _, i := range r.Inputs {
		keys = append(keys, KeyUses(i.Digest))
	}
	return keys
}

// Subject implements Body. A run is about its first output; a reported one may
// have none.
func (r Run) Subject() (string, Digest) {
	if len(r.Outputs) == 0 {
		return "run/" + r.Ref(), ""
	}
	return "run/" + r.Ref(), r.Outputs[0].Digest
}

// Validate implements Body.
func (r Run) Validate() error {
	c := checker{kind: KindRun}
	c.name("team", r.Team)
	c.version("id", r.ID)
	c.oneLine("external", r.External, MaxLineageRun, false)
	reported := r.Reported != nil
	c.text("code.repository", r.Code.Repository, !reported)
	if !commitPattern.MatchString(r.Code.Commit) && (!reported || r.Code.Commit != "") {
		c.failf("code.commit %q is not a full commit of 40 or 64 hex digits", r.Code.Commit)
	}
	c.text("code.path", r.Code.Path, false)
	c.text("code.author", r.Code.Author, false)
	c.textMap("parameters", r.Parameters)
	c.textMap("environment", r.Environment)
	if r.Initiator != "" {
		c.principal("initiator", r.Initiator)
	}
	c.resources("inputs", r.Inputs, !reported)
	c.resources("outputs", r.Outputs, !reported)
	c.time("started", r.Started)
	c.time("finished", r.Finished)
	if r.Finished.Before(r.Started) {
		c.failf("finished is before started")
	}
	if reported {
		c.reported(r.Reported)
	}
	return c.err()
}

func (c *checker) resources(field string, rs []Resource, required bool) {
	c.list(field, len(rs))
	if len(rs) == 0 && required {
		c.failf("%s is empty", field)
	}
	for _, r := range rs {
		c.oneOf(field+".type", string(r.Type), string(ResourceDataset), string(ResourceModel))
		c.text(field+".name", r.Name, true)
		c.digest(field+".digest", r.Digest)
	}
}

// KeyRun finds a run by "team/id".
func KeyRun(ref string) string { return "run/" + ref }

// KeyRunsOf finds the runs that made the bytes with a digest.
func KeyRunsOf(d Digest) string { return "runs-of/" + string(d) }

// ModelKind says how a model came to be.
type ModelKind string

// The kinds of model.
const (
	Trained   ModelKind = "trained"
	FineTuned ModelKind = "fine-tuned"
	Vendor    ModelKind = "vendor"
	Agent     ModelKind = "agent"
)

// Model is a name under which versions stand.
type Model struct {
	Team        string    `json:"team"`
	Name        string    `json:"name"`
	Type        ModelKind `json:"type"`
	Owner       string    `json:"owner"`
	Description string    `json:"description,omitzero"`
}

// Kind implements Body.
func (Model) Kind() Kind { return KindModel }

// Ref returns "team/name".
func (m Model) Ref() string { return m.Team + "/" + m.Name }

// Keys implements Body.
func (m Model) Keys(Digest) []string { return []string{KeyModel(m.Ref()), KeyOwned(m.Owner)} }

// Subject implements Body.
func (m Model) Subject() (string, Digest) { return "model/" + m.Ref(), "" }

// Validate implements Body.
func (m Model) Validate() error {
	c := checker{kind: KindModel}
	c.name("team", m.Team)
	c.name("name", m.Name)
	c.modelKind("type", m.Type)
	c.principal("owner", m.Owner)
	c.text("description", m.Description, false)
	return c.err()
}

func (c *checker) modelKind(field string, k ModelKind) {
	c.oneOf(field, string(k), string(Trained), string(FineTuned), string(Vendor), string(Agent))
}

// KeyModel finds a model by "team/name".
func KeyModel(ref string) string { return "model/" + ref }

// File is one file of an artifact; Path is relative with forward slashes.
type File struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// Finding is something in a model's files that runs code when it is loaded, that
// could not be recognised, or that a person should look at.
type Finding struct {
	File   string `json:"file"`
	Type   string `json:"type"`
	Detail string `json:"detail"`
}

// The types of finding that are for a person to look at; package artifact names
// the others, all of which are unsafe.
const (
	FindingTemplate = "template"  // holds a chat template, which a loader interprets
	FindingCustomOp = "custom-op" // needs operators from outside the format's standard
)

// Unsafe reports whether the finding means that loading the file may run code,
// or that nobody can tell.
func (f Finding) Unsafe() bool { return f.Type != FindingTemplate && f.Type != FindingCustomOp }

// ModelVersion is one artifact of a model, known by the digest of the manifest
// of its files (package artifact).
type ModelVersion struct {
	// Model is "team/name".
	Model    string    `json:"model"`
	Version  string    `json:"version"`
	Type     ModelKind `json:"type"`
	Artifact Digest    `json:"artifact"`
	Files    []File    `json:"files"`
	// Signature is the root digest of an OpenSSF model signature of the same
	// files, an alias under which other tools know the artifact.
	Signature Digest `json:"signature,omitzero"`
	// Run is "team/id" of the training run; a vendor's model has none.
	Run string `json:"run,omitzero"`
	// Bases are the artifacts this one was made from.
	Bases         []Digest  `json:"bases,omitzero"`
	Prompt        Digest    `json:"prompt,omitzero"`
	Configuration Digest    `json:"configuration,omitzero"`
	Source        string    `json:"source,omitzero"`
	Findings      []Finding `json:"findings,omitzero"`
	// Service says what it is, where there are no bytes but a vendor who answers.
	Service *Service `json:"service,omitzero"`
}

// Kind implements Body.
func (ModelVersion) Kind() Kind { return KindModelVersion }

// Ref returns "team/name@version".
func (v ModelVersion) Ref() string { return v.Model + "@" + v.Version }

// Keys implements Body.
func (v ModelVersion) Keys(Digest) []string {
	keys := []string{KeyVersion(v.Ref()), KeyArtifact(v.Artifact), KeyVersions(v.Model)}
	for _, b := range v.Bases {
		keys = append(keys, KeyUses(b))
	}
	if s := v.Service; s != nil {
		keys = append(keys, KeyService(TeamOf(v.Model)+"/"+s.Vendor, s.Model))
	}
	return keys
}

// Subject implements Body.
func (v ModelVersion) Subject() (string, Digest) { return "model/" + v.Ref(), v.Artifact }

// Validate implements Body.
func (v ModelVersion) Validate() error {
	c := checker{kind: KindModelVersion}
	c.ref("model", v.Model)
	c.version("version", v.Version)
	c.modelKind("type", v.Type)
	c.digest("artifact", v.Artifact)
	c.files(v.Files)
	c.optionalDigest("signature", v.Signature)
	if v.Run != "" {
		c.runRef("run", v.Run)
	}
	c.list("bases", len(v.Bases))
	for _, b := range v.Bases {
		c.digest("bases", b)
		if b == v.Artifact {
			c.failf("bases names the model itself")
		}
	}
	c.optionalDigest("prompt", v.Prompt)
	c.optionalDigest("configuration", v.Configuration)
	c.text("source", v.Source, false)
	c.list("findings", len(v.Findings))
	for _, f := range v.Findings {
		c.name("findings.type", f.Type)
		c.text("findings.detail", f.Detail, false)
	}
	c.service(v)
	return c.err()
}

func (c *checker) runRef(field, ref string) {
	team, id, ok := strings.Cut(ref, "/")
	if !ok || !namePattern.MatchString(team) || !versionPattern.MatchString(id) {
		c.failf("%s %q is not of the form team/run", field, ref)
	}
}

func (c *checker) files(files []File) {
	c.list("files", len(files))
	if len(files) == 0 {
		c.failf("files is empty")
	}
	for i, f := range files {
		c.text(fmt.Sprintf("files[%d].path", i), f.Path, true)
		c.digest(fmt.Sprintf("files[%d].sha256", i), DigestFromHex(f.SHA256))
		if f.Size < 0 || f.Size > 1<<53 {
			c.failf("files[%d].size %d is outside 0 to 2^53", i, f.Size)
		}
		if i > 0 && files[i-1].Path >= f.Path {
			c.failf("files are not in order of path without repeats at %q", f.Path)
		}
	}
}

// KeyVersion finds a model version by "team/name@version".
func KeyVersion(ref string) string { return "version/" + ref }

// KeyArtifact finds model versions by artifact digest.
func KeyArtifact(d Digest) string { return "artifact/" + string(d) }

// KeyVersions finds all versions of a model.
func KeyVersions(model string) string { return "versions/" + model }
