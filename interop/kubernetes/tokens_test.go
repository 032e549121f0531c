package kubernetes

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// token asks the cluster for a token of a service account, for this server
// unless the spec says otherwise, as a kubelet does that projects one into a pod.
func (w *world) token(t *testing.T, namespace, account string, spec object) string {
	t.Helper()
	got := w.c.made(t, "/api/v1/namespaces/"+namespace+"/serviceaccounts/"+account+"/token", object{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec})
	text, _ := member(got, "status", "token").(string)
	if text == "" {
		t.Fatalf("the cluster gives no token: %v", got)
	}
	return text
}

// forUs is what a pod's projected volume asks for.
var forUs = object{"audiences": []any{here}, "expirationSeconds": 600}

func (w *world) account(t *testing.T, namespace, name string) {
	t.Helper()
	w.c.made(t, "/api/v1/namespaces/"+namespace+"/serviceaccounts", object{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": object{"name": name}})
}

// exchange shows a token of the cluster to the server.
func (w *world) exchange(t *testing.T, subject string) (access, why string) {
	t.Helper()
	status, got := w.p.post(t, "", "/oauth2/token", url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"}, "subject_token": {subject},
	})
	access, _ = got["access_token"].(string)
	why, _ = got["error_description"].(string)
	if (status == http.StatusOK) != (access != "") {
		t.Fatalf("the exchange is answered %d: %v", status, got)
	}
	return access, why
}

// may asks the decision point with an access token.
func (w *world) may(t *testing.T, access, tool string) (int, any) {
	t.Helper()
	status, got := w.p.post(t, access, "/access/v1/evaluation", object{
		"subject": object{"type": "workload", "id": "scorer"}, "action": object{"name": "create"}, "resource": object{"type": "tool", "id": tool},
	})
	return status, got["decision"]
}

// exchangesProjectedTokens takes tokens that the API server issues to this
// server, which fetches the cluster's keys by its own service account.
func (w *world) exchangesProjectedTokens(t *testing.T) {
	w.account(t, "clinic", "scorer")
	w.account(t, "clinic", "stranger")
	w.account(t, "shed", "scorer")
	w.p.does(t, w.p.admin, "principal identity add scorer --namespace clinic --service-account scorer --kubernetes "+w.c.url)
	access, why := w.exchange(t, w.token(t, "clinic", "scorer", forUs))
	if access == "" {
		t.Fatalf("a projected token is refused: %s", why)
	}
	var claims struct {
		Release     string `json:"release"`
		Environment string `json:"environment"`
		Sub         string `json:"sub"`
	}
	read(t, access, &claims)
	if claims.Release != w.p.tiny || claims.Environment != "production" || claims.Sub != "scorer" {
		t.Errorf("the access token says %+v", claims)
	}
	if status, decision := w.may(t, access, "tickets"); decision != true {
		t.Errorf("what the release grants: %d %v", status, decision)
	}
	if status, decision := w.may(t, access, "orders"); decision != false {
		t.Errorf("what it does not grant: %d %v", status, decision)
	}
	for what, row := range map[string]struct{ token, says string }{
		"for the API server itself":          {w.token(t, "clinic", "scorer", object{}), "not meant for " + here},
		"for another service":                {w.token(t, "clinic", "scorer", object{"audiences": []any{"https://vault.example"}}), "not meant for " + here},
		"of another namespace":               {w.token(t, "shed", "scorer", forUs), "no workload is known by what was shown"},
		"of another account":                 {w.token(t, "clinic", "stranger", forUs), "no workload is known by what was shown"},
		"that has expired":                   {w.resigned(t, -time.Hour), "it has expired"},
		"changed after it was signed":        {changed(w.token(t, "clinic", "scorer", forUs)), "not good"},
		"signed by another of the same name": {w.forged(t), "not good"},
	} {
		if access, why := w.exchange(t, row.token); access != "" || !strings.Contains(why, row.says) {
			t.Errorf("a token %s: %q %s", what, access, why)
		}
	}
	if access, why := w.exchange(t, w.resigned(t, time.Hour)); access == "" {
		t.Errorf("what is signed again as the cluster signs, and has not expired, is refused, so that the others prove nothing: %s", why)
	}
	w.boundToOnePod(t)
	w.ofADeletedAccount(t)

	w.p.does(t, w.p.ann, "release suspend --reason doubts "+w.p.tiny)
	if status, decision := w.may(t, access, "tickets"); decision == true {
		t.Errorf("the access token of a suspended release: %d %v", status, decision)
	}
	if access, why := w.exchange(t, w.token(t, "clinic", "scorer", forUs)); access != "" || !strings.Contains(why, "suspended") {
		t.Errorf("an exchange under a suspended release: %q %s", access, why)
	}
	w.p.does(t, w.p.ann, "release suspend --lift --reason cleared "+w.p.tiny)
	if access, why := w.exchange(t, w.token(t, "clinic", "scorer", forUs)); access == "" {
		t.Errorf("after that: %s", why)
	}
}

// boundToOnePod takes the token of a pod that an identity names, and no other's.
func (w *world) boundToOnePod(t *testing.T) {
	const place = "/api/v1/namespaces/clinic/"
	w.account(t, "clinic", "one")
	w.p.does(t, w.p.admin, "principal identity add scorer --namespace clinic --service-account one --pod first --kubernetes "+w.c.url)
	for name, want := range map[string]bool{"first": true, "second": false} {
		spec := with(served(tiny), "serviceAccountName", "one")
		pod := w.c.made(t, place+"pods", of("v1", "Pod", name, spec))
		bound := with(forUs, "boundObjectRef", object{"kind": "Pod", "apiVersion": "v1", "name": name, "uid": member(pod, "metadata", "uid")})
		if access, why := w.exchange(t, w.token(t, "clinic", "one", bound)); (access != "") != want {
			t.Errorf("the token of the pod %s: %q %s", name, access, why)
		}
	}
	if access, _ := w.exchange(t, w.token(t, "clinic", "one", forUs)); access != "" {
		t.Error("a token of no pod is taken for one's")
	}
}

// ofADeletedAccount deletes a service account, and makes one of the same name.
// A token that was given before cannot tell; one of the new account does.
func (w *world) ofADeletedAccount(t *testing.T) {
	const accounts = "/api/v1/namespaces/clinic/serviceaccounts"
	made := w.c.made(t, accounts, object{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": object{"name": "passing"}})
	uid, _ := member(made, "metadata", "uid").(string)
	w.p.does(t, w.p.admin, "principal identity add scorer --namespace clinic --service-account passing --claim /kubernetes.io/serviceaccount/uid="+uid+" --kubernetes "+w.c.url)
	before := w.token(t, "clinic", "passing", forUs)
	if access, why := w.exchange(t, before); access == "" {
		t.Fatalf("before it is deleted: %s", why)
	}
	if got := w.c.ask(administers, "DELETE", accounts+"/passing", nil); got.status != http.StatusOK {
		t.Fatalf("deleting the account: %d %s", got.status, got.message)
	}
	var claims struct {
		Iat int64 `json:"iat"`
		Exp int64 `json:"exp"`
	}
	read(t, before, &claims)
	if life := claims.Exp - claims.Iat; life != 600 {
		t.Errorf("a token lives for %d s, and so long a deleted account counts", life)
	}
	w.account(t, "clinic", "passing")
	if access, why := w.exchange(t, w.token(t, "clinic", "passing", forUs)); access != "" {
		t.Errorf("a new account of an old name is taken for the old one: %s", why)
	}
}

// needsAnIdentityToDiscover shows why the server brings a token of its own, and
// what an administrator does for a server that has none.
func (w *world) needsAnIdentityToDiscover(t *testing.T) {
	const at = "/.well-known/openid-configuration"
	if got := w.c.ask("", "GET", at, nil); got.status != http.StatusForbidden {
		t.Errorf("nobody is answered %d: %s", got.status, got.message)
	}
	w.c.made(t, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", object{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": object{"name": "issuer-discovery"},
		"roleRef":  object{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:service-account-issuer-discovery"},
		"subjects": []any{object{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:unauthenticated"}},
	})
	await(t, time.Minute, "nobody may discover the issuer", func() bool { return w.c.ask("", "GET", at, nil).status == http.StatusOK })
}

// read reads the claims of a token.
func read(t *testing.T, token string, into any) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no token", token)
	}
	if err := json.Unmarshal(must(base64.RawURLEncoding.DecodeString(parts[1]))(t), into); err != nil {
		t.Fatal(err)
	}
}

// resigned is a token of the cluster that ends at another time, signed with the
// cluster's own key: the API server gives none for less than ten minutes.
func (w *world) resigned(t *testing.T, ends time.Duration) string {
	t.Helper()
	block, _ := pem.Decode(must(os.ReadFile(w.c.signing))(t))
	key := must(x509.ParsePKCS8PrivateKey(block.Bytes))(t)
	return w.signed(t, ends, key.(crypto.Signer))
}

// forged is such a token, signed with the key of another authority.
func (w *world) forged(t *testing.T) string {
	t.Helper()
	return w.signed(t, time.Hour, w.gates.key)
}

func (w *world) signed(t *testing.T, ends time.Duration, key crypto.Signer) string {
	t.Helper()
	text := w.token(t, "clinic", "scorer", forUs)
	var claims object
	read(t, text, &claims)
	now := time.Now()
	claims["exp"], claims["iat"], claims["nbf"] = now.Add(ends).Unix(), now.Add(-2*time.Hour).Unix(), now.Add(-2*time.Hour).Unix()
	header, _, _ := strings.Cut(text, ".")
	content := header + "." + base64.RawURLEncoding.EncodeToString(must(json.Marshal(claims))(t))
	sum := sha256.Sum256([]byte(content))
	r, s, err := ecdsa.Sign(rand.Reader, key.(*ecdsa.PrivateKey), sum[:])
	if err != nil {
		t.Fatal(err)
	}
	var both [64]byte
	r.FillBytes(both[:32])
	s.FillBytes(both[32:])
	return content + "." + base64.RawURLEncoding.EncodeToString(both[:])
}

// changed is a token with another service account in it.
func changed(token string) string {
	parts := strings.Split(token, ".")
	raw, _ := base64.RawURLEncoding.DecodeString(parts[1])
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.ReplaceAll(string(raw), "scorer", "scores")))
	return strings.Join(parts, ".")
}
