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

// fullest tries every choice of claims.
func fullest(left []int, claims []claim, taken map[int]bool) int {
	if len(claims) == 0 {
		return 0
	}
	c := claims[0]
	most := fullest(left, claims[1:], taken)
	if left[c.entry] == 0 || slices.ContainsFunc(c.people, func(p int) bool { return taken[p] }) {
		return most
	}
	left[c.entry]--
	for _, p := range c.people {
		taken[p] = true
	}
	most = max(most, 1+fullest(left, claims[1:], taken))
	left[c.entry]++
	for _, p := range c.people {
		delete(taken, p)
	}
	return most
}

// Own approvals and delegated ones together, the latter each of two people.
func TestRule05DelegationsAgainstBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		people := rapid.IntRange(2, 6).Draw(t, "people")
		seats := rapid.SliceOfN(rapid.IntRange(0, 2), 1, 4).Draw(t, "seats")
		var claims []claim
		for range rapid.IntRange(0, 10).Draw(t, "claims") {
			c := claim{rapid.IntRange(0, len(seats)-1).Draw(t, "entry"), []int{rapid.IntRange(0, people-1).Draw(t, "who")}}
			if other := rapid.IntRange(0, people-1).Draw(t, "for"); other != c.people[0] {
				c.people = append(c.people, other)
			}
			claims = append(claims, c)
		}
		chosen := fill(seats, claims, people)
		left, taken := slices.Clone(seats), map[int]bool{}
		for _, k := range chosen {
			if left[claims[k].entry]--; left[claims[k].entry] < 0 {
				t.Fatalf("%v has more than the seats %v: %v", chosen, seats, claims)
			}
			for _, p := range claims[k].people {
				if taken[p] {
					t.Fatalf("%v seats the person %d twice: %v", chosen, p, claims)
				}
				taken[p] = true
			}
		}
		if want := fullest(slices.Clone(seats), claims, map[int]bool{}); len(chosen) != want {
			t.Fatalf("%d seats filled, %d possible: %v of %v", len(chosen), want, claims, seats)
		}
	})
}

func TestMatchMovesPeople(t *testing.T) {
	// 0 fits both seats and is preferred for the first; 1 fits the first only.
	if got := match([][]int{{0, 1}, {0}}, 2); !slices.Equal(got, []int{1, 0}) {
		t.Errorf("%v", got)
	}
}
