package authority

import (
	"net/url"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/record"
)

func get(address string) HTTPRequest { return HTTPRequest{Method: "GET", URL: address} }

func TestHTTPBringsAnAddressToItsOneForm(t *testing.T) {
	for address, want := range map[string]string{
		"https://API.Example.org":                     "api.example.org/",
		"https://api.example.org/v1/Cases":            "api.example.org/v1/Cases",
		"HTTPS://api.example.org:443/a":               "api.example.org/a",
		"https://api.example.org:8443/a":              "api.example.org:8443/a",
		"http://api.example.org:80/a":                 "http://api.example.org/a",
		"http://api.example.org:443/a":                "http://api.example.org:443/a",
		"https://api.example.org/%61%7e%2D/b%c3%a9":   "api.example.org/a~-/b%C3%A9",
		"https://api.example.org/a%20b/(c),d:e@f=g+h": "api.example.org/a%20b/(c),d:e@f=g+h",
		"https://api.example.org/a/":                  "api.example.org/a/",
		"https://10.1.2.3/a":                          "10.1.2.3/a",
		"https://[2001:DB8:0:0::1]:8443/a":            "[2001:db8::1]:8443/a",
		"https://xn--bcher-kva.example/":              "xn--bcher-kva.example/",
		"https://api.example.org?x=1":                 "api.example.org/",
	} {
		c, err := HTTP(get(address))
		if err != nil || c.Resource != want || c.Action != "GET" {
			t.Errorf("%s: %+v %v, want %s", address, c, err, want)
		}
	}
}

// ASI02 Tool Misuse: an address that the grant covers and the callee reads otherwise.
func TestHTTPRefusesWhatIsReadInTwoWays(t *testing.T) {
	for name, address := range map[string]string{
		"dot segments": "https://h/a/../b", "one dot": "https://h/a/./b", "encoded dots": "https://h/a/%2e%2e/b", "half encoded": "https://h/a/.%2E/b",
		"encoded slash": "https://h/a%2fb", "backslash": `https://h/a\..\b`, "encoded backslash": "https://h/a%5cb", "encoded twice": "https://h/a/%252e%252e/b",
		"NUL": "https://h/a%00.json", "line break": "https://h/a%0d%0ab", "matrix parameter": "https://h/a/..;/b", "encoded semicolon": "https://h/a%3bb",
		"empty segment": "https://h//a", "empty segments": "https://h/a//b", "trailing dot": "https://h/a./b", "trailing space": "https://h/a%20/b",
		"overlong slash": "https://h/a%c0%afb", "full-width slash": "https://h/a%ef%bc%8fb", "ellipsis": "https://h/a/%e2%80%a6/b", "zero width": "https://h/a%e2%80%8bb",
		"raw non-ASCII": "https://h/é", "bad escape": "https://h/%zz", "cut escape": "https://h/%2", "space": "https://h/a b", "fragment": "https://h/a#b",
		"user": "https://granted@h/a", "no host": "https:///a", "final dot": "https://h.example./a", "double dot": "https://h..example/a", "unicode host": "https://hоst/a",
		"encoded host": "https://h%2eexample/a", "octal address": "https://0177.0.0.1/a", "short address": "https://127.1/a", "number": "https://2130706433/a",
		"hexadecimal": "https://0x7f.0.0.1/a", "mapped": "https://[::ffff:127.0.0.1]/a", "zone": "https://[fe80::1%25eth0]/a", "open bracket": "https://[::1/a",
		"empty port": "https://h:/a", "port zero": "https://h:0/a", "leading zero": "https://h:0443/a", "large port": "https://h:65536/a", "port sign": "https://h:+443/a",
		"scheme": "ftp://h/a", "relative": "/a", "repeated": "https://h/a?x=1&x=2", "repeated in another case": "https://h/a?x=1&X=2", "nested and not": "https://h/a?x=1&x[]=2",
		"nested before": "https://h/a?x[]=2&x=1", "encoded repeat": "https://h/a?x=1&%78=2", "semicolon": "https://h/a?x=1;x=2", "line break in the query": "https://h/a?x=%0d%0aHost:%20b",
		"not UTF-8": "https://h/a?x=%ff", "another method": "https://h/a?_method=DELETE", "quotes": `https://h/a?x="`, "long": "https://h/" + strings.Repeat("a", maxURL),
	} {
		if c, err := HTTP(get(address)); err == nil {
			t.Errorf("%s: %s is taken for %s", name, address, c.URL())
		}
	}
	for name, r := range map[string]HTTPRequest{
		"CONNECT": {Method: "CONNECT"}, "TRACE": {Method: "TRACE"}, "lower case": {Method: "get"}, "none": {}, "space": {Method: "GET /b HTTP/1.1"},
		"override":           {Method: "POST", Header: map[string][]string{"X-Http-Method-Override": {"DELETE"}}},
		"path override":      {Method: "GET", Header: map[string][]string{"X-Original-Url": {"/admin"}}},
		"underscore":         {Method: "GET", Header: map[string][]string{"X_tenant": {"other"}}},
		"upgrade":            {Method: "GET", Header: map[string][]string{"Upgrade": {"websocket"}}},
		"taken on the way":   {Method: "GET", Header: map[string][]string{"Connection": {"close, X-Tenant"}}},
		"injection":          {Method: "GET", Header: map[string][]string{"X-Tenant": {"a\r\nX-Admin: yes"}}},
		"in two ways":        {Method: "GET", Header: map[string][]string{"X-A": {"1"}, "x-a": {"2"}}},
		"too much":           {Method: "GET", Header: map[string][]string{"X-A": {strings.Repeat("a", maxFields)}}},
		"a name with spaces": {Method: "GET", Header: map[string][]string{"X-A ": {"1"}}},
	} {
		r.URL = "https://h/a"
		if c, err := HTTP(r); err == nil {
			t.Errorf("%s: taken for %+v", name, c)
		}
	}
}

