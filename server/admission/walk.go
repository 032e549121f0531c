package admission

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// named is something that an object names, and the path of the member that does.
type named struct{ path, text string }

// found is what an object names that decides what runs.
type found struct {
	// locations say where a model is; images are those of containers that are no
	// helpers.
	locations, images []named
	// loose are other ways by which a model could come in, as sentences.
	loose []named
	// unseen are members that name a model by something that is not in the object.
	unseen []named
	// release and artifact are what the annotations claim.
	release, artifact string
}

// The annotations by which an object says what it runs.
const (
	releaseAnnotation  = "imprimatur.dev/release"
	artifactAnnotation = "imprimatur.dev/artifact"
)

// walker goes through an object. Every member of it is looked at, of whatever
// kind the object is, so that a way to name a model that a later version of a kind
// has is not passed over.
type walker struct {
	*found
	opts *Options
}

// within is what surrounds a member.
type within struct {
	// helper says that a container's image is a helper's.
	helper bool
	// first says that it is an init container, whose URLs are what it fetches.
	first bool
}

// walk finds what an object names.
func (o *Options) walk(s shape, object map[string]any) found {
	var f found
	w := walker{&f, o}
	for _, member := range sorted(object) {
		switch member {
		case "apiVersion", "kind", "status":
		default:
			w.member("", member, object[member], within{})
		}
	}
	claims, _ := at(object, s.annotated)["annotations"].(map[string]any)
	f.release, _ = claims[releaseAnnotation].(string)
	f.artifact, _ = claims[artifactAnnotation].(string)
	return f
}

