package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"imprimatur.dev/record"
)

// approvals judges the approval entries together, for one person fills one
// seat among all of them (rule 5). The seats that people leave empty are those of
// the envelope's approvers, where it answers for the release.
func (j *judge) approvals(e *inside) []record.Gate {
	entries, words := j.tier.Approvals, j.words()
	filled := j.seat(words)
	gates := make([]record.Gate, len(entries))
	for i := range entries {
		g := j.approval(&entries[i], words[i], filled, i)
		if e != nil && g.Result == record.Missing {
			g = e.answer(g)
		}
		gates[i] = g
	}
	return gates
}

// words weighs the latest words of each entry.
func (j *judge) words() [][]*word {
	words := make([][]*word, len(j.tier.Approvals))
	for i := range j.tier.Approvals {
		s := &j.tier.Approvals[i]
		for _, a := range j.latest(s) {
			words[i] = append(words[i], j.weigh(s, a))
		}
		// The independent go first, and those that last longest, so that the
		// gate does too.
		slices.SortStableFunc(words[i], func(a, b *word) int {
			switch {
			case (a.dependent == "") != (b.dependent == ""):
				return cmp.Compare(a.dependent, b.dependent)
			case a.until.Equal(b.until):
				return cmp.Compare(a.actor(), b.actor())
			case a.until.IsZero() || (!b.until.IsZero() && a.until.After(b.until)):
				return -1
			default:
				return 1
			}
		})
	}
	return words
}

// lacking counts the seats that are empty and the words that block.
func (j *judge) lacking() (n int) {
	words := j.words()
	filled := j.seat(words)
	for i := range j.tier.Approvals {
		s := &j.tier.Approvals[i]
		n += s.Count - len(filled[i])
		for _, w := range words[i] {
			if j.blocks(s, w.ApprovalFacts) {
				n++
			}
		}
	}
	return n
}

// filling says who fills the seats of each entry.
type filling [][]*word

// seat finds the fullest seating: of independent people where that fills every
// seat, else of all whose approval counts. In a solo tier the seats that stay
// empty may then be filled by somebody who has one already.
func (j *judge) seat(words [][]*word) filling {
	out, full := j.seating(words, func(w *word) bool { return w.void == "" && w.dependent == "" })
	if full {
		return out
	}
	out, full = j.seating(words, func(w *word) bool { return w.void == "" })
	if full || !j.tier.Solo {
		return out
	}
	for i, s := range j.tier.Approvals {
		k := slices.IndexFunc(words[i], func(w *word) bool { return w.void == "" })
		for k >= 0 && len(out[i]) < s.Count {
			out[i] = append(out[i], words[i][k])
			j.dependent = true
		}
	}
	return out
}

func (j *judge) seating(words [][]*word, counts func(*word) bool) (out filling, full bool) {
	var people []string
	var claims []claim
	var of []*word
	seats := make([]int, len(words))
	for i, s := range j.tier.Approvals {
		seats[i] = s.Count
		for _, w := range words[i] {
			if !counts(w) {
				continue
			}
			c := claim{entry: i}
			for _, name := range w.people() {
				p := slices.Index(people, name)
				if p < 0 {
					people, p = append(people, name), len(people)
				}
				c.people = append(c.people, p)
			}
			claims, of = append(claims, c), append(of, w)
		}
	}
	out, full = make(filling, len(words)), true
	for _, k := range fill(seats, claims, len(people)) {
		i := claims[k].entry
		out[i] = append(out[i], of[k])
	}
	for i := range out {
		full = full && len(out[i]) == seats[i]
	}
	return out, full
}

func (j *judge) approval(s *Seats, words []*word, filled filling, entry int) record.Gate {
	who, do := roles(s.Role), doApprove(j.d, s.Role)
	for _, w := range words {
		if j.blocks(s, w.ApprovalFacts) {
			a := &w.Approval
			return refuse(record.Fail, who, do, "%s requested changes on %s of %s: %s. This blocks until %s speaks again or what %s covers changes.",
				w.by(), date(a.Time), a.Record.Of(), strings.TrimSuffix(a.Record.Reason, "."), strings.Join(w.people(), " or "), s.Role)
		}
	}
	seated := filled[entry]
	if len(seated) < s.Count {
		return refuse(record.Missing, who, do, "%s", j.empty(s, words, filled, entry))
	}
	g := record.Gate{Result: record.Pass}
	said := make([]string, len(seated))
	for i, w := range seated {
		g.Until = record.Earlier(g.Until, w.until)
		g.Evidence = append(g.Evidence, string(w.Approval.Digest))
		said[i] = fmt.Sprintf("%s approved on %s by %s", w.by(), date(w.Approval.Time), w.Approval.Record.Method)
		if w.carried != "" {
			said[i] += ", " + w.carried
		}
		if w.dependent != "" {
			said[i] += ", not independently: " + w.dependent
			j.dependent = true
		}
	}
	g.Reason = strings.Join(said, "; ") + "."
	return g
}

// empty explains the seats that stay empty.
func (j *judge) empty(s *Seats, words []*word, filled filling, entry int) string {
	lack := s.Count - len(filled[entry])
	text := fmt.Sprintf("%d of %d seats of the role %s are empty", lack, s.Count, s.Role)
	if s.Count == 1 {
		text = fmt.Sprintf("The seat of the role %s is empty", s.Role)
	}
	var why []string
	for _, w := range words {
		switch {
		case w.void != "":
			why = append(why, w.void)
		case !slices.Contains(filled[entry], w):
			why = append(why, j.elsewhere(filled, w))
		}
	}
	if len(why) == 0 {
		if len(filled[entry]) == 0 {
			return text + ": nobody has approved in this role yet."
		}
		return text + ": nobody else has approved in this role yet."
	}
	return text + ": " + strings.Join(why, "; ") + "."
}

// elsewhere says why an approval that counts fills no seat: somebody whose it is
// fills another, or nothing is open.
func (j *judge) elsewhere(filled filling, w *word) string {
	for i, seated := range filled {
		for _, other := range seated {
			for _, name := range w.people() {
				if slices.Contains(other.people(), name) {
					return fmt.Sprintf("%s already fills a seat as %s%s", name, j.tier.Approvals[i].Role, through(w, other, name))
				}
			}
		}
	}
	return w.by() + " is not needed"
}

// through says by whom else's approval somebody fills a seat, or for whom they
// would have filled another.
func through(w, other *word, name string) string {
	switch {
	case other.actor() != name:
		return ", by the approval of " + other.actor() + other.Approval.Record.Behalf()
	case w.actor() != name:
		return ", and lends " + w.actor() + " no second one"
	}
	return ""
}
