package registry_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"imprimatur.dev/attest"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// caller at work shows its token, exchanges it, asks, and has its secret lent, all
// the time. Each round is told; the first refusal ends it.
type atWork struct {
	token  atomic.Pointer[string]
	rounds chan struct{}
	stop   chan struct{}
	fault  chan error
}

func (h *house) work(token string) *atWork {
	w := &atWork{rounds: make(chan struct{}), stop: make(chan struct{}), fault: make(chan error, 1)}
	w.token.Store(&token)
	go func() {
		for {
			if err := h.round(*w.token.Load()); err != nil {
				w.fault <- err
				return
			}
			select {
			case w.rounds <- struct{}{}:
			case <-w.stop:
				w.fault <- nil
				return
			}
		}
	}()
	return w
}

func (h *house) round(token string) error {
	who, err := h.reg.Authenticate(h.ctx, token)
	if err != nil {
		return fmt.Errorf("showing the token: %w", err)
	}
	access, err := h.reg.IssueAccess(h.ctx, registry.AccessRequest{Claimed: registry.Claimed{Secret: token}})
	if err != nil {
		return fmt.Errorf("exchanging it: %w", err)
	}
	by, err := h.reg.VerifyAccess(h.ctx, shown(access.Secret))
	if err != nil {
		return fmt.Errorf("showing the access token: %w", err)
	}
	for _, c := range []registry.Caller{who, by} {
		got, err := h.reg.Authorize(h.ctx, c, wire.Ask{Workload: "scorer", Kind: "tools", Resource: "look-up", Action: "call"})
		if err != nil || !got.Allowed {
			return fmt.Errorf("asking: %v, %w", got.Reasons, err)
		}
	}
	if _, err := h.reg.ReadSecret(h.ctx, who, "lab", "crm-key", wire.SecretAsk{}); err != nil {
		return fmt.Errorf("reading the secret: %w", err)
	}
	_, err = h.reg.ReadSecret(h.ctx, who, "lab", "crm-key", wire.SecretAsk{Version: 1})
	if err != nil {
		return fmt.Errorf("reading the version it knows: %w", err)
	}
	return nil
}

// more lets it work for some rounds.
func (w *atWork) more(t *testing.T) {
	t.Helper()
	for range 20 {
		select {
		case <-w.rounds:
		case err := <-w.fault:
			t.Fatal(err)
		}
	}
}

func TestRotationRefusesNothing(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	h.setSecret("crm-key", value)
	a := scoring("scorer")
	a.Secrets = []record.Grant{{Resource: "crm-key", Actions: []string{"read"}}}
	h.liveWith("1", a)
	old := must[wire.IssuedToken](t)(h.reg.IssueToken(h.ctx, olga, wire.TokenRequest{Principal: "scorer", Scopes: []string{record.ScopeWrite}, Seconds: 24 * 60 * 60, Note: "for the job"}))
	w := h.work(old.Secret)
	w.more(t)
	fresh := must[wire.IssuedToken](t)(h.reg.RotateToken(h.ctx, olga, old.Token.Record.ID, wire.TokenRotation{Seconds: 24 * 60 * 60, OverlapSeconds: 60 * 60}))
	if k := fresh.Token.Record; k.Replaces != old.Token.Record.ID || k.Principal != "scorer" || k.Note != "for the job" || k.Scopes[0] != record.ScopeWrite {
		t.Errorf("%+v", k)
	}
	w.more(t) // with the old one still
	w.token.Store(&fresh.Secret)
	w.more(t)
	h.rotate("crm-key", "another", time.Hour)
	w.more(t)
	close(w.stop)
	if err := <-w.fault; err != nil {
		t.Fatal(err)
	}
	given := must[registry.IssuedAccess](t)(h.reg.IssueAccess(h.ctx, registry.AccessRequest{Claimed: registry.Claimed{Secret: old.Secret}}))
	h.taken(given.Secret)
	until := h.item("scorer").Credentials[0].Expires
	h.clock.set(until.Add(-5 * time.Millisecond))
	must[registry.Caller](t)(h.reg.Authenticate(h.ctx, old.Secret))
	h.clock.set(until)
	h.refused(only(h.reg.Authenticate(h.ctx, old.Secret)), wire.SignIn)
	h.untaken(given.Secret)
	must[registry.Caller](t)(h.reg.Authenticate(h.ctx, fresh.Secret))
	h.again() // the ledger alone says so
	h.refused(only(h.reg.Authenticate(h.ctx, old.Secret)), wire.SignIn)
	must[registry.Caller](t)(h.reg.Authenticate(h.ctx, fresh.Secret))
}

