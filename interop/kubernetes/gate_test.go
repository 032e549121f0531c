package kubernetes

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// admitsWhatStands makes an object of each kind whose models have releases.
func (w *world) admitsWhatStands(t *testing.T) {
	w.yes(t, "a location", w.c.ask(deploys, "POST", inferences, inference("triage", storage(tiny))))
	w.yes(t, "several", w.c.ask(deploys, "POST", inferences, inference("several", object{
		"model": object{"modelFormat": object{"name": "huggingface"}}, "storageUris": []any{object{"uri": tiny, "mountPath": "/mnt/base"}, object{"uri": "oci://" + seer, "mountPath": "/mnt/seer"}},
	})))
	w.yes(t, "an image", w.c.ask(deploys, "POST", inferences, inference("seer", object{"containers": []any{container("kserve-container", seer)}})))
	w.yes(t, "a language model", w.c.ask(deploys, "POST", llms, of("serving.kserve.io/v1alpha1", "LLMInferenceService", "chat", object{"model": object{"uri": tiny, "name": "chat"}})))
	w.yes(t, "a trained model", w.c.ask(deploys, "POST", trained, of("serving.kserve.io/v1alpha1", "TrainedModel", "one", object{
		"inferenceService": "triage", "model": object{"framework": "sklearn", "memory": "1Gi", "storageUri": tiny},
	})))
	runtime := object{"supportedModelFormats": []any{object{"name": "huggingface"}}, "containers": []any{container("kserve-container", "kserve/huggingfaceserver:v0.15.2", "args", []any{"--model_dir=/mnt/models"})}}
	w.yes(t, "a runtime", w.c.ask(deploys, "POST", runtimes, of("serving.kserve.io/v1alpha1", "ServingRuntime", "face", runtime)))
	w.yes(t, "a runtime of all", w.c.ask(deploys, "POST", everywhere, of("serving.kserve.io/v1alpha1", "ClusterServingRuntime", "face", runtime)))
	for _, one := range workloads("serves", served(tiny)) {
		w.yes(t, one.path, w.c.ask(deploys, "POST", one.path, one.object))
	}
	got := w.c.ask(deploys, "GET", pods+"/serves", nil)
	raw, _ := json.Marshal(member(got.object, "spec"))
	if !strings.Contains(string(raw), `"projected"`) {
		t.Errorf("the pod is not as clusters make it, which give every one a token of its service account: %s", raw)
	}
	w.yes(t, "applied by the server", w.c.ask(deploys, "APPLY", inferences+"/applied?fieldManager=flux", inference("applied", storage(tiny))))
	w.yes(t, "a later version of the kind", w.c.ask(deploys, "POST", inferencesV1, with(inference("later", storage(tiny)), "apiVersion", "serving.kserve.io/v1")))
	w.yes(t, "a trial", w.try(inferences, inference("trial", storage(tiny))))
	if got := w.c.ask(deploys, "GET", inferences+"/trial", nil); got.status != http.StatusNotFound {
		t.Errorf("a trial has made something: %d", got.status)
	}
}

