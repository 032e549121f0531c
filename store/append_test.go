package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/store"
	"imprimatur.dev/store/storetest"
)

func TestBadDrafts(t *testing.T) {
	onEach(t, func(sc *scene) {
		good := sc.draft("good", "k")
		signed := func(payload []byte) store.Draft { return store.Draft{Payload: payload, Signature: []byte("s")} }
		projected := func(leaf []byte, keys ...string) store.Draft {
			return store.Draft{Payload: []byte("p"), Signature: []byte("s"), Leaf: leaf, Keys: keys}
		}
		for _, c := range []struct {
			name string
			bad  store.Draft
			says string
		}{
			{"no payload", signed(nil), "payload of 1 to"},
			{"too large a payload", signed(make([]byte, 16<<20+1)), "payload of 1 to 16777216 bytes"},
			{"no signature", store.Draft{Payload: good.Payload}, "a signature"},
			{"not a statement", signed([]byte("{")), "cannot be logged"},
			{"too large a leaf, projected", signed(payloadOf(strings.Repeat("x", 65535))), "at most 65535"},
			{"too large a leaf, given", projected(make([]byte, 65536), "k"), "65536 bytes, at most 65535"},
			{"an empty key", signed(payloadOf("text", "")), `key ""`},
			{"too long a key", signed(payloadOf("text", strings.Repeat("k", 1025))), "1024"},
			{"a key that is not UTF-8", projected([]byte("leaf"), "k\xff"), "UTF-8"},
			{"a key with NUL", signed(payloadOf("text", "k\x00")), "U+0000"},
			{"a key with the end of prefixes", signed(payloadOf("text", "k\U0010FFFF")), "U+10FFFF"},
		} {
			// In the middle of good ones, which must not be added alone.
			_, err := sc.Append(sc.t.Context(), store.ReadSet{}, good, c.bad, good)
			if !errors.Is(err, store.ErrDraft) || !strings.Contains(err.Error(), c.says) {
				sc.t.Errorf("%s: %v; want ErrDraft that says %q", c.name, err, c.says)
			}
		}
		if _, err := sc.Append(sc.t.Context(), store.ReadSet{}, slices.Repeat([]store.Draft{good}, 4097)...); !errors.Is(err, store.ErrDraft) {
			sc.t.Errorf("4097 drafts at once: %v, want ErrDraft", err)
		}
		if got := sc.texts(); len(got) != 0 {
			sc.t.Errorf("the log has %q", got)
		}
		sc.say("the largest key", strings.Repeat("k", 1024))
		sc.verified()
	})
}

// hold opens the log anew with a committer that stops after its first
// transaction until release is called. told is what AfterCommit was told; it
// may be read after release and the appends.
func (sc *scene) hold() (release func(), told *[][]store.Committed) {
	sc.t.Helper()
	sc.close()
	held, released := make(chan struct{}), make(chan struct{})
	told = new([][]store.Committed)
	options := sc.options()
	options.AfterCommit = func(committed []store.Committed) {
		if *told = append(*told, committed); len(*told) == 1 {
			close(held)
			<-released
		}
	}
	sc.Store = sc.place.Open(options)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if _, err := sc.Append(background, store.ReadSet{}, sc.draft("holds the committer up", "held")); err != nil {
			sc.t.Error(err)
		}
	}()
	<-held
	return func() { close(released); <-ended }, told
}

// TestConflictWithinBatch makes decisions that rest on the same thing wait
// together, so that one transaction takes them all.
func TestConflictWithinBatch(t *testing.T) {
	const deciders = 20
	onEach(t, func(sc *scene) {
		release, told := sc.hold()
		read := sc.view(find("seat"))
		var wg sync.WaitGroup
		errs := make([]error, deciders)
		for i := range deciders {
			wg.Go(func() { _, errs[i] = sc.Append(sc.t.Context(), read, sc.draft("takes the seat", "seat")) })
		}
		store.AwaitWaiting(sc.Store, deciders)
		release()
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if !errors.Is(err, store.ErrConflict) {
				sc.t.Errorf("losing: %v, want ErrConflict", err)
			}
		}
		if won != 1 || sc.size() != 2 || len(*told) != 2 {
			sc.t.Errorf("%d took the seat, %d entries in %d transactions; want 1, 2 and 2", won, sc.size(), len(*told))
		}
	})
}

