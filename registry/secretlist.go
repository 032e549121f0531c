package registry

import (
	"context"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// Secrets returns the secrets of one team, or of all where it is empty, that the
// caller may know of, in the order of their names: never a value.
func (r *Registry) Secrets(ctx context.Context, who Caller, team string) ([]wire.SecretStatus, error) {
	out := []wire.SecretStatus{}
	err := r.read(ctx, who, func(t *tx) error {
		if err := t.mayReadAny(); err != nil {
			return err
		}
		for _, ref := range r.secrets.refs() {
			if owner := record.TeamOf(ref); team != "" && owner != team || !t.mayRead(owner) {
				continue
			}
			out = append(out, r.secretStatus(ref, t.now))
		}
		return nil
	})
	return out, err
}

// Secret returns a secret with all that was stated of it.
func (r *Registry) Secret(ctx context.Context, who Caller, team, name string) (wire.SecretStatus, error) {
	var out wire.SecretStatus
	err := r.read(ctx, who, func(t *tx) error {
		if err := t.may(actRead, team); err != nil {
			return err
		}
		ref := team + "/" + name
		stated := r.secrets.of(ref)
		if len(stated) == 0 {
			return unknownSecret(team, name)
		}
		out = r.secretStatus(ref, t.now)
		out.Versions = slices.Clone(stated)
		slices.Reverse(out.Versions)
		return nil
	})
	return out, err
}

func (r *Registry) secretStatus(ref string, now time.Time) wire.SecretStatus {
	stated := r.secrets.of(ref)
	newest := stated[len(stated)-1]
	out := wire.SecretStatus{Secret: newest, State: "stands", Leases: r.secrets.leases.openOf(ref)}
	switch x := newest.Record; {
	case x.Withdrawn:
		out.State = "withdrawn"
	case !x.Readable(x.Version, now):
		out.State = "expired"
	case !x.RotateBy.IsZero() && !now.Before(x.RotateBy):
		out.State = "rotation due"
	}
	return out
}

// secretOf parts "team/name".
func secretOf(ref string) (team, name string, err error) {
	team, name, ok := strings.Cut(ref, "/")
	if !ok {
		return "", "", refusef(wire.Invalid, "%q is not of the form team/name; imprimatur secret list shows the secrets", ref)
	}
	return team, name, nil
}
