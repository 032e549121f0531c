package registry_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/store/storetest"
	"imprimatur.dev/wire"
)

// here is the address of the installation.
const here = "https://imprimatur.example"

const cluster = "https://cluster.example"

// identify binds a service account to a workload.
func (h *house) identify(workload string, change func(*record.Identity)) record.Identity {
	h.Helper()
	in := record.Identity{Workload: workload, Type: record.IdentityKubernetes, Issuer: cluster, Claims: map[string]string{"/kubernetes.io/namespace": "prod", "/kubernetes.io/serviceaccount/name": workload}}
	if change != nil {
		change(&in)
	}
	return must[record.Recorded[record.Identity]](h)(h.reg.AddIdentity(h.ctx, administrator, in)).Record
}

// shows is what a workload's service account says, as a platform's token that is
// good for an hour.
func (h *house) shows(account string) registry.AccessRequest {
	return registry.AccessRequest{Claimed: registry.Claimed{
		Issuer: cluster, Claims: fmt.Appendf(nil, `{"kubernetes.io":{"namespace":"prod","serviceaccount":{"name":%q}}}`, account), Expires: h.clock.peek().Add(time.Hour),
	}}
}

func (h *house) access(account string) registry.IssuedAccess {
	h.Helper()
	return must[registry.IssuedAccess](h)(h.reg.IssueAccess(h.ctx, h.shows(account)))
}

func shown(secret string) registry.Shown {
	return registry.Shown{Secret: secret, Method: http.MethodPost, URL: here + "/access/v1/evaluation"}
}

// taken demands that an access token is taken, and untaken that it is refused.
func (h *house) taken(secret string) registry.Caller {
	h.Helper()
	who := must[registry.Caller](h)(h.reg.VerifyAccess(h.ctx, shown(secret)))
	if a := h.ask(who, nil); !a.Allowed || a.Release != who.Access.Release {
		h.Errorf("with an access token: %+v", a)
	}
	return who
}

func (h *house) untaken(secret string, says ...string) {
	h.Helper()
	_, err := h.reg.VerifyAccess(h.ctx, shown(secret))
	h.refused(err, wire.SignIn, says...)
	if _, ok, err := h.reg.Introspect(h.ctx, rita, secret); ok || err != nil {
		h.Errorf("it is active: %v", err)
	}
}

func TestAccessEndsAtItsInstant(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	h.identify("scorer", nil)
	h.liveWith("1", scoring("scorer"))
	got := h.access("scorer")
	h.taken(got.Secret)
	end := time.Unix(got.Access.Expires, 0)
	h.clock.set(end.Add(-2 * time.Millisecond))
	must[registry.Caller](t)(h.reg.VerifyAccess(h.ctx, shown(got.Secret)))
	h.clock.set(end)
	h.untaken(got.Secret, "not within its time", "/oauth2/token")
}

// TestAccessIsNoLongerThanWhatItRestsOn gives tokens for what ends within the five
// minutes.
func TestAccessIsNoLongerThanWhatItRestsOn(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	h.identify("scorer", nil)
	h.liveWith("1", scoring("scorer"))
	soon := h.clock.peek().Add(2 * time.Minute).Truncate(time.Second)
	in := h.shows("scorer")
	in.Expires = soon
	if got := must[registry.IssuedAccess](t)(h.reg.IssueAccess(h.ctx, in)); got.Access.Expires != soon.Unix() {
		t.Errorf("the platform's token ends at %s, the access token at %s", soon, time.Unix(got.Access.Expires, 0))
	}
	// The evidence of the release is no longer fresh 30 days after it was made.
	h.clock.turn(30*24*time.Hour - 3*time.Minute)
	if got := h.access("scorer"); got.Access.Expires >= got.Access.IssuedAt+300 {
		t.Errorf("the release lapses within minutes, and the access token lives for five")
	}
	h.agent("batch")
	end := record.Millis(h.clock.peek().Add(time.Minute))
	h.identify("batch", func(i *record.Identity) { i.Expires = end })
	h.liveWith("2", scoring("batch"))
	if got := h.access("batch"); got.Access.Expires != end.Unix() {
		t.Errorf("the identity ends at %s, the access token at %s", end, time.Unix(got.Access.Expires, 0))
	}
	h.clock.set(end)
	_, err := h.reg.IssueAccess(h.ctx, h.shows("batch"))
	h.refused(err, wire.Refused, "no workload is known", "imprimatur principal identity add")
}

