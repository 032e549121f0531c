package store_test

import (
	"errors"
	"slices"
	"testing"

	"imprimatur.dev/store"
)

// TestRule01ANewVersionProjectsTheLogAnew updates the program under a log: the
// keys of what was stated long ago are those of the new version, a failure leaves
// the old ones, and an older program does not open it again.
func TestRule01ANewVersionProjectsTheLogAnew(t *testing.T) {
	onEach(t, func(sc *scene) {
		sc.grow(2500)
		sc.say("one", "old/one")
		sc.close()

		newer := sc.options()
		newer.Version = 2
		broken := errors.New("no such kind")
		newer.Project = func(payload []byte) ([]byte, []string, error) { return nil, nil, broken }
		if _, err := store.Open(t.Context(), sc.place.DSN, newer); !errors.Is(err, broken) {
			t.Fatalf("a log whose statements are unknown is opened: %v", err)
		}
		sc.Store = sc.place.Open(sc.options())
		sc.verified()
		sc.close()

		var told int64
		newer.Rebuilt = func(done, _ int64) { told = done }
		newer.Project = func(payload []byte) ([]byte, []string, error) {
			leaf, keys, err := project(payload)
			for i := range keys {
				keys[i] = "new/" + keys[i]
			}
			return leaf, keys, err
		}
		sc.Store = sc.place.Open(newer)
		sc.view(func(v *store.View) error {
			found, err := v.Find("new/old/one")
			if err != nil || len(found) != 1 || found[0].Index != 2500 {
				t.Errorf("found %v, %v", found, err)
			}
			lost, err := v.Find("old/one")
			if err != nil || len(lost) != 0 {
				t.Errorf("under the old key there is %v, %v", lost, err)
			}
			return err
		})
		if told != 2501 {
			t.Errorf("it told of %d entries", told)
		}
		sc.verified()
		told = 0
		sc.close()
		sc.Store = sc.place.Open(newer)
		if told != 0 {
			t.Error("it was projected twice")
		}
		sc.close()
		if _, err := store.Open(t.Context(), sc.place.DSN, sc.options()); !errors.Is(err, store.ErrNewer) {
			t.Errorf("an older program opens it: %v", err)
		}
		sc.Store = sc.place.Open(newer)
		if texts := sc.texts(); !slices.Contains(texts, "one") {
			t.Error("an entry is lost")
		}
	})
}
