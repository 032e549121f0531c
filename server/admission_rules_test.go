package server_test

import (
	"net/http"
	"strings"
	"testing"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server/admission"
	"imprimatur.dev/wire"
)

// bare is a pod that names no model.
func bare(images ...string) map[string]any {
	containers := []any{}
	for _, image := range images {
		containers = append(containers, map[string]any{"name": "c", "image": image})
	}
	return map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "p", "namespace": "clinic"},
		"spec": map[string]any{"containers": containers},
	}
}

// TestAdmissionOfPodsThatNameNoModel asks for somebody's word, which must stand.
func TestAdmissionOfPodsThatNameNoModel(t *testing.T) {
	c := newGated(t)
	own := "registry.example/lab/serve@sha256:" + strings.Repeat("66", 32)
	claim := func(p map[string]any, name, value string) map[string]any {
		return altered(t, p, "metadata.annotations.imprimatur~dev/"+name, value)
	}
	model := string(c.net.Release.Record.Behaviour.Artifact)
	c.yes("a pod of helpers", c.asks(c.gate, asked{object: bare("istio/proxyv2:1", "docker.io/istio/proxyv2@sha256:"+strings.Repeat("66", 32))}))
	c.no("an image of nobody", c.asks(c.gate, asked{object: bare("istio/proxyv2:1", own)}), "no model's that is known here", "imprimatur.dev/release")
	c.no("a runtime alone", c.asks(c.gate, asked{object: bare("kserve/sklearnserver:1")}), "names no model", "imprimatur serve --admission-helper")
	c.yes("an image with a release", c.asks(c.gate, asked{object: claim(bare(own), "release", c.net.ID)}))
	c.yes("an image with a model", c.asks(c.gate, asked{object: claim(bare(own), "artifact", model)}))
	c.yes("both", c.asks(c.gate, asked{object: claim(claim(bare(own), "artifact", model), "release", c.net.ID)}))
	c.no("both, of two", c.asks(c.gate, asked{object: claim(claim(bare(own), "artifact", model), "release", c.seer.ID)}), "says another")
	c.no("a tag, with a release", c.asks(c.gate, asked{object: claim(bare("registry.example/lab/serve:latest"), "release", c.net.ID)}), "has no digest")
	c.no("a release on the deployment, not on its pods", c.asks(c.gate, asked{object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "d", "namespace": "clinic", "annotations": map[string]any{"imprimatur.dev/release": c.net.ID}},
		"spec": map[string]any{"template": map[string]any{"spec": bare(own)["spec"]}},
	}}), "on the pods")
	c.yes("what is no model", c.asks(c.gate, asked{object: altered(t, bare("istio/proxyv2:1"), "spec.containers.0.args", []any{"--to=s3://logs/mesh"})}))
	trusted := altered(t, object(t, "inferenceservice"), "spec.predictor.model.storageUri", "pvc://trusted/net")
	c.yes("a store that is trusted, with a release", c.asks(c.gate, asked{object: claim(trusted, "release", c.net.ID)}))
	elsewhere := altered(t, object(t, "inferenceservice"), "spec.predictor.model.storageUri", "pvc://other/net")
	c.no("another store, with a release", c.asks(c.gate, asked{object: claim(elsewhere, "release", c.net.ID)}), "no model is known by it")
}

// TestAdmissionOfPinnedModels names models by what can only ever be the same
// bytes: an image volume, and a commit of a repository.
func TestAdmissionOfPinnedModels(t *testing.T) {
	c := newGated(t)
	mounted := altered(t, bare("kserve/sklearnserver:1"), "spec.volumes", []any{map[string]any{"name": "m", "image": map[string]any{"reference": seer, "pullPolicy": "IfNotPresent"}}})
	c.yes("an image volume", c.asks(c.gate, asked{object: mounted}))
	commit := "hf://acme/tiny:" + strings.Repeat("c0", 20)
	must[record.Recorded[record.Model]](t)(c.people["ann"].RegisterModel(c.ctx, record.Model{Team: "lab", Name: "tiny", Type: record.Trained, Owner: "olga"}))
	c.register("lab/tiny@1", digest("tiny"), commit)
	at := func(uri string) map[string]any {
		return altered(t, object(t, "inferenceservice"), "spec.predictor.model.storageUri", uri)
	}
	c.no("a commit without a release", c.asks(c.gate, asked{object: at(commit)}), "no release of lab/tiny@1", "imprimatur release propose lab/tiny@1")
	c.release("lab/tiny@1")
	c.yes("a commit", c.asks(c.gate, asked{object: at(commit)}))
	c.no("half a commit", c.asks(c.gate, asked{object: at(commit[:len(commit)-20])}), "no model is known by it")
}

