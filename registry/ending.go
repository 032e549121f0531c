package registry

import (
	"context"
	"time"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/token"
	"imprimatur.dev/wire"
)

// DisableWorkload disables a workload and ends in the same step all that it shows:
// its tokens, keys, identities, and the access tokens that it was given. Its owner
// may, and an administrator. Enabled again, it is given new ones.
func (r *Registry) DisableWorkload(ctx context.Context, who Caller, name string, in wire.Stop) (record.Recorded[record.Principal], error) {
	defer r.lookNow()
	return command[record.Principal](ctx, r, who, func(t *tx) error {
		if err := t.mayIssue(wire.TokenRequest{Principal: name}); err != nil {
			return err
		}
		p, err := t.person(name)
		switch {
		case err != nil:
			return err
		case p.Principal.Type != record.Workload:
			return refusef(wire.Invalid, "%s is a person; see them off: imprimatur principal offboard %s", name, name)
		case in.Lift:
			return refusef(wire.Invalid, "whoever enrols workloads enables one again: imprimatur principal renew %s", name)
		case p.Principal.Disabled:
			return refusef(wire.Conflict, "%s is disabled already; an administrator can enable it: imprimatur principal renew %s", name, name)
		case in.Reason == "":
			return refusef(wire.Invalid, "it is not said why; give a reason with --reason")
		}
		p.Principal.Disabled = true
		if err := t.state(p.Principal); err != nil {
			return err
		}
		return t.endShown(name, in.Reason)
	})
}

// endShown ends all that a workload shows.
func (t *tx) endShown(name, reason string) error {
	if _, err := t.endTokens(name); err != nil {
		return err
	}
	if _, err := t.endKeys(name, reason); err != nil {
		return err
	}
	identities, err := newestOf(t, record.KeyIdentities(name), func(i record.Identity) string { return i.ID })
	if err != nil {
		return err
	}
	for _, i := range identities {
		if !i.Stands(t.now) {
			continue
		}
		i.Revoked, i.Reason = true, reason
		if err := t.state(i); err != nil {
			return err
		}
	}
	return t.endAccess(name, reason)
}

// endAccess ends the access tokens that a workload was given until now.
func (t *tx) endAccess(name, reason string) error {
	return t.state(record.Revocation{Workload: name, Expires: record.Millis(t.now.Add(token.MaxLife)), Reason: reason})
}

// retire ends a release for good, and with it in the same step the API tokens and
// access tokens of the workloads that have nothing else to do: no other release in
// force names them, nor does one that waits, and no role is bound to them. Its
// grants end with it, since they stand nowhere else.
func (t *tx) retire(rel record.Recorded[record.Release], id, reason string) error {
	if err := t.state(record.Retirement{Release: id, Line: rel.Record.Line(), Record: rel.Digest, Reason: reason}); err != nil {
		return err
	}
	for _, w := range rel.Record.Authority.Workloads {
		p, err := t.person(w)
		if err != nil {
			return err
		}
		busy, err := t.namedElsewhere(w, id)
		if err != nil {
			return err
		}
		if busy || p.Principal.Type != record.Workload || len(p.RolesAt(t.now)) > 0 {
			continue
		}
		if _, err := t.endTokens(w); err != nil {
			return err
		}
		if err := t.endAccess(w, "The release "+id+" was retired: "+reason); err != nil {
			return err
		}
	}
	return nil
}

// namedElsewhere reports whether a release in force other than one names a
// workload, or one that waits at the head of its line.
func (t *tx) namedElsewhere(workload, but string) (bool, error) {
	named, err := t.Find(record.KeyActs(workload))
	if err != nil {
		return false, err
	}
	for _, e := range named {
		rel, ok := e.Statement.Body.(record.Release)
		id := record.ReleaseID(e.Statement.Digest())
		if !ok || id == but {
			continue
		}
		history, err := lineage.History(t, rel.Line())
		if err != nil {
			return false, err
		}
		switch status, _ := record.StatusAt(history, id, t.now); status {
		case record.Live, record.Suspended:
			return true, nil
		case record.Proposed:
			newest, _, err := t.view.Last(record.KeyReleases(rel.Line()))
			if err != nil {
				return false, err
			}
			if newest.Index == e.Index {
				return true, nil
			}
		}
	}
	return false, nil
}

// lookNow ends the leases that stand no more, before whoever ended what they rest
// on is answered.
func (r *Registry) lookNow() {
	for _, l := range r.secrets.leases.all() {
		r.look(r.working, l, true)
	}
}

func (t *tx) endTokens(name string) (ended []string, err error) {
	tokens, err := newestOf(t, record.KeyTokens(name), func(k record.Token) string { return k.ID })
	for _, k := range tokens {
		if k.Revoked || !record.Stands(time.Time{}, k.Expires, t.now) {
			continue
		}
		k.Revoked = true
		ended = append(ended, k.ID)
		if err := t.state(k); err != nil {
			return nil, err
		}
	}
	return ended, err
}

func (t *tx) endKeys(name, reason string) (ended []string, err error) {
	keys, err := newestOf(t, record.KeyPrincipalKeys(name), func(k record.PrincipalKey) string { return k.KeyID })
	for _, k := range keys {
		if !k.Stands(t.now) {
			continue
		}
		k.Withdrawn, k.Reason = true, reason
		ended = append(ended, k.KeyID)
		if err := t.state(k); err != nil {
			return nil, err
		}
	}
	return ended, err
}
