package demo

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/artifact"
	"imprimatur.dev/client"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

//go:embed clinical.yaml
var clinicalPolicy []byte

// tokenLife is how long the tokens of the story live, in seconds.
const tokenLife = 7 * 24 * 3600

// registers is chapter 1: people, places, rules, use case and data.
func (t *teller) registers() {
	t.step("The administrator creates the team clinic and enrols six people, the pipeline that trains and the service that runs the model, each with their role.", t.enrol)
	t.step("The risk officer publishes the policy for clinical models; it was checked that these people can satisfy it.", func() ([]string, error) {
		p, err := t.people[risk].PublishPolicy(t.ctx, wire.PolicyFile{Text: string(clinicalPolicy), Reason: "rules for the clinic's models"})
		if err != nil {
			return nil, err
		}
		return []string{fmt.Sprintf("policy %s, %s", p.Policy.Record.Name, p.Policy.Record.Digest.Short())}, nil
	})
	t.step("The model owner registers the use case: a second reading of biopsies, risk tier high, for production.", func() ([]string, error) {
		_, err := t.people[owner].RegisterUseCase(t.ctx, record.UseCase{
			Team: team, Name: "second-reading", Title: "Second reading of fine-needle biopsies", Purpose: purpose, Owner: owner, Tier: "high",
			Context: "Advises the cytologist, who decides. Never the only reading.", Environments: []string{environment},
		})
		return nil, err
	})
	t.step("The engineer registers the data: 569 real biopsies (Breast Cancer Wisconsin Diagnostic, UCI, CC BY 4.0), split for training, holding out, and a shifted second clinic.", func() ([]string, error) {
		return t.registerData(t.data.Train, t.data.Holdout, t.data.Shifted)
	})
}

func (t *teller) enrol() ([]string, error) {
	if _, err := t.admin.CreateTeam(t.ctx, record.Team{Name: team, DisplayName: "Clinic"}); err != nil {
		return nil, err
	}
	people := []struct {
		name  string
		roles []record.RoleName
	}{
		// The engineer is also a model owner, as in many small teams: what keeps
		// them from approving their own model is its lineage, not a missing role.
		{engineer, []record.RoleName{record.Contributor, record.ModelOwner}},
		{steward, []record.RoleName{record.DataSteward}},
		{assessor, []record.RoleName{record.Evaluator}},
		{risk, []record.RoleName{record.Risk}},
		{security, []record.RoleName{record.Security}},
		{owner, []record.RoleName{record.ModelOwner}},
		{pipeline, []record.RoleName{record.Contributor}},
		// The service has no role: what it may do is what the release that runs grants it.
		{service, nil},
	}
	var lines []string
	for _, p := range people {
		if err := t.enrolOne(p.name, p.roles); err != nil {
			return nil, err
		}
		lines = append(lines, fmt.Sprintf("%s: %s", p.name, cmp.Or(joined(p.roles), "no role")))
	}
	_, err := t.admin.SetEnvironment(t.ctx, record.Environment{Name: environment, LeastTier: "medium", Policy: "clinical", Aliases: []string{"champion"}})
	return lines, err
}

func (t *teller) enrolOne(name string, roles []record.RoleName) error {
	p := record.Principal{Name: name, Type: record.Human}
	if purpose := map[string]string{pipeline: "trains the clinic's models", service: "runs the clinic's models"}[name]; purpose != "" {
		p.Type, p.Owner, p.Purpose = record.Workload, engineer, purpose
		p.Expires = record.Millis(time.Now().Add(90 * 24 * time.Hour))
	}
	if _, err := t.admin.EnrolPrincipal(t.ctx, p); err != nil {
		return err
	}
	for _, r := range roles {
		where := team
		if r == record.Risk {
			where = record.AllTeams // whoever publishes policies does so for all
		}
		if _, err := t.admin.BindRole(t.ctx, record.Role{Principal: name, Role: r, Team: where}); err != nil {
			return err
		}
	}
	token, err := t.admin.IssueToken(t.ctx, wire.TokenRequest{Principal: name, Scopes: []string{record.ScopeWrite}, Seconds: tokenLife, Note: "the demo's"})
	if err != nil {
		return err
	}
	t.tokens[name], t.people[name] = token.Secret, client.New(t.cfg.URL, token.Secret)
	return nil
}

