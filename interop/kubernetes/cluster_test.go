package kubernetes

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// authority issues certificates for 127.0.0.1.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	// file holds its certificate, in PEM.
	file string
}

// newAuthority makes one whose certificate lies at dir/name.crt.
func newAuthority(t testing.TB, dir, name string) *authority {
	t.Helper()
	a := &authority{file: filepath.Join(dir, name+".crt")}
	a.issue(t, filepath.Join(dir, name), "authority "+name)
	return a
}

// issue writes base.crt and base.key; the first is the authority's own.
func (a *authority) issue(t testing.TB, base, name string) {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{
		SerialNumber: must(rand.Int(rand.Reader, big.NewInt(1<<62)))(t), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: a.cert == nil,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der := must(x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer))(t)
	if a.cert == nil {
		a.cert, a.key = must(x509.ParseCertificate(der))(t), key
	}
	write(t, base+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))(t)}))
	write(t, base+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func write(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// freePort is one that nobody listens at now.
func freePort(t testing.TB) string {
	t.Helper()
	l := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	defer l.Close()
	return l.Addr().String()
}

// cluster is a control plane without anything that runs containers.
type cluster struct {
	url    string
	client *http.Client
	// ca vouches for its certificate, and signing signs its tokens; audit is its log.
	ca             *authority
	signing, audit string
}

const (
	// The tokens of who administers the cluster, and of who deploys in it.
	administers = "token-of-the-cluster-administrator"
	deploys     = "token-of-a-deployer"
)

// newCluster starts etcd and kube-apiserver, which shows the certificate
// client.crt to the webhook at an address.
func newCluster(t *testing.T, dir, webhook string) *cluster {
	t.Helper()
	program := build(t, dir, ".", "./controlplane")
	at := func(name string) string { return filepath.Join(dir, name) }
	c := &cluster{ca: newAuthority(t, dir, "cluster"), signing: at("accounts.key"), audit: at("audit.ndjson")}
	c.ca.issue(t, at("apiserver"), "kube-apiserver")
	c.ca.issue(t, at("accounts"), "signs the tokens of service accounts")
	write(t, at("tokens.csv"), []byte(administers+",kubernetes-admin,1,system:masters\n"+deploys+",deployer,2,deployers\n"))
	write(t, at("audit.yaml"), []byte("apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n"))
	admission, hooks, _ := strings.Cut(documented(t, "AdmissionConfiguration", map[string]string{
		"imprimatur.example:8443": webhook, "/etc/kubernetes/webhooks.yaml }": at("webhooks.yaml") + " }",
		"/etc/kubernetes/webhooks.crt": at("client.crt"), "/etc/kubernetes/webhooks.key": at("client.key"),
	}), "---\n")
	write(t, at("admission.yaml"), []byte(admission))
	write(t, at("webhooks.yaml"), []byte(hooks))

	etcd, peer, secure := "http://"+freePort(t), "http://"+freePort(t), freePort(t)
	_, port, _ := strings.Cut(secure, ":")
	c.url = "https://" + secure
	began := time.Now()
	kept := start(t, program, "etcd", at("etcd"), etcd, peer)
	serving := start(t, program, "apiserver",
		"--etcd-servers", etcd, "--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1", "--secure-port", port, "--cert-dir", at("certs"),
		"--endpoint-reconciler-type", "none", // it takes no address of this machine alone
		"--tls-cert-file", at("apiserver.crt"), "--tls-private-key-file", at("apiserver.key"), "--service-cluster-ip-range", "10.0.0.0/24",
		"--service-account-issuer", c.url, "--service-account-signing-key-file", c.signing, "--service-account-key-file", at("accounts.crt"),
		"--token-auth-file", at("tokens.csv"), "--authorization-mode", "RBAC", "--admission-control-config-file", at("admission.yaml"),
		"--audit-policy-file", at("audit.yaml"), "--audit-log-path", c.audit, "--audit-log-mode", "blocking")
	c.client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: c.ca.pool(), MinVersion: tls.VersionTLS13}}}
	await(t, 2*time.Minute, "the API server is not ready", func() bool {
		select {
		case <-kept.ended:
			t.Fatal("etcd has ended")
		case <-serving.ended:
			t.Fatal("the API server has ended")
		default:
		}
		// Before the roles are there, everybody is told that they may not ask.
		return c.ask("", "GET", "/readyz", nil).status == http.StatusOK && c.ask(administers, "GET", "/api/v1/namespaces/default", nil).status == http.StatusOK
	})
	t.Logf("etcd and kube-apiserver are ready after %s; they hold %d and %d MiB", time.Since(began).Round(time.Millisecond), resident(kept), resident(serving))
	t.Cleanup(func() { t.Logf("in the end they hold %d and %d MiB", resident(kept), resident(serving)) })
	return c
}

