package server_test

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"imprimatur.dev/record"
	"imprimatur.dev/server"
	"imprimatur.dev/wire"
)

// Who gets in where, of every route that is mounted; what else a row needs stands in
// filled. MLflow's protocol is named once, though it is mounted four times.
const (
	// openRoutes answer to nobody: signing in, the public log, what programs ask
	// about the server, and what is nowhere.
	openRoutes = `
		GET /api/v1/log/proof?index=0, GET /api/v1/log/consistency?older=1&newer=2, GET /api/v1/log/status
		GET /log/checkpoint, GET /log/key, GET /log/tile/
		GET /.well-known/authzen-configuration, GET /.well-known/oauth-authorization-server, GET /.well-known/jwks.json
		POST /oauth2/token, POST /oauth2/revoke, GET /api/openapi.json, GET /healthz, GET /readyz
		GET /sign-in, POST /sign-in, POST /sign-out, GET /welcome/{link}, POST /welcome/{link}, GET /passkey.js
		POST /passkey/sign-in/begin, POST /passkey/sign-in, GET /sign-in/issuer, GET /sign-in/issuer/callback
		GET /api/{$}, GET /assets/{name}
		GET MLFLOW/3.0/mlflow/server-info, GET /version, GET /health, GET /t/{team}/version, GET /t/{team}/health
		/, /api/v1/, MLFLOW/2.0/mlflow/`
	// readRoutes show what the caller may see.
	readRoutes = `
		GET /api/v1/me, GET /api/v1/waiting, GET /api/v1/principals, GET /api/v1/principals/{id}, GET /api/v1/credentials
		GET /api/v1/identities, POST /oauth2/introspect, GET /api/v1/inventory
		GET /api/v1/roles, GET /api/v1/delegations, GET /api/v1/tokens, GET /api/v1/principal-keys, GET /api/v1/teams, GET /api/v1/environments
		GET /api/v1/datasets, GET /api/v1/overlaps, GET /api/v1/data-approvals, GET /api/v1/runs, GET /api/v1/models
		GET /api/v1/versions, GET /api/v1/use-cases, GET /api/v1/evaluations, GET /api/v1/evidence/{id}, GET /api/v1/policies
		GET /api/v1/signals, GET /api/v1/releases, GET /api/v1/releases/{id}, GET /api/v1/releases/{id}/history
		GET /api/v1/releases/{id}/diff?from=RELEASE, GET /api/v1/releases/{id}/bundle, GET /api/v1/exceptions, GET /api/v1/targets
		GET /api/v1/decide?environment=production&artifact=ARTIFACT, GET /api/v1/audit/live, GET /api/v1/audit/who?principal=ann
		GET /api/v1/audit/impact?of=DATA, GET /api/v1/graph?node=RELEASE, GET /api/v1/log/entries?kind=release
		GET /api/v1/envelopes, GET /api/v1/envelopes/{id}
		GET /api/v1/lineage?nodeId=job:flow:train, POST /api/v1/policies/try
		GET /api/v1/secrets, GET /api/v1/secrets/{team}/{name}, GET /api/v1/gateways
		GET /api/v1/vendors, GET /api/v1/vendors/{team}/{name}, GET /api/v1/assurances, GET /api/v1/probes, GET /api/v1/probes/{id}
		GET /api/v1/decisions, GET /api/v1/decisions/{id}, GET /api/v1/releases/{id}/used
		GET /api/v1/windows, GET /api/v1/windows/{id}, GET /api/v1/releases/{id}/monitor
		POST /access/v1/search/action, POST /access/v1/search/resource, POST /access/v1/search/subject
		POST /access/v1/evaluation, POST /access/v1/evaluations, POST /api/v1/authorize, POST /api/v1/authorize/settle, GET /api/v1/authority?workload=robot, /envoy/check/
		POST /kubernetes/admit
		GET MLFLOW/2.0/mlflow/registered-models/get?name=shown, GET MLFLOW/2.0/mlflow/registered-models/search
		POST MLFLOW/2.0/mlflow/registered-models/get-latest-versions, GET MLFLOW/2.0/mlflow/registered-models/get-latest-versions?name=shown
		GET MLFLOW/2.0/mlflow/model-versions/get?name=shown&version=1, GET MLFLOW/2.0/mlflow/model-versions/search
		GET MLFLOW/2.0/mlflow/model-versions/get-download-uri?name=shown&version=1
		GET MLFLOW/2.0/mlflow/registered-models/alias?name=shown&alias=blue, GET MLFLOW/2.0/mlflow/webhooks
		GET /sign-in/ways, GET /{$}, GET /inbox, GET /releases, GET /releases/{id}, GET /releases/{id}/bundle, GET /releases/{id}/monitor, GET /probes/{id}, GET /envelopes, GET /envelopes/{id}, GET /envelopes/{id}/withdraw, GET /live
		GET /live/{release}/rollback, GET /live/{release}/suspend, GET /search?q=net, GET /models, GET /models/{team}/{name}
		GET /versions, GET /datasets, GET /datasets/{digest}, GET /datasets/{digest}/decide, GET /data/{team}/{name}, GET /runs
		GET /runs/{team}/{name}, GET /use-cases, GET /use-cases/{team}/{name}, GET /evaluations/{id}, GET /people, GET /workloads, GET /inventory
		GET /vendors, GET /vendors/{name}
		GET /principals/{name}, GET /policies, GET /policies/{name}, GET /policy-draft, POST /policy-draft, GET /ledger
		GET /ledger/{index}, GET /ledger/{index}/proof, GET /releases/{id}/promote, GET /people/enrol, GET /principals/{name}/invite
		GET /principals/{name}/roles, GET /principals/{name}/offboard`
	// actRoutes change something, or show what only who may change it may see.
	actRoutes = `
		POST /api/v1/principals, POST /api/v1/principals/{id}/invite, POST /api/v1/principals/{id}/offboard, POST /api/v1/roles, POST /api/v1/delegations, POST /api/v1/tokens
		DELETE /api/v1/tokens/{id}, POST /api/v1/principal-keys, POST /api/v1/principal-keys/{id}/withdraw, POST /api/v1/teams
		POST /api/v1/identities, POST /api/v1/identities/{id}/end, POST /api/v1/principals/{id}/end-access
		POST /api/v1/tokens/{id}/rotate, POST /api/v1/principals/{id}/disable, POST /api/v1/releases/{id}/narrow
		POST /api/v1/decisions, POST /api/v1/environments, POST /api/v1/datasets, POST /api/v1/overlaps, POST /api/v1/data-approvals
		POST /api/v1/withdrawals/preview, POST /api/v1/withdrawals, POST /api/v1/runs, POST /api/v1/runs/reported, POST /api/v1/models, POST /api/v1/versions
		POST /api/v1/use-cases, PUT /api/v1/evidence/{id}, POST /api/v1/evaluations, POST /api/v1/policies, POST /api/v1/signals
		POST /api/v1/releases, POST /api/v1/releases/{id}/approvals, POST /api/v1/releases/{id}/comments
		POST /api/v1/releases/{id}/promote, POST /api/v1/releases/{id}/rollback, POST /api/v1/releases/{id}/drill, POST /api/v1/releases/{id}/suspend
		POST /api/v1/releases/{id}/retire, POST /api/v1/releases/{id}/waivers, POST /api/v1/releases/{id}/break-glass
		POST /api/v1/envelopes, POST /api/v1/envelopes/{id}/approvals, POST /api/v1/envelopes/{id}/withdraw
		POST /api/v1/exceptions/{id}/review, POST /api/v1/targets, GET /api/v1/targets/{id}, POST /api/v1/targets/{id}
		DELETE /api/v1/targets/{id}, POST /api/v1/targets/{id}/test, POST /api/v1/targets/{id}/replay
		POST /api/v1/secrets, POST /api/v1/secrets/{team}/{name}/rotate, POST /api/v1/secrets/{team}/{name}/withdraw
		POST /api/v1/secrets/{team}/{name}/use, POST /api/v1/secrets/{team}/{name}/attach, POST /api/v1/leases/check
		POST /api/v1/gateways, POST /api/v1/gateways/{id}/end
		POST /api/v1/vendors, POST /api/v1/vendors/{team}/{name}/assurances, POST /api/v1/vendors/{team}/{name}/assurances/withdraw
		POST /api/v1/services, POST /api/v1/probes, POST /api/v1/models/seen
		POST /api/v1/observations?batch=b&from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z
		POST /api/v1/lineage?team=lab, POST /api/v1/lineage/batch?team=lab
		POST MLFLOW/2.0/mlflow/registered-models/create, POST MLFLOW/2.0/mlflow/registered-models/rename
		PATCH MLFLOW/2.0/mlflow/registered-models/update, DELETE MLFLOW/2.0/mlflow/registered-models/delete
		POST MLFLOW/2.0/mlflow/model-versions/create, PATCH MLFLOW/2.0/mlflow/model-versions/update
		POST MLFLOW/2.0/mlflow/model-versions/transition-stage, DELETE MLFLOW/2.0/mlflow/model-versions/delete
		POST MLFLOW/2.0/mlflow/registered-models/set-tag, POST MLFLOW/2.0/mlflow/model-versions/set-tag
		DELETE MLFLOW/2.0/mlflow/registered-models/delete-tag, DELETE MLFLOW/2.0/mlflow/model-versions/delete-tag
		POST MLFLOW/2.0/mlflow/registered-models/alias, DELETE MLFLOW/2.0/mlflow/registered-models/alias
		POST MLFLOW/2.0/mlflow/webhooks, GET MLFLOW/2.0/mlflow/webhooks/{id}, PATCH MLFLOW/2.0/mlflow/webhooks/{id}
		DELETE MLFLOW/2.0/mlflow/webhooks/{id}, POST MLFLOW/2.0/mlflow/webhooks/{id}/test
		POST /sign-in/password, POST /passkey/enrol/begin, POST /passkey/enrol, POST /passkey/ask
		POST /envelopes/{id}/decision, POST /envelopes/{id}/withdraw, POST /releases/{id}/decision, POST /releases/{id}/comments, POST /live/{release}/rollback, POST /live/{release}/suspend
		POST /datasets/{digest}/decide, POST /policies, POST /releases/{id}/promote, POST /people/enrol
		POST /principals/{name}/invite, POST /principals/{name}/roles, POST /principals/{name}/roles/take, POST /principals/{name}/offboard
		POST /principals/{name}/delegations, POST /principals/{name}/delegations/end`
)

