// Package authzen is the face by which enforcement points of any make ask what
// a workload may do: the OpenID AuthZEN Authorization API 1.0 (final, January
// 2026), as a policy decision point.
//
//	POST /access/v1/evaluation        one question
//	POST /access/v1/evaluations       several, with the semantics of section 7
//	POST /access/v1/search/{subject,resource,action}   which would be yes
//	GET  /.well-known/authzen-configuration            the metadata, open to all
//
// Whoever asks signs in with a token of ours, as a principal that reads what the
// workload's team does, or as the workload itself, which may also show an access
// token (package oauth).
//
// # How the words meet
//
// The subject's id is the name of a workload; its properties environment and
// release say which of its releases it acts under, where it has several. The
// resource's type is a kind of grant (tool, api, record, secret, model, data,
// access; the plural too), its id the resource, and its property definition the
// digest of a tool as its server describes it now. The action's name is the
// action. In a condition args are the action's properties, and about has the
// members subject, resource (their properties) and context. The type of a
// subject plays no part, since no two principals have one name. A kind that is
// none is a no.
//
// # Answers
//
// A no is answered with status 200, decision false and the reasons in the
// context, together with the release, the grant that came nearest and when to
// try again where only a limit refused it. A question that is not one is 400.
// Members that are not known are passed over, and X-Request-ID is sent back. In
// several questions one that is not a question is a no of its own.
package authzen

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server/api"
	"imprimatur.dev/server/router"
	"imprimatur.dev/wire"
)

const (
	// maxBody bounds the bytes of a request, and maxQuestions the questions.
	maxBody      = 8 << 20
	maxQuestions = 1000
	requestID    = "X-Request-Id"
	mediaJSON    = "application/json"
)

type face struct {
	reg *registry.Registry
	log *slog.Logger
	url string
}

// Mount adds the paths to a server whose address is url, without a final slash;
// an empty one is that by which a request came.
func Mount(mux *router.Mux, reg *registry.Registry, url string, log *slog.Logger) {
	f := &face{reg, log, url}
	mux.HandleFunc("POST /access/v1/evaluation", f.signedIn(f.evaluation))
	mux.HandleFunc("POST /access/v1/evaluations", f.signedIn(f.evaluations))
	mux.HandleFunc("POST /access/v1/search/subject", f.signedIn(f.search(registry.AnyWorkload)))
	mux.HandleFunc("POST /access/v1/search/resource", f.signedIn(f.search(registry.AnyResource)))
	mux.HandleFunc("POST /access/v1/search/action", f.signedIn(f.search(registry.AnyAction)))
	mux.HandleFunc("GET /.well-known/authzen-configuration", f.metadata)
}

// badRequest is a question that is not one.
type badRequest struct{ why string }

func (e *badRequest) Error() string { return e.why }

func bad(format string, args ...any) error { return &badRequest{fmt.Sprintf(format, args...)} }

type answerer func(ctx context.Context, who registry.Caller, q *questions) (any, error)

// signedIn authenticates before anything of the body is read.
func (f *face) signedIn(answer answerer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if id := r.Header.Get(requestID); id != "" && len(id) <= 128 && !strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' }) {
			w.Header().Set(requestID, id)
		}
		out, err := f.answered(w, r, answer)
		var wrong *badRequest
		var long *http.MaxBytesError
		switch {
		case err == nil:
			api.Send(w, r, f.log, out)
		case errors.As(err, &long):
			api.RefuseWith(w, r, f.log, http.StatusRequestEntityTooLarge, api.Refusal(wire.Invalid, "the body is longer than %d bytes; ask in several requests", long.Limit))
		case errors.As(err, &wrong):
			api.RefuseWith(w, r, f.log, http.StatusBadRequest, api.Refusal(wire.Invalid, "%s", wrong.why))
		default:
			api.Refuse(w, r, f.log, err)
		}
	}
}

func (f *face) answered(w http.ResponseWriter, r *http.Request, answer answerer) (any, error) {
	who, err := api.Asker(f.reg, r)
	if err != nil {
		return nil, err
	}
	if given := r.Header.Get("Content-Type"); given != mediaJSON {
		if media, _, err := mime.ParseMediaType(given); err != nil || media != mediaJSON {
			return nil, bad("the Content-Type is not application/json")
		}
	}
	var q questions
	if err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, maxBody), &q); err != nil {
		var long *http.MaxBytesError
		if errors.As(err, &long) {
			return nil, err
		}
		return nil, bad("the body is no question: %v", err)
	}
	return answer(r.Context(), who, &q)
}

