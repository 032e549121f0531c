package registry

import (
	"context"

	"imprimatur.dev/ledger"
	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// Me returns who the caller is and the roles that are bound to them now. It
// needs no right: everyone may know who they are.
func (r *Registry) Me(ctx context.Context, who Caller) (wire.Myself, error) {
	out := wire.Myself{Name: who.Name, Type: who.Type, Scopes: who.Scopes}
	err := r.read(ctx, who, func(t *tx) error {
		me, err := t.person(who.Name)
		if err != nil {
			return err
		}
		out.Roles = t.bound(me)
		out.Delegations, err = t.delegations(who.Name)
		return err
	})
	return out, err
}

// bound returns the role bindings that stand now.
func (t *tx) bound(p record.Person) []record.Role {
	roles := []record.Role{}
	for _, r := range p.Roles {
		if r.Covers(r.Where(), t.now) {
			roles = append(roles, r)
		}
	}
	return roles
}

// Principal returns an enrolled principal as it stands, with its roles: one's
// own, or anybody's for those who may read.
func (r *Registry) Principal(ctx context.Context, who Caller, name string) (wire.Enrolled, error) {
	var out wire.Enrolled
	err := r.read(ctx, who, func(t *tx) error {
		if name != who.Name {
			if err := t.mayReadAny(); err != nil {
				return err
			}
		}
		p, ok, err := lineage.Last[record.Principal](t, record.KeyPrincipal(name))
		if err != nil {
			return err
		}
		if !ok {
			return unknownPrincipal(name)
		}
		person, err := t.person(name)
		if err != nil {
			return err
		}
		out = wire.Enrolled{Principal: p, Roles: t.bound(person)}
		out.Delegations, err = t.delegations(name)
		return err
	})
	return out, err
}

// LogStatus says how long the ledger is and who signs it, for anyone.
func (r *Registry) LogStatus(ctx context.Context) (wire.LogStatus, error) {
	signed, err := r.store.Checkpoint(ctx)
	if err != nil {
		return wire.LogStatus{}, err
	}
	at, err := ledger.UnverifiedCheckpoint(signed)
	return wire.LogStatus{Origin: at.Origin, Size: at.Size, Root: at.Root[:], Key: r.VerifierKey(), Checkpoint: string(signed)}, err
}

// Ready refuses when the ledger cannot be read, or was not seen for longer than
// the bound after which this server stops deciding.
func (r *Registry) Ready(ctx context.Context) error {
	if why := r.blind(); why != "" {
		return refusef(wire.Unavailable, "%s", why)
	}
	_, err := r.store.Checkpoint(ctx)
	return err
}
