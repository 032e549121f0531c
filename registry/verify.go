package registry

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"time"

	"imprimatur.dev/attest"
	"imprimatur.dev/ledger"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
)

// VerifyLedger reads the whole ledger of a data folder or database again and
// holds it against trusted keys: every signature, hash and checkpoint, and the
// projection rebuilt and compared. It writes nothing and may run beside a
// server. A ledger that does not verify is an error wrapping store.ErrLedger.
func VerifyLedger(ctx context.Context, cfg Config, trust attest.Trust, progress func(done, total int64)) (store.Report, error) {
	s, err := store.OpenReadOnly(ctx, cmp.Or(cfg.Database, cfg.Data), store.Options{Project: ledger.Project, Version: record.KeysVersion})
	if err != nil {
		return store.Report{}, err
	}
	defer s.Close()
	return s.Verify(ctx, checkBy(trust, progress))
}

// VerifyLedger does the same from within the server.
func (r *Registry) VerifyLedger(ctx context.Context) (store.Report, error) {
	trust, err := attest.ParseTrust([]byte(r.VerifierKey() + "\n"))
	if err != nil {
		return store.Report{}, err
	}
	return r.store.Verify(ctx, checkBy(trust, nil))
}

func checkBy(trust attest.Trust, progress func(done, total int64)) store.Check {
	return store.Check{
		Progress:   progress,
		Signatures: func(entries []store.Entry) (int, error) { return signedBy(trust, entries) },
		Checkpoint: func(signed []byte) (ledger.Checkpoint, error) {
			n, err := trust.VerifyNote(signed)
			if err != nil {
				return ledger.Checkpoint{}, err
			}
			return ledger.ParseCheckpoint(n.Text)
		},
	}
}

// signedBy checks a run of entries against the trusted keys, one after the
// other: a run that no key signed as a whole is looked at entry by entry, since
// a key may have been replaced within it.
func signedBy(trust attest.Trust, entries []store.Entry) (bad int, err error) {
	batch := make([]attest.Signed, len(entries))
	for _, id := range trust.KeyIDs() {
		for i, e := range entries {
			batch[i] = attest.Signed{Payload: e.Payload, Sig: e.Signature, KeyID: id}
		}
		if bad, err = trust.VerifyBatch(batch); err == nil {
			return -1, nil
		}
	}
	if len(trust.KeyIDs()) < 2 {
		return bad, err
	}
	for i, e := range entries {
		signed := slices.ContainsFunc(trust.KeyIDs(), func(id string) bool { return trust.VerifyStatement(e.Payload, e.Signature, id) == nil })
		if !signed {
			return i, err
		}
	}
	return -1, nil
}

// rebuilding tells now and then how far the projection is made anew, as it is
// after an update of the program; a million entries take about half a minute.
func rebuilding(log *slog.Logger) func(done, total int64) {
	if log == nil {
		log = slog.Default()
	}
	told := time.Now()
	return func(done, total int64) {
		if done == total || time.Since(told) > 5*time.Second {
			told = time.Now()
			log.Info("making the projection of the ledger anew for this version of the program", "entries", done, "of", total)
		}
	}
}
