package registry

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
	"imprimatur.dev/wire"
)

// shelf holds what MLflow's clients have registered, in memory: built at the
// start from the ledger and told of every later entry before its author is
// answered, so that no look-up or search touches the database.
type shelf struct {
	mu    sync.RWMutex
	teams map[string]*teamShelf
	// places are the environments, and exist the teams that were created.
	places map[string]placed
	exist  map[string]bool
	// located finds versions by where their bytes are, and pinned model versions
	// by what can only ever be the same bytes.
	located places
	pinned  map[string][]pin
}

// placed is an environment with the index of its statement.
type placed struct {
	at  int64
	env record.Environment
}

// teamShelf are the names of one team. Both hold the same entries, which are
// never changed but replaced.
type teamShelf struct {
	byName map[string]*Registered
	sorted []*Registered
}

// Registered is a registered model with its versions as they stand. It must not
// be changed.
type Registered struct {
	Model record.RegisteredModel
	// Versions are those that were not deleted, in the order of their numbers.
	Versions []*record.RegisteredVersion
	// at is where the model was stated, -1 while only versions are known, and
	// all has every version, deleted ones and those of other lives too.
	at  int64
	all []shelved
}

// shelved is a version with the index of its statement and who stated it.
type shelved struct {
	at    int64
	actor string
	v     *record.RegisteredVersion
}

// Version returns a version by its number, or nil.
func (m *Registered) Version(number int) *record.RegisteredVersion {
	i, ok := slices.BinarySearchFunc(m.Versions, number, func(v *record.RegisteredVersion, n int) int { return cmp.Compare(v.Version, n) })
	if !ok {
		return nil
	}
	return m.Versions[i]
}

// Latest returns the newest version of each stage, in the order of numbers.
func (m *Registered) Latest() []*record.RegisteredVersion {
	seen := map[string]bool{}
	var out []*record.RegisteredVersion
	for _, v := range slices.Backward(m.Versions) {
		if !seen[v.Stage] {
			seen[v.Stage] = true
			out = append(out, v)
		}
	}
	slices.Reverse(out)
	return out
}

func newShelf() *shelf {
	return &shelf{teams: map[string]*teamShelf{}, places: map[string]placed{}, exist: map[string]bool{}, located: newPlaces(), pinned: map[string][]pin{}}
}

// learn takes in a statement. Statements may come twice and out of order; what
// was stated later counts.
func (s *shelf) learn(index int64, stated record.Statement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(index, stated)
}

func (s *shelf) put(index int64, stated record.Statement) {
	switch b := stated.Body.(type) {
	case record.Team:
		s.exist[b.Name] = true
	case record.Environment:
		if old, ok := s.places[b.Name]; !ok || old.at < index {
			s.places[b.Name] = placed{index, b}
		}
	case record.ModelVersion:
		fresh := pin{b.Artifact, b.Ref()}
		if key := pinnedBy(b.Source); key != "" && !slices.Contains(s.pinned[key], fresh) {
			s.pinned[key] = append(s.pinned[key], fresh)
		}
	case record.RegisteredModel:
		s.change(b.Team, b.Name, func(m *Registered) {
			if m.at < index {
				m.at, m.Model = index, b
			}
		})
	case record.RegisteredVersion:
		s.located.add(b)
		s.change(b.Team, b.Name, func(m *Registered) { m.shelve(shelved{index, stated.Actor, &b}) })
	}
}

func (m *Registered) shelve(fresh shelved) {
	i, found := slices.BinarySearchFunc(m.all, fresh.v.Version, func(s shelved, n int) int { return cmp.Compare(s.v.Version, n) })
	all := slices.Clone(m.all)
	switch {
	case !found:
		all = slices.Insert(all, i, fresh)
	case all[i].at < fresh.at:
		all[i] = fresh
	}
	m.all = all
}

// change replaces the entry of a name by a changed one.
func (s *shelf) change(team, name string, fn func(*Registered)) {
	t := s.teams[team]
	if t == nil {
		t = &teamShelf{byName: map[string]*Registered{}}
		s.teams[team] = t
	}
	fresh := &Registered{at: -1}
	if old := t.byName[name]; old != nil {
		*fresh = *old
	}
	fn(fresh)
	fresh.Versions = nil
	for _, v := range fresh.all {
		if !v.v.Deleted && v.v.Life == fresh.Model.Life {
			fresh.Versions = append(fresh.Versions, v.v)
		}
	}
	i, found := slices.BinarySearchFunc(t.sorted, name, func(m *Registered, n string) int { return strings.Compare(nameOf(m), n) })
	if found {
		t.sorted[i] = fresh
	} else {
		t.sorted = slices.Insert(t.sorted, i, fresh)
	}
	t.byName[name] = fresh
}

func nameOf(m *Registered) string {
	if m.at < 0 {
		return m.all[0].v.Name
	}
	return m.Model.Name
}

func (s *shelf) find(team, name string) *Registered {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.teams[team]
	if t == nil {
		return nil
	}
	m := t.byName[name]
	if m == nil || m.at < 0 || m.Model.Deleted {
		return nil
	}
	return m
}

// has reports whether a team was created.
func (s *shelf) has(team string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.exist[team]
}

// list returns a team's models in the order of their names.
func (s *shelf) list(team string) []*Registered {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.teams[team]
	if t == nil {
		return nil
	}
	out := make([]*Registered, 0, len(t.sorted))
	for _, m := range t.sorted {
		if m.at >= 0 && !m.Model.Deleted {
			out = append(out, m)
		}
	}
	return out
}

