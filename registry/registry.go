package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"

	"imprimatur.dev/attest"
	"imprimatur.dev/ledger"
	"imprimatur.dev/lineage"
	"imprimatur.dev/policy"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
	"imprimatur.dev/wire"
)

// Config says where a registry keeps its things.
type Config struct {
	// Data is the folder of keys, blobs and, without Database, SQLite.
	Data string
	// Database is a postgres:// URL, or empty for SQLite in the data folder.
	Database string
	// Passphrase opens the server key, and encrypts a new one; it may be empty.
	Passphrase string
	// Background lets Open return when decisions can be made, while the rest of
	// what is kept in memory is still read: see [Registry.Whole].
	Background bool
	// Now is the clock; nil is the system's.
	Now func() time.Time
	// Folders are those below which the server may read the bytes of versions
	// that MLflow's clients register.
	Folders []string
	// Hasher reads the bytes of the others; nil reads none.
	Hasher Hasher
	// Reports reads the runs that they come from; nil reads none.
	Reports Reporter
	// Notify says how others are told of what is stated.
	Notify Notify
	// KeepEvery says that each so manieth allowed answer of the decision point has
	// a line in the decision log, and KeepDecisions how long its files are kept;
	// zeros are each, and for ever.
	KeepEvery     int
	KeepDecisions time.Duration
	// URL is the address of the server, without a final slash, that access tokens
	// name as their issuer; without it none are issued. Audiences are those besides
	// for whom workloads may ask for one, such as a gateway.
	URL       string
	Audiences []string
	// AccessLife is how long access tokens live; token.Life where it is 0.
	AccessLife time.Duration
	// SecretsKey are the age identities, one a line, of which the first encrypts the
	// values of secrets and all open them; where it is empty the server makes one. Secrets
	// reads the values that are kept elsewhere; nil reads none.
	SecretsKey string
	Secrets    SecretSource
}

// Registry is an open installation. Its methods may be called concurrently.
type Registry struct {
	store *store.Store
	blobs *store.Blobs
	key   *attest.Key
	now   func() time.Time
	index *index
	known *known
	shelf *shelf
	roll  *roll
	// pipelines are what OpenLineage's clients have sent.
	pipelines *pipelines
	graph     graph
	drafts    drafts
	// whole is closed when all of these know the ledger, or fault says why not.
	whole chan struct{}
	fault error
	// turns are for changes of registered names.
	turns turns
	// reader reads the bytes of what MLflow's clients register, and reports their
	// runs.
	reader  Hasher
	reports Reporter
	outbox  *outbox
	journal *journal
	// reserved are the calls whose cost is not settled.
	reserved reservations
	// identities are what workloads show, and issuing gives them tokens for it.
	identities *identities
	uses       *uses
	workloads  *workloads
	issuing    issuing
	secrets    *secrets
	gateways   *gateways
	monitors   monitors
	// patience is how long a registration waits for its bytes.
	patience time.Duration
	// rereads are the readings before a promotion, and rereadPatience is how long
	// one waits for them.
	rereads        rereads
	rereadPatience time.Duration

	// replica says that others may append to the same ledger; seen is when it
	// was last read, in nanoseconds since opened so that no step of the wall
	// clock counts, and stale is how long that may be ago.
	replica bool
	opened  time.Time
	seen    atomic.Int64
	stale   time.Duration
	closed  atomic.Bool
	working context.Context
	cancel  context.CancelFunc
	tailing sync.WaitGroup

	// reading is held by whoever reads evidence.
	reading chan struct{}
	// counting is held by whoever counts observations.
	counting chan struct{}
	// argons is held by whoever hashes a password.
	argons chan struct{}

	mu       sync.Mutex
	policies map[record.Digest]*policy.Policy
}

