package kubernetes

import (
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// world is a cluster and the product before it.
type world struct {
	c *cluster
	p *product
	// gates vouches for the certificate of the webhook.
	gates *authority
}

// TestAClusterRunsOnlyWhatStands asks a real API server for objects of every kind,
// while the product runs beside it, stops and comes back.
func TestAClusterRunsOnlyWhatStands(t *testing.T) {
	w := open(t)
	t.Run("tokens", w.exchangesProjectedTokens)
	t.Run("no anonymous discovery", w.needsAnIdentityToDiscover)
	t.Run("admits", w.admitsWhatStands)
	t.Run("refuses", w.refusesTheWaysAround)
	t.Run("updates", w.judgesUpdates)
	t.Run("elsewhere", w.leavesOthersAlone)
	t.Run("audit", w.tellsTheAuditLog)
	t.Run("suspension", w.refusesWhatIsSuspended)
	t.Run("certificate", w.takesANewCertificate)
	t.Run("down", w.failsClosed)
}

func open(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	gate := freePort(t)
	w := &world{gates: newAuthority(t, dir, "gates")}
	w.gates.issue(t, filepath.Join(dir, "gate"), "first")
	w.p = newProduct(t, dir, gate)
	w.c = newCluster(t, dir, gate)
	for _, namespace := range []string{"clinic", "shed", "tools", "imprimatur"} {
		w.c.made(t, "/api/v1/namespaces", object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": namespace}})
		// No controller makes it here.
		w.c.made(t, "/api/v1/namespaces/"+namespace+"/serviceaccounts", object{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": object{"name": "default"}})
	}
	w.mayDeploy(t)
	for kind, versions := range kserve {
		w.c.made(t, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition(kind, versions))
	}
	for kind, versions := range kserve {
		for _, v := range versions {
			await(t, time.Minute, kind+" is not served", func() bool {
				return w.c.ask(administers, "GET", "/apis/serving.kserve.io/"+v+"/"+strings.ToLower(kind)+"s", nil).status == http.StatusOK
			})
		}
	}
	// The product runs in the cluster, with a service account of its own.
	write(t, filepath.Join(dir, "own-token"), []byte(w.token(t, "imprimatur", "default", object{})))
	write(t, filepath.Join(dir, "issuers.yaml"), []byte("issuers:\n  - issuer: "+w.c.url+"\n    ca: "+w.c.ca.file+"\n    token: "+filepath.Join(dir, "own-token")+"\n"))
	w.p.serve(t)
	w.p.release(t)
	w.c.made(t, webhooks, w.webhook(t))
	// The API server takes up a webhook within a second or so.
	await(t, time.Minute, "the webhook is not asked", func() bool {
		return w.try(pods, of("v1", "Pod", "probe", served(other))).status == http.StatusForbidden
	})
	return w
}

// mayDeploy lets the deployer make what is asked for here, and no more.
func (w *world) mayDeploy(t *testing.T) {
	t.Helper()
	const rbac = "/apis/rbac.authorization.k8s.io/v1/"
	w.c.made(t, rbac+"clusterroles", object{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": object{"name": "deployer"},
		"rules": []any{object{"apiGroups": []any{"", "apps", "batch", "serving.kserve.io"}, "resources": []any{"*"}, "verbs": []any{"*"}}},
	})
	w.c.made(t, rbac+"clusterrolebindings", object{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": object{"name": "deployer"},
		"roleRef":  object{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "deployer"},
		"subjects": []any{object{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "deployers"}},
	})
}

const webhooks = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"

// webhook is the configuration as the documentation prints it, with this
// server's address and authority in the places of those of the example.
func (w *world) webhook(t *testing.T) string {
	t.Helper()
	authority := base64.StdEncoding.EncodeToString(must(os.ReadFile(w.gates.file))(t))
	return documented(t, "ValidatingWebhookConfiguration", map[string]string{"imprimatur.example:8443": w.p.gate, "LS0tLS1CRUdJTi4uLg==": authority})
}

// try asks for an object as a deployer, in a dry run.
func (w *world) try(path string, in any) answer {
	return w.c.ask(deploys, "POST", path+"?dryRun=All", in)
}

// yes and no demand an answer of the gate.
func (w *world) yes(t *testing.T, what string, got answer) {
	t.Helper()
	if got.status != http.StatusOK && got.status != http.StatusCreated {
		t.Errorf("%s: %d %s", what, got.status, got.message)
	}
}

func (w *world) no(t *testing.T, what string, got answer, says ...string) {
	t.Helper()
	if got.status != http.StatusForbidden || !strings.HasPrefix(got.message, `admission webhook "admit.imprimatur.dev" denied the request: `) {
		t.Errorf("%s: %d %s", what, got.status, got.message)
	}
	for _, s := range says {
		if !strings.Contains(got.message, s) {
			t.Errorf("%s: the refusal does not say %q:\n%s", what, s, got.message)
		}
	}
}

func warned(got answer, text string) bool {
	return slices.ContainsFunc(got.warnings, func(w string) bool { return strings.Contains(w, text) })
}
