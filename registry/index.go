package registry

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"imprimatur.dev/authority"
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
	// promoted finds the line in which a release was promoted.
	promoted map[string]string
	// readers finds the lines whose dossier was read under a key.
	readers map[string]map[string]bool
	// actors finds the lines whose release a workload may act under, and powers
	// holds the grants of the releases that are live.
	actors map[string]map[string]bool
	powers map[string]*power
	// unknown are lines whose live release may be another one since they were
	// last gathered.
	unknown map[string]bool
	// notes are the releases that were examined for a list, and noters finds
	// those that were read under a key.
	notes  map[string]*noted
	noters map[string]map[string]bool
	// open counts the notes that hold the whole release.
	open int
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
	// id is the release's; it stays when the entry is stale.
	id      string
	dossier *record.Dossier
	policy  *policy.Policy
	// power is the release's, few what of it may be used while the release stands by
	// the broken glass of that digest, and actors are the workloads that may act.
	power  *power
	few    *power
	glass  record.Digest
	actors map[string]record.Principal
	keys   []string
	at     time.Time
	// last is the last yes: facts that do not change lapse by time alone.
	last atomic.Pointer[stood]
}

// power is what a release may do, and what it has used of it. Only are the names
// of the grants that may be used, where they are fewer than the release has; the
// digest is of what may be used.
type power struct {
	digest record.Digest
	only   []string
	grants *authority.Set
	meter  *authority.Meter
}

// under returns the power under a broken glass, which counts with the whole.
func (p *power) under(x record.Exception) *power {
	if len(x.Grants) == 0 {
		return p
	}
	digest := record.DigestOf([]byte(string(p.digest) + "\n" + strings.Join(x.Grants, "\n")))
	return &power{digest, x.Grants, p.grants.Only(x.Grants), p.meter}
}

// may returns what may be done at a time at which the release stands.
func (s *standing) may(at time.Time) *power {
	st := s.stands(at)
	switch {
	case st.Glass == nil:
		return s.power
	case st.Glass.Digest == s.glass:
		return s.few
	}
	return s.power.under(st.Glass.Record)
}

type stood struct {
	policy.Standing
	from time.Time
}

// stands is policy.Stands, from memory while the last yes has not lapsed.
func (s *standing) stands(at time.Time) policy.Standing {
	if last := s.last.Load(); last != nil && record.Stands(last.from, last.Until, at) {
		return last.Standing
	}
	st := s.policy.Stands(s.dossier, at)
	if st.OK {
		s.last.Store(&stood{st, at})
	}
	return st
}

func newIndex() *index {
	return &index{
		lines: map[string]*standing{}, places: map[place]map[string]bool{}, promoted: map[string]string{},
		readers: map[string]map[string]bool{}, unknown: map[string]bool{}, notes: map[string]*noted{}, noters: map[string]map[string]bool{},
		actors: map[string]map[string]bool{}, powers: map[string]*power{},
	}
}

// Decide answers whether the bytes with a digest may run in an environment now.
// When it cannot be decided the answer is no, with the reason (rule 4).
func (r *Registry) Decide(ctx context.Context, environment string, artifact record.Digest) wire.Decision {
	return r.DecideFor(ctx, environment, artifact, "")
}

// DecideFor is [Registry.Decide] for one release, where one is named: that the
// bytes may run under another is no answer.
func (r *Registry) DecideFor(ctx context.Context, environment string, artifact record.Digest, release string) wire.Decision {
	if release == "" {
		return r.decide(ctx, environment, artifact, func(*record.Dossier) bool { return true },
			fmt.Sprintf("no release of the model %s is live in %s; propose one with imprimatur release propose, or see imprimatur audit live", artifact.Short(), environment))
	}
	return r.decide(ctx, environment, artifact, func(d *record.Dossier) bool { return d.ID == release },
		fmt.Sprintf("the release %s is not live in %s with the model that is asked about; see imprimatur audit live, and promote it or name the one that is live", release, environment))
}

// decide answers by the live releases of the bytes that are meant, and with a
// sentence where there is none.
func (r *Registry) decide(ctx context.Context, environment string, artifact record.Digest, meant func(*record.Dossier) bool, none string) wire.Decision {
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
		if s.dossier == nil || s.dossier.Release.Record.Behaviour.Artifact != artifact || !meant(s.dossier) {
			continue
		}
		at := later(now, s.at)
		st := s.stands(at)
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
		no.Reasons = []string{none}
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
func (r *Registry) standing(ctx context.Context, line string) (*standing, error) {
	r.index.mu.RLock()
	s := r.index.lines[line]
	r.index.mu.RUnlock()
	if s != nil && s.dossier != nil {
		return s, nil
	}
	for range attempts {
		from := r.index.told()
		fresh, err := r.gather(ctx, line)
		if err != nil {
			return nil, err
		}
		if r.index.put(line, fresh, from) {
			return fresh, nil
		}
	}
	return nil, refusef(wire.Unavailable, "the line %s changes faster than it can be read; try again", line)
}

// gather reads a line's live release and the keys it rests on.
func (r *Registry) gather(ctx context.Context, line string) (fresh *standing, err error) {
	fresh = &standing{}
	err = r.read(ctx, Caller{}, func(t *tx) error {
		history, err := lineage.History(t, line)
		if err != nil {
			return err
		}
		id := lastPromoted(history)
		if id == "" {
			return nil
		}
		fresh.id = id
		if fresh.dossier, _, err = lineage.Collect(t, id); err != nil {
			return err
		}
		if fresh.policy, err = t.policyByDigest(fresh.dossier.Release.Record.Context.Policy.Digest); err != nil {
			return err
		}
		may := fresh.dossier.Release.Record.Authority
		fresh.power = r.index.power(id, may, fresh.dossier.Digests.Parts[record.PartAuthority])
		if st := fresh.stands(t.now); st.Glass != nil {
			fresh.few, fresh.glass = fresh.power.under(st.Glass.Record), st.Glass.Digest
		}
		fresh.actors = make(map[string]record.Principal, len(may.Workloads))
		for _, w := range may.Workloads {
			actor, err := t.person(w)
			if err != nil {
				return err
			}
			fresh.actors[w] = actor.Principal
		}
		fresh.keys, fresh.at = t.view.ReadSet().Keys, t.now
		return nil
	})
	return fresh, err
}

// power returns the grants of a release, which never change, and their meter.
func (x *index) power(release string, may record.Authority, digest record.Digest) *power {
	x.mu.RLock()
	p := x.powers[release]
	x.mu.RUnlock()
	if p != nil {
		return p
	}
	// A grant whose condition cannot be used, stated before conditions were
	// checked, is not in the set and allows nothing.
	grants, _ := authority.Compile(may)
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.powers[release] == nil {
		x.powers[release] = &power{digest, nil, grants, authority.NewMeter()}
	}
	return x.powers[release]
}

func lastPromoted(history []record.Event) string {
	for _, e := range slices.Backward(history) {
		if e.Promotion != nil {
			return e.Promotion.Release
		}
	}
	return ""
}
