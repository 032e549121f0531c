package oauth

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"imprimatur.dev/guard"
)

// Issuers are those whose word about workloads is taken; the zero value takes
// nobody's. They may be used by several goroutines.
type Issuers struct {
	byName map[string]*issuer
}

// issuer is one of them.
type issuer struct {
	name string
	// audience is what its tokens must be meant for; empty for this server's address.
	audience string
	keys     keys
	// authorities sign the X.509-SVIDs of a trust domain.
	authorities []*x509.Certificate
}

const spiffeScheme = "spiffe://"

// ReadIssuers reads the configuration of those whose word is taken, a YAML file:
//
//	issuers:
//	  - issuer: https://token.actions.githubusercontent.com
//	  - issuer: https://kubernetes.default.svc.cluster.local
//	    ca: cluster-ca.pem          # who vouches for its TLS certificate
//	    token: own-token            # a file: what the issuer is shown where it tells its keys to nobody unknown
//	  - issuer: https://edge.example
//	    keys: edge.jwks.json        # a JWKS (RFC 7517); nothing is fetched
//	    audience: imprimatur        # else the address of this server
//	  - issuer: spiffe://example.org
//	    keys: bundle.json           # the bundle of the trust domain
//
// What has no file of keys is asked for them over HTTPS, through the guard, where
// its own configuration says (OpenID Connect Discovery 1.0). The file of a token is
// read each time, since platforms renew what is in it.
func ReadIssuers(raw []byte, g *guard.Guard) (*Issuers, error) {
	var file struct {
		Issuers []struct {
			Issuer, Keys, CA, Token, Audience string
		} `yaml:"issuers"`
	}
	if err := yaml.Load(raw, &file, yaml.WithKnownFields()); err != nil {
		return nil, fmt.Errorf("reading the configuration of issuers: %w", err)
	}
	out := &Issuers{byName: map[string]*issuer{}}
	for _, row := range file.Issuers {
		i := &issuer{name: row.Issuer, audience: row.Audience}
		var err error
		switch {
		case out.byName[row.Issuer] != nil:
			err = fmt.Errorf("it stands there twice")
		case row.Keys != "" && (row.CA != "" || row.Token != ""):
			err = fmt.Errorf("its keys are a file, so that nothing is fetched and ca and token say nothing; leave them out")
		case row.Keys != "":
			err = i.readKeys(row.Keys)
		default:
			err = i.fetchFrom(row.CA, row.Token, g)
		}
		if err == nil {
			err = i.check()
		}
		if err != nil {
			return nil, fmt.Errorf("the issuer %q: %w", row.Issuer, err)
		}
		out.byName[row.Issuer] = i
	}
	return out, nil
}

func (i *issuer) check() error {
	u, err := url.Parse(i.name)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("its name is not of the form https://HOST or spiffe://DOMAIN")
	}
	domain := strings.HasPrefix(i.name, spiffeScheme)
	switch {
	case domain && (u.Path != "" || i.keys.fetch != nil):
		return fmt.Errorf("a trust domain has no path, and its bundle is a file: give it as keys")
	case !domain && u.Scheme != "https" && i.keys.fetch == nil && u.Scheme != "http":
		return fmt.Errorf("its name is not of the form https://HOST or spiffe://DOMAIN")
	}
	return nil
}

// readKeys reads keys that never change while the server runs.
func (i *issuer) readKeys(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading its keys: %w", err)
	}
	i.keys.set, i.authorities, err = parseKeys(raw)
	return err
}

// fetchFrom has keys be fetched when they are first needed.
func (i *issuer) fetchFrom(ca, token string, g *guard.Guard) error {
	var roots *x509.CertPool
	if ca != "" {
		raw, err := os.ReadFile(ca)
		if err != nil {
			return fmt.Errorf("reading its certificate authority: %w", err)
		}
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM(bytes.TrimSpace(raw)) {
			return fmt.Errorf("%s holds no certificate in PEM", ca)
		}
	}
	if token != "" && !strings.HasPrefix(i.name, "https://") {
		return fmt.Errorf("it is shown a token over HTTPS alone")
	}
	if _, err := readToken(token); err != nil {
		return err
	}
	if _, err := g.URL(i.name); err != nil {
		return err
	}
	client := g.ClientTrusting(roots, fetchWithin)
	i.keys.fetch = func() ([]byte, error) {
		shown, err := readToken(token)
		if err != nil {
			return nil, err
		}
		return discover(client, i.name, shown)
	}
	return nil
}

// readToken reads what the issuer is shown, nothing where no file is named.
func readToken(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading the token that it is shown: %w", err)
	}
	text := strings.TrimSpace(string(raw))
	if text == "" || strings.ContainsAny(text, " \r\n") {
		return "", fmt.Errorf("%s holds no token", path)
	}
	return text, nil
}

const (
	// fetchWithin bounds one request to an issuer, retryAfter is how long none
	// follows another, so that nobody drives us to ask by inventing key IDs.
	fetchWithin = 5 * time.Second
	retryAfter  = 10 * time.Second
	// Keys are fetched anew after freshFor, and not used after usableFor where that
	// fails: a key that its issuer withdrew counts no longer than that.
	freshFor  = 10 * time.Minute
	usableFor = 6 * time.Hour
)
