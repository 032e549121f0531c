package evidence

import (
	"math"
	"strconv"
	"strings"
)

// sample reads one sample in one epoch.
func (l *inspectLog) sample() {
	d := l.d
	id, epoch, failed := "", 1, false
	type scored struct {
		scorer string
		value  float64
	}
	var scores []scored
	d.object(func(name string) bool {
		switch name {
		case "id":
			id = d.scalar()
		case "epoch":
			epoch = d.integer()
		case "error":
			failed = d.kind() != 'n'
			d.skip()
		case "invalidation":
			l.invalidated = l.invalidated || d.kind() != 'n'
			d.skip()
		case "scores":
			if d.kind() == 'n' {
				d.skip()
				return true
			}
			d.object(func(scorer string) bool {
				scores = append(scores, scored{scorer, l.value()})
				return true
			})
		default:
			d.skip()
		}
		return true
	})
	if d.err != nil {
		return
	}
	l.samples++
	i := l.s.newItem(id + "#" + strconv.Itoa(epoch))
	if l.epochs > 1 {
		l.s.cluster(i, id)
	}
	for _, x := range scores {
		v := x.value
		if failed {
			v = math.NaN()
		}
		l.s.score(i, x.scorer, v)
	}
}

// value reads a sample's score: a grade, a number or a truth value. Grades
// count as the tool's value_to_float has them. Anything else, such as a set of
// scores, is no number.
func (l *inspectLog) value() (v float64) {
	d := l.d
	v = math.NaN()
	if d.kind() != '{' {
		d.skip()
		return v
	}
	d.object(func(name string) bool {
		switch name {
		case "value":
			switch d.kind() {
			case '"':
				v = grade(d.text())
			case '0', 'n':
				v = d.number()
			case 't', 'f':
				if v = 0; d.truth() {
					v = 1
				}
			default:
				l.in.warn("scores of several values for one sample are read from the totals only")
				d.skip()
			}
		case "history":
			if d.kind() == '[' {
				d.array(func(int) {
					l.in.warn("scores were edited after the run")
					d.skip()
				})
			} else {
				d.skip()
			}
		default:
			d.skip()
		}
		return true
	})
	return v
}

func grade(s string) float64 {
	switch strings.ToLower(s) {
	case "c", "yes", "true", "1":
		return 1
	case "p":
		return 0.5
	case "i", "n", "no", "false", "0":
		return 0
	}
	if v, err := strconv.ParseFloat(s, 64); err == nil {
		return v
	}
	return math.NaN()
}
