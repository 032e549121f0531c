package registry

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"strings"
	"sync"
	"time"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
)

// rememberFor bounds how long a look-up of a token or a principal is used again
// where no statement about one comes in between.
const rememberFor = time.Second

// known are the tokens and principals that were looked up within the last
// second. Every statement about any of them empties it before its author is
// answered, so that a withdrawal counts at once.
type known struct {
	mu sync.Mutex
	// times counts how often it was emptied: what was read before is not kept.
	times  int64
	tokens map[[sha256.Size]byte]lookedUp[bearer]
	people map[string]lookedUp[record.Person]
}

// lookedUp is one look-up. Floor is the time of the newest statement that was
// read, before which no decision on it is made.
type lookedUp[T any] struct {
	value T
	floor time.Time
	until time.Duration
}

// bearer is a token that was shown, with whose it is.
type bearer struct {
	token  record.Token
	person record.Person
}

func newKnown() *known {
	return &known{tokens: map[[sha256.Size]byte]lookedUp[bearer]{}, people: map[string]lookedUp[record.Person]{}}
}

// forget empties it where a statement is about a token, a principal or a role.
func (k *known) forget(keys []string) {
	for _, key := range keys {
		if strings.HasPrefix(key, record.KeyToken("")) || strings.HasPrefix(key, record.KeyPrincipal("")) || strings.HasPrefix(key, record.KeyRoles("")) {
			k.mu.Lock()
			k.times++
			clear(k.tokens)
			clear(k.people)
			k.mu.Unlock()
			return
		}
	}
}

// remember answers from memory, or reads and keeps what was read.
func remember[K comparable, T any](r *Registry, ctx context.Context, in map[K]lookedUp[T], key K, read func(*tx) (T, error)) (T, time.Time, error) {
	since := time.Since(r.opened)
	r.known.mu.Lock()
	found, ok := in[key]
	times := r.known.times
	r.known.mu.Unlock()
	if ok && since < found.until {
		return found.value, found.floor, nil
	}
	fresh := lookedUp[T]{until: since + rememberFor}
	err := r.store.View(ctx, func(v *store.View) (err error) {
		// No clock: the time is that of the newest statement that is read.
		t := &tx{reg: r, view: v}
		fresh.value, err = read(t)
		fresh.floor = t.now
		return err
	})
	if err != nil {
		return fresh.value, fresh.floor, err
	}
	r.known.mu.Lock()
	defer r.known.mu.Unlock()
	if r.known.times == times {
		in[key] = fresh
	}
	return fresh.value, fresh.floor, nil
}

// person returns a principal with its roles from memory, and the time as of
// which a decision on it is made.
func (r *Registry) person(ctx context.Context, name string) (record.Person, time.Time, error) {
	me, floor, err := remember(r, ctx, r.known.people, name, func(t *tx) (record.Person, error) { return t.person(name) })
	return me, later(record.Millis(r.now()), floor), err
}

// Authenticate turns a token into a caller. Every failure has the same
// sentence, so that nobody learns which part was wrong.
func (r *Registry) Authenticate(ctx context.Context, text string) (Caller, error) {
	id, secret := tokenParts(text)
	if secret == "" {
		return Caller{}, badToken()
	}
	b, floor, err := remember(r, ctx, r.known.tokens, sha256.Sum256([]byte(text)), func(t *tx) (bearer, error) { return t.bearer(id, secret) })
	if err != nil {
		return Caller{}, err
	}
	now := later(record.Millis(r.now()), floor)
	if !record.Stands(time.Time{}, b.token.Expires, now) || !b.person.Principal.Stands(now) {
		return Caller{}, badToken()
	}
	r.uses.note(useOf{ID: b.token.ID}, now)
	return Caller{Name: b.token.Principal, Type: b.person.Principal.Type, Method: record.MethodToken, Scopes: b.token.Scopes, token: id, until: b.token.Expires}, nil
}

// tokenParts are the ID and the secret of a token's text, empty where it is none.
func tokenParts(text string) (id, secret string) {
	rest, ok := strings.CutPrefix(text, tokenPrefix)
	if !ok {
		return "", ""
	}
	id, secret, _ = strings.Cut(rest, "_")
	return id, secret
}

// bearer finds a token that was not revoked and whose secret was shown.
func (t *tx) bearer(id, secret string) (bearer, error) {
	stated, ok, err := lineage.Last[record.Token](t, record.KeyToken(id))
	if err != nil {
		return bearer{}, err
	}
	token := stated.Record
	hash := record.DigestOf([]byte(secret))
	if !ok || subtle.ConstantTimeCompare([]byte(hash), []byte(token.Hash)) != 1 || token.Revoked {
		return bearer{}, badToken()
	}
	p, err := t.person(token.Principal)
	return bearer{token, p}, err
}
