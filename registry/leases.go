package registry

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// The actions of grants for secrets. With use a gateway attaches the secret to
// what the workload asks of others, and the workload never has it (rule 11); with read
// the workload gets the value itself.
const (
	secretUse  = "use"
	secretRead = "read"
)

const (
	// leaseLife is how long a secret is lent for at most.
	leaseLife = 5 * time.Minute
	// lookEvery is how often open leases are looked at when something was stated,
	// and looksAnyway how many such times are let pass when nothing was.
	lookEvery   = 200 * time.Millisecond
	looksAnyway = 2
	// maxLeases are how many leases one workload has open at once.
	maxLeases = 1000
	// revokeWithin is how long a vault may take to end a credential.
	revokeWithin = 5 * time.Second
)

// SecretUse is a secret that a gateway wants to attach for a workload.
type SecretUse struct {
	// Secret is "team/name"; its name is what a grant calls it.
	Secret string
	// Environment and Release say under which of its releases the workload acts,
	// where it has several.
	Environment, Release string
	// Version is the newest where it is 0.
	Version int
	// Arguments and About are what conditions of the grant see, JSON objects: the
	// call's arguments, and what the gateway vouches for.
	Arguments, About jsontext.Value
}

// Lease is a secret in the hands of a gateway for a while. It may be used
// concurrently.
type Lease struct {
	wire.SecretLease

	ctx  context.Context
	end  context.CancelCauseFunc
	back func()
	// rotated is closed when there is a newer version.
	rotated chan struct{}

	mu    sync.Mutex
	value wire.SecretValue
	newer bool

	// ask and seen are for looking again whether it stands; made is what a vault
	// made for it.
	ask  wire.Ask
	seen atomic.Int64
	at   record.VaultPlace
	made string
	// kept is the vault's number of the version, and heard when it last said how it
	// stands.
	kept  int
	heard time.Time
	// asked are those with whose tokens it was asked for: the workload, and the gateway
	// where there is one. Environment is the release's.
	asked       []Caller
	environment string
}

// Value returns a copy of the secret's value, and nil once the lease has ended.
func (l *Lease) Value() wire.SecretValue {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.value == nil {
		return nil
	}
	return append(wire.SecretValue{}, l.value...)
}

// Context ends with the lease: at its time, when the release, the grant, the
// secret or its version is ended, or when it is returned. Its cause says which.
func (l *Lease) Context() context.Context { return l.ctx }

// Rotated is closed when the secret has a newer version; the lease goes on until
// its end, within the overlap.
func (l *Lease) Rotated() <-chan struct{} { return l.rotated }

// Return ends the lease, so that what a vault made for it is ended too.
func (l *Lease) Return() { l.back() }

// Format implements fmt.Formatter, so that nothing prints the value.
func (l *Lease) Format(s fmt.State, _ rune) { io.WriteString(s, "lease "+l.ID+" of "+l.Secret) } //nolint:errcheck // fmt.State keeps its errors

// forget clears the value.
func (l *Lease) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.value)
	l.value = nil
}

// told returns the lease with its value, which is kept here no longer.
func (l *Lease) told() (wire.LentSecret, error) {
	value := l.Value()
	l.forget()
	if value == nil {
		return wire.LentSecret{}, refusef(wire.Refused, "%w", context.Cause(l.ctx))
	}
	return wire.LentSecret{Lease: l.SecretLease, Value: value}, nil
}

func (l *Lease) isOvertaken() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newer
}

func (l *Lease) overtaken() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.newer {
		l.newer = true
		close(l.rotated)
	}
}

// leases are those that are open on this server.
type leases struct {
	mu   sync.Mutex
	open map[string]*Lease
	// by counts a workload's.
	by map[string]int
	// ending are those whose credential a vault is being asked to end.
	ending sync.WaitGroup
}

func newLeases() *leases { return &leases{open: map[string]*Lease{}, by: map[string]int{}} }

// of returns a lease that a gateway has open, or nil.
func (l *leases) of(id, gateway string) *Lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	if x := l.open[id]; x != nil && x.Gateway == gateway {
		return x
	}
	return nil
}

func (l *leases) all() []*Lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]*Lease, 0, len(l.open))
	for _, x := range l.open {
		out = append(out, x)
	}
	return out
}

func (l *leases) count(workload string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.by[workload]
}

// openOf is how many leases of a secret are open.
func (l *leases) openOf(ref string) (n int) {
	for _, x := range l.all() {
		if x.Secret == ref {
			n++
		}
	}
	return n
}

