package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"

	"imprimatur.dev/record"
	"imprimatur.dev/server/envoy"
	"imprimatur.dev/wire"
)

// filter asks as Envoy's filter does, by one of its two services, about a request
// to crm.example.
type filter struct {
	*house
	grpc   authv3.AuthorizationClient
	suffix map[string]string // context extensions
	source string            // the principal of the client's certificate
	face   *envoy.Face
}

// verdict is what the filter does with a request.
type verdict struct {
	status  int
	why     string
	header  map[string]string // added to the request, or of the answer
	removed []string
}

func (f *filter) byGRPC(who, method, path, body string, header map[string]string) verdict {
	f.Helper()
	in := map[string]string{":method": method, ":path": path, ":authority": "crm.example", "authorization": "Bearer " + f.tokens[who], "x-forwarded-proto": "http"}
	if who == "" {
		delete(in, "authorization")
	}
	for name, value := range header {
		in[name] = value
	}
	if body != "" {
		in["content-length"], in["x-envoy-auth-partial-body"] = fmt.Sprint(len(body)), "false"
		if in["content-type"] == "" {
			in["content-type"] = "application/json"
		}
	}
	out := must[*authv3.CheckResponse](f)(f.grpc.Check(f.ctx, &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Request:           &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{Method: method, Path: path, Host: "crm.example", Scheme: "http", Protocol: "HTTP/1.1", Headers: in, Body: body}},
		ContextExtensions: f.suffix, Source: &authv3.AttributeContext_Peer{Principal: f.source},
	}}))
	if ok := out.GetOkResponse(); ok != nil && codes.Code(out.GetStatus().GetCode()) == codes.OK {
		return verdict{status: 200, header: plain(ok.GetHeaders()), removed: ok.GetHeadersToRemove()}
	}
	no := out.GetDeniedResponse()
	return verdict{status: int(no.GetStatus().GetCode()), why: no.GetBody(), header: plain(no.GetHeaders())}
}

func plain(options []*corev3.HeaderValueOption) map[string]string {
	out := map[string]string{}
	for _, o := range options {
		out[http.CanonicalHeaderKey(o.GetHeader().GetKey())] = o.GetHeader().GetValue()
	}
	return out
}

// byHTTP writes the request itself, since a client would bring the path to a form.
func (f *filter) byHTTP(who, method, path, body string, header map[string]string) verdict {
	f.Helper()
	conn := must[net.Conn](f)(net.Dial("tcp", strings.TrimPrefix(f.url, "http://")))
	defer conn.Close()
	head := fmt.Sprintf("%s /envoy/check%s HTTP/1.1\r\nHost: crm.example\r\nContent-Length: %d\r\nConnection: close\r\n", method, path, len(body))
	if who != "" {
		head += "Authorization: Bearer " + f.tokens[who] + "\r\n"
	}
	if body != "" {
		head += "X-Envoy-Auth-Partial-Body: false\r\n"
		if header["content-type"] == "" {
			head += "Content-Type: application/json\r\n"
		}
	}
	for name, value := range header {
		head += name + ": " + value + "\r\n"
	}
	_ = must[int](f)(io.WriteString(conn, head+"\r\n"+body))
	answer := must[*http.Response](f)(http.ReadResponse(bufio.NewReader(conn), nil))
	defer answer.Body.Close()
	v := verdict{status: answer.StatusCode, why: string(must[[]byte](f)(io.ReadAll(answer.Body))), header: map[string]string{}}
	for name := range answer.Header {
		v.header[name] = answer.Header.Get(name)
	}
	if remove := answer.Header.Get("X-Envoy-Auth-Headers-To-Remove"); remove != "" {
		v.removed = []string{remove}
	}
	return v
}

