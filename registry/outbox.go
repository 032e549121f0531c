package registry

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"imprimatur.dev/attest"
	"imprimatur.dev/guard"
	"imprimatur.dev/lineage"
	"imprimatur.dev/notify"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
)

// Notify says how others are told of what is stated here.
type Notify struct {
	// URL is the server's address as others reach it, for links; it may be empty.
	URL string
	// Guard decides where may be sent to; nil lets only public addresses through.
	Guard *guard.Guard
	// Mail takes mail; nil sends none.
	Mail *notify.Mail
	// Remind is how long before something lapses people are reminded by mail; nil
	// is DefaultRemind.
	Remind []time.Duration
	// Log takes what goes wrong; nil is slog's default.
	Log *slog.Logger
}

// outbox tells targets of the ledger's entries. The ledger itself is what there
// is to tell: a target's reader in the store is the index that it has come to,
// which moves after the receiver has answered. So what is appended is told at
// least once, whatever crashes in between, and what was not appended never is.
type outbox struct {
	reg    *Registry
	sender *notify.Sender
	guard  *guard.Guard
	place  notify.Place
	log    *slog.Logger
	// before is how long before something lapses people are reminded.
	before []time.Duration
	// holder names this server in the leases of readers.
	holder string

	mu      sync.Mutex
	working context.Context // nil until it starts
	readers map[string]*reader
	known   map[string]*toldOf
	going   sync.WaitGroup
	// size is how many entries the ledger is known to have.
	size atomic.Int64
}

// A test makes them shorter.
var (
	// leaseFor is how long a server has a reader after it last moved it; longer
	// than one attempt takes.
	leaseFor = 30 * time.Second
	// lookAgain is the longest that a reader waits before it looks again.
	lookAgain = 10 * time.Second
)

// tellBatch is how many entries are read at once.
const tellBatch = 256

// reader is one target's goroutine with what it knows.
type reader struct {
	box *outbox
	id  string
	// wake is told of new entries and changes.
	wake chan struct{}
	stop context.CancelFunc

	mu     sync.Mutex
	target record.Target
	at     int64 // index of the target's newest statement
	begin  int64 // what was stated before is not told
	fresh  bool  // the reader's row may have been changed by others

	// Owned by the goroutine: the row, until when the lease stands, and the
	// index of the statement that was last acted on.
	row   store.Reader
	until time.Time
	acted int64
	moved bool // the row's index is ahead of what is kept
}

func newOutbox(r *Registry, cfg Notify) *outbox {
	o := &outbox{
		reg: r, guard: cfg.Guard, log: cfg.Log, holder: randomHex(8), readers: map[string]*reader{}, known: map[string]*toldOf{},
		place: notify.Place{URL: cfg.URL, Origin: r.key.Name()},
	}
	if o.guard == nil {
		o.guard = &guard.Guard{}
	}
	if o.log == nil {
		o.log = slog.Default()
	}
	if !r.replica {
		// The folder has one server at a time, so what a killed one held is ours.
		o.holder = "server"
	}
	if o.before = cfg.Remind; o.before == nil {
		o.before = DefaultRemind
	}
	o.sender = notify.NewSender(o.guard, cfg.Mail)
	return o
}

// start begins to tell every target that is known.
func (o *outbox) start(working context.Context) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.working = working
	for _, k := range o.known {
		if !k.silent() {
			o.begin(k)
		}
	}
	if o.sender.Mails() {
		o.going.Go(func() { o.notices(working) })
	}
}

// grown notes that the ledger has so many entries.
func (o *outbox) grown(size int64) {
	for {
		known := o.size.Load()
		if known >= size || o.size.CompareAndSwap(known, size) {
			return
		}
	}
}

// learn is told of every entry, from the first at the start, then of each new one
// before its author is answered; in any order, and twice.
func (o *outbox) learn(entries []lineage.Entry) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range entries {
		o.grown(e.Index + 1)
		if x, ok := e.Statement.Body.(record.Target); ok {
			o.put(e.Index, x)
		}
	}
	for _, r := range o.readers {
		r.poke()
	}
}

func (r *reader) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// toldOf is a target by its newest statement.
type toldOf struct {
	target record.Target
	at     int64 // the index of that statement
	begin  int64 // what was stated before is not told
}

func (k *toldOf) silent() bool { return k.target.Disabled || k.target.Deleted }

