package registry

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/token"
	"imprimatur.dev/wire"
)

// Introspect returns the claims of an access token, and whether it is good now:
// all that [Registry.VerifyAccess] asks but for the audience and the key that the
// token is bound to, which only who is shown it can ask for. Whoever may not read what
// the workload's team does, and is not the workload, learns of no token that it is good.
func (r *Registry) Introspect(ctx context.Context, who Caller, secret string) (token.Access, bool, error) {
	me, now, err := r.person(ctx, who.Name)
	if err == nil {
		err = who.stands(me, now)
	}
	if err != nil {
		return token.Access{}, false, err
	}
	a, err := r.openAccess(ctx, secret, now)
	switch {
	case err != nil && CodeOf(err) == wire.SignIn:
		return token.Access{}, false, nil
	case err != nil:
		return token.Access{}, false, err
	case who.Name == a.Subject || who.may(me, now, actRead, modelOf(a), rights[actRead]...) == nil:
		return a, true, nil
	}
	return token.Access{}, false, nil
}

// RevokeAccess ends an access token for good. Whoever holds it may, and besides
// the workload, its owner and an administrator, who sign in; the zero Caller is who
// holds it. A token that is none, or that has expired, is ended already.
func (r *Registry) RevokeAccess(ctx context.Context, who Caller, secret string) error {
	if err := r.issues(); err != nil {
		return err
	}
	now := record.Millis(r.now())
	a, err := r.issuing.open(secret, now)
	if errors.Is(err, token.ErrToken) || err == nil && (a.Issuer != r.issuing.url || !record.Stands(time.Time{}, time.Unix(a.Expires, 0), now)) {
		return nil
	}
	if err != nil {
		return err
	}
	held := who.Name == ""
	if held {
		who = Caller{Name: a.Subject, Type: record.Workload, Method: MethodAccess}
	}
	who.Request = ""
	_, err = r.write(ctx, who, func(t *tx) error {
		if !held {
			if err := who.mayState(); err != nil {
				return err
			}
			if err := t.mayIssue(wire.TokenRequest{Principal: a.Subject}); err != nil {
				return err
			}
		}
		if done, err := t.endedAlready(a.Subject, a.ID); err != nil || done {
			return err
		}
		return t.state(record.Revocation{Workload: a.Subject, Token: a.ID, Expires: time.Unix(a.Expires, 0).UTC()})
	})
	return err
}

// proofs are the DPoP proofs that were taken, so that none is taken twice. They
// are remembered by this server alone: another replica that is shown the same proof
// within its minute does not know it.
type proofs struct {
	mu sync.Mutex
	// now and before are those of this span and of the one before it; a span is as
	// long as a proof can be good.
	now, before map[string]bool
	began       time.Time
}

// maxProofs bounds what is remembered of one span, about 100 MB; beyond it
// proofs are refused.
const maxProofs = 500_000

// proofSpan is from the first moment at which a proof is good to the last.
const proofSpan = 2 * token.ProofLife

// first refuses a proof that was taken before.
func (x *proofs) first(p token.Proof, now time.Time) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if age := now.Sub(x.began); age >= proofSpan || x.now == nil {
		x.before, x.now = x.now, map[string]bool{}
		if age >= 2*proofSpan {
			x.before = nil
		}
		x.began = now
	}
	key := p.Key + "." + p.ID
	if x.now[key] || x.before[key] {
		return errors.New("the proof was used before")
	}
	if len(x.now) >= maxProofs {
		return fmt.Errorf("more than %d proofs were taken within %s", maxProofs, proofSpan)
	}
	x.now[key] = true
	return nil
}

// modelOf is the model "team/name" that a token is about, without its version.
func modelOf(a token.Access) string {
	model, _, _ := strings.Cut(a.Model, "@")
	return model
}
