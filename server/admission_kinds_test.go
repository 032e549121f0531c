package server_test

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestAdmissionReadsEveryKind asks about an object of each kind as clusters send
// them: with models that stand, with one that has no release, and elsewhere.
func TestAdmissionReadsEveryKind(t *testing.T) {
	c := newGated(t)
	files := must[[]string](t)(filepath.Glob("testdata/admission/*.json"))
	if len(files) < 17 {
		t.Fatalf("only %d objects", len(files))
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		got := c.asks(c.gate, asked{object: object(t, name)})
		c.yes(name, got)
		if strings.Contains(name, "runtime") {
			continue
		}
		if got.AuditAnnotations["environment"] != "production" || !strings.Contains(got.AuditAnnotations["release"], "r-") || !strings.Contains(got.AuditAnnotations["artifact"], "sha256:") {
			t.Errorf("%s: the audit log is told %v", name, got.AuditAnnotations)
		}
		other := elsewhere(object(t, name), inS3, another, seer, seer[:len(seer)-1]+"0").(map[string]any)
		c.no(name+" with other models", c.asks(c.gate, asked{object: other}))
		altered(t, other, "metadata.namespace", "shed")
		got = c.asks(c.gate, asked{object: other, namespace: "shed"})
		c.yes(name+" in a namespace that no environment names", got)
		if strings.Contains(strings.Join(got.Warnings, ""), "not governed") != (name != "inferenceservice-custom") {
			t.Errorf("%s: warned %q", name, got.Warnings)
		}
	}
}

// elsewhere replaces texts in all that an object says.
func elsewhere(v any, pairs ...string) any {
	switch v := v.(type) {
	case string:
		return strings.NewReplacer(pairs...).Replace(v)
	case []any:
		for i := range v {
			v[i] = elsewhere(v[i], pairs...)
		}
	case map[string]any:
		for k := range v {
			v[k] = elsewhere(v[k], pairs...)
		}
	}
	return v
}