func TestHTTPSaysWhatTheCallIsAbout(t *testing.T) {
	r := HTTPRequest{
		Method: "POST", URL: "https://api.example.org/v1/cases?ward=7&note=a+b%2Cc&flag", Body: []byte(` {"id": 7}`),
		Header: map[string][]string{
			"Content-Type": {"application/json; charset=UTF-8"}, "Authorization": {"Bearer x"}, "Cookie": {"a=b"}, "Accept": {"a", "b"}, "X-Forwarded-Host": {"h"},
			"Connection": {"keep-alive"}, "Host": {"other"}, "Content-Length": {"9"},
		},
	}
	c, err := HTTP(r)
	if err != nil {
		t.Fatal(err)
	}
	headers := map[string]any{"content-type": "application/json; charset=UTF-8", "accept": "a, b"}
	want := map[string]any{
		"method": "POST", "host": "api.example.org", "path": "/v1/cases", "query": map[string]any{"ward": "7", "note": "a b,c", "flag": ""},
		"headers": headers, "body": "json",
	}
	if d := cmp.Diff(want, c.About); d != "" {
		t.Error(d)
	}
	if c.URL() != "https://api.example.org/v1/cases?ward=7&note=a%20b%2Cc&flag=" || string(c.Arguments) != ` {"id": 7}` || c.Opaque {
		t.Errorf("%+v", c)
	}
}

// ASI02 Tool Misuse: a body that the condition does not see and the callee reads.
func TestAConditionOverArgumentsDoesNotHoldForABodyThatCannotBeRead(t *testing.T) {
	s, err := Compile(record.Authority{APIs: []record.Grant{
		{Resource: "h/guarded", Actions: []string{"POST"}, Condition: `!has(args.admin)`},
		{Resource: "h/open", Actions: []string{"POST"}, Condition: `about.method == "POST"`},
	}})
	if err != nil {
		t.Fatal(err)
	}
	may := func(path, media, encoding, body string, unread bool) bool {
		t.Helper()
		r := HTTPRequest{Method: "POST", URL: "https://h/" + path, Body: []byte(body), Unread: unread, Header: map[string][]string{"Content-Type": {media}}}
		if encoding != "" {
			r.Header["Content-Encoding"] = []string{encoding}
		}
		c, err := HTTP(r)
		if err != nil {
			t.Fatal(err)
		}
		args, err := ParseArguments(c.Arguments)
		if err != nil {
			return false
		}
		call := &Call{Kind: "apis", Resource: c.Resource, Action: c.Action, Arguments: args, About: c.About, Opaque: c.Opaque}
		return s.Decide(call, time.Unix(0, 0), nil).Allowed
	}
	if !may("guarded", "application/json", "", `{"a":1}`, false) || !may("guarded", "application/vnd.h+json", "identity", `{}`, false) || !may("guarded", "", "", "", false) {
		t.Error("what can be read, and harmless, is refused")
	}
	const dodge = `{"admin":true}`
	for name, m := range map[string][3]string{
		"plain": {"application/json", "", dodge}, "text": {"text/plain", "", dodge}, "no type": {"", "", dodge}, "two types": {"application/json, text/plain", "", dodge},
		"compressed": {"application/json", "gzip", dodge}, "UTF-16": {"application/json; charset=utf-16", "", dodge}, "a list": {"application/json", "", "[" + dodge + "]"},
		"a form": {"application/x-www-form-urlencoded", "", "admin=true"}, "twice": {"application/json", "", `{"a":1,"a":2}`}, "a mark before": {"application/json", "", "\ufeff" + dodge},
		"more behind": {"application/json", "", `{}` + dodge},
	} {
		if may("guarded", m[0], m[1], m[2], false) {
			t.Errorf("%s: %q is let through", name, m)
		}
	}
	if may("guarded", "application/json", "", "", true) {
		t.Error("a body that was not read is let through")
	}
	if !may("open", "text/plain", "", dodge, false) {
		t.Error("a condition that does not look at the arguments is refused")
	}
}

