package egress_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"imprimatur.dev/authority"
	"imprimatur.dev/gateway/egress"
	"imprimatur.dev/gateway/follow"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

const (
	token  = "imp_workload_token"
	secret = "credential-of-the-gateway"
)

// bench is a gateway with its upstream, and a source of decisions that decides as
// the server does: one release with an authority, for one token.
type bench struct {
	testing.TB
	url      string
	upstream *httptest.Server
	grants   *authority.Set
	all      record.Authority
	meter    *authority.Meter

	mu       sync.Mutex
	stands   bool
	silent   bool
	requests []*http.Request // that reached the upstream
	bodies   []string
	asked    []wire.Ask
	reserved map[string]authority.Decision
	settled  []wire.Settlement
	reports  []egress.Seen
}

func (b *bench) authorize(_ context.Context, bearer string, ask wire.Ask) (wire.Answer, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, ask)
	out := wire.Answer{Release: "r-0123456789ab", Line: "lab/agent/help/production", At: time.Now()}
	switch {
	case bearer != token:
		return out, fmt.Errorf("%w: the token is not valid", follow.ErrNotSignedIn)
	case b.silent:
		return out, fmt.Errorf("no answer")
	case !b.stands:
		out.Reasons = []string{"the release was suspended"}
		return out, nil
	}
	args, err := authority.ParseArguments(ask.Arguments)
	if err != nil {
		out.Reasons = []string{err.Error()}
		return out, nil
	}
	about, err := authority.ParseArguments(ask.About)
	if err != nil {
		return out, err
	}
	d := b.grants.Decide(&authority.Call{
		Kind: ask.Kind, Resource: ask.Resource, Action: ask.Action, Arguments: args, About: about, Opaque: ask.Opaque,
		Cost: authority.Cost{Tokens: ask.Tokens, Bytes: ask.Bytes},
	}, out.At, b.meter)
	out.Allowed, out.After = d.Allowed, d.After
	if d.Number >= 0 {
		out.Grant = &d.Grant
	}
	if !d.Allowed {
		out.Reasons = []string{d.Reason}
	} else if d.Grant.Budget != (record.Budget{}) {
		out.Reservation = fmt.Sprint(len(b.reserved))
		b.reserved[out.Reservation] = d
	}
	return out, nil
}

func (b *bench) settle(_ context.Context, _ string, s wire.Settlement) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settled = append(b.settled, s)
	b.meter.Settle(b.reserved[s.Reservation], authority.Cost{Tokens: s.Tokens, Bytes: s.Bytes}, time.Now())
	return nil
}

func (b *bench) granted(_ context.Context, bearer string, _ record.Digest) (wire.Granted, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.silent:
		return wire.Granted{}, fmt.Errorf("no answer")
	case bearer != token:
		return wire.Granted{}, follow.ErrNotSignedIn
	case !b.stands:
		return wire.Granted{Reasons: []string{"it was suspended"}}, nil
	}
	return wire.Granted{Stands: true, Release: "r-0123456789ab", Authority: &b.all, At: time.Now()}, nil
}