// TestAdmissionHasNoWayAround changes one member of an object whose models stand,
// each to a model that does not.
func TestAdmissionHasNoWayAround(t *testing.T) {
	const first, pod = "spec.containers.0.", "deployment/spec.template."
	newGated(t).around(t, []change{
		{"inferenceservice/spec.predictor.model.storageUri", another, "no release of lab/net@2"},
		{"inferenceservice/spec.predictor.model.storageUri", "s3://models/net/1/../2", "no model is known by it"},
		{"inferenceservice/spec.predictor.model.storageUri", "s3://models/net", "no model is known by it"},
		{"inferenceservice/spec.predictor.model.storageUri", "s3://models/net/1/part", "no model is known by it"},
		{"inferenceservice/spec.predictor.model.storageUri", "s3://others/net/1", "no model is known by it"},
		{"inferenceservice/spec.predictor.model.storageUri", "gs://models/net/1", "no model is known by it"},
		{"inferenceservice/spec.predictor.model.storageUri", "s3://models/%6eet/1", "no model is known by it"},
		{"inferenceservice/spec.predictor.model.storageUri", "s3://models/NET/1", "no model is known by it"},
		{"inferenceservice/spec.predictor.model.storageUri", "s3://models/net/1?versionId=2", "no model is known by it"},
		{"inferenceservice/spec.predictor.model.storageUri", twice, "overwritten"},
		{"inferenceservice/spec.predictor.model.storageUri", "/mnt/other", "no model is known by it"},
		{"inferenceservice/spec.predictor.model.storageUri", "models:/net/1", "no model is known by it"},
		{"inferenceservice/spec.predictor.model.storageUri", "https://example.invalid/model.tar", "no model is known by it"},
		{"inferenceservice/spec.predictor.model.storageUri", "hf://acme/net", "no model is known by it"},
		{"inferenceservice/spec.predictor.model.storageUri", "hf://acme/net:main", "no model is known by it"},
		{"inferenceservice/spec.predictor.model.storageUri", "pvc://claim/net", "no model is known by it"},
		{"inferenceservice/spec.predictor.model.storageUri", "pvc://trusted/net", "imprimatur.dev/release"},
		{"inferenceservice/spec.predictor.model.storageUri", "oci://registry.example/lab/seer:latest", "by its digest"},
		{"inferenceservice/spec.predictor.model.storageUri", "s3://models/" + seer, "no model is known by it"},
		{"inferenceservice/spec.predictor.model.storageUri", "https://" + seer, "no model is known by it"},
		{"inferenceservice/spec.predictor.model.storageUri", "pvc://trusted/" + seer, "imprimatur.dev/release"},
		{"inferenceservice/spec.predictor.model.storageUri", nil, "names no model"},
		{"inferenceservice/spec.predictor.model.storage", map[string]any{"key": "s3", "path": "net/2"}, "use storageUri"},
		{"inferenceservice/spec.predictor.storageUris", []any{map[string]any{"uri": another}}, "no release of lab/net@2"},
		{"inferenceservice/spec.predictor.model.args", []any{"--model_id=acme/other"}, "acme/other"},
		{"inferenceservice/spec.predictor.model.args", []any{"--model-id", "acme/other"}, "acme/other"},
		{"inferenceservice/spec.predictor.model.command", []any{"sh", "-c", "vllm serve acme/other"}, "acme/other"},
		{"inferenceservice/spec.predictor.model.args", []any{"--lora-modules", "x=acme/other"}, "acme/other"},
		{"inferenceservice/spec.predictor.model.args", []any{"--model=$(WHICH)"}, "$(WHICH)"},
		{"inferenceservice/spec.predictor.model.env", []any{map[string]any{"name": "STORAGE_URI", "value": another}}, "no release of lab/net@2"},
		{"inferenceservice/spec.predictor.model.env", []any{map[string]any{"name": "MODEL_ID", "value": "acme/other"}}, "acme/other"},
		{"inferenceservice/spec.predictor.model.env", []any{map[string]any{"name": "MODEL_ID", "valueFrom": map[string]any{"configMapKeyRef": map[string]any{"name": "m", "key": "k"}}}}, "not seen here"},
		{"inferenceservice/spec.predictor.model.env", []any{map[string]any{"name": "AWS_ENDPOINT_URL", "value": "https://store.example.invalid"}}, "where locations lead"},
		{"inferenceservice/spec.predictor.model.envFrom", []any{map[string]any{"configMapRef": map[string]any{"name": "m"}}}, "not seen here"},
		{"inferenceservice/spec.predictor.model.image", "registry.example/other:latest", "has no digest"},
		{"inferenceservice/spec.predictor.initContainers", []any{map[string]any{"name": "i", "image": "kserve/x:v1", "args": []any{"curl -o /m https://example.invalid/m"}}}, "example.invalid"},
		{"inferenceservice/spec.predictor.workerSpec", map[string]any{"containers": []any{map[string]any{"name": "w", "image": "kserve/x:v1", "args": []any{another}}}}, "no release of lab/net@2"},
		{"inferenceservice/spec.transformer", map[string]any{"containers": []any{map[string]any{"name": "t", "image": "registry.example/other:1"}}}, "has no digest"},
		{"inferenceservice/spec.explainer", map[string]any{"art": map[string]any{"storageUri": another}}, "no release of lab/net@2"},
		{"inferenceservice/spec.canary", map[string]any{"model": map[string]any{"storageUri": another}}, "spec.canary"},
		{"inferenceservice/spec.predictor.later", map[string]any{"from": another}, "no release of lab/net@2"},
		{"inferenceservice/metadata.annotations.elsewhere~example/model", another, "no release of lab/net@2"},
		{"inferenceservice/metadata.annotations.imprimatur~dev/release", "SEER", "another one is named"},
		{"inferenceservice/metadata.annotations.imprimatur~dev/release", "r-0123456789ab", "is not live in production"},
		{"inferenceservice/metadata.annotations.imprimatur~dev/artifact", string(digest("seer")), "another one is named"},
		{"inferenceservice/metadata.annotations.imprimatur~dev/artifact", "latest", "imprimatur.dev/artifact"},
		{"inferenceservice/metadata.namespace", "shed", "object about shed"},
		{"inferenceservice-framework/spec.predictor.sklearn.storageUri", another, "no release of lab/net@2"},
		{"inferenceservice-framework/spec.predictor.xgboost", map[string]any{"storageUri": another}, "no release of lab/net@2"},
		{"inferenceservice-many/spec.predictor.storageUris.1.uri", another, "no release of lab/net@2"},
		{"inferenceservice-custom/spec.predictor.containers.0.image", "registry.example/lab/seer:1", "has no digest"},
		{"inferenceservice-custom/spec.predictor.containers.0.image", "registry.example/lab/seer@sha256:" + strings.Repeat("5f", 32), "no model's that is known"},
		{"llminferenceservice/spec.model.uri", "hf://acme/other", "no model is known by it"},
		{"llminferenceservice/spec.model.uri", nil, "spec.model.uri is missing"},
		{"llminferenceservice/spec.model.lora.adapters.0.uri", "hf://acme/adapter", "no model is known by it"},
		{"llminferenceservice/spec.template.containers.0.args", []any{"--model", "acme/other"}, "acme/other"},
		{"llminferenceservice/spec.worker.containers.0.image", "registry.example/other:1", "has no digest"},
		{"llminferenceservice/spec.prefill.template.containers.0.env", []any{map[string]any{"name": "HF_MODEL_ID", "value": "acme/other"}}, "acme/other"},
		{"trainedmodel/spec.model.storageUri", another, "no release of lab/net@2"},
		{"servingruntime/" + first + "args", []any{"--model_id=acme/other"}, "acme/other"},
		{"servingruntime/" + first + "image", "registry.example/other:1", "has no digest"},
		{"clusterservingruntime/" + first + "image", "registry.example/other@sha256:" + strings.Repeat("5f", 32), "--admission-runtime"},
		{"clusterservingruntime/" + first + "args", []any{inS3}, "every namespace"},
		{pod + "spec.initContainers.0.args.0", another, "no release of lab/net@2"},
		{pod + "spec.initContainers.0.args.0", "https://example.invalid/model.tar", "example.invalid"},
		{pod + first + "image", "registry.example/other:1", "has no digest"},
		{pod + first + "image", "kserve.example.invalid/sklearnserver:1", "has no digest"},
		{pod + first + "image", "istio/proxyv2-evil:1", "has no digest"},
		{pod + first + "args", []any{"--model_name=x", "--model_dir=s3://models/net/2"}, "no release of lab/net@2"},
		{pod + first + "lifecycle", map[string]any{"postStart": map[string]any{"exec": map[string]any{"command": []any{"aws", "s3", "cp", another, "/mnt"}}}}, "no release of lab/net@2"},
		{pod + "spec.ephemeralContainers", []any{map[string]any{"name": "debug", "image": "docker.io/library/busybox"}}, "has no digest"},
		{pod + "spec.volumes.0", map[string]any{"name": "kserve-provision-location", "persistentVolumeClaim": map[string]any{"claimName": "m"}}, "others can have written"},
		{pod + "spec.volumes.0", map[string]any{"name": "kserve-provision-location", "hostPath": map[string]any{"path": "/m"}}, "others can have written"},
		{pod + "spec.volumes.0", map[string]any{"name": "kserve-provision-location", "later": map[string]any{}}, "others can have written"},
		{pod + "spec.volumes.0", map[string]any{"name": "kserve-provision-location", "image": map[string]any{"reference": "registry.example/lab/seer:latest"}}, "by its digest"},
		{pod + "metadata.annotations.internal~serving~kserve~io/storage-initializer-sourceuri", "https://example.invalid/m", "example.invalid"},
		{"statefulset/spec.volumeClaimTemplates", []any{map[string]any{"metadata": map[string]any{"name": "m"}}}, "others can have written"},
		{"job/spec.template.spec.initContainers.0.args.0", another, "no release of lab/net@2"},
		{"cronjob/spec.jobTemplate.spec.template.spec.initContainers.0.args.0", another, "no release of lab/net@2"},
		{"podtemplate/template.spec.initContainers.0.args.0", another, "no release of lab/net@2"},
		{"pod/apiVersion", "v2", "version v2 of the kind Pod"},
		{"pod/kind", "Sandbox", "Sandbox are not known here"},
		{"pod/spec", []any{}, "no object"},
	})
}

