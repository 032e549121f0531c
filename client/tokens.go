package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/wire"
)

// Exchange asks for an access token (RFC 8693).
type Exchange struct {
	// Subject is the token of the workload's platform, a JWT; where it is empty the
	// client's own token, an API token of the workload, is exchanged.
	Subject string
	// Audience are whom the token is for; none is the server itself.
	Audience []string
	// Workload, Environment and Release say which are meant, where there are
	// several.
	Workload, Environment, Release string
}

// AccessToken is what was given for it.
type AccessToken struct {
	Secret string
	// Life is how long it is good from now.
	Life time.Duration
}

// Exchange exchanges what a workload has for an access token. A refusal is a
// [*Problem] with the server's sentence.
func (c *Client) Exchange(ctx context.Context, in Exchange) (AccessToken, error) {
	const types = "urn:ietf:params:oauth:token-type:"
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {in.Subject}, "subject_token_type": {types + "jwt"}, "audience": in.Audience}
	if in.Subject == "" {
		form["subject_token"], form["subject_token_type"] = []string{c.token}, []string{types + "access_token"}
	}
	for name, value := range map[string]string{"client_id": in.Workload, "environment": in.Environment, "release": in.Release} {
		if value != "" {
			form.Set(name, value)
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		return AccessToken{}, fmt.Errorf("asking %s: %w", c.base, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	// Who asks is in the form alone.
	raw, err := New(c.base, "").exchanged(c.http, req)
	if err != nil {
		return AccessToken{}, err
	}
	var out struct {
		Token   string `json:"access_token"`
		Expires int64  `json:"expires_in"`
	}
	if err := json.Unmarshal(raw, &out); err != nil || out.Token == "" || out.Expires <= 0 {
		return AccessToken{}, fmt.Errorf("reading the answer of %s to a token exchange: %w", c.base, errors.Join(err, errors.New("there is no token in it")))
	}
	return AccessToken{out.Token, time.Duration(out.Expires) * time.Second}, nil
}

// oauthProblem reads a refusal of the token endpoint (RFC 6749 section 5.2), or is
// nil.
func oauthProblem(status int, raw []byte) *Problem {
	var said struct {
		Code string `json:"error"`
		Why  string `json:"error_description"`
	}
	if json.Unmarshal(raw, &said) != nil || said.Code == "" || said.Why == "" {
		return nil
	}
	code := wire.Forbidden
	switch status {
	case http.StatusUnauthorized:
		code = wire.SignIn
	case http.StatusServiceUnavailable, http.StatusInternalServerError:
		code = wire.Unavailable
	}
	return &Problem{wire.Problem{Type: "about:blank", Title: said.Code, Status: status, Code: code, Detail: said.Why}}
}
