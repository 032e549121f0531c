package attest

import (
	"cmp"

	"imprimatur.dev/record"
)

// buildType names how our training runs fill SLSA Provenance v1:
// externalParameters are the code and the run's own parameters,
// internalParameters its environment, resolvedDependencies its inputs.
const buildType = "https://imprimatur.dev/training/v1"

// resource is an in-toto ResourceDescriptor (spec/v1/resource_descriptor.md).
type resource struct {
	Name        string            `json:"name,omitzero"`
	URI         string            `json:"uri,omitzero"`
	Digest      map[string]string `json:"digest,omitzero"`
	Annotations map[string]string `json:"annotations,omitzero"`
}

// provenance is the predicate of SLSA Provenance v1 (slsa.dev/spec/v1.0/provenance).
type provenance struct {
	BuildDefinition struct {
		BuildType            string            `json:"buildType"`
		ExternalParameters   trainingParams    `json:"externalParameters"`
		InternalParameters   map[string]string `json:"internalParameters,omitzero"`
		ResolvedDependencies []resource        `json:"resolvedDependencies"`
	} `json:"buildDefinition"`
	RunDetails struct {
		Builder  builder    `json:"builder"`
		Metadata metadata   `json:"metadata"`
		Products []resource `json:"byproducts,omitzero"`
	} `json:"runDetails"`
	Statement statedJSON `json:"imprimatur_statement"`
}

type trainingParams struct {
	Repository string            `json:"repository"`
	Commit     string            `json:"commit"`
	Parameters map[string]string `json:"parameters,omitzero"`
}

type builder struct {
	ID string `json:"id"`
}

type metadata struct {
	InvocationID string `json:"invocationId"`
	StartedOn    string `json:"startedOn"`
	FinishedOn   string `json:"finishedOn"`
}

func provenanceOf(r record.Run, stated statedJSON) provenance {
	var p provenance
	d := &p.BuildDefinition
	d.BuildType = buildType
	d.ExternalParameters = trainingParams{r.Code.Repository, r.Code.Commit, r.Parameters}
	d.InternalParameters = r.Environment
	d.ResolvedDependencies = resources(r.Inputs)
	if r.Code.Commit != "" {
		d.ResolvedDependencies = append(d.ResolvedDependencies, resource{URI: r.Code.Repository, Digest: map[string]string{"gitCommit": r.Code.Commit}})
	}
	p.RunDetails.Builder.ID = principalURI(stated.Actor)
	p.RunDetails.Metadata = metadata{r.Ref(), r.Started.UTC().Format(statementTime), r.Finished.UTC().Format(statementTime)}
	if len(r.Outputs) > 1 {
		p.RunDetails.Products = resources(r.Outputs[1:])
	}
	p.Statement = stated
	return p
}

func resources(rs []record.Resource) []resource {
	out := make([]resource, len(rs))
	for i, r := range rs {
		out[i] = resource{
			Name:        r.Name,
			Digest:      map[string]string{"sha256": r.Digest.Hex()},
			Annotations: map[string]string{"type": string(r.Type)},
		}
	}
	return out
}

func principalURI(name string) string { return "https://imprimatur.dev/principal/" + name }

// summary is the predicate of SLSA Verification Summary v1
// (slsa.dev/spec/v1.0/verification_summary).
type summary struct {
	Verifier           builder    `json:"verifier"`
	TimeVerified       string     `json:"timeVerified"`
	ResourceURI        string     `json:"resourceUri"`
	Policy             resource   `json:"policy"`
	InputAttestations  []resource `json:"inputAttestations,omitzero"`
	VerificationResult string     `json:"verificationResult"`
	VerifiedLevels     []string   `json:"verifiedLevels"`
	SLSAVersion        string     `json:"slsaVersion"`
	Statement          statedJSON `json:"imprimatur_statement"`
}

func summaryOf(v record.Verdict, stated statedJSON) summary {
	s := summary{
		Verifier:           builder{"https://imprimatur.dev/policy-evaluator/v1"},
		TimeVerified:       v.At.UTC().Format(statementTime),
		ResourceURI:        "https://imprimatur.dev/release/" + v.Release,
		Policy:             resource{URI: "https://imprimatur.dev/policy/" + v.Policy.Name, Digest: map[string]string{"sha256": v.Policy.Digest.Hex()}},
		VerificationResult: "FAILED",
		VerifiedLevels:     []string{},
		SLSAVersion:        "1.0",
		Statement:          stated,
	}
	if v.Passed {
		s.VerificationResult = "PASSED"
		s.VerifiedLevels = append(s.VerifiedLevels, "IMPRIMATUR_TIER_"+cmp.Or(v.Tier, "NONE"))
	}
	for _, in := range v.Inputs {
		s.InputAttestations = append(s.InputAttestations, resource{Digest: map[string]string{"sha256": in.Hex()}})
	}
	return s
}
