package mlflow

import (
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"

	"imprimatur.dev/registry"
)

// kind says what a request's path is to the front.
type kind int

const (
	through     kind = iota // the upstream's own
	ofRegistry              // answered by the registry here
	ofGraph                 // the page's queries, which ask for the registry too
	ofVersion               // a file of a registered version, by name and number
	ofProxy                 // bytes by their address at the artifact proxy
	ofRun                   // bytes by a run, or a list of them
	ofModel                 // bytes by a logged model
	plainHealth             // whether the upstream lives, for whoever asks
)

// families are the paths that are not simply passed on, as [registry.PlainPath]
// writes them. Before each may stand what MLflow's --static-prefix put there. The
// first that matches counts; of the registry's everything is taken, in any
// version of the API, so that a path which a later MLflow adds does not lead
// round it.
var families = []struct {
	kind    kind
	pattern *regexp.Regexp
}{
	{ofRegistry, regexp.MustCompile(`^(?:/.*)?/(?:ajax-)?api/[^/]+/mlflow/(?:registered-models|model-versions|webhooks)(?:/.*)?$`)},
	{ofProxy, regexp.MustCompile(`^(?:/.*)?/(?:ajax-)?api/[^/]+/mlflow-artifacts(?:/(?:artifacts|presigned|mpu/[^/]+)(?:/(?P<rest>.*))?|/.*)?$`)},
	{ofModel, regexp.MustCompile(`^(?:/.*)?/(?:ajax-)?api/[^/]+/mlflow/logged-models/(?P<rest>[^/]+)/artifacts(?:/.*)?$`)},
	{ofRun, regexp.MustCompile(`^(?:/.*)?/(?:ajax-)?api/[^/]+/mlflow/(?:artifacts(?:/.*)?|upload-artifact)$`)},
	{ofVersion, regexp.MustCompile(`^(?:/.*)?/model-versions/get-artifact$`)},
	{ofRun, regexp.MustCompile(`^(?:/.*)?/get-artifact$`)},
	{ofGraph, regexp.MustCompile(`^(?:/.*)?/graphql(?:/.*)?$`)},
	{plainHealth, regexp.MustCompile(`^/(?:health|version)$`)},
}

// forWorkloads are the paths that are passed on for a workload of an
// environment: what it needs to load a model that it was given, and to say how
// that fares. The bytes are gated one by one.
var forWorkloads = regexp.MustCompile(`^(?:/.*)?(?:/v1/traces|/(?:ajax-)?api/[^/]+/mlflow/(?:server-info|(?:runs|experiments|metrics|traces|logged-models)(?:/.*)?))$`)

// target is a request's path as the front reads it.
type target struct {
	kind kind
	path string // as [registry.PlainPath] writes it
	rest string // the path below the artifact proxy, or the logged model's ID
	// exact says that the path is written just so, and not in a way that the
	// upstream might read otherwise.
	exact bool
}

// targetOf reads a path as it was written on the wire.
func targetOf(escaped string) target {
	t := target{path: registry.PlainPath(escaped)}
	t.exact = exactly(escaped)
	for _, f := range families {
		found := f.pattern.FindStringSubmatch(t.path)
		if found == nil {
			continue
		}
		t.kind = f.kind
		// An operation in capitals, or behind an escape, is another path to the
		// upstream.
		t.exact = t.exact && (f.kind != ofRegistry || f.pattern.MatchString(escaped) && strings.EqualFold(escaped, t.path))
		if i := f.pattern.SubexpIndex("rest"); i > 0 {
			t.rest = found[i]
		}
		break
	}
	return t
}

// exactly reports whether a path on the wire can be read in one way only.
func exactly(escaped string) bool {
	once, err := url.PathUnescape(escaped)
	odd := func(r rune) bool { return r < ' ' || r == 0x7f || strings.ContainsRune(`%\;`, r) }
	return err == nil && path.Clean(once) == once && !strings.ContainsFunc(once, odd)
}

// teamOf cuts the address of a team off a path: "/t/lab/api/..." is "lab" and
// "/api/...".
func teamOf(escaped string) (team, rest string) {
	after, ok := strings.CutPrefix(escaped, "/t/")
	if !ok {
		return "", escaped
	}
	team, rest, _ = strings.Cut(after, "/")
	return team, "/" + rest
}

// changes reports whether a request to the artifact proxy writes or deletes.
func changes(r *http.Request, t target) bool {
	return r.Method != http.MethodGet && r.Method != http.MethodHead && !strings.HasSuffix(t.path, "/artifacts/presigned-download-url")
}
