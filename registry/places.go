package registry

import (
	"cmp"
	"context"
	"encoding/hex"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// MLflow names the bytes of one model in several ways: by its address at the
// artifact proxy, by a run and a path, by a logged model. A place is what they
// have in common, so that a gate on one is a gate on all: "RUN/artifacts/PATH",
// or "m-MODEL/artifacts", or the whole path where there is no such ID in it.

// PlainPath returns what is left of a URL's path after everything by which one
// path can be written as another: escapes however deep, backslashes, doubled
// slashes, dots, parameters after a semicolon, control characters, upper case.
// It is for comparing, not for opening.
func PlainPath(p string) string {
	for {
		// What is left out may join what becomes another escape.
		next := plainer(p)
		if next == p {
			return p
		}
		p = next
	}
}

var escape = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

func plainer(p string) string {
	// Escapes that are none stay, as the servers that MLflow runs on leave them.
	p = escape.ReplaceAllStringFunc(p, func(e string) string {
		b, _ := hex.DecodeString(e[1:])
		return string(b)
	})
	p = strings.Map(func(r rune) rune {
		switch {
		case r <= ' ' || r == 0x7f:
			return -1
		case r == '\\':
			return '/'
		}
		return r
	}, strings.ToLower(strings.ToValidUTF8(p, "?")))
	segments := strings.Split(p, "/")
	for i, s := range segments {
		segments[i], _, _ = strings.Cut(s, ";")
	}
	return path.Clean("/" + strings.Join(segments, "/"))
}

// trackedID matches the ID of a run or of a logged model.
var trackedID = regexp.MustCompile(`^(m-)?[0-9a-f]{32}$`)

// PlaceOf returns the place that a location names: a path of the artifact proxy,
// or any URI that a version may have for a source.
func PlaceOf(location string) string {
	scheme, rest, ok := strings.Cut(location, ":")
	if !ok {
		scheme, rest = "", location
	}
	if after, ok := strings.CutPrefix(rest, "//"); ok && scheme != "" {
		_, rest, _ = strings.Cut(after, "/")
	}
	segments := strings.Split(strings.Trim(PlainPath(rest), "/"), "/")
	switch scheme {
	case "runs", "models":
		if trackedID.MatchString(segments[0]) {
			return strings.Join(slices.Insert(segments, 1, "artifacts"), "/")
		}
	}
	for i, s := range segments {
		if s == "artifacts" && i > 0 && trackedID.MatchString(segments[i-1]) {
			return strings.Join(segments[i-1:], "/")
		}
	}
	return strings.Join(segments, "/")
}

// addressed is a version by its address.
type addressed struct {
	team, name string
	version    int
}

// places finds versions by where their bytes are. It only grows: who looks
// something up asks whether the version still stands there.
type places struct {
	at    map[string]map[addressed]bool
	below map[string][]string // from a place to those that registered versions have below it
}

func newPlaces() places {
	return places{at: map[string]map[addressed]bool{}, below: map[string][]string{}}
}

func (p places) add(v record.RegisteredVersion) {
	if IsPrompt(v.Tags) {
		return
	}
	for _, location := range []string{v.Source, v.Location} {
		place := PlaceOf(location)
		if place == "" {
			continue
		}
		if p.at[place] == nil {
			p.at[place] = map[addressed]bool{}
			for up := path.Dir(place); up != "." && up != "/"; up = path.Dir(up) {
				p.below[up] = append(p.below[up], place)
			}
		}
		p.at[place][addressed{v.Team, v.Name, v.Version}] = true
	}
}

// versionsAt returns the registered versions whose bytes are at a place, or
// around it, and with below those that are within it too.
func (s *shelf) versionsAt(place string, below bool) []*record.RegisteredVersion {
	s.mu.RLock()
	defer s.mu.RUnlock()
	candidates := map[addressed]bool{}
	for up := place; up != "." && up != "/" && up != ""; up = path.Dir(up) {
		maps.Copy(candidates, s.located.at[up])
	}
	if below {
		for _, deeper := range s.located.below[place] {
			maps.Copy(candidates, s.located.at[deeper])
		}
	}
	var out []*record.RegisteredVersion
	for c := range candidates {
		t := s.teams[c.team]
		if t == nil || t.byName[c.name] == nil || t.byName[c.name].Model.Deleted {
			continue
		}
		if v := t.byName[c.name].Version(c.version); v != nil {
			out = append(out, v)
		}
	}
	// The same question has the same answer.
	slices.SortFunc(out, func(a, b *record.RegisteredVersion) int {
		return cmp.Or(strings.Compare(a.Team, b.Team), strings.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
	return out
}

// InEnvironment reports whether an environment names the caller as a workload of
// its own, so that what it gets is gated.
func (r *Registry) InEnvironment(who Caller) bool {
	return who.Name != "" && len(r.shelf.environmentsOf(who.Name)) > 0
}

// HandOutBytes refuses a caller who may not read the bytes at a place: those of
// a registered version go to whom [Registry.HandOut] gives it, and a workload
// that an environment names gets no others. A caller without a name is nobody.
func (r *Registry) HandOutBytes(ctx context.Context, who Caller, place string) error {
	versions := r.shelf.versionsAt(place, false)
	switch {
	case len(versions) > 0 && who.Name == "":
		return refusef(wire.SignIn, "these are the bytes of version %d of %s, which are given to who is signed in; send a token of this server, as MLFLOW_TRACKING_TOKEN", versions[0].Version, versions[0].Name)
	case len(versions) == 0 && r.InEnvironment(who):
		return refusef(wire.Refused, "%s runs in production and gets only the bytes of registered versions whose release stands, see imprimatur release list; nothing is registered at %s", who.Name, place)
	}
	var why error
	for _, v := range versions {
		_, _, err := r.HandOut(ctx, who, v.Team, v.Name, v.Version)
		if err == nil {
			return nil
		}
		if why == nil {
			why = err
		}
	}
	return why
}

// KeepBytes refuses to change or delete what is at a place, around it or below
// it, where the bytes of a registered version are: they were hashed, and others
// would not be what was approved.
func (r *Registry) KeepBytes(place string) error {
	for _, v := range r.shelf.versionsAt(place, true) {
		return refusef(wire.Refused, "the bytes of version %d of %s are at %s, and stay as they were registered; log another model, and register it as the next version", v.Version, v.Name, PlaceOf(v.Source))
	}
	return nil
}

// IsToken reports whether a text has the form of a token of this program,
// whatever became of the token.
func IsToken(text string) bool { return strings.HasPrefix(text, tokenPrefix) }
