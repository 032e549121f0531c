package kubernetes

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// What stands in production: tiny, a vendor's model by the commit of its
// repository, and seer, which is an image. Nobody has released other.
const (
	tiny  = "hf://acme/tiny:c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0"
	seer  = "registry.example/clinic/seer@sha256:5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e"
	other = "hf://acme/other:d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0"
	// here is the address at which the server is known.
	here = "https://models.example"
)

const housePolicy = `apiVersion: imprimatur/v1
kind: Policy
name: house
tiers:
  low:
    solo: true
    approvals:
      - { role: model-owner, covers: [behaviour, data, authority, context] }
    expires: 90d
`

const authorityOfTiny = `{"tools": [{"resource": "tickets", "actions": ["create"], "why": "to open a case"}], "workloads": ["scorer"]}`

// product is the real server and command line.
type product struct {
	dir, program string
	// url is where it listens, gate where clusters ask.
	url, gate string
	clients   *authority
	server    *exec.Cmd
	said      bytes.Buffer
	// admin and ann are tokens; ann owns the models, and answers for risk and security.
	admin, ann string
	// tiny and seer are releases.
	tiny, seer string
}

func newProduct(t *testing.T, dir, gate string) *product {
	t.Helper()
	p := &product{dir: dir, gate: gate, program: build(t, dir, "../..", "./cmd/imprimatur"), clients: newAuthority(t, dir, "clients")}
	p.clients.issue(t, filepath.Join(dir, "client"), "kube-apiserver")
	t.Cleanup(func() {
		if p.server != nil {
			_ = p.server.Process.Kill()
			_ = p.server.Wait()
		}
		if t.Failed() {
			t.Logf("the server said:\n%s", tail(p.said.String(), 3000))
		}
	})
	return p
}

// serve starts the server, with the flags that docs/kubernetes.md names.
func (p *product) serve(t *testing.T) {
	t.Helper()
	at := func(name string) string { return filepath.Join(p.dir, name) }
	p.server = exec.Command(p.program, "serve", "--json", "--data", at("data"), "--listen", "127.0.0.1:0", "--url", here,
		"--admission-listen", p.gate, "--admission-cert", at("gate.crt"), "--admission-key", at("gate.key"), "--admission-client-ca", p.clients.file,
		"--admission-helper", "docker.io/istio/proxyv2", "--admission-helper", "kserve/storage-initializer", "--admission-runtime", "kserve/", "--admission-exempt", "tools",
		"--identity-issuers", at("issuers.yaml"), "--allow-target", "127.0.0.1")
	p.server.Env, p.server.Stderr = append(os.Environ(), "HOME="+p.dir), &p.said
	out := must(p.server.StdoutPipe())(t)
	if err := p.server.Start(); err != nil {
		t.Fatal(err)
	}
	var says struct {
		URL   string `json:"url"`
		Token string `json:"administratorToken"`
	}
	if err := json.UnmarshalDecode(jsontext.NewDecoder(out), &says); err != nil {
		_ = p.server.Wait()
		t.Fatalf("the server does not start: %v\n%s", err, p.said.String())
	}
	p.url = says.URL
	if says.Token != "" {
		p.admin = says.Token
	}
	await(t, time.Minute, "the server is not ready", func() bool {
		got, err := http.Get(p.url + "/readyz")
		if err != nil {
			return false
		}
		got.Body.Close()
		return got.StatusCode == http.StatusOK
	})
}

// end stops the server as an operator does.
func (p *product) end(t *testing.T) {
	t.Helper()
	if err := p.server.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := p.server.Wait(); err != nil {
		t.Fatalf("the server ended with %v\n%s", err, p.said.String())
	}
	p.server = nil
}

// does runs a command with somebody's token, and returns what it prints.
func (p *product) does(t *testing.T, token, command string, further ...string) string {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command(p.program, append(strings.Fields(command), further...)...)
	cmd.Dir, cmd.Stderr = p.dir, &said
	cmd.Env = append(os.Environ(), "HOME="+p.dir, "IMPRIMATUR_URL="+p.url, "IMPRIMATUR_TOKEN="+token)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("imprimatur %s: %v\n%s%s", command, err, out, said.String())
	}
	return string(out)
}

// release takes the house from nothing to two releases that stand.
func (p *product) release(t *testing.T) {
	t.Helper()
	for name, content := range map[string]string{"house.yaml": housePolicy, "authority.json": authorityOfTiny, "tiny.txt": "0.5", "seer.txt": "0.25", "other.txt": "0.125"} {
		write(t, filepath.Join(p.dir, name), []byte(content))
	}
	p.does(t, p.admin, "principal team clinic")
	p.does(t, p.admin, "principal enrol ann")
	for _, role := range []string{"contributor", "model-owner", "security"} {
		p.does(t, p.admin, "principal bind ann --team clinic --role", role)
	}
	p.does(t, p.admin, "principal bind ann --team * --role risk")
	p.does(t, p.admin, "principal enrol scorer --workload --owner ann --purpose scores --expires 90d")
	p.ann, _, _ = strings.Cut(p.does(t, p.admin, "principal token ann --for 12h"), "\n")
	p.does(t, p.ann, "policy publish house.yaml --reason first")
	p.does(t, p.admin, "principal environment production --least-tier low --policy house --namespace clinic")
	p.does(t, p.ann, "usecase register clinic/triage --title Triage --purpose triage --tier low --environment production")
	for name, source := range map[string]string{"tiny": tiny, "seer": "oci://" + seer, "other": other} {
		p.does(t, p.ann, "model create --owner ann clinic/"+name)
		p.does(t, p.ann, fmt.Sprintf("model register clinic/%s@1 %s.txt --type vendor --source %s", name, name, source))
	}
	p.tiny = p.promoted(t, "tiny", "--authority", "authority.json")
	p.seer = p.promoted(t, "seer")
}

func (p *product) promoted(t *testing.T, model string, further ...string) string {
	t.Helper()
	var release struct {
		ID string `json:"id"`
	}
	out := p.does(t, p.ann, "release propose --json --use-case clinic/triage --environment production clinic/"+model+"@1", further...)
	if err := json.Unmarshal([]byte(out), &release); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p.does(t, p.ann, "release approve --as model-owner --reason seen "+release.ID)
	p.does(t, p.ann, "release promote "+release.ID)
	return release.ID
}

// shown is the certificate that the gate shows now.
func (p *product) shown(t *testing.T) *x509.Certificate {
	t.Helper()
	pair := must(tls.LoadX509KeyPair(filepath.Join(p.dir, "client.crt"), filepath.Join(p.dir, "client.key")))(t)
	// Which certificate it is is what is asked.
	c := must(tls.Dial("tcp", p.gate, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}))(t)
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0]
}

// post sends a form or JSON to the server.
func (p *product) post(t *testing.T, token, path string, body any) (int, map[string]any) {
	t.Helper()
	media, raw := "application/json", []byte(nil)
	if form, ok := body.(url.Values); ok {
		media, raw = "application/x-www-form-urlencoded", []byte(form.Encode())
	} else {
		raw = must(json.Marshal(body))(t)
	}
	r := must(http.NewRequest("POST", p.url+path, bytes.NewReader(raw)))(t)
	r.Header.Set("Content-Type", media)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	got := must(http.DefaultClient.Do(r))(t)
	defer got.Body.Close()
	all := must(io.ReadAll(got.Body))(t)
	var out map[string]any
	if err := json.Unmarshal(all, &out); err != nil {
		t.Fatalf("%s answers %s: %s", path, got.Status, all)
	}
	return got.StatusCode, out
}