// setup starts a gateway whose upstreams crm and vendor are one server.
func setup(t testing.TB, may record.Authority, handler http.HandlerFunc, change func(*egress.Config)) *bench {
	t.Helper()
	b := &bench{TB: t, meter: authority.NewMeter(), stands: true, reserved: map[string]authority.Decision{}}
	b.upstream = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		b.mu.Lock()
		b.requests, b.bodies = append(b.requests, r), append(b.bodies, string(raw))
		b.mu.Unlock()
		handler(w, r)
	}))
	t.Cleanup(b.upstream.Close)
	at := strings.TrimPrefix(b.upstream.URL, "http://")
	named := func(grants []record.Grant) []record.Grant {
		for i := range grants {
			grants[i].Resource = strings.Replace(grants[i].Resource, "UP", "http://"+at, 1)
		}
		return grants
	}
	may.APIs = named(may.APIs)
	b.all = may
	var err error
	if b.grants, err = authority.Compile(may); err != nil {
		t.Fatal(err)
	}
	t.Setenv("EGRESS_TEST_CREDENTIAL", secret)
	cfg := egress.Config{StaleAfter: 300 * time.Millisecond, Upstreams: map[string]egress.Upstream{
		"crm":    {URL: b.upstream.URL + "/v1", Allow: []string{"127.0.0.1"}, Credential: &egress.Credential{Env: "EGRESS_TEST_CREDENTIAL", As: "bearer"}, Timeout: 5 * time.Second, MaxAnswer: 1 << 20, MaxRequest: 1 << 20},
		"vendor": {URL: b.upstream.URL, Allow: []string{"127.0.0.1"}, Models: "acme", Credential: &egress.Credential{Env: "EGRESS_TEST_CREDENTIAL", As: "header", Header: "X-Api-Key"}, AnswerTokens: 1000},
	}}
	if change != nil {
		change(&cfg)
	}
	ctx, cancel := context.WithCancel(context.Background())
	g, err := egress.New(ctx, cfg, egress.Options{
		Authorize: b.authorize, Settle: b.settle, Granted: b.granted, Log: slog.New(slog.DiscardHandler),
		Report: func(s egress.Seen) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.reports = append(b.reports, s)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- g.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	b.url = "http://" + l.Addr().String()
	return b
}

// answer is what the gateway answered.
type answer struct {
	status int
	header http.Header
	body   string
	err    error // of reading the body
}

func (b *bench) call(method, path, body string, change func(*http.Request)) answer {
	b.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, b.url+path, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if change != nil {
		change(r)
	}
	got, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(r)
	if err != nil {
		return answer{err: err}
	}
	defer got.Body.Close()
	raw, err := io.ReadAll(got.Body)
	return answer{got.StatusCode, got.Header, string(raw), err}
}

// reached are the paths of the requests that came to the upstream.
func (b *bench) reached() (paths []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.requests {
		paths = append(paths, r.Method+" "+r.RequestURI)
	}
	return paths
}

var cases = record.Authority{APIs: []record.Grant{
	{Resource: "UP/v1/cases/*", Actions: []string{"GET", "POST"}, Condition: `!has(args.admin)`},
	{Resource: "UP/v1/limited", Actions: []string{"GET"}, Limit: record.Limit{Calls: 1, Seconds: 60}},
	{Resource: "UP/v1/heavy", Actions: []string{"GET"}, Budget: record.Budget{Unit: "bytes", Amount: 10, Seconds: 60}},
}}

func copyOf(a record.Authority) record.Authority {
	a.APIs = append([]record.Grant(nil), a.APIs...)
	return a
}

func hello(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Set-Cookie", "session=1")
	_, _ = io.WriteString(w, "hello from "+r.URL.Path)
}

func TestWhatIsGrantedIsCalledWithTheCredential(t *testing.T) {
	b := setup(t, copyOf(cases), hello, nil)
	got := b.call("POST", "/crm/cases/%37?ward=a+b", `{"text":"x"}`, func(r *http.Request) { r.Header.Set("Cookie", "a=b") })
	if got.status != 200 || got.body != "hello from /v1/cases/7" || got.header.Get("X-Imprimatur-Release") != "r-0123456789ab" || got.header.Get("Set-Cookie") != "" {
		t.Fatalf("%+v", got)
	}
	r := b.requests[0]
	if r.RequestURI != "/v1/cases/7?ward=a%20b" || r.Header.Get("Authorization") != "Bearer "+secret || b.bodies[0] != `{"text":"x"}` || r.Header.Get("Cookie") != "" || r.Host != strings.TrimPrefix(b.upstream.URL, "http://") {
		t.Errorf("the upstream saw %s %+v %q", r.RequestURI, r.Header, b.bodies[0])
	}
	for name, values := range r.Header {
		if strings.Contains(strings.Join(values, " "), token) {
			t.Errorf("the upstream saw the workload's token in %s", name)
		}
	}
	if got := b.call("GET", "/crm/limited", "", nil); got.status != 200 {
		t.Errorf("%+v", got)
	}
	for name, c := range map[string]struct {
		method, path, body string
		change             func(*http.Request)
		status             int
		says               string
	}{
		"not granted":     {"GET", "/crm/other", "", nil, 403, "no grant of the release names the API"},
		"another method":  {"DELETE", "/crm/cases/7", "", nil, 403, "allows GET, POST"},
		"the condition":   {"POST", "/crm/cases/7", `{"admin":true}`, nil, 403, "does not hold"},
		"read twice":      {"POST", "/crm/cases/7", `{"a":1,"a":2}`, nil, 403, "duplicate"},
		"unseen":          {"POST", "/crm/cases/7", `{"admin":true}`, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 403, "cannot be evaluated"},
		"spent":           {"GET", "/crm/limited", "", nil, 429, "is spent"},
		"no token":        {"GET", "/crm/cases/7", "", func(r *http.Request) { r.Header.Del("Authorization") }, 401, "no token"},
		"another token":   {"GET", "/crm/cases/7", "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, 401, "not valid"},
		"two tokens":      {"GET", "/crm/cases/7", "", func(r *http.Request) { r.Header.Add("Authorization", "Bearer x") }, 401, "several"},
		"shown elsewhere": {"GET", "/crm/cases/7", "", func(r *http.Request) { r.Header.Set("X-Note", token) }, 400, "passed on"},
		"in the address":  {"GET", "/crm/cases/" + token, "", nil, 400, "logged"},
		"no upstream":     {"GET", "/other/cases/7", "", nil, 404, "names no upstream"},
		"too long":        {"POST", "/crm/cases/7", `{"text":"` + strings.Repeat("x", 2<<20) + `"}`, nil, 413, "more than"},
	} {
		got := b.call(c.method, c.path, c.body, c.change)
		if got.status != c.status || !strings.Contains(got.body, c.says) || got.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %+v", name, got)
		}
		if (got.header.Get("Retry-After") != "") != (got.status == 429) {
			t.Errorf("%s: try again after %q", name, got.header.Get("Retry-After"))
		}
	}
	if paths := b.reached(); len(paths) != 2 {
		t.Errorf("the upstream was reached: %q", paths)
	}
}

// Rule 4 at the gateway: what cannot be decided is refused.
func TestNothingIsCalledWhenNothingCanBeDecided(t *testing.T) {
	b := setup(t, copyOf(cases), hello, nil)
	b.silent = true
	if got := b.call("GET", "/crm/cases/7", "", nil); got.status != 503 || !strings.Contains(got.body, "could not be decided") {
		t.Errorf("%+v", got)
	}
	if paths := b.reached(); len(paths) != 0 {
		t.Errorf("the upstream was reached: %q", paths)
	}
}

func TestABudgetOfBytesCountsWhatWasPassedOn(t *testing.T) {
	b := setup(t, copyOf(cases), hello, nil)
	if got := b.call("GET", "/crm/heavy", "", nil); got.status != 200 {
		t.Fatalf("%+v", got)
	}
	if got := b.call("GET", "/crm/heavy", "", nil); got.status != 429 || len(b.settled) != 1 || b.settled[0].Bytes != len("hello from /v1/heavy") {
		t.Errorf("%+v, settled %+v", got, b.settled)
	}
}

// events streams: one event at once, and the next when it is let.
func events(next <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for n := 1; ; n++ {
			fmt.Fprintf(w, "data: %d\n\n", n)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
		}
	}
}

