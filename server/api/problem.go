package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/store"
	"imprimatur.dev/wire"
)

// RequestID is the header of an answer that tells its request from others in
// the server's log.
const RequestID = "X-Request-Id"

// statuses is the one table from code to status.
var statuses = map[wire.Code]int{
	wire.Invalid:     http.StatusUnprocessableEntity,
	wire.Unknown:     http.StatusNotFound,
	wire.Forbidden:   http.StatusForbidden,
	wire.Conflict:    http.StatusConflict,
	wire.Refused:     http.StatusConflict,
	wire.SignIn:      http.StatusUnauthorized,
	wire.Unavailable: http.StatusServiceUnavailable,
}

// StatusOf is the status with which an error is answered; what is nobody's
// refusal is [wire.Unavailable].
func StatusOf(err error) int { return statuses[registry.CodeOf(err)] }

var titles = map[wire.Code]string{
	wire.Invalid:     "The request is not valid",
	wire.Unknown:     "Not known here",
	wire.Forbidden:   "The caller may not",
	wire.Conflict:    "It contradicts what stands",
	wire.Refused:     "A gate refuses it",
	wire.SignIn:      "Sign in first",
	wire.Unavailable: "It could not be decided",
}

// problem is a refusal as huma answers it.
type problem struct{ wire.Problem }

// Error implements error.
func (p *problem) Error() string { return p.Detail }

// GetStatus implements huma.StatusError.
func (p *problem) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (p *problem) ContentType(string) string { return "application/problem+json" }

func newProblem(code wire.Code, detail string) *problem {
	return &problem{wire.Problem{Type: "about:blank", Title: titles[code], Status: statuses[code], Detail: detail, Code: code}}
}

// problemOf turns an error into what the caller is told of it. An error that is
// nobody's refusal is logged, and its text stays here.
func problemOf(ctx context.Context, log *slog.Logger, id string, err error) *problem {
	var refused *registry.Error
	var invalid *record.InvalidError
	switch {
	case errors.As(err, &refused):
		p := newProblem(refused.Code, refused.Message)
		p.Verdict = refused.Verdict
		return p
	case errors.As(err, &invalid):
		return newProblem(wire.Invalid, invalid.Error())
	case errors.Is(err, store.ErrNotFound):
		return newProblem(wire.Unknown, err.Error())
	}
	log.ErrorContext(ctx, "a request failed", "request", id, "error", err)
	return newProblem(wire.Unavailable, fmt.Sprintf("the server failed, and nothing is known to have changed; its log says why, under the request %s", id))
}

// ProblemOf is what a person is told of an error by a face that answers in
// another form; id is the request's.
func ProblemOf(ctx context.Context, log *slog.Logger, id string, err error) wire.Problem {
	return problemOf(ctx, log, id, err).Problem
}

// Refuse answers with an error as a problem.
func Refuse(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	write(w, problemOf(r.Context(), log, w.Header().Get(RequestID), err))
}

// RefuseWith is [Refuse] with a status that HTTP has for the fault itself.
func RefuseWith(w http.ResponseWriter, r *http.Request, log *slog.Logger, status int, err error) {
	p := problemOf(r.Context(), log, w.Header().Get(RequestID), err)
	p.Status = status
	write(w, p)
}

// Refusal is an error that a face of the server words itself.
func Refusal(code wire.Code, format string, args ...any) error {
	return &registry.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

func write(w http.ResponseWriter, p *problem) {
	if p.Code == wire.SignIn {
		w.Header().Set("WWW-Authenticate", `Bearer realm="imprimatur"`)
	}
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	// The status is sent: an error now means that the caller has gone.
	_ = json.MarshalWrite(w, p)
}

// ofHuma words what huma itself refuses: parameters, and bodies it cannot read.
// Values are left out, since they may be secrets.
func ofHuma(_ huma.Context, status int, msg string, errs ...error) huma.StatusError {
	details := []string{}
	for _, err := range errs {
		var at huma.ErrorDetailer
		if errors.As(err, &at) && at.ErrorDetail().Location != "" {
			d := at.ErrorDetail()
			details = append(details, d.Location+": "+d.Message)
		} else if err != nil {
			details = append(details, err.Error())
		}
	}
	if len(details) == 0 {
		details = []string{msg}
	}
	code := wire.Invalid
	if status >= http.StatusInternalServerError {
		code = wire.Unavailable
	}
	p := newProblem(code, "the request cannot be read: "+strings.Join(details, "; "))
	switch status {
	case http.StatusRequestEntityTooLarge, http.StatusRequestTimeout:
		p.Status, p.Title = status, http.StatusText(status)
	}
	return p
}

// huma knows these only as globals of its own.
func init() {
	// Without it a body could pass validation under one name and be read under
	// another that differs in case.
	huma.ValidateStrictCasing = true
	huma.DefaultArrayNullable = false
	huma.NewErrorWithContext = ofHuma
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		return ofHuma(nil, status, msg, errs...)
	}
}
