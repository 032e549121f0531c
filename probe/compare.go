package probe

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

// The results of a run.
const (
	Same       = "same"       // nothing speaks of a change
	Changed    = "changed"    // it is another model, or it answers otherwise
	Incomplete = "incomplete" // too little was answered to tell
	First      = "baseline"   // there was nothing to compare with
)

// Finding is what comes of comparing a run with a baseline.
type Finding struct {
	Result string `json:"result"`
	// Detail says it in a sentence.
	Detail string `json:"detail"`
	// NewNames and NewSystems are what the answers say that those of the baseline did not.
	NewNames   []string `json:"newNames,omitzero"`
	NewSystems []string `json:"newSystems,omitzero"`
	// P is the p-value of the test, at most FalseAlarm where it calls a change; Deals is from how many
	// deals.
	P          float64 `json:"p"`
	FalseAlarm float64 `json:"falseAlarm"`
	Deals      int     `json:"deals"`
	// Moved are the prompts that moved most, those for which the test holds first.
	Moved []Moved `json:"moved,omitzero"`
}

// Moved is one prompt whose answers moved.
type Moved struct {
	ID string `json:"id"`
	// P is its p-value, corrected for all prompts of the suite.
	P float64 `json:"p"`
	// Share is the share of the distance between its answers that lies between the runs.
	Share float64 `json:"share"`
	// PassedBefore of Before answers passed, and PassedNow of Now.
	PassedBefore int `json:"passedBefore"`
	Before       int `json:"before"`
	PassedNow    int `json:"passedNow"`
	Now          int `json:"now"`
}

const (
	// maxMoved is how many prompts a finding names.
	maxMoved = 20
	// enough is how often a statistic is reached by chance before dealing stops.
	enough = 20
	// dealsFor is how many deals there are at most, over the level of the test.
	dealsFor = 20
)

// Compare says whether a run is of the model that the baseline was of.
func Compare(s *Suite, base, now *Run) Finding {
	f := Finding{Result: Same, P: 1, FalseAlarm: s.FalseAlarm}
	f.NewNames = beyond(now.Names(), base.Names())
	f.NewSystems = beyond(now.Systems(), base.Systems())
	if few := now.Few(s.Repeats); few != "" && len(f.NewNames)+len(f.NewSystems) == 0 {
		f.Result, f.Detail = Incomplete, few
		return f
	}
	f.test(s, base, now)
	var why []string
	if len(f.NewNames) > 0 {
		why = append(why, fmt.Sprintf("it calls itself %s, and called itself %s", quoted(f.NewNames), quoted(base.Names())))
	}
	if len(f.NewSystems) > 0 {
		why = append(why, fmt.Sprintf("its system says the fingerprint %s, and said %s", quoted(f.NewSystems), quoted(base.Systems())))
	}
	if f.P <= f.FalseAlarm {
		why = append(why, fmt.Sprintf("its answers moved (p = %.2g, at a false-alarm rate of %g): %s", f.P, f.FalseAlarm, f.most()))
	}
	if len(why) > 0 {
		f.Result, f.Detail = Changed, strings.Join(why, "; ")
		return f
	}
	f.Moved = nil
	f.Detail = fmt.Sprintf("no change: p = %.2g, at a false-alarm rate of %g", f.P, f.FalseAlarm)
	return f
}

// most names the prompts that moved most.
func (f *Finding) most() string {
	var out []string
	for _, m := range f.Moved[:min(len(f.Moved), 3)] {
		out = append(out, fmt.Sprintf("%s passed %d of %d, and passes %d of %d", m.ID, m.PassedBefore, m.Before, m.PassedNow, m.Now))
	}
	return strings.Join(out, ", ")
}

// beyond are those of now that before has not; what never was said cannot be missed.
func beyond(now, before []string) (out []string) {
	if len(before) == 0 {
		return nil
	}
	for _, n := range now {
		if !slices.Contains(before, n) {
			out = append(out, n)
		}
	}
	return out
}

func quoted(names []string) string {
	out := make([]string, 0, 4)
	for _, n := range names[:min(len(names), 3)] {
		out = append(out, fmt.Sprintf("%q", n))
	}
	if len(names) > 3 {
		out = append(out, fmt.Sprintf("%d more", len(names)-3))
	}
	return strings.Join(out, ", ")
}

// deck are the answers of one prompt in both runs, by their distances.
type deck struct {
	before int // how many are of the baseline; they come first
	now    int
	apart  []int64 // the distance of each to each
	rows   []int64 // the distance of each to all
	sum    int64   // of all pairs
	order  []int   // scratch of dealing
	moved  Moved
	share  float64 // as it is
	beaten int     // deals in which the largest share of any prompt reached it
}

