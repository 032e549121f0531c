package registry

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/tlog"

	"imprimatur.dev/ledger"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
	"imprimatur.dev/wire"
)

// keep stores evidence under its digest.
func (r *Registry) keep(ctx context.Context, digest record.Digest, content []byte) error {
	got, _, err := r.blobs.Put(ctx, bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("keeping the evidence: %w", err)
	}
	if got != string(digest) {
		return refusef(wire.Invalid, "the evidence has the digest %s, not %s; send it again", got, digest)
	}
	return nil
}

// Evidence opens the raw evidence kept under a digest.
func (r *Registry) Evidence(ctx context.Context, who Caller, digest record.Digest) (io.ReadCloser, error) {
	if err := digest.Validate(); err != nil {
		return nil, refusef(wire.Invalid, "%w", err)
	}
	if err := r.read(ctx, who, func(t *tx) error { return t.mayReadAny() }); err != nil {
		return nil, err
	}
	return r.blobs.Open(string(digest))
}

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
