// Package vaulttest is a server for tests that answers as the HTTP API of OpenBao
// and HashiCorp Vault is documented (openbao.org/api-docs: "KV version 2", "System
// backend: leases", "AppRole", "Kubernetes"): paths below /v1/, the headers
// X-Vault-Token, X-Vault-Namespace and X-Vault-Request, the JSON of answers and of
// errors, and the statuses 400, 403, 404 and 503. It is written from those pages alone: what
// a real server does beyond them it does not know.
//
// It has one KV engine of version 2, mounted at "secret", and one that makes
// credentials, at "database".
package vaulttest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// Root is a token that may read everything.
const Root = "s.root-token-of-the-test"

// Server is a vault. Its methods may be called while it is asked.
type Server struct {
	*httptest.Server

	mu     sync.Mutex
	sealed bool
	silent chan struct{}
	tokens map[string][]string // the paths that each may read
	kept   map[string][]*version
	leases map[string]bool
	logins map[string]login
	asked  []string
	count  int
	// Broken, where it is set, answers in place of the vault.
	broken http.HandlerFunc
}

type version struct {
	value         map[string]string
	made, deleted time.Time
	destroyed     bool
}

type login struct {
	want  map[string]string
	paths []string
}

// Start starts a vault that ends with the test.
func Start(t testing.TB) *Server {
	return begin(t, httptest.NewServer)
}

// StartTLS starts one that is asked by HTTPS.
func StartTLS(t testing.TB) *Server {
	return begin(t, httptest.NewTLSServer)
}

func begin(t testing.TB, start func(http.Handler) *httptest.Server) *Server {
	s := &Server{tokens: map[string][]string{Root: {"*"}}, kept: map[string][]*version{}, leases: map[string]bool{}, logins: map[string]login{}}
	s.Server = start(http.HandlerFunc(s.answer))
	t.Cleanup(func() {
		s.Answer(nil)
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// Write writes the next version at a path of the engine "secret", of a namespace
// where that is not empty.
func (s *Server) Write(namespace, path string, fields map[string]string) {
	s.change(namespace, path, func(all []*version) []*version {
		return append(all, &version{value: fields, made: time.Now()})
	})
}

// Delete marks a version as deleted from a time on.
func (s *Server) Delete(path string, number int, at time.Time) {
	s.change("", path, func(all []*version) []*version { all[number-1].deleted = at; return all })
}

// Destroy destroys a version.
func (s *Server) Destroy(path string, number int) {
	s.change("", path, func(all []*version) []*version { all[number-1].destroyed = true; return all })
}

func (s *Server) change(namespace, path string, fn func([]*version) []*version) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[namespace+":"+path] = fn(s.kept[namespace+":"+path])
}

// Seal seals it, or opens it again.
func (s *Server) Seal(sealed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealed = sealed
}

// Allow lets a token read paths, where a final * stands for any rest; without a
// path it is a token no more.
func (s *Server) Allow(token string, paths ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tokens[token] = paths; len(paths) == 0 {
		delete(s.tokens, token)
	}
}

// Login gives a token for paths to who posts these members to a login.
func (s *Server) Login(path string, want map[string]string, paths ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logins[path] = login{want, paths}
}

// Answer has another handler answer, or with nil the vault again.
func (s *Server) Answer(by http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.silent != nil {
		close(s.silent)
		s.silent = nil
	}
	s.broken = by
}

// Silence has it take requests and answer none, until [Server.Answer].
func (s *Server) Silence() {
	over := make(chan struct{})
	s.Answer(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-over:
		case <-r.Context().Done():
		}
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = over
}

// Asked returns the requests that it has had, as "METHOD /path?query".
func (s *Server) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// Leases is how many credentials that it made were not ended.
func (s *Server) Leases() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.leases)
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r.Method+" "+r.URL.RequestURI())
	broken := s.broken
	s.mu.Unlock()
	if broken != nil {
		broken(w, r)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	status, body := s.decide(r)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if body != nil {
		_ = json.MarshalWrite(w, body)
	}
}

type object = map[string]any

func errs(texts ...string) object {
	if texts == nil {
		texts = []string{}
	}
	return object{"errors": texts}
}

