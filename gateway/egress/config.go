package egress

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"imprimatur.dev/authority"
	"imprimatur.dev/gateway/follow"
	"imprimatur.dev/gateway/secrets"
	"imprimatur.dev/guard"
)

// Config is the gateway's configuration file.
type Config struct {
	// Upstreams are what may be called, by the name that paths begin with.
	Upstreams map[string]Upstream `yaml:"upstreams"`
	// Environment and Release say under which of its releases the workload acts,
	// where it has several.
	Environment string `yaml:"environment"`
	Release     string `yaml:"release"`
	// Seen is the file that keeps which models answered, for the vendor watch.
	Seen string `yaml:"seen"`
	// StaleAfter is how long open requests go on without hearing that the release
	// stands; the zero value is five seconds.
	StaleAfter time.Duration `yaml:"staleAfter"`
}

// Upstream is an API, or the models of a vendor.
type Upstream struct {
	// URL is where it is; the paths of requests come behind its own.
	URL string `yaml:"url"`
	// Models is the vendor's name in grants of kind models, for an upstream that
	// serves models; without it, it is an API.
	Models string `yaml:"models"`
	// Credential is attached to what is sent on; without it, nothing is.
	Credential *Credential `yaml:"credential"`
	// Header are fields that are sent on besides, such as anthropic-version.
	Header map[string]string `yaml:"header"`
	// Allow are networks, addresses and hosts that are not public and may be
	// connected to all the same.
	Allow []string `yaml:"allow"`
	// Timeout is how long an answer may take to begin, and to go on; the zero value
	// is a minute, and five for models.
	Timeout time.Duration `yaml:"timeout"`
	// MaxRequest and MaxAnswer bound bodies, in bytes; the zero values are 16 MiB and
	// 256 MiB.
	MaxRequest int64 `yaml:"maxRequest"`
	MaxAnswer  int64 `yaml:"maxAnswer"`
	// AnswerTokens is what an answer of a model is taken to cost at most where the
	// request does not say it; the zero value is 8192.
	AnswerTokens int `yaml:"answerTokens"`
}

// Credential is a secret and how it is attached: as a bearer token, as the user
// and password of basic authentication, or as a header of its own. The secret is
// one that the server lends for the workload that asks, "team/name", or an environment
// variable, or a file that is read again for each request.
type Credential struct {
	Secret string `yaml:"secret"`
	Env    string `yaml:"env"`
	File   string `yaml:"file"`
	As     string `yaml:"as"` // bearer, basic or header
	Header string `yaml:"header"`
}

var upstreamName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// ReadConfig reads a configuration, strictly.
func ReadConfig(raw []byte) (Config, error) {
	c := Config{StaleAfter: follow.DefaultBound}
	if err := yaml.Load(raw, &c, yaml.WithKnownFields()); err != nil {
		return c, fmt.Errorf("the gateway's configuration: %w", err)
	}
	if len(c.Upstreams) == 0 {
		return c, errors.New("the gateway's configuration names no upstreams; give each a url under upstreams")
	}
	if c.StaleAfter <= 0 {
		return c, errors.New("staleAfter is not more than nothing")
	}
	for name := range c.Upstreams {
		if !upstreamName.MatchString(name) {
			return c, fmt.Errorf("the upstream %q: a name has lower-case letters, digits, _ and -", name)
		}
	}
	return c, nil
}

// upstream is one that is ready to be called.
type upstream struct {
	Upstream
	name string
	// base is the address without a final slash, in its one form.
	base   string
	client *http.Transport
	// credential reads what is attached for a workload; nil where nothing is.
	credential func(ctx context.Context, bearer string) (text string, use *secrets.Use, err error)
}

// attachment is a credential on its way out. Hidden is what of it must not be shown, and
// use is what it was lent by, nil where it stands in the configuration.
type attachment struct {
	field, value string
	hidden       []string
	use          *secrets.Use
}