// change is one member of an object, and what is said of it.
type change struct {
	where string // FILE/PATH
	value any
	says  string
}

// around makes each change to an object whose models stand; all are refused.
func (c *gated) around(t *testing.T, cases []change) {
	t.Helper()
	for _, row := range cases {
		file, path, _ := strings.Cut(row.where, "/")
		if row.value == "SEER" {
			row.value = c.seer.ID
		}
		got := c.asks(c.gate, asked{object: altered(t, object(t, file), path, row.value), namespace: map[bool]string{true: "", false: "clinic"}[file == "clusterservingruntime"]})
		c.no(row.where, got, row.says)
	}
}

// TestAdmissionReadsTextsToTheirEnd says the model that stands and more, or another
// one in a way of which a server or a shell makes that.
func TestAdmissionReadsTextsToTheirEnd(t *testing.T) {
	const first, pod = "spec.containers.0.", "deployment/spec.template."
	newGated(t).around(t, []change{
		{pod + "spec.initContainers.0.args.0", inS3 + " copy", "s3://models/net/1 copy"},
		{pod + "spec.initContainers.0.args.0", inS3 + ",2", "s3://models/net/1,2"},
		{pod + "spec.initContainers.0.args.0", inS3 + "}/2", "s3://models/net/1}/2"},
		{pod + "spec.initContainers.0.args.0", inS3 + `"2`, "no model is known by it"},
		{pod + "spec.initContainers.0.args.0", "--from=" + inS3 + " copy", "s3://models/net/1 copy"},
		{pod + "spec.initContainers.0.args.0", "oss://models/net/1", "oss://models/net/1"},
		{pod + "spec.initContainers.0.args.0", "sftp://example.invalid/m", "example.invalid"},
		{pod + "spec.initContainers.0.env", []any{map[string]any{"name": "AWS_ENDPOINT_URL_S3", "value": "https://store.example.invalid"}}, "where locations lead"},
		{pod + "spec.initContainers.0.env", []any{map[string]any{"name": "STORAGE_CONFIG", "valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": "s", "key": "k"}}}}, "where locations lead"},
		{pod + "spec.initContainers.0.env", []any{map[string]any{"name": "MODEL_ID", "value": "acme/other"}}, "acme/other"},
		{pod + "spec.initContainers.0.envFrom", []any{map[string]any{"secretRef": map[string]any{"name": "s"}}}, "not seen here"},
		{pod + "spec.hostAliases", []any{map[string]any{"ip": "203.0.113.7", "hostnames": []any{"s3.amazonaws.com"}}}, "where the names of hosts lead"},
		{pod + "spec.dnsConfig", map[string]any{"nameservers": []any{"203.0.113.7"}}, "where the names of hosts lead"},
		{pod + first + "command", []any{"sh", "-c", `fetch "s3://models/net/1"copy /m`}, "no model is known by it"},
		{pod + first + "command", []any{"sh", "-c", `fetch "s3://models/net/1"'copy' /m`}, "no model is known by it"},
		{pod + first + "command", []any{"sh", "-c", `fetch s3://models/net/1; fetch s3://models/net/2`}, "no model is known by it"},
		{pod + first + "args", []any{`{"from": "s3://models/net/1", "and": ["s3://models/net/2"]}`}, "no release of lab/net@2"},
		{pod + first + "args", []any{"--lora-modules", "a=/mnt/models/a", "b=acme/other"}, "acme/other"},
		{pod + first + "args", []any{"vllm", "serve", "--port", "80", "acme/other"}, "acme/other"},
		{pod + first + "args", []any{"-hf", "acme/other:Q4_K_M"}, "acme/other"},
		{pod + first + "args", []any{"-m", "acme/other"}, "acme/other"},
		{pod + first + "args", []any{"--speculative-config", `{"method": "eagle", "model": "acme/other"}`}, "acme/other"},
		{pod + first + "env", []any{map[string]any{"name": "MODEL_URL", "value": "https://example.invalid/m?as=/m"}}, "example.invalid"},
		{pod + first + "env", []any{map[string]any{"name": "MODEL_NAME", "value": "acme/other"}}, "acme/other"},
	})
}