// refusesTheWaysAround asks for models that have no release by every field that
// can name one.
func (w *world) refusesTheWaysAround(t *testing.T) {
	w.no(t, "a location", w.c.ask(deploys, "POST", inferences, inference("a", storage(other))), other, "no release of clinic/other@1 is live in production")
	w.no(t, "a trial", w.try(inferences, inference("a", storage(other))), other)
	w.no(t, "one of several", w.try(inferences, inference("a", with(storage(tiny), "storageUris", []any{object{"uri": tiny}, object{"uri": other}}))), "spec.predictor.storageUris[1].uri")
	w.no(t, "behind a secret", w.try(inferences, inference("a", object{"model": object{"storage": object{"key": "s3", "path": "x"}}})), "use storageUri")
	w.no(t, "an image", w.try(inferences, inference("a", object{"containers": []any{container("kserve-container", "registry.example/other:latest")}})), "has no digest")
	w.no(t, "a branch", w.try(inferences, inference("a", storage("hf://acme/tiny:main"))), "no model is known by it")
	w.no(t, "an object named like an image", w.try(inferences, inference("a", storage("s3://models/"+seer))), "no model is known by it")
	w.no(t, "a transformer", w.try(inferences, of("serving.kserve.io/v1beta1", "InferenceService", "a", object{"predictor": storage(tiny), "transformer": object{"containers": []any{container("t", "registry.example/x:1")}}})), "spec.transformer")
	w.no(t, "what is not known", w.try(inferences, of("serving.kserve.io/v1beta1", "InferenceService", "a", object{"predictor": storage(tiny), "shadow": storage(other)})), "spec.shadow")
	w.no(t, "a later version of the kind", w.try(inferencesV1, with(inference("a", storage(other)), "apiVersion", "serving.kserve.io/v1")), other)
	w.no(t, "applied by the server", w.c.ask(deploys, "APPLY", inferences+"/a?fieldManager=flux", inference("a", storage(other))), other)
	w.no(t, "a language model", w.try(llms, of("serving.kserve.io/v1alpha1", "LLMInferenceService", "a", object{"model": object{"uri": other}})), other)
	w.no(t, "an adapter", w.try(llms, of("serving.kserve.io/v1alpha1", "LLMInferenceService", "a", object{"model": object{"uri": tiny, "lora": object{"adapters": []any{object{"uri": other}}}}})), "adapters[0].uri")
	w.no(t, "a model of another object", w.try(llms, of("serving.kserve.io/v1alpha1", "LLMInferenceService", "a", object{"baseRefs": []any{object{"name": "x"}}})), "spec.model.uri is missing")
	w.no(t, "a trained model", w.try(trained, of("serving.kserve.io/v1alpha1", "TrainedModel", "a", object{"inferenceService": "triage", "model": object{"storageUri": other}})), other)
	w.no(t, "a runtime of all", w.try(everywhere, of("serving.kserve.io/v1alpha1", "ClusterServingRuntime", "a", object{"containers": []any{container("c", "kserve/x:1", "args", []any{"--model_id=acme/other"})}})), "every namespace")

	serves := func(pairs ...any) []any {
		return []any{container("kserve-container", "kserve/huggingfaceserver:v0.15.2", pairs...)}
	}
	for what, spec := range map[string]object{
		"an init container":              served(other),
		"an image of nobody":             {"containers": []any{container("c", "registry.example/other@sha256:"+strings.Repeat("66", 32))}},
		"a tag":                          {"containers": []any{container("c", "registry.example/clinic/seer:1")}},
		"a runtime that names nothing":   {"containers": serves()},
		"a flag":                         served(tiny, "containers", serves("args", []any{"--model_id", "acme/other"})),
		"a variable":                     served(tiny, "containers", serves("env", []any{object{"name": "HF_MODEL_ID", "value": "acme/other"}})),
		"a variable of a secret":         served(tiny, "containers", serves("env", []any{object{"name": "STORAGE_URI", "valueFrom": object{"secretKeyRef": object{"name": "s", "key": "k"}}}})),
		"variables that are not seen":    served(tiny, "containers", serves("envFrom", []any{object{"configMapRef": object{"name": "m"}}})),
		"a claim":                        served(tiny, "volumes", []any{object{"name": "models", "persistentVolumeClaim": object{"claimName": "m"}}}),
		"a folder of the node":           served(tiny, "volumes", []any{object{"name": "models", "hostPath": object{"path": "/m"}}}),
		"an image volume":                served(tiny, "volumes", []any{object{"name": "models", "image": object{"reference": "registry.example/other:1"}}}),
		"what an init container fetches": served("https://example.invalid/model.tar"),
		"what runs after the start":      served(tiny, "containers", serves("lifecycle", object{"postStart": object{"exec": object{"command": []any{"fetch", other}}}})),
		"a redirection":                  served(tiny, "containers", serves("env", []any{object{"name": "HF_ENDPOINT", "value": "https://example.invalid"}})),
	} {
		for _, one := range workloads("a", spec) {
			w.no(t, what+" at "+one.path, w.try(one.path, one.object))
		}
	}
}

