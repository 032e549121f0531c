package kubernetes

import "strings"

// object is something of a cluster, as JSON.
type object = map[string]any

// The places of what a cluster keeps, in the namespace clinic.
const (
	pods         = "/api/v1/namespaces/clinic/pods"
	deployments  = "/apis/apps/v1/namespaces/clinic/deployments"
	inferences   = "/apis/serving.kserve.io/v1beta1/namespaces/clinic/inferenceservices"
	inferencesV1 = "/apis/serving.kserve.io/v1/namespaces/clinic/inferenceservices"
	llms         = "/apis/serving.kserve.io/v1alpha1/namespaces/clinic/llminferenceservices"
	runtimes     = "/apis/serving.kserve.io/v1alpha1/namespaces/clinic/servingruntimes"
	trained      = "/apis/serving.kserve.io/v1alpha1/namespaces/clinic/trainedmodels"
	everywhere   = "/apis/serving.kserve.io/v1alpha1/clusterservingruntimes"
)

// kinds of KServe: all that the webhook's rules name, in their real versions,
// and a later one of InferenceService, which the rules do not know.
var kserve = map[string][]string{
	"InferenceService": {"v1beta1", "v1"}, "LLMInferenceService": {"v1alpha1", "v1alpha2"}, "LLMInferenceServiceConfig": {"v1alpha1", "v1alpha2"},
	"TrainedModel": {"v1alpha1"}, "ServingRuntime": {"v1alpha1"}, "ClusterServingRuntime": {"v1alpha1"},
}

// definition is a CustomResourceDefinition that takes any spec.
func definition(kind string, versions []string) object {
	plural, scope := strings.ToLower(kind)+"s", "Namespaced"
	if strings.HasPrefix(kind, "Cluster") {
		scope = "Cluster"
	}
	var served []any
	for i, v := range versions {
		served = append(served, object{
			"name": v, "served": true, "storage": i == 0, "subresources": object{"status": object{}},
			"schema": object{"openAPIV3Schema": object{"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
		})
	}
	return object{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": object{"name": plural + ".serving.kserve.io"},
		"spec": object{"group": "serving.kserve.io", "scope": scope, "versions": served, "names": object{"kind": kind, "plural": plural, "singular": strings.ToLower(kind)}},
	}
}

// of is an object of a kind.
func of(apiVersion, kind, name string, spec any) object {
	return object{"apiVersion": apiVersion, "kind": kind, "metadata": object{"name": name}, "spec": spec}
}

// inference is an InferenceService of what a predictor says.
func inference(name string, predictor object) object {
	return of("serving.kserve.io/v1beta1", "InferenceService", name, object{"predictor": predictor})
}

func storage(uri string) object {
	return object{"model": object{"modelFormat": object{"name": "huggingface"}, "storageUri": uri}}
}

// container runs an image; pairs are further members.
func container(name, image string, pairs ...any) object {
	out := object{"name": name, "image": image}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i].(string)] = pairs[i+1]
	}
	return out
}

// served is the spec of a pod as KServe makes it: an init container fetches what
// is at a location, and a runtime serves it.
func served(location string, pairs ...any) object {
	mount := []any{object{"name": "models", "mountPath": "/mnt/models"}}
	out := object{
		"initContainers": []any{container("storage-initializer", "kserve/storage-initializer:v0.15.2", "args", []any{location, "/mnt/models"}, "volumeMounts", mount)},
		"containers":     []any{container("kserve-container", "kserve/huggingfaceserver:v0.15.2", "args", []any{"--model_name=triage", "--model_dir=/mnt/models"}, "volumeMounts", mount)},
		"volumes":        []any{object{"name": "models", "emptyDir": object{}}},
	}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i].(string)] = pairs[i+1]
	}
	return out
}

// workload is an object of each kind that has pods, with the place of its kind.
type workload struct {
	path   string
	object object
}

// workloads makes one of each kind that has pods of a spec.
func workloads(name string, spec object) []workload {
	labels := object{"app": name}
	template := object{"metadata": object{"labels": labels}, "spec": spec}
	selector := object{"matchLabels": labels}
	once := object{"metadata": object{"labels": labels}, "spec": with(spec, "restartPolicy", "Never")}
	return []workload{
		{pods, of("v1", "Pod", name, spec)},
		{deployments, of("apps/v1", "Deployment", name, object{"selector": selector, "template": template})},
		{"/apis/apps/v1/namespaces/clinic/statefulsets", of("apps/v1", "StatefulSet", name, object{"serviceName": name, "selector": selector, "template": template})},
		{"/apis/apps/v1/namespaces/clinic/daemonsets", of("apps/v1", "DaemonSet", name, object{"selector": selector, "template": template})},
		{"/apis/apps/v1/namespaces/clinic/replicasets", of("apps/v1", "ReplicaSet", name, object{"selector": selector, "template": template})},
		{"/api/v1/namespaces/clinic/replicationcontrollers", of("v1", "ReplicationController", name, object{"selector": labels, "template": template})},
		{"/api/v1/namespaces/clinic/podtemplates", object{"apiVersion": "v1", "kind": "PodTemplate", "metadata": object{"name": name}, "template": template}},
		{"/apis/batch/v1/namespaces/clinic/jobs", of("batch/v1", "Job", name, object{"template": once})},
		{"/apis/batch/v1/namespaces/clinic/cronjobs", of("batch/v1", "CronJob", name, object{"schedule": "0 0 * * *", "jobTemplate": object{"spec": object{"template": once}}})},
	}
}

// with is a copy of an object with further members.
func with(in object, pairs ...any) object {
	out := object{}
	for name, v := range in {
		out[name] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i].(string)] = pairs[i+1]
	}
	return out
}

// member follows a path of members.
func member(in object, path ...string) any {
	var v any = in
	for _, name := range path {
		in, _ := v.(object)
		v = in[name]
	}
	return v
}
