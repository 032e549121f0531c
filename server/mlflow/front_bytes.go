package mlflow

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/registry"
)

// gateBytes refuses bytes of registered versions to whom the registry would not
// give the version, and to everybody's writing. A workload of an environment gets
// no others, and only by paths that cannot be read in two ways.
func (f *Front) gateBytes(r *http.Request, who registry.Caller, t target) error {
	place, err := placeAsked(r, t)
	if err != nil {
		return err
	}
	if f.reg.InEnvironment(who) && !t.exact {
		return &fault{permissionDenied, "the path " + r.URL.EscapedPath() + " can be read in more than one way; " + who.Name + " runs in production and must write it plainly"}
	}
	if !changes(r, t) {
		return f.reg.HandOutBytes(r.Context(), who, place)
	}
	if r.Method == http.MethodDelete && !strings.Contains(place, "/artifacts") {
		return &fault{permissionDenied, "a folder that holds the artifacts of many runs is not deleted from here; delete one run's artifacts"}
	}
	return f.reg.KeepBytes(place)
}

// placeAsked returns the place of the bytes that a request is about.
func placeAsked(r *http.Request, t target) (string, error) {
	query := r.URL.Query()
	switch t.kind {
	case ofProxy:
		if t.rest == "" {
			return registry.PlaceOf("mlflow-artifacts:/" + query.Get("path")), nil
		}
		return registry.PlaceOf("mlflow-artifacts:/" + t.rest), nil
	case ofModel:
		return registry.PlaceOf("models:/" + t.rest + "/" + query.Get("artifact_file_path") + query.Get("artifact_directory_path")), nil
	}
	if r.Method == http.MethodPost && !strings.HasSuffix(t.path, "/upload-artifact") {
		asked, err := bodyOf(r)
		if err != nil {
			return "", err
		}
		query = asked
	}
	// MLflow takes any of these, and a request that gives two would be read as
	// one here and as the other there.
	var runs []string
	for _, name := range []string{"run_id", "run_uuid", "runId", "runUuid"} {
		runs = append(runs, query[name]...)
	}
	slices.Sort(runs)
	if runs = slices.Compact(runs); len(runs) != 1 || len(query["path"]) > 1 {
		return "", invalidf("the request names %d runs and %d paths; name one run as run_id, and one path", len(runs), len(query["path"]))
	}
	return registry.PlaceOf("runs:/" + runs[0] + "/" + query.Get("path")), nil
}

// bodyOf reads the members of a request's body that are text, and leaves the body
// to be read again.
func bodyOf(r *http.Request) (url.Values, error) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return nil, &fault{badRequest, "the request's body cannot be read"}
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(raw, &members); err != nil {
		return nil, notJSON(err)
	}
	out := url.Values{}
	for name, v := range members {
		var text string
		if json.Unmarshal(v, &text) == nil {
			out.Set(name, text)
		}
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
	return out, nil
}

// serveVersion sends a file of a registered version, which the page asks for by
// name and number, from where the version's bytes are.
func (f *Front) serveVersion(w http.ResponseWriter, r *http.Request, who registry.Caller, team string) error {
	query := r.URL.Query()
	number, err := strconv.Atoi(query.Get("version"))
	if err != nil {
		return invalidf("Parameter 'version' must be an integer, got '%s'", query.Get("version"))
	}
	if who.Name == "" {
		// The refusal of a token that is none asks the browser to sign in.
		if who, err = f.reg.Authenticate(r.Context(), credential(r)); err != nil {
			return err
		}
	}
	if team, err = f.reg.RegistrationTeam(r.Context(), who, team, f.team); err != nil {
		return err
	}
	_, v, err := f.reg.HandOut(r.Context(), who, team, query.Get("name"), number)
	if err != nil {
		return err
	}
	file := query.Get("path")
	if file == "" || path.Clean("/"+file) != "/"+file || strings.ContainsAny(file, "%\\") {
		return invalidf("Invalid path: %s", file)
	}
	location := v.Location
	if location == "" {
		location = v.Source
	}
	u, err := url.Parse(location)
	asked := url.Values{}
	var at string
	switch id := strings.TrimPrefix(location, "models:/"); {
	case err == nil && u.Scheme == "mlflow-artifacts":
		at = "/api/2.0/mlflow-artifacts/artifacts" + path.Join("/", u.EscapedPath(), (&url.URL{Path: file}).EscapedPath())
	case id != location && strings.HasPrefix(id, "m-") && !strings.Contains(id, "/"):
		at = "/ajax-api/2.0/mlflow/logged-models/" + url.PathEscape(id) + "/artifacts/files"
		asked.Set("artifact_file_path", file)
	default:
		return &fault{endpointNotFound, "the bytes of this version are at " + location + ", and not at the MLflow server; read them there"}
	}
	if r, err = pathTo(r, at); err != nil {
		return err
	}
	r.URL.RawQuery = asked.Encode()
	f.forward(w, r, f.answered)
	return nil
}
