package registry

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// gateways are the workloads that may attach secrets, in memory; they follow the
// ledger.
type gateways struct {
	mu   sync.RWMutex
	byID map[string]record.Recorded[record.Gateway]
}

func newGateways() *gateways {
	return &gateways{byID: map[string]record.Recorded[record.Gateway]{}}
}

func (g *gateways) learn(e lineage.Entry) {
	body, ok := e.Statement.Body.(record.Gateway)
	if !ok {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if held, ok := g.byID[body.ID]; !ok || held.Index < e.Index {
		g.byID[body.ID] = recorded(e, body)
	}
}

// all returns them in the order in which they were bound.
func (g *gateways) all() []record.Recorded[record.Gateway] {
	g.mu.RLock()
	defer g.mu.RUnlock()
	out := make([]record.Recorded[record.Gateway], 0, len(g.byID))
	for _, x := range g.byID {
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b record.Recorded[record.Gateway]) int {
		return cmp.Or(cmp.Compare(a.Record.Workload, b.Record.Workload), cmp.Compare(a.Record.ID, b.Record.ID))
	})
	return out
}

// attaches says until when a workload may attach a secret of a team in an
// environment, the zero time for always, or why it may not.
func (g *gateways) attaches(workload, team, environment, secret string, now time.Time) (until time.Time, why string) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	found := false
	for _, x := range g.byID {
		x := x.Record
		if x.Workload != workload || !x.Stands(now) || !x.Attaches(team, environment, secret) {
			continue
		}
		if x.Expires.IsZero() {
			return time.Time{}, ""
		}
		until, found = later(until, x.Expires), true
	}
	if !found {
		return until, fmt.Sprintf("%s is no gateway that may attach the secret %s/%s in %s; an administrator can bind it: imprimatur gateway bind %s --team %s --env %s", workload, team, secret, environment, workload, team, environment)
	}
	return until, ""
}

// BindGateway lets a workload attach secrets, as a gateway, to what a team's
// releases ask of others in an environment.
func (r *Registry) BindGateway(ctx context.Context, who Caller, in record.Gateway) (record.Recorded[record.Gateway], error) {
	id := "g-" + randomHex(8)
	return command[record.Gateway](ctx, r, who, func(t *tx) error {
		if err := t.may(actGateway, in.Team); err != nil {
			return err
		}
		in.ID, in.Ended, in.Reason = id, false, ""
		if err := in.Validate(); err != nil {
			return err
		}
		if err := t.team(in.Team); err != nil {
			return err
		}
		if _, err := need[record.Environment](t, record.KeyEnvironment(in.Environment), "the environment "+in.Environment, "an administrator can set it up: imprimatur principal environment "+in.Environment); err != nil {
			return err
		}
		p, err := t.person(in.Workload)
		if err != nil {
			return err
		}
		if p.Principal.Type != record.Workload || !p.Principal.Stands(t.now) {
			return refusef(wire.Invalid, "%q is no workload that stands here, and a gateway is one, with an owner and an end; enrol it first: imprimatur principal enrol %s --workload", in.Workload, in.Workload)
		}
		if !record.Stands(t.now, in.Expires, t.now) {
			return refusef(wire.Invalid, "the gateway would have expired already; give a later date with --expires")
		}
		return t.state(in)
	})
}

// EndGateway ends a gateway for good; its leases end within a second.
func (r *Registry) EndGateway(ctx context.Context, who Caller, id string, in wire.Stop) (record.Recorded[record.Gateway], error) {
	return command[record.Gateway](ctx, r, who, func(t *tx) error {
		got, err := need[record.Gateway](t, record.KeyGateway(id), "the gateway "+id, "imprimatur gateway list shows them")
		if err != nil {
			return err
		}
		if err := t.may(actGateway, got.Record.Team); err != nil {
			return err
		}
		if in.Lift {
			return refusef(wire.Invalid, "a gateway is ended for good; bind it anew: imprimatur gateway bind %s", got.Record.Workload)
		}
		got.Record.Ended, got.Record.Reason = true, in.Reason
		return t.state(got.Record)
	})
}

