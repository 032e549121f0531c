package registry

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"imprimatur.dev/lineage"
	"imprimatur.dev/policy"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// index is the decision index: for every line with a live release the dossier
// and the policy by which it stands, in memory. An entry knows the keys that its
// dossier was read under; a statement under any of them makes the entry stale
// before the statement's author is answered, and the next decision gathers it
// anew. A decision that finds its entry fresh touches no database.
type index struct {
	mu    sync.RWMutex
	lines map[string]*standing
	// places finds the lines in which an artifact was last promoted.
	places map[place]map[string]bool
	// readers finds the lines whose dossier was read under a key.
	readers map[string]map[string]bool
	// unknown are lines whose live release may be another one since they were
	// last gathered.
	unknown map[string]bool
	// recent are the last entries of which the index was told, and count is the
	// number of the next.
	recent []touched
	count  int64
}

type place struct {
	environment string
	artifact    record.Digest
}

// standing is one line's entry; a nil dossier is stale. At is when it was
// gathered, not before the newest fact in it: no decision is made as of earlier.
type standing struct {
	dossier *record.Dossier
	policy  *policy.Policy
	keys    []string
	at      time.Time
}

func newIndex() *index {
	return &index{
		lines: map[string]*standing{}, places: map[place]map[string]bool{},
		readers: map[string]map[string]bool{}, unknown: map[string]bool{},
	}
}

// Decide answers whether the bytes with a digest may run in an environment now.
// When it cannot be decided the answer is no, with the reason (rule 4).
func (r *Registry) Decide(ctx context.Context, environment string, artifact record.Digest) wire.Decision {
	now := record.Millis(r.now())
	no := wire.Decision{At: now}
	if why := r.blind(); why != "" {
		no.Reasons = []string{why}
		return no
	}
	if err := r.meet(ctx); err != nil {
		no.Reasons = []string{fmt.Sprintf("it could not be decided: %v", err)}
		return no
	}
	for _, line := range r.index.at(place{environment, artifact}) {
		s, err := r.standing(ctx, line)
		if err != nil {
			no.Reasons = append(no.Reasons, fmt.Sprintf("it could not be decided for %s: %v", line, err))
			continue
		}
		if s.dossier == nil || s.dossier.Release.Record.Behaviour.Artifact != artifact {
			continue
		}
		at := later(now, s.at)
		st := s.policy.Stands(s.dossier, at)
		if st.OK {
			return wire.Decision{
				Allowed: true, Release: s.dossier.ID, Line: line, Record: s.dossier.Digests.Record,
				Until: st.Until, Marks: st.Marks, At: at,
			}
		}
		no.Release, no.Line = s.dossier.ID, line
		no.Reasons = append(no.Reasons, st.Reasons...)
	}
	if len(no.Reasons) == 0 {
		no.Reasons = []string{fmt.Sprintf("no release of the model %s is live in %s; propose one with imprimatur release propose, or see imprimatur audit live", artifact.Short(), environment)}
	}
	return no
}

func (x *index) at(p place) []string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	lines := make([]string, 0, len(x.places[p]))
	for l := range x.places[p] {
		lines = append(lines, l)
	}
	slices.Sort(lines)
	return lines
}

// standing returns a line's entry, gathered anew when it is stale.
func (r *Registry) standing(ctx context.Context, line string) (standing, error) {
	r.index.mu.RLock()
	s := r.index.lines[line]
	if s != nil && s.dossier != nil {
		defer r.index.mu.RUnlock()
		return *s, nil
	}
	r.index.mu.RUnlock()
	for range attempts {
		from := r.index.told()
		fresh, err := r.gather(ctx, line)
		if err != nil {
			return standing{}, err
		}
		if r.index.put(line, fresh, from) {
			return fresh, nil
		}
	}
	return standing{}, refusef(wire.Unavailable, "the line %s changes faster than it can be read; try again", line)
}

// gather reads a line's live release and the keys it rests on.
func (r *Registry) gather(ctx context.Context, line string) (fresh standing, err error) {
	err = r.read(ctx, Caller{}, func(t *tx) error {
		history, err := lineage.History(t, line)
		if err != nil {
			return err
		}
		id := lastPromoted(history)
		if id == "" {
			return nil
		}
		if fresh.dossier, _, err = lineage.Collect(t, id); err != nil {
			return err
		}
		fresh.policy, err = t.policyByDigest(fresh.dossier.Release.Record.Context.Policy.Digest)
		fresh.keys, fresh.at = t.view.ReadSet().Keys, t.now
		return err
	})
	return fresh, err
}

func lastPromoted(history []record.Event) string {
	for _, e := range slices.Backward(history) {
		if e.Promotion != nil {
			return e.Promotion.Release
		}
	}
	return ""
}