// documented is a text of docs/kubernetes.md, the one about a kind, with the values
// of this test in the places of the example's.
func documented(t *testing.T, kind string, values map[string]string) string {
	t.Helper()
	for block := range strings.SplitSeq(string(must(os.ReadFile("../../docs/kubernetes.md"))(t)), "```yaml\n") {
		text, _, _ := strings.Cut(block, "```")
		if !strings.Contains(text, "\nkind: "+kind+"\n") {
			continue
		}
		for example, value := range values {
			if strings.Count(text, example) != 1 {
				t.Fatalf("%s does not stand once in the %s that docs/kubernetes.md prints", example, kind)
			}
			text = strings.Replace(text, example, value, 1)
		}
		return text
	}
	t.Fatalf("docs/kubernetes.md prints no %s", kind)
	return ""
}

// build builds a program of a module.
func build(t *testing.T, dir, module, pkg string) string {
	t.Helper()
	out := filepath.Join(dir, filepath.Base(pkg))
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", out, pkg)
	cmd.Dir, cmd.Env = module, append(os.Environ(), "CGO_ENABLED=0")
	began := time.Now()
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", pkg, err, said)
	}
	t.Logf("built %s in %s", pkg, time.Since(began).Round(time.Second))
	return out
}

// process is a program that runs until it, or the test, ends.
type process struct {
	pid   int
	ended chan struct{}
}

// start runs a program; what it says is shown where the test fails.
func start(t *testing.T, program string, args ...string) process {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := process{cmd.Process.Pid, make(chan struct{})}
	go func() {
		_ = cmd.Wait() // it is killed
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Logf("%s said:\n%s", args[0], tail(said.String(), 3000))
		}
	})
	return p
}

func tail(text string, n int) string { return text[max(0, len(text)-n):] }

// resident is how much memory a process holds, in MiB.
func resident(p process) (mib int) {
	raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	_, rest, _ := strings.Cut(string(raw), "VmRSS:")
	_, _ = fmt.Sscan(rest, &mib)
	return mib >> 10
}

// await asks ten times a second until something is so.
func await(t *testing.T, within time.Duration, otherwise string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s after %s", otherwise, within)
		case <-tick.C:
		}
	}
}

// answer is what an API server says.
type answer struct {
	status   int
	object   map[string]any
	message  string
	warnings []string
}

// ask makes a request of the API server. A text is YAML, all else becomes JSON.
func (c *cluster) ask(token, method, path string, body any) answer {
	media, raw := "application/json", []byte(nil)
	switch body := body.(type) {
	case nil:
	case string:
		media, raw = "application/yaml", []byte(body)
	default:
		raw, _ = json.Marshal(body)
	}
	if method == "PATCH" {
		media = "application/merge-patch+json"
	}
	if method == "APPLY" {
		method, media = "PATCH", "application/apply-patch+yaml"
	}
	r, err := http.NewRequest(method, c.url+path, bytes.NewReader(raw))
	if err != nil {
		return answer{message: err.Error()}
	}
	r.Header.Set("Content-Type", media)
	r.Header.Set("Accept", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	got, err := c.client.Do(r)
	if err != nil {
		return answer{message: err.Error()}
	}
	defer got.Body.Close()
	out := answer{status: got.StatusCode, warnings: got.Header.Values("Warning")}
	all, err := io.ReadAll(got.Body)
	if out.message = string(all); err != nil || json.Unmarshal(all, &out.object) != nil {
		return out
	}
	if out.object["kind"] == "Status" {
		out.message, _ = out.object["message"].(string)
	}
	return out
}

// made makes an object as the administrator, who may.
func (c *cluster) made(t *testing.T, path string, object any) map[string]any {
	t.Helper()
	got := c.ask(administers, "POST", path, object)
	if got.status != http.StatusCreated {
		t.Fatalf("making an object at %s: %d %s", path, got.status, got.message)
	}
	return got.object
}
