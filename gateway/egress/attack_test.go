package egress_test

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/gateway/egress"
)

// raw sends bytes as they are, and returns the statuses of what was answered.
func (b *bench) raw(text string) (statuses []int) {
	b.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(300 * time.Millisecond))
	if _, err := io.WriteString(conn, strings.ReplaceAll(text, "TOKEN", token)); err != nil {
		b.Fatal(err)
	}
	answers := bufio.NewReader(conn)
	for {
		got, err := http.ReadResponse(answers, nil)
		if err != nil {
			return statuses
		}
		_, _ = io.Copy(io.Discard, got.Body)
		statuses = append(statuses, got.StatusCode)
	}
}

// ASI02 Tool Misuse: whatever is written on the connection, the upstream sees
// what was decided about and nothing else: one request for one decision, framed
// anew, and never the path that is not granted.
func TestSmugglingReachesNothing(t *testing.T) {
	b := setup(t, copyOf(cases), hello, nil)
	const (
		start  = "POST /crm/cases/7 HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer TOKEN\r\nContent-Type: text/plain\r\n"
		hidden = "GET /v1/admin HTTP/1.1\r\nHost: g\r\n\r\n"
	)
	for name, text := range map[string]string{
		"CL.TE":                   start + "Content-Length: 44\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
		"TE.CL":                   start + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n26\r\n" + hidden + "\r\n0\r\n\r\n",
		"two lengths":             start + "Content-Length: 0\r\nContent-Length: 38\r\n\r\n" + hidden,
		"lengths in a list":       start + "Content-Length: 0, 38\r\n\r\n" + hidden,
		"length with a sign":      start + "Content-Length: +0\r\n\r\n" + hidden,
		"folded":                  start + "Transfer-Encoding:\r\n chunked\r\nContent-Length: 0\r\n\r\n" + hidden,
		"space before the colon":  start + "Transfer-Encoding : chunked\r\nContent-Length: 0\r\n\r\n" + hidden,
		"another coding":          start + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + hidden,
		"two codings":             start + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + hidden,
		"coding in HTTP/1.0":      strings.Replace(start, "HTTP/1.1", "HTTP/1.0", 1) + "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n" + hidden,
		"CR in a field":           start + "X-A: 1\rX-B: 2\r\nContent-Length: 0\r\n\r\n",
		"NUL in a field":          start + "X-A: 1\x002\r\nContent-Length: 0\r\n\r\n",
		"chunk with a large size": start + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n" + hidden,
		"two hosts":               "GET /crm/cases/7 HTTP/1.1\r\nHost: g\r\nHost: h\r\nAuthorization: Bearer TOKEN\r\n\r\n",
		"no host":                 "GET /crm/cases/7 HTTP/1.1\r\nAuthorization: Bearer TOKEN\r\n\r\n",
		"absolute form":           "GET " + b.upstream.URL + "/v1/admin HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer TOKEN\r\n\r\n",
		"CONNECT":                 "CONNECT " + strings.TrimPrefix(b.upstream.URL, "http://") + " HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer TOKEN\r\n\r\n",
		"OPTIONS *":               "OPTIONS * HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer TOKEN\r\n\r\n",
		"TRACE":                   "TRACE /crm/cases/7 HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer TOKEN\r\n\r\n",
		"upgrade":                 "GET /crm/cases/7 HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer TOKEN\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"h2c":                     "GET /crm/cases/7 HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer TOKEN\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
		"prior knowledge":         "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"dots":                    "GET /crm/cases/../admin HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer TOKEN\r\n\r\n",
		"encoded dots":            "GET /crm/cases/%2e%2e/admin HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer TOKEN\r\n\r\n",
		"out of the base":         "GET /crm/../../admin HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer TOKEN\r\n\r\n",
		"line in the target":      "GET /crm/cases/7%0d%0aHost:%20h HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer TOKEN\r\n\r\n",
		"taken on the way":        "GET /crm/cases/7 HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer TOKEN\r\nConnection: close, Authorization\r\n\r\n",
	} {
		before := len(b.reached())
		statuses := b.raw(text)
		after := b.reached()
		for _, path := range after[before:] {
			if path != "POST /v1/cases/7" {
				t.Errorf("%s: the upstream was asked %q", name, path)
			}
		}
		if len(after)-before > 1 {
			t.Errorf("%s: one request became %q", name, after[before:])
		}
		for _, status := range statuses {
			if status == 200 && len(after) == before {
				t.Errorf("%s: answered %v, by nobody", name, statuses)
			}
		}
	}
	for i, r := range b.requests {
		if r.Header.Get("Transfer-Encoding") != "" || len(r.TransferEncoding) > 0 && r.ContentLength >= 0 || strings.Contains(b.bodies[i], "Bearer") {
			t.Errorf("the upstream got a request in two frames: %+v %q", r.Header, b.bodies[i])
		}
	}
}