func TestRule10EveryWayAReleaseStopsEndsItsAccess(t *testing.T) {
	for name, stop := range map[string]func(h *house, c wire.Case){
		"suspended": func(h *house, c wire.Case) { must[wire.Case](h)(h.reg.Suspend(h.ctx, sam, c.ID, "incident", false)) },
		"retired":   func(h *house, c wire.Case) { must[wire.Case](h)(h.reg.Retire(h.ctx, olga, c.ID, "over")) },
		"withdrew": func(h *house, _ wire.Case) {
			must[record.Recorded[record.DataApproval]](h)(h.reg.DecideData(h.ctx, bob, record.DataApproval{Dataset: digest("data 1"), Decision: record.Withdraw, Reason: "r"}))
		},
		"replaced": func(h *house, _ wire.Case) { h.liveWith("2", scoring("scorer")) },
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			h.agent("scorer")
			h.identify("scorer", nil)
			c := h.liveWith("1", scoring("scorer"))
			got := h.access("scorer")
			h.taken(got.Secret)
			stop(h, c)
			h.untaken(got.Secret)
		})
	}
}

func TestEndedAccessStaysEnded(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	one := h.identify("scorer", nil)
	h.liveWith("1", scoring("scorer"))
	first, second := h.access("scorer"), h.access("scorer")
	if err := h.reg.RevokeAccess(h.ctx, registry.Caller{}, first.Secret); err != nil {
		t.Fatal(err)
	}
	h.refused(h.reg.RevokeAccess(h.ctx, ann, second.Secret), wire.Forbidden, "issue tokens for others")
	h.untaken(first.Secret, "it was ended")
	h.again() // a restart finds the same from the ledger alone
	h.untaken(first.Secret, "it was ended")
	h.taken(second.Secret)
	must[record.Recorded[record.Revocation]](t)(h.reg.EndAccess(h.ctx, olga, "scorer", wire.Stop{Reason: "a key leaked"}))
	h.again()
	h.untaken(second.Secret, "it was ended")
	h.clock.turn(time.Second)
	third := h.access("scorer")
	h.taken(third.Secret)
	must[record.Recorded[record.Identity]](t)(h.reg.EndIdentity(h.ctx, administrator, one.ID, wire.Stop{Reason: "moved"}))
	h.untaken(third.Secret, "it was ended")
	if used := must[[]wire.KeptIdentity](t)(h.reg.Identities(h.ctx, rita, "")); len(used) != 1 || used[0].Used.IsZero() || !used[0].Identity.Record.Revoked {
		t.Errorf("%+v", used)
	}
}

// TestEndedAccessReachesReplicas ends a token at one server of two.
func TestEndedAccessReachesReplicas(t *testing.T) {
	h := openOn(t, storetest.Postgres(t).DSN)
	b := h.beside(h.clock, h.database)
	h.agent("scorer")
	h.identify("scorer", nil)
	h.liveWith("1", scoring("scorer"))
	got := h.access("scorer")
	b.within(5*time.Second, "the other server takes it", func() bool {
		_, err := b.reg.VerifyAccess(h.ctx, shown(got.Secret))
		return err == nil
	})
	if err := h.reg.RevokeAccess(h.ctx, registry.Caller{}, got.Secret); err != nil {
		t.Fatal(err)
	}
	b.within(5*time.Second, "the other server refuses it", func() bool {
		_, err := b.reg.VerifyAccess(h.ctx, shown(got.Secret))
		return err != nil
	})
	b.untaken(got.Secret, "it was ended")
}