// TestASecondVersionDoesNotBorrowAnApproval registers the bytes that stand once
// more, with another image as their source.
func TestASecondVersionDoesNotBorrowAnApproval(t *testing.T) {
	c := newGated(t)
	evil := "registry.example/lab/evil@sha256:" + strings.Repeat("ee", 32)
	c.register("lab/net@9", c.net.Release.Record.Behaviour.Artifact, "oci://"+evil)
	c.no("the borrower", c.asks(c.gate, asked{object: bare(evil)}), "no release of lab/net@9 is live")
	c.register("lab/net@10", digest("more"), "oci://"+seer)
	c.yes("the image that was approved", c.asks(c.gate, asked{object: bare(seer)}))
	// The same bytes at a place of somebody's own, who can overwrite them there.
	const own = "s3://models/own/1"
	eve := registry.Caller{Name: "ann", Type: record.Human}
	if err := c.reg.CreateRegisteredModel(c.ctx, eve, "lab", "own", "", nil); err != nil {
		t.Fatal(err)
	}
	must[int](t)(c.reg.CreateRegisteredVersion(c.ctx, eve, record.RegisteredVersion{Team: "lab", Name: "own", Source: own}))
	if got, stands := c.versionOf("lab/own@1").Artifact, c.net.Release.Record.Behaviour.Artifact; got != stands {
		t.Fatalf("the copy is %s, not %s", got, stands)
	}
	at := func(uri string) map[string]any {
		return altered(t, object(t, "inferenceservice"), "spec.predictor.model.storageUri", uri)
	}
	c.no("the place of the copy", c.asks(c.gate, asked{object: at(own)}), "no release of lab/own@1 is live")
	c.yes("the place that was approved", c.asks(c.gate, asked{object: at(inS3)}))
}

// TestAdmissionFollowsTheRelease stops one, and looks at what may still be done.
func TestAdmissionFollowsTheRelease(t *testing.T) {
	c := newGated(t)
	deployment := func() map[string]any { return object(t, "deployment") }
	update := func(change ...any) admitted {
		return c.asks(c.gate, asked{operation: "UPDATE", old: deployment(), object: altered(t, deployment(), change...)})
	}
	c.yes("a label", update("metadata.labels.x", "y"))
	must[wire.Case](t)(c.people["sam"].Suspend(c.ctx, c.net.ID, wire.Stop{Reason: "incident"}))
	c.no("a new object", c.asks(c.gate, asked{object: deployment()}), "is suspended")
	got := update("metadata.labels.x", "y", "spec.replicas", 3.0)
	c.yes("the same, with a label", got)
	if len(got.Warnings) == 0 || !strings.Contains(got.Warnings[0], "may not run any more") {
		t.Errorf("warned %q", got.Warnings)
	}
	c.no("another flag", update("spec.template.spec.initContainers.0.args", []any{another}), "no release of lab/net@2")
	c.no("a claim", update("spec.template.metadata.annotations.imprimatur~dev/release", c.net.ID), "is suspended")
	c.yes("a finalizer", update("metadata.deletionTimestamp", "2026-05-04T09:00:00Z", "metadata.finalizers", nil))
	c.no("another model in what is being deleted", update("metadata.deletionTimestamp", "2026-05-04T09:00:00Z", "spec.template.spec.initContainers.0.args", []any{another}), "no release of lab/net@2")
	pod := object(t, "pod")
	for _, harmless := range []string{"status", "binding", "eviction", "scale"} {
		c.yes(harmless, c.asks(c.gate, asked{operation: "UPDATE", subresource: harmless, object: pod}))
	}
	for _, operation := range []string{"DELETE", "CONNECT"} {
		c.yes(operation, c.asks(c.gate, asked{operation: operation, object: pod}))
	}
	debugged := altered(t, object(t, "pod"), "spec.ephemeralContainers", []any{map[string]any{"name": "d", "image": "docker.io/library/busybox:1", "targetContainerName": "kserve-container"}})
	c.no("a debugger", c.asks(c.gate, asked{operation: "UPDATE", subresource: "ephemeralcontainers", object: debugged, old: pod}), "spec.ephemeralContainers[0].image")
	c.no("a pod of no namespace", c.asks(c.gate, asked{object: altered(t, object(t, "pod"), "metadata.namespace", nil)}), "is elsewhere")
	c.no("a patch", c.asks(c.gate, asked{operation: "PATCH", object: pod}), `the operation "PATCH"`)
	must[wire.Case](t)(c.people["sam"].Suspend(c.ctx, c.net.ID, wire.Stop{Reason: "over", Lift: true}))
	c.yes("a new object again", c.asks(c.gate, asked{object: deployment()}))
}

