package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	bigint "math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/guard"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server"
	"imprimatur.dev/server/oauth"
)

// minted is a certificate with its key.
type minted struct {
	tls.Certificate
	key *ecdsa.PrivateKey
}

// mint makes a certificate, signed by another one or by itself.
func mint(t testing.TB, by *minted, change func(*x509.Certificate)) *minted {
	t.Helper()
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	c := &x509.Certificate{
		SerialNumber: bigint.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "scorer"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if change != nil {
		change(c)
	}
	parent, signer := c, key
	if by != nil {
		parent, signer = by.Leaf, by.key
	}
	raw := must[[]byte](t)(x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer))
	return &minted{tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key, Leaf: must[*x509.Certificate](t)(x509.ParseCertificate(raw))}, key}
}

func authority(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
}

func spiffeID(id string) func(*x509.Certificate) {
	u, _ := url.Parse(id)
	return func(c *x509.Certificate) { c.URIs = []*url.URL{u} }
}

// connects shows a client certificate from now on; nil shows none.
func (d *desk) connects(c *minted) {
	transport := d.http.Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.Certificates = nil
	if c != nil {
		transport.TLSClientConfig.Certificates = []tls.Certificate{c.Certificate}
	}
	d.http = &http.Client{Transport: transport}
}

const byCertificate = "grant_type=client_credentials"

// TestACertificateIsShown has a workload show certificates over real TLS: one that is
// bound to it, and an X.509-SVID.
func TestACertificateIsShown(t *testing.T) {
	c := newCluster(t)
	root := mint(t, nil, authority)
	bundle := filepath.Join(t.TempDir(), "bundle.json")
	x := root.Leaf.PublicKey.(*ecdsa.PublicKey)
	point := must[[]byte](t)(x.Bytes())
	keys := fmt.Sprintf(`{"keys":[{"use":"x509-svid","kty":"EC","crv":"P-256","x":%q,"y":%q,"x5c":[%q]}]}`, b64(point[1:33]), b64(point[33:]), base64.StdEncoding.EncodeToString(root.Leaf.Raw))
	if err := os.WriteFile(bundle, []byte(keys), 0o600); err != nil {
		t.Fatal(err)
	}
	issuers := must[*oauth.Issuers](t)(oauth.ReadIssuers(fmt.Appendf(nil, "issuers: [{issuer: 'spiffe://acme.example', keys: %s}]", bundle), &guard.Guard{}))
	d := deskWith(t, c, issuers, registry.Config{Data: t.TempDir()})
	own := mint(t, nil, nil)
	must[record.Recorded[record.Identity]](t)(d.admin.AddIdentity(d.ctx, record.Identity{Workload: "scorer", Type: record.IdentityCertificate, Certificate: record.DigestOf(own.Leaf.Raw)}))
	must[record.Recorded[record.Identity]](t)(d.admin.AddIdentity(d.ctx, record.Identity{
		Workload: "batch", Type: record.IdentitySPIFFE, Issuer: "spiffe://acme.example", Claims: map[string]string{"/sub": "spiffe://acme.example/batch"},
	}))
	d.live("1", "scorer", "batch")

	d.noToken(d.asks(byCertificate, nil), "invalid_client", "has shown no client certificate")
	d.connects(own)
	got := d.asks(byCertificate, nil)
	a := d.read(got.Token)
	if got.status != http.StatusOK || a.Subject != "scorer" || a.Confirm == nil || a.Confirm.Certificate != registry.CertificateThumbprint(own.Leaf) {
		t.Fatalf("%+v %+v", got, a)
	}
	d.may(got.Token, nil)
	if !d.active(got.Token) {
		t.Error("it is not active")
	}
	d.connects(mint(t, nil, nil))
	d.mayNot(got.Token, nil) // stolen
	d.noToken(d.asks(byCertificate, nil), "invalid_request", "no workload is known")
	d.connects(nil)
	d.mayNot(got.Token, nil)

	d.connects(mint(t, root, spiffeID("spiffe://acme.example/batch")))
	if a := d.read(d.asks(byCertificate, nil).Token); a.Subject != "batch" {
		t.Errorf("%+v", a)
	}
	for what, wrong := range map[string]*minted{
		"another path":      mint(t, root, spiffeID("spiffe://acme.example/other")),
		"another domain":    mint(t, root, spiffeID("spiffe://evil.example/batch")),
		"another authority": mint(t, mint(t, nil, authority), spiffeID("spiffe://acme.example/batch")),
		"of itself":         mint(t, nil, spiffeID("spiffe://acme.example/batch")),
		"expired": mint(t, root, func(c *x509.Certificate) {
			spiffeID("spiffe://acme.example/batch")(c)
			c.NotAfter = time.Now().Add(-time.Minute)
		}),
		"two names": mint(t, root, func(c *x509.Certificate) {
			spiffeID("spiffe://acme.example/batch")(c)
			c.URIs = append(c.URIs, c.URIs[0])
		}),
		"an authority": mint(t, root, func(c *x509.Certificate) { spiffeID("spiffe://acme.example/batch")(c); authority(c) }),
	} {
		d.connects(wrong)
		if got := d.asks(byCertificate, nil); got.status == http.StatusOK {
			t.Errorf("a certificate of %s is taken", what)
		}
	}
}

// TestAProxySaysWhichCertificateItWasShown asks through the header, in both forms.
func TestAProxySaysWhichCertificateItWasShown(t *testing.T) {
	c := newCluster(t)
	d := deskWith(t, c, nil, registry.Config{Data: t.TempDir()})
	own := mint(t, nil, nil)
	must[record.Recorded[record.Identity]](t)(d.admin.AddIdentity(d.ctx, record.Identity{Workload: "scorer", Type: record.IdentityCertificate, Certificate: record.DigestOf(own.Leaf.Raw)}))
	d.live("1", "scorer")
	behind := httptest.NewServer(server.New(d.reg, server.Options{CertificateHeader: "Client-Cert"}))
	t.Cleanup(behind.Close)
	ask := func(at string, headers ...string) (out granted) {
		d.at = at
		status, raw := d.post("/oauth2/token", byCertificate, func(r *http.Request) {
			for _, h := range headers {
				r.Header.Add("Client-Cert", h)
			}
		})
		if err := json.Unmarshal(raw, &out); err != nil {
			t.Fatal(err)
		}
		out.status = status
		return out
	}
	der := ":" + base64.StdEncoding.EncodeToString(own.Leaf.Raw) + ":"
	escaped := url.PathEscape(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: own.Leaf.Raw})))
	for _, header := range []string{der, escaped} {
		if got := ask(behind.URL, header); got.status != http.StatusOK {
			t.Errorf("%+v", got)
		}
	}
	for _, headers := range [][]string{{der, der}, {"x"}, {":x:"}, {der + der}, {"%zz"}} {
		if got := ask(behind.URL, headers...); got.status != http.StatusBadRequest {
			t.Errorf("%.60q is taken: %+v", headers, got)
		}
	}
	if got := ask(d.url, der); got.Error != "invalid_client" {
		t.Errorf("without being told to, the header is believed: %+v", got)
	}
}
