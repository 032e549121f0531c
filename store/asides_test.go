package store_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"imprimatur.dev/store"
)

func TestAsides(t *testing.T) {
	onEach(t, func(sc *scene) {
		ctx, now := t.Context(), time.UnixMilli(1_800_000_000_000).UTC()
		keep := func(id, owner string, expires time.Time) store.Aside {
			t.Helper()
			a := store.Aside{Space: "session", ID: id, Owner: owner, Value: []byte("value of " + id), Expires: expires}
			if err := sc.Keep(ctx, a, now); err != nil {
				t.Fatal(err)
			}
			return a
		}
		stands := func(id string, at time.Time, want bool) {
			t.Helper()
			a, ok, err := sc.Recall(ctx, "session", id, at)
			if err != nil || ok != want || ok && string(a.Value) != "value of "+id {
				t.Fatalf("%s stands: %v, want %v (%+v, %v)", id, ok, want, a, err)
			}
		}
		one := keep("one", "ann", now.Add(time.Hour))
		keep("two", "ann", time.Time{})
		keep("three", "bob", now.Add(time.Hour))
		stands("one", now.Add(time.Hour-time.Millisecond), true)
		stands("one", now.Add(time.Hour), false)
		stands("two", now.AddDate(1000, 0, 0), true)
		if owned, err := sc.Owned(ctx, "session", "ann", now); err != nil || len(owned) != 2 || !owned[0].Expires.Equal(one.Expires) || !owned[1].Expires.IsZero() {
			t.Fatalf("ann has %+v, %v", owned, err)
		}
		if err := sc.Forget(ctx, "session", "ann"); err != nil {
			t.Fatal(err)
		}
		stands("one", now, false)
		stands("three", now, true)
		one.Expires = now.Add(2 * time.Hour)
		if err := sc.Renew(ctx, one, now); err != nil {
			t.Fatal(err)
		}
		stands("one", now, false) // what was forgotten is not renewed
		if sc.size() != 0 {
			t.Fatal("an aside is in the log")
		}
	})
}

func TestAnAsideIsTakenOnce(t *testing.T) {
	onEach(t, func(sc *scene) {
		ctx, now := t.Context(), time.UnixMilli(1_800_000_000_000).UTC()
		a := store.Aside{Space: "link", ID: "x", Owner: "ann", Value: []byte{1}, Expires: now.Add(time.Minute)}
		if err := sc.Keep(ctx, a, now); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := sc.Take(ctx, "link", "x", now.Add(time.Minute)); ok || err != nil {
			t.Fatalf("an expired one was taken: %v, %v", ok, err)
		}
		var taken atomic.Int32
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				if _, ok, err := sc.Take(ctx, "link", "x", now); err != nil {
					t.Error(err)
				} else if ok {
					taken.Add(1)
				}
			})
		}
		all.Wait()
		if taken.Load() != 1 {
			t.Errorf("it was taken %d times", taken.Load())
		}
	})
}
