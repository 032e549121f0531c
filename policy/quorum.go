package policy

import "slices"

// claim is an approval that may fill a seat of an entry, by the people whose it is.
// An approval that was given for somebody else is of two: of who gave it, and of
// whose role it was given in.
type claim struct {
	entry  int
	people []int
}

// fill chooses claims so that as few seats as can be stay empty, where no person
// is of two that are chosen. Seats counts those of each entry. Claims of one person
// are a matching (see [match]); over those of two it tries every choice, for that
// has no shorter way (they make it a three-dimensional matching): first none, so
// that what people say for themselves is preferred. Few approvals are given for
// others; after tries choices it keeps the best, and a seat rather stays empty. The
// result is the indexes of the chosen claims, in the order of the seats, then those
// of two people.
func fill(seats []int, claims []claim, people int) []int {
	f := filler{left: slices.Clone(seats), claims: claims, taken: make([]bool, people), tries: 10_000}
	for i, c := range claims {
		if len(c.people) > 1 {
			f.lent = append(f.lent, i)
		}
	}
	for _, n := range seats {
		f.most += n
	}
	f.try(0)
	return f.best
}

type filler struct {
	claims []claim
	// lent are the claims of two people, and used are those of them in the choice.
	lent, used []int
	left       []int
	taken      []bool
	best       []int
	most       int
	tries      int
}

// try fills what is left by claims of one person, and then each further choice of
// the lent ones from an index on.
func (f *filler) try(from int) {
	f.tries--
	if own := f.own(); len(own)+len(f.used) > len(f.best) {
		f.best = append(own, f.used...)
	}
	for i := from; i < len(f.lent) && len(f.best) < f.most && f.tries > 0; i++ {
		c := f.claims[f.lent[i]]
		if f.left[c.entry] == 0 || slices.ContainsFunc(c.people, func(p int) bool { return f.taken[p] }) {
			continue
		}
		f.take(c, true)
		f.used = append(f.used, f.lent[i])
		f.try(i + 1)
		f.used = f.used[:len(f.used)-1]
		f.take(c, false)
	}
}

func (f *filler) take(c claim, taken bool) {
	f.left[c.entry] += map[bool]int{true: -1, false: 1}[taken]
	for _, p := range c.people {
		f.taken[p] = taken
	}
}

// own matches what is left with the claims of one person each.
func (f *filler) own() (chosen []int) {
	var fits, by [][]int
	for entry, n := range f.left {
		var able, whose []int
		for i, c := range f.claims {
			if c.entry == entry && len(c.people) == 1 && !f.taken[c.people[0]] {
				able, whose = append(able, c.people[0]), append(whose, i)
			}
		}
		for range n {
			fits, by = append(fits, able), append(by, whose)
		}
	}
	for seat, person := range match(fits, len(f.taken)) {
		if person >= 0 {
			chosen = append(chosen, by[seat][slices.Index(fits[seat], person)])
		}
	}
	return chosen
}

// match fills seats with people, one person to a seat, and leaves as few seats
// empty as can be: a maximum bipartite matching by Kuhn's algorithm. fits lists
// for each seat the people who may fill it, the preferred first. The result
// gives each seat its person, or -1. Seats are filled in their order: a seat
// that has a person is never emptied for a later one, so the same people and
// seats always give the same answer.
func match(fits [][]int, people int) []int {
	seatOf := make([]int, people)
	for i := range seatOf {
		seatOf[i] = -1
	}
	visited := make([]int, people)
	var fill func(seat, round int) bool
	fill = func(seat, round int) bool {
		for _, person := range fits[seat] {
			if visited[person] == round {
				continue
			}
			visited[person] = round
			if seatOf[person] < 0 || fill(seatOf[person], round) {
				seatOf[person] = seat
				return true
			}
		}
		return false
	}
	for seat := range fits {
		fill(seat, seat+1)
	}
	filled := make([]int, len(fits))
	for i := range filled {
		filled[i] = -1
	}
	for person, seat := range seatOf {
		if seat >= 0 {
			filled[seat] = person
		}
	}
	return filled
}
