package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/client"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server"
	"imprimatur.dev/wire"
)

const rules = `apiVersion: imprimatur/v1
kind: Policy
name: house
tiers:
  high:
    mode: enforce
    lineage: { datasets: approved, run: attested, code: committed }
    evaluations:
      - { category: accuracy, suite: holdout, metric: accuracy, require: lower95 >= 0.85, minSamples: 100, freshFor: 30d }
    approvals:
      - { role: model-owner, count: 1, covers: [behaviour, data, context] }
      - { role: risk, count: 1, covers: [behaviour, data, context] }
      - { role: security, count: 1, covers: [authority, behaviour] }
    separation: [trainer, evaluator, code-author]
    expires: 90d
`

// house is a server over a real registry, with its people's clients.
type house struct {
	testing.TB
	ctx    context.Context
	reg    *registry.Registry
	url    string
	admin  *client.Client
	people map[string]*client.Client
	tokens map[string]string
	log    *bytes.Buffer
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// open starts a server with the first administrator and nobody else.
func open(t testing.TB) *house {
	t.Helper()
	return openWith(t, registry.Config{Data: t.TempDir()})
}

func openWith(t testing.TB, cfg registry.Config) *house {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	cfg.URL = "https://imprimatur.example"
	reg := must[*registry.Registry](t)(registry.Open(ctx, cfg))
	t.Cleanup(func() { reg.Close() })
	h := &house{TB: t, ctx: ctx, reg: reg, people: map[string]*client.Client{}, tokens: map[string]string{}, log: &bytes.Buffer{}}
	s := httptest.NewServer(server.New(reg, server.Options{Log: slog.New(slog.NewTextHandler(h.log, nil))}))
	t.Cleanup(s.Close)
	h.url = s.URL
	h.tokens["administrator"] = must[string](t)(reg.Begin(ctx))
	h.admin = client.New(s.URL, h.tokens["administrator"])
	return h
}

// settle enrols everybody over HTTP and registers what a release needs.
func settle(t testing.TB) *house {
	h := open(t)
	h.settle()
	return h
}

func (h *house) settle() {
	t := h.TB
	must[record.Recorded[record.Team]](t)(h.admin.CreateTeam(h.ctx, record.Team{Name: "lab"}))
	h.enrol(record.Principal{Name: "ann", Type: record.Human}, record.Contributor, record.ModelOwner)
	h.enrol(record.Principal{Name: "bob", Type: record.Human}, record.DataSteward)
	h.enrol(record.Principal{Name: "eve", Type: record.Human}, record.Evaluator)
	h.enrol(record.Principal{Name: "olga", Type: record.Human}, record.ModelOwner)
	h.enrol(record.Principal{Name: "rita", Type: record.Human}, record.Risk)
	h.enrol(record.Principal{Name: "sam", Type: record.Human}, record.Security)
	h.enrol(record.Principal{Name: "vic", Type: record.Human}, record.Viewer)
	h.enrol(record.Principal{Name: "robot", Type: record.Workload, Owner: "ann", Purpose: "trains", Expires: now().AddDate(1, 0, 0)}, record.Contributor)
	must[wire.Published](t)(h.people["rita"].PublishPolicy(h.ctx, wire.PolicyFile{Text: rules, Reason: "house rules"}))
	must[record.Recorded[record.Environment]](t)(h.admin.SetEnvironment(h.ctx, record.Environment{Name: "production", LeastTier: "low", Policy: "house"}))
	must[record.Recorded[record.UseCase]](t)(h.people["olga"].RegisterUseCase(h.ctx, record.UseCase{
		Team: "lab", Name: "triage", Title: "Triage", Purpose: "triage", Owner: "olga", Tier: "high", Environments: []string{"production"},
	}))
	must[record.Recorded[record.Model]](t)(h.people["ann"].RegisterModel(h.ctx, record.Model{Team: "lab", Name: "net", Type: record.Trained, Owner: "olga"}))
}

func now() time.Time { return record.Millis(time.Now()) }

func digest(text string) record.Digest { return record.DigestOf([]byte(text)) }

func (h *house) enrol(p record.Principal, roles ...record.RoleName) {
	h.Helper()
	must[record.Recorded[record.Principal]](h)(h.admin.EnrolPrincipal(h.ctx, p))
	for _, r := range roles {
		team := "lab"
		if r == record.Risk {
			team = record.AllTeams
		}
		must[record.Recorded[record.Role]](h)(h.admin.BindRole(h.ctx, record.Role{Principal: p.Name, Role: r, Team: team}))
	}
	h.tokens[p.Name] = h.token(p.Name, record.ScopeWrite)
	h.people[p.Name] = client.New(h.url, h.tokens[p.Name])
}

func (h *house) token(name string, scopes ...string) string {
	h.Helper()
	return must[wire.IssuedToken](h)(h.admin.IssueToken(h.ctx, wire.TokenRequest{Principal: name, Scopes: scopes, Seconds: 3600})).Secret
}

// train registers approved data, a run and a version.
func (h *house) train(version string) record.Digest {
	h.Helper()
	model := digest("model " + version)
	h.made(version, model)
	must[record.Recorded[record.ModelVersion]](h)(h.people["ann"].RegisterVersion(h.ctx, record.ModelVersion{
		Model: "lab/net", Version: version, Type: record.Trained, Artifact: model, Run: "lab/run-" + version,
		Files: []record.File{{Path: "model.safetensors", SHA256: model.Hex(), Size: 10}},
	}))
	return model
}

// made records the run that made a model, and its approved data.
func (h *house) made(version string, model record.Digest) {
	h.Helper()
	data := digest("data " + version)
	must[record.Recorded[record.Dataset]](h)(h.people["ann"].RegisterDataset(h.ctx, record.Dataset{
		Team: "lab", Name: "data-" + version, Version: "1", Digest: data, Source: "s3://lab/" + version, Classification: "internal", Owner: "bob",
	}))
	must[record.Recorded[record.DataApproval]](h)(h.people["bob"].DecideData(h.ctx, record.DataApproval{
		Dataset: data, Decision: record.Allow, Purposes: []string{"triage"}, Expires: now().AddDate(0, 6, 0), Reason: "licensed",
	}))
	must[record.Recorded[record.Run]](h)(h.people["robot"].RecordRun(h.ctx, record.Run{
		Team: "lab", ID: "run-" + version, Code: record.Code{Repository: "https://lab.example/net", Commit: strings.Repeat("ab", 20)},
		Inputs:  []record.Resource{{Type: record.ResourceDataset, Name: "data", Digest: data}},
		Outputs: []record.Resource{{Type: record.ResourceModel, Name: "net", Digest: model}},
		Started: now().Add(-time.Hour), Finished: now().Add(-time.Minute),
	}))
}

// evaluate records 950 successes out of 1,000 on a held-out set.
func (h *house) evaluate(model record.Digest) record.Recorded[record.Evaluation] {
	h.Helper()
	held := record.Dataset{Team: "lab", Name: "held-out", Version: "1", Digest: digest("held out"), Source: "s3://lab/held", Classification: "internal", Owner: "bob"}
	must[record.Recorded[record.Dataset]](h)(h.people["ann"].RegisterDataset(h.ctx, held))
	return h.record("eve", wire.Submission{Run: record.EvaluationRun{Team: "lab", Artifact: model, Dataset: held.Digest, Finished: now()}}, evidenceOf(model))
}

// record sends one file of evidence, and has it recorded.
func (h *house) record(name string, in wire.Submission, file []byte) record.Recorded[record.Evaluation] {
	h.Helper()
	d := record.DigestOf(file)
	if err := h.people[name].KeepEvidence(h.ctx, d, bytes.NewReader(file), int64(len(file)), nil); err != nil {
		h.Fatal(err)
	}
	in.Files = []wire.EvidenceFile{{Name: "items.ndjson", Digest: d}}
	got := must[[]record.Recorded[record.Evaluation]](h)(h.people[name].RecordEvaluations(h.ctx, in))
	if len(got) != 1 {
		h.Fatalf("%d evaluations were recorded", len(got))
	}
	return got[0]
}

// evidenceOf is 950 successes out of 1,000 items.
func evidenceOf(model record.Digest) []byte {
	out := fmt.Appendf(nil, `{"imprimatur":"items/v1","suite":"holdout","settings":{"model":%q}}`+"\n", model)
	for i := range 1000 {
		out = fmt.Appendf(out, `{"item":"%d","metrics":{"accuracy":%v}}`+"\n", i, i < 950)
	}
	return out
}

func (h *house) propose(version string) (wire.Case, error) {
	return h.people["ann"].ProposeRelease(h.ctx, proposal(version))
}

func proposal(version string) wire.Proposal {
	return wire.Proposal{Version: "lab/net@" + version, UseCase: "lab/triage", Environment: "production"}
}

func (h *house) approve(name string, role record.RoleName, c wire.Case) (wire.Case, error) {
	return h.people[name].Approve(h.ctx, wire.Word{Release: c.ID, Record: c.Digests.Record, Role: role, Decision: record.Approve, Reason: "seen"})
}

// ready proposes a version with good evidence, and has all three approve it.
func (h *house) ready(version string) wire.Case {
	h.Helper()
	return must[wire.Case](h)(h.approve("rita", record.Risk, h.proposed(version)))
}

// proposed proposes a version with good evidence that waits for rita alone.
func (h *house) proposed(version string) wire.Case {
	h.Helper()
	h.evaluate(h.train(version))
	c := must[wire.Case](h)(h.propose(version))
	must[wire.Case](h)(h.approve("olga", record.ModelOwner, c))
	return must[wire.Case](h)(h.approve("sam", record.Security, c))
}

// refused demands a refusal with a code that says certain things.
func (h *house) refused(err error, code wire.Code, says ...string) *client.Problem {
	h.Helper()
	var p *client.Problem
	if !errors.As(err, &p) || p.Code != code {
		h.Fatalf("got %v, want a refusal with the code %s", err, code)
	}
	for _, s := range says {
		if !strings.Contains(p.Detail, s) {
			h.Errorf("the refusal does not say %q:\n%s", s, p.Detail)
		}
	}
	return p
}