// environmentsOf returns the environments that name a workload as theirs.
func (s *shelf) environmentsOf(principal string) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []string
	for name, p := range s.places {
		if slices.Contains(p.env.Workloads, principal) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// RegistrationTeam returns the team in which a caller speaks MLflow's protocol:
// the one that is asked for, or else the only one of the caller's, or else the
// fallback.
func (r *Registry) RegistrationTeam(ctx context.Context, who Caller, asked, fallback string) (string, error) {
	if asked == "" {
		me, now, err := r.person(ctx, who.Name)
		if err != nil {
			return "", err
		}
		asked = onlyTeam(me, now, fallback)
	}
	r.shelf.mu.RLock()
	defer r.shelf.mu.RUnlock()
	if asked == "" && len(r.shelf.exist) == 1 {
		for only := range r.shelf.exist {
			asked = only
		}
	}
	switch {
	case asked == "":
		return "", refusef(wire.Invalid, "%s does not act for exactly one team; name the team in the address, as in http://HOST/t/TEAM", who.Name)
	case !r.shelf.exist[asked]:
		return "", refusef(wire.Unknown, "the team %s is not known here; an administrator can create it: imprimatur principal team %s", asked, asked)
	}
	return asked, nil
}

// mayReadShelf refuses unless the caller may read the team's registry. The
// workloads that an environment names may: what they get is gated.
func (r *Registry) mayReadShelf(ctx context.Context, who Caller, team string) error {
	me, now, err := r.person(ctx, who.Name)
	if err != nil {
		return err
	}
	if len(r.shelf.environmentsOf(who.Name)) > 0 {
		return who.stands(me, now)
	}
	return who.may(me, now, actRead, team, rights[actRead]...)
}

// RegisteredModel returns a registered model, with those of its versions that the
// caller may have.
func (r *Registry) RegisteredModel(ctx context.Context, who Caller, team, name string) (*Registered, error) {
	if err := r.mayReadShelf(ctx, who, team); err != nil {
		return nil, err
	}
	m := r.shelf.find(team, name)
	if m == nil {
		return nil, noModel(name)
	}
	return r.shown(ctx, who, m)[0], nil
}

// RegisteredModels returns a team's registered models in the order of their
// names, with those of their versions that the caller may have.
func (r *Registry) RegisteredModels(ctx context.Context, who Caller, team string) ([]*Registered, error) {
	if err := r.mayReadShelf(ctx, who, team); err != nil {
		return nil, err
	}
	return r.shown(ctx, who, r.shelf.list(team)...), nil
}

// RegisteredVersion returns a version, whether or not the caller may have it, for
// the answer to who has just changed it. All others get it by HandOut.
func (r *Registry) RegisteredVersion(ctx context.Context, who Caller, team, name string, number int) (*Registered, *record.RegisteredVersion, error) {
	if err := r.mayReadShelf(ctx, who, team); err != nil {
		return nil, nil, err
	}
	m := r.shelf.find(team, name)
	if m == nil || m.Version(number) == nil {
		return nil, nil, noVersion(name, number)
	}
	return m, m.Version(number), nil
}

// shown leaves out what HandOut would refuse: a version says where its bytes are,
// and who may not load it by its number shall not find them by a search.
func (r *Registry) shown(ctx context.Context, who Caller, models ...*Registered) []*Registered {
	if len(r.shelf.environmentsOf(who.Name)) == 0 {
		return models
	}
	out := make([]*Registered, len(models))
	for i, m := range models {
		fewer := *m
		fewer.Versions = slices.DeleteFunc(slices.Clone(m.Versions), func(v *record.RegisteredVersion) bool { return r.standsFor(ctx, who, v) != nil })
		out[i] = &fewer
	}
	return out
}

// The beginnings are MLflow's own: its clients look for them.
func noModel(name string) error {
	return refusef(wire.Unknown, "Registered Model with name=%s not found; register it with client.create_registered_model", name)
}

func noVersion(name string, version int) error {
	return refusef(wire.Unknown, "Model Version (name=%s, version=%s) not found; register it with client.create_model_version", name, strconv.Itoa(version))
}

// last returns the newest record under a key with its entry, what the command
// has stated included.
func last[T record.Body](t *tx, key string) (record.Recorded[T], lineage.Entry, bool, error) {
	var none record.Recorded[T]
	for _, s := range slices.Backward(t.stated) {
		if body, ok := s.entry.Statement.Body.(T); ok && slices.Contains(s.keys, key) {
			return recorded(s.entry, body), s.entry, true, nil
		}
	}
	e, ok, err := t.view.Last(key)
	if err != nil || !ok {
		return none, lineage.Entry{}, false, err
	}
	found, err := t.decode([]store.Entry{e})
	if err != nil {
		return none, lineage.Entry{}, false, err
	}
	body, ok := found[0].Statement.Body.(T)
	if !ok {
		return none, lineage.Entry{}, false, nil
	}
	return recorded(found[0], body), found[0], true, nil
}

// onlyTeam returns the one team that a person's roles are for.
func onlyTeam(me record.Person, now time.Time, fallback string) string {
	var teams []string
	for _, role := range me.RolesAt(now) {
		if role.Team != record.AllTeams && !slices.Contains(teams, role.Team) {
			teams = append(teams, role.Team)
		}
	}
	if len(teams) == 1 {
		return teams[0]
	}
	return fallback
}