// UseSecret lends a gateway a secret that it attaches for the workload who, whose
// release must grant the action "use" of it, and for whose releases the gateway must be
// bound. The workload gets no sight of it.
func (r *Registry) UseSecret(ctx context.Context, gateway, who Caller, use SecretUse) (*Lease, error) {
	if err := r.mayAttach(ctx, gateway, who); err != nil {
		return nil, err
	}
	return r.lend(ctx, []Caller{who, gateway}, secretUse, use)
}

// ReadSecret tells a workload a secret's value, where its release grants the
// action "read" of it.
func (r *Registry) ReadSecret(ctx context.Context, who Caller, team, name string, in wire.SecretAsk) (wire.LentSecret, error) {
	if who.onlyReads() {
		return wire.LentSecret{}, refusef(wire.Forbidden, "the token of %s is limited to read and is told no secret; sign in with a wider one", who.Name)
	}
	l, err := r.lend(ctx, []Caller{who}, secretRead, SecretUse{Secret: team + "/" + name, Environment: in.Environment, Release: in.Release, Version: in.Version, Arguments: in.Arguments})
	if err != nil {
		return wire.LentSecret{}, err
	}
	return l.told()
}

// lend asks the decision point like any other call, which keeps the answer with
// the lease in the decision log, and then fetches the value. Those who ask are the workload,
// and the gateway where there is one.
func (r *Registry) lend(ctx context.Context, asked []Caller, action string, use SecretUse) (*Lease, error) {
	who, by := asked[0], asked[len(asked)-1]
	if who.Type != record.Workload {
		return nil, refusef(wire.Forbidden, "a secret is lent to workloads under a release that grants it, and told to nobody else; %s is none: give the workload a token of its own: imprimatur principal token", who.Name)
	}
	if err := r.Whole(ctx); err != nil {
		return nil, err
	}
	team, name, err := secretOf(use.Secret)
	if err != nil {
		return nil, err
	}
	l := &Lease{rotated: make(chan struct{}), asked: asked}
	l.seen.Store(r.index.told())
	l.SecretLease = wire.SecretLease{ID: "l-" + randomHex(16), Secret: team + "/" + name, Workload: who.Name}
	if by.Name != who.Name {
		l.Gateway = by.Name
	}
	l.ask = wire.Ask{
		Workload: who.Name, Environment: use.Environment, Release: use.Release, Kind: "secrets", Resource: name, Action: action,
		Arguments: use.Arguments, About: use.About, Lease: l.ID,
	}
	var x record.Secret
	var bound time.Time
	answer, err := r.authorize(ctx, who, l.ask, by.Name, func(acts *standing, a wire.Answer) (why string) {
		l.environment = acts.dossier.Release.Record.Context.Environment
		if l.Gateway != "" {
			if bound, why = r.gateways.attaches(l.Gateway, team, l.environment, name, a.At); why != "" {
				return why
			}
		}
		switch {
		case teamOf(a.Line) != team:
			return fmt.Sprintf("the secret %s is not of the team of the release %s; a team's releases use its own secrets", use.Secret, a.Release)
		case r.secrets.leases.count(who.Name) >= maxLeases:
			return fmt.Sprintf("%s has %d leases open, and at most that many are given; use those, they last up to %s", who.Name, maxLeases, leaseLife)
		}
		x, l.Until, why = r.secrets.version(l.Secret, use.Version, a.At)
		return why
	})
	if err != nil {
		return nil, err
	}
	if !answer.Allowed {
		return nil, refusef(wire.Forbidden, "the secret %s is not lent; %s", use.Secret, strings.Join(answer.Reasons, "; "))
	}
	l.heard = r.now()
	fetched, err := r.value(ctx, x)
	if err != nil {
		return nil, err
	}
	l.value, l.made, l.at, l.kept = fetched.Value, fetched.Lease, x.Vault, fetched.Version
	l.Version, l.Release, l.ask.Release = x.Version, answer.Release, answer.Release
	ends := []time.Time{answer.At.Add(leaseLife), answer.Until, answer.Grant.Until, bound}
	for _, c := range asked {
		ends = append(ends, c.until)
		if c.Access != nil {
			ends = append(ends, time.Unix(c.Access.Expires, 0))
		}
	}
	if fetched.Life > 0 {
		ends = append(ends, answer.At.Add(fetched.Life))
	}
	for _, end := range ends {
		l.Until = record.Earlier(l.Until, end)
	}
	l.Until = record.Millis(l.Until)
	r.register(l)
	return l, nil
}

