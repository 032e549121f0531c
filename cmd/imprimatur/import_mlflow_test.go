package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/client"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server"
	"imprimatur.dev/tracking"
)

// history is what an MLflow made by hand has: two names, of which one has a
// version that was deleted, and a run that nothing came of.
var history = map[string]string{
	"experiments/search":       `{"experiments": [{"experiment_id": "1", "name": "cells"}]}`,
	"runs/search":              `{"runs": [{"info": {"run_id": "r1"}}, {"info": {"run_id": "r2"}, "outputs": {"model_outputs": [{"model_id": "m-1"}]}}, {"info": {"run_id": "r3"}}, {"info": {"run_id": "-r"}}]}`,
	"runs/get?run_id=r2":       `{"run": {"info": {"run_id": "r2", "status": "FAILED"}, "data": {"params": [{"key": "C", "value": "2"}]}, "inputs": {"dataset_inputs": [{"dataset": {"name": "frame", "source_type": "code", "source": "{}"}}]}}}`,
	"runs/get?run_id=r1":       `{"run": {"info": {"run_id": "r1", "status": "FINISHED"}}}`,
	"runs/get?run_id=-r":       `{"run": {"info": {"run_id": "-r", "status": "FINISHED"}}}`,
	"registered-models/search": `{"registered_models": [{"name": "net", "description": "sorts", "tags": [{"key": "k", "value": "v"}], "aliases": [{"alias": "champion", "version": 3}], "creation_timestamp": 1}, {"name": "other"}]}`,
	"model-versions/search": `{"model_versions": [
		{"name": "net", "version": "3", "source": "models:/net/1", "current_stage": "Production", "run_id": "gone"},
		{"name": "net", "version": "1", "source": "mlflow-artifacts:/1/r1/artifacts/m", "run_id": "r1", "tags": [{"key": "a", "value": ""}]},
		{"name": "other", "version": "1", "source": "mlflow-artifacts:/1/../x"}]}`,
	"model-versions/get-download-uri": `{"artifact_uri": "mlflow-artifacts:/1/r1/artifacts/m"}`,
}

// An MLflow's history is imported once, however often it is asked for, also
// after it was cut off; and what has no place here is told.
func TestImportMLflow(t *testing.T) {
	var down atomic.Bool
	theirs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		op := strings.TrimPrefix(r.URL.Path, "/api/2.0/mlflow/")
		if op == "runs/get" {
			op += "?" + r.URL.RawQuery
		}
		if history[op] == "" || down.Load() && op == "model-versions/get-download-uri" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		fmt.Fprint(w, history[op])
	}))
	defer theirs.Close()
	reads, err := tracking.New(tracking.Config{URL: theirs.URL})
	if err != nil {
		t.Fatal(err)
	}

	reg, err := registry.Open(t.Context(), registry.Config{Data: t.TempDir(), Reports: reads.Report})
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()
	token, err := reg.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ours := httptest.NewServer(server.New(reg, server.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))}))
	defer ours.Close()
	admin := client.New(ours.URL, token)
	if _, err := admin.CreateTeam(t.Context(), record.Team{Name: "lab"}); err != nil {
		t.Fatal(err)
	}
	command := func(args ...string) (int, string, string) {
		var out, errs bytes.Buffer
		env := func(name string) string {
			return map[string]string{"IMPRIMATUR_URL": ours.URL, "IMPRIMATUR_TOKEN": token}[name]
		}
		code := run(t.Context(), append([]string{"import", "mlflow", "--team", "lab"}, args...), env, strings.NewReader(""), &out, &errs)
		return code, out.String(), errs.String()
	}
	if code, _, errs := command("http://me:secret@mlflow.example"); code != exitWrong || !strings.Contains(errs, "holds credentials") {
		t.Errorf("credentials in the address: exit %d, %s", code, errs)
	}
	if code, _, errs := command(ours.URL); code != exitUndecided || !strings.Contains(errs, "the tracking server answered") {
		t.Errorf("an address of no MLflow: exit %d, %s", code, errs)
	}
	if code, _, errs := command(theirs.URL); code != exitNo || !strings.Contains(errs, "contributor") {
		t.Errorf("without the right to register: exit %d, %s", code, errs)
	}
	if _, err := admin.BindRole(t.Context(), record.Role{Principal: registry.FirstAdministrator, Role: record.Contributor, Team: "lab"}); err != nil {
		t.Fatal(err)
	}
	down.Store(true)
	if code, _, errs := command(theirs.URL); code != exitUndecided || !strings.Contains(errs, "is not imported twice") {
		t.Errorf("cut off: exit %d, %s", code, errs)
	}
	down.Store(false)
	var got importedMLflow
	for i, want := range []importedMLflow{
		{Registered: 1, Known: 1, Reported: 2, RunsKnown: 0},
		{Registered: 0, Known: 2, Reported: 0, RunsKnown: 2},
	} {
		code, out, errs := command("--json", theirs.URL)
		if code != exitNo {
			t.Fatalf("exit %d: %s %s", code, out, errs)
		}
		got = importedMLflow{}
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatal(err)
		}
		want.From, want.Experiments, want.Runs, want.Models, want.Versions, want.RunsLeft = theirs.URL, 1, 4, 2, 3, 2
		want.Refused, want.Lost = got.Refused, got.Lost
		if diff := cmp.Diff(want, got); diff != "" || len(got.Refused) != 3 {
			t.Errorf("import %d (-want +got) and %q, want three refused:\n%s", i+1, got.Refused, diff)
		}
	}
	for _, says := range []string{
		"net: the alias champion of version 3 is kept as the tag mlflow.alias.champion", "net, version 3: the stage Production", "net, version 3: its run gone is not there any more",
		"1 logged model: no version is registered of them", "of each metric the last value is here",
	} {
		if !strings.Contains(strings.Join(got.Lost, "\n"), says) {
			t.Errorf("it does not say %q among what is lost: %q", says, got.Lost)
		}
	}
	for _, says := range []string{"the run lab/r3 is not recorded: the tracking server has no such run", "id \"-r\""} {
		if !strings.Contains(strings.Join(got.Refused, "\n"), says) {
			t.Errorf("it does not say %q among what is refused: %q", says, got.Refused)
		}
	}
	m, err := reg.RegisteredModel(t.Context(), registry.Caller{Name: registry.FirstAdministrator, Type: record.Human, Method: record.MethodToken}, "lab", "net")
	if err != nil {
		t.Fatal(err)
	}
	if m.Model.Description != "sorts" || m.Model.Tags["k"] != "v" || m.Model.Tags["mlflow.alias.champion"] != "3" || len(m.Model.Aliases) != 0 || len(m.Versions) != 2 {
		t.Errorf("the model is %+v with %d versions", m.Model, len(m.Versions))
	}
	if v := m.Versions[1]; v.Source != "mlflow-artifacts:/1/r1/artifacts/m" || v.Run != "gone" || v.Tags[stageTag] != "Production" {
		t.Errorf("the second version is %+v", v)
	}
}