func newUpstream(name string, c Upstream, broker *secrets.Broker) (*upstream, error) {
	call, err := authority.HTTP(authority.HTTPRequest{Method: http.MethodGet, URL: c.URL})
	if err != nil {
		return nil, err
	}
	if call.Query != "" {
		return nil, errors.New("the url has a query; what is asked is for the workload to say")
	}
	g, err := guard.Allow(c.Allow...)
	if err != nil {
		return nil, err
	}
	u := &upstream{Upstream: c, name: name, base: strings.TrimSuffix(call.URL(), "/")}
	if u.Timeout == 0 {
		u.Timeout = time.Minute
		if u.Models != "" {
			u.Timeout = 5 * time.Minute
		}
	}
	if u.MaxRequest == 0 {
		u.MaxRequest = 16 << 20
	}
	if u.MaxAnswer == 0 {
		u.MaxAnswer = 256 << 20
	}
	if u.AnswerTokens == 0 {
		u.AnswerTokens = 8192
	}
	if _, err := g.URL(call.URL()); err != nil {
		return nil, fmt.Errorf("%s is not public, or would be called in plain HTTP; name its host or network under allow", u.base)
	}
	u.client = &http.Transport{
		Proxy: nil, DialContext: g.Dial, TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: u.Timeout, MaxResponseHeaderBytes: 64 << 10,
		DisableCompression: true, MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second,
	}
	return u, u.readCredential(broker)
}

// readCredential says where the credential comes from.
func (u *upstream) readCredential(broker *secrets.Broker) error {
	c := u.Credential
	if c == nil {
		return nil
	}
	given := 0
	for _, from := range []string{c.Secret, c.Env, c.File} {
		if from != "" {
			given++
		}
	}
	switch {
	case given != 1:
		return errors.New("the credential needs one of secret, a team/name that the server lends, env, the name of an environment variable, and file")
	case c.As != "bearer" && c.As != "basic" && c.As != "header":
		return fmt.Errorf("the credential is attached as %q; say bearer, basic or header", c.As)
	case (c.As == "header") != (c.Header != ""):
		return errors.New("a credential that is attached as a header, and no other, says which under header")
	case c.Secret != "" && (broker == nil || strings.Count(c.Secret, "/") != 1):
		return fmt.Errorf("the secret %s is not of the form team/name, or the gateway has no token of its own, with which it is lent secrets: set IMPRIMATUR_TOKEN to that of a workload that imprimatur gateway bind let attach them", c.Secret)
	case c.Secret != "":
		u.credential = func(ctx context.Context, bearer string) (string, *secrets.Use, error) {
			use, err := broker.Take(ctx, bearer, c.Secret, u.base)
			if err != nil {
				return "", nil, err
			}
			return use.Text(), use, nil
		}
	case c.Env != "":
		u.credential = func(context.Context, string) (string, *secrets.Use, error) { return os.Getenv(c.Env), nil, nil }
	default:
		u.credential = func(context.Context, string) (string, *secrets.Use, error) {
			raw, err := os.ReadFile(c.File)
			return strings.TrimSpace(string(raw)), nil, err
		}
	}
	return nil
}

// attach returns the credential in the form in which it is sent. Whoever has it says
// when its use is done.
func (u *upstream) attach(ctx context.Context, bearer string) (attachment, error) {
	if u.credential == nil {
		return attachment{}, nil
	}
	c := u.Credential
	text, use, err := u.credential(ctx, bearer)
	if err != nil || len(text) < 8 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		if use != nil {
			use.Done()
		}
		return attachment{}, fmt.Errorf("the credential in %s%s%s cannot be used: %w", c.Secret, c.Env, c.File, cmp.Or(err, errors.New("it must be one line of at least 8 characters")))
	}
	switch c.As {
	case "basic":
		encoded := base64.StdEncoding.EncodeToString([]byte(text))
		_, password, _ := strings.Cut(text, ":")
		return attachment{"Authorization", "Basic " + encoded, []string{encoded, password}, use}, nil
	case "header":
		return attachment{c.Header, text, []string{text}, use}, nil
	}
	return attachment{"Authorization", "Bearer " + text, []string{text}, use}, nil
}
