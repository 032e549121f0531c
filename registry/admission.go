package registry

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// What the gate of a cluster asks. All of it is answered from memory.

// EnvironmentsOf returns the environments that a namespace of a cluster means, in
// order. An error says that they are not known, so that nothing may run.
func (r *Registry) EnvironmentsOf(ctx context.Context, namespace string) ([]string, error) {
	if why := r.blind(); why != "" {
		return nil, errors.New(why)
	}
	if err := r.Whole(ctx); err != nil {
		return nil, err
	}
	r.shelf.mu.RLock()
	defer r.shelf.mu.RUnlock()
	var out []string
	for name, p := range r.shelf.places {
		if slices.Contains(p.env.Namespaces, namespace) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}

// pin is a model version that a location is the source of.
type pin struct {
	artifact record.Digest
	ref      string
}

var (
	// An image alone: elsewhere what looks like a digest is a part of a name, which
	// whoever writes there chooses.
	byDigest = regexp.MustCompile(`^(?:(?:oci|docker)://)?[\w.-]+(?::[0-9]+)?(?:/[\w.-]+)*(?::[\w.-]+)?@(sha256:[0-9a-f]{64})$`)
	byCommit = regexp.MustCompile(`^hf://[^\s:@]+/[^\s:@]+:[0-9a-f]{40}$`)
)

// pinnedBy returns what a location is compared by that can only ever mean the
// same bytes, an image by its digest or a Hugging Face repository by its commit;
// nothing for others.
func pinnedBy(location string) string {
	if m := byDigest.FindStringSubmatch(location); m != nil {
		return m[1]
	}
	if byCommit.MatchString(location) {
		return location
	}
	return ""
}

// DecideAt answers whether what is at a location may run in an environment, and
// with which digest. The location is one at which this server read the bytes of the
// very model version that the release names, to the letter; or it is pinned, and
// that version's source: whoever registers the same bytes, or the same source, as
// another version has no approval by that, and cannot overwrite what is approved.
func (r *Registry) DecideAt(ctx context.Context, environment, location string) (record.Digest, wire.Decision) {
	no := wire.Decision{At: record.Millis(r.now())}
	if why := r.blind(); why != "" {
		no.Reasons = []string{why}
		return "", no
	}
	if err := r.Whole(ctx); err != nil {
		no.Reasons = []string{fmt.Sprintf("it could not be decided: %v", err)}
		return "", no
	}
	if key := pinnedBy(location); key != "" {
		if pins := r.shelf.pinsOf(key); len(pins) > 0 {
			return r.decideVersions(ctx, environment, pins)
		}
	}
	read := r.shelf.readAt(location)
	different := map[record.Digest]bool{}
	for _, p := range read {
		different[p.artifact] = true
	}
	switch len(different) {
	case 0:
		no.Reasons = []string{"no model is known by it"}
		return "", no
	case 1:
		return r.decideVersions(ctx, environment, read)
	default:
		no.Reasons = []string{fmt.Sprintf("%d different models were read there, so it was overwritten; store each version at a place of its own, and register that", len(different))}
		return "", no
	}
}

func (r *Registry) decideVersions(ctx context.Context, environment string, pins []pin) (record.Digest, wire.Decision) {
	var no wire.Decision
	for _, p := range pins {
		d := r.decide(ctx, environment, p.artifact, func(d *record.Dossier) bool { return d.Version.Record.Ref() == p.ref },
			fmt.Sprintf("no release of %s is live in %s; propose one: imprimatur release propose %s --use-case USECASE --environment %s", p.ref, environment, p.ref, environment))
		if d.Allowed {
			return p.artifact, d
		}
		d.Reasons = append(no.Reasons, d.Reasons...)
		no = d
	}
	return pins[0].artifact, no
}

func (s *shelf) pinsOf(key string) []pin {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.pinned[key])
}

// readAt returns the versions whose bytes were read at exactly a location. A place is looser than
// that: it leaves out the bucket, and much by which one path differs from another.
func (s *shelf) readAt(location string) []pin {
	scheme, _, ok := strings.Cut(location, "://")
	if !ok || strings.EqualFold(scheme, "file") || len(location) > record.MaxRegisteredURI {
		// A file is on whichever machine asks, and what is longer is registered
		// nowhere.
		return nil
	}
	same := func(other string) bool { return strings.TrimSuffix(other, "/") == strings.TrimSuffix(location, "/") }
	var out []pin
	for _, v := range s.versionsAt(PlaceOf(location), false) {
		if v.Artifact != "" && (same(v.Source) || same(v.Location)) {
			out = append(out, pin{v.Artifact, versionRef(v.Team, v.Name, v.Version)})
		}
	}
	return out
}

// DecideRelease answers whether a release stands in an environment, and which
// bytes it is of.
func (r *Registry) DecideRelease(ctx context.Context, environment, release string) (record.Digest, wire.Decision) {
	var artifact record.Digest
	if r.blind() == "" && r.meet(ctx) == nil {
		r.index.mu.RLock()
		line, ok := r.index.promoted[release]
		r.index.mu.RUnlock()
		if ok {
			if s, err := r.standing(ctx, line); err == nil && s.dossier != nil {
				artifact = s.dossier.Release.Record.Behaviour.Artifact
			}
		}
	}
	return artifact, r.DecideFor(ctx, environment, artifact, release)
}

// NoteRefused keeps in the decision log that a cluster was refused something: who
// asked it, as the cluster says, and what.
func (r *Registry) NoteRefused(user, object, action string, d wire.Decision) {
	ask := wire.Ask{Workload: "kubernetes:" + user, Kind: "access", Resource: object, Action: action}
	team := ""
	if d.Line != "" {
		team = teamOf(d.Line)
	}
	r.journal.note(ask.Workload, team, &ask, &wire.Answer{Release: d.Release, At: later(d.At, record.Millis(r.now())), Reasons: d.Reasons}, -1)
}