// TestAdmissionReadsWhatIsWritten gives texts that name nothing but the model that
// stands, however they are quoted, and settings that choose none.
func TestAdmissionReadsWhatIsWritten(t *testing.T) {
	c := newGated(t)
	const first = "spec.template.spec.containers.0."
	for what, change := range map[string][]any{
		"a shell's words":               {first + "command", []any{"sh", "-c", `fetch s3://models/net/1 /m && fetch "s3://models/net/1"; fetch 's3://models/net/1/' | tar x`}},
		"quotation marks in others":     {first + "command", []any{"sh", "-c", `fetch "'s3://models/net/1'" && python -c "load('s3://models/net/1')"`}},
		"JSON":                          {first + "args", []any{`--config={"source": "s3://models/net/1", "mirrors": ["s3://models/net/1"]}`, "--extra", `[{"uri":"s3://models/net/1"}]`}},
		"a module":                      {first + "command", []any{"python", "-m", "app.serve"}},
		"a local model":                 {first + "command", []any{"vllm", "serve", "/mnt/models", "--served-model-name", "acme/other"}},
		"flags first":                   {first + "command", []any{"vllm", "serve", "--served-model-name", "acme/other", "--port", "80"}},
		"local adapters":                {first + "args", []any{"--lora-modules", "a=/mnt/models/a", "b=/mnt/models/b", "--port", "80"}},
		"a name":                        {first + "env", []any{map[string]any{"name": "MODEL_NAME", "value": "triage"}, map[string]any{"name": "SERVED_MODEL_NAME", "value": "acme/triage"}}},
		"the search path of host names": {"spec.template.spec.dnsConfig", map[string]any{"options": []any{map[string]any{"name": "ndots", "value": "1"}}}},
	} {
		c.yes(what, c.asks(c.gate, asked{object: altered(t, object(t, "deployment"), change...)}))
	}
}

