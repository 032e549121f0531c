package store_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"imprimatur.dev/store"
)

var noon = time.UnixMilli(1_800_000_000_000).UTC()

func TestOneHolderAtATimeServesAReader(t *testing.T) {
	onEach(t, func(sc *scene) {
		ctx := t.Context()
		claim := func(holder string, now time.Time, want bool) store.Reader {
			t.Helper()
			r, ok, err := sc.Claim(ctx, "t-1", holder, 7, now, time.Minute)
			if err != nil || ok != want {
				t.Fatalf("%s claimed it: %v, want %v, %v", holder, ok, want, err)
			}
			return r
		}
		r := claim("a", noon, true)
		if r.Next != 7 || !r.Rest.IsZero() || r.Sent != 0 {
			t.Fatalf("a new reader is %+v", r)
		}
		claim("b", noon.Add(time.Minute-time.Millisecond), false)
		claim("a", noon.Add(time.Second), true)
		r.Next, r.Sent, r.Last, r.Rest, r.Failures, r.Fault = 9, 2, noon, noon.Add(time.Second), 1, "down"
		if err := sc.Settle(ctx, r, "a", noon.Add(time.Minute), store.Settlement{}); err != nil {
			t.Fatal(err)
		}
		if got := claim("b", noon.Add(time.Minute), true); got != r {
			t.Fatalf("b goes on with %+v, a left %+v", got, r)
		}
		// What a does from now on does not count.
		r.Next = 100
		if err := sc.Settle(ctx, r, "a", noon.Add(time.Hour), store.Settlement{Add: []store.Delivery{{ID: "x", State: store.DeliveryDue}}}); !errors.Is(err, store.ErrLease) {
			t.Fatalf("a moved it: %v", err)
		}
		if _, ok, err := sc.NextDelivery(ctx, "t-1"); ok || err != nil {
			t.Fatalf("what lost its lease was kept: %v", err)
		}
		if err := sc.Leave(ctx, "b"); err != nil {
			t.Fatal(err)
		}
		claim("c", noon.Add(time.Minute), true)
		if err := sc.DropReader(ctx, "t-1"); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := sc.ReaderOf(ctx, "t-1"); ok || err != nil {
			t.Fatalf("it was dropped and is there, %v", err)
		}
	})
}

func TestOfManyWhoClaimOneGetsIt(t *testing.T) {
	onEach(t, func(sc *scene) {
		var got atomic.Int32
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				_, ok, err := sc.Claim(t.Context(), "t", fmt.Sprint(i), 0, noon, time.Minute)
				if err != nil {
					t.Error(err)
				} else if ok {
					got.Add(1)
				}
			})
		}
		all.Wait()
		if got.Load() != 1 {
			t.Errorf("%d hold it", got.Load())
		}
	})
}

func TestDeliveriesAreKeptUntilTheyAreMade(t *testing.T) {
	onEach(t, func(sc *scene) {
		ctx := t.Context()
		r, _, err := sc.Claim(ctx, "t", "a", 0, noon, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		settle := func(d store.Settlement) {
			t.Helper()
			if err := sc.Settle(ctx, r, "a", noon.Add(time.Minute), d); err != nil {
				t.Fatal(err)
			}
		}
		next := func(want string) store.Delivery {
			t.Helper()
			d, ok, err := sc.NextDelivery(ctx, "t")
			if err != nil || ok != (want != "") || d.ID != want {
				t.Fatalf("next is %q, want %q, %v", d.ID, want, err)
			}
			return d
		}
		first := store.Delivery{ID: "m-1", Reader: "t", Entry: 3, Part: 1, Message: []byte{}, State: store.DeliveryDue, Attempts: 1, Due: noon.Add(time.Hour), Fault: "503", Made: noon}
		second := store.Delivery{ID: "m-2", Reader: "t", Entry: -1, Message: []byte("hello"), State: store.DeliveryDue, Due: noon, Made: noon.Add(time.Second)}
		settle(store.Settlement{Add: []store.Delivery{first, second}})
		settle(store.Settlement{Add: []store.Delivery{{ID: "m-2", Reader: "t", Message: []byte("other"), State: store.DeliveryDue}}})
		if d := next("m-2"); string(d.Message) != "hello" || d.Entry != -1 {
			t.Errorf("added twice it is %+v", d)
		}
		second.State, second.Due = store.DeliverySent, noon.Add(time.Hour)
		settle(store.Settlement{Set: []store.Delivery{second}})
		if d := next("m-1"); !d.Due.Equal(first.Due) || d.Attempts != 1 || d.Fault != "503" || d.Entry != 3 || d.Part != 1 {
			t.Errorf("it was kept as %+v", d)
		}
		first.State, first.Attempts = store.DeliveryDead, 10
		settle(store.Settlement{Set: []store.Delivery{first}})
		next("")
		if all, err := sc.Deliveries(ctx, "t", 10); err != nil || len(all) != 1 || all[0].State != store.DeliveryDead {
			t.Errorf("listed %+v, %v", all, err)
		}
		if n, err := sc.Replay(ctx, "t", "m-2", noon); n != 0 || err != nil {
			t.Errorf("replayed what was sent: %d, %v", n, err)
		}
		if n, err := sc.Replay(ctx, "t", "", noon); n != 1 || err != nil {
			t.Errorf("replayed %d, %v", n, err)
		}
		if d := next("m-1"); d.Attempts != 0 || !d.Due.Equal(noon) {
			t.Errorf("replayed as %+v", d)
		}
		settle(store.Settlement{Gone: []string{"m-1"}})
		next("")
		if err := sc.ForgetSent(ctx, "t", noon.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		settle(store.Settlement{Add: []store.Delivery{{ID: "m-2", Message: []byte("again"), State: store.DeliveryDue, Due: noon}}})
		next("m-2")
	})
}
