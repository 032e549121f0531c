package record

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Part names one of the four parts of a release.
type Part string

// The four parts.
const (
	PartBehaviour Part = "behaviour"
	PartData      Part = "data"
	PartAuthority Part = "authority"
	PartContext   Part = "context"
)

// Parts lists the parts in the order in which they are shown.
var Parts = []Part{PartBehaviour, PartData, PartAuthority, PartContext}

// Release is a model version with its use case, environment, run, datasets,
// evaluations, authority and policy, frozen under one record digest. It has
// exactly four members, so that each part has a digest of its own.
type Release struct {
	Behaviour Behaviour   `json:"behaviour"`
	Data      ReleaseData `json:"data"`
	Authority Authority   `json:"authority"`
	Context   Context     `json:"context"`
}

// Behaviour is what the model does, and what shows that it does it.
type Behaviour struct {
	// Model is "team/name".
	Model         string    `json:"model"`
	Version       string    `json:"version"`
	Type          ModelKind `json:"type"`
	Artifact      Digest    `json:"artifact"`
	Prompt        Digest    `json:"prompt,omitzero"`
	Configuration Digest    `json:"configuration,omitzero"`
	// Evaluations are record digests, in order.
	Evaluations []Digest `json:"evaluations"`
}

// ReleaseData is what the model was made from, through every base model and
// derived dataset.
type ReleaseData struct {
	// Runs are "team/id", the model's own first.
	Runs []string `json:"runs"`
	// Datasets are the digests that the runs read, in order.
	Datasets []Digest `json:"datasets"`
	// Bases are the artifacts of the base models, in order.
	Bases []Digest `json:"bases,omitzero"`
}

// Context is where and for what the model runs, and by whose rules.
type Context struct {
	UseCase     string    `json:"useCase"`
	Tier        string    `json:"tier"`
	Environment string    `json:"environment"`
	Owner       string    `json:"owner"`
	Policy      PolicyRef `json:"policy"`
	// Misuse are the misuse cases of which the use case required evidence.
	Misuse []string `json:"misuse,omitzero"`
	// Envelope is the digest of the envelope by which it asks to be approved; empty
	// where it asks people.
	Envelope Digest `json:"envelope,omitzero"`
}

// PolicyRef names one immutable version of a policy.
type PolicyRef struct {
	Name   string `json:"name"`
	Digest Digest `json:"digest"`
}

// Kind implements Body.
func (Release) Kind() Kind { return KindRelease }

// ReleaseID returns "r-" and the first 12 hex digits of the record digest.
func ReleaseID(self Digest) string { return "r-" + self.Short() }

// Line returns "team/model/team:usecase/environment": what successive releases
// of one model for one use case in one environment have in common.
func (r Release) Line() string {
	return r.Behaviour.Model + "/" + strings.Replace(r.Context.UseCase, "/", ":", 1) + "/" + r.Context.Environment
}

// Keys implements Body.
func (r Release) Keys(self Digest) []string {
	keys := []string{
		KeyRelease(ReleaseID(self)), KeyReleases(r.Line()),
		KeyReleasesOf(r.Behaviour.Model), KeyUses(r.Behaviour.Artifact),
	}
	for _, d := range r.Data.Datasets {
		keys = append(keys, KeyUses(d))
	}
	for _, d := range r.Data.Bases {
		keys = append(keys, KeyUses(d))
	}
	for _, g := range r.Authority.Secrets {
		keys = append(keys, KeyUsesSecret(g.Resource))
	}
	for _, w := range r.Authority.Workloads {
		keys = append(keys, KeyActs(w))
	}
	if e := r.Context.Envelope; e != "" {
		keys = append(keys, KeyEnvelopeReleases(EnvelopeID(e)))
	}
	return keys
}

// KeyActs finds the releases that name a workload.
func KeyActs(workload string) string { return "acts/" + workload }

// Subject implements Body.
func (r Release) Subject() (string, Digest) { return "release/" + r.Line(), "" }

// Validate implements Body.
func (r Release) Validate() error {
	c := checker{kind: KindRelease}
	b := r.Behaviour
	c.ref("behaviour.model", b.Model)
	c.version("behaviour.version", b.Version)
	c.modelKind("behaviour.type", b.Type)
	c.digest("behaviour.artifact", b.Artifact)
	c.optionalDigest("behaviour.prompt", b.Prompt)
	c.optionalDigest("behaviour.configuration", b.Configuration)
	c.digests("behaviour.evaluations", b.Evaluations)
	c.list("data.runs", len(r.Data.Runs))
	for _, ref := range r.Data.Runs {
		c.runRef("data.runs", ref)
	}
	c.digests("data.datasets", r.Data.Datasets)
	c.digests("data.bases", r.Data.Bases)
	r.Authority.check(&c)
	x := r.Context
	c.ref("context.useCase", x.UseCase)
	c.name("context.tier", x.Tier)
	c.name("context.environment", x.Environment)
	c.principal("context.owner", x.Owner)
	c.name("context.policy.name", x.Policy.Name)
	c.list("context.misuse", len(x.Misuse))
	for _, m := range x.Misuse {
		c.name("context.misuse", m)
	}
	c.digest("context.policy.digest", x.Policy.Digest)
	c.optionalDigest("context.envelope", x.Envelope)
	return c.err()
}

// digests checks a list in order without repeats, so that one set of digests
// has one canonical form.
func (c *checker) digests(field string, ds []Digest) {
	c.list(field, len(ds))
	for i, d := range ds {
		c.digest(fmt.Sprintf("%s[%d]", field, i), d)
		if i > 0 && ds[i-1] >= d {
			c.failf("%s is not in order without repeats", field)
		}
	}
}

// Digests are a release's record digest and the digests of its four parts.
type Digests struct {
	Record Digest          `json:"record"`
	Parts  map[Part]Digest `json:"parts"`
}

// DigestsOf computes the digests of a release from its raw JSON, so that
// members unknown to this version still count.
func DigestsOf(raw []byte) (Digests, error) {
	members := map[string]jsontext.Value{}
	if err := json.Unmarshal(raw, &members); err != nil {
		return Digests{}, fmt.Errorf("reading the release's parts: %w", err)
	}
	ds := Digests{Parts: map[Part]Digest{}}
	for _, p := range Parts {
		part, ok := members[string(p)]
		if !ok {
			return Digests{}, fmt.Errorf("the release has no part %q", string(p))
		}
		d, err := DigestJSON(part)
		if err != nil {
			return Digests{}, fmt.Errorf("part %s: %w", p, err)
		}
		ds.Parts[p] = d
	}
	var err error
	ds.Record, err = DigestJSON(raw)
	return ds, err
}

// KeyRelease finds a release by its ID.
func KeyRelease(id string) string { return "release/" + id }

// KeyReleases finds the releases of a line.
func KeyReleases(line string) string { return "releases/" + line }

// KeyReleasesOf finds the releases of a model.
func KeyReleasesOf(model string) string { return "releases-of/" + model }

// KeyUsesSecret finds the releases that may use a secret.
func KeyUsesSecret(name string) string { return "uses-secret/" + name }
