package server_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"imprimatur.dev/wire"
)

// The real client of OpenLineage, set up by its environment alone, tells of a run;
// with a token that does not stand it says so.
func TestRealOpenLineageClient(t *testing.T) {
	h := settle(t)
	install := exec.CommandContext(t.Context(), "../scripts/tools.sh")
	install.Stderr = os.Stderr
	folder := must[[]byte](t)(install.Output())
	python := filepath.Join(strings.TrimSpace(string(folder)), "bin", "python")
	run := func(id string, env ...string) (string, error) {
		var said bytes.Buffer
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), python, "../interop/tools/pipeline.py", id)
		cmd.Env = append(append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "OPENLINEAGE_URL="+h.url), env...)
		cmd.Stdout, cmd.Stderr = &said, &said
		err := cmd.Run()
		return said.String(), err
	}
	for transport, settings := range map[string][]string{
		"0199f0c0-0000-7000-8000-000000000001": {"OPENLINEAGE_API_KEY=" + h.tokens["robot"]},
		"0199f0c0-0000-7000-8000-000000000002": {
			"OPENLINEAGE__TRANSPORT__TYPE=http", "OPENLINEAGE__TRANSPORT__URL=" + h.url, "OPENLINEAGE__TRANSPORT__COMPRESSION=gzip",
			"OPENLINEAGE__TRANSPORT__ENDPOINT=api/v1/lineage?team=lab",
			`OPENLINEAGE__TRANSPORT__AUTH={"type":"api_key","apiKey":"` + h.tokens["robot"] + `"}`,
		},
		"0199f0c0-0000-7000-8000-000000000003": {
			"OPENLINEAGE__TRANSPORT__TYPE=async_http", "OPENLINEAGE__TRANSPORT__URL=" + h.url,
			`OPENLINEAGE__TRANSPORT__AUTH={"type":"api_key","apiKey":"` + h.tokens["robot"] + `"}`,
		},
	} {
		if said, err := run(transport, settings...); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		n := h.lineage("vic", "run:"+transport).Graph[0]
		if n.Data.Run.State != "COMPLETE" || n.Data.Parent != "run:0199f0c0-0000-7000-8000-00000000000f" || len(n.InEdges) != 1 || len(n.OutEdges) != 1 {
			t.Errorf("the run is %+v", n)
		}
	}
	model := h.lineage("vic", "dataset:s3://models:demo").Graph[0]
	if model.Data.Version != "7" || model.Data.Standing != wire.DataUnknown || len(model.InEdges) != 1 || len(model.OutEdges) != 1 || len(model.Data.Columns) != 1 {
		t.Errorf("the model is %+v", model)
	}
	train := h.lineage("vic", "job:demo:train").Graph[0].Data
	if train.Commit != strings.Repeat("ab", 20) || train.Parent != "job:demo:pipeline" {
		t.Errorf("the job is %+v", train)
	}
	if other := h.lineage("vic", "dataset:s3://models:other").Graph; len(other) != 1 {
		t.Errorf("the dataset of the DatasetEvent is %+v", other)
	}
	said, err := run("0199f0c0-0000-7000-8000-000000000004", "OPENLINEAGE_API_KEY=imp_none")
	if err == nil || !strings.Contains(said, "401") {
		t.Errorf("%v\n%s", err, said)
	}
}
