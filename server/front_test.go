package server_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
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

	"github.com/go-json-experiment/json"

	"imprimatur.dev/record"
	"imprimatur.dev/server/mlflow"
)

// before is a front with an upstream that notes what reaches it.
type before struct {
	*house
	url      string
	upstream *httptest.Server
	mu       sync.Mutex
	seen     []*http.Request
	answer   http.HandlerFunc
}

// standBefore puts a front between callers and an upstream.
func standBefore(h *house, opts mlflow.FrontOptions, answer http.HandlerFunc) *before {
	h.Helper()
	b := &before{house: h, answer: answer}
	b.upstream = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		b.seen = append(b.seen, r)
		b.mu.Unlock()
		if b.answer != nil {
			b.answer(w, r)
			return
		}
		fmt.Fprintf(w, "upstream of %s", r.URL.EscapedPath())
	}))
	h.Cleanup(b.upstream.Close)
	opts.Log, opts.URL = slog.New(slog.NewTextHandler(h.log, nil)), h.url
	if opts.Upstream == "" {
		opts.Upstream = b.upstream.URL
	}
	front := httptest.NewUnstartedServer(must[http.Handler](h)(mlflow.NewFront(h.reg, opts)))
	// The transfers of the tests last longer.
	front.Config.ReadTimeout, front.Config.WriteTimeout = 200*time.Millisecond, 200*time.Millisecond
	front.Start()
	h.Cleanup(front.Close)
	b.url = front.URL
	return b
}

// reached returns the requests that the upstream has seen since the last call.
func (b *before) reached() []*http.Request {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.seen
	b.seen = nil
	return out
}

// raw sends a request whose target is written just so.
func (b *before) raw(who, method, target, body string) (int, string) {
	b.Helper()
	conn := must[net.Conn](b)(new(net.Dialer).DialContext(b.ctx, "tcp", strings.TrimPrefix(b.url, "http://")))
	defer conn.Close()
	auth := ""
	if who != "" {
		auth = "Authorization: Bearer " + b.tokens[who] + "\r\n"
	}
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: front\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n%s", method, target, auth, len(body), body)
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		b.Fatalf("%s %s: %v", method, target, err)
	}
	defer answer.Body.Close()
	return answer.StatusCode, string(must[[]byte](b)(io.ReadAll(answer.Body)))
}