// Gateways returns the gateways of one team, or of all where it is empty, that the
// caller may know of.
func (r *Registry) Gateways(ctx context.Context, who Caller, team string) ([]wire.KeptGateway, error) {
	out := []wire.KeptGateway{}
	err := r.read(ctx, who, func(t *tx) error {
		if err := t.mayReadAny(); err != nil {
			return err
		}
		open := map[string]int{}
		for _, l := range r.secrets.leases.all() {
			open[l.Gateway+"\n"+record.TeamOf(l.Secret)+"\n"+l.environment]++
		}
		for _, g := range r.gateways.all() {
			x := g.Record
			if team != "" && x.Team != team || !t.mayRead(x.Team) {
				continue
			}
			state := "stands"
			switch {
			case x.Ended:
				state = "ended"
			case !x.Stands(t.now):
				state = "expired"
			}
			out = append(out, wire.KeptGateway{Gateway: g, State: state, Leases: open[x.Workload+"\n"+x.Team+"\n"+x.Environment]})
		}
		return nil
	})
	return out, err
}

// mayAttach refuses who is no gateway at all: which secrets it may attach is
// decided with the release.
func (r *Registry) mayAttach(ctx context.Context, gateway, who Caller) error {
	me, now, err := r.person(ctx, gateway.Name)
	if err != nil {
		return err
	}
	if err := gateway.stands(me, now); err != nil {
		return err
	}
	switch {
	case gateway.onlyReads():
		return refusef(wire.Forbidden, "the token of %s is limited to read and may attach no secret; sign in with a wider one", gateway.Name)
	case gateway.Type != record.Workload:
		return refusef(wire.Forbidden, "secrets are lent to gateways, which are workloads, and %s is none: give the gateway a token of its own: imprimatur principal token", gateway.Name)
	case gateway.Name == who.Name:
		return refusef(wire.Forbidden, "%s would attach a secret for itself, and so have its value; let a gateway attach it that is another workload: imprimatur principal enrol", gateway.Name)
	}
	return nil
}

// AttachSecret lends a secret to a gateway, which attaches it for the workload
// whose token it shows. Both must have their right: the workload's release grants
// the action "use" of it, and the gateway is bound for the release's team and
// environment. A lease ends as one of [Registry.UseSecret]; how it stands is for
// the gateway to ask ([Registry.CheckLeases]).
func (r *Registry) AttachSecret(ctx context.Context, gateway Caller, team, name string, in wire.SecretAttach) (wire.LentSecret, error) {
	who, err := r.shownTo(ctx, in.Token)
	if err != nil {
		return wire.LentSecret{}, refusef(wire.Forbidden, "what the workload has shown to the gateway does not count: %w; send the workload's own token, as it is", err)
	}
	about, err := record.CanonicalOf(map[string]string{"to": in.To})
	if err != nil {
		return wire.LentSecret{}, refusef(wire.Invalid, "where the secret goes cannot be read: %w; send an address", err)
	}
	l, err := r.UseSecret(ctx, gateway, who, SecretUse{Secret: team + "/" + name, Environment: in.Environment, Release: in.Release, Version: in.Version, About: about})
	if err != nil {
		return wire.LentSecret{}, err
	}
	return l.told()
}

// shownTo is the workload that a token stands for which it has shown to another.
func (r *Registry) shownTo(ctx context.Context, secret string) (Caller, error) {
	if id, _ := tokenParts(secret); id != "" {
		return r.Authenticate(ctx, secret)
	}
	return r.VerifyAccess(ctx, Shown{Secret: secret})
}

// CheckLeases says how leases of a gateway stand, in the order in which it names
// them.
func (r *Registry) CheckLeases(ctx context.Context, gateway Caller, in wire.LeaseCheck) ([]wire.LeaseState, error) {
	if err := r.mayAttach(ctx, gateway, Caller{}); err != nil {
		return nil, err
	}
	if len(in.Leases)+len(in.Returned) > wire.MaxLeases {
		return nil, refusef(wire.Invalid, "%d leases are more than the %d that one check names; send several", len(in.Leases)+len(in.Returned), wire.MaxLeases)
	}
	for _, id := range in.Returned {
		if l := r.secrets.leases.of(id, gateway.Name); l != nil {
			l.Return()
		}
	}
	out := make([]wire.LeaseState, len(in.Leases))
	for i, id := range in.Leases {
		out[i].ID = id
		if l := r.secrets.leases.of(id, gateway.Name); l != nil {
			out[i] = wire.LeaseState{ID: id, Open: true, Until: l.Until, Newer: l.isOvertaken()}
		}
	}
	return out, nil
}
