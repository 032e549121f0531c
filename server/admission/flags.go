package admission

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	// modelVariable matches the names of variables that say which model is served.
	modelVariable = regexp.MustCompile(`(?i)^(?:.*_)?(?:STORAGE_URI|(?:HF_)?MODELS?|(?:MODELS?|LORA|ADAPTERS?|HF|NIM)_(?:.*_)?(?:URI|URL|ID|PATH|DIR|REPO|REPOSITORY|STORE|MODULES|NAME_OR_PATH)S?)$`)
	// redirecting matches those that say where a location leads.
	redirecting = regexp.MustCompile(`(?i)^(?:(?:AWS|S3|GCS|GS|HF|AZURE|MINIO|MODELSCOPE)_(?:.*_)?(?:ENDPOINT|DOMAIN)(?:_.*)?|STORAGE_EMULATOR_HOST|STORAGE_(?:OVERRIDE_)?CONFIG|AWS_CONFIG_FILE|HTTPS?_PROXY|ALL_PROXY)$`)
	// modelFlag matches the names of arguments that say which model is served,
	// severalFlag those that take more than one.
	modelFlag   = regexp.MustCompile(`(?i)^--?(?:model|hff?|hf[rdv]|hfr[dv]|hff[v]|mu|md|mv|dr|storage_uri|hf_(?:repo|file)(?:_.*)?|docker_repo|mmproj(?:_url)?|draft_model|model_draft|(?:.*_)?speculative_(?:draft_)?model(?:_path)?|speculator|(?:model|lora|adapter)_(?:.*_)?(?:id|uri|url|path|dir|repo|repository|store|file|name_or_path)|` + several + `)$`)
	severalFlag = regexp.MustCompile(`(?i)^--?(?:` + several + `)$`)
	// namesModel matches variables that say it where their value is a repository.
	namesModel = regexp.MustCompile(`(?i)^(?:.*_)?MODEL_(?:NAME|TAG)$`)
	// repository is the name of a repository of models, as hubs have them.
	repository = regexp.MustCompile(`^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(?:[:@].*)?$`)
)

const several = `models|loras?|lora_(?:modules|paths|adapters|scaled)|adapters?|control_vectors?(?:_scaled)?`

func (w walker) variable(path string, v any, in within) {
	object, _ := v.(map[string]any)
	name, _ := object["name"].(string)
	value, _ := object["value"].(string)
	switch {
	case in.helper:
	case redirecting.MatchString(name):
		w.loose = append(w.loose, named{path, fmt.Sprintf("says with %s where locations lead", name)})
	case !modelVariable.MatchString(name) && (!namesModel.MatchString(name) || !repository.MatchString(value) || strings.Contains(strings.ToUpper(name), "SERVED")):
	case object["valueFrom"] != nil:
		w.unseen = append(w.unseen, named{path, fmt.Sprintf("takes %s from what is not seen here; write its value", name)})
	default:
		w.model(path, value)
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
			if inner, ok := structured(text); ok {
				w.configured(fmt.Sprintf("%s.%s[%d]", path, member, i), inner)
			}
			for word := range strings.FieldsSeq(text) {
				words = append(words, named{fmt.Sprintf("%s.%s[%d]", path, member, i), strings.Trim(word, `"'`)})
			}
		}
	}
	positional := false
	for i, word := range words {
		flag, value, joined := strings.Cut(word.text, "=")
		values := words[i+1:]
		if joined {
			values = append([]named{{word.path, value}}, values...)
		}
		switch flag = dashed(flag); {
		case flag == "serve" && !joined && !positional:
			positional = w.positional(values)
		case flag == "-m" && len(values) > 0 && !strings.Contains(values[0].text, "/"):
			// A module of Python.
		case severalFlag.MatchString(flag):
			w.until(values)
		case modelFlag.MatchString(flag) || flag == "-m":
			w.until(values[:min(1, len(values))])
		}
	}
}

// until takes the values of a flag, up to the next one or the end of a command.
func (w walker) until(values []named) {
	for i, v := range values {
		if i > 0 && (strings.HasPrefix(v.text, "-") || strings.ContainsAny(v.text[:min(1, len(v.text))], "&|;<>")) {
			return
		}
		w.model(v.path, v.text)
	}
}

// model takes what names a model: a location, or a path in the container, whose
// bytes come from what is mounted there.
func (w walker) model(path, value string) {
	if !local(value) {
		w.location(path, value)
	} else if at := value[len(adapter.FindString(value)):]; at != "" && w.takes(path) {
		w.places = append(w.places, at)
	}
}

// configured looks into an argument that is an object in JSON.
func (w walker) configured(path string, v any) {
	switch v := v.(type) {
	case []any:
		for _, each := range v {
			w.configured(path, each)
		}
	case map[string]any:
		for _, name := range sorted(v) {
			if text, ok := v[name].(string); ok && modelVariable.MatchString(name) {
				w.model(path, text)
			}
			w.configured(path, v[name])
		}
	}
}

// positional takes what follows a command that serves the model it names: the next
// word, or where flags come first, whatever can be a repository among all that
// follows, which it reports.
func (w walker) positional(values []named) (all bool) {
	if len(values) > 0 && !strings.HasPrefix(values[0].text, "-") {
		w.model(values[0].path, values[0].text)
		return false
	}
	for i, v := range values {
		if repository.MatchString(v.text) && dashed(values[i-1].text) != "--served_model_name" {
			w.location(v.path, v.text)
		}
	}
	return true
}

// dashed writes a flag with underscores within, as the expressions have it.
func dashed(flag string) string {
	name := strings.TrimLeft(flag, "-")
	return flag[:len(flag)-len(name)] + strings.ReplaceAll(name, "-", "_")
}

// adapter is the name that may stand before the place of one.
var adapter = regexp.MustCompile(`^[\w.-]+=`)

// local reports whether a value is a path in the container, whose bytes come from
// what is mounted there.
func local(value string) bool {
	value = value[len(adapter.FindString(value)):]
	return value == "" || strings.HasPrefix(value, "/") && !strings.HasPrefix(value, "//") || strings.HasPrefix(value, "./")
}