// denies demands a refusal in MLflow's shape that the client shows at once, and
// that nothing reaches the upstream.
func (b *before) denies(who, method, target, body string, says ...string) {
	b.Helper()
	status, text := b.raw(who, method, target, body)
	var fault struct {
		Code    string `json:"error_code"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal([]byte(text), &fault); err != nil || fault.Code == "" || fault.Message == "" || status < 400 || status >= 500 || status == 408 || status == 429 {
		b.Errorf("%s %s %s: got %d %s, want a refusal", who, method, target, status, text)
	}
	for _, s := range says {
		if !strings.Contains(fault.Message, s) {
			b.Errorf("%s %s: the refusal does not say %q: %s", method, target, s, fault.Message)
		}
	}
	for _, r := range b.reached() {
		b.Errorf("%s %s reached the upstream as %s", method, target, r.URL.EscapedPath())
	}
}

// passes demands that a request reaches the upstream as it was written.
func (b *before) passes(who, method, target, body, want string) {
	b.Helper()
	status, text := b.raw(who, method, target, body)
	seen := b.reached()
	if status != http.StatusOK || len(seen) != 1 || seen[0].URL.RequestURI() != want {
		b.Errorf("%s %s %s: got %d %s, and the upstream saw %d requests; want %s", who, method, target, status, text, len(seen), want)
	}
}

// No way of writing a path of the registry leads to the upstream's own registry.
func TestFrontHasNoWayRound(t *testing.T) {
	t.Parallel()
	b := standBefore(settle(t), mlflow.FrontOptions{}, nil)
	for _, target := range []string{
		"/api/2.0/mlflow//registered-models/alias",
		"/api/2.0//mlflow/registered-models/alias",
		"//api/2.0/mlflow/registered-models/alias",
		"/api/2.0/mlflow/registered-models//alias",
		"/api/2.0/mlflow/registered-models/alias/",
		"/api/2.0/mlflow/./registered-models/alias",
		"/api/2.0/mlflow/runs/../registered-models/alias",
		"/api/2.0/mlflow-artifacts/artifacts/../../mlflow/registered-models/alias",
		"/t/lab/../../api/2.0/mlflow/registered-models/alias",
		"/t//api/2.0/mlflow/registered-models/alias/",
		"/api/2.0/mlflow/%72egistered-models/alias",
		"/api/2.0/mlflow/registered%2Dmodels/alias",
		"/api/2.0/mlflow%2Fregistered-models%2Falias",
		"/api/2.0/mlflow/%2572egistered-models/alias",
		"/api/2.0/mlflow/runs/%2e%2e/registered-models/alias",
		"/api/2.0/mlflow/runs/%252e%252e/registered-models/alias",
		"/api/2.0/mlflow/registered-models/%61lias",
		"/api/2.0/mlflow/Registered-Models/alias",
		"/API/2.0/mlflow/registered-models/alias",
		"/ajax-api/2.0/MLFLOW/registered-models/alias",
		"/api/2.0/mlflow/registered-models;x/alias",
		"/api/2.0/mlflow\\registered-models/alias",
		"/api/2.0/mlflow%5cregistered-models/alias",
		"/api/2.0/mlflow/registered-models%00/alias",
		"/api/2.0/mlflow/registered-models%20/alias",
		"/api/3.0/mlflow/registered-models/alias",
		"/ajax-api/3.0/mlflow/model-versions/transition-stage",
		"/api/2.1/mlflow/model-versions/create",
		"/static-prefix/ajax-api/2.0/mlflow//registered-models/alias",
		"/api/2.0/mlflow/registered-models/permissions/create",
		"/api/2.0/mlflow/registered-models/unheard-of",
		"/api/2.0/mlflow/model-versions",
		"/api/2.0/mlflow/webhooks/../registered-models/alias",
		"http://elsewhere/api/2.0/mlflow/registered-models/alias/",
	} {
		for _, who := range []string{"", "ann"} {
			b.denies(who, http.MethodPost, target, `{"name":"net","alias":"champion","version":"1"}`)
		}
	}
	for _, target := range []string{
		"/api/2.0/mlflow/registered-models/alias", "/ajax-api/2.0/mlflow/registered-models/alias", "/t/lab/api/2.0/mlflow/registered-models/alias",
		"/prefix/ajax-api/2.0/mlflow/registered-models/alias", "http://elsewhere/api/2.0/mlflow/registered-models/alias",
	} {
		b.denies("ann", http.MethodPost, target, `{"name":"net","alias":"champion","version":"1"}`, "(name=net, version=1) not found")
		b.denies("", http.MethodPost, target, `{"name":"net","alias":"champion","version":"1"}`, "token")
	}
}

// What is not of the registry is passed on as it was written.
func TestFrontPassesTheRestOn(t *testing.T) {
	t.Parallel()
	b := standBefore(settle(t), mlflow.FrontOptions{}, nil)
	for _, path := range []string{
		"/", "/static-files/static/js/main.js", "/version", "/health", "/api/3.0/mlflow/server-info", "/v1/traces",
		"/api/2.0/mlflow/runs/get?run_id=1&run_id=2", "/ajax-api/2.0/mlflow/experiments/search", "/api/2.0/mlflow//runs/create",
		"/api/2.0/mlflow-artifacts/artifacts/0/a%20b/c%2Fd%25/model-versions/registered-models", "/gateway/chat/mlflow/invocations",
		"/api/v1/releases", "/log/checkpoint", "/healthz", "/models/net/versions/3", "/prefix/ajax-api/2.0/mlflow/runs/search",
	} {
		b.passes("", http.MethodPost, path, "{}", path)
		b.passes("ann", http.MethodPost, path, "{}", path)
	}
	b.passes("", http.MethodGet, "/t/lab/api/2.0/mlflow/runs/get?run_id=1", "", "/api/2.0/mlflow/runs/get?run_id=1")
}

// The upstream sees the configured credentials, or the caller's own, and never a
// token of ours.
func TestFrontSignsIn(t *testing.T) {
	t.Parallel()
	h := settle(t)
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	token := h.tokens["ann"]
	for _, c := range []struct {
		configured, sent string
		status           int
		sees             string
	}{
		{"", "", 200, ""},
		{"", "Bearer theirs", 200, "Bearer theirs"},
		{"", basic("me", "theirs"), 200, basic("me", "theirs")},
		{"", "Bearer " + token, 200, ""},
		{"", basic("me", token), 200, ""},
		{"", basic(token, "x"), 401, ""},
		{"", token, 401, ""},
		{"", "Bearer imp_expired_0", 401, ""},
		{"svc:secret", "Bearer " + token, 200, basic("svc", "secret")},
		{"svc:secret", basic("x", token), 200, basic("svc", "secret")},
		{"svc:secret", "", 401, ""},
		{"svc:secret", "Bearer theirs", 401, ""},
		{"a-token", "Bearer " + token, 200, "Bearer a-token"},
	} {
		b := standBefore(h, mlflow.FrontOptions{Credentials: c.configured}, nil)
		req := must[*http.Request](t)(http.NewRequestWithContext(h.ctx, http.MethodGet, b.url+"/api/2.0/mlflow/runs/get", nil))
		if c.sent != "" {
			req.Header.Set("Authorization", c.sent)
		}
		req.Header.Set("Cookie", "theirs=1; imprimatur=secret; __Host-imprimatur=secret; other="+token)
		answer := must[*http.Response](t)(http.DefaultClient.Do(req))
		answer.Body.Close()
		seen := b.reached()
		if answer.StatusCode != c.status || (len(seen) == 1) != (c.status == 200) {
			t.Errorf("%q with %q: got %d and %d requests, want %d", c.configured, c.sent, answer.StatusCode, len(seen), c.status)
			continue
		}
		if c.status == http.StatusUnauthorized {
			if answer.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("%q: no browser asks for a password", c.sent)
			}
			continue
		}
		if got := seen[0].Header.Get("Authorization"); got != c.sees {
			t.Errorf("%q with %q: the upstream sees %q, want %q", c.configured, c.sent, got, c.sees)
		}
		if got := seen[0].Header.Get("Cookie"); got != "theirs=1" {
			t.Errorf("the upstream sees the cookies %q", got)
		}
	}
	b := standBefore(h, mlflow.FrontOptions{Credentials: "svc:secret"}, nil)
	b.passes("", http.MethodGet, "/health", "", "/health")
}

// The addresses in headers are right, and a redirect stays on this side.
func TestFrontHidesTheUpstream(t *testing.T) {
	t.Parallel()
	var b *before
	b = standBefore(settle(t), mlflow.FrontOptions{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", b.upstream.URL+"/api/2.0/mlflow/registered-models/create?x=1")
		w.WriteHeader(http.StatusPermanentRedirect)
	})
	for _, origin := range []string{b.url, "http://attacker.example"} {
		req := must[*http.Request](t)(http.NewRequestWithContext(b.ctx, http.MethodPost, b.url+"/ajax-api/2.0/mlflow/runs/search", strings.NewReader("{}")))
		req.Header.Set("Origin", origin)
		req.Header.Set("X-Forwarded-For", "127.0.0.1")
		answer := must[*http.Response](t)((&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req))
		answer.Body.Close()
		seen := b.reached()
		if origin != b.url {
			if answer.StatusCode != http.StatusForbidden || len(seen) != 0 {
				t.Errorf("another site's page: got %d, and %d requests passed", answer.StatusCode, len(seen))
			}
			continue
		}
		if got := answer.Header.Get("Location"); got != "/api/2.0/mlflow/registered-models/create?x=1" {
			t.Errorf("redirected to %s", got)
		}
		at := strings.TrimPrefix(b.upstream.URL, "http://")
		if len(seen) != 1 || seen[0].Host != at || seen[0].Header.Get("Origin") != b.upstream.URL ||
			seen[0].Header.Get("X-Forwarded-For") != "127.0.0.1, 127.0.0.1" || seen[0].Header.Get("X-Forwarded-Host") == at {
			t.Errorf("the upstream saw %+v", seen)
		}
	}
}

// Bytes go through as they come, for longer than the server lets other requests
// last, and in memory that does not grow with them.
func TestFrontStreams(t *testing.T) {
	t.Parallel()
	const parts, size = 8, 1 << 20
	part := bytes.Repeat([]byte("x"), size)
	heard := make(chan struct{})
	b := standBefore(settle(t), mlflow.FrontOptions{}, func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodPut:
			for range parts {
				if _, err := io.ReadFull(r.Body, make([]byte, size)); err != nil {
					t.Errorf("the upload was cut: %v", err)
				}
				heard <- struct{}{}
			}
		case http.MethodGet:
			for range parts {
				_, _ = w.Write(part)
				_ = http.NewResponseController(w).Flush()
				<-heard
			}
		}
	})
	// Each part waits for the one before to have arrived.
	tick := time.NewTicker(60 * time.Millisecond)
	defer tick.Stop()
	pr, pw := io.Pipe()
	go func() {
		for range parts {
			<-tick.C
			_, _ = pw.Write(part)
			<-heard
		}
		pw.Close()
	}()
	req := must[*http.Request](t)(http.NewRequestWithContext(b.ctx, http.MethodPut, b.url+"/api/2.0/mlflow-artifacts/artifacts/0/big", pr))
	answer := must[*http.Response](t)(http.DefaultClient.Do(req))
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("the upload was answered with %s", answer.Status)
	}
	answer = must[*http.Response](t)(http.Get(b.url + "/api/2.0/mlflow-artifacts/artifacts/0/big"))
	defer answer.Body.Close()
	for range parts {
		<-tick.C
		if _, err := io.ReadFull(answer.Body, make([]byte, size)); err != nil {
			t.Fatalf("the download was cut: %v", err)
		}
		heard <- struct{}{}
	}
}

// A connection that changes its protocol goes through both ways.
func TestFrontHandsConnectionsOver(t *testing.T) {
	t.Parallel()
	b := standBefore(settle(t), mlflow.FrontOptions{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "echo")
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		line, _ := rw.ReadString('\n')
		_, _ = conn.Write([]byte("echo " + line))
	})
	conn := must[net.Conn](t)(net.Dial("tcp", strings.TrimPrefix(b.url, "http://")))
	defer conn.Close()
	fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: front\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	in := bufio.NewReader(conn)
	answer := must[*http.Response](t)(http.ReadResponse(in, nil))
	fmt.Fprintf(conn, "hello\n")
	if got := must[string](t)(in.ReadString('\n')); answer.StatusCode != http.StatusSwitchingProtocols || got != "echo hello\n" {
		t.Errorf("got %s and %q", answer.Status, got)
	}
}

// Whatever the upstream does, the caller is told in MLflow's shape, or is cut off
// where an answer had begun.
func TestFrontSaysWhatIsWrongWithTheUpstream(t *testing.T) {
	t.Parallel()
	h := settle(t)
	nonsense := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	defer nonsense.Close()
	go func() {
		for {
			conn, err := nonsense.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("nonsense\n\n"))
			conn.Close()
		}
	}()
	release := make(chan struct{})
	defer close(release)
	for _, c := range []struct {
		name, upstream, says string
		answer               http.HandlerFunc
	}{
		{"down", "http://127.0.0.1:1", "cannot be reached", nil},
		{"nonsense", "http://" + nonsense.Addr().String(), "does not answer as a server of MLflow does", nil},
		{"slow", "", "has not answered in time", func(_ http.ResponseWriter, _ *http.Request) { <-release }},
	} {
		b := standBefore(h, mlflow.FrontOptions{Upstream: c.upstream, Patience: 300 * time.Millisecond}, c.answer)
		status, text := b.raw("ann", http.MethodGet, "/api/2.0/mlflow/runs/get", "")
		if status != http.StatusServiceUnavailable || !strings.Contains(text, `"error_code":"TEMPORARILY_UNAVAILABLE"`) || !strings.Contains(text, c.says) {
			t.Errorf("%s: got %d %s", c.name, status, text)
		}
		// The registry does not need it.
		b.reached()
		b.denies("ann", http.MethodGet, "/api/2.0/mlflow/registered-models/get?name=none", "", "not found")
	}
	b := standBefore(h, mlflow.FrontOptions{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("half"))
	})
	answer, err := http.Get(b.url + "/")
	if err == nil {
		_, err = io.ReadAll(answer.Body)
		answer.Body.Close()
	}
	if err == nil {
		t.Error("half an answer looked like a whole one")
	}
}

const (
	runA  = "0123456789abcdef0123456789abcdef"
	logA  = "m-0123456789abcdef0123456789abcdef"
	other = "ffffffffffffffffffffffffffffffff"
)

// The bytes of registered versions are given to whom the versions are given, by
// whatever path, and nobody changes them.
func TestFrontGatesBytes(t *testing.T) {
	t.Parallel()
	h := settle(t)
	h.enrol(record.Principal{Name: "serving", Type: record.Workload, Owner: "olga", Purpose: "serves", Expires: now().AddDate(1, 0, 0)})
	must[record.Recorded[record.Environment]](t)(h.admin.SetEnvironment(h.ctx, record.Environment{Name: "production", LeastTier: "low", Policy: "house", Workloads: []string{"serving"}}))
	b := standBefore(h, mlflow.FrontOptions{Options: mlflow.Options{Team: "lab"}}, nil)
	b.raw("ann", http.MethodPost, "/api/2.0/mlflow/registered-models/create", `{"name":"n"}`)
	for _, source := range []string{"mlflow-artifacts:/0/" + runA + "/artifacts/model", "models:/" + logA} {
		if status, text := b.raw("ann", http.MethodPost, "/api/2.0/mlflow/model-versions/create", `{"name":"n","source":"`+source+`"}`); status != 200 {
			t.Fatal(text)
		}
	}
	proxy := "/api/2.0/mlflow-artifacts/"
	for _, read := range []struct{ method, target, body string }{
		{"GET", proxy + "artifacts/0/" + runA + "/artifacts/model/MLmodel", ""},
		{"GET", "/ajax-api/2.0/mlflow-artifacts/artifacts/0/" + runA + "/artifacts/model/MLmodel", ""},
		{"GET", proxy + "artifacts?path=0/" + runA + "/artifacts/model", ""},
		{"GET", proxy + "presigned/0/" + runA + "/artifacts/model/MLmodel", ""},
		{"GET", proxy + "artifacts/0/models/" + logA + "/artifacts/MLmodel", ""},
		{"GET", "/get-artifact?run_uuid=" + runA + "&path=model/MLmodel", ""},
		{"GET", "/get-artifact?path=model/x/../MLmodel&run_id=" + runA, ""},
		{"GET", "/ajax-api/2.0/mlflow/logged-models/" + logA + "/artifacts/files?artifact_file_path=MLmodel", ""},
		{"POST", "/api/2.0/mlflow/artifacts/presigned-download-url", `{"run_id":"` + runA + `","path":"model/MLmodel"}`},
		{"POST", "/api/2.0/mlflow/artifacts/presigned-download-url", `{"runId":"` + runA + `","path":"model/MLmodel"}`},
	} {
		b.denies("", read.method, read.target, read.body, "signed in")
		b.denies("serving", read.method, read.target, read.body, "serving runs in production")
		b.passes("ann", read.method, read.target, read.body, read.target)
	}
	for _, write := range []struct{ method, target, body string }{
		{"PUT", proxy + "artifacts/0/" + runA + "/artifacts/model/MLmodel", "x"},
		{"PUT", proxy + "artifacts/0/" + strings.ToUpper(runA) + "/artifacts/model/MLmodel", "x"},
		{"PUT", proxy + "artifacts/0//" + runA + "/artifacts/./model/MLmodel", "x"},
		{"PUT", proxy + "artifacts/0%2F" + runA + "/artifacts/mod%65l/MLmodel", "x"},
		{"DELETE", proxy + "artifacts/0/" + runA + "/artifacts", ""},
		{"DELETE", proxy + "artifacts/0/" + runA, ""},
		{"DELETE", proxy + "artifacts/0", ""},
		{"POST", proxy + "mpu/create/0/" + runA + "/artifacts/model/x", "{}"},
		{"POST", proxy + "mpu/complete/0/models/" + logA + "/artifacts/x", "{}"},
		{"POST", "/ajax-api/2.0/mlflow/upload-artifact?run_uuid=" + runA + "&path=model/MLmodel", "x"},
		{"POST", "/api/2.0/mlflow/artifacts/presigned-upload-url", `{"run_id":"` + runA + `","path":"model/MLmodel"}`},
	} {
		b.denies("ann", write.method, write.target, write.body)
	}
	// Of two runs the upstream might read the other one.
	b.denies("ann", "POST", "/ajax-api/2.0/mlflow/upload-artifact?run_uuid="+other+"&run_id="+runA+"&path=model/MLmodel", "x", "2 runs")
	b.denies("ann", "POST", "/api/2.0/mlflow/artifacts/presigned-upload-url", `{"run_id":"`+other+`","runId":"`+runA+`","path":"model"}`, "2 runs")
	b.denies("ann", "POST", "/api/2.0/mlflow/artifacts/presigned-upload-url", `{"run_id":"`+other+`","run_id":"`+runA+`","path":"model"}`)

	// What is registered nowhere is nobody's business here, but a workload of an
	// environment has none of it.
	elsewhere := proxy + "artifacts/0/" + other + "/artifacts/model/MLmodel"
	for _, who := range []string{"", "ann"} {
		b.passes(who, "GET", elsewhere, "", elsewhere)
		b.passes(who, "PUT", elsewhere, "x", elsewhere)
		b.passes(who, "DELETE", elsewhere, "", elsewhere)
	}
	b.denies("serving", "GET", elsewhere, "", "nothing is registered")
	b.denies("serving", "GET", proxy+"artifacts/0/"+runA+"/artifacts/x%252f..%252fmodel/MLmodel", "", "plainly")
	b.denies("serving", "POST", "/graphql", `{"query":"{test(inputString:\"x\"){output}}"}`, "production")
	b.denies("serving", "GET", "/ajax-api/3.0/jobs/1", "", "production")
	b.passes("serving", "POST", "/v1/traces", "{}", "/v1/traces")
	b.passes("serving", "GET", "/api/2.0/mlflow/logged-models/"+logA, "", "/api/2.0/mlflow/logged-models/"+logA)

	// A file of a version by its name, as the page asks for it.
	b.passes("ann", "GET", "/model-versions/get-artifact?name=n&version=1&path=a/ML%20model", "", proxy+"artifacts/0/"+runA+"/artifacts/model/a/ML%20model")
	b.passes("ann", "GET", "/model-versions/get-artifact?name=n&version=2&path=MLmodel", "", "/ajax-api/2.0/mlflow/logged-models/"+logA+"/artifacts/files?artifact_file_path=MLmodel")
	b.denies("ann", "GET", "/model-versions/get-artifact?name=n&version=1&path=../../x", "", "Invalid path")
	b.denies("ann", "GET", "/model-versions/get-artifact?name=n&version=7&path=MLmodel", "", "not found")
	b.denies("serving", "GET", "/model-versions/get-artifact?name=n&version=1&path=MLmodel", "", "production")
	b.denies("", "GET", "/model-versions/get-artifact?name=n&version=1&path=MLmodel", "")
}

// The page's queries see this registry, and none asks the upstream's.
func TestFrontAnswersThePagesQueries(t *testing.T) {
	t.Parallel()
	b := standBefore(settle(t), mlflow.FrontOptions{Options: mlflow.Options{Team: "lab"}}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write([]byte(`{"data":{"mlflowGetRun":{"run":{"info":{"runUuid":"` + runA + `"},"big":12345678901234567890,"modelVersions":[{"name":"theirs"}]}},"list":[{"modelVersions":[{"name":"theirs"}]}]}}`))
	})
	b.raw("ann", http.MethodPost, "/api/2.0/mlflow/registered-models/create", `{"name":"n"}`)
	b.raw("ann", http.MethodPost, "/api/2.0/mlflow/model-versions/create", `{"name":"n","source":"s3://b/k","run_id":"`+runA+`"}`)
	query := `{"query":"query GetRun($data: MlflowGetRunInput!) { mlflowGetRun(input: $data) { run { info { runUuid } modelVersions { name version } } } }","variables":{"data":{"runId":"` + runA + `"}}}`
	for who, want := range map[string]string{"ann": `"name":"n"`, "": `"modelVersions":[]`} {
		status, text := b.raw(who, http.MethodPost, "/graphql", query)
		if status != 200 || strings.Contains(text, "theirs") || !strings.Contains(text, want) || !strings.Contains(text, "12345678901234567890") {
			t.Errorf("%q: got %d %s, want %s", who, status, text, want)
		}
	}
	b.reached()
	for _, q := range []string{
		`{"query":"{ mlflowSearchModelVersions(input: {}) { modelVersions { name } } }"}`,
		`{"query":"{ x: mlflowSearch\u004dodelVersions(input: {}) { y: modelVersions { name } } }"}`,
		`{"query":"{ mlflowGetRun(input: {runId: \"1\"}) { run { x: modelVersions { name } } } }"}`,
		`{"query":"{ mlflowGetRun(input: {runId: \"1\"}) { run { x: # y\n modelVersions { name } } } }"}`,
		`{"query":"{ test }","query":"{ mlflowSearchModelVersions }"}`,
		`"{\"query\":\"{ mlflowSearchModelVersions }\"}"`,
		`[{"query":"{ mlflowSearchModelVersions }"}]`, ``,
	} {
		b.denies("ann", http.MethodPost, "/graphql", q)
		b.denies("ann", http.MethodGet, "/graphql", q)
		b.denies("ann", http.MethodPost, "//graphql/", q)
	}
	b.passes("ann", http.MethodPost, "/graphql", `{"query":"{ test }"}`, "/graphql")
}
