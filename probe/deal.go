package probe

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
)

const (
	// enough is how often a statistic is reached by chance before dealing stops.
	enough = 10
	// dealsFor is how many deals there are at most, over the level of one statistic.
	dealsFor = 4
)

// deck are the answers of one prompt in both runs, by their distances. Which of the two has fewer answers is dealt, the other
// has the rest.
type deck struct {
	before, now int      // how many are of the baseline, which come first, and of the run
	apart       []uint16 // the distance of each to each
	rows        []int64  // the distance of each to all
	sum         int64    // of all pairs
	// far says how much further from all each is than the mean of them, and odd of how many more it differs; in
	// millionths of what dealing makes of their sums.
	far, odd []int64
	dealt    int   // how many are dealt
	order    []int // scratch of dealing
	moved    Moved
	share    float64 // as it is
	beaten   int     // deals in which the largest share of any prompt reached it
}

func newDeck(p *Prompt, base, now []Answer) *deck {
	d := &deck{before: len(base), now: len(now), dealt: min(len(base), len(now)), moved: Moved{ID: p.ID, Before: len(base), Now: len(now)}}
	n := len(base) + len(now)
	kinds, of := p.kinds(slices.Concat(base, now))
	for i, k := range of {
		switch {
		case kinds[k].passed && i < len(base):
			d.moved.PassedBefore++
		case kinds[k].passed:
			d.moved.PassedNow++
		}
	}
	between := make([]int64, len(kinds)*len(kinds))
	for k := range kinds {
		for l := range k {
			x := p.distance(&kinds[k], &kinds[l])
			between[k*len(kinds)+l], between[l*len(kinds)+k] = x, x
			d.sum += x
		}
	}
	if d.sum == 0 {
		return d
	}
	d.apart, d.rows, d.order, d.sum = make([]uint16, n*n), make([]int64, n), make([]int, n), 0
	differs := make([]int64, n)
	for i := range n {
		d.order[i] = i
		for j := range n {
			x := between[of[i]*len(kinds)+of[j]]
			d.apart[i*n+j] = uint16(x)
			d.rows[i] += x
			if x > 0 {
				differs[i]++
			}
		}
		d.sum += d.rows[i]
	}
	d.sum /= 2
	d.far, d.odd = d.standard(d.rows), d.standard(differs)
	d.share, _, _ = d.split(d.asItIs())
	return d
}

// kinds scores each text once: many answers are the same.
func (p *Prompt) kinds(answers []Answer) (kinds []scored, of []int) {
	known, words := map[string]int{}, map[string]uint32{}
	for _, a := range answers {
		k, ok := known[a.Text]
		if !ok {
			k = len(kinds)
			known[a.Text] = k
			kinds = append(kinds, p.scored(a.Text, words))
		}
		of = append(of, k)
	}
	return kinds, of
}

// standard turns a value of each answer into what adds to a sum over those of the run, less the mean and over the standard
// deviation that the sum has when answers are dealt. It is in millionths, so that sums are exact in any order.
func (d *deck) standard(values []int64) []int64 {
	n, sum, squares := int64(len(values)), int64(0), 0.0
	for _, v := range values {
		sum += v
	}
	for _, v := range values {
		x := float64(n*v - sum)
		squares += float64(x * x)
	}
	out := make([]int64, len(values))
	if squares == 0 {
		return out
	}
	// n*sd of the sum of so many, dealt without putting back.
	sd := math.Sqrt(squares / float64(n) * float64(d.before) * float64(d.now) / float64(n-1))
	for i, v := range values {
		out[i] = int64(math.Round(1e6 * float64(n*v-sum) / sd))
	}
	return out
}

// split says of the answers that are dealt, and the rest, which share of the distance lies between them, from 0 to 1, and how
// much further those of the run are from all, and how much odder.
func (d *deck) split(some []int) (share float64, far, odd int64) {
	n, in, between := len(d.rows), int64(0), int64(0)
	for k, i := range some {
		between += d.rows[i]
		far += d.far[i]
		odd += d.odd[i]
		row := d.apart[i*n : (i+1)*n]
		for _, j := range some[:k] {
			in += int64(row[j])
		}
	}
	between -= 2 * in
	out := d.sum - in - between
	a, b := int64(n-d.dealt), int64(d.dealt)
	// The energy distance is 2E|X-Y| - E|X-X'| - E|Y-Y'|; a*a*b*b of it is a whole number.
	share = float64(2*between*a*b-2*out*b*b-2*in*a*a) / float64(2*d.sum*a*b)
	if d.dealt != d.now {
		far, odd = -far, -odd
	}
	return share, far, odd
}

// asItIs are the answers of the run that has fewer.
func (d *deck) asItIs() []int {
	first := 0
	if d.dealt == d.now {
		first = d.before
	}
	some := make([]int, d.dealt)
	for k := range some {
		some[k] = first + k
	}
	return some
}