// ASI03 Identity and Privilege Abuse, NHI2 Secret Leakage: who goes around the
// gateway has nothing that opens the upstream, learns nothing on the way that
// would, and does not have the gateway lead it there.
func TestAttackGoingAroundTheGateway(t *testing.T) {
	b := setup(t, copyOf(cases), func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+secret {
			http.Error(w, "who are you", http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, "the case")
	}, nil)
	through := b.call("GET", "/crm/cases/7", "", nil)
	if through.status != 200 || through.body != "the case" {
		t.Fatalf("through the gateway: %d %s", through.status, through.body)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.upstream.URL+"/v1/cases/7", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	direct, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	direct.Body.Close()
	if direct.StatusCode != http.StatusUnauthorized {
		t.Errorf("around the gateway, with the workload's own token: %s", direct.Status)
	}
	before := len(b.requests)
	host := strings.TrimPrefix(b.upstream.URL, "http://")
	for _, line := range []string{"GET http://" + host + "/v1/cases/7", "CONNECT " + host, "GET //" + host + "/v1/cases/7", "GET /crm/../../v1/admin", "GET /crm@" + host + "/", "GET /" + host + "/v1/cases/7"} {
		for _, status := range b.raw(line + " HTTP/1.1\r\nHost: " + host + "\r\nAuthorization: Bearer " + token + "\r\nConnection: close\r\n\r\n") {
			if status < 400 {
				t.Errorf("%s: %d", line, status)
			}
		}
	}
	if after := len(b.requests); after != before {
		t.Errorf("%d requests reached the upstream", after-before)
	}
	if seen := fmt.Sprint(through.header, through.body); strings.Contains(seen, secret) {
		t.Errorf("the workload has seen the credential: %s", seen)
	}
}

// ASI03 Identity and Privilege Abuse: an upstream cannot lead the gateway, or who
// calls by it, to where the grant does not.
func TestRedirectsAreDecidedLikeAnyRequest(t *testing.T) {
	to := ""
	b := setup(t, copyOf(cases), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", to)
		w.Header().Set("Refresh", "0; url="+to)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}, nil)
	for where, want := range map[string]string{
		"/v1/cases/8": "/crm/cases/8", b.upstream.URL + "/v1/other": "/crm/other", "9?x=1": "/crm/cases/9?x=1",
		"https://evil.example/v1/cases/8": "", "//evil.example/": "", "/v1/../admin": "", "http://169.254.169.254/latest/": "", "file:///etc/passwd": "", "http://user@" + strings.TrimPrefix(b.upstream.URL, "http://") + "/v1/x": "",
	} {
		to = where
		got := b.call("GET", "/crm/cases/7", "", nil)
		if got.header.Get("Location") != want || got.header.Get("Refresh") != "" || (got.status == 307) != (want != "") {
			t.Errorf("%s: %+v", where, got)
		}
	}
	if paths := b.reached(); len(paths) != 9 {
		t.Errorf("a redirect was followed: %q", paths)
	}
}

// ASI05, and server-side request forgery: what is not public is not called, by
// whatever name, unless that is configured.
func TestInternalAddressesAreNotCalled(t *testing.T) {
	for _, address := range []string{"https://127.0.0.1/", "https://169.254.169.254/", "https://[::1]/", "http://example.org/", "https://10.0.0.1/x", "https://0.0.0.0/"} {
		cfg := egress.Config{Upstreams: map[string]egress.Upstream{"x": {URL: address}}}
		if _, err := egress.New(t.Context(), cfg, egress.Options{}); err == nil {
			t.Errorf("%s is taken", address)
		}
	}
	inside := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was called") }))
	defer inside.Close()
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(inside.URL, "https://"))
	may := copyOf(cases)
	may.APIs[0].Resource = "localhost:" + port + "/*"
	b := setup(t, may, hello, func(c *egress.Config) {
		// A name that resolves to this machine, as one that was rebound would.
		c.Upstreams["rebound"] = egress.Upstream{URL: "https://localhost:" + port}
	})
	if got := b.call("GET", "/rebound/x", "", nil); got.status != 502 || !strings.Contains(got.body, "not public") {
		t.Errorf("%+v", got)
	}
}

