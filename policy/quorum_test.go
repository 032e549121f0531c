package policy

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// best tries every seating.
func best(fits [][]int, taken map[int]bool) int {
	if len(fits) == 0 {
		return 0
	}
	most := best(fits[1:], taken)
	for _, p := range fits[0] {
		if !taken[p] {
			taken[p] = true
			most = max(most, 1+best(fits[1:], taken))
			delete(taken, p)
		}
	}
	return most
}

func TestMatchAgainstBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		people := rapid.IntRange(0, 6).Draw(t, "people")
		seats := rapid.IntRange(0, 6).Draw(t, "seats")
		fits := make([][]int, seats)
		for i := range fits {
			for p := range people {
				if rapid.Bool().Draw(t, "fits") {
					fits[i] = append(fits[i], p)
				}
			}
		}
		filled := match(fits, people)
		seen := map[int]bool{}
		for seat, p := range filled {
			if p < 0 {
				continue
			}
			if seen[p] || !slices.Contains(fits[seat], p) {
				t.Fatalf("seat %d is given to %d: %v", seat, p, filled)
			}
			seen[p] = true
		}
		if want := best(fits, map[int]bool{}); len(seen) != want {
			t.Fatalf("%d seats filled, %d possible: %v", len(seen), want, fits)
		}
	})
}

func TestMatchMovesPeople(t *testing.T) {
	// 0 fits both seats and is preferred for the first; 1 fits the first only.
	if got := match([][]int{{0, 1}, {0}}, 2); !slices.Equal(got, []int{1, 0}) {
		t.Errorf("%v", got)
	}
}