func newDeck(p *Prompt, base, now []Answer) *deck {
	d := &deck{before: len(base), now: len(now), moved: Moved{ID: p.ID, Before: len(base), Now: len(now)}}
	n := len(base) + len(now)
	all := make([]scored, 0, n)
	for i, a := range slices.Concat(base, now) {
		one := p.scored(a.Text)
		all = append(all, one)
		switch {
		case one.passed && i < len(base):
			d.moved.PassedBefore++
		case one.passed:
			d.moved.PassedNow++
		}
	}
	d.apart, d.rows, d.order = make([]int64, n*n), make([]int64, n), make([]int, n)
	for i := range n {
		d.order[i] = i
		for j := range i {
			x := p.distance(&all[i], &all[j])
			d.apart[i*n+j], d.apart[j*n+i] = x, x
			d.rows[i] += x
			d.rows[j] += x
			d.sum += x
		}
	}
	return d
}

// split says of some answers and the rest which share of the distance lies between them, from 0 to 1, and
// how much further the some are from the rest than these from each other, over whole.
func (d *deck) split(some []int) (share, excess float64) {
	n, in := len(d.rows), int64(0)
	between := int64(0)
	for k, i := range some {
		between += d.rows[i]
		row := d.apart[i*n : (i+1)*n]
		for _, j := range some[:k] {
			in += row[j]
		}
	}
	between -= 2 * in
	out := d.sum - in - between
	a, b := int64(d.before), int64(d.now)
	// The energy distance is 2E|X-Y| - E|X-X'| - E|Y-Y'|; a*a*b*b of it is a whole number.
	energy := 2*between*a*b - 2*out*b*b - 2*in*a*a
	share = float64(energy) / float64(2*d.sum*a*b)
	if a > 1 {
		excess = float64(between*(a-1)-2*out*b) / float64(a*b*(a-1))
	}
	return share, excess
}

// asItIs are the answers of the run.
func (d *deck) asItIs() []int {
	mine := make([]int, d.now)
	for k := range mine {
		mine[k] = d.before + k
	}
	return mine
}

// deal picks as many answers as the run has, at random.
func (d *deck) deal(r *rand.Rand) []int {
	for i := range d.now {
		j := i + r.IntN(len(d.order)-i)
		d.order[i], d.order[j] = d.order[j], d.order[i]
	}
	return d.order[:d.now]
}

// statistics are those of all prompts together: the sum of shares, the absolute sum of excesses, and the
// largest share.
type statistics [3]float64

// statisticsOf deals each deck and sums up.
func statisticsOf(decks []*deck, some func(*deck) []int) (out statistics) {
	for _, d := range decks {
		share, excess := d.split(some(d))
		out[0] += share
		out[1] += excess
		out[2] = max(out[2], share)
	}
	out[1] = math.Abs(out[1])
	return out
}

// decksOf are the decks of the prompts whose answers are not all the same, however they are dealt.
func decksOf(s *Suite, base, now *Run) (decks []*deck) {
	for i := range s.Prompts {
		before, after := base.Prompts[i].given(), now.Prompts[i].given()
		if len(before) == 0 || len(after) == 0 {
			continue
		}
		if d := newDeck(&s.Prompts[i], before, after); d.sum > 0 {
			d.share, _ = d.split(d.asItIs())
			decks = append(decks, d)
		}
	}
	return decks
}

// test deals the answers of each prompt anew to the two runs.
func (f *Finding) test(s *Suite, base, now *Run) {
	decks := decksOf(s, base, now)
	if len(decks) == 0 {
		return
	}
	real := statisticsOf(decks, (*deck).asItIs)
	random := rand.New(rand.NewPCG(seeds(s, base, now)))
	limit := int(math.Ceil(dealsFor / f.FalseAlarm))
	var times [len(statistics{})]int
	for f.Deals < limit && slices.Min(times[:]) < enough {
		f.Deals++
		chance := statisticsOf(decks, func(d *deck) []int { return d.deal(random) })
		for k := range times {
			times[k] += reached(chance[k], real[k])
		}
		for _, d := range decks {
			d.beaten += reached(chance[2], d.share)
		}
	}
	f.P = min(1, float64(len(times))*pValue(slices.Min(times[:]), f.Deals))
	for _, d := range decks {
		d.moved.Share, d.moved.P = d.share, pValue(d.beaten, f.Deals)
		f.Moved = append(f.Moved, d.moved)
	}
	slices.SortStableFunc(f.Moved, func(a, b Moved) int { return cmp.Or(cmp.Compare(a.P, b.P), cmp.Compare(b.Share, a.Share)) })
	f.Moved = f.Moved[:min(len(f.Moved), maxMoved)]
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