// put takes in a statement of a target. One that begins anew is told of what is
// stated from then on.
func (o *outbox) put(index int64, x record.Target) {
	k := o.known[x.ID]
	if k == nil {
		k = &toldOf{target: record.Target{Disabled: true}, at: -1}
		o.known[x.ID] = k
	}
	if index <= k.at {
		return
	}
	if k.silent() {
		k.begin = index + 1
	}
	k.target, k.at = x, index
	r := o.readers[x.ID]
	switch {
	case o.working == nil:
	case k.silent() && r != nil:
		r.stop()
		delete(o.readers, x.ID)
	case k.silent():
	case r == nil:
		o.begin(k)
	default:
		r.mu.Lock()
		r.at, r.target = index, x
		r.mu.Unlock()
	}
}

func (o *outbox) begin(k *toldOf) {
	if o.working.Err() != nil {
		return
	}
	ctx, stop := context.WithCancel(o.working)
	r := &reader{box: o, id: k.target.ID, wake: make(chan struct{}, 1), stop: stop, target: k.target, at: k.at, begin: k.begin, acted: k.at}
	o.readers[r.id] = r
	o.going.Go(func() {
		defer stop()
		r.run(ctx)
	})
}

// refresh makes a reader look at its row again, which was changed.
func (o *outbox) refresh(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if r := o.readers[id]; r != nil {
		r.mu.Lock()
		r.fresh = true
		r.mu.Unlock()
		r.poke()
	}
}

// close waits for the attempts under way and gives the leases up.
func (o *outbox) close() {
	o.going.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	// A lease that is not given up ends by itself.
	_ = o.reg.store.Leave(ctx, o.holder)
}