// judgesUpdates changes what runs.
func (w *world) judgesUpdates(t *testing.T) {
	w.no(t, "an InferenceService", w.c.ask(deploys, "PATCH", inferences+"/triage", object{"spec": object{"predictor": storage(other)}}), other)
	w.yes(t, "its replicas", w.c.ask(deploys, "PATCH", inferences+"/triage", object{"spec": object{"predictor": object{"minReplicas": 2}}}))
	w.yes(t, "its status, which says nothing of what runs", w.c.ask(deploys, "PATCH", inferences+"/triage/status", object{"spec": object{"predictor": storage(other)}, "status": object{"url": "http://x"}}))
	if got := w.c.ask(deploys, "GET", inferences+"/triage", nil); member(got.object, "spec", "predictor", "model", "storageUri") != tiny {
		t.Errorf("by its status the model was changed: %v", got.object)
	}
	pod := w.c.ask(deploys, "GET", pods+"/serves", nil).object
	runs := func(image string) answer {
		list, _ := member(pod, "spec", "containers").([]any)
		spec := with(pod["spec"].(object), "containers", []any{with(list[0].(object), "image", image)})
		return w.c.ask(deploys, "PUT", pods+"/serves?dryRun=All", with(pod, "spec", spec))
	}
	w.no(t, "an image of a pod", runs("registry.example/other:1"), "has no digest")
	w.yes(t, "a runtime of a pod", runs("kserve/huggingfaceserver:v0.15.3"))
	w.yes(t, "the size of a deployment", w.c.ask(deploys, "PATCH", deployments+"/serves/scale", object{"spec": object{"replicas": 3}}))

	debugs := func(image string) answer {
		spec := with(pod["spec"].(object), "ephemeralContainers", []any{container("debug", image, "targetContainerName", "kserve-container")})
		return w.c.ask(deploys, "PUT", pods+"/serves/ephemeralcontainers", with(pod, "spec", spec))
	}
	w.no(t, "a debugger", debugs("docker.io/library/busybox:1"), "spec.ephemeralContainers[0].image")
	w.yes(t, "a helper as debugger", debugs("docker.io/istio/proxyv2:1"))

	// Nobody is believed that an object is being deleted.
	dying := func(path string, spec object) answer {
		return w.c.ask(deploys, "PATCH", path, object{"metadata": object{"deletionTimestamp": time.Now().UTC().Format(time.RFC3339), "deletionGracePeriodSeconds": 0}, "spec": spec})
	}
	for path, spec := range map[string]object{inferences + "/triage": {"predictor": storage(other)}, deployments + "/serves": {"template": object{"spec": served(other)}}} {
		if got := dying(path, spec); got.status < 400 {
			t.Errorf("%s was said to be deleted, and changed: %s", path, got.message)
		}
	}
	// Who tidies up what is really being deleted may.
	w.yes(t, "a finalizer", w.c.ask(deploys, "PATCH", inferences+"/several", object{"metadata": object{"finalizers": []any{"lab.example/tidy"}}}))
	w.yes(t, "a deletion", w.c.ask(deploys, "DELETE", inferences+"/several", nil))
	w.no(t, "another model in what is being deleted", w.c.ask(deploys, "PATCH", inferences+"/several", object{"spec": object{"predictor": storage(other)}}), other)
	w.yes(t, "its last change", w.c.ask(deploys, "PATCH", inferences+"/several", object{"metadata": object{"finalizers": nil}}))
}

// leavesOthersAlone asks in namespaces that are not governed.
func (w *world) leavesOthersAlone(t *testing.T) {
	in := func(namespace string) string { return strings.Replace(inferences, "clinic", namespace, 1) }
	got := w.c.ask(deploys, "POST", in("shed"), inference("any", storage(other)))
	w.yes(t, "where no environment is", got)
	if !warned(got, "no environment names the namespace shed") {
		t.Errorf("the deployer is warned %q", got.warnings)
	}
	if got := w.c.ask(deploys, "POST", in("tools"), inference("any", storage(other))); got.status != http.StatusCreated || len(got.warnings) > 0 {
		t.Errorf("in an exempt namespace: %d %s %q", got.status, got.message, got.warnings)
	}
	// The label by which the webhook leaves namespaces out is the cluster's to set.
	w.c.ask(deploys, "PATCH", "/api/v1/namespaces/clinic", object{"metadata": object{"labels": object{"kubernetes.io/metadata.name": "imprimatur"}}})
	w.no(t, "a namespace that calls itself another", w.try(inferences, inference("a", storage(other))), other)
	w.yes(t, "the system's own", w.c.ask(deploys, "POST", strings.Replace(pods, "clinic", "imprimatur", 1), of("v1", "Pod", "server", object{"containers": []any{container("c", "registry.example/imprimatur:1")}})))
}

// tellsTheAuditLog reads what the cluster keeps of a yes.
func (w *world) tellsTheAuditLog(t *testing.T) {
	for line := range strings.Lines(string(must(os.ReadFile(w.c.audit))(t))) {
		var event struct {
			Verb        string            `json:"verb"`
			Ref         map[string]string `json:"objectRef"`
			Annotations map[string]string `json:"annotations"`
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatal(err)
		}
		if event.Verb != "create" || event.Ref["name"] != "triage" || event.Ref["resource"] != "inferenceservices" {
			continue
		}
		for name, want := range map[string]string{"environment": "production", "release": w.p.tiny} {
			if got := event.Annotations["admit.imprimatur.dev/"+name]; got != want {
				t.Errorf("the audit log has %q as %s, not %s: %v", got, name, want, event.Annotations)
			}
		}
		return
	}
	t.Error("the audit log does not have the creation")
}

