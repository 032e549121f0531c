package server_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/artifact"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server"
	"imprimatur.dev/server/admission"
	"imprimatur.dev/wire"
)

// A cluster with two models that stand in the namespace clinic: one was read at a
// place in S3, the other is an image.
const (
	inS3    = "s3://models/net/1"
	another = "s3://models/net/2" // known, without a release
	twice   = "s3://models/net/latest"
)

var seer = "registry.example/lab/seer@sha256:" + strings.Repeat("5e", 32)

type gated struct {
	*house
	data string
	gate http.Handler
	// net and seer are the releases of the two.
	net, seer wire.Case
}

var clusterOptions = admission.Options{
	Exempt:   []string{"kube-system"},
	Helpers:  []string{"docker.io/istio/proxyv2", "kserve/storage-initializer"},
	Runtimes: []string{"kserve/", "docker.io/vllm/vllm-openai"},
	Stores:   []string{"pvc://trusted/"}, NotModels: []string{"s3://logs/"},
}

// buckets reads what stands in S3: one file, whose content is its location, but
// for the place that is overwritten between one reading and the next.
func buckets(t testing.TB) registry.Hasher {
	readings := 0
	return func(_ context.Context, v record.RegisteredVersion) (registry.Hashed, error) {
		if !strings.HasPrefix(v.Source, "s3://") {
			return registry.Hashed{}, registry.ErrUnread
		}
		content := v.Source
		if v.Source == "s3://models/own/1" {
			content = inS3 // a copy
		}
		if v.Source == twice {
			readings++
			content += strconv.Itoa(readings)
		}
		file := artifact.File{Path: "model.json", SHA256: digest(content).Hex(), Size: int64(len(content))}
		return registry.Hashed{Manifest: artifact.Manifest{Files: []artifact.File{file}}}, nil
	}
}

func newGated(t *testing.T) *gated {
	t.Helper()
	data := t.TempDir()
	c := &gated{data: data, house: openWith(t, registry.Config{Data: data, Hasher: buckets(t)})}
	c.settle()
	must[record.Recorded[record.Environment]](t)(c.admin.SetEnvironment(c.ctx, record.Environment{
		Name: "production", LeastTier: "low", Policy: "house", Namespaces: []string{"clinic"},
	}))
	ann := registry.Caller{Name: "ann", Type: record.Human}
	if err := c.reg.CreateRegisteredModel(c.ctx, ann, "lab", "net", "", nil); err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{inS3, another, twice, twice} {
		must[int](t)(c.reg.CreateRegisteredVersion(c.ctx, ann, record.RegisteredVersion{Team: "lab", Name: "net", Source: source}))
	}
	must[record.Recorded[record.Model]](t)(c.people["ann"].RegisterModel(c.ctx, record.Model{Team: "lab", Name: "seer", Type: record.Trained, Owner: "olga"}))
	c.register("lab/seer@1", digest("seer"), "oci://"+seer)
	c.net, c.seer = c.release("lab/net@1"), c.release("lab/seer@1")
	c.gate = c.open(clusterOptions)
	return c
}

func (c *gated) open(opts admission.Options) http.Handler {
	return server.Gate(c.reg, server.Options{Log: slog.New(slog.NewTextHandler(c.log, nil)), Admission: opts})
}

func (c *gated) register(ref string, model record.Digest, source string) {
	c.Helper()
	name, version, _ := strings.Cut(ref, "@")
	must[record.Recorded[record.ModelVersion]](c)(c.people["ann"].RegisterVersion(c.ctx, record.ModelVersion{
		Model: name, Version: version, Type: record.Trained, Artifact: model, Source: source,
		Files: []record.File{{Path: "model.safetensors", SHA256: model.Hex(), Size: 10}},
	}))
}

// release has a version proposed, approved and promoted.
func (c *gated) release(ref string) wire.Case {
	c.Helper()
	model := c.versionOf(ref).Artifact
	name := strings.NewReplacer("lab/", "", "@", "-").Replace(ref)
	c.made(name, model)
	c.evaluate(model)
	got := must[wire.Case](c)(c.people["ann"].ProposeRelease(c.ctx, wire.Proposal{Version: ref, UseCase: "lab/triage", Environment: "production", Incomplete: true}))
	for who, role := range map[string]record.RoleName{"olga": record.ModelOwner, "rita": record.Risk, "sam": record.Security} {
		must[wire.Case](c)(c.approve(who, role, got))
	}
	must[wire.Promoted](c)(c.people["olga"].Promote(c.ctx, got.ID))
	return got
}

// asked is a review as a cluster sends it.
type asked struct {
	operation, subresource, namespace string
	object, old                       map[string]any
	dryRun                            bool
}

