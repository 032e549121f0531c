package mlflow

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/registry"
	"imprimatur.dev/server/router"
	"imprimatur.dev/wire"
)

// Options are what may differ between installations.
type Options struct {
	// Team is whose registry it is for callers who act for several teams or for
	// all; empty is nobody's.
	Team string
	// Log takes what goes wrong; nil is slog's default.
	Log *slog.Logger
	// URL is where people reach the installation, for the links in refusals;
	// empty is where the request came to.
	URL string
}

// face is the protocol over one registry.
type face struct {
	reg    *registry.Registry
	team   string
	log    *slog.Logger
	url    string
	routes map[string]operation // by method, a space and the path
}

// operation answers one call.
type operation func(*call) (any, error)

// route is one row of the table.
type route struct {
	method string
	path   string // after /mlflow
	answer operation
}

// routes are the operations of the protocol, in the order of its definition.
var routes = []route{
	{http.MethodPost, "/registered-models/create", createModel},
	{http.MethodPost, "/registered-models/rename", renameModel},
	{http.MethodPatch, "/registered-models/update", updateModel},
	{http.MethodDelete, "/registered-models/delete", deleteModel},
	{http.MethodGet, "/registered-models/get", getModel},
	{http.MethodGet, "/registered-models/search", searchModels},
	{http.MethodPost, "/registered-models/get-latest-versions", latestVersions},
	{http.MethodGet, "/registered-models/get-latest-versions", latestVersions},
	{http.MethodPost, "/model-versions/create", createVersion},
	{http.MethodPatch, "/model-versions/update", updateVersion},
	{http.MethodPost, "/model-versions/transition-stage", moveStage},
	{http.MethodDelete, "/model-versions/delete", deleteVersion},
	{http.MethodGet, "/model-versions/get", getVersion},
	{http.MethodGet, "/model-versions/search", searchVersions},
	{http.MethodGet, "/model-versions/get-download-uri", downloadURI},
	{http.MethodPost, "/registered-models/set-tag", setModelTag},
	{http.MethodPost, "/model-versions/set-tag", setVersionTag},
	{http.MethodDelete, "/registered-models/delete-tag", deleteModelTag},
	{http.MethodDelete, "/model-versions/delete-tag", deleteVersionTag},
	{http.MethodPost, "/registered-models/alias", setAlias},
	{http.MethodDelete, "/registered-models/alias", deleteAlias},
	{http.MethodGet, "/registered-models/alias", getByAlias},
	{http.MethodPost, "/webhooks", createWebhook},
	{http.MethodGet, "/webhooks", listWebhooks},
	{http.MethodGet, "/webhooks/{id}", getWebhook},
	{http.MethodPatch, "/webhooks/{id}", updateWebhook},
	{http.MethodDelete, "/webhooks/{id}", deleteWebhook},
	{http.MethodPost, "/webhooks/{id}/test", testWebhook},
}

// version is what /version says: of the MLflow whose protocol this is.
const version = "3.17.2"

// Mount answers the protocol on a mux.
func Mount(mux *router.Mux, reg *registry.Registry, opts Options) {
	newFace(reg, opts).mount(mux)
}

func newFace(reg *registry.Registry, opts Options) *face {
	f := &face{reg: reg, team: opts.Team, log: opts.Log, url: opts.URL, routes: map[string]operation{}}
	if f.log == nil {
		f.log = slog.Default()
	}
	for _, r := range routes {
		f.routes[r.method+" "+r.path] = r.answer
	}
	return f
}

func (f *face) mount(mux *router.Mux) {
	for _, prefix := range []string{"", "/t/{team}"} {
		for _, api := range []string{"/api", "/ajax-api"} {
			mux.Handle(prefix+api+"/2.0/mlflow/", f)
			for _, r := range routes {
				mux.Handle(r.method+" "+prefix+api+"/2.0/mlflow"+r.path, f)
			}
			mux.HandleFunc("GET "+prefix+api+"/3.0/mlflow/server-info", serverInfo)
		}
		mux.HandleFunc("GET "+prefix+"/version", text(version))
		mux.HandleFunc("GET "+prefix+"/health", text("OK"))
	}
}

func text(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		// The status is sent: an error now means that the caller has gone.
		_, _ = w.Write([]byte(s))
	}
}

// serverInfo is what clients ask who have a workspace set.
func serverInfo(w http.ResponseWriter, _ *http.Request) {
	write(w, http.StatusOK, struct {
		Store      string `json:"store_type"`
		Workspaces bool   `json:"workspaces_enabled"`
	}{"SqlStore", false})
}

// call is one request of a caller in a team.
type call struct {
	ctx  context.Context
	reg  *registry.Registry
	who  registry.Caller
	team string
	// id is the one in the path, of a webhook.
	id   string
	args args
}

