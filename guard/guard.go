// Package guard keeps what the server sends to addresses that somebody else
// chose away from the networks that only the server can reach: a webhook must
// not become a way to ask the cloud's metadata service or a neighbour's database.
//
// # What is refused
//
// [Guard.Address] decides about an IP address: only globally reachable unicast
// passes, by the special-purpose registries of IANA (RFC 6890). An IPv4 address
// that is carried in an IPv6 one (mapped, compatible, NAT64, 6to4, Teredo) is
// judged as the IPv4 address too. What [Allow] names passes all the same.
//
// # When
//
// The decision is made in the dialler's control function, on the address that
// is about to be connected to, after names were resolved: a name that resolves
// otherwise the next time gains nothing. [Guard.Client] speaks HTTP by such a
// dialler only, through no proxy, follows no redirect, keeps no connection open
// and takes https alone, unless the host is allowed.
package guard

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// ErrRefused is wrapped by every refusal of this package.
var ErrRefused = errors.New("the address is not one that this server sends to")

// special are the networks that are not globally reachable unicast
// (https://www.iana.org/assignments/iana-ipv4-special-registry and
// iana-ipv6-special-registry, and the multicast and reserved space).
var special = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
	"192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
	"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"168.63.129.16/32", // the host of a virtual machine in Azure
	"::/128", "::1/128", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001:db8::/32", "2620:4f:8000::/48",
	"3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
)

// carriers are the networks whose addresses carry an IPv4 address, with the
// byte at which it begins (RFC 4291 2.5.5.1, RFC 6052, RFC 3056).
var carriers = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("::/96"), 12},
	{netip.MustParsePrefix("64:ff9b::/96"), 12},
	{netip.MustParsePrefix("2002::/16"), 2},
}

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		out[i] = netip.MustParsePrefix(t)
	}
	return out
}

// Guard decides which addresses may be sent to. The zero Guard allows globally
// reachable ones alone. It may be used by several goroutines.
type Guard struct {
	prefixes []netip.Prefix
	hosts    map[string]bool
}

// Allow returns a guard that lets exceptions through besides: networks such as
// "10.1.0.0/16", addresses, and hosts such as "hooks.example.org" by their exact
// names, each in any scheme.
func Allow(exceptions ...string) (*Guard, error) {
	g := &Guard{hosts: map[string]bool{}}
	for _, e := range exceptions {
		if p, err := netip.ParsePrefix(e); err == nil {
			g.prefixes = append(g.prefixes, p.Masked())
			continue
		}
		if a, err := netip.ParseAddr(e); err == nil {
			g.prefixes = append(g.prefixes, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
			continue
		}
		host := normal(e)
		if host == "" || strings.ContainsAny(host, "/:@ *") {
			return nil, fmt.Errorf("%q is neither a network such as 10.1.0.0/16, nor an address, nor the name of a host", e)
		}
		g.hosts[host] = true
	}
	return g, nil
}

func normal(host string) string { return strings.TrimSuffix(strings.ToLower(host), ".") }

// Address refuses an address that is not globally reachable, unless it is allowed.
func (g *Guard) Address(a netip.Addr) error {
	bare := a.Unmap().WithZone("")
	for _, p := range g.prefixes {
		if p.Contains(bare) {
			return nil
		}
	}
	if !bare.IsValid() || !bare.IsGlobalUnicast() || within(special, bare) {
		return fmt.Errorf("%w: %s is not a public address; allow it with --allow-target %s", ErrRefused, a, bare)
	}
	for _, c := range carriers {
		if bare.Is6() && c.prefix.Contains(bare) {
			raw := bare.As16()
			inner, _ := netip.AddrFromSlice(raw[c.at : c.at+4])
			return g.Address(inner)
		}
	}
	return nil
}

func within(networks []netip.Prefix, a netip.Addr) bool {
	for _, p := range networks {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// URL refuses what can be refused before a name is resolved: a scheme other
// than https (http only to what is allowed), user names, and addresses. What it
// lets through is still guarded when it is dialled.
func (g *Guard) URL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		// The parser's error repeats the text, which may hold a secret.
		return nil, fmt.Errorf("%w: it is not a URL", ErrRefused)
	}
	host := normal(u.Hostname())
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("%w: its scheme is %q, and only https is taken", ErrRefused, u.Scheme)
	case host == "":
		return nil, fmt.Errorf("%w: it names no host", ErrRefused)
	case u.User != nil:
		return nil, fmt.Errorf("%w: it holds a user name; a secret belongs in the target's secret", ErrRefused)
	}
	address, notName := netip.ParseAddr(host)
	if notName == nil {
		if err := g.Address(address); err != nil {
			return nil, err
		}
	}
	if u.Scheme == "http" && !g.allowed(host, address) {
		return nil, fmt.Errorf("%w: %s would be sent to in plain HTTP; use https, or allow the host with --allow-target %s", ErrRefused, host, host)
	}
	return u, nil
}

// allowed reports whether a host was allowed by its name or its address.
func (g *Guard) allowed(host string, a netip.Addr) bool {
	return g.hosts[host] || within(g.prefixes, a.Unmap().WithZone(""))
}

// Dial connects to a host and port over TCP. Each address that the host
// resolves to is held against the guard right before it is connected to.
func (g *Guard) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: dialWithin}
	if !g.hosts[normal(host)] {
		d.ControlContext = func(_ context.Context, network, address string, _ syscall.RawConn) error {
			if network != "tcp4" && network != "tcp6" {
				return fmt.Errorf("%w: %s is not TCP", ErrRefused, network)
			}
			at, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("%w: %q is no address", ErrRefused, address)
			}
			return g.Address(at.Addr())
		}
	}
	return d.DialContext(ctx, network, address)
}

const dialWithin = 5 * time.Second

// Client returns an HTTP client that reaches only what the guard lets through.
// It gives up after the timeout. A redirect is an answer like any other.
func (g *Guard) Client(timeout time.Duration) *http.Client { return g.ClientTrusting(nil, timeout) }

// ClientTrusting is [Guard.Client] for servers whose certificates lead to one of
// roots; nil are those of the system.
func (g *Guard) ClientTrusting(roots *x509.CertPool, timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout: timeout,
		Transport: checked{g, &http.Transport{
			Proxy:                  nil, // a proxy would dial for us, past the guard
			DialContext:            g.Dial,
			DisableKeepAlives:      true,
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    dialWithin,
			ResponseHeaderTimeout:  timeout,
			MaxResponseHeaderBytes: 64 << 10,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// checked refuses a request whose URL is refused.
type checked struct {
	guard *Guard
	next  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (c checked) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := c.guard.URL(r.URL.String()); err != nil {
		return nil, err
	}
	return c.next.RoundTrip(r)
}
