package registry

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/authority"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// Authorize answers whether a workload may make a call now: the one release
// that names it and stands must carry a grant for the call. It is asked by the
// workload itself, or by who reads what its team does, such as a gateway. The
// answer comes from memory, and when it cannot be found it is no, with the
// reason (rule 4). The error says that the caller may not ask.
func (r *Registry) Authorize(ctx context.Context, who Caller, ask wire.Ask) (wire.Answer, error) {
	return r.authorize(ctx, who, ask, who.Name, func(*standing, wire.Answer) string { return "" })
}

// authorize is Authorize, where by is who is in the decision log as asking, and also may say
// what is in the way of a yes besides.
func (r *Registry) authorize(ctx context.Context, who Caller, ask wire.Ask, by string, also func(*standing, wire.Answer) string) (wire.Answer, error) {
	acts, why, now, err := r.actingFor(ctx, who, &ask)
	if err != nil {
		return wire.Answer{}, err
	}
	if acts == nil {
		out := wire.Answer{At: now, Reasons: why}
		r.journal.note(by, "", &ask, &out, -1)
		return out, nil
	}
	out, number := r.answer(acts, ask, later(now, acts.at), who.Name)
	if out.Allowed {
		if why := also(acts, out); why != "" {
			out.Allowed, out.Reasons, out.Reservation = false, []string{why}, ""
		}
	}
	r.journal.note(by, teamOf(acts.dossier.Release.Record.Behaviour.Model), &ask, &out, number)
	return out, nil
}

// Granted answers what a workload may do now, to who decides its calls beside
// it; the ask says which workload, the caller itself if none, and where. The
// grants are left out for who has those of the digest. It is asked by the
// workload itself, or by who reads what its team does. Whoever holds the grants
// must ask again: an answer says nothing about any later time.
func (r *Registry) Granted(ctx context.Context, who Caller, ask wire.Ask, have record.Digest) (wire.Granted, error) {
	acts, why, now, err := r.actingFor(ctx, who, &ask)
	out := wire.Granted{Workload: ask.Workload, Reasons: why, At: now}
	if acts == nil || err != nil {
		return out, err
	}
	out.At = later(now, acts.at)
	out.Stands, out.Release, out.Line = true, acts.dossier.ID, acts.dossier.Line
	may := acts.may(out.At)
	out.Digest, out.Only, out.Until = may.digest, may.only, acts.stands(out.At).Until
	if have != out.Digest {
		out.Authority = &acts.dossier.Release.Record.Authority
	}
	return out, nil
}

// actingFor is acting, for a caller who must be the workload or read what its
// team does. An ask that names no workload is of the caller's own.
func (r *Registry) actingFor(ctx context.Context, who Caller, ask *wire.Ask) (acts *standing, why []string, now time.Time, err error) {
	me, now, err := r.person(ctx, who.Name)
	if err != nil {
		return nil, nil, now, err
	}
	ask.Workload = cmp.Or(ask.Workload, who.Name)
	if err := who.asks(me, now, ask); err != nil {
		return nil, nil, now, err
	}
	acts, why = r.acting(ctx, *ask, now)
	if who.Name == ask.Workload {
		return acts, why, now, nil
	}
	// Who may not read what the workload does learns nothing of it.
	where := record.AllTeams
	if acts != nil {
		where = acts.dossier.Release.Record.Behaviour.Model
	}
	if err := who.may(me, now, actRead, where, rights[actRead]...); err != nil {
		return nil, nil, now, err
	}
	return acts, why, now, nil
}

// answer decides a call under a release that stands, for who asks, and says the
// number of the grant that allows it among those of its kind.
func (r *Registry) answer(acts *standing, ask wire.Ask, at time.Time, by string) (out wire.Answer, number int) {
	out = wire.Answer{Release: acts.dossier.ID, Line: acts.dossier.Line, At: at, Until: acts.stands(at).Until}
	call, err := callOf(ask)
	if err != nil {
		out.Reasons = []string{err.Error()}
		return out, -1
	}
	if why := r.journal.full(); why != "" {
		out.Reasons = []string{why}
		return out, -1
	}
	may := acts.may(at)
	d := may.grants.Decide(call, at, may.meter)
	out.Allowed, out.After = d.Allowed, d.After
	if d.Number >= 0 {
		out.Grant = &d.Grant
	}
	if !d.Allowed {
		out.Reasons = []string{d.Reason}
	} else if d.Grant.Budget != (record.Budget{}) {
		out.Reservation = r.reserved.keep(reservation{by, may.meter, d, at.Add(time.Duration(d.Grant.Budget.Seconds)*time.Second + settleWithin)}, at)
	}
	return out, d.Number
}

func callOf(ask wire.Ask) (*authority.Call, error) {
	args, err := authority.ParseArguments(ask.Arguments)
	if err != nil {
		return nil, err
	}
	about, err := authority.ParseArguments(ask.About)
	if err != nil {
		return nil, fmt.Errorf("what the call is about: %w", err)
	}
	return &authority.Call{
		Kind: ask.Kind, Resource: ask.Resource, Action: ask.Action, Definition: ask.Definition, Arguments: args, About: about,
		Opaque: ask.Opaque, Cost: authority.Cost{Tokens: ask.Tokens, Bytes: ask.Bytes},
	}, nil
}

