package admission

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// shape is a kind of object that can be read.
type shape struct {
	versions []string
	// annotated is the path of the metadata that the pods get.
	annotated string
	// serves says that an object of the kind always serves a model, and template
	// that it serves none by itself.
	serves, template bool
	// cluster says that it belongs to no namespace.
	cluster bool
	// needs is a member without which another object says what is served.
	needs string
	// spec are the members that its spec may have; nil is any.
	spec []string
}

var (
	inference = []string{"predictor", "transformer", "explainer"}
	llm       = []string{
		"model", "runtime", "trustRemoteCode", "storageInitializer", "replicas", "scaling", "parallelism", "labels", "annotations",
		"template", "worker", "rolloutStrategy", "router", "prefill", "tracing", "baseRefs",
	}
	v1         = []string{"v1"}
	v1alpha1   = []string{"v1alpha1"}
	alpha      = []string{"v1alpha1", "v1alpha2"}
	ofTemplate = "spec.template.metadata"
)

// shapes are the kinds that can be read, by "group/Kind".
var shapes = map[string]shape{
	"/Pod":                   {versions: v1, annotated: "metadata"},
	"/PodTemplate":           {versions: v1, annotated: "template.metadata"},
	"/ReplicationController": {versions: v1, annotated: ofTemplate},
	"apps/Deployment":        {versions: v1, annotated: ofTemplate},
	"apps/StatefulSet":       {versions: v1, annotated: ofTemplate},
	"apps/DaemonSet":         {versions: v1, annotated: ofTemplate},
	"apps/ReplicaSet":        {versions: v1, annotated: ofTemplate},
	"batch/Job":              {versions: v1, annotated: ofTemplate},
	"batch/CronJob":          {versions: v1, annotated: "spec.jobTemplate.spec.template.metadata"},

	"serving.kserve.io/InferenceService":          {versions: []string{"v1beta1"}, annotated: "metadata", serves: true, spec: inference},
	"serving.kserve.io/LLMInferenceService":       {versions: alpha, annotated: "metadata", serves: true, needs: "spec.model.uri", spec: llm},
	"serving.kserve.io/LLMInferenceServiceConfig": {versions: alpha, annotated: "metadata", template: true, spec: llm},
	"serving.kserve.io/TrainedModel":              {versions: v1alpha1, annotated: "metadata", serves: true, spec: []string{"inferenceService", "model"}},
	"serving.kserve.io/ServingRuntime":            {versions: v1alpha1, annotated: "metadata", template: true},
	"serving.kserve.io/ClusterServingRuntime":     {versions: v1alpha1, annotated: "metadata", template: true, cluster: true},
}

// shapeOf finds the shape of an object, or says why it cannot be read.
func shapeOf(k groupKind, object map[string]any) (shape, error) {
	s, ok := shapes[k.Group+"/"+k.Kind]
	if !ok {
		return s, fmt.Errorf("objects of the kind %s are not known here; take the kind out of the webhook's rules, or exempt the namespace", k)
	}
	if !slices.Contains(s.versions, k.Version) {
		return s, fmt.Errorf("version %s of the kind %s is not known here, only %s", k.Version, k, strings.Join(s.versions, ", "))
	}
	version := k.Version
	if k.Group != "" {
		version = k.Group + "/" + version
	}
	if object["apiVersion"] != version || object["kind"] != k.Kind {
		return s, fmt.Errorf("the request is about a %s %s and its object is another", version, k.Kind)
	}
	spec, isObject := object["spec"].(map[string]any)
	if !isObject && object["spec"] != nil {
		return s, fmt.Errorf("the spec of the %s is no object", k.Kind)
	}
	if s.needs != "" {
		path, member := s.needs[:strings.LastIndexByte(s.needs, '.')], s.needs[strings.LastIndexByte(s.needs, '.')+1:]
		if text, _ := at(object, path)[member].(string); text == "" {
			return s, fmt.Errorf("%s is missing, so that another object says which model the %s serves; write it", s.needs, k.Kind)
		}
	}
	if s.spec != nil {
		for _, member := range slices.Sorted(maps.Keys(spec)) {
			if !slices.Contains(s.spec, member) {
				return s, fmt.Errorf("spec.%s of the kind %s is not known here", member, k)
			}
		}
	}
	return s, nil
}

// at follows a path of members.
func at(object map[string]any, path string) map[string]any {
	for member := range strings.SplitSeq(path, ".") {
		object, _ = object[member].(map[string]any)
	}
	return object
}
