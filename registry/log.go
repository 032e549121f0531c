package registry

import (
	"context"

	"golang.org/x/mod/sumdb/tlog"

	"imprimatur.dev/ledger"
	"imprimatur.dev/store"
	"imprimatur.dev/wire"
)

// Checkpoint returns the signed checkpoint of the ledger, for anyone.
func (r *Registry) Checkpoint(ctx context.Context) ([]byte, error) { return r.store.Checkpoint(ctx) }

// Proof proves to anyone that an entry is in the ledger.
func (r *Registry) Proof(ctx context.Context, index int64) (store.Proof, error) {
	return r.store.Proof(ctx, index)
}

// Consistency proves to anyone that the ledger of one size is the beginning of
// the ledger of another.
func (r *Registry) Consistency(ctx context.Context, older, newer int64) (tlog.TreeProof, error) {
	return r.store.Consistency(ctx, older, newer)
}

// LogTile returns a tile of the ledger in the C2SP tlog-tiles form, for anyone:
// hashes, or the leaves of a bundle. Leaves hold digests, kinds, times and
// principals' names, never the statements themselves.
func (r *Registry) LogTile(ctx context.Context, path string) ([]byte, error) {
	tile, err := ledger.ParseTilePath(path)
	if err != nil {
		return nil, refusef(wire.Unknown, "%w", err)
	}
	return r.store.Tile(ctx, tile)
}

// VerifierKey is the C2SP verifier key by which others check this ledger.
func (r *Registry) VerifierKey() string { return r.key.VerifierKey() }

// Origin is the ledger's name.
func (r *Registry) Origin() string { return r.key.Name() }