// bodies are what acts are asked with, so that the right is what they lack.
// MLflow's operations all take what they know of one.
var bodies = map[string]string{
	"POST /api/v1/principals":                   `{"name":"mallory","type":"human"}`,
	"POST /api/v1/principals/{id}/offboard":     `{"to":"ann"}`,
	"POST /api/v1/roles":                        `{"principal":"WHO","role":"administrator","team":"*"}`,
	"POST /api/v1/delegations":                  `{"to":"ann","role":"model-owner","team":"lab","expires":"2100-01-01T00:00:00Z","reason":"x"}`,
	"POST /api/v1/tokens":                       `{"principal":"ann","scopes":["write"],"seconds":60}`,
	"POST /api/v1/principal-keys/{id}/withdraw": `{"reason":"x"}`,
	"POST /api/v1/identities":                   `{"workload":"robot","type":"certificate","certificate":"MORE"}`,
	"POST /api/v1/identities/{id}/end":          `{"reason":"x"}`,
	"POST /api/v1/principals/{id}/end-access":   `{"reason":"x"}`,
	"POST /api/v1/principals/{id}/disable":      `{"reason":"x"}`,
	"POST /api/v1/tokens/{id}/rotate":           `{"seconds":60}`,
	"POST /api/v1/releases/{id}/narrow":         `{}`,
	"POST /oauth2/token":                        `grant_type=client_credentials`,
	"POST /oauth2/introspect":                   `token=x`,
	"POST /oauth2/revoke":                       `token=x`,
	"POST /api/v1/teams":                        `{"name":"mine"}`,
	"POST /api/v1/environments":                 `{"name":"mine","leastTier":"low","policy":"house"}`,
	"POST /api/v1/datasets":                     `{"team":"lab","name":"d","version":"1","digest":"MORE","source":"s3://d","classification":"c","owner":"bob"}`,
	"POST /api/v1/overlaps":                     `{"a":"DATA","b":"HELD"}`,
	"POST /api/v1/data-approvals":               `{"dataset":"DATA","decision":"withdraw","reason":"x"}`,
	"POST /api/v1/withdrawals/preview":          `{"dataset":"DATA","decision":"withdraw","reason":"x"}`,
	"POST /api/v1/withdrawals":                  `{"approval":{"dataset":"DATA","decision":"withdraw","reason":"x"},"seen":"MORE"}`,
	"POST /api/v1/runs":                         `{"team":"lab","id":"r","code":{"repository":"r","commit":"abababababababababababababababababababab"},"inputs":[{"type":"dataset","name":"d","digest":"DATA"}],"outputs":[{"type":"model","name":"m","digest":"MORE"}],"started":"2026-01-01T00:00:00Z","finished":"2026-01-01T00:00:00Z"}`,
	"POST /api/v1/runs/reported":                `{"team":"lab","run":"r"}`,
	"POST /api/v1/models":                       `{"team":"lab","name":"m","type":"trained","owner":"olga"}`,
	"POST /api/v1/versions":                     `{"model":"lab/net","version":"9","type":"trained","artifact":"MORE","files":[{"path":"m","sha256":"HEX","size":1}]}`,
	"POST /api/v1/use-cases":                    `{"team":"lab","name":"u","title":"U","purpose":"u","owner":"olga","tier":"high","environments":["production"]}`,
	"POST /api/v1/evaluations":                  `{"run":{"team":"lab","artifact":"ARTIFACT","dataset":"HELD","finished":"2026-01-01T00:00:00Z"},"files":[{"name":"items.ndjson","digest":"EVIDENCE"}]}`,
	"POST /api/v1/policies":                     `{"text":"POLICY","reason":"x"}`,
	"POST /api/v1/policies/try":                 `{"text":"POLICY","reason":"x"}`,
	"POST /api/v1/signals":                      `{"release":"RELEASE","line":"lab/net/triage/production","type":"drift","detail":"x","observed":"2026-01-01T00:00:00Z"}`,
	"POST /api/v1/releases":                     `{"version":"lab/net@1","useCase":"lab/triage","environment":"production","incomplete":true}`,
	"POST /api/v1/releases/{id}/approvals":      `{"release":"RELEASE","record":"RECORD","role":"model-owner","decision":"request-changes","reason":"x"}`,
	"POST /api/v1/releases/{id}/comments":       `{"text":"x"}`,
	"POST /api/v1/releases/{id}/drill":          `{}`,
	"POST /api/v1/releases/{id}/rollback":       `{"to":"RELEASE","reason":"x"}`,
	"POST /api/v1/releases/{id}/suspend":        `{"reason":"x"}`,
	"POST /api/v1/releases/{id}/retire":         `{"reason":"x"}`,
	"POST /api/v1/releases/{id}/waivers":        `{"gate":"approval/security","reason":"x","seconds":60}`,
	"POST /api/v1/releases/{id}/break-glass":    `{"reason":"x","seconds":60}`,
	"POST /api/v1/envelopes":                    envelopeBody,
	"POST /api/v1/envelopes/{id}/approvals":     `{"record":"MORE","role":"model-owner","decision":"request-changes","reason":"x"}`,
	"POST /api/v1/envelopes/{id}/withdraw":      `{"reason":"x"}`,
	"POST /api/v1/exceptions/{id}/review":       `{"outcome":"upheld","reason":"x"}`,
	"POST /api/v1/targets":                      `{"team":"lab","name":"t","form":"webhook","url":"https://hook.example.invalid/"}`,
	"POST /api/v1/targets/{id}":                 `{"name":"other"}`,
	"POST /api/v1/targets/{id}/replay":          `{}`,
	"POST /api/v1/authorize":                    `{"workload":"robot","kind":"tools","resource":"t","action":"call"}`,
	"POST /api/v1/authorize/settle":             `{"reservation":"none","tokens":1}`,
	"POST /api/v1/decisions":                    `[{"at":"2026-01-01T00:00:00Z","workload":"robot","release":"RELEASE","allowed":true,"count":1}]`,
	"POST /api/v1/lineage":                      lineageEvent,
	"POST /api/v1/lineage/batch":                "[" + lineageEvent + "]",
	"POST /access/v1/evaluation":                `{"subject":{"type":"workload","id":"robot"},"resource":{"type":"tool","id":"t"},"action":{"name":"call"}}`,
	"POST /access/v1/evaluations":               `{"subject":{"type":"workload","id":"robot"},"resource":{"type":"tool","id":"t"},"action":{"name":"call"}}`,
	"POST /access/v1/search/subject":            `{"subject":{"type":"workload"},"resource":{"type":"tool","id":"t"},"action":{"name":"call"}}`,
	"POST /access/v1/search/resource":           `{"subject":{"type":"workload","id":"robot"},"resource":{"type":"tool"},"action":{"name":"call"}}`,
	"POST /access/v1/search/action":             `{"subject":{"type":"workload","id":"robot"},"resource":{"type":"tool","id":"t"}}`,
	"POST /kubernetes/admit":                    `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","kind":{"group":"","version":"v1","kind":"Pod"},"operation":"DELETE"}}`,
	"POST /envelopes/{id}/withdraw":             `reason=x`,
	"POST /envelopes/{id}/decision":             `record=MORE&role=model-owner&decision=request-changes&reason=x`,
	"POST /releases/{id}/decision":              `record=RECORD&role=model-owner&decision=request-changes&reason=x`,
	"POST /releases/{id}/comments":              `text=x`,
	"POST /releases/{id}/promote":               ` `,
	"POST /people/enrol":                        `name=mallory`,
	"POST /principals/{name}/invite":            ` `,
	"POST /principals/{name}/roles":             `role=administrator&team=*`,
	"POST /principals/{name}/roles/take":        `binding=contributor+lab`,
	"POST /principals/{name}/offboard":          `to=ann&sure=yes`,
	"POST /live/{release}/rollback":             `to=RELEASE&reason=x`,
	"POST /live/{release}/suspend":              `reason=x`,
	"POST /datasets/{digest}/decide":            `decision=allow&purposes=x&expires=2100-01-01T00:00&reason=x`,
	"POST /policy-draft":                        `text=POLICY`,
	"POST /principals/{name}/delegations":       `to=ann&holding=model-owner+lab&until=2100-01-01T00:00&reason=x`,
	"POST /principals/{name}/delegations/end":   `delegation=ann+model-owner+lab&why=x`,
	"POST /policies":                            `text=POLICY&reason=x`,

	"POST /api/v1/secrets":                        `{"team":"lab","name":"other","value":"dg=="}`,
	"POST /api/v1/secrets/{team}/{name}/rotate":   `{"value":"dg=="}`,
	"POST /api/v1/secrets/{team}/{name}/withdraw": `{"reason":"x"}`,
	"POST /api/v1/secrets/{team}/{name}/use":      `{}`,
	"POST /api/v1/secrets/{team}/{name}/attach":   `{"token":"x","to":"https://crm.example"}`,
	"POST /api/v1/leases/check":                   `{"leases":["l-1"]}`,
	"POST /api/v1/gateways":                       `{"workload":"robot","team":"lab","environment":"production"}`,
	"POST /api/v1/gateways/{id}/end":              `{"reason":"x"}`,

	"POST /api/v1/vendors":     `{"team":"lab","name":"owl","owner":"olga","contact":"x"}`,
	"POST /api/v1/probes":      `{"vendor":"lab/parrot","suite":"MORE","answers":"MORE"}`,
	"POST /api/v1/models/seen": `{"release":"RELEASE","vendor":"parrot","model":"chat-2","answered":"chat-3"}`,
	"POST /api/v1/services":    `{"version":"lab/net@9","vendor":"parrot","service":"chat-2"}`,

	"POST /api/v1/vendors/{team}/{name}/assurances":          `{"type":"dpa","document":{"name":"d","digest":"EVIDENCE","bytes":1,"format":"document"},"scope":"s","issuer":"i","expires":"2100-01-01T00:00:00Z"}`,
	"POST /api/v1/vendors/{team}/{name}/assurances/withdraw": `{"id":"a-000000000000","reason":"x"}`,
}

