package store_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"imprimatur.dev/store"
)

// TestFoldCountsOnce adds to counters from many goroutines at once, each addition
// twice, and a failing one in between.
func TestFoldCountsOnce(t *testing.T) {
	onEach(t, func(sc *scene) {
		ctx, now := t.Context(), time.UnixMilli(1_800_000_000_000).UTC()
		var firsts atomic.Int64
		add := func(batch string, fails error) (string, bool, error) {
			places := []store.Aside{{Space: "window", ID: "a"}, {Space: "window", ID: "b"}}
			value, first, err := sc.Fold(ctx, store.Aside{Space: "batch", ID: batch}, places, func(mark *store.Aside, places []store.Aside) error {
				for i := range places {
					var n uint64
					if v := places[i].Value; v != nil {
						n = binary.BigEndian.Uint64(v)
					}
					places[i].Value, places[i].Owner = binary.BigEndian.AppendUint64(nil, n+uint64(i)+1), "open"
				}
				mark.Value, mark.Expires = []byte("answer to "+batch), now.Add(time.Hour)
				return fails
			})
			return string(value), first, err
		}
		broken := errors.New("broken")
		if _, _, err := add("batch-0", broken); !errors.Is(err, broken) {
			t.Fatalf("a change that fails: %v", err)
		}
		var all sync.WaitGroup
		for worker := range 8 {
			all.Go(func() {
				for i := range 10 {
					batch := fmt.Sprintf("batch-%d", (worker/2)*10+i) // two workers send each
					value, first, err := add(batch, nil)
					if err != nil || value != "answer to "+batch {
						t.Errorf("%s: %q, %v", batch, value, err)
					}
					if first {
						firsts.Add(1)
					}
				}
			})
		}
		all.Wait()
		for i, id := range []string{"a", "b"} {
			a, ok, err := sc.Recall(ctx, "window", id, now)
			if err != nil || !ok || binary.BigEndian.Uint64(a.Value) != uint64(40*(i+1)) {
				t.Errorf("window %s: %v of 40 batches, %v", id, a.Value, err)
			}
		}
		if firsts.Load() != 40 {
			t.Errorf("%d additions were the first of 40", firsts.Load())
		}
		if ids, err := sc.IDs(ctx, "window", "open", now); err != nil || fmt.Sprint(ids) != "[a b]" {
			t.Errorf("open: %v, %v", ids, err)
		}
	})
}
