package registry

import (
	"context"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

const (
	// maxTold is how many lines are told at once, and toldSince how old they may be.
	maxTold   = 1000
	toldSince = time.Hour
)

// TellDecisions takes the lines of a gateway that decides by itself, so that the
// decision log has them too. Gateways are workloads: one tells of its own calls, or
// of those of the teams that it reads. That it was told stands in each line.
func (r *Registry) TellDecisions(ctx context.Context, who Caller, lines []wire.Decided) (wire.Told, error) {
	me, now, err := r.person(ctx, who.Name)
	if err == nil {
		err = who.stands(me, now)
	}
	if err != nil {
		return wire.Told{}, err
	}
	if me.Principal.Type != record.Workload {
		return wire.Told{}, refusef(wire.Forbidden, "%s is a person, and decisions are told by the workload that decided; sign in as the gateway's, which an administrator can enrol: imprimatur principal enrol", who.Name)
	}
	if len(lines) > maxTold {
		return wire.Told{}, refusef(wire.Invalid, "there are %d lines, more than %d at once; send them in parts", len(lines), maxTold)
	}
	told := make([]wire.Decided, len(lines))
	for i, l := range lines {
		if told[i], err = r.told(who, me, now, l); err != nil {
			return wire.Told{}, err
		}
	}
	for i := range told {
		r.journal.keepLine(who.Name, told[i])
	}
	return wire.Told{Kept: len(told)}, nil
}

// told is a line as it is kept, or a refusal.
func (r *Registry) told(who Caller, me record.Person, now time.Time, l wire.Decided) (wire.Decided, error) {
	l.By, l.Told, l.Team = "", true, ""
	if who.Name != l.Workload {
		l.By = who.Name
	}
	r.roll.mu.RLock()
	if rel := r.roll.byID[l.Release]; rel != nil {
		l.Team = teamOf(rel.Model)
	}
	r.roll.mu.RUnlock()
	switch {
	case l.Release != "" && l.Team == "":
		return l, refusef(wire.Unknown, "there is no release %q; send what was decided under releases of this ledger", l.Release)
	case l.By != "":
		where := l.Team
		if where == "" {
			where = record.AllTeams
		}
		if err := who.may(me, now, actRead, where, rights[actRead]...); err != nil {
			return l, err
		}
	}
	if l.At.Before(now.Add(-toldSince)) || l.At.After(now.Add(time.Minute)) {
		l.At = now
	}
	if l.Last.Before(l.At) || l.Last.After(now.Add(time.Minute)) {
		l.Last = time.Time{}
	}
	l.Count = min(max(l.Count, 1), 1_000_000)
	if l.Arguments.Validate() != nil {
		l.Arguments = ""
	}
	l.Lease = "" // leases are this server's own
	return l, nil
}