const (
	lineageEvent = `{"eventType":"START","eventTime":"2026-05-01T09:00:00Z","run":{"runId":"0190a0a0-0000-7000-8000-000000000001"},"job":{"namespace":"flow","name":"train"}}`
	envelopeBody = `{"name":"nightly","anchor":"RELEASE","workloads":["robot"],"sources":[{"source":"s3://lab/*"}],"code":{"repository":"https://lab.example/net","paths":["train/"]},"evaluations":[{"category":"accuracy","suite":"holdout","metric":"accuracy","require":"lower95 >= 0.9"}],"tries":9,"releases":9,"weekly":9,"ends":"2100-01-01T00:00:00Z"}`
	mlflowBody   = `{"name":"shown","version":"1","new_name":"other","key":"k","value":"v","alias":"blue","stage":"Staging","source":"s3://bucket/other","url":"https://hook.example.invalid/","events":[{"entity":"MODEL_VERSION","action":"CREATED"}]}`
)

// foreseen are the answers to a viewer and to a stranger that are no refusal of a right.
var foreseen = map[string][]int{
	// A key has no name until it is enrolled, so there is none to refuse.
	"POST /api/v1/principal-keys/{id}/withdraw": {404},
	// The release of this house has no baseline.
	"GET /api/v1/releases/{id}/monitor": {409},
	"GET /releases/{id}/monitor":        {409},
	// Evidence is bytes with a digest until somebody records it.
	"PUT /api/v1/evidence/{id}": {200},
	// These are about the caller themselves, whoever that is.
	"POST /api/v1/principal-keys": {422}, "POST /sign-in/password": {422},
	"POST /passkey/enrol/begin": {200}, "POST /passkey/enrol": {422}, "POST /passkey/ask": {422},
	// The workload acts under no release: who asks for all learns that, and nobody else.
	"POST /api/v1/authorize": {403}, "POST /access/v1/evaluation": {403}, "POST /access/v1/evaluations": {403}, "/envoy/check/": {403}, "GET /api/v1/authority": {403},
	// Where a team's affairs are told is for those who say it.
	"GET /api/v1/targets": {403}, "GET MLFLOW/2.0/mlflow/webhooks": {403},
}