// TestAnAccessTokenIsNoKeyToTheHouse tries an access token at every door, of a workload
// that holds all the roles that one can.
func TestAnAccessTokenIsNoKeyToTheHouse(t *testing.T) {
	h, c, exception := rightsHouse(t)
	h.agent("scorer")
	h.agent("batch")
	for _, role := range []record.RoleName{record.Viewer, record.Contributor, record.Evaluator, record.Auditor} {
		must[record.Recorded[record.Role]](t)(h.reg.BindRole(h.ctx, administrator, record.Role{Principal: "scorer", Role: role, Team: record.AllTeams}))
	}
	h.identify("scorer", nil)
	h.liveWith("3", scoring("scorer", "batch"))
	who := h.taken(h.access("scorer").Secret)
	vouched := registry.Caller{Name: "scorer", Type: record.Workload, Method: registry.MethodPlatform, Scopes: []string{record.ScopeRead}}
	for _, who := range []registry.Caller{who, vouched} {
		for _, d := range doors(h, c, exception) {
			if err := d.call(who); registry.CodeOf(err) != wire.Forbidden {
				t.Errorf("%s by %s: %v", d.method, who.Method, err)
			}
		}
		for method, list := range lists(h, c) {
			if n, err := list(who); n > 0 || !no(err) {
				t.Errorf("%s shows %d by %s: %v", method, n, who.Method, err)
			}
		}
		_, err := h.reg.Authorize(h.ctx, who, wire.Ask{Workload: "batch", Kind: "tools", Resource: "look-up", Action: "call"})
		h.refused(err, wire.Forbidden)
		if a := must[wire.Answer](t)(h.reg.Authorize(h.ctx, who, wire.Ask{Workload: "scorer", Kind: "tools", Resource: "look-up", Action: "call"})); !a.Allowed {
			t.Errorf("by %s: %+v", who.Method, a)
		}
	}
	for what, err := range map[string]error{
		"makes a token":      only(h.reg.IssueToken(h.ctx, who, wire.TokenRequest{Principal: "scorer", Scopes: []string{"write"}, Seconds: 60})),
		"enrols a key":       only(h.reg.EnrolKey(h.ctx, who, wire.KeyEnrolment{Key: record.PrincipalKey{Principal: "scorer"}})),
		"asks for another":   only(h.reg.Authorize(h.ctx, who, wire.Ask{Workload: "batch", Kind: "tools", Resource: "look-up", Action: "call"})),
		"asks for a release": only(h.reg.Authorize(h.ctx, who, wire.Ask{Workload: "scorer", Release: "r-000000000000", Kind: "tools", Resource: "look-up", Action: "call"})),
	} {
		if registry.CodeOf(err) != wire.Forbidden {
			t.Errorf("a workload with an access token %s: %v", what, err)
		}
	}
	found := must[[]string](t)(h.reg.WhatMay(h.ctx, who, wire.Ask{Kind: "tools", Resource: "look-up", Action: "call"}, registry.AnyWorkload))
	if len(found) != 1 || found[0] != "scorer" {
		t.Errorf("it finds %v", found)
	}
}

func TestIdentitiesAreOfOneWorkload(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	h.agent("batch")
	h.identify("scorer", nil)
	h.liveWith("1", scoring("scorer", "batch"))
	h.identify("batch", func(i *record.Identity) { i.Claims["/kubernetes.io/serviceaccount/name"] = "scorer" })
	_, err := h.reg.IssueAccess(h.ctx, h.shows("scorer"))
	h.refused(err, wire.Refused, "that of several workloads", "client_id")
	in := h.shows("scorer")
	in.Workload = "batch"
	if got := must[registry.IssuedAccess](t)(h.reg.IssueAccess(h.ctx, in)); got.Access.Subject != "batch" {
		t.Errorf("%+v", got.Access)
	}
	add := func(change func(*record.Identity)) error {
		in := record.Identity{Workload: "scorer", Type: record.IdentityCertificate, Certificate: digest("certificate")}
		change(&in)
		return only(h.reg.AddIdentity(h.ctx, administrator, in))
	}
	h.refused(add(func(i *record.Identity) { i.Workload = "ann" }), wire.Invalid, "is no workload that stands here", "imprimatur principal enrol ann")
	h.refused(add(func(i *record.Identity) { i.Expires = record.Millis(h.clock.peek().Add(-time.Hour)) }), wire.Invalid, "expired already")
	h.refused(add(func(i *record.Identity) { i.Certificate = "" }), wire.Invalid, "certificate")
	h.refused(only(h.reg.EndIdentity(h.ctx, administrator, "i-none", wire.Stop{Reason: "r"})), wire.Unknown, "imprimatur principal identity list")
}
