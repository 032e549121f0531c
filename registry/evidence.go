package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"imprimatur.dev/attest"
	"imprimatur.dev/evidence"
	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
	"imprimatur.dev/wire"
)

// KeepEvidence keeps a file of evidence, of a dataset's leaves, of what a vendor
// assures or its model answers, under its digest, for whoever may record evaluations
// or probes, register datasets or look after vendors in any team.
// What is there already is not read again.
func (r *Registry) KeepEvidence(ctx context.Context, who Caller, digest record.Digest, content io.Reader) (wire.Kept, error) {
	kept := wire.Kept{Digest: digest}
	err := r.read(ctx, who, func(t *tx) error {
		for _, a := range []act{actDataset, actVendor, actProbe} {
			if t.mayAnywhere(a) == nil {
				return nil
			}
		}
		return t.mayAnywhere(actEvaluate)
	})
	if err != nil {
		return kept, err
	}
	if err := digest.Validate(); err != nil {
		return kept, refusef(wire.Invalid, "%w", err)
	}
	if r.blobs.Has(string(digest)) {
		return kept, nil
	}
	err = r.blobs.PutAs(ctx, string(digest), content)
	if errors.Is(err, store.ErrBlob) {
		return kept, refusef(wire.Invalid, "%w; send the file again, as it is, under its own digest", err)
	}
	return kept, err
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

// readers bounds how many submissions are read at once: each may take the
// memory of evidence.MaxItems items.
const readers = 2

// readEvidence reads files that were kept before. It needs no snapshot, and may
// take as long as the files are large.
func (r *Registry) readEvidence(ctx context.Context, named []wire.EvidenceFile, run record.EvaluationRun) (*evidence.Reading, error) {
	if len(named) == 0 || len(named) > evidence.MaxFiles {
		return nil, refusef(wire.Invalid, "%d files are named, and evidence is 1 to %d; give the files that the evaluation wrote", len(named), evidence.MaxFiles)
	}
	select {
	case r.reading <- struct{}{}:
		defer func() { <-r.reading }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	files := make([]evidence.File, len(named))
	for i, f := range named {
		blob, err := r.blobs.At(string(f.Digest))
		if errors.Is(err, store.ErrNotFound) {
			return nil, refusef(wire.Unknown, "the file %s, %s, is not here; send it first, as imprimatur eval record does", f.Name, f.Digest.Short())
		}
		if err != nil {
			return nil, err
		}
		defer blob.Close() //nolint:errcheck // it was only read
		files[i] = evidence.File{Name: f.Name, Size: blob.Size, ReaderAt: blob}
	}
	got, err := evidence.Read(files, run)
	var refused *evidence.Refusal
	switch {
	case errors.As(err, &refused):
		return nil, refusef(wire.Invalid, "the evidence is refused, %w; look at it with imprimatur eval record --dry-run", err)
	case err != nil:
		return nil, fmt.Errorf("reading the evidence: %w", err)
	}
	for i, f := range got.Evaluations[0].Evidence {
		if f.Digest != named[i].Digest {
			return nil, fmt.Errorf("reading the evidence: %w: %s reads as %s", store.ErrBlob, named[i].Digest, f.Digest)
		}
	}
	return got, nil
}

// signedRun opens the envelope of a run that was signed by the caller, or by a
// workload that is the caller's.
func (t *tx) signedRun(raw []byte) (run record.EvaluationRun, err error) {
	envelope, err := attest.ParseEnvelope(raw)
	if err != nil {
		return run, refusef(wire.Invalid, "%w; give the envelope as imprimatur eval wrap wrote it", err)
	}
	key, err := t.signingKey(envelope.Signatures[0].KeyID)
	if err != nil {
		return run, err
	}
	trust, err := attest.TrustPublic(key.KeyID, key.Public)
	if err != nil {
		return run, fmt.Errorf("reading the key %s: %w", key.KeyID, err)
	}
	payload, err := trust.Open(raw)
	if err != nil {
		return run, refusef(wire.Invalid, "the envelope was altered after it was signed, or forged: %w; give the one that imprimatur eval wrap wrote", err)
	}
	if run, err = attest.DecodeRun(payload); err != nil {
		return run, refusef(wire.Invalid, "%w; give the envelope that imprimatur eval wrap wrote", err)
	}
	if run.Evaluator != "" && run.Evaluator != key.Principal {
		return run, refusef(wire.Invalid, "the run says that %s evaluated, and is signed by %s; give one that the evaluator signed", run.Evaluator, key.Principal)
	}
	return run, nil
}

// signingKey returns a key that stands and speaks for the caller.
func (t *tx) signingKey(id string) (record.PrincipalKey, error) {
	key, known, err := lineage.Last[record.PrincipalKey](t, record.KeyPrincipalKey(id))
	if err != nil {
		return record.PrincipalKey{}, err
	}
	if !known {
		return key.Record, refusef(wire.Forbidden, "the run is signed with the key %q, which is not enrolled; its holder can: imprimatur principal key enrol FILE", id)
	}
	holder, err := t.person(key.Record.Principal)
	if err != nil {
		return key.Record, err
	}
	switch p := holder.Principal; {
	case p.Name != t.who.Name && p.Owner != t.who.Name:
		return key.Record, refusef(wire.Forbidden, "the run is signed by %s, and you are %s; ask %s to record it, or sign it with your own key", p.Name, t.who.Name, p.Name)
	case !p.Stands(t.now):
		return key.Record, refusef(wire.Forbidden, "%s, who signed the run, is disabled or has expired; an administrator can renew it: imprimatur principal enrol %s", p.Name, p.Name)
	case !key.Record.Stands(t.now):
		return key.Record, refusef(wire.Forbidden, "the key %s was withdrawn or has expired; make a new one with imprimatur principal key new, and run again", id)
	}
	t.reg.uses.note(useOf{ID: id}, t.now)
	return key.Record, nil
}

// wrote refuses unless the signed run wrote every file.
func wrote(run record.EvaluationRun, files []wire.EvidenceFile) error {
	for _, f := range files {
		if !slices.ContainsFunc(run.Outputs, func(o record.RawFile) bool { return o.Digest == f.Digest }) {
			return refusef(wire.Invalid, "the signed run did not write %s as it is now (%s); give the files as the run left them", f.Name, f.Digest.Short())
		}
	}
	return nil
}