// Open opens an installation, making its key on the first start. It refuses
// when another server holds the data folder, or when the data is older than the
// last checkpoint kept beside it.
func Open(ctx context.Context, cfg Config) (*Registry, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	key, err := openKey(filepath.Join(cfg.Data, "keys", "server.key"), cfg.Passphrase)
	if err != nil {
		return nil, err
	}
	r := &Registry{key: key, now: cfg.Now, policies: map[record.Digest]*policy.Policy{}, reading: make(chan struct{}, readers), counting: make(chan struct{}, counters), argons: make(chan struct{}, argonAtOnce)}
	r.index, r.known, r.shelf, r.pipelines = newIndex(), newKnown(), newShelf(), newPipelines()
	r.identities, r.issuing = newIdentities(), newIssuing(key, cfg)
	r.uses, r.workloads = newUses(), newWorkloads()
	r.graph.g, r.drafts.at = lineage.NewGraph(), map[*byte]lineage.Entry{}
	r.roll, r.whole = newRoll(), make(chan struct{})
	r.patience, r.reports, r.turns.seed = hashAtOnce, cfg.Reports, maphash.MakeSeed()
	r.rereads.of, r.rereadPatience = map[string]*reread{}, rereadPatience
	if r.reader, err = newReader(cfg.Folders, cfg.Hasher); err != nil {
		return nil, err
	}
	r.blobs, err = store.OpenBlobs(filepath.Join(cfg.Data, "blobs"))
	if err != nil {
		return nil, err
	}
	r.replica, r.stale = cfg.Database != "", staleAfter
	r.outbox = newOutbox(r, cfg.Notify)
	keys, err := newSecretKeys(key, cfg)
	if err != nil {
		return nil, err
	}
	r.secrets, r.gateways = newSecrets(keys, cfg.Secrets), newGateways()
	r.store, err = store.Open(ctx, cmp.Or(cfg.Database, cfg.Data), store.Options{
		Project:        ledger.Project,
		Version:        record.KeysVersion,
		Rebuilt:        rebuilding(cfg.Notify.Log),
		Origin:         key.Name(),
		Signers:        []note.Signer{key.NoteSigner()},
		CheckpointFile: filepath.Join(cfg.Data, "checkpoint"),
		AfterCommit:    r.committed,
	})
	if err != nil {
		return nil, err
	}
	// After the store, whose lock says that a folder's decision log is ours.
	if r.journal, err = openJournal(r, filepath.Join(cfg.Data, "decisions"), cfg); err != nil {
		return nil, errors.Join(err, r.store.Close())
	}
	if err := r.start(ctx, cfg.Background); err != nil {
		if r.cancel != nil {
			r.cancel()
			r.tailing.Wait()
		}
		return nil, errors.Join(err, r.journal.file.Close(), r.store.Close())
	}
	return r, nil
}

func (r *Registry) start(ctx context.Context, background bool) error {
	r.opened = time.Now()
	var size int64
	err := r.store.View(ctx, func(v *store.View) error {
		size = v.Size()
		return nil
	})
	if err := errors.Join(err, r.loadIndex(ctx)); err != nil {
		return err
	}
	r.working, r.cancel = context.WithCancel(context.Background())
	if r.replica {
		r.tailing.Go(func() { r.tail(r.working, size) })
	}
	r.tailing.Go(func() { r.startMemory(size) })
	r.tailing.Go(func() { r.journal.run(r.working) })
	if background {
		return nil
	}
	return r.Whole(ctx)
}

// startMemory fills what is kept in memory, and then begins the work that looks
// at it.
func (r *Registry) startMemory(size int64) {
	err := r.remember(r.working, size)
	if err == nil {
		r.tailing.Go(func() { r.warm(r.working) })
		r.tailing.Go(func() { r.keepUse(r.working) })
		r.tailing.Go(func() { r.keepLeases(r.working) })
		r.tailing.Go(func() { r.watchVendors(r.working) })
		if r.secrets.source != nil {
			r.tailing.Go(func() { r.watchVaults(r.working) })
		}
		r.tailing.Go(func() { r.rekeyAtStart(r.working) })
		r.tailing.Go(func() { r.keepWindows(r.working) })
		r.tailing.Go(func() { r.watchSilence(r.working) })
		r.resumeHashing()
		r.outbox.start(r.working)
	}
	r.fault = err
	close(r.whole)
}

