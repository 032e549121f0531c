package admission

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json"
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
	// places are the paths in containers at which models are looked for; settings are
	// the mounts of config maps and secrets.
	places   []string
	settings []named
	// count is how many of all these there were.
	count int
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
	// helper says that a container's image is a helper's, whose settings choose no
	// model; those of one that fetches may.
	helper bool
	// first says that it is an init container, whose URLs are what it fetches.
	first bool
	// settings are the names of the pod's volumes that hold config maps and secrets.
	settings []string
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
	for _, mount := range f.settings {
		if slices.ContainsFunc(f.places, func(p string) bool { return below(p, mount.text) || below(mount.text, p) }) || below(mount.text, "/mnt/models") {
			f.loose = append(f.loose, named{mount.path, "puts a config map or a secret where the model is"})
		}
	}
	claims, _ := at(object, s.annotated)["annotations"].(map[string]any)
	f.release, _ = claims[releaseAnnotation].(string)
	f.artifact, _ = claims[artifactAnnotation].(string)
	return f
}

// below reports whether a path is another one or lies in it.
func below(p, other string) bool { return strings.HasPrefix(path.Clean(p)+"/", path.Clean(other)+"/") }

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
		in.helper = in.helper && !in.first
		if volumes, ok := v["volumes"].([]any); ok {
			in.settings = settings(volumes)
		}
		w.mounts(path, v, in)
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
	case name == "hostAliases" && len(list) > 0 || name == "nameservers" && len(list) > 0:
		w.loose = append(w.loose, named{path, "says where the names of hosts lead"})
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
	if w.takes(path) {
		w.locations = append(w.locations, named{path, text})
	}
}

// maxNamed bounds what is looked at of one object, so that none keeps the gate busy.
const maxNamed = 2000

// takes reports whether one more can be taken; an object that says too much is refused.
func (w walker) takes(path string) bool {
	if w.count++; w.count == maxNamed+1 {
		w.unseen = append(w.unseen, named{path, fmt.Sprintf("is one of more than %d models, places and mounts that the object names; make several of it", maxNamed)})
	}
	return w.count <= maxNamed
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

// uri matches how what can only be where a model or its data is begins; web also
// what an init container fetches.
var (
	uri = regexp.MustCompile(`(?i)\b(?:(?:s3|s3a|s3n|gs|hf|oci|pvc|abfss?|wasbs?|az|adl|hdfs|webhdfs|oss|cos|obs|tos|swift|minio|modelscope|ngc|dbfs|mlflow|ollama)://|(?:models|runs|mlflow-artifacts):/)`)
	web = regexp.MustCompile(`(?i)\b(?:https?|ftps?|sftp|file|git(?:\+[a-z]+)?)://`)
)

// text looks for locations. A text that begins with one, or with a flag and then one,
// is nothing else: the name of an object in a store may have any character.
func (w walker) text(path, text string, in within) {
	kinds := []*regexp.Regexp{uri}
	if in.first {
		kinds = append(kinds, web)
	}
	if !strings.Contains(text, ":/") {
		return
	}
	if inner, ok := structured(text); ok {
		w.inner(path, inner, in)
		return
	}
	text = strings.TrimSpace(text)
	flag := len(flagged.FindString(text))
	for _, kind := range kinds {
		end := 0
		for _, at := range kind.FindAllStringIndex(text, -1) {
			if at[0] < end {
				continue // it is within the one before
			}
			found := text[at[0]:]
			if at[0] > 0 && at[0] != flag {
				found = word(text[:at[0]], found)
			}
			w.location(path, found)
			end = at[0] + len(found)
		}
	}
}

// flagged matches what stands before the value of a flag in one argument.
var flagged = regexp.MustCompile(`^-[\w.-]*=`)

// structured reads a text that is an object or a list in JSON.
func structured(text string) (v any, ok bool) {
	text = strings.TrimSpace(text[len(flagged.FindString(text)):])
	if !strings.HasPrefix(text, "{") && !strings.HasPrefix(text, "[") {
		return nil, false
	}
	return v, json.Unmarshal([]byte(text), &v) == nil
}

// inner looks at every text in a value of JSON.
func (w walker) inner(path string, v any, in within) {
	switch v := v.(type) {
	case string:
		w.text(path, v, in)
	case []any:
		for _, each := range v {
			w.inner(path, each, in)
		}
	case map[string]any:
		for _, member := range sorted(v) {
			w.text(path, member, in)
			w.inner(path, v[member], in)
		}
	}
}

// word is the location with which the rest of a text begins that does not begin
// with it: the rest of the word, or, where quotation marks stand before it, what is
// within them, unless a shell would join it with what follows.
func word(before, rest string) string {
	if end := strings.IndexFunc(rest, unicode.IsSpace); end >= 0 {
		rest = rest[:end]
	}
	marks := []byte(before[len(strings.TrimRight(before, "\"'`")):])
	if len(marks) == 0 {
		return rest
	}
	slices.Reverse(marks)
	if within, after, closed := strings.Cut(rest, string(marks)); closed && (after == "" || strings.ContainsAny(after[:1], ";|&)<>")) {
		return within
	}
	return rest
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

// settings are the names of those volumes that hold config maps and secrets, but
// for what every pod is given.
func settings(volumes []any) (names []string) {
	for _, each := range volumes {
		volume, _ := each.(map[string]any)
		name, _ := volume["name"].(string)
		sources, _ := at(volume, "projected")["sources"].([]any)
		for _, source := range append(sources, volume) {
			from, _ := source.(map[string]any)
			if at(from, "configMap")["name"] == "kube-root-ca.crt" {
				continue
			}
			if from["configMap"] != nil || from["secret"] != nil {
				names = append(names, name)
				break
			}
		}
	}
	return names
}

func (w walker) mounts(path string, container map[string]any, in within) {
	list, _ := container["volumeMounts"].([]any)
	for i, each := range list {
		mount, _ := each.(map[string]any)
		name, _ := mount["name"].(string)
		at, _ := mount["mountPath"].(string)
		if !in.helper && slices.Contains(in.settings, name) && w.takes(path) {
			w.found.settings = append(w.found.settings, named{fmt.Sprintf("%s.volumeMounts[%d]", path, i), at})
		}
	}
}