// register makes a lease one that is looked at until it ends.
func (r *Registry) register(l *Lease) {
	all := r.secrets.leases
	l.ctx, l.end = context.WithCancelCause(context.Background())
	l.back = func() { r.endLease(l, "the lease was returned") }
	all.mu.Lock()
	all.open[l.ID] = l
	all.by[l.Workload]++
	all.mu.Unlock()
	// One that was begun while the server ended is nobody's to end.
	if r.closed.Load() {
		r.endLease(l, "this server has closed its ledger; ask one that runs")
	}
}

// endLease ends a lease once, for a reason.
func (r *Registry) endLease(l *Lease, why string) {
	all := r.secrets.leases
	all.mu.Lock()
	_, open := all.open[l.ID]
	delete(all.open, l.ID)
	if open {
		if all.by[l.Workload]--; all.by[l.Workload] == 0 {
			delete(all.by, l.Workload)
		}
		if l.made != "" {
			all.ending.Go(func() { r.revoke(l) })
		}
	}
	all.mu.Unlock()
	if open {
		l.forget()
		l.end(fmt.Errorf("the lease of the secret %s has ended: %s", l.Secret, why))
	}
}

// revoke has a vault end what it made for a lease. Where it cannot be had, the
// credential ends by itself.
func (r *Registry) revoke(l *Lease) {
	ctx, cancel := context.WithTimeout(context.Background(), revokeWithin)
	defer cancel()
	if err := r.secrets.source.Revoke(ctx, l.at, l.made); err != nil {
		r.outbox.log.ErrorContext(ctx, "a credential that a vault made could not be ended; it lasts until its own end", "secret", l.Secret, "lease", l.ID, "error", err)
	}
}

// keepLeases ends the leases that stand no more, until ctx ends, and then all.
func (r *Registry) keepLeases(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	swept := time.Now()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			for _, l := range r.secrets.leases.all() {
				r.endLease(l, "this server has closed its ledger; ask one that runs")
			}
			r.secrets.leases.ending.Wait()
			return
		case <-tick.C:
		}
		for _, l := range r.secrets.leases.all() {
			r.look(ctx, l, n%looksAnyway == 0)
		}
		if time.Since(swept) >= time.Minute {
			swept = time.Now()
			if err := r.sweepSecrets(ctx); err != nil && ctx.Err() == nil {
				r.outbox.log.ErrorContext(ctx, "removing the values of secrets that can be read no more", "error", err)
			}
		}
	}
}

// look ends a lease that does not stand, and tells it of a newer version.
func (r *Registry) look(ctx context.Context, l *Lease, anyway bool) {
	now := record.Millis(r.now())
	told := r.index.told()
	if !record.Stands(time.Time{}, l.Until, now) {
		r.endLease(l, "its time is over")
		return
	}
	if why := r.blind(); why != "" {
		r.endLease(l, why)
		return
	}
	if told == l.seen.Load() && !anyway {
		return
	}
	for _, c := range l.asked {
		if why := r.left(ctx, c, now); why != "" {
			r.endLease(l, why)
			return
		}
	}
	if _, _, why := r.secrets.version(l.Secret, l.Version, now); why != "" {
		r.endLease(l, why)
		return
	}
	if all := r.secrets.of(l.Secret); all[len(all)-1].Record.Version > l.Version {
		l.overtaken()
	}
	acts, why := r.acting(ctx, l.ask, now)
	if acts == nil {
		r.endLease(l, strings.Join(why, "; "))
		return
	}
	if l.Gateway != "" {
		team, name, _ := secretOf(l.Secret)
		if _, why := r.gateways.attaches(l.Gateway, team, l.environment, name, now); why != "" {
			r.endLease(l, why)
			return
		}
	}
	call, err := callOf(l.ask)
	if err != nil {
		r.endLease(l, err.Error())
		return
	}
	at := later(now, acts.at)
	if d := acts.may(at).grants.Decide(call, at, nil); !d.Allowed {
		r.endLease(l, d.Reason)
		return
	}
	l.seen.Store(told)
}

// left says why one who asked for a lease with a token may have it no more.
func (r *Registry) left(ctx context.Context, c Caller, now time.Time) string {
	switch me, _, err := r.person(ctx, c.Name); {
	case err != nil:
		return fmt.Sprintf("it could not be decided: %v", err)
	case !me.Principal.Stands(now):
		return fmt.Sprintf("the workload %s is disabled or has expired", c.Name)
	case c.Access != nil && r.identities.isEnded(*c.Access, now):
		return "the access token that it was asked for with was ended"
	case r.identities.isTokenEnded(c.token, now):
		return "the token that it was asked for with was ended"
	}
	return ""
}
