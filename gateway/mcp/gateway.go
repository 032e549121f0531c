// Package mcp is the gateway between an agent and its servers of the Model
// Context Protocol (MCP), revisions 2025-11-25 and 2026-07-28: nothing is listed,
// and nothing called, that the standing release of the agent's workload does not
// grant.
//
// # What is passed on
//
// Each server that is configured keeps a place of its own: /NAME over streamable
// HTTP, or the one that is served on standard input and output. The gateway
// reads every message and passes on its bytes: what it does not know of a message
// reaches the other side as it was, and both sides are of the revision that they
// agree on. It decides by the method:
//
//	tools/list, resources/list,       filtered: what the caller could ask for is
//	resources/templates/list,         shown, by the same look-up that decides
//	prompts/list                      when it is asked for
//	tools/call                        grant of kind tools, SERVER/TOOL, action call
//	resources/read, subscribe,        grant of kind data, SERVER/URI, action read
//	unsubscribe
//	prompts/get                       grant of kind data, SERVER/prompts/NAME,
//	                                  action get
//	completion/complete,              what they are about must be shown
//	subscriptions/listen
//	logging/setLevel                  a release stands
//	initialize, server/discover, ping always
//
// and refuses every other method, since it could not decide about it. What the
// server asks of the client (sampling, elicitation, roots) and tells it is
// passed on while a release stands.
//
// # Tools
//
// A grant pins a tool by the digest of its name, description and input schema
// (authority.ToolDigest). The gateway lists a server's tools itself, looks again
// every few seconds and at once when the server says that they changed, and holds
// the arguments of each call to the schema as it is now; a schema that refers to
// anything outside itself cannot be checked, and its tool is not offered. Names
// are ASCII, so that none looks like another.
//
// # Standing
//
// What a caller may do is followed (package follow). When the release stops, calls and streams that are open end with the reason,
// and clients are told that their lists changed.
package mcp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.yaml.in/yaml/v4"

	"imprimatur.dev/gateway/follow"
	"imprimatur.dev/gateway/secrets"
	"imprimatur.dev/wire"
)

// Config is the gateway's configuration file.
type Config struct {
	// Servers are the MCP servers, by the name that grants begin with.
	Servers map[string]Server `yaml:"servers"`
	// Environment and Release say under which of its releases the workload acts,
	// where it has several.
	Environment string `yaml:"environment"`
	Release     string `yaml:"release"`
	// URL is the gateway's own address, which access tokens must then name.
	URL string `yaml:"url"`
	// Record is the file that a line is appended to for each call.
	Record string `yaml:"record"`
	// StaleAfter is how long the gateway goes on without hearing that the release
	// stands; the zero value is five seconds.
	StaleAfter time.Duration `yaml:"staleAfter"`
}

// Server is an MCP server: a command that is started for each session, or an
// address of streamable HTTP. In values, ${NAME} stands for a variable of the
// gateway's environment, and ${secret:team/name} for a secret that the server lends
// for the workload that asks.
type Server struct {
	Command []string          `yaml:"command"`
	Env     map[string]string `yaml:"env"`
	Dir     string            `yaml:"dir"`
	URL     string            `yaml:"url"`
	Headers map[string]string `yaml:"headers"`
}

