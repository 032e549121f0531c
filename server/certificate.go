package server

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"imprimatur.dev/server/api"
	"imprimatur.dev/wire"
)

// fromProxy has a proxy say in a header which client certificate it was shown, and
// had the key proven of: as a byte sequence in base64 between colons (RFC 9440), or as
// percent-encoded PEM. Behind it the certificate is that of the connection, and a
// connection without the header has none. The proxy must take the header away from what
// clients send.
func fromProxy(next http.Handler, header string, log *slog.Logger) http.Handler {
	if header == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		behind := r.WithContext(r.Context())
		state := tls.ConnectionState{}
		if r.TLS != nil {
			state = *r.TLS
			state.PeerCertificates, behind.TLS = nil, &state
		}
		if given := r.Header.Values(header); len(given) > 0 {
			c, err := certificateIn(given)
			if err != nil {
				api.RefuseWith(w, r, log, http.StatusBadRequest, api.Refusal(wire.Invalid, "the header %s is not one client certificate (%v); see how the proxy sets it", header, err))
				return
			}
			state.PeerCertificates, behind.TLS = []*x509.Certificate{c}, &state
		}
		next.ServeHTTP(w, behind)
	})
}

func certificateIn(given []string) (*x509.Certificate, error) {
	if len(given) != 1 {
		return nil, errors.New("it comes more than once")
	}
	text := strings.TrimSpace(given[0])
	if len(text) > 1 && text[0] == ':' && text[len(text)-1] == ':' {
		raw, err := base64.StdEncoding.DecodeString(text[1 : len(text)-1])
		if err != nil {
			return nil, errors.New("it is not base64")
		}
		return x509.ParseCertificate(raw)
	}
	plain, err := url.PathUnescape(text)
	if err != nil {
		return nil, errors.New("it is not percent-encoded")
	}
	block, rest := pem.Decode([]byte(plain))
	if block == nil || block.Type != "CERTIFICATE" || len(strings.TrimSpace(string(rest))) > 0 {
		return nil, errors.New("it is neither base64 between colons nor PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}
