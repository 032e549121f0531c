package registry

import (
	"context"

	"imprimatur.dev/lineage"
	"imprimatur.dev/verify"
)

// Bundle gathers a release with all its statements, their proofs and the policy
// into one file that verifies offline.
func (r *Registry) Bundle(ctx context.Context, who Caller, id string) (*verify.Bundle, error) {
	var out *verify.Bundle
	err := r.read(ctx, who, func(t *tx) error {
		rel, err := t.release(id)
		if err != nil {
			return err
		}
		if err := t.may(actRead, teamOf(rel.Record.Line())); err != nil {
			return err
		}
		entries, err := lineage.Gather(t, id)
		if err != nil {
			return err
		}
		out = &verify.Bundle{Release: id, Origin: r.Origin(), Checkpoint: string(t.view.Checkpoint())}
		for _, e := range entries {
			b, err := t.bundled(e.Index)
			if err != nil {
				return err
			}
			out.Entries = append(out.Entries, b)
		}
		return nil
	})
	return out, err
}

func (t *tx) bundled(index int64) (verify.Entry, error) {
	e, err := t.view.Get(index)
	if err != nil {
		return verify.Entry{}, err
	}
	proof, err := t.view.Proof(index)
	if err != nil {
		return verify.Entry{}, err
	}
	return verify.Entry{Index: index, Payload: e.Payload, KeyID: t.reg.key.ID(), Signature: e.Signature, Proof: proof.Hashes}, nil
}