// toldAll are the routes whose answer names a release to whoever knows the digest
// of its bytes: a place that is about to run them need not be its team's.
var toldAll = []string{"GET /api/v1/decide"}

// walked is a route with who gets in, and what it is asked with.
type walked struct{ class, named, method, path, body string }

var mlflowAt = []string{"/t/{team}/ajax-api/", "/t/{team}/api/", "/ajax-api/", "/api/"}

// tableOf gives each pattern its row.
func tableOf(t *testing.T) map[string]walked {
	out := map[string]walked{}
	for class, text := range map[string]string{"open": openRoutes, "read": readRoutes, "act": actRoutes} {
		for row := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '\n' }) {
			row = strings.TrimSpace(row)
			if row == "" {
				continue
			}
			places := []string{""}
			if strings.Contains(row, "MLFLOW/") {
				places = mlflowAt
			}
			for _, place := range places {
				at := strings.Replace(row, "MLFLOW/", place, 1)
				pattern, query, _ := strings.Cut(at, "?")
				named, _, _ := strings.Cut(row, "?")
				w := walked{class: class, named: named, body: bodies[pattern], path: pattern, method: "GET"}
				if place != "" {
					w.body = mlflowBody
				}
				if method, path, ok := strings.Cut(pattern, " "); ok {
					w.method, w.path = method, path
				}
				if query != "" {
					w.path += "?" + query
				}
				if _, twice := out[pattern]; twice {
					t.Errorf("%s stands twice in the table", pattern)
				}
				out[pattern] = w
			}
		}
	}
	return out
}