// readers are ways in which callees are known to take a path apart.
var readers = map[string]func(string) string{
	"once":        func(p string) string { s, _ := url.PathUnescape(p); return s },
	"twice":       func(p string) string { s, _ := url.PathUnescape(p); s, _ = url.PathUnescape(s); return s },
	"cleaned":     func(p string) string { s, _ := url.PathUnescape(p); return keepSlash(s, path.Clean(s)) },
	"backslashes": func(p string) string { s, _ := url.PathUnescape(p); return strings.ReplaceAll(s, `\`, "/") },
	"matrix": func(p string) string {
		s, _ := url.PathUnescape(p)
		parts := strings.Split(s, "/")
		for i := range parts {
			parts[i], _, _ = strings.Cut(parts[i], ";")
		}
		return strings.Join(parts, "/")
	},
}

func keepSlash(was, is string) string {
	if strings.HasSuffix(was, "/") && is != "/" {
		return is + "/"
	}
	return is
}

// All short paths of what is known to confuse: those of one resource are one path
// to every reader.
func TestHTTPNeverTakesTwoPathsForOne(t *testing.T) {
	pieces := []string{"", "/", "a", "%61", "A", "%41", ".", "%2e", "%2F", "%5c", `\`, "%25", "2e", ";", "%20", "+", "%c0%ae", "%00"}
	first := map[string]string{}
	taken := 0
	for _, a := range pieces {
		for _, b := range pieces {
			for _, c := range pieces {
				for _, d := range pieces {
					written := "/" + a + b + c + d
					call, err := HTTP(get("https://h" + written))
					if err != nil {
						continue
					}
					taken++
					meant, err := url.PathUnescape(written)
					if err != nil {
						t.Fatalf("%s is taken for %s: %v", written, call.Path, err)
					}
					if other, known := first[call.Resource]; known && other != meant {
						t.Fatalf("%q and %q are both %s", other, meant, call.Resource)
					}
					first[call.Resource] = meant
				}
			}
		}
	}
	if taken < 1000 {
		t.Fatalf("only %d paths were taken", taken)
	}
}

// FuzzHTTP holds that the one form is the form of itself, that every reader reads
// it alike, and that what Go's own parser tells apart never becomes one call.
func FuzzHTTP(f *testing.F) {
	for _, p := range []string{"/a/b?x=1", "/a/%2e%2e/b", "/a%2Fb?x=%41&y", "//h/a", "/%c3%a9", "/a;b", `/\a`, "/a?x[]=1", "@h/a", ":443/a", ".h/a", "/a%25b"} {
		f.Add("https://h"+p, "https://H"+strings.ToUpper(p))
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		one, errA := HTTP(get(a))
		if errA != nil {
			return
		}
		again, err := HTTP(get(one.URL()))
		if err != nil || again.URL() != one.URL() || again.Resource != one.Resource || !cmp.Equal(again.About, one.About) {
			t.Fatalf("%q: the form of %q is %+v %v", a, one.URL(), again, err)
		}
		for name, read := range readers {
			if got, want := read(one.Path), readers["once"](one.Path); got != want {
				t.Fatalf("%q: read %s it is %q, and %q otherwise", a, name, got, want)
			}
		}
		u, err := url.Parse(one.URL())
		if err != nil || u.User != nil || u.Host != one.Host || u.EscapedPath() != one.Path {
			t.Fatalf("%q: Go reads %q as %+v %v", a, one.URL(), u, err)
		}
		for name, values := range u.Query() {
			if got := one.About["query"].(map[string]any)[name]; len(values) != 1 || got != values[0] {
				t.Fatalf("%q: the parameter %q is %q, and %v for the condition", a, name, values, got)
			}
		}
		other, err := HTTP(get(b))
		if err != nil || other.Resource != one.Resource {
			return
		}
		ua, errA := url.Parse(a)
		ub, errB := url.Parse(b)
		if errA != nil || errB != nil {
			t.Fatalf("taken, though Go cannot read them: %q %v, %q %v", a, errA, b, errB)
		}
		if !strings.EqualFold(ua.Scheme, ub.Scheme) || orSlash(ua.Path) != orSlash(ub.Path) || !strings.EqualFold(ua.Hostname(), ub.Hostname()) && !strings.Contains(ua.Host, "[") {
			t.Fatalf("%q and %q are both %s", a, b, one.Resource)
		}
	})
}

func orSlash(p string) string {
	if p == "" {
		return "/"
	}
	return p
}
