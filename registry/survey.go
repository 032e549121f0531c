package registry

import (
	"maps"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/authority"
	"imprimatur.dev/inventory"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// narrowing says how much narrower an authority might be. It is looked at anew
// after a while.
type narrowing struct {
	at      time.Time
	changes []authority.Change
}

// narrowedFor is how long that is remembered.
const narrowedFor = time.Minute

// survey looks at all that a caller sees and asks for.
func (r *Registry) survey(see sight, now time.Time, q wire.InventoryQuery) (out []*inventory.Survey) {
	x := r.workloads
	x.mu.RLock()
	defer x.mu.RUnlock()
	in := r.inForce()
	for _, name := range x.names {
		p := x.people[name]
		s := &inventory.Survey{Item: wire.Inventoried{
			Type: wire.InventoryWorkload, Name: name, Owner: p.body.Owner, Purpose: p.body.Purpose,
			State: stateOf(p.body.Disabled, "disabled", p.body.Expires, now), Since: p.since, Expires: p.body.Expires,
		}}
		if owner := x.people[p.body.Owner]; owner != nil {
			s.Owner = owner.body
		}
		x.bind(s, in)
		if !see.of(s) || !asks(q, s) {
			continue
		}
		for _, role := range x.roles[name] {
			if role.body.Covers(role.body.Where(), now) {
				s.Item.Roles = append(s.Item.Roles, string(role.body.Role)+" of "+role.body.For())
			}
		}
		slices.Sort(s.Item.Roles)
		r.credentials(s, in, now)
		r.unused(s, now)
		out = append(out, s)
	}
	out = append(out, r.loose(see, in, now, q)...)
	for _, s := range out {
		s.Item.Findings = inventory.Find(s, now)
	}
	return out
}

// of reports whether a workload is among what a caller sees.
func (v sight) of(s *inventory.Survey) bool {
	return v.all || v.owner && s.Item.Owner == v.me || slices.ContainsFunc(s.Item.Releases, func(b wire.BoundRelease) bool { return v.team(teamOf(b.Model)) })
}

func asks(q wire.InventoryQuery, s *inventory.Survey) bool {
	has := func(text string) bool { return strings.Contains(strings.ToLower(text), q.Text) }
	return (q.Owner == "" || q.Owner == s.Item.Owner) &&
		(q.Environment == "" || slices.ContainsFunc(s.Item.Releases, func(b wire.BoundRelease) bool { return b.Environment == q.Environment })) &&
		(q.Text == "" || has(s.Item.Name) || has(s.Item.Owner) || has(s.Item.Purpose) || slices.ContainsFunc(s.Item.Releases, func(b wire.BoundRelease) bool { return has(b.Release) || has(b.Model) }))
}

func stateOf(ended bool, word string, expires, now time.Time) string {
	switch {
	case ended:
		return word
	case !record.Stands(time.Time{}, expires, now):
		return "expired"
	}
	return "stands"
}

// inForce are the releases of the inventory that are live or suspended, or wait to
// be, and which of them grant a secret.
type inForce struct {
	releases map[string]wire.BoundRelease
	// secrets are all that there are, and granted finds the releases by one.
	secrets []string
	granted map[string][]string
}

func (r *Registry) inForce() inForce {
	in := inForce{releases: map[string]wire.BoundRelease{}, secrets: r.secrets.refs(), granted: map[string][]string{}}
	r.roll.mu.RLock()
	defer r.roll.mu.RUnlock()
	for id, g := range r.workloads.releases {
		l := r.roll.byID[id]
		if l == nil || l.Status != record.Live && l.Status != record.Suspended && (l.Status != record.Proposed || !l.Newest) {
			continue
		}
		b := wire.BoundRelease{Release: id, Line: l.Line, Model: l.Model + "@" + l.Version, Environment: l.Environment, Status: string(l.Status)}
		for _, e := range r.roll.lines[l.Line].events {
			if e.Promotion != nil && e.Promotion.Release == id {
				b.Since = e.Time
			}
		}
		in.releases[id] = b
		for _, ref := range in.grantedBy(teamOf(l.Model), g.body.Authority) {
			in.granted[ref] = append(in.granted[ref], id)
		}
	}
	return in
}

// grantedBy are the secrets of a team that an authority grants.
func (in *inForce) grantedBy(team string, a record.Authority) (refs []string) {
	for _, g := range a.Secrets {
		prefix, many := strings.CutSuffix(g.Resource, "*")
		at, exact := slices.BinarySearch(in.secrets, team+"/"+prefix)
		if !many {
			if exact {
				refs = append(refs, in.secrets[at])
			}
			continue
		}
		for ; at < len(in.secrets) && strings.HasPrefix(in.secrets[at], team+"/"+prefix); at++ {
			refs = append(refs, in.secrets[at])
		}
	}
	slices.Sort(refs)
	return slices.Compact(refs)
}

// bind adds the releases that name a workload.
func (x *workloads) bind(s *inventory.Survey, in inForce) {
	for _, id := range x.acts[s.Item.Name] {
		b, ok := in.releases[id]
		if !ok {
			s.Ended++
			continue
		}
		s.Item.Releases = append(s.Item.Releases, b)
	}
}

// credentials adds what a workload shows, and the secrets that its releases grant.
func (r *Registry) credentials(s *inventory.Survey, in inForce, now time.Time) {
	x, of := r.workloads, r.workloads.of[s.Item.Name]
	s.Item.Used = later(x.stated[s.Item.Name], r.uses.at(useOf{useWorkload, s.Item.Name}))
	if of == nil {
		of = &shows{}
	}
	for _, id := range of.identities {
		c := x.identities[id]
		r.credential(s, wire.Credential{Kind: wire.CredentialIdentity, ID: id, Shows: c.body.Shows(), State: stateOf(c.body.Revoked, "ended", c.body.Expires, now), Since: c.since, Expires: c.body.Expires})
	}
	for _, id := range of.tokens {
		c := x.tokens[id]
		r.credential(s, wire.Credential{Kind: wire.CredentialToken, ID: id, Shows: c.body.Note, State: stateOf(c.body.Revoked, "ended", c.body.Expires, now), Since: c.since, Expires: c.body.Expires})
	}
	for _, id := range of.keys {
		c := x.keys[id]
		r.credential(s, wire.Credential{Kind: wire.CredentialKey, ID: id, Shows: c.body.Purpose, State: stateOf(c.body.Withdrawn, "ended", c.body.Expires, now), Since: c.since, Expires: c.body.Expires})
	}
	granted := map[string]bool{}
	for _, b := range s.Item.Releases {
		for _, ref := range in.grantedBy(teamOf(b.Model), x.releases[b.Release].body.Authority) {
			granted[ref] = true
		}
	}
	for _, ref := range slices.Sorted(maps.Keys(granted)) {
		r.credential(s, r.secretCredential(ref, now))
		if lines := in.linesOf(ref); len(lines) > 1 {
			if s.Shared == nil {
				s.Shared = map[string][]string{}
			}
			s.Shared[ref] = lines
		}
	}
}

// linesOf are the lines in which a secret is granted.
func (in *inForce) linesOf(ref string) (lines []string) {
	for _, id := range in.granted[ref] {
		lines = append(lines, in.releases[id].Line)
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

// credential adds a credential with its last use.
func (r *Registry) credential(s *inventory.Survey, c wire.Credential) {
	if c.Kind != wire.CredentialSecret {
		c.Used = r.uses.at(useOf{ID: c.ID})
		s.Item.Used = later(s.Item.Used, c.Used)
	}
	if c.State == "stands" {
		s.Item.Rotated = later(s.Item.Rotated, c.Since)
	}
	s.Item.Credentials = append(s.Item.Credentials, c)
}

func (r *Registry) secretCredential(ref string, now time.Time) wire.Credential {
	stated := r.secrets.of(ref)
	x := stated[len(stated)-1].Record
	since := stated[len(stated)-1].Time
	for _, v := range slices.Backward(stated) {
		if v.Record.Version == x.Version {
			since = v.Time
		}
	}
	return wire.Credential{
		Kind: wire.CredentialSecret, ID: ref, Shows: x.Description, State: stateOf(x.Withdrawn, "ended", x.Expires, now),
		Since: since, Expires: x.Expires, Used: r.uses.at(useOf{useSecret, ref}),
	}
}

// loose are the secrets that no release in force grants.
func (r *Registry) loose(see sight, in inForce, now time.Time, q wire.InventoryQuery) (out []*inventory.Survey) {
	for _, ref := range in.secrets {
		stated := r.secrets.of(ref)
		x := stated[len(stated)-1].Record
		if len(in.granted[ref]) > 0 || !see.all && !see.team(x.Team) {
			continue
		}
		c := r.secretCredential(ref, now)
		s := &inventory.Survey{Item: wire.Inventoried{
			Type: wire.InventorySecret, Name: ref, Owner: "team " + x.Team, Purpose: x.Description, State: stateOf(x.Withdrawn, "withdrawn", x.Expires, now),
			Since: stated[0].Time, Expires: x.Expires, Used: c.Used, Credentials: []wire.Credential{c},
		}}
		if asks(q, s) {
			out = append(out, s)
		}
	}
	return out
}

// unused looks at what the live releases of a workload have that nobody uses.
func (r *Registry) unused(s *inventory.Survey, now time.Time) {
	for _, b := range s.Item.Releases {
		if b.Status != string(record.Live) || now.Sub(b.Since) < inventory.UnusedFor {
			continue
		}
		if changes := r.workloads.releases[b.Release].unused(r.uses, now); len(changes) > 0 {
			if s.Unused == nil {
				s.Unused = map[string][]authority.Change{}
			}
			s.Unused[b.Release] = changes
		}
	}
}

// unused is what a release grants that nobody used lately; nothing where nobody
// used any of it.
func (g *granting) unused(x *uses, now time.Time) []authority.Change {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.wider.at.IsZero() || now.Sub(g.wider.at) >= narrowedFor {
		g.wider = narrowing{at: now}
		if used := x.since(g.id, g.body.Authority, now.Add(-inventory.UnusedFor)); len(used) > 0 {
			g.wider.changes = authority.Compare(g.body.Authority, authority.Suggest(g.body.Authority, used)).Changes
		}
	}
	return g.wider.changes
}

// listed is the item as it is answered.
func (r *Registry) listed(s *inventory.Survey) wire.Inventoried {
	r.workloads.mu.RLock()
	defer r.workloads.mu.RUnlock()
	for i := range s.Item.Releases {
		b := &s.Item.Releases[i]
		for _, x := range authority.Sentences(r.workloads.releases[b.Release].body.Authority) {
			if x.May {
				b.May = append(b.May, x.Text)
			}
		}
	}
	return s.Item
}