// ServeHTTP implements http.Handler.
func (f *face) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, err := f.answer(w, r)
	if err != nil {
		f.refuse(w, r, err)
		return
	}
	write(w, http.StatusOK, answer)
}

func (f *face) answer(w http.ResponseWriter, r *http.Request) (any, error) {
	_, path, _ := strings.Cut(r.URL.Path, "/2.0/mlflow")
	path, id := webhookPath(path)
	op, ok := f.routes[r.Method+" "+path]
	if !ok {
		return nil, &fault{endpointNotFound, "this server answers MLflow's model registry, and not " + r.Method + " " + r.URL.Path + "; set MLFLOW_TRACKING_URI to your MLflow server"}
	}
	c := &call{ctx: r.Context(), reg: f.reg, id: id}
	var err error
	if c.who, err = f.reg.Authenticate(c.ctx, credential(r)); err != nil {
		return nil, err
	}
	if c.team, err = f.reg.RegistrationTeam(c.ctx, c.who, r.PathValue("team"), f.team); err != nil {
		return nil, err
	}
	if c.args, err = arguments(w, r); err != nil {
		return nil, err
	}
	return op(c)
}

// credential returns what a request signs in with, a Bearer token or the
// password of HTTP Basic, or nothing.
func credential(r *http.Request) string {
	given := r.Header.Values("Authorization")
	if len(given) != 1 {
		return ""
	}
	scheme, rest, _ := strings.Cut(given[0], " ")
	rest = strings.TrimSpace(rest)
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		return rest
	case strings.EqualFold(scheme, "Basic"):
		pair, err := base64.StdEncoding.DecodeString(rest)
		if err != nil {
			return ""
		}
		_, password, _ := strings.Cut(string(pair), ":")
		return password
	}
	return ""
}

// code is one of MLflow's error codes.
type code string

const (
	invalidParameter code = "INVALID_PARAMETER_VALUE"
	badRequest       code = "BAD_REQUEST"
	alreadyExists    code = "RESOURCE_ALREADY_EXISTS"
	doesNotExist     code = "RESOURCE_DOES_NOT_EXIST"
	endpointNotFound code = "ENDPOINT_NOT_FOUND"
	permissionDenied code = "PERMISSION_DENIED"
	unauthenticated  code = "UNAUTHENTICATED"
	unavailable      code = "TEMPORARILY_UNAVAILABLE"
)

// statuses are MLflow's own (ERROR_CODE_TO_HTTP_STATUS in mlflow/exceptions.py).
var statuses = map[code]int{
	invalidParameter: http.StatusBadRequest, badRequest: http.StatusBadRequest, alreadyExists: http.StatusBadRequest,
	doesNotExist: http.StatusNotFound, endpointNotFound: http.StatusNotFound,
	permissionDenied: http.StatusForbidden, unauthenticated: http.StatusUnauthorized, unavailable: http.StatusServiceUnavailable,
}

// codes is the one table from the registry's codes to MLflow's.
var codes = map[wire.Code]code{
	wire.Invalid: invalidParameter, wire.Unknown: doesNotExist, wire.Conflict: alreadyExists,
	wire.Forbidden: permissionDenied, wire.Refused: permissionDenied, wire.SignIn: unauthenticated, wire.Unavailable: unavailable,
}

// fault is a refusal in MLflow's form.
type fault struct {
	Code    code   `json:"error_code"`
	Message string `json:"message"`
}

// Error implements error.
func (f *fault) Error() string { return f.Message }

func (f *face) refuse(w http.ResponseWriter, r *http.Request, err error) {
	out := f.faultOf(r, err)
	status := statuses[out.Code]
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="imprimatur", charset="UTF-8"`)
	}
	write(w, status, out)
}

func (f *face) faultOf(r *http.Request, err error) *fault {
	var own *fault
	if errors.As(err, &own) {
		return own
	}
	var refused *registry.Error
	if errors.As(err, &refused) {
		out := &fault{codes[refused.Code], refused.Message}
		if refused.Verdict != nil {
			out.Message += "\nSee " + cmp.Or(f.url, address(r)) + "/api/v1/releases/" + refused.Verdict.Release
		}
		return out
	}
	if is := registry.CodeOf(err); is != wire.Unavailable {
		return &fault{codes[is], err.Error()}
	}
	f.log.ErrorContext(r.Context(), "a request of MLflow's protocol failed", "path", r.URL.Path, "error", err)
	return &fault{unavailable, "the server failed, and nothing is known to have changed; its log says why"}
}

// address is where the client reached this server.
func address(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// What a refusal repeats of the request may not be UTF-8. The status is sent:
	// an error now means that the caller has gone.
	_ = json.MarshalWrite(w, v, jsontext.AllowInvalidUTF8(true))
}
