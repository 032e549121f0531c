package guard

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestOnlyPublicAddressesPass(t *testing.T) {
	var g Guard
	for _, text := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.255.255.254", "169.254.169.254",
		"169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.7", "192.168.1.1", "198.18.0.1", "198.51.100.1",
		"203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "168.63.129.16", "192.88.99.1",
		"::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1", "3fff::1",
		"100::1", "2001::1", "2001:10::1", "5f00::1", "64:ff9b:1::1",
		"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::7f00:1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
		"2002:7f00:1::1", "2002:a9fe:a9fe::1",
	} {
		if err := g.Address(netip.MustParseAddr(text)); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{
		"1.1.1.1", "100.63.255.255", "100.128.0.1", "172.15.255.255", "172.32.0.1", "192.0.1.1", "223.255.255.255",
		"2606:4700:4700::1111", "64:ff9b::101:101", "2002:101:101::1", "::ffff:1.1.1.1", "2a00::1",
	} {
		if err := g.Address(netip.MustParseAddr(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := g.Address(netip.Addr{}); !errors.Is(err, ErrRefused) {
		t.Errorf("no address: %v", err)
	}
}

func TestAllowedPasses(t *testing.T) {
	g, err := Allow("10.1.0.0/16", "127.0.0.1", "::1", "Hooks.Internal.")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{"10.1.2.3": true, "::ffff:10.1.2.3": true, "10.2.0.1": false, "127.0.0.1": true, "127.0.0.2": false, "::1": true, "fd00::1": false} {
		if err := g.Address(netip.MustParseAddr(text)); (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, want := range map[string]bool{
		"https://example.org/x": true, "http://example.org/x": false, "http://hooks.internal/x": true, "http://HOOKS.internal.:8080": true,
		"http://127.0.0.1:9/": true, "https://127.0.0.2/": false, "https://[::ffff:10.2.0.1]/": false, "https://[fe80::1%25eth0]/": false,
		"ftp://example.org": false, "https:///x": false, "https://u:p@example.org/": false, "file:///etc/passwd": false,
		"": false, "https://": false, "//example.org": false, "http://[bad": false, "gopher://127.0.0.1": false,
	} {
		if _, err := g.URL(text); (err == nil) != want || err != nil && !errors.Is(err, ErrRefused) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"", "a b", "10.0.0.0/99", "https://x", "*.example.org", "x:80"} {
		if _, err := Allow(text); err == nil {
			t.Errorf("%q was allowed", text)
		}
	}
}

// A name that resolves to this machine is refused when it is dialled, whatever
// spelling leads there, and nothing arrives.
func TestDialRefusesWhatANameResolvesTo(t *testing.T) {
	hits := 0
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits++ }))
	defer s.Close()
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	var g Guard
	for _, host := range []string{"localhost", "127.0.0.1", "0.0.0.0", "[::ffff:127.0.0.1]"} {
		c, err := g.Dial(t.Context(), "tcp", host+":"+port)
		if err == nil {
			c.Close()
		}
		if !errors.Is(err, ErrRefused) {
			t.Errorf("%s was dialled: %v", host, err)
		}
	}
	if _, err := g.Client(time.Second).Get("http://localhost:" + port); !errors.Is(err, ErrRefused) {
		t.Errorf("plain HTTP to a name: %v", err)
	}
	if hits != 0 {
		t.Errorf("%d requests arrived", hits)
	}
	// A name that is allowed for plain HTTP by itself reaches where it resolves to.
	allowed, _ := Allow("localhost")
	answer, err := allowed.Client(time.Second).Get("http://localhost:" + port)
	if err != nil || hits != 1 {
		t.Fatalf("an allowed name: %v", err)
	}
	answer.Body.Close()
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	inner := 0
	secret := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { inner++ }))
	defer secret.Close()
	s := httptest.NewServer(http.RedirectHandler(secret.URL, http.StatusTemporaryRedirect))
	defer s.Close()
	g, _ := Allow("127.0.0.1")
	answer, err := g.Client(time.Second).Post(s.URL, "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusTemporaryRedirect || inner != 0 {
		t.Errorf("answered %d, and %d requests went on", answer.StatusCode, inner)
	}
}

func TestSlowReceiversAreGivenUp(t *testing.T) {
	stop := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stop }))
	defer s.Close()
	defer close(stop)
	g, _ := Allow("127.0.0.1")
	_, err := g.Client(50 * time.Millisecond).Get(s.URL)
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("got %v", err)
	}
}

func FuzzURL(f *testing.F) {
	for _, s := range []string{"https://example.org", "http://127.0.0.1", "https://[::1%25lo]:1/", "https://0x7f.1/", "https://2130706433/", "https://a@b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var g Guard
		u, err := g.URL(text)
		if err != nil {
			if !errors.Is(err, ErrRefused) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if u.Scheme != "https" || u.User != nil || u.Hostname() == "" {
			t.Fatalf("%q passed as %v", text, u)
		}
		if a, err := netip.ParseAddr(u.Hostname()); err == nil && (a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast()) {
			t.Fatalf("%q passed as %v", text, a)
		}
		if again, err := url.Parse(u.String()); err != nil || again.Host != u.Host {
			t.Fatalf("%q is read otherwise the second time: %v", text, err)
		}
	})
}