func (s *Server) decide(r *http.Request) (int, object) {
	path, ok := strings.CutPrefix(r.URL.Path, "/v1/")
	switch {
	case !ok:
		return http.StatusNotFound, errs()
	case s.sealed:
		return http.StatusServiceUnavailable, errs("Vault is sealed")
	case r.Header.Get("X-Vault-Request") != "true":
		return http.StatusPreconditionFailed, errs("missing required header: X-Vault-Request")
	case strings.HasPrefix(path, "auth/"):
		return s.signIn(r, path)
	}
	allowed, known := s.tokens[r.Header.Get("X-Vault-Token")]
	if !known || !slices.ContainsFunc(allowed, func(p string) bool {
		prefix, any := strings.CutSuffix(p, "*")
		return path == p || any && strings.HasPrefix(path, prefix)
	}) {
		return http.StatusForbidden, errs("1 error occurred:\n\t* permission denied\n\n")
	}
	namespace := strings.Trim(r.Header.Get("X-Vault-Namespace"), "/")
	switch {
	case path == "sys/leases/revoke" && (r.Method == http.MethodPut || r.Method == http.MethodPost):
		return s.revoke(r)
	case r.Method != http.MethodGet:
		return http.StatusMethodNotAllowed, errs("unsupported operation")
	case strings.HasPrefix(path, "secret/metadata/"):
		return s.metadata(namespace + ":" + strings.TrimPrefix(path, "secret/metadata/"))
	case strings.HasPrefix(path, "secret/data/"):
		return s.data(namespace+":"+strings.TrimPrefix(path, "secret/data/"), r.URL.Query().Get("version"))
	case strings.HasPrefix(path, "secret/"):
		return http.StatusNotFound, object{"errors": []string{}, "warnings": []string{"Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use."}}
	case strings.HasPrefix(path, "database/creds/"):
		return s.make(path)
	}
	return http.StatusNotFound, errs("no handler for route \"" + path + "\". route entry not found.")
}

func whole(data any) object {
	return object{"request_id": "5c1a", "lease_id": "", "renewable": false, "lease_duration": 0, "data": data, "wrap_info": nil, "warnings": nil, "auth": nil}
}

func (v *version) about() object {
	deleted := ""
	if !v.deleted.IsZero() {
		deleted = v.deleted.UTC().Format(time.RFC3339Nano)
	}
	return object{"created_time": v.made.UTC().Format(time.RFC3339Nano), "deletion_time": deleted, "destroyed": v.destroyed}
}

func (s *Server) metadata(path string) (int, object) {
	all := s.kept[path]
	if len(all) == 0 {
		return http.StatusNotFound, errs()
	}
	versions := object{}
	for i, v := range all {
		versions[strconv.Itoa(i+1)] = v.about()
	}
	return http.StatusOK, whole(object{
		"cas_required": false, "created_time": all[0].about()["created_time"], "current_version": len(all), "custom_metadata": nil, "delete_version_after": "0s",
		"max_versions": 0, "oldest_version": 0, "updated_time": all[len(all)-1].about()["created_time"], "versions": versions,
	})
}

// data answers with 404 and what is known of it for a version that is not there
// any more.
func (s *Server) data(path, version string) (int, object) {
	all := s.kept[path]
	number, err := strconv.Atoi(version)
	switch {
	case version != "" && err != nil:
		return http.StatusBadRequest, errs("error converting input for field \"version\"")
	case version == "" || number == 0:
		number = len(all)
	}
	if number < 1 || number > len(all) {
		return http.StatusNotFound, errs()
	}
	v := all[number-1]
	about := v.about()
	about["version"], about["custom_metadata"] = number, nil
	if v.destroyed || !v.deleted.IsZero() && !time.Now().Before(v.deleted) {
		return http.StatusNotFound, whole(object{"data": nil, "metadata": about})
	}
	return http.StatusOK, whole(object{"data": v.value, "metadata": about})
}

func (s *Server) make(path string) (int, object) {
	s.count++
	id := fmt.Sprintf("%s/%08d", path, s.count)
	s.leases[id] = true
	out := whole(object{"username": fmt.Sprintf("v-lab-%d", s.count), "password": fmt.Sprintf("A1a-made-for-this-reading-%d", s.count)})
	out["lease_id"], out["lease_duration"], out["renewable"] = id, 3600, true
	return http.StatusOK, out
}

func (s *Server) revoke(r *http.Request) (int, object) {
	var in struct {
		ID string `json:"lease_id"`
	}
	if json.UnmarshalRead(r.Body, &in) != nil || in.ID == "" {
		return http.StatusBadRequest, errs("lease_id must be specified")
	}
	delete(s.leases, in.ID)
	return http.StatusNoContent, nil
}

func (s *Server) signIn(r *http.Request, path string) (int, object) {
	var in map[string]string
	l, known := s.logins[path]
	if json.UnmarshalRead(r.Body, &in) != nil || !known {
		return http.StatusForbidden, errs("permission denied")
	}
	for name, want := range l.want {
		if in[name] != want {
			return http.StatusBadRequest, errs("invalid role or secret ID")
		}
	}
	s.count++
	token := fmt.Sprintf("s.given-at-login-%d", s.count)
	s.tokens[token] = l.paths
	out := whole(nil)
	out["auth"] = object{
		"client_token": token, "accessor": "a", "policies": []string{"default", "imprimatur"}, "token_policies": []string{"default", "imprimatur"}, "metadata": object{},
		"lease_duration": 1200, "renewable": true, "entity_id": "", "token_type": "service", "orphan": true,
	}
	return http.StatusOK, out
}