// TestAdmissionAdvisesExemptsAndRemembers looks at what is noted of what.
func TestAdmissionAdvisesExemptsAndRemembers(t *testing.T) {
	c := newGated(t)
	other := func() map[string]any {
		return altered(t, object(t, "inferenceservice"), "spec.predictor.model.storageUri", another)
	}
	advising := clusterOptions
	advising.Advise = true
	got := c.asks(c.open(advising), asked{object: other()})
	c.yes("advised against", got)
	if len(got.Warnings) != 1 || !strings.HasPrefix(got.Warnings[0], "would be refused: spec.predictor.model.storageUri") || len(got.Warnings[0]) > 256 {
		t.Errorf("warned %q", got.Warnings)
	}
	exempt := altered(t, other(), "metadata.namespace", "kube-system")
	c.yes("an exempt namespace", c.asks(c.gate, asked{namespace: "kube-system", object: exempt}))
	c.no("a trial", c.asks(c.gate, asked{object: altered(t, other(), "metadata.name", "trial"), dryRun: true}))
	c.no("in earnest", c.asks(c.gate, asked{object: other()}))
	// What a server has noted is stated at the latest when it ends.
	if err := c.reg.Close(); err != nil {
		t.Fatal(err)
	}
	reg := must[*registry.Registry](t)(registry.Open(c.ctx, registry.Config{Data: c.data}))
	defer reg.Close()
	var denied []record.Denial
	for _, e := range must[wire.Page](t)(reg.List(c.ctx, registry.Caller{Name: "rita", Type: record.Human}, record.KindDecisions, 0, 0)).Entries {
		denied = append(denied, must[record.Body](t)(record.Replay(e.Kind, e.Record)).(record.Decisions).Denials...)
	}
	if len(denied) != 1 || denied[0].Count != 1 || denied[0].Type != "access" || denied[0].Resource != "clinic/triage" ||
		denied[0].Workload != "kubernetes:system:serviceaccount:flux:apply" || denied[0].Action != "create InferenceService.serving.kserve.io" || !strings.Contains(denied[0].Reason, another) {
		t.Errorf("the decision log has %+v", denied)
	}
}

// TestAdmissionThatCannotDecideIsNo asks when the server has closed its ledger,
// and with what is no review.
func TestAdmissionThatCannotDecideIsNo(t *testing.T) {
	c := newGated(t)
	good := asked{operation: "CREATE", namespace: "clinic", object: object(t, "pod")}.review()
	for what, body := range map[string]string{
		"nothing": "", "no JSON": "{", "another version": strings.Replace(string(good), "admission.k8s.io/v1", "admission.k8s.io/v1beta1", 1),
		"no request": `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}`, "no uid": strings.Replace(string(good), `"uid":"3a7d`, `"uids":"3a7d`, 1),
		"a member twice":  strings.Replace(string(good), `"containers":`, `"containers":[],"containers":`, 1),
		"no text":         strings.Replace(string(good), "clinic", "\xff", 1),
		"something after": string(good) + "{}", "too long": `{"apiVersion":"` + strings.Repeat("x", 9<<20) + `"}`,
	} {
		if status, raw := c.posts(c.gate, []byte(body)); status < 400 || status >= 500 || strings.Contains(string(raw), `"allowed":true`) {
			t.Errorf("%s: %d %.200s", what, status, raw)
		}
	}
	none := `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","kind":{"group":"","version":"v1","kind":"Pod"},"namespace":"clinic","operation":"CREATE","object":null}}`
	if _, raw := c.posts(c.gate, []byte(none)); !strings.Contains(string(raw), `"allowed":false`) || !strings.Contains(string(raw), "has no object") {
		t.Errorf("no object: %s", raw)
	}
	if err := c.reg.Close(); err != nil {
		t.Fatal(err)
	}
	c.no("a closed ledger", c.asks(c.gate, asked{object: object(t, "pod")}), "closed")
	c.no("a closed ledger, elsewhere", c.asks(c.gate, asked{namespace: "shed", object: altered(t, object(t, "pod"), "metadata.namespace", "shed")}), "closed")
}

// TestAdmissionOnTheMainListenerAsksForAToken asks as nobody and as a viewer.
func TestAdmissionOnTheMainListenerAsksForAToken(t *testing.T) {
	c := newGated(t)
	review := string(asked{operation: "CREATE", namespace: "clinic", object: object(t, "pod")}.review())
	if got := c.ask("", "POST", admission.Path, review); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("nobody is answered %s", got.Status)
	}
	if got := c.ask("vic", "POST", admission.Path, review); got.StatusCode != http.StatusOK {
		t.Errorf("a viewer is answered %s", got.Status)
	}
}
