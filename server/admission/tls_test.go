package admission

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// issuer is a certificate authority.
type issuer struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (i *issuer) issue(serial int64, files Files) *issuer {
	i.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "gate"}, DNSNames: []string{"gate.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: i.cert == nil, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := template, key
	if i.cert != nil {
		parent, signer = i.cert, i.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		i.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		i.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		i.t.Fatal(err)
	}
	write(i.t, files.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(i.t, files.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	return &issuer{i.t, cert, key}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if path == "" {
		return
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestTLSTakesNewFiles renews the certificate under a listener that runs, breaks
// it, and mends it.
func TestTLSTakesNewFiles(t *testing.T) {
	dir := t.TempDir()
	files := Files{Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), ClientCA: filepath.Join(dir, "ca.crt")}
	ca := (&issuer{t: t}).issue(1, Files{Cert: files.ClientCA})
	ca.issue(2, files)
	var log bytes.Buffer
	cfg, err := TLS(files, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	k := keeperOf(t, cfg, files, &log)
	now := time.Now()
	if got := k.serial(now); got != 2 {
		t.Errorf("the certificate %d is shown", got)
	}
	ca.issue(3, files)
	if got := k.serial(now.Add(lookEvery / 2)); got != 2 {
		t.Errorf("the files were looked at again at once: %d", got)
	}
	if got := k.serial(now.Add(2 * lookEvery)); got != 3 {
		t.Errorf("the new certificate is not taken: %d", got)
	}
	write(t, files.Cert, []byte("half a cert"))
	if got := k.serial(now.Add(4 * lookEvery)); got != 3 || !strings.Contains(log.String(), "cannot be renewed") {
		t.Errorf("with a broken file %d is shown, and the log says %s", got, log.String())
	}
	ca.issue(4, files)
	if got := k.serial(now.Add(6 * lookEvery)); got != 4 {
		t.Errorf("the mended certificate is not taken: %d", got)
	}
}

// keeperOf is a keeper of the same files, whose clock the test sets.
func keeperOf(t *testing.T, cfg *tls.Config, files Files, log *bytes.Buffer) *keeper {
	t.Helper()
	first, err := cfg.GetConfigForClient(nil)
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper{files: files, log: slog.New(slog.NewTextHandler(log, nil)), now: first}
	if k.stamp, err = k.look(); err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *keeper) serial(at time.Time) int64 {
	cert, err := x509.ParseCertificate(k.config(at).Certificates[0].Certificate[0])
	if err != nil {
		return -1
	}
	return cert.SerialNumber.Int64()
}

// TestTLSAsksClientsForTheirCertificate connects with none, with a stranger's,
// and with one of the authority's.
func TestTLSAsksClientsForTheirCertificate(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	files := Files{Cert: at("tls.crt"), Key: at("tls.key"), ClientCA: at("ca.crt")}
	ca := (&issuer{t: t}).issue(1, Files{Cert: files.ClientCA})
	ca.issue(2, files)
	ca.issue(3, Files{Cert: at("ours.crt"), Key: at("ours.key")})
	(&issuer{t: t}).issue(4, Files{}).issue(5, Files{Cert: at("theirs.crt"), Key: at("theirs.key")})
	cfg, err := TLS(files, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	for who, want := range map[string]bool{"": false, "theirs": false, "ours": true} {
		client := &tls.Config{RootCAs: roots, ServerName: "gate.example", MinVersion: tls.VersionTLS12}
		if who != "" {
			pair, err := tls.LoadX509KeyPair(at(who+".crt"), at(who+".key"))
			if err != nil {
				t.Fatal(err)
			}
			client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		}
		if got := shakes(cfg, client); got != want {
			t.Errorf("with the certificate %q: %v", who, got)
		}
	}
	if _, err := TLS(Files{Cert: files.Cert, Key: at("ours.key")}, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a key of another certificate is taken")
	}
	if _, err := TLS(Files{Cert: files.Cert, Key: files.Key, ClientCA: files.Key}, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("an authority without a certificate is taken")
	}
}

// shakes reports whether the server's side of a handshake ends well.
func shakes(server, client *tls.Config) bool {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	go func() {
		c := tls.Client(there, client)
		if c.Handshake() == nil {
			_, _ = c.Read(make([]byte, 1))
		}
		there.Close()
	}()
	return tls.Server(here, server).Handshake() == nil
}