// Whole waits until what is kept in memory beside the decision index is there:
// names, lists and the graph, which no command or query but [Registry.Decide],
// [Registry.Authorize] and the log's may be asked without.
func (r *Registry) Whole(ctx context.Context) error {
	select {
	case <-r.whole:
	case <-ctx.Done():
	}
	return r.wholeNow()
}

// wholeNow refuses where memory is still being read.
func (r *Registry) wholeNow() error {
	select {
	case <-r.whole:
		return r.fault
	default:
		return refusef(wire.Unavailable, "the server has just started and still reads its ledger; try again in a moment")
	}
}

// Close releases the data folder. From then on every decision is no, since
// another server may append. A second call does nothing.
func (r *Registry) Close() error {
	if r.closed.Swap(true) {
		return nil
	}
	r.cancel()
	r.tailing.Wait()
	r.outbox.close()
	used := r.flushUse(context.Background())
	return errors.Join(used, r.journal.file.Close(), r.store.Close())
}

// tx is one command or query at one moment: a snapshot, the caller, and the
// one reading of the clock, which is never before what the snapshot was found to
// hold: a replica whose clock is behind may not pass over what another stated.
// It is a lineage.Source.
type tx struct {
	reg    *Registry
	view   *store.View
	who    Caller
	now    time.Time
	stated []staged
	// answer is what stands already, where the command asks for just that.
	answer []lineage.Entry
	// before, where it is not nil, runs after the snapshot was given back and
	// before anything is appended: it makes durable what the statements name.
	before func() error
	// reads are the teams of which it is known whether the caller may read them.
	reads map[string]bool
}

// Find implements lineage.Source. What the command has stated so far is found
// too, so that it can see the state that it is about to make.
func (t *tx) Find(key string) ([]lineage.Entry, error) {
	entries, err := t.view.Find(key)
	if err != nil {
		return nil, err
	}
	found, err := t.decode(entries)
	for _, s := range t.stated {
		if slices.Contains(s.keys, key) {
			found = append(found, s.entry)
		}
	}
	return found, err
}

func (t *tx) decode(entries []store.Entry) ([]lineage.Entry, error) {
	out := make([]lineage.Entry, len(entries))
	for i, e := range entries {
		s, err := attest.DecodeStatement(e.Payload)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", e.Index, err)
		}
		out[i] = lineage.Entry{Index: e.Index, Digest: record.DigestOf(e.Payload), Statement: s}
		t.now = later(t.now, s.Time)
	}
	return out, nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// staged is a statement on its way to the ledger.
type staged struct {
	entry   lineage.Entry
	payload []byte
	keys    []string
}

// state adds a record to what the command will append.
func (t *tx) state(body record.Body) error {
	s, err := record.New(t.who.Name, t.now, body)
	if err != nil {
		return err
	}
	s.Request = t.who.Request
	payload, err := attest.EncodeStatement(s)
	if err != nil {
		return err
	}
	index := t.view.Size() + int64(len(t.stated))
	t.stated = append(t.stated, staged{lineage.Entry{Index: index, Digest: record.DigestOf(payload), Statement: s}, payload, s.Keys()})
	return nil
}

// attempts bounds how often a command runs again after losing a race. Each
// loss means that another command won, so the whole always moves.
const attempts = 100

// write runs a command: fn reads and states, then everything it stated is
// appended at once, or nothing.
func (r *Registry) write(ctx context.Context, who Caller, fn func(*tx) error) ([]lineage.Entry, error) {
	for range attempts {
		var t *tx
		var read store.ReadSet
		err := r.store.View(ctx, func(v *store.View) error {
			t = &tx{reg: r, view: v, who: who, now: record.Millis(r.now())}
			if err := fn(t); err != nil {
				return err
			}
			read = v.ReadSet()
			return nil
		})
		if err != nil {
			return nil, err
		}
		if t.answer != nil {
			return t.answer, nil
		}
		if t.before != nil {
			if err := t.before(); err != nil {
				return nil, err
			}
		}
		entries, err := r.append(ctx, read, t.stated)
		if !errors.Is(err, store.ErrConflict) {
			return entries, err
		}
	}
	return nil, refusef(wire.Unavailable, "too many others changed the same things at once; try again")
}

