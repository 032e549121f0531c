// Package vault reads the secrets that an OpenBao or a HashiCorp Vault keeps, by
// the HTTP API that both speak (versions 1.x and 2.x, paths below /v1/), through
// OpenBao's own client module. Its [Source] is what registry.Config.Secrets takes.
//
// # What is read
//
// A place (record.VaultPlace) names a mount, a path and, for a KV engine of
// version 2, a version, 0 for the newest. A hand-out makes two requests:
//
//	GET /v1/MOUNT/metadata/PATH          which versions there are, and which of
//	                                     them were deleted or destroyed
//	GET /v1/MOUNT/data/PATH?version=N    the value of the one that was found
//
// While it is lent the first is asked again, so that what changes in the vault is
// seen here. A place that is dynamic is read by GET /v1/MOUNT/PATH, which makes a
// credential with a lease of its own; PUT /v1/sys/leases/revoke ends it. The
// namespace goes in X-Vault-Namespace, the token in X-Vault-Token.
//
// # What a server of ours may read
//
// One token reads for all teams, so the configuration says which paths are a
// team's. Nothing else is read for it, whatever the token could: without that, whoever
// may set secrets for one team could have those of another.
//
// # No
//
// Whatever is not a clear yes is a no, with a sentence that names the place and
// what is to be done, and nothing of what was answered: neither the errors of a vault
// nor broken answers are repeated, since they could hold a value. A no that a vault
// has said, or that it is sealed, wraps registry.ErrNotGiven; without an answer the error does
// not. Redirects are not followed, since the token would go where they lead,
// environment variables of the client module are not read, and nothing is tried twice but
// once after a login that had ended.
package vault

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/openbao/openbao/api/v2"
	"go.yaml.in/yaml/v4"

	"imprimatur.dev/record"
)

// Config is the file that says which vaults there are, by the names that secrets
// call them.
type Config struct {
	Vaults map[string]Server `yaml:"vaults"`
}

// Server is an OpenBao or a Vault.
type Server struct {
	// Address is where it is: https, or http on this machine alone.
	Address string `yaml:"address"`
	// CA is a file of PEM certificates that alone are trusted; without it, the
	// system's are.
	CA string `yaml:"ca"`
	// Namespace is where the login is, and the places that name none.
	Namespace string `yaml:"namespace"`
	// Timeout bounds each request; the zero value is five seconds.
	Timeout time.Duration `yaml:"timeout"`
	// Exactly one of the following says how to sign in.
	Token      *Text       `yaml:"token"`
	AppRole    *AppRole    `yaml:"appRole"`
	Kubernetes *Kubernetes `yaml:"kubernetes"`
	// Teams are the paths that are read for each team: MOUNT/PATH, where a final *
	// stands for any rest, with NAMESPACE: before it for one of another namespace.
	Teams map[string][]string `yaml:"teams"`
}

// Text is something that stands in a file, which is read each time, or in an
// environment variable.
type Text struct {
	File string `yaml:"file"`
	Env  string `yaml:"env"`
}

// AppRole signs in by POST /v1/auth/MOUNT/login with role_id and secret_id.
type AppRole struct {
	Mount  string `yaml:"mount"` // approle where it is empty
	Role   string `yaml:"role"`
	Secret Text   `yaml:"secret"`
}

// Kubernetes signs in by POST /v1/auth/MOUNT/login with role and jwt, the token of
// the pod's service account. The auth method jwt takes the same.
type Kubernetes struct {
	Mount string `yaml:"mount"` // kubernetes where it is empty
	Role  string `yaml:"role"`
	Token Text   `yaml:"token"` // the pod's own where it is empty
}

// podToken is where a pod finds the token of its service account.
const podToken = "/var/run/secrets/kubernetes.io/serviceaccount/token"

const defaultTimeout = 5 * time.Second

// Source reads what the vaults of a configuration keep. It may be used
// concurrently.
type Source struct {
	servers map[string]*server
}

type server struct {
	Server
	name   string
	client *api.Client
	login  login
}