func TestRotationIsBounded(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	h.liveWith("1", scoring("scorer"))
	rotate := func(who registry.Caller, id string, seconds, overlap int64) (wire.IssuedToken, error) {
		return h.reg.RotateToken(h.ctx, who, id, wire.TokenRotation{Seconds: seconds, OverlapSeconds: overlap})
	}
	short := h.token("scorer", time.Minute)
	id := short.Token.Record.ID
	h.refused(only(rotate(ann, id, 60, 0)), wire.Forbidden, "issue tokens for others")
	h.refused(only(rotate(olga, id, 60, 31*24*60*60)), wire.Invalid, "at most 30 days")
	h.refused(only(rotate(olga, id, 60, -1)), wire.Invalid, "shorter overlap")
	h.refused(only(rotate(olga, id, 1<<62, 0)), wire.Invalid, "at most 366 days")
	h.refused(only(rotate(olga, "none", 60, 0)), wire.Unknown, "imprimatur principal tokens")
	// The old one never lasts longer than it would have.
	must[wire.IssuedToken](t)(rotate(olga, id, 3600, 3600))
	if got := h.item("scorer").Credentials[0]; !got.Expires.Equal(short.Token.Record.Expires) {
		t.Errorf("%+v", got)
	}
	h.clock.turn(time.Minute)
	h.refused(only(rotate(olga, id, 60, 0)), wire.Conflict, "has ended", "imprimatur principal token scorer")
	// Without an overlap it ends at once, with what was given for it.
	at := h.token("scorer", time.Hour)
	given := must[registry.IssuedAccess](t)(h.reg.IssueAccess(h.ctx, registry.AccessRequest{Claimed: registry.Claimed{Secret: at.Secret}}))
	must[wire.IssuedToken](t)(rotate(olga, at.Token.Record.ID, 60, 0))
	h.refused(only(h.reg.Authenticate(h.ctx, at.Secret)), wire.SignIn)
	h.untaken(given.Secret, "it was ended")
}

func TestAKeyIsRotatedWithAnOverlap(t *testing.T) {
	h := open(t)
	h.bind("robot", record.Evaluator)
	model := h.train("1", true)
	old := h.key(robot)
	fresh := must[*attest.Key](t)(attest.NewKey(attest.KeyNameOf("robot")))
	replacing := func(key *attest.Key, of string, overlap time.Duration) error {
		in := proved(key, record.PrincipalKey{Principal: "robot", KeyID: key.ID(), Type: record.KeyEd25519, Public: key.Public(), Replaces: of})
		in.OverlapSeconds = int64(overlap / time.Second)
		return only(h.reg.EnrolKey(h.ctx, ann, in))
	}
	h.refused(replacing(fresh, "none", time.Hour), wire.Unknown, "imprimatur principal key list")
	h.refused(replacing(fresh, h.key(eve).ID(), time.Hour), wire.Conflict, "is that of eve")
	h.refused(replacing(fresh, old.ID(), 31*24*time.Hour), wire.Invalid, "at most 30 days")
	if err := replacing(fresh, old.ID(), time.Hour); err != nil {
		t.Fatal(err)
	}
	n := 900
	sign := func(key *attest.Key) error {
		n++
		items := itemsOf(n, 1000, h.clock.now())
		run := record.EvaluationRun{Artifact: model, Dataset: digest("data 1"), Finished: record.Millis(h.clock.now())}
		return only(h.record(robot, wire.Submission{Run: record.EvaluationRun{Team: "lab"}, Envelope: signed(t, key, run, items)}, items))
	}
	for _, key := range []*attest.Key{old, fresh} {
		if err := sign(key); err != nil {
			t.Fatal(err)
		}
	}
	h.clock.turn(time.Hour)
	h.refused(sign(old), wire.Forbidden, "was withdrawn or has expired")
	if err := sign(fresh); err != nil {
		t.Fatal(err)
	}
	h.refused(replacing(must[*attest.Key](t)(attest.NewKey(attest.KeyNameOf("robot"))), old.ID(), time.Hour), wire.Conflict, "has ended")
}