var (
	serverName = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,63}$`)
	variable   = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)
)

// ReadConfig reads a configuration, strictly; env gives the variables that it
// names.
func ReadConfig(raw []byte, env func(string) string) (Config, error) {
	var c Config
	if err := yaml.Load(raw, &c, yaml.WithKnownFields()); err != nil {
		return c, fmt.Errorf("the gateway's configuration: %w", err)
	}
	if len(c.Servers) == 0 {
		return c, errors.New("the gateway's configuration names no servers; give each a command or a url under servers")
	}
	if c.StaleAfter < 0 {
		return c, errors.New("staleAfter is negative")
	}
	if at, err := url.Parse(c.URL); c.URL != "" && (err != nil || at.Scheme != "https" && !local(at.Host) || at.Host == "" || strings.Trim(at.Path, "/")+at.RawQuery+at.Fragment != "") {
		return c, fmt.Errorf("the gateway's url %q is no https address without a path", c.URL)
	}
	c.URL = strings.TrimSuffix(c.URL, "/")
	var faults []error
	expand := func(values map[string]string) {
		for key, value := range values {
			values[key] = variable.ReplaceAllStringFunc(value, func(v string) string {
				name := strings.Trim(v, "${}")
				if env(name) == "" {
					faults = append(faults, fmt.Errorf("%s needs the environment variable %s, which is not set", key, name))
				}
				return env(name)
			})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Servers)) {
		s := c.Servers[name]
		switch {
		case !serverName.MatchString(name):
			faults = append(faults, fmt.Errorf("the server %q: a name has lower-case letters, digits and _ . -", name))
		case (len(s.Command) == 0) == (s.URL == ""):
			faults = append(faults, fmt.Errorf("the server %s needs either a command or a url", name))
		case s.URL != "" && !strings.HasPrefix(s.URL, "https://") && !strings.HasPrefix(s.URL, "http://"):
			faults = append(faults, fmt.Errorf("the server %s: %q is no http or https address", name, s.URL))
		}
		expand(s.Env)
		expand(s.Headers)
	}
	return c, errors.Join(faults...)
}

// Gateway stands between agents and their servers.
type Gateway struct {
	ctx     context.Context
	url     string // its own address, or empty
	issuer  string
	servers map[string]*server
	callers *callers
	broker  *secrets.Broker // nil where no secrets are lent
	journal *Journal
	teller  *teller // nil where nobody is told
	learn   *Lesson
	log     *slog.Logger
	stderr  io.Writer
	report  func(Redefinition)
	now     func() time.Time
	asked   atomic.Int64
	over    chan struct{} // closed when all sessions have ended

	mu       sync.Mutex
	sessions map[sessionKey]*session
}

// server is one that is configured.
type server struct {
	Server
	name        string
	definitions definitions
	remote      *remote // nil for a command
}

// Options are what a gateway is given beside its configuration.
type Options struct {
	Source follow.Source
	// Issuer is the address of the server that gives access tokens.
	Issuer string
	// Secrets lends the credentials that are secrets; without it there are none.
	Secrets secrets.Source
	// Journal keeps the calls; nil keeps none.
	Journal *Journal
	// Lesson, where given, lets everything through and learns what is used.
	Lesson *Lesson
	// Report is told, once for each, of a tool that is not defined as it was
	// approved; nil is nobody.
	Report func(Redefinition)
	// Tell is told of the calls that were decided about, for the server's decision
	// log, every second; what it refuses waits. Nil is nobody.
	Tell func(context.Context, []wire.Decided) error
	// Log takes what goes wrong; nil is slog's default. Stderr takes what the
	// servers that are commands say there; nil is this process's.
	Log    *slog.Logger
	Stderr io.Writer
}

// Redefinition is a tool that is not defined as the release's grant pins it.
type Redefinition struct {
	Release, Line, Workload string
	// Detail says which tool, and in what its definitions differ.
	Detail string
}

// New returns a gateway that lives until the context ends.
func New(ctx context.Context, c Config, o Options) *Gateway {
	g := &Gateway{
		ctx: ctx, url: c.URL, issuer: o.Issuer, servers: map[string]*server{}, journal: o.Journal, learn: o.Lesson, log: o.Log, stderr: o.Stderr, report: o.Report, now: time.Now,
		sessions: map[sessionKey]*session{}, over: make(chan struct{}),
	}
	if g.log == nil {
		g.log = slog.Default()
	}
	if g.stderr == nil {
		g.stderr = os.Stderr
	}
	stale := c.StaleAfter
	if stale == 0 {
		stale = follow.DefaultBound
	}
	g.callers = newCallers(ctx, o.Source, stale, g.now)
	if o.Secrets.Attach != nil {
		g.broker = secrets.New(ctx, o.Secrets, c.Environment, c.Release, stale, g.log)
	}
	for name, s := range c.Servers {
		g.servers[name] = &server{Server: s, name: name}
		if s.URL != "" {
			g.servers[name].remote = newRemote(s.URL, s.Headers)
		}
	}
	if o.Tell != nil {
		g.teller = newTeller(ctx, o.Tell, g.log)
	}
	go g.tidy()
	return g
}

// Wait waits, after the context has ended, until all sessions have, and the server
// was told of what was left.
func (g *Gateway) Wait() {
	<-g.over
	if g.teller != nil {
		<-g.teller.done
	}
}

func (g *Gateway) learning() bool { return g.learn != nil }

const (
	// maxSessions are those of one caller at once.
	maxSessions = 256
	// idleFor is how long a session is kept that nobody uses, and tidyEvery how
	// often they are looked at.
	idleFor   = 30 * time.Minute
	tidyEvery = time.Minute
)

// open makes a session of a caller with a server; that of a command starts it.
func (g *Gateway) open(sv *server, c *caller, id string) (*session, error) {
	if c.sessions.Load() >= maxSessions {
		return nil, fmt.Errorf("the workload %s has %d sessions open and gets no more; end some", c.workload(), maxSessions)
	}
	s := &session{g: g, server: sv, id: id, used: g.now(), calls: map[string]*call{}, told: map[string]bool{}}
	s.caller.Store(c)
	if sv.remote != nil {
		s.up = sv.remote.of(s)
		return s, nil
	}
	env, uses, err := s.fill(g.ctx, sv.Env)
	if err != nil {
		return nil, err
	}
	p, err := start(sv.Command, env, sv.Dir, g.stderr, s.notice)
	if err != nil {
		uses.Done()
		return nil, err
	}
	// A process has what it was started with: it ends with the secret.
	stop := uses.After(func() { p.end(nil) })
	go func() {
		<-p.done
		stop()
		uses.Done()
	}()
	s.up = p
	return s, nil
}

// names reports whether any of the values names a secret.
func names(values map[string]string) bool {
	for _, v := range values {
		if secrets.Named(v) {
			return true
		}
	}
	return false
}

// fill puts the secrets into values that they name, as the server lends them for
// the workload that uses the session.
func (s *session) fill(ctx context.Context, values map[string]string) (map[string]string, secrets.Uses, error) {
	if !names(values) {
		return values, nil, nil
	}
	if s.g.broker == nil {
		return nil, nil, fmt.Errorf("the server %s needs a secret, and the gateway has no token of its own with which it is lent any: set IMPRIMATUR_GATEWAY_TOKEN", s.server.name)
	}
	return s.g.broker.Fill(ctx, s.who().bearer, cmp.Or(s.server.URL, s.server.name), values)
}

// sessionKey finds a session by its server and its id, or by its caller where
// there are no sessions.
type sessionKey struct {
	server, id string
	caller     *caller
}

func (s *session) key() sessionKey {
	if s.id == "" {
		return sessionKey{server: s.server.name, caller: s.who()}
	}
	return sessionKey{server: s.server.name, id: s.id}
}

func (g *Gateway) keep(s *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sessions[s.key()] = s
	s.who().sessions.Add(1)
}

func (g *Gateway) forget(s *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.sessions[s.key()] == s {
		delete(g.sessions, s.key())
		s.who().sessions.Add(-1)
	}
}

func (g *Gateway) find(key sessionKey) *session {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.sessions[key]
}

// tidy ends the sessions that nobody uses, and all of them at the end.
func (g *Gateway) tidy() {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	defer close(g.over)
	for over := false; !over; {
		select {
		case <-g.ctx.Done():
			over = true
		case <-tick.C:
		}
		g.mu.Lock()
		var idle []*session
		for _, s := range g.sessions {
			s.mu.Lock()
			if over || g.now().Sub(s.used) > idleFor && len(s.calls) == 0 {
				idle = append(idle, s)
			}
			s.mu.Unlock()
		}
		g.mu.Unlock()
		for _, s := range idle {
			g.forget(s)
			if s.id != "" {
				s.up.end(http.Header{"Mcp-Session-Id": {s.id}})
			}
		}
	}
}