func sorted(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

func (w walker) value(path string, v any, in within) {
	switch v := v.(type) {
	case string:
		w.text(path, v, in)
	case []any:
		for i, each := range v {
			w.value(path+"["+strconv.Itoa(i)+"]", each, in)
		}
	case map[string]any:
		image, runs := v["image"].(string)
		in.helper = runs && startsWithImage(image, w.opts.Helpers)
		if runs && !in.helper {
			w.images = append(w.images, named{path + ".image", image})
		}
		w.words(path, v, in)
		for _, member := range sorted(v) {
			w.member(path, member, v[member], in)
		}
	}
}

// member looks at a member whose name says what it is.
func (w walker) member(path, name string, v any, in within) {
	if path != "" {
		name = "." + name
	}
	path += name
	text, isText := v.(string)
	list, _ := v.([]any)
	object, isObject := v.(map[string]any)
	switch name = strings.TrimPrefix(name, "."); {
	case name == "metadata":
		w.annotations(path+".annotations", object["annotations"])
		return
	case name == "annotations" && isObject:
		w.annotations(path, v)
		return
	case isText && strings.HasSuffix(strings.ToLower(name), "uri"):
		w.location(path, text)
		return
	case name == "storage" && isObject:
		w.unseen = append(w.unseen, named{path, "names a place by a secret that is not seen here; use storageUri"})
	case name == "image" && isObject:
		if reference, ok := object["reference"].(string); ok {
			w.location(path+".reference", "oci://"+strings.TrimPrefix(reference, "oci://"))
		}
		return
	case name == "env":
		for i, each := range list {
			w.variable(fmt.Sprintf("%s[%d]", path, i), each, in)
		}
	case name == "envFrom" && len(list) > 0 && !in.helper:
		w.loose = append(w.loose, named{path, "takes variables that are not seen here"})
	case name == "volumes":
		for i, each := range list {
			w.volume(fmt.Sprintf("%s[%d]", path, i), each)
		}
	case name == "volumeClaimTemplates" && len(list) > 0:
		w.loose = append(w.loose, named{path, "mounts what others can have written"})
	case name == "initContainers":
		in.first = true
	}
	w.value(path, v, in)
}

func (w walker) location(path, text string) {
	if text == "" || slices.ContainsFunc(w.opts.NotModels, func(p string) bool { return p != "" && strings.HasPrefix(text, p) }) ||
		slices.ContainsFunc(w.locations, func(n named) bool { return n.text == text }) {
		return
	}
	w.locations = append(w.locations, named{path, text})
}

func (w walker) annotations(path string, v any) {
	all, _ := v.(map[string]any)
	for _, name := range sorted(all) {
		text, _ := all[name].(string)
		switch {
		case name == "kubectl.kubernetes.io/last-applied-configuration" || name == releaseAnnotation || name == artifactAnnotation:
		case strings.HasSuffix(name, "-sourceuri"):
			w.location(path+"."+name, text)
		default:
			w.text(path+"."+name, text, within{})
		}
	}
}

// uri matches what can only be where a model or its data is; with web also what
// an init container fetches.
var (
	uri = regexp.MustCompile(`(?i)\b(?:(?:s3|s3a|gs|hf|oci|pvc|abfss?|wasbs?|az|hdfs|webhdfs|modelscope|ngc|dbfs|mlflow)://|(?:models|runs|mlflow-artifacts):/)[^\s"'` + "`" + `,;|)}<>\\]*`)
	web = regexp.MustCompile(`(?i)\bhttps?://[^\s"'` + "`" + `,;|)}<>\\]*`)
)

func (w walker) text(path, text string, in within) {
	for _, found := range uri.FindAllString(text, -1) {
		w.location(path, found)
	}
	if in.first {
		for _, found := range web.FindAllString(text, -1) {
			w.location(path, found)
		}
	}
}

// carries are the volumes that bring in nothing which somebody else has written,
// but for small settings; an image is looked at by its reference.
var carries = []string{"name", "emptyDir", "configMap", "secret", "downwardAPI", "projected", "image"}

func (w walker) volume(path string, v any) {
	object, _ := v.(map[string]any)
	for _, member := range sorted(object) {
		if !slices.Contains(carries, member) {
			w.loose = append(w.loose, named{path + "." + member, "mounts what others can have written"})
		}
	}
}

var (
	// modelVariable matches the names of variables that say which model is served.
	modelVariable = regexp.MustCompile(`(?i)^(?:.*_)?(?:STORAGE_URI|(?:HF_)?MODELS?|(?:MODELS?|LORA|ADAPTERS?|HF|NIM)_(?:.*_)?(?:URI|URL|ID|PATH|DIR|REPO|REPOSITORY|STORE|MODULES|NAME_OR_PATH))$`)
	// redirecting matches those that say where a location leads.
	redirecting = regexp.MustCompile(`(?i)^(?:AWS_ENDPOINT_URL.*|S3_ENDPOINT.*|HF_ENDPOINT|STORAGE_EMULATOR_HOST|GCS_.*ENDPOINT.*|AZURE_STORAGE_.*ENDPOINT.*|HTTPS?_PROXY|ALL_PROXY)$`)
	// modelFlag matches the names of arguments that say which model is served.
	modelFlag = regexp.MustCompile(`(?i)^--?(?:model|models|hf_repo|hf_file|hfr|mu|storage_uri|lora|lora_modules|adapters?|draft_model|speculative_model|(?:model|lora|adapter)_(?:.*_)?(?:id|uri|url|path|dir|repo|repository|store|file|name_or_path))$`)
)

func (w walker) variable(path string, v any, in within) {
	object, _ := v.(map[string]any)
	name, _ := object["name"].(string)
	value, _ := object["value"].(string)
	switch {
	case in.helper:
	case redirecting.MatchString(name):
		w.loose = append(w.loose, named{path, fmt.Sprintf("says with %s where locations lead", name)})
	case !modelVariable.MatchString(name):
	case object["valueFrom"] != nil:
		w.unseen = append(w.unseen, named{path, fmt.Sprintf("takes %s from what is not seen here; write its value", name)})
	case !local(value):
		w.location(path, value)
	}
}

// words looks at the command and the arguments of a container for the flags by
// which servers of models are told what to serve.
func (w walker) words(path string, container map[string]any, in within) {
	if in.helper {
		return
	}
	var words []named
	for _, member := range []string{"command", "args"} {
		list, _ := container[member].([]any)
		for i, each := range list {
			text, _ := each.(string)
			for word := range strings.FieldsSeq(text) {
				words = append(words, named{fmt.Sprintf("%s.%s[%d]", path, member, i), strings.Trim(word, `"'`)})
			}
		}
	}
	for i, word := range words {
		flag, value, joined := strings.Cut(word.text, "=")
		if !joined && i+1 < len(words) {
			value = words[i+1].text
		}
		serve := flag == "serve" && !joined && !strings.HasPrefix(value, "-")
		if (modelFlag.MatchString(dashed(flag)) || serve) && !local(value) {
			w.location(word.path, value)
		}
	}
}

// dashed writes a flag with underscores within, as the expression has it.
func dashed(flag string) string {
	name := strings.TrimLeft(flag, "-")
	return flag[:len(flag)-len(name)] + strings.ReplaceAll(name, "-", "_")
}

// local reports whether a value is a path in the container, whose bytes come from
// what is mounted there. The name of an adapter may stand before it.
func local(value string) bool {
	if at := strings.LastIndexByte(value, '='); at >= 0 {
		value = value[at+1:]
	}
	return value == "" || strings.HasPrefix(value, "/") && !strings.HasPrefix(value, "//") || strings.HasPrefix(value, "./")
}