// TestAdmissionOfMountedSettings mounts a config map beside the model and over it.
func TestAdmissionOfMountedSettings(t *testing.T) {
	c := newGated(t)
	const pod, first = "spec.template.spec.", "spec.template.spec.containers.0."
	volumes := map[string]map[string]any{
		"a config map": {"configMap": map[string]any{"name": "m"}}, "a secret": {"secret": map[string]any{"secretName": "m"}},
		"both": {"projected": map[string]any{"sources": []any{map[string]any{"secret": map[string]any{"name": "m"}}}}},
	}
	ask := func(volume map[string]any, at string, further ...any) admitted {
		d := object(t, "deployment")
		list := within(d, pod+"volumes").([]any)
		one := map[string]any{"name": "settings"}
		for member, v := range volume {
			one[member] = v
		}
		altered(t, d, append([]any{pod + "volumes", append(list, one), first + "volumeMounts", []any{map[string]any{"name": "settings", "mountPath": at}}}, further...)...)
		return c.asks(c.gate, asked{object: d})
	}
	for what, volume := range volumes {
		c.yes(what+" beside the model", ask(volume, "/etc/app"))
		c.no(what+" over it", ask(volume, "/mnt/models/model.json"), "where the model is")
		c.no(what+" where a flag points to", ask(volume, "/opt/../srv", first+"args", []any{"--model_dir=/srv/net"}), "where the model is")
		c.no(what+" where a variable points to", ask(volume, "/srv/net/x", first+"env", []any{map[string]any{"name": "MODEL_PATH", "value": "/srv/net"}}), "where the model is")
	}
	given := map[string]any{"projected": map[string]any{"sources": []any{map[string]any{"configMap": map[string]any{"name": "kube-root-ca.crt"}}, map[string]any{"serviceAccountToken": map[string]any{}}}}}
	c.yes("what every pod is given", ask(given, "/mnt/models/x"))
}
