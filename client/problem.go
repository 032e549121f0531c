package client

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/wire"
)

// problemOf reads a refusal. Something between client and server may answer in
// its own way; then nothing was decided, and the problem says so.
func problemOf(base string, answer *http.Response, raw []byte) error {
	p := &Problem{}
	kind, _, _ := strings.Cut(answer.Header.Get("Content-Type"), ";")
	if kind == "application/problem+json" && json.Unmarshal(raw, &p.Problem) == nil && p.Code != "" {
		return p
	}
	if said := mlflowProblem(answer.StatusCode, raw); said != nil {
		return said
	}
	if said := oauthProblem(answer.StatusCode, raw); said != nil {
		return said
	}
	p.Problem = wire.Problem{
		Type: "about:blank", Title: http.StatusText(answer.StatusCode), Status: answer.StatusCode, Code: wire.Unavailable,
		Detail: fmt.Sprintf("%s answered %s, which is not an answer of Imprimatur's API; check the address, and what stands between", base, answer.Status),
	}
	return p
}

// unreached reports whether an error means that the connection failed, rather
// than that the server refused.
func unreached(err error) bool {
	var failed *url.Error
	return errors.As(err, &failed)
}
