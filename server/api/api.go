package api

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/registry"
	"imprimatur.dev/server/router"
	"imprimatur.dev/wire"
)

// Prefix is the path under which the API is.
const Prefix = "/api/v1"

// access says who gets in at a row of the table. The zero value is no access
// level, so that a row that forgot it is not one.
type access int

const (
	public   access = iota + 1 // anyone: the log that outsiders check
	signedIn                   // whoever holds a token that stands; the registry decides the rest
	asking                     // these, and a workload with an access token
)

func (a access) String() string {
	return map[access]string{public: "anyone", signedIn: "signed in", asking: "signed in, or a workload's access token"}[a]
}

// route is one row of the table.
type route struct {
	method string
	path   string
	// name is the operation's, as the client's method is called.
	name    string
	summary string
	access  access
	// most is the length in bytes that the body stays below; 0 is maxBody.
	most    int64
	handler mount
}

const (
	// maxBody holds the largest record: a version with thousands of files.
	maxBody = 4 << 20
	// readWithin is how long a body may take to arrive.
	readWithin = 2 * time.Minute
)

// face is the API of one registry.
type face struct {
	reg  *registry.Registry
	log  *slog.Logger
	huma huma.API
	mux  *router.Mux
}

// API is the mounted API with its document.
type API struct {
	*router.Mux
	// OpenAPI is the OpenAPI 3.1 document, as indented JSON.
	OpenAPI []byte
	// Operations are the rows of the table, for people.
	Operations []Operation
}

// Operation is one row of the table as it is documented.
type Operation struct{ Method, Path, Name, Summary, Access string }

// New returns the API of a registry. It panics when the table of routes is
// faulty, which no input can bring about.
func New(reg *registry.Registry, log *slog.Logger) *API { return build(reg, log, routes) }

func build(reg *registry.Registry, log *slog.Logger, rows []route) *API {
	f := &face{reg: reg, log: log, mux: router.New()}
	f.huma = humago.NewWithPrefix(f.mux, Prefix, configuration())
	api := &API{Mux: f.mux}
	for _, row := range rows {
		if row.access.String() == "" {
			panic(fmt.Sprintf("api: the route %s %s does not say who gets in", row.method, row.path))
		}
		row.handler(f, f.operation(row))
		api.Operations = append(api.Operations, Operation{row.method, Prefix + row.path, row.name, row.summary, row.access.String()})
	}
	f.mux.HandleFunc(Prefix+"/", f.elsewhere)
	api.OpenAPI = document(f.huma.OpenAPI())
	return api
}

// unmarshal reads a request's body: see the package comment on strictness.
func unmarshal(data []byte, v any) error {
	return json.Unmarshal(data, v, json.RejectUnknownMembers(true))
}

func configuration() huma.Config {
	format := huma.Format{
		Marshal:   func(w io.Writer, v any) error { return json.MarshalWrite(w, v, json.Deterministic(true)) },
		Unmarshal: unmarshal,
	}
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "Imprimatur", Version: "v1",
				Description: "No model runs in production without a release record that names the exact model, the data and run it came from, the evidence that it is fit, the people who approved it, and the authority it may use.",
			},
			Components: &huma.Components{
				Schemas: schemas(),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"token": {Type: "http", Scheme: "bearer", Description: "An API token of a person or a workload."},
				},
			},
		},
		Formats:                      map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
	}
}

// operation is a row in huma's form.
func (f *face) operation(row route) huma.Operation {
	noun, _, _ := strings.Cut(strings.TrimPrefix(row.path, "/"), "/")
	op := huma.Operation{
		OperationID: row.name, Method: row.method, Path: row.path, Summary: row.summary, Tags: []string{noun},
		// A record says itself what it must be like, for every way in.
		SkipValidateBody: true,
		MaxBodyBytes:     row.most,
		BodyReadTimeout:  readWithin,
		Middlewares:      huma.Middlewares{f.enter(row)},
		Security:         []map[string][]string{},
	}
	if op.MaxBodyBytes == 0 {
		op.MaxBodyBytes = maxBody
	}
	if row.access != public {
		op.Security = []map[string][]string{{"token": {}}}
	}
	if row.method != http.MethodGet {
		op.Parameters = []*huma.Param{{
			Name: "Idempotency-Key", In: "header", Schema: &huma.Schema{Type: huma.TypeString, MaxLength: new(maxKey), Pattern: "^[!\"$-~]+$"},
			Description: "The same request with the same key is answered with what the first one stated.",
		}}
	}
	return op
}

// elsewhere answers what no row is for.
func (f *face) elsewhere(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		probe := r.Clone(r.Context())
		probe.Method = method
		if _, pattern := f.mux.Handler(probe); pattern != Prefix+"/" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 || slices.Contains(allowed, r.Method) {
		write(w, newProblem(wire.Unknown, "nothing is at "+r.URL.Path+"; /api/ lists the operations"))
		return
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	p := newProblem(wire.Invalid, r.URL.Path+" takes "+strings.Join(allowed, " and ")+", not "+r.Method)
	p.Status = http.StatusMethodNotAllowed
	write(w, p)
}

// document writes the OpenAPI document in a form that can be compared.
func document(oapi *huma.OpenAPI) []byte {
	raw, err := oapi.MarshalJSON()
	if err != nil {
		panic(fmt.Sprintf("api: writing the OpenAPI document: %v", err))
	}
	text := jsontext.Value(raw)
	if err = text.Canonicalize(); err == nil {
		err = text.Indent(jsontext.WithIndent("  "))
	}
	if err != nil {
		panic(fmt.Sprintf("api: writing the OpenAPI document: %v", err))
	}
	return append(text, '\n')
}
