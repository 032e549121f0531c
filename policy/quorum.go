package policy

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
