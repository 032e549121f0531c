package mcp

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/gateway/follow"
	"imprimatur.dev/token"
)

// metadataPath is where a client learns who gives tokens for the gateway (RFC
// 9728 section 3; MCP 2026-07-28, basic/authorization).
const metadataPath = "/.well-known/oauth-protected-resource"

// resource is the address of one of the servers behind the gateway, or of the
// gateway as a whole, as tokens name it.
func (g *Gateway) resource(server string) string {
	if server == "" {
		return g.url
	}
	return g.url + "/" + server
}

// describe tells who gives tokens for the resource that the path names.
func (g *Gateway) describe(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("server")
	if g.url == "" || name != "" && g.servers[name] == nil {
		http.Error(w, "there is nothing here; who runs the gateway can give its address as url in its configuration", http.StatusNotFound)
		return
	}
	out, err := json.Marshal(map[string]any{
		"resource": g.resource(name), "authorization_servers": []string{g.issuer}, "bearer_methods_supported": []string{"header"},
		"resource_name": "imprimatur gateway mcp",
	}, json.Deterministic(true))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", mediaJSON)
	_, _ = w.Write(out)
}

// challenge says to who is not signed in where to learn how (RFC 9728 section 5.1).
func (g *Gateway) challenge(w http.ResponseWriter, server string) {
	says := `Bearer realm="imprimatur"`
	if g.url != "" {
		says += fmt.Sprintf(`, resource_metadata="%s%s/%s"`, g.url, metadataPath, server)
	}
	w.Header().Set("WWW-Authenticate", says)
}

// meant refuses an access token that is for somebody else than the gateway or the
// server behind it. Whether it is good at all is for the source to say. A token that
// is no JWT names nobody: it is the workload's own for the server that issues both.
func (g *Gateway) meant(bearer, server string) error {
	if g.url == "" {
		return nil
	}
	jwt, err := token.Parse(bearer)
	if err != nil {
		return nil
	}
	var claims struct {
		Audience token.Strings `json:"aud"`
	}
	if err := jwt.Unverified(&claims); err != nil {
		return fmt.Errorf("%w: %w", follow.ErrNotSignedIn, err)
	}
	if slices.Contains(claims.Audience, g.resource(server)) || slices.Contains(claims.Audience, g.resource("")) {
		return nil
	}
	return fmt.Errorf("%w: the access token is not for %s; ask for one that names it, and %s, as audience", follow.ErrNotSignedIn, g.resource(server), g.issuer)
}
