package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// TestServeAnswersAClusterOverTLS starts the server as an operator does, and asks
// as a cluster does.
func TestServeAnswersAClusterOverTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key, roots := certificate(t, dir)
	env := func(string) string { return "" }
	for _, flags := range [][]string{{}, {"--admission-cert", cert}, {"--admission-cert", key, "--admission-key", cert}} {
		var says bytes.Buffer
		args := append([]string{"serve", "--data", filepath.Join(dir, "data"), "--listen", "127.0.0.1:0", "--admission-listen", "127.0.0.1:0"}, flags...)
		if code := run(t.Context(), args, env, nil, io.Discard, &says); code != exitWrong {
			t.Errorf("with %v it ends with %d: %s", flags, code, says.String())
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{
			"serve", "--json", "--data", filepath.Join(dir, "data"), "--listen", "127.0.0.1:0", "--admission-listen", "127.0.0.1:0",
			"--admission-cert", cert, "--admission-key", key, "--admission-exempt", "kube-system", "--admission-advise",
		}, env, nil, in, io.Discard)
	}()
	var says serving
	if err := json.UnmarshalDecode(jsontext.NewDecoder(out), &says); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}}
	review := `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"7","kind":{"group":"","version":"v1","kind":"Pod"},"namespace":"clinic","operation":"CREATE","object":{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"image":"a","args":["s3://b/c"]}]}}}}`
	got, err := client.Post(says.Gate, "application/json", strings.NewReader(review))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(got.Body)
	got.Body.Close()
	if err != nil || got.ProtoMajor != 2 || !strings.Contains(string(raw), `"allowed":true`) || !strings.Contains(string(raw), "not governed") {
		t.Errorf("answered %s over %s: %s %v", got.Status, got.Proto, raw, err)
	}
	if other, err := client.Get(strings.TrimSuffix(says.Gate, "/kubernetes/admit") + "/api/v1/me"); err != nil || other.StatusCode != http.StatusNotFound {
		t.Errorf("the listener answers more than the gate: %v %v", other, err)
	}
	client.CloseIdleConnections()
	stop()
	if code := <-ended; code != exitYes {
		t.Errorf("it ended with %d", code)
	}
}

// certificate writes the one that httptest's servers have.
func certificate(t *testing.T, dir string) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	cert, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	private, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: s.Certificate().Raw}, key: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots = x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return cert, key, roots
}
