package registry

import (
	"context"
	"slices"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// What is said of aliases and stages in a registry that is not ours.

const (
	// mostBack bounds how often one alias is moved back within backWithin: who
	// moves it again and again is not to be fought, but seen.
	mostBack   = 3
	backWithin = time.Hour
)

// Meant returns the environments that an alias or a stage means, in order.
func (r *Registry) Meant(name string, stage bool) []string {
	r.shelf.mu.RLock()
	defer r.shelf.mu.RUnlock()
	var out []string
	for env, p := range r.shelf.places {
		if p.env.Means(name, stage) {
			out = append(out, env)
		}
	}
	slices.Sort(out)
	return out
}

// ReadBytes reads what a version's source leads to, as a registration would, and
// returns its digest.
func (r *Registry) ReadBytes(ctx context.Context, v record.RegisteredVersion) (record.Digest, error) {
	found, err := r.reader(ctx, v)
	if err != nil {
		return "", err
	}
	return record.Digest(found.Manifest.Digest()), nil
}

// Moves returns the last that was said of each alias and stage of a team's models
// in another registry, by [record.Move.Key].
func (r *Registry) Moves(ctx context.Context, who Caller, team, registry string) (map[string]record.Recorded[record.Signal], error) {
	out := map[string]record.Recorded[record.Signal]{}
	err := r.read(ctx, who, func(t *tx) error {
		if err := t.may(actRead, team); err != nil {
			return err
		}
		entries, err := t.view.LastOfEach(record.PrefixMoves(registry, team))
		if err != nil {
			return err
		}
		found, err := t.decode(entries)
		for _, e := range found {
			if s, ok := e.Statement.Body.(record.Signal); ok && s.Move != nil {
				out[s.Move.Key()] = recorded(e, s)
			}
		}
		return err
	})
	return out, err
}

// ReportMove states a signal about an alias or stage of another registry, unless
// the last that was said of it is the same: each move counts once, whoever sees
// it, and however often.
func (r *Registry) ReportMove(ctx context.Context, who Caller, s record.Signal) error {
	if s.Move == nil {
		return refusef(wire.Invalid, "the signal names no alias and no stage; give one of them")
	}
	_, err := command[record.Signal](ctx, r, who, func(t *tx) error {
		if err := t.may(actSignal, s.Move.Team); err != nil {
			return err
		}
		old, entry, ok, err := last[record.Signal](t, s.Move.Key())
		if err != nil {
			return err
		}
		settled := !ok || old.Record.Type != record.SignalMoved
		same := ok && old.Record.Type == s.Type && *old.Record.Move == *s.Move
		if same || ok && settled && s.Type != record.SignalMoved {
			t.answer = append(t.answer, entry)
			return nil
		}
		if s.Observed.IsZero() {
			s.Observed = t.now
		}
		return t.state(s)
	})
	return err
}

// MayMoveBack refuses where an alias was moved back too often within the hour.
func (r *Registry) MayMoveBack(ctx context.Context, who Caller, m record.Move) error {
	return r.read(ctx, who, func(t *tx) error {
		if err := t.may(actSignal, m.Team); err != nil {
			return err
		}
		entries, err := t.Find(m.Key())
		if err != nil {
			return err
		}
		times := 0
		for _, e := range entries {
			if s, ok := e.Statement.Body.(record.Signal); ok && s.Type == record.SignalBack && t.now.Sub(e.Statement.Time) < backWithin {
				times++
			}
		}
		if times >= mostBack {
			return refusef(wire.Refused, "%s was moved back %d times within %s and is left as it is for now; ask at %s who moves it", m.What(), times, "the hour", m.Registry)
		}
		return nil
	})
}