// deal picks as many answers as the run that has fewer has, at random.
func (d *deck) deal(r *rand.Rand) []int {
	for i := range d.dealt {
		j := i + r.IntN(len(d.order)-i)
		d.order[i], d.order[j] = d.order[j], d.order[i]
	}
	return d.order[:d.dealt]
}

// statistics are those of all prompts together: the sum of the shares, the largest, and how much further, and odder, the answers of the
// run are.
type statistics struct {
	shares, largest float64
	far, odd        int64
}

// weights are the part of the level that each has, of which they make one: the largest has more, for of one prompt there are
// few answers.
var weights = [4]float64{0.2, 0.4, 0.2, 0.2}

// least is the least of the weights.
const least = 0.2

// statisticsOf deals each deck and sums up.
func statisticsOf(decks []*deck, some func(*deck) []int) (out statistics) {
	for _, d := range decks {
		share, far, odd := d.split(some(d))
		out.shares += share
		out.largest = max(out.largest, share)
		out.far += far
		out.odd += odd
	}
	return out
}

// count notes which statistics by chance are no less than the real ones.
func (s statistics) count(times *[len(weights)]int, real statistics) {
	times[0] += reached(s.shares, real.shares)
	times[1] += reached(s.largest, real.largest)
	times[2] += reached(math.Abs(float64(s.far)), math.Abs(float64(real.far)))
	times[3] += reached(math.Abs(float64(s.odd)), math.Abs(float64(real.odd)))
}

// decksOf are the decks of the prompts whose answers are not all the same, however they are dealt.
func decksOf(s *Suite, base, now *Run) (decks []*deck) {
	for i := range s.Prompts {
		before, after := base.Prompts[i].given(), now.Prompts[i].given()
		if len(before) == 0 || len(after) == 0 {
			continue
		}
		if d := newDeck(&s.Prompts[i], before, after); d.sum > 0 {
			decks = append(decks, d)
		}
	}
	return decks
}

// outcome is what one test found.
type outcome struct {
	p     float64
	deals int
	moved []Moved
}

// compare deals the answers of each prompt anew to the two runs, as often as it takes to tell at a level.
func compare(s *Suite, base, now *Run, level float64) outcome {
	out := outcome{p: 1}
	decks := decksOf(s, base, now)
	if len(decks) == 0 {
		return out
	}
	real := statisticsOf(decks, (*deck).asItIs)
	random := rand.New(rand.NewPCG(seeds(s, base, now)))
	limit := int(math.Ceil(dealsFor / least / level))
	var times [len(weights)]int
	for out.deals < limit && slices.Min(times[:]) < enough {
		out.deals++
		chance := statisticsOf(decks, func(d *deck) []int { return d.deal(random) })
		chance.count(&times, real)
		for _, d := range decks {
			d.beaten += reached(chance.largest, d.share)
		}
	}
	for k, weight := range weights {
		out.p = min(out.p, pValue(times[k], out.deals)/weight)
	}
	for _, d := range decks {
		d.moved.Share, d.moved.P = d.share, pValue(d.beaten, out.deals)
		out.moved = append(out.moved, d.moved)
	}
	slices.SortStableFunc(out.moved, func(a, b Moved) int { return cmp.Or(cmp.Compare(a.P, b.P), cmp.Compare(b.Share, a.Share)) })
	// Where some hold by themselves, the others are beside the point.
	if hold := slices.IndexFunc(out.moved, func(m Moved) bool { return m.P > holds }); hold > 0 {
		out.moved = out.moved[:hold]
	}
	out.moved = out.moved[:min(len(out.moved), maxMoved)]
	return out
}

// reached counts a statistic by chance that is no less than the real one, but for the last bits that the order of
// adding may change.
func reached(chance, real float64) int {
	if chance >= real-1e-9 {
		return 1
	}
	return 0
}

// pValue is a p-value from deals, of which the real one is one.
func pValue(reached, deals int) float64 { return float64(reached+1) / float64(deals+1) }

// seeds are made of what is compared, so that the same comparison is the same everywhere.
func seeds(s *Suite, base, now *Run) (uint64, uint64) {
	h := sha256.New()
	h.Write([]byte(s.Digest))
	for _, r := range []*Run{base, now} {
		for _, p := range r.Prompts {
			for _, a := range p.Answers {
				var n [8]byte
				binary.BigEndian.PutUint64(n[:], uint64(len(a.Text)))
				h.Write(n[:])
				h.Write([]byte(a.Text))
			}
		}
	}
	sum := h.Sum(nil)
	return binary.BigEndian.Uint64(sum), binary.BigEndian.Uint64(sum[8:])
}