// filtered is an installation in which robot may do a little at crm.example, and
// a filter that asks it.
func filtered(t *testing.T) (*filter, wire.Case) {
	h := settle(t)
	h.evaluate(h.train("1"))
	p := proposal("1")
	p.Authority = record.Authority{Workloads: []string{"robot"}, APIs: []record.Grant{
		{Resource: "crm.example/cases/*", Actions: []string{"GET"}, Condition: `about.query.size() == 0 || about.query.ward == "7"`},
		{Resource: "crm.example/notes", Actions: []string{"POST"}, Condition: `!has(args.admin)`},
		{Resource: "crm.example/limited", Actions: []string{"GET"}, Limit: record.Limit{Calls: 1, Seconds: 60}},
	}}
	c := must[wire.Case](t)(h.people["ann"].ProposeRelease(h.ctx, p))
	must[wire.Case](t)(h.approve("olga", record.ModelOwner, c))
	must[wire.Case](t)(h.approve("rita", record.Risk, c))
	must[wire.Case](t)(h.approve("sam", record.Security, c))
	c = must[wire.Promoted](t)(h.people["olga"].Promote(h.ctx, c.ID)).Case
	l := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	ctx, stop := context.WithCancel(h.ctx)
	served := make(chan error, 1)
	face := envoy.New(h.reg, slog.New(slog.NewTextHandler(h.log, nil)))
	go func() { served <- face.ServeGRPC(ctx, l) }()
	conn := must[*grpc.ClientConn](t)(grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials())))
	t.Cleanup(func() {
		conn.Close()
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return &filter{house: h, grpc: authv3.NewAuthorizationClient(conn), face: face}, c
}

// services runs a test by both services.
func services(t *testing.T, test func(t *testing.T, f *filter, c wire.Case, ask func(who, method, path, body string, header map[string]string) verdict)) {
	f, c := filtered(t)
	test(t, f, c, f.byGRPC)
	g, d := filtered(t)
	test(t, g, d, g.byHTTP)
}

func TestEnvoyPassesOnWhatIsGranted(t *testing.T) {
	services(t, func(t *testing.T, f *filter, c wire.Case, ask func(who, method, path, body string, header map[string]string) verdict) {
		for _, allowed := range [][3]string{{"GET", "/cases/7"}, {"GET", "/cases/7?ward=7"}, {"POST", "/notes", `{"text":"x"}`}, {"GET", "/limited"}} {
			v := ask("robot", allowed[0], allowed[1], allowed[2], map[string]string{"accept": "text/plain"})
			if v.status != 200 || v.header["X-Imprimatur-Release"] != c.ID || len(v.removed) != 1 || v.removed[0] != "authorization" {
				t.Errorf("%q: %+v", allowed, v)
			}
		}
		for _, denied := range []struct {
			who, method, path, body string
			status                  int
			says                    string
		}{
			{"robot", "DELETE", "/cases/7", "", 403, "allows GET"},
			{"robot", "GET", "/other", "", 403, "no grant of the release names the API"},
			{"robot", "GET", "/cases/7?ward=8", "", 403, "does not hold"},
			{"robot", "GET", "/limited", "", 429, "is spent"},
			{"robot", "POST", "/notes", `{"admin":true}`, 403, "does not hold"},
			{"ann", "GET", "/cases/7", "", 403, "no release that stands names the workload"},
			{"", "GET", "/cases/7", "", 401, "token"},
		} {
			v := ask(denied.who, denied.method, denied.path, denied.body, nil)
			if v.status != denied.status || !strings.Contains(v.why, denied.says) || len(v.removed) != 0 {
				t.Errorf("%+v: %+v", denied, v)
			}
			if (v.header["Retry-After"] != "") != (v.status == 429) {
				t.Errorf("%+v: try again after %q", denied, v.header["Retry-After"])
			}
		}
	})
}

// ASI02 Tool Misuse: what Envoy passes on as it is written must mean one thing.
func TestEnvoyRefusesWhatTheCalleeCouldReadOtherwise(t *testing.T) {
	services(t, func(t *testing.T, f *filter, _ wire.Case, ask func(who, method, path, body string, header map[string]string) verdict) {
		for _, path := range []string{
			"/cases/../admin", "/cases/%2e%2e/admin", "/cases//7", "/cases/..;/admin", "/cases/%2fadmin", `/cases/\admin`, "/cases/%37", "/cases/7?ward=7&ward=8",
			"/cases/7?ward=%37", "/cases/7?ward=7&q=a+b", "/cases/7?_method=DELETE",
		} {
			if v := ask("robot", "GET", path, "", nil); v.status != 400 {
				t.Errorf("%s: %+v", path, v)
			}
		}
		for name, header := range map[string]map[string]string{
			"override": {"x-http-method-override": "DELETE"}, "upgrade": {"upgrade": "websocket"}, "path": {"x-original-url": "/admin"},
		} {
			if v := ask("robot", "GET", "/cases/7", "", header); v.status != 400 {
				t.Errorf("%s: %+v", name, v)
			}
		}
		// Bodies that the condition does not see.
		for name, header := range map[string]map[string]string{
			"another type": {"content-type": "text/plain"}, "compressed": {"content-encoding": "gzip"},
		} {
			if v := ask("robot", "POST", "/notes", `{"admin":true}`, header); v.status != 403 {
				t.Errorf("%s: %+v", name, v)
			}
		}
		if v := f.byGRPC("robot", "POST", "/notes", "", map[string]string{"transfer-encoding": "chunked", "x-envoy-auth-partial-body": "false"}); v.status != 403 {
			t.Errorf("a body that Envoy does not send: %+v", v)
		}
	})
}

func TestEnvoyHearsOfAStopAndKeepsATokenWhereAsked(t *testing.T) {
	f, c := filtered(t)
	f.suffix = map[string]string{"keep-authorization": "true"}
	if v := f.byGRPC("robot", "GET", "/cases/7", "", nil); v.status != 200 || len(v.removed) != 0 {
		t.Errorf("%+v", v)
	}
	must[wire.Case](t)(f.people["sam"].Suspend(f.ctx, c.ID, wire.Stop{Reason: "incident"}))
	for name, v := range map[string]verdict{"gRPC": f.byGRPC("robot", "GET", "/cases/7", "", nil), "HTTP": f.byHTTP("robot", "GET", "/cases/7", "", nil)} {
		if v.status != 403 || !strings.Contains(v.why, "suspended") {
			t.Errorf("%s: %+v", name, v)
		}
	}
	// What is no question is a no, and no error that a filter could take for yes.
	out, err := f.grpc.Check(f.ctx, &authv3.CheckRequest{})
	if err != nil || out.GetDeniedResponse().GetStatus().GetCode() != 400 {
		t.Errorf("%v %v", out, err)
	}
	if err := f.reg.Close(); err != nil {
		t.Fatal(err)
	}
	if v := f.byGRPC("robot", "GET", "/cases/7", "", nil); v.status != 403 || !strings.Contains(v.why, "closed its ledger") {
		t.Errorf("a server that is closed: %+v", v)
	}
}

// NHI4 Insecure Authentication: Envoy's word for a certificate counts where the
// server was told to take it, and for the identity that is bound, alone.
func TestEnvoyVouchesForACertificateWhereItIsTaken(t *testing.T) {
	f, c := filtered(t)
	const id = "spiffe://lab.example/ns/agents/sa/robot"
	must[record.Recorded[record.Identity]](t)(f.reg.AddIdentity(f.ctx, administrator, record.Identity{
		Workload: "robot", Type: record.IdentitySPIFFE, Issuer: "spiffe://lab.example", Claims: map[string]string{"/sub": id},
	}))
	f.source = id
	if v := f.byGRPC("", "GET", "/cases/7", "", nil); v.status != 401 {
		t.Errorf("the word is taken unasked: %+v", v)
	}
	f.face.Principals = true
	if v := f.byGRPC("", "GET", "/cases/7", "", nil); v.status != 200 || v.header["X-Imprimatur-Release"] != c.ID {
		t.Errorf("%+v", v)
	}
	if v := f.byGRPC("", "GET", "/other", "", nil); v.status != 403 {
		t.Errorf("%+v", v)
	}
	for _, source := range []string{"spiffe://lab.example/ns/agents/sa/other", "spiffe://lab.example", "spiffe://other.example/ns/agents/sa/robot", "robot", ""} {
		f.source = source
		if v := f.byGRPC("", "GET", "/cases/7", "", nil); v.status != 401 && v.status != 403 {
			t.Errorf("%q: %+v", source, v)
		}
	}
}