// The members of a question (sections 5 and 6); an absent one is nil.
type (
	entity struct {
		Type       *string        `json:"type"`
		ID         *string        `json:"id"`
		Properties jsontext.Value `json:"properties,omitzero"`
	}
	action struct {
		Name       *string        `json:"name"`
		Properties jsontext.Value `json:"properties,omitzero"`
	}
	question struct {
		Subject  *entity        `json:"subject"`
		Action   *action        `json:"action"`
		Resource *entity        `json:"resource"`
		Context  jsontext.Value `json:"context,omitzero"`
	}
	questions struct {
		question    `json:",inline"`
		Evaluations []jsontext.Value `json:"evaluations"`
		Options     struct {
			Semantic string `json:"evaluations_semantic"`
		} `json:"options"`
	}
)

// answered is the answer to one question.
type answered struct {
	Decision bool     `json:"decision"`
	Context  *because `json:"context,omitzero"`
}

// because is the context of an answer.
type because struct {
	Reasons []string      `json:"reasons,omitzero"`
	Release string        `json:"release,omitzero"`
	Grant   *record.Grant `json:"grant,omitzero"`
	Until   time.Time     `json:"until,omitzero"`
	After   time.Time     `json:"after,omitzero"`
}

func no(reason string) answered { return answered{Context: &because{Reasons: []string{reason}}} }

func (f *face) evaluation(ctx context.Context, who registry.Caller, q *questions) (any, error) {
	ask, err := q.ask("")
	if err != nil {
		return nil, err
	}
	return f.decide(ctx, who, ask)
}

func (f *face) decide(ctx context.Context, who registry.Caller, ask wire.Ask) (answered, error) {
	a, err := f.reg.Authorize(ctx, who, ask)
	if err != nil {
		return answered{}, err
	}
	return answered{a.Allowed, &because{a.Reasons, a.Release, a.Grant, a.Until, a.After}}, nil
}

// The semantics of several questions (section 7.1.2.1).
const (
	executeAll          = "execute_all"
	denyOnFirstDeny     = "deny_on_first_deny"
	permitOnFirstPermit = "permit_on_first_permit"
)

func (f *face) evaluations(ctx context.Context, who registry.Caller, q *questions) (any, error) {
	if len(q.Evaluations) == 0 {
		return f.evaluation(ctx, who, q)
	}
	if len(q.Evaluations) > maxQuestions {
		return nil, bad("there are %d questions, more than %d; ask in several requests", len(q.Evaluations), maxQuestions)
	}
	switch q.Options.Semantic {
	case "", executeAll, denyOnFirstDeny, permitOnFirstPermit:
	default:
		return nil, bad("evaluations_semantic %q is not known; use %s, %s or %s", q.Options.Semantic, executeAll, denyOnFirstDeny, permitOnFirstPermit)
	}
	out := struct {
		Evaluations []answered `json:"evaluations"`
	}{[]answered{}}
	for _, raw := range q.Evaluations {
		a, err := f.oneOf(ctx, who, q.question, raw)
		if err != nil {
			return nil, err
		}
		out.Evaluations = append(out.Evaluations, a)
		if q.Options.Semantic == denyOnFirstDeny && !a.Decision || q.Options.Semantic == permitOnFirstPermit && a.Decision {
			break
		}
	}
	return out, nil
}

// oneOf answers one of several questions. Each of its members that is given
// takes the place of the whole of the common one.
func (f *face) oneOf(ctx context.Context, who registry.Caller, common question, raw jsontext.Value) (answered, error) {
	var own question
	if err := json.Unmarshal(raw, &own); err != nil {
		return no(fmt.Sprintf("it is no question: %v", err)), nil
	}
	q := common
	if own.Subject != nil {
		q.Subject = own.Subject
	}
	if own.Action != nil {
		q.Action = own.Action
	}
	if own.Resource != nil {
		q.Resource = own.Resource
	}
	if len(own.Context) > 0 {
		q.Context = own.Context
	}
	ask, err := q.ask("")
	if err != nil {
		return no(err.Error()), nil
	}
	return f.decide(ctx, who, ask)
}