// filler fills the places of routes and bodies with what there is.
func (h *house) filler() func(w walked, who string) (path, body string) {
	h.Helper()
	c := h.ready("1")
	must[wire.Promoted](h)(h.people["olga"].Promote(h.ctx, c.ID))
	for _, row := range [][2]string{{"registered-models/create", `{"name":"shown"}`}, {"model-versions/create", `{"name":"shown","source":"s3://bucket/shown"}`}, {"registered-models/alias", `{"name":"shown","alias":"blue","version":"1"}`}} {
		if got := h.ask("ann", "POST", "/t/lab/api/2.0/mlflow/"+row[0], row[1]); got.StatusCode != http.StatusOK {
			h.Fatalf("%s: %s", row[0], got.Status)
		}
	}
	if got := h.ask("robot", "POST", "/api/v1/lineage?team=lab", lineageEvent); got.StatusCode != http.StatusOK {
		h.Fatal(got.Status)
	}
	hook := must[wire.KeptTarget](h)(h.admin.AddTarget(h.ctx, wire.TargetRequest{Team: "lab", Name: "hook", Form: record.FormMLflow, URL: "https://hook.example.invalid/", Events: []string{"model_version.created"}}))
	must[record.Recorded[record.Secret]](h)(h.admin.SetSecret(h.ctx, wire.SecretRequest{Team: "lab", Name: "crm-key", SecretVersion: wire.SecretVersion{Value: []byte("v")}}))
	must[record.Recorded[record.ModelVendor]](h)(h.people["rita"].RegisterVendor(h.ctx, record.ModelVendor{Team: "lab", Name: "parrot", Owner: "olga", Contact: "x"}))
	probed := record.ProbeID(must[record.Recorded[record.Probe]](h)(h.people["ann"].RecordProbe(h.ctx, h.probe("chat-2"))).Digest)
	gateway := must[record.Recorded[record.Gateway]](h)(h.admin.BindGateway(h.ctx, record.Gateway{Workload: "robot", Team: "lab", Environment: "production"}))
	token := must[wire.IssuedToken](h)(h.admin.IssueToken(h.ctx, wire.TokenRequest{Principal: "sam", Scopes: []string{record.ScopeRead}, Seconds: 60})).Token.Record.ID
	h.train("2")
	waived := proposal("2")
	waived.Incomplete = true
	second := must[wire.Case](h)(h.people["ann"].ProposeRelease(h.ctx, waived))
	second = must[wire.Case](h)(h.people["rita"].Waive(h.ctx, second.ID, wire.ExceptionRequest{Gate: "approval/security", Reason: "for the test", Seconds: 60}))
	evidence := string(record.DigestOf(evidenceOf(digest("model 1"))))
	evaluation := must[wire.Page](h)(h.admin.List(h.ctx, record.KindEvaluation, 0, 0)).Entries[0]
	identity := must[record.Recorded[record.Identity]](h)(h.admin.AddIdentity(h.ctx, record.Identity{Workload: "robot", Type: record.IdentityCertificate, Certificate: digest("certificate")}))
	envelope := must[wire.EnvelopeCase](h)(h.people["ann"].ProposeEnvelope(h.ctx, weekly(c.ID)))
	ids := map[string]string{
		"/envelopes/":  envelope.ID,
		"/identities/": identity.Record.ID, "/gateways/": gateway.Record.ID, "/principals/": "robot", "/tokens/": token, "/principal-keys/": "0123456789abcdef", "/evidence/": evidence, "/releases/": c.ID, "/decisions/": string(digest("log")), "/windows/": string(digest("report")),
		"/exceptions/": record.ExceptionID(second.Exceptions[0].Digest), "/targets/": hook.Target.Record.ID, "/webhooks/": hook.Target.Record.ID, "/evaluations/": record.EvaluationID(evaluation.Digest),
		"/probes/": probed,
	}
	names := map[string]string{"/models/": "net", "/data/": "data-1", "/runs/": "run-1", "/use-cases/": "triage", "/principals/": "robot", "/policies/": "house", "/assets/": "console.css", "/api/v1/secrets/": "crm-key", "/api/v1/vendors/": "parrot"}
	places := strings.NewReplacer("{team}", "lab", "{link}", "0", "{release}", c.ID, "{index}", strconv.FormatInt(c.Release.Index, 10), "{digest}", string(digest("data 1")), "{$}", "",
		"RELEASE", c.ID, "RECORD", string(c.Digests.Record), "ARTIFACT", string(c.Release.Record.Behaviour.Artifact), "DATA", string(digest("data 1")),
		"HELD", string(digest("held out")), "MORE", string(digest("more")), "HEX", digest("more").Hex(), "EVIDENCE", evidence)
	return func(w walked, who string) (string, string) {
		path, policy := w.path, url.QueryEscape(rules)
		for where, id := range ids {
			path = strings.Replace(path, where+"{id}", where+id, 1)
		}
		for where, name := range names {
			if strings.HasPrefix(path, where) {
				path = strings.Replace(path, "{name}", name, 1)
			}
		}
		if strings.HasPrefix(w.body, "{") {
			policy = strings.Trim(strconv.Quote(rules), `"`)
		}
		return places.Replace(path), places.Replace(strings.NewReplacer("POLICY", policy, "WHO", who).Replace(w.body))
	}
}