// append signs and appends statements under the guard of what was read.
func (r *Registry) append(ctx context.Context, read store.ReadSet, stated []staged) ([]lineage.Entry, error) {
	if len(stated) == 0 {
		return nil, nil
	}
	drafts := make([]store.Draft, len(stated))
	entries := make([]lineage.Entry, len(stated))
	for i, s := range stated {
		leaf, err := ledger.LeafOf(s.entry.Statement, s.payload)
		if err != nil {
			return nil, err
		}
		drafts[i] = store.Draft{Payload: s.payload, Signature: r.key.Sign(s.payload), Leaf: leaf, Keys: s.keys}
		entries[i] = s.entry
	}
	defer r.drafts.put(stated)()
	indexes, err := r.store.Append(ctx, read, drafts...)
	if err != nil {
		return nil, err
	}
	for i := range entries {
		entries[i].Index = indexes[i]
	}
	return entries, nil
}

// read runs a query on a snapshot.
func (r *Registry) read(ctx context.Context, who Caller, fn func(*tx) error) error {
	return r.store.View(ctx, func(v *store.View) error {
		return fn(&tx{reg: r, view: v, who: who, now: record.Millis(r.now())})
	})
}

// command runs a write whose answer is the first record of type T that it
// stated. A repeated Idempotency-Key answers with what the first request stated.
func command[T record.Body](ctx context.Context, r *Registry, who Caller, fn func(*tx) error) (record.Recorded[T], error) {
	entries, err := r.write(ctx, who, func(t *tx) error {
		if err := who.mayState(); err != nil {
			return err
		}
		if err := t.repeated(); err != nil || t.answer != nil {
			return err
		}
		return fn(t)
	})
	if err != nil {
		return record.Recorded[T]{}, err
	}
	for _, e := range entries {
		if body, ok := e.Statement.Body.(T); ok {
			return recorded(e, body), nil
		}
	}
	return record.Recorded[T]{}, refusef(wire.Conflict, "the Idempotency-Key was used before for something else; send a new one")
}

// repeated answers with what an earlier request with the caller's key stated.
func (t *tx) repeated() error {
	key, _, ok := strings.Cut(t.who.Request, "#")
	if !ok {
		return nil
	}
	entries, err := t.Find(record.KeyRequest(t.who.Name, key))
	if err != nil || len(entries) == 0 {
		return err
	}
	if entries[0].Statement.Request != t.who.Request {
		return refusef(wire.Conflict, "the Idempotency-Key %q was used before with another request; send a new one", key)
	}
	t.answer = entries
	return nil
}

// need returns the newest record under a key that must be there; what and how
// say in the refusal what is not, and how it comes to be.
func need[T record.Body](t *tx, key, what, how string) (record.Recorded[T], error) {
	got, ok, err := lineage.Last[T](t, key)
	switch {
	case err != nil:
		return record.Recorded[T]{}, err
	case !ok:
		return record.Recorded[T]{}, refusef(wire.Unknown, "%s is not known here; %s", what, how)
	}
	return got, nil
}

// once states a record that may stand only once under its name: stating the
// same again answers with what stands, stating another is a conflict.
func once[T record.Body](t *tx, key string, body T, what string) error {
	entries, err := t.Find(key)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(entries, func(e lineage.Entry) bool { _, ok := e.Statement.Body.(T); return ok })
	if i < 0 {
		return t.state(body)
	}
	e := entries[i]
	raw, err := record.CanonicalOf(body)
	if err != nil {
		return err
	}
	if e.Statement.Digest() != record.DigestOf(raw) {
		return refusef(wire.Conflict, "%s stands already with other content since %s; use a new name or version", what, e.Statement.Time.Format(time.RFC3339))
	}
	t.answer = []lineage.Entry{e}
	return nil
}

func recorded[T record.Body](e lineage.Entry, body T) record.Recorded[T] {
	return record.Recorded[T]{
		Record: body, Digest: e.Statement.Digest(), Actor: e.Statement.Actor,
		Time: e.Statement.Time, Index: e.Index, Statement: e.Digest,
	}
}