// Open reads a configuration, strictly, and makes a source of it; env gives
// environment variables. No vault is asked yet.
func Open(raw []byte, env func(string) string) (*Source, error) {
	var c Config
	if err := yaml.Load(raw, &c, yaml.WithKnownFields()); err != nil {
		return nil, fmt.Errorf("the configuration of vaults: %w", err)
	}
	if len(c.Vaults) == 0 {
		return nil, errors.New("the configuration names no vaults; give each an address under vaults")
	}
	s := &Source{servers: map[string]*server{}}
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(c.Vaults)) {
		v, err := newServer(name, c.Vaults[name], env)
		if err != nil {
			faults = append(faults, fmt.Errorf("the vault %s: %w", name, err))
			continue
		}
		s.servers[name] = v
	}
	return s, errors.Join(faults...)
}

func newServer(name string, c Server, env func(string) string) (*server, error) {
	at, err := url.Parse(c.Address)
	switch {
	case err != nil || at.Host == "" || at.User != nil || at.RawQuery != "" || at.Scheme != "https" && at.Scheme != "http":
		return nil, fmt.Errorf("the address %q is not of the form https://HOST", c.Address)
	case at.Scheme == "http" && !onThisMachine(at.Hostname()):
		return nil, fmt.Errorf("%s would be asked in plain HTTP, and would show token and secrets to the network; give an https address", c.Address)
	case c.Timeout < 0:
		return nil, errors.New("the timeout is negative")
	case len(c.Teams) == 0:
		return nil, errors.New("it names no teams, so that nothing of it could be read; say under teams which paths are whose, such as lab: [secret/lab/*]")
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	cfg := api.NewConfig()
	if cfg.Error != nil {
		return nil, cfg.Error
	}
	cfg.Address, cfg.MaxRetries, cfg.DisableRedirects, cfg.Timeout = c.Address, 0, true, c.Timeout
	transport := cfg.HttpClient.Transport.(*http.Transport)
	transport.Proxy = nil
	if transport.TLSClientConfig, err = trusting(c.CA); err != nil {
		return nil, err
	}
	cfg.HttpClient.Transport = bounded{transport}
	s := &server{Server: c, name: name}
	if s.client, err = api.NewClient(cfg); err != nil {
		return nil, err
	}
	s.login, err = newLogin(c, env)
	return s, err
}

func onThisMachine(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// trusting trusts the certificates of a file, or the system's.
func trusting(ca string) (*tls.Config, error) {
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca == "" {
		return out, nil
	}
	raw, err := os.ReadFile(ca)
	if err != nil {
		return nil, fmt.Errorf("reading the certificates: %w", err)
	}
	if out.RootCAs = x509.NewCertPool(); !out.RootCAs.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", ca)
	}
	return out, nil
}

// Check implements registry.SecretSource.
func (s *Source) Check(team string, at record.VaultPlace) error {
	v, err := s.server(at)
	if err != nil {
		return err
	}
	if !v.readsFor(team, at) {
		return fmt.Errorf("the vault %s is not read at %s for the team %s; whoever runs this server can allow it under teams in the file of serve --vaults", v.name, at.Full(), team)
	}
	return nil
}

// reads returns the server of a place that may be read for a team.
func (s *Source) reads(team string, at record.VaultPlace) (*server, error) {
	if err := s.Check(team, at); err != nil {
		return nil, fmt.Errorf("%w%w", err, notGiven{})
	}
	return s.server(at)
}

func (s *Source) server(at record.VaultPlace) (*server, error) {
	v := s.servers[at.Server]
	if v == nil {
		return nil, fmt.Errorf("this server knows no vault %q; it knows %s, from the file of serve --vaults", at.Server, strings.Join(slices.Sorted(maps.Keys(s.servers)), ", "))
	}
	return v, nil
}

// namespace is that of a place.
func (v *server) namespace(at record.VaultPlace) string {
	if at.Namespace != "" {
		return at.Namespace
	}
	return v.Namespace
}

func (v *server) readsFor(team string, at record.VaultPlace) bool {
	whole := at.Whole()
	return path.Clean(whole) == whole && slices.ContainsFunc(v.Teams[team], func(allowed string) bool {
		namespace, of, found := strings.Cut(allowed, ":")
		if !found {
			namespace, of = v.Namespace, allowed
		}
		if namespace != v.namespace(at) {
			return false
		}
		if prefix, any := strings.CutSuffix(of, "*"); any {
			return strings.HasPrefix(whole, prefix)
		}
		return whole == of
	})
}