// walker is somebody who asks at each route: with a token, and with a session.
type walker struct {
	*house
	name string
	*browser
}

// answered is what a walker was answered.
type answered struct {
	status   int
	to, text string
}

func (w walker) walk(row walked, path, body string) answered {
	w.house.Helper()
	req := must[*http.Request](w.house)(http.NewRequestWithContext(w.ctx, row.method, w.house.url+path, strings.NewReader(body)))
	client := w.client
	if row.class == "open" {
		client = w.house.browser().client // who signs out by one still has their session
	}
	if w.name != "" {
		req.Header.Set("Authorization", "Bearer "+w.tokens[w.name])
	}
	req.Header.Set("Content-Type", "application/json")
	if body != "" && body[0] != '{' && body[0] != '[' {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	got := must[*http.Response](w.house)(client.Do(req))
	defer got.Body.Close()
	return answered{got.StatusCode, got.Header.Get("Location"), string(must[[]byte](w.house)(io.ReadAll(got.Body)))}
}

// TestEveryRouteLetsInWhomItShould walks all that is mounted as nobody, as a viewer
// and as somebody with every role in other teams.
func TestEveryRouteLetsInWhomItShould(t *testing.T) {
	h := settle(t)
	h.url = servedAt(t, h) // as it is reached by browsers, for passkeys
	fill, table := h.filler(), tableOf(t)
	h.enrol(record.Principal{Name: "otto", Type: record.Human})
	for _, team := range []string{"other", "third"} {
		must[record.Recorded[record.Team]](t)(h.admin.CreateTeam(h.ctx, record.Team{Name: team}))
		for _, role := range record.RoleNames {
			must[record.Recorded[record.Role]](t)(h.admin.BindRole(h.ctx, record.Role{Principal: "otto", Role: role, Team: team}))
		}
	}
	walkers := []walker{{h, "", h.browser()}, {h, "vic", h.browser()}, {h, "otto", h.browser()}}
	for _, w := range walkers[1:] {
		if status, _ := w.post("/sign-in", url.Values{"token": {h.tokens[w.name]}}); status != http.StatusSeeOther {
			t.Fatalf("%s is not signed in: %d", w.name, status)
		}
	}
	// What was asked of the decision point is stated sooner or later.
	decided := func() int64 {
		return int64(len(must[wire.Page](t)(h.admin.List(h.ctx, record.KindDecisions, 0, 0)).Entries))
	}
	stated := func() int64 {
		for {
			before, size := decided(), must[wire.LogStatus](t)(h.reg.LogStatus(h.ctx)).Size
			if before == decided() {
				return size - before
			}
		}
	}
	size := stated()
	patterns := server.Patterns(h.reg)
	for _, pattern := range patterns {
		row, ok := table[pattern]
		if !ok {
			t.Errorf("the route %q stands in no table of who gets in: add it to openRoutes, readRoutes or actRoutes", pattern)
			continue
		}
		for _, w := range walkers {
			path, body := fill(row, w.name)
			got := w.walk(row, path, body)
			if why := wrong(w.name, row.named, row.class, got); why != "" {
				t.Errorf("%s by %q: %s: %d %s %.300s", pattern, w.name, why, got.status, got.to, got.text)
			}
			if now := stated(); now != size {
				t.Errorf("%s by %q stated something: %d", pattern, w.name, got.status)
				size = now
			}
		}
	}
	for pattern := range table {
		if !slices.Contains(patterns, pattern) {
			t.Errorf("%s stands in the table and is no route", pattern)
		}
	}
}

// wrong says what is wrong with an answer, or nothing.
func wrong(who, pattern, class string, got answered) string {
	refused := got.status == http.StatusUnauthorized || got.status == http.StatusForbidden
	switch {
	case got.status >= 500:
		return "the server failed"
	case class == "open":
		return ""
	case who == "":
		if refused || got.status == http.StatusSeeOther && strings.HasPrefix(got.to, "/sign-in") {
			return ""
		}
		return "nobody gets in"
	case class == "read" && who == "vic":
		if got.status < 300 || got.status == http.StatusNotFound || slices.Contains(foreseen[pattern], got.status) {
			return ""
		}
		return "a viewer may not read"
	case class == "read":
		for _, theirs := range []string{"lab/net", "lab/triage", "lab/run-1", "lab/data-1", "s3://"} {
			if got.status < 300 && !slices.Contains(toldAll, pattern) && strings.Contains(got.text, theirs) {
				return "somebody else is shown " + theirs
			}
		}
		return ""
	case strings.Contains(got.text, "does not act for exactly one team"):
		return "" // MLflow's paths without a team mean the caller's own
	case refused || slices.Contains(foreseen[pattern], got.status):
		return ""
	}
	return "who lacks the right is not refused for that"
}