// NHI2 Secret Leakage: the credential does not come back to the model, in whatever
// parts the answer comes.
func TestAnAnswerThatShowsTheCredentialIsCutOff(t *testing.T) {
	how := ""
	b := setup(t, copyOf(cases), func(w http.ResponseWriter, r *http.Request) {
		shown := r.Header.Get("Authorization")
		switch how {
		case "header":
			w.Header().Set("X-Debug", shown)
		case "compressed":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, shown)
			z.Close()
			return
		case "whole":
			_, _ = io.WriteString(w, "before "+shown+" behind")
			return
		case "parts":
			for _, c := range "before " + shown + " behind" {
				_, _ = io.WriteString(w, string(c))
				_ = http.NewResponseController(w).Flush()
			}
			return
		}
		_, _ = io.WriteString(w, shown[:len(shown)-1]+" nearly")
	}, nil)
	for _, how = range []string{"header", "compressed", "whole", "parts", "nearly"} {
		got := b.call("GET", "/crm/cases/7", "", nil)
		if strings.Contains(fmt.Sprint(got.header, got.body), secret) {
			t.Errorf("%s: %+v", how, got)
		}
		switch how {
		case "header":
			if got.status != 200 || got.header.Get("X-Debug") != "" {
				t.Errorf("%s: %+v", how, got)
			}
		case "nearly":
			if got.err != nil || !strings.HasSuffix(got.body, " nearly") {
				t.Errorf("%s: %+v", how, got)
			}
		case "compressed":
			if got.status != 502 {
				t.Errorf("%s: %+v", how, got)
			}
		default:
			if got.err == nil {
				t.Errorf("%s: the answer ends as if it were whole: %+v", how, got)
			}
		}
	}
}

// A hostile upstream: answers without end, in another protocol, or none.
func TestAHostileUpstreamEndsItsOwnAnswerAlone(t *testing.T) {
	how := ""
	b := setup(t, copyOf(cases), func(w http.ResponseWriter, r *http.Request) {
		conn, buf, _ := http.NewResponseController(w).Hijack()
		defer conn.Close()
		switch how {
		case "endless":
			fmt.Fprint(buf, "HTTP/1.1 200 OK\r\n\r\n")
			for range 3 << 20 / 1024 {
				fmt.Fprint(buf, strings.Repeat("x", 1024))
			}
		case "said to be long":
			fmt.Fprint(buf, "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")
		case "cut off":
			fmt.Fprint(buf, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")
		case "another protocol":
			fmt.Fprint(buf, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
		case "headers without end":
			fmt.Fprint(buf, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<20)+"\r\n\r\n")
		case "two answers":
			fmt.Fprint(buf, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy")
		case "unauthorized":
			fmt.Fprint(buf, "HTTP/1.1 401 Unauthorized\r\nWww-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")
		}
		buf.Flush()
	}, nil)
	for _, how = range []string{"endless", "said to be long", "cut off", "another protocol", "headers without end", "two answers", "unauthorized", "nothing"} {
		got := b.call("GET", "/crm/cases/7", "", nil)
		if got.status != 502 && got.err == nil || len(got.body) > 1<<20+200 || got.header.Get("Www-Authenticate") != "" {
			t.Errorf("%s: %d %v, %d bytes", how, got.status, got.err, len(got.body))
		}
	}
}

// A body that is announced and never sent holds a connection for some seconds.
func TestARefusedBodyHoldsNoConnection(t *testing.T) {
	b := setup(t, copyOf(cases), hello, nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(conn, "POST /crm/other HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer %s\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\n", token)
	if all, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(all), "HTTP/1.1 403") {
		t.Errorf("%q %v", all, err)
	}
}