// admitted is what comes back.
type admitted struct {
	UID     string `json:"uid"`
	Allowed bool   `json:"allowed"`
	Status  struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"status"`
	Warnings         []string          `json:"warnings"`
	AuditAnnotations map[string]string `json:"auditAnnotations"`
}

func (a asked) review() []byte {
	text := func(path string) string { s, _ := within(a.object, path).(string); return s }
	group, version, ok := strings.Cut(text("apiVersion"), "/")
	if !ok {
		group, version = "", group
	}
	kind := map[string]string{"group": group, "version": version, "kind": text("kind")}
	resource := map[string]string{"group": group, "version": version, "resource": strings.ToLower(text("kind")) + "s"}
	request := map[string]any{
		"uid": "3a7d0f64-6a5b-4a34-9c14-7d2f57a4d1a2", "kind": kind, "resource": resource, "requestKind": kind, "requestResource": resource,
		"name": text("metadata.name"), "namespace": a.namespace, "operation": a.operation, "dryRun": a.dryRun,
		"userInfo": map[string]any{"username": "system:serviceaccount:flux:apply", "groups": []string{"system:serviceaccounts", "system:authenticated"}},
		"object":   a.object, "oldObject": nil,
		"options": map[string]any{"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1", "fieldManager": "kubectl-client-side-apply"},
	}
	if a.old != nil {
		request["oldObject"] = a.old
	}
	if a.subresource != "" {
		request["subResource"] = a.subresource
	}
	raw, err := json.Marshal(map[string]any{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})
	if err != nil {
		panic(err)
	}
	return raw
}

// ask sends a review to a gate; nothing said is a CREATE in the namespace clinic.
func (c *gated) asks(gate http.Handler, a asked) admitted {
	c.Helper()
	if a.operation == "" {
		a.operation = "CREATE"
	}
	if a.namespace == "" && within(a.object, "metadata.namespace") != nil {
		a.namespace = "clinic"
	}
	status, raw := c.posts(gate, a.review())
	var got struct {
		APIVersion string   `json:"apiVersion"`
		Kind       string   `json:"kind"`
		Response   admitted `json:"response"`
	}
	if err := json.Unmarshal(raw, &got); err != nil || status != http.StatusOK {
		c.Fatalf("answered %d: %s", status, raw)
	}
	if got.APIVersion != "admission.k8s.io/v1" || got.Kind != "AdmissionReview" || got.Response.UID != "3a7d0f64-6a5b-4a34-9c14-7d2f57a4d1a2" {
		c.Fatalf("no answer to the review: %s", raw)
	}
	if !got.Response.Allowed && (got.Response.Status.Code != http.StatusForbidden || got.Response.Status.Message == "") {
		c.Fatalf("a refusal without code or reason: %s", raw)
	}
	return got.Response
}

func (c *gated) posts(gate http.Handler, body []byte) (int, []byte) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, admission.Path+"?timeout=10s", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	gate.ServeHTTP(w, r)
	raw, err := io.ReadAll(w.Body)
	if err != nil {
		c.Fatal(err)
	}
	return w.Code, raw
}

// yes and no demand an answer.
func (c *gated) yes(what string, got admitted) {
	c.Helper()
	if !got.Allowed {
		c.Errorf("%s is refused: %s", what, got.Status.Message)
	}
}

func (c *gated) no(what string, got admitted, says ...string) {
	c.Helper()
	if got.Allowed {
		c.Errorf("%s is let through", what)
	}
	for _, s := range says {
		if !strings.Contains(got.Status.Message, s) {
			c.Errorf("%s: the refusal does not say %q:\n%s", what, s, got.Status.Message)
		}
	}
}

// object reads one of the objects in testdata.
func object(t testing.TB, name string) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal(must[[]byte](t)(os.ReadFile(filepath.Join("testdata", "admission", name+".json"))), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// within finds a member by a path such as spec.containers.0.image.
func within(v any, path string) any {
	for step := range strings.SplitSeq(path, ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[strings.ReplaceAll(step, "~", ".")]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(at) {
				return nil
			}
			v = at[i]
		default:
			return nil
		}
	}
	return v
}

// altered sets members by their paths, where a dot in a name is written as ~, and
// makes what is not there. A nil takes the member away.
func altered(t testing.TB, in map[string]any, pairs ...any) map[string]any {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		var v any = in
		path := strings.Split(pairs[i].(string), ".")
		for j, step := range path {
			last := j == len(path)-1
			switch at := v.(type) {
			case map[string]any:
				step = strings.ReplaceAll(step, "~", ".")
				switch {
				case last && pairs[i+1] == nil:
					delete(at, step)
				case last:
					at[step] = pairs[i+1]
				case at[step] == nil:
					at[step] = map[string]any{}
				}
				v = at[step]
			case []any:
				n, err := strconv.Atoi(step)
				if err != nil || n >= len(at) {
					t.Fatalf("%s: there is no %s", pairs[i], step)
				}
				if last {
					at[n] = pairs[i+1]
				}
				v = at[n]
			default:
				t.Fatalf("%s leads nowhere at %s", pairs[i], step)
			}
		}
	}
	return in
}
