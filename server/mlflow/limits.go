package mlflow

import (
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/record"
)

// The checks and sentences of mlflow/utils/validation.py, version 3.17.2.

func invalidValue(name, value, why string) error {
	// A Go string that is not UTF-8 is refused before this.
	quoted, _ := json.Marshal(value)
	return invalidf("Invalid value %s for parameter '%s' supplied: %s", quoted, name, why)
}

// normal is Python's posixpath.normpath.
func normal(p string) string {
	n := path.Clean(p)
	if strings.HasPrefix(p, "//") && !strings.HasPrefix(p, "///") {
		return "/" + n
	}
	return n
}

// notUnique reports whether a name would be another as a path.
func notUnique(name string) bool {
	n := normal(name)
	return n != name || n == "." || strings.HasPrefix(n, "..") || strings.HasPrefix(n, "/")
}

func badPath(name string) string {
	return "Names may be treated as files in certain cases, and must not resolve to other names when treated as such. This name would resolve to '" + normal(name) + "'"
}

func tooLong(name string, limit int) error {
	return invalidf("'%s' exceeds the maximum length of %d characters", name, limit)
}

func checkLength(name, value string, limit int) error {
	if !utf8.ValidString(value) {
		return invalidf("'%s' is not valid UTF-8", name)
	}
	if utf8.RuneCountInString(value) > limit {
		return tooLong(name, limit)
	}
	return nil
}

func checkName(name, field string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return invalidf("Missing value for required parameter '%s'.", field)
	case strings.ContainsAny(name, "/:"):
		return invalidf("Invalid model name '%s'. Names cannot contain '/' or ':'.", name)
	case notUnique(name):
		return invalidValue("name", name, badPath(name))
	}
	return checkLength("name", name, record.MaxRegisteredName)
}

// tagName has Python's \w, which is letters and digits of any script.
var tagName = regexp.MustCompile(`^[/\p{L}\p{N}_.\- :]*$`)

func checkTagName(key string) error {
	switch {
	case !tagName.MatchString(key):
		return invalidValue("key", key, "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/).")
	case notUnique(key):
		return invalidValue("key", key, badPath(key))
	}
	return checkLength("key", key, record.MaxRegisteredTag)
}

func checkTag(key, value string) error {
	if err := checkTagName(key); err != nil {
		return err
	}
	if key == "mlflow.prompt.text" && utf8.RuneCountInString(value) > record.MaxRegisteredValue {
		return invalidf("Prompt text exceeds max length of %d characters.", record.MaxRegisteredValue)
	}
	return checkLength("value", value, record.MaxRegisteredValue)
}

var (
	aliasName    = regexp.MustCompile(`^[\p{L}\p{N}_\-]*$`)
	aliasVersion = regexp.MustCompile(`^[vV][0-9]+$`)
)

func checkAlias(alias string) error {
	switch {
	case alias == "":
		return invalidf("Registered model alias name cannot be empty.")
	case !aliasName.MatchString(alias):
		return invalidf("Invalid alias name: '%s'. Names may only contain alphanumerics, underscores (_), and dashes (-).", alias)
	}
	return checkLength("Registered model alias name", alias, record.MaxRegisteredAlias)
}

func checkNewAlias(alias string) error {
	if err := checkAlias(alias); err != nil {
		return err
	}
	switch {
	case strings.EqualFold(alias, "latest"):
		return invalidf("'latest' alias name (case insensitive) is reserved.")
	case aliasVersion.MatchString(alias):
		return invalidf("Version alias name '%s' is reserved.", alias)
	}
	return nil
}

var stages = []string{record.StageNone, record.StageStaging, record.StageProduction, record.StageArchived}

// stageNamed returns a stage as MLflow spells it.
func stageNamed(s string) (string, error) {
	i := slices.IndexFunc(stages, func(known string) bool { return strings.EqualFold(known, s) })
	if i < 0 {
		return "", invalidf("Invalid Model Version stage: %s. Value must be one of %s.", s, strings.Join(stages, ", "))
	}
	return stages[i], nil
}

func checkDescription(s string) error { return checkLength("description", s, record.MaxRegisteredText) }

// checkSource refuses a source whose path is relative or could be read as
// another one, as _validate_non_local_source_contains_relative_paths does.
func checkSource(source string) error {
	if err := checkLength("source", source, record.MaxRegisteredURI); err != nil {
		return err
	}
	bad := invalidf("Invalid model version source: '%s'. If supplying a source as an http, https, local file path, ftp, objectstore, or mlflow-artifacts uri, an absolute path must be provided without relative path references present. Please provide an absolute path.", source)
	plain := source
	for {
		next, err := url.QueryUnescape(plain)
		if err != nil || next == plain {
			break
		}
		plain = next
	}
	if strings.ContainsFunc(plain, func(r rune) bool { return r < ' ' }) || slices.Contains(strings.Split(plain, "/"), "..") {
		return bad
	}
	_, rest, hasScheme := strings.Cut(plain, ":")
	if !hasScheme {
		return nil
	}
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		_, rest, _ = strings.Cut(after, "/")
		rest = "/" + rest
	}
	if !strings.HasPrefix(rest, "/") || slices.Contains(strings.Split(rest, "/"), ".") {
		return bad
	}
	return nil
}

// versionNumber reads a version, which is text that holds a number.
func versionNumber(s string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil {
		return 0, invalidf("Parameter 'version' must be an integer, got '%s'.", s)
	}
	return n, nil
}