func joined(roles []record.RoleName) string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = string(r)
	}
	return strings.Join(names, ", ")
}

func (t *teller) registerData(splits ...Split) ([]string, error) {
	var lines []string
	for _, s := range splits {
		if _, err := t.write(filepath.Join("data", s.Name+".csv"), s.CSV()); err != nil {
			return nil, err
		}
		_, err := t.people[engineer].RegisterDataset(t.ctx, record.Dataset{
			Team: team, Name: s.Name, Version: "1", Digest: s.Digest(), Source: "https://doi.org/10.24432/C5DW2B",
			Classification: "confidential", Owner: steward, Licence: "CC BY 4.0",
		})
		if err != nil {
			return nil, err
		}
		lines = append(lines, fmt.Sprintf("%s: %d rows, %s", s.Name, len(s.Rows), s.Digest().Short()))
	}
	return lines, nil
}

// train really trains a model on a split, and registers its folder.
func (t *teller) train(s Split, version string) (subject, []string, error) {
	m, err := Train(s.Rows, DefaultParams())
	if err != nil {
		return subject{}, nil, err
	}
	sub := subject{version: version, folder: filepath.Join(t.cfg.Folder, "models", "breast-mass-"+version), model: m}
	if err := os.MkdirAll(sub.folder, 0o755); err != nil {
		return sub, nil, err
	}
	if err := m.Save(sub.folder); err != nil {
		return sub, nil, err
	}
	manifest, err := artifact.Digest(t.ctx, sub.folder, artifact.Options{})
	if err != nil {
		return sub, nil, err
	}
	sub.digest, sub.files = record.Digest(manifest.Digest()), manifest.Files
	_, err = t.people[engineer].RegisterVersion(t.ctx, record.ModelVersion{
		Model: model, Version: version, Type: record.Trained, Artifact: sub.digest, Files: sub.files,
	})
	return sub, []string{fmt.Sprintf("%s@%s: %d files, %s", model, version, len(sub.files), sub.digest.Short())}, err
}

// proposesWithoutEvidence is chapter 2.
func (t *teller) proposesWithoutEvidence() {
	t.step("The engineer trains a logistic regression in Go, writes it as safetensors with its configuration, and registers version 1.", func() (lines []string, err error) {
		if _, err = t.people[engineer].RegisterModel(t.ctx, record.Model{Team: team, Name: "breast-mass", Type: record.Trained, Owner: owner, Description: "Is a mass malignant?"}); err != nil {
			return nil, err
		}
		t.first, lines, err = t.train(t.data.Train, "1")
		return lines, err
	})
	t.step("The engineer proposes a release without evidence: refused, with every reason and who can supply it.", func() ([]string, error) {
		_, err := t.people[engineer].ProposeRelease(t.ctx, t.proposal(t.first, readOnly()))
		details, err := refused(err, wire.Refused)
		if err != nil {
			return details, err
		}
		return details, mentions(details, "lineage/run", "accuracy/holdout/roc_auc", "safety/missed-malignant", "drift/shifted-holdout", "misuse/implausible-input", assessor)
	})
}

func (t *teller) proposal(s subject, a record.Authority) wire.Proposal {
	return wire.Proposal{Version: model + "@" + s.version, UseCase: useCase, Environment: environment, Authority: a}
}

// readOnly is the authority of the first release: it reads biopsies and writes
// its score beside them.
func readOnly() record.Authority {
	return record.Authority{
		Workloads: []string{service},
		Access:    []record.Grant{{Resource: "laboratory-network", Actions: []string{"connect"}, Why: "where the biopsies are"}},
		Records:   []record.Grant{{Resource: "biopsies/score", Actions: []string{"append"}, Limit: record.Limit{Calls: 60, Seconds: 60}, Why: "writes the second reading"}},
		Data:      []record.Grant{{Resource: "biopsies/measurements", Actions: []string{"read"}, Why: "its input"}},
	}
}