// refusesWhatIsSuspended suspends a release, and lifts that.
func (w *world) refusesWhatIsSuspended(t *testing.T) {
	began := time.Now()
	w.p.does(t, w.p.ann, "release suspend --reason doubts "+w.p.tiny)
	stopped := time.Now()
	got := w.try(inferences, inference("late", storage(tiny)))
	took := time.Since(stopped)
	w.no(t, "a suspended release", got, "the release "+w.p.tiny+" is suspended")
	if took > time.Second {
		t.Errorf("it was refused %s after the suspension", took)
	}
	t.Logf("refused %s after the suspension was answered, which took %s with the start of the command", took.Round(time.Millisecond), stopped.Sub(began).Round(time.Millisecond))
	for _, one := range workloads("late", served(tiny)) {
		w.no(t, one.path, w.try(one.path, one.object), "suspended")
	}
	w.yes(t, "another release", w.try(inferences, inference("b", object{"containers": []any{container("kserve-container", seer)}})))
	kept := w.c.ask(deploys, "PATCH", deployments+"/serves", object{"metadata": object{"labels": object{"seen": "true"}}})
	w.yes(t, "a label", kept)
	if !warned(kept, "it may not run any more") {
		t.Errorf("the deployer is warned %q", kept.warnings)
	}
	w.yes(t, "a deletion", w.c.ask(deploys, "DELETE", inferences+"/applied", nil))
	w.p.does(t, w.p.ann, "release suspend --lift --reason cleared "+w.p.tiny)
	w.yes(t, "it stands again", w.try(inferences, inference("late", storage(tiny))))
}

// takesANewCertificate renews the webhook's certificate, by another authority,
// while the server runs.
func (w *world) takesANewCertificate(t *testing.T) {
	old := w.p.shown(t)
	w.gates = newAuthority(t, w.p.dir, "gates-next")
	w.gates.issue(t, filepath.Join(w.p.dir, "gate"), "second")
	await(t, time.Minute, "the new certificate is not shown", func() bool { return !w.p.shown(t).Equal(old) })
	replace := func(config string) {
		t.Helper()
		now := w.c.ask(administers, "APPLY", webhooks+"/imprimatur?fieldManager=test&force=true", config)
		w.yes(t, "the webhook's configuration", now)
	}
	replace(w.webhook(t))
	await(t, time.Minute, "the cluster does not reach the gate by its new certificate", func() bool { return w.try(inferences, inference("c", storage(tiny))).status == http.StatusCreated })
	w.no(t, "by the new certificate", w.try(inferences, inference("c", storage(other))), other)
	// An authority that did not sign it is not believed: nothing runs.
	w.gates = newAuthority(t, w.p.dir, "strangers")
	replace(w.webhook(t))
	await(t, time.Minute, "the cluster believes any certificate", func() bool {
		return w.try(inferences, inference("c", storage(tiny))).status == http.StatusInternalServerError
	})
	w.gates.file = filepath.Join(w.p.dir, "gates-next.crt")
	replace(w.webhook(t))
	await(t, time.Minute, "the cluster does not come back", func() bool { return w.try(inferences, inference("c", storage(tiny))).status == http.StatusCreated })
}

// failsClosed takes the server away.
func (w *world) failsClosed(t *testing.T) {
	w.p.end(t)
	for _, one := range append(workloads("down", served(tiny)), workload{inferences, inference("down", storage(tiny))}) {
		if got := w.try(one.path, one.object); got.status != http.StatusInternalServerError || !strings.Contains(got.message, `failed calling webhook "admit.imprimatur.dev"`) {
			t.Errorf("without the server, at %s: %d %s", one.path, got.status, got.message)
		}
	}
	w.yes(t, "the server's own namespace, so that it can come back", w.c.ask(deploys, "POST", strings.Replace(pods, "clinic", "imprimatur", 1), of("v1", "Pod", "again", object{"containers": []any{container("c", "registry.example/imprimatur:1")}})))
	w.yes(t, "a deletion", w.c.ask(deploys, "DELETE", inferences+"/later", nil))
	w.p.serve(t)
	w.yes(t, "it is back", w.try(inferences, inference("up", storage(tiny))))
	w.no(t, "it is back", w.try(inferences, inference("up", storage(other))), other)
}