// The things that [Registry.WhatMay] can look for.
const (
	AnyWorkload = "workload"
	AnyResource = "resource"
	AnyAction   = "action"
)

// WhatMay returns the workloads, the resources or the actions for which an ask
// would be answered with yes, the ask's own word for it aside; limits count as
// unspent. A resource is found where a grant names it in full. Who may not read
// what a workload does finds nothing of it.
func (r *Registry) WhatMay(ctx context.Context, who Caller, ask wire.Ask, any string) ([]string, error) {
	me, now, err := r.person(ctx, who.Name)
	if err != nil {
		return nil, err
	}
	if any == AnyWorkload && who.Access != nil {
		ask.Workload = who.Name
	}
	if err := who.asks(me, now, &ask); err != nil {
		return nil, err
	}
	if err := r.meet(ctx); err != nil {
		return nil, err
	}
	workloads := []string{ask.Workload}
	if any == AnyWorkload {
		workloads = r.index.workloads()
	}
	var found []string
	for _, w := range workloads {
		ask.Workload = w
		acts, _ := r.acting(ctx, ask, now)
		if acts == nil || (who.Name != w && who.may(me, now, actRead, acts.dossier.Release.Record.Behaviour.Model, rights[actRead]...) != nil) {
			continue
		}
		names, err := acts.whatMay(ask, any, later(now, acts.at))
		if err != nil {
			return nil, refusef(wire.Invalid, "%v; send them once, as JSON", err)
		}
		found = append(found, names...)
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// whatMay is WhatMay for one workload under one release.
func (s *standing) whatMay(ask wire.Ask, any string, at time.Time) (found []string, err error) {
	call, err := callOf(ask)
	if err != nil {
		return nil, err
	}
	may := s.may(at)
	resources, actions := may.grants.Names(ask.Kind)
	try := func(name string) {
		if may.grants.Decide(call, at, nil).Allowed {
			found = append(found, name)
		}
	}
	switch any {
	case AnyWorkload:
		try(ask.Workload)
	case AnyResource:
		for _, call.Resource = range resources {
			try(call.Resource)
		}
	case AnyAction:
		for _, call.Action = range actions {
			try(call.Action)
		}
	}
	return found, nil
}

// acting finds the one release under which a workload acts: one that names it
// and stands, in the environment and of the ID where the ask says one.
func (r *Registry) acting(ctx context.Context, ask wire.Ask, now time.Time) (*standing, []string) {
	if why := r.blind(); why != "" {
		return nil, []string{why}
	}
	if err := r.meet(ctx); err != nil {
		return nil, []string{fmt.Sprintf("it could not be decided: %v", err)}
	}
	var found []*standing
	var reasons []string
	for _, line := range r.index.actedIn(ask.Workload) {
		s, err := r.standing(ctx, line)
		if err != nil {
			reasons = append(reasons, fmt.Sprintf("it could not be decided for %s: %v", line, err))
			continue
		}
		if !s.meant(ask) {
			continue
		}
		at := later(now, s.at)
		if !s.actors[ask.Workload].Stands(at) {
			reasons = append(reasons, fmt.Sprintf("the workload %s is disabled or has expired; an administrator can renew it: imprimatur principal enrol %s", ask.Workload, ask.Workload))
			continue
		}
		if st := s.stands(at); !st.OK {
			reasons = append(reasons, st.Reasons...)
			continue
		}
		found = append(found, s)
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return nil, []string{several(ask.Workload, found)}
	case len(reasons) == 0:
		reasons = []string{fmt.Sprintf("no release that stands%s names the workload %q; a release names it in its authority: imprimatur release propose", inPlace(ask), ask.Workload)}
	}
	return nil, reasons
}

func several(workload string, found []*standing) string {
	ids := make([]string, len(found))
	for i, s := range found {
		ids[i] = s.dossier.ID + " in " + s.dossier.Release.Record.Context.Environment
	}
	return fmt.Sprintf("the workload %s acts under several releases (%s); say which", workload, strings.Join(ids, ", "))
}

func inPlace(ask wire.Ask) string {
	if ask.Environment == "" {
		return ""
	}
	return fmt.Sprintf(" in %q", ask.Environment)
}

// meant reports whether the line's release is one that the ask can mean.
func (s *standing) meant(ask wire.Ask) bool {
	if s.dossier == nil {
		return false
	}
	_, named := s.actors[ask.Workload]
	return named && (ask.Release == "" || ask.Release == s.dossier.ID) &&
		(ask.Environment == "" || ask.Environment == s.dossier.Release.Record.Context.Environment)
}

// actedIn returns the lines whose release may name a workload, in order.
func (x *index) actedIn(workload string) []string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	lines := make([]string, 0, len(x.actors[workload]))
	for l := range x.actors[workload] {
		lines = append(lines, l)
	}
	slices.Sort(lines)
	return lines
}

// workloads returns those that any live release has named.
func (x *index) workloads() []string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return slices.Sorted(maps.Keys(x.actors))
}