// search answers which workloads, resources or actions would be allowed
// (section 8). All of them are on the first page.
func (f *face) search(thing string) answerer {
	return func(ctx context.Context, who registry.Caller, q *questions) (any, error) {
		ask, err := q.ask(thing)
		if err != nil {
			return nil, err
		}
		names, err := f.reg.WhatMay(ctx, who, ask, thing)
		if err != nil {
			return nil, err
		}
		results := make([]map[string]string, len(names))
		for i, name := range names {
			switch thing {
			case registry.AnyWorkload:
				results[i] = map[string]string{"type": *q.Subject.Type, "id": name}
			case registry.AnyResource:
				results[i] = map[string]string{"type": *q.Resource.Type, "id": name}
			case registry.AnyAction:
				results[i] = map[string]string{"name": name}
			}
		}
		return map[string]any{"results": results}, nil
	}
}

// kinds are the types of resources by which grants of each kind are asked for.
var kinds = map[string]string{
	"access": "access", "tool": "tools", "api": "apis", "record": "records",
	"secret": "secrets", "model": "models", "data": "data",
}

// ask turns a question into an ask; the member that is searched for, if any,
// needs no name.
func (q *question) ask(searched string) (wire.Ask, error) {
	var out wire.Ask
	var err error
	if out.Workload, err = q.Subject.named("subject", searched == registry.AnyWorkload); err != nil {
		return out, err
	}
	if out.Resource, err = q.Resource.named("resource", searched == registry.AnyResource); err != nil {
		return out, err
	}
	if searched != registry.AnyAction {
		if q.Action == nil || q.Action.Name == nil || *q.Action.Name == "" {
			return out, bad("the action has no name")
		}
		out.Action = *q.Action.Name
	}
	out.Kind = *q.Resource.Type
	if kind, ok := kinds[out.Kind]; ok {
		out.Kind = kind
	}
	return out, q.properties(&out)
}

func (e *entity) named(what string, searched bool) (string, error) {
	switch {
	case e == nil:
		return "", bad("there is no %s", what)
	case e.Type == nil || *e.Type == "":
		return "", bad("the %s has no type", what)
	case searched:
		return "", nil
	case e.ID == nil || *e.ID == "":
		return "", bad("the %s has no id", what)
	}
	return *e.ID, nil
}

// properties fills in what the properties and the context say.
func (q *question) properties(out *wire.Ask) error {
	var args jsontext.Value
	if q.Action != nil {
		args = q.Action.Properties
	}
	given := [...]struct {
		name string
		raw  jsontext.Value
	}{{"action", args}, {"context", q.Context}, {"resource", q.Resource.Properties}, {"subject", q.Subject.Properties}}
	// Each is a value that was read strictly, and the names are in order.
	out.About = append(make(jsontext.Value, 0, 48+len(q.Context)+len(given[2].raw)+len(given[3].raw)), '{')
	for i, p := range given {
		switch {
		case len(p.raw) == 0:
			p.raw = jsontext.Value("{}")
		case p.raw.Kind() != '{':
			return bad("the properties of the %s are not an object", p.name)
		}
		if i == 0 {
			out.Arguments = p.raw
			continue
		}
		if i > 1 {
			out.About = append(out.About, ',')
		}
		out.About = append(append(append(append(out.About, '"'), p.name...), `":`...), p.raw...)
	}
	out.About = append(out.About, '}')
	var subject struct {
		Environment string `json:"environment"`
		Release     string `json:"release"`
	}
	var resource struct {
		Definition record.Digest `json:"definition"`
	}
	if err := errors.Join(read(q.Subject.Properties, &subject), read(q.Resource.Properties, &resource)); err != nil {
		return bad("the properties cannot be read: %v", err)
	}
	out.Environment, out.Release, out.Definition = subject.Environment, subject.Release, resource.Definition
	return nil
}

// read reads the properties that are there.
func read(raw jsontext.Value, v any) error {
	if len(raw) == 0 {
		return nil
	}
	return json.Unmarshal(raw, v)
}

// metadata answers where everything is (section 9).
func (f *face) metadata(w http.ResponseWriter, r *http.Request) {
	base := f.url
	if base == "" {
		base = "http://" + r.Host
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.MarshalWrite(w, map[string]string{
		"policy_decision_point":       base,
		"access_evaluation_endpoint":  base + "/access/v1/evaluation",
		"access_evaluations_endpoint": base + "/access/v1/evaluations",
		"search_subject_endpoint":     base + "/access/v1/search/subject",
		"search_resource_endpoint":    base + "/access/v1/search/resource",
		"search_action_endpoint":      base + "/access/v1/search/action",
	}, json.Deterministic(true))
}