// stream opens a stream, and returns its lines.
func (b *bench) stream() *bufio.Reader {
	b.Helper()
	r, _ := http.NewRequestWithContext(b.Context(), "GET", b.url+"/crm/cases/events", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	got, err := http.DefaultClient.Do(r)
	if err != nil || got.StatusCode != 200 {
		b.Fatal(got, err)
	}
	b.Cleanup(func() { got.Body.Close() })
	return bufio.NewReader(got.Body)
}

// ASI10 Rogue Agents: a stream that is open does not outlive its release by a second.
func TestRule10StreamsAreStreamsAndEndWithTheRelease(t *testing.T) {
	for name, stop := range map[string]func(*bench){
		"the release stops":    func(b *bench) { b.stands = false },
		"the server is silent": func(b *bench) { b.silent = true },
	} {
		t.Run(name, func(t *testing.T) {
			next := make(chan struct{})
			b := setup(t, copyOf(cases), events(next), nil)
			lines := b.stream()
			for n := 1; n <= 3; n++ {
				if line, err := lines.ReadString('\n'); err != nil || line != fmt.Sprintf("data: %d\n", n) {
					t.Fatal(line, err)
				}
				_, _ = lines.ReadString('\n')
				if n < 3 {
					next <- struct{}{}
				}
			}
			b.mu.Lock()
			stop(b)
			b.mu.Unlock()
			began := time.Now()
			if line, err := lines.ReadString('\n'); err == nil {
				t.Errorf("the stream goes on: %q", line)
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("it ended after %s", took)
			}
		})
	}
}