// TestGroups has a thousand wait, who go into one transaction.
func TestGroups(t *testing.T) {
	const appenders = 1000
	onEach(t, func(sc *scene) {
		release, told := sc.hold()
		var wg sync.WaitGroup
		indices := make([]int64, appenders)
		for i := range appenders {
			d := sc.draft(fmt.Sprint(i), "z", "a", "z", fmt.Sprint("key ", i))
			wg.Go(func() {
				idx, err := sc.Append(sc.t.Context(), store.ReadSet{}, d)
				if err != nil {
					sc.t.Error(err)
					return
				}
				indices[i] = idx[0]
			})
		}
		store.AwaitWaiting(sc.Store, appenders)
		release()
		wg.Wait()
		texts, want := sc.texts(), make([]store.Committed, appenders)
		for i, idx := range indices {
			if texts[idx] != fmt.Sprint(i) {
				sc.t.Fatalf("appender %d was told that it wrote entry %d, which is %q", i, idx, texts[idx])
			}
			payload := fmt.Appendf(nil, `{"text":"%d","keys":["z","a","z","key %d"]}`, i, i)
			want[idx-1] = store.Committed{Index: idx, Keys: []string{"a", fmt.Sprint("key ", i), "z"}, Payload: payload}
		}
		if len(*told) != 2 {
			sc.t.Fatalf("%d appends took %d transactions, want 2", appenders+1, len(*told))
		}
		if diff := cmp.Diff(want, (*told)[1]); diff != "" {
			sc.t.Errorf("AfterCommit was told (-want +got):\n%s", diff)
		}
		sc.verified()
	})
}

func TestCancelledWhileWaiting(t *testing.T) {
	onEach(t, func(sc *scene) {
		release, _ := sc.hold()
		ctx, cancel := context.WithCancel(sc.t.Context())
		gone := make(chan error)
		go func() {
			_, err := sc.Append(ctx, store.ReadSet{}, sc.draft("withdrawn", "k"))
			gone <- err
		}()
		store.AwaitWaiting(sc.Store, 1)
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			sc.t.Errorf("appending: %v, want context.Canceled", err)
		}
		release()
		sc.say("afterwards", "k")
		if got, want := sc.texts(), []string{"holds the committer up", "afterwards"}; !slices.Equal(got, want) {
			sc.t.Errorf("the log has %q, want %q", got, want)
		}
	})
}

// TestCloseAnswersThoseWhoWait closes the log with appends in the queue.
func TestCloseAnswersThoseWhoWait(t *testing.T) {
	onEach(t, func(sc *scene) {
		release, _ := sc.hold()
		waiting := make(chan error)
		go func() {
			_, err := sc.Append(background, store.ReadSet{}, sc.draft("in time"))
			waiting <- err
		}()
		store.AwaitWaiting(sc.Store, 1)
		closed := make(chan error)
		go func() { closed <- sc.Close() }()
		release()
		if err := errors.Join(<-waiting, <-closed); err != nil {
			sc.t.Error(err)
		}
		if _, err := sc.Append(background, store.ReadSet{}, sc.draft("too late")); !errors.Is(err, store.ErrClosed) {
			sc.t.Errorf("appending to a closed log: %v, want ErrClosed", err)
		}
		if err := sc.View(background, func(*store.View) error { return nil }); err == nil {
			sc.t.Error("a closed log can be read")
		}
		sc.Store = sc.place.Open(sc.options())
		if got, want := sc.texts(), []string{"holds the committer up", "in time"}; !slices.Equal(got, want) {
			sc.t.Errorf("the log has %q, want %q", got, want)
		}
	})
}

// TestConcurrentAppenders has many append several entries at a time.
func TestConcurrentAppenders(t *testing.T) {
	onEach(t, func(sc *scene) {
		replicas := []*store.Store{sc.Store}
		if sc.place.Engine == "postgres" {
			replicas = append(replicas, sc.place.Open(sc.options()), sc.place.Open(sc.options()))
		}
		const appenders, times = 8, 15
		var wg sync.WaitGroup
		for a := range appenders {
			s := replicas[a%len(replicas)]
			wg.Go(func() {
				for n := range times {
					name := fmt.Sprint(a, " ", n)
					indices, err := s.Append(background, store.ReadSet{}, sc.draft(name+" a", name), sc.draft(name+" b", name))
					if err != nil || len(indices) != 2 || indices[1] != indices[0]+1 {
						sc.t.Errorf("appending: %v, %v", indices, err)
						return
					}
				}
			})
		}
		wg.Wait()
		texts := sc.texts()
		if len(texts) != 2*appenders*times {
			sc.t.Fatalf("the log has %d entries, want %d", len(texts), 2*appenders*times)
		}
		for i := 0; i < len(texts); i += 2 {
			name := strings.TrimSuffix(texts[i], " a")
			if texts[i+1] != name+" b" {
				sc.t.Fatalf("%q is followed by %q", texts[i], texts[i+1])
			}
			sc.view(func(v *store.View) error {
				entries, err := v.Find(name)
				if len(entries) != 2 || entries[0].Index != int64(i) {
					sc.t.Errorf("under %q are %d entries", name, len(entries))
				}
				return err
			})
		}
		for i, s := range replicas {
			if _, err := s.Verify(background, sc.check()); err != nil {
				sc.t.Errorf("replica %d: %v", i, err)
			}
			got, err := s.Since(background, 0, 1000)
			if diff := cmp.Diff(texts, textsOf(sc.t, got)); diff != "" || err != nil {
				sc.t.Errorf("replica %d has another log (%v):\n%s", i, err, diff)
			}
		}
	})
}

