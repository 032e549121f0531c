package server

import (
	"fmt"
	"net"
	"net/url"
)

// Address returns the address at which browsers reach an installation: what was
// given, or this machine's at the listener's port. It is named localhost there,
// because browsers make no passkey for a number.
func Address(given string, listener net.Addr) (*url.URL, error) {
	if given != "" {
		u, err := url.Parse(given)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil || (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("%q is not an address such as https://models.example, without a path", given)
		}
		return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
	}
	tcp, ok := listener.(*net.TCPAddr)
	if !ok {
		return nil, fmt.Errorf("the listener %v has no port; give the address at which browsers reach this with --url", listener)
	}
	host := tcp.IP.String()
	if tcp.IP.IsLoopback() || tcp.IP.IsUnspecified() {
		host = "localhost"
	}
	return &url.URL{Scheme: "http", Host: net.JoinHostPort(host, fmt.Sprint(tcp.Port))}, nil
}