// suppliesEvidence is chapter 3.
func (t *teller) suppliesEvidence() {
	t.step("The data steward approves the data for the second reading, for a year.", func() ([]string, error) {
		return nil, t.approveData(t.data.Train, t.data.Holdout, t.data.Shifted)
	})
	t.step("The pipeline records the training run under its own identity: commit, parameters, inputs, outputs.", func() ([]string, error) {
		return nil, t.recordRun(t.first, t.data.Train)
	})
	t.step("The evaluator evaluates version 1 on held-out data, and records the evidence item by item.", func() ([]string, error) {
		return t.evaluate(t.first, t.data)
	})
}

func (t *teller) approveData(splits ...Split) error {
	for _, s := range splits {
		_, err := t.people[steward].DecideData(t.ctx, record.DataApproval{
			Dataset: s.Digest(), Decision: record.Allow, Purposes: []string{purpose},
			Expires: record.Millis(time.Now().AddDate(1, 0, 0)), Reason: "public, de-identified, licensed for reuse",
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *teller) recordRun(s subject, training Split) error {
	p := DefaultParams()
	now := record.Millis(time.Now())
	_, err := t.people[pipeline].RecordRun(t.ctx, record.Run{
		Team: team, ID: "train-" + s.version,
		Code:       record.Code{Repository: "https://imprimatur.dev/demo", Commit: revision(), Author: engineer},
		Parameters: map[string]string{"l2": fmt.Sprint(p.L2), "seed": fmt.Sprint(p.Seed), "iterations": fmt.Sprint(p.Iterations)},
		Inputs:     []record.Resource{{Type: record.ResourceDataset, Name: training.Name, Digest: training.Digest()}},
		Outputs:    []record.Resource{{Type: record.ResourceModel, Name: model + "@" + s.version, Digest: s.digest}},
		Started:    now.Add(-time.Second), Finished: now.Add(-time.Millisecond),
	})
	return err
}

// revision is the commit that this program was built from. A build without
// version control has none, and a stand-in that says so in its digits.
func revision() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) == 40 {
				return s.Value
			}
		}
	}
	return strings.Repeat("0", 40)
}

// evaluate runs the suites and records the evidence of each, of which the server
// makes the metrics.
func (t *teller) evaluate(s subject, d Data) ([]string, error) {
	results, err := Evaluate(s.model, d)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, r := range results {
		digest := record.DigestOf(r.Items)
		if err := t.people[assessor].KeepEvidence(t.ctx, digest, bytes.NewReader(r.Items), int64(len(r.Items)), nil); err != nil {
			return nil, err
		}
		recorded, err := t.people[assessor].RecordEvaluations(t.ctx, wire.Submission{
			Run:   record.EvaluationRun{Team: team, Artifact: s.digest, Dataset: t.splitNamed(r.Dataset).Digest(), Finished: record.Millis(time.Now().Add(-time.Millisecond))},
			Files: []wire.EvidenceFile{{Name: r.Suite + ".ndjson", Digest: digest}},
		})
		if err != nil {
			return nil, err
		}
		for _, e := range recorded {
			lines = append(lines, found(e.Record)...)
		}
	}
	return lines, nil
}

// found says what an evaluation's metrics over all items are.
func found(e record.Evaluation) (lines []string) {
	for _, m := range e.Metrics {
		if len(m.Slice) == 0 {
			lines = append(lines, fmt.Sprintf("%s/%s %s = %.4f over %d", e.Category, e.Suite, m.Name, m.Value, m.N))
		}
	}
	return lines
}

func (t *teller) splitNamed(name string) Split {
	all := []Split{t.data.Train, t.data.Holdout, t.data.Shifted, t.data.Intake}
	i := slices.IndexFunc(all, func(s Split) bool { return s.Name == name })
	return all[i]
}