// TestCounting counts upwards from many goroutines, and on PostgreSQL from two
// replicas: a lost update, or a phantom at the first count, would count twice.
func TestCounting(t *testing.T) {
	onEach(t, func(sc *scene) {
		stores := []*store.Store{sc.Store, sc.Store}
		if sc.place.Engine == "postgres" {
			stores[1] = sc.place.Open(sc.options())
		}
		const counters, each = 6, 10
		var wg sync.WaitGroup
		for c := range counters {
			wg.Go(func() {
				for range each {
					if err := sc.count(stores[c%2]); err != nil {
						sc.t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		var want []string
		for i := range counters * each {
			want = append(want, strconv.Itoa(i+1))
		}
		if diff := cmp.Diff(want, sc.texts()); diff != "" {
			sc.t.Errorf("counted (-want +got):\n%s", diff)
		}
	})
}

// count adds one to the last count, as often as somebody else was faster.
func (sc *scene) count(s *store.Store) error {
	for {
		next, read := 1, store.ReadSet{}
		err := s.View(background, func(v *store.View) error {
			last, found, err := v.Last("count")
			read = v.ReadSet()
			if !found || err != nil {
				return err
			}
			n, err := strconv.Atoi(textsOf(sc.t, []store.Entry{last})[0])
			next = n + 1
			return err
		})
		if err != nil {
			return err
		}
		_, err = s.Append(background, read, sc.draft(strconv.Itoa(next), "count"))
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

// TestReplicaFollows appends in turns: each replica must take up the other's
// tree, and know the other's keys.
func TestReplicaFollows(t *testing.T) {
	place := storetest.Postgres(t)
	a := newScene(t, place)
	b := &scene{t: t, place: place, key: a.key, Store: place.Open(a.options())}
	for i := range 300 {
		from, to := a, b
		if i%2 == 1 {
			from, to = b, a
		}
		read := to.view(find("turn"))
		if idx := from.say(fmt.Sprint(i), "turn"); idx != int64(i) {
			t.Fatalf("turn %d wrote entry %d", i, idx)
		}
		if _, err := to.Append(t.Context(), read, to.draft("overtaken", "turn")); !errors.Is(err, store.ErrConflict) {
			t.Fatalf("turn %d: %v, want ErrConflict", i, err)
		}
	}
	if report := b.verified(); report.Entries != 300 {
		t.Errorf("verified %+v, want 300 entries", report)
	}
}

// TestReplicasStartTogether has them make the log at the same time.
func TestReplicasStartTogether(t *testing.T) {
	place := storetest.Postgres(t)
	scenes := make([]*scene, 3)
	var wg sync.WaitGroup
	first := &scene{t: t, place: place, key: logKey(t)}
	for i := range scenes {
		wg.Go(func() {
			s, err := store.Open(background, place.DSN, first.options())
			if err != nil {
				t.Error(err)
				return
			}
			scenes[i] = &scene{t: t, place: place, key: first.key, Store: s}
		})
	}
	wg.Wait()
	for i, sc := range scenes {
		if sc == nil {
			t.Fatal("not all replicas started")
		}
		defer sc.close()
		if idx := sc.say("hello"); idx != int64(i) {
			t.Errorf("replica %d wrote entry %d", i, idx)
		}
	}
	scenes[0].verified()
}

// TestLostConnection has the server end every connection, as a restart does.
// Appends may fail over it, one for each connection in the pool at most, but
// they say so, leave nothing behind, and then connect anew.
func TestLostConnection(t *testing.T) {
	sc := newScene(t, storetest.Postgres(t))
	sc.grow(3)
	for range 3 {
		before := sc.texts()
		sc.tamper("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
		failures := 0
		for ; failures < 5; failures++ {
			_, err := sc.Append(t.Context(), store.ReadSet{}, sc.draft("connected anew"))
			if err == nil {
				break
			}
			if errors.Is(err, store.ErrUnknown) || !strings.Contains(err.Error(), "writing to the log") {
				t.Errorf("appending over a dead connection: %v", err)
			}
		}
		if failures == 0 || failures == 5 {
			t.Errorf("%d appends failed", failures)
		}
		if diff := cmp.Diff(append(before, "connected anew"), sc.texts()); diff != "" {
			t.Errorf("the log (-want +got):\n%s", diff)
		}
	}
	sc.verified()
}