func (r *reader) run(ctx context.Context) {
	for ctx.Err() == nil {
		wait, err := r.round(ctx)
		wake := r.wake
		switch {
		case err != nil && ctx.Err() == nil:
			if !errors.Is(err, store.ErrLease) {
				r.box.log.WarnContext(ctx, "a target could not be told; trying again", "target", r.id, "error", err)
			}
			r.until, wait, wake = time.Time{}, time.Second, nil
		case r.until.IsZero():
			wake = nil // another server has it
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// round delivers what there is to deliver now, and says how long to wait.
func (r *reader) round(ctx context.Context) (time.Duration, error) {
	for ctx.Err() == nil {
		due, waiting, err := r.box.reg.store.NextDelivery(ctx, r.id)
		if err != nil {
			return 0, err
		}
		wait := lookAgain
		if waiting {
			wait = min(wait, max(0, time.Until(due.Due)))
		}
		if r.idle() && wait > 0 {
			return wait, nil
		}
		mine, err := r.hold(ctx)
		if err != nil || !mine {
			return lookAgain, err
		}
		switch {
		case r.row.Rest.After(time.Now()):
			return min(lookAgain, time.Until(r.row.Rest)), nil
		case waiting && wait == 0:
			err = r.retry(ctx, due)
		default:
			err = r.tell(ctx)
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, ctx.Err()
}

// idle reports whether the reader has come to the end of the ledger and nobody
// changed anything of it.
func (r *reader) idle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.row.ID != "" && !r.fresh && r.at == r.acted && r.box.size.Load() <= r.row.Next
}

// hold has the lease, or takes it; false while another server has it.
func (r *reader) hold(ctx context.Context) (bool, error) {
	r.mu.Lock()
	fresh, at, begin := r.fresh, r.at, r.begin
	r.fresh = false
	r.mu.Unlock()
	if !fresh && at == r.acted && time.Until(r.until) > leaseFor/2 {
		return true, nil
	}
	if r.moved && !fresh {
		if err := r.settle(ctx, store.Settlement{}); err != nil && !errors.Is(err, store.ErrLease) {
			return false, err
		}
	}
	now := time.Now()
	row, mine, err := r.box.reg.store.Claim(ctx, r.id, r.box.holder, begin, now, leaseFor)
	if err != nil || !mine {
		r.until = time.Time{}
		return false, err
	}
	r.row, r.until, r.moved = row, now.Add(leaseFor), false
	r.row.Next = max(r.row.Next, begin)
	if at != r.acted {
		// Whoever changed the target wants it tried again.
		r.acted, r.row.Rest, r.row.Failures = at, time.Time{}, 0
	}
	return true, nil
}

// settle moves the row on and renews the lease.
func (r *reader) settle(ctx context.Context, d store.Settlement) error {
	until := time.Now().Add(leaseFor)
	if err := r.box.reg.store.Settle(ctx, r.row, r.box.holder, until, d); err != nil {
		return err
	}
	r.until, r.moved = until, false
	return nil
}

// tell tells of the next entries. Those that are nothing to the target move the
// row in memory, and in the store now and then.
func (r *reader) tell(ctx context.Context) error {
	entries, err := r.box.reg.store.Since(ctx, r.row.Next, tellBatch)
	if err != nil {
		return err
	}
	for _, e := range entries {
		messages, err := r.box.reg.messages(ctx, r.current(), e)
		if err != nil {
			return err
		}
		if len(messages) == 0 {
			r.row.Next, r.moved = e.Index+1, true
			continue
		}
		if err := r.deliver(ctx, e.Index, messages); err != nil || r.row.Rest.After(time.Now()) {
			return err
		}
	}
	if len(entries) == tellBatch {
		return r.settle(ctx, store.Settlement{})
	}
	return nil
}

func (r *reader) current() record.Target {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.target
}

// deliver sends the messages of one entry, and moves on. What is not taken leaves
// the order of the ledger and is tried again by itself.
func (r *reader) deliver(ctx context.Context, index int64, messages []notify.Message) error {
	var d store.Settlement
	for part, m := range messages {
		kept := store.Delivery{ID: m.ID, Entry: index, Part: part, State: store.DeliveryDue, Made: time.Now(), Due: time.Now()}
		if !r.row.Rest.After(time.Now()) {
			done, err := r.attempt(ctx, m, &kept)
			if err != nil {
				return err
			}
			if done {
				continue
			}
		}
		d.Add = append(d.Add, kept)
	}
	r.row.Next = index + 1
	return r.settle(ctx, d)
}

// retry tries a delivery again.
func (r *reader) retry(ctx context.Context, d store.Delivery) error {
	m, err := r.box.reg.messageFor(ctx, r.current(), d)
	if err != nil {
		return err
	}
	if m.ID == "" { // the target is not told of this any more
		return r.settle(ctx, store.Settlement{Gone: []string{d.ID}})
	}
	done, err := r.attempt(ctx, m, &d)
	if err != nil {
		return err
	}
	if done {
		return r.settle(ctx, store.Settlement{Gone: []string{d.ID}})
	}
	return r.settle(ctx, store.Settlement{Set: []store.Delivery{d}})
}

// attempt sends a message once and writes what became of it into the row and the
// delivery. An error means that it is not known, and nothing was counted.
func (r *reader) attempt(ctx context.Context, m notify.Message, d *store.Delivery) (done bool, err error) {
	to, err := r.box.reg.destination(ctx, r.current())
	out := notify.Outcome{Again: true, Rest: true}
	if err != nil {
		out.Fault = err.Error()
	} else {
		out = r.box.sender.Send(ctx, to, m, time.Now())
	}
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	settled(&r.row, d, out)
	return out.OK, nil
}

// messages are what a target is told of an entry.
func (reg *Registry) messages(ctx context.Context, x record.Target, e store.Entry) ([]notify.Message, error) {
	s, err := attest.DecodeStatement(e.Payload)
	if err != nil {
		return nil, nil //nolint:nilerr // an older program may not know a newer kind
	}
	if x.Form == record.FormMLflow {
		return reg.mlflowMessages(ctx, x, e.Index, s)
	}
	if !slices.Contains(record.Notable, s.Body.Kind()) {
		return nil, nil
	}
	if len(x.Events) > 0 && !slices.Contains(x.Events, record.EventOf(s.Body.Kind())) {
		return nil, nil
	}
	event := reg.outbox.place.Of(e.Index, s)
	if event.Data.Team, err = reg.teamOfEvent(ctx, event.Data.Team, s); err != nil {
		return nil, err
	}
	if x.Team != record.AllTeams && event.Data.Team != x.Team {
		return nil, nil
	}
	if len(x.Environments) > 0 && !slices.Contains(x.Environments, event.Data.Environment) {
		return nil, nil
	}
	return []notify.Message{notify.About(reg.deliveryID(x, e.Index, 0), event)}, nil
}

// teamOfEvent finds the team where the statement alone does not say.
func (reg *Registry) teamOfEvent(ctx context.Context, team string, s record.Statement) (string, error) {
	a, ok := s.Body.(record.DataApproval)
	if team != "" || !ok || a.Dataset == "" {
		return team, nil
	}
	err := reg.read(ctx, Caller{}, func(t *tx) error {
		d, _, err := lineage.Last[record.Dataset](t, record.KeyDataset(a.Dataset))
		team = d.Record.Team
		return err
	})
	return team, err
}

// messageFor builds the message of a delivery again, as the target is now.
func (reg *Registry) messageFor(ctx context.Context, x record.Target, d store.Delivery) (notify.Message, error) {
	if d.Entry < 0 {
		return messageOf(d.Message)
	}
	entries, err := reg.store.Since(ctx, d.Entry, 1)
	if err != nil || len(entries) == 0 {
		return notify.Message{}, err
	}
	all, err := reg.messages(ctx, x, entries[0])
	if err != nil || d.Part >= len(all) {
		return notify.Message{}, err
	}
	return all[d.Part], nil
}
