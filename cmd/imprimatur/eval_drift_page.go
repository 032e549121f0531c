package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"imprimatur.dev/drift"
	"imprimatur.dev/evidence"
	"imprimatur.dev/record"
	stat "imprimatur.dev/statistics"
)

// draw shows a replay with the numbers that the importer read of it.
func (c *evalDriftCmd) draw(p *page, f *evidence.DriftSensitivity, e *record.Evaluation) {
	p.field("reference", "%s, %s, %s", c.Reference, count(f.Reference.Rows, "row"), f.Reference.Digest)
	p.field("held back", "%s, %s, %s", c.Heldback, count(f.HeldBack.Rows, "row"), f.HeldBack.Digest)
	p.field("baseline", "%s, %s", f.BaselineDigest, features(f.Baseline))
	s := f.Settings
	p.field("monitor", "breaches at a corrected p-value of at most %s (%s), and a PSI above %s or a change of %s of missing, %s of unseen, %s of out-of-range values",
		number(s.Alpha), s.Correction, number(s.PSILimit), percent(s.MissingLimit), percent(s.UnseenLimit), percent(s.OutsideLimit))
	p.field("replay", "%s of %s%s, seed %s", count(f.Replay.Repeats, "window"), count(f.Replay.Window, "row"), map[bool]string{true: " that share none", false: ", overlapping"}[f.Disjoint], f.Replay.Seed)
	p.line("")
	rows := [][]cell{heading("  SHIFT", "SEEN IN", "RATE", "95 % INTERVAL")}
	add := func(name, label string, slice map[string]string) {
		i := slices.IndexFunc(e.Metrics, func(m record.Metric) bool { return m.Name == label && maps.Equal(m.Slice, slice) })
		if i >= 0 {
			rows = append(rows, append(texts("  "+name), rateCells(e.Metrics[i])...))
		}
	}
	add("none: false alarms", "false_alarm_rate", nil)
	for _, d := range f.Detections {
		add(describeShift(d.Shift), "detection_rate", map[string]string{"shift": evidence.NameOfShift(d.Shift)})
	}
	add("all of these", "detection_rate", nil)
	p.table(rows)
	p.line("")
	for _, w := range e.Import.Warnings {
		p.styled(warn, "! %s", w)
	}
	switch {
	case e.Incomplete != "":
		p.styled(bad, "! this cannot count: %s", e.Incomplete)
	case c.Out == "":
		p.styled(quiet, "--out FILE writes the evidence, and imprimatur eval record records it")
	default:
		p.line("written to %s; imprimatur eval record records it", c.Out)
	}
}

func rateCells(m record.Metric) []cell {
	i := stat.Wilson(*m.Successes, m.N, 0.95)
	if u := m.Computed; u != nil {
		i = stat.Interval{Lower: *u.Lower95, Upper: *u.Upper95}
	}
	return texts(fmt.Sprintf("%d of %d", *m.Successes, m.N), percent(m.Value), percent(i.Lower)+" to "+percent(i.Upper))
}

func features(b drift.Baseline) string {
	kinds := map[drift.Kind]int{}
	for _, f := range b.Features {
		kinds[f.Kind]++
	}
	return fmt.Sprintf("%s: %d numeric, %d categorical", count(len(b.Features), "feature"), kinds[drift.Numeric], kinds[drift.Categorical])
}

// describeShift says a shift in words.
func describeShift(x drift.Shift) string {
	size := strconv.FormatFloat(x.Size, 'g', -1, 64)
	signed := size
	if x.Size >= 0 {
		signed = "+" + size
	}
	switch x.Kind {
	case drift.ShiftMean:
		return x.Feature + ": " + signed + " standard deviations"
	case drift.ShiftScale:
		return x.Feature + ": spread × " + size
	case drift.ShiftBias:
		return x.Feature + ": " + signed + " in its own unit"
	case drift.ShiftMissing:
		return x.Feature + ": " + percent(x.Size) + " missing"
	}
	text := fmt.Sprintf("%s: %s and %s exchanged", x.Feature, x.From, x.To)
	if x.Size != 1 {
		text += " in " + percent(x.Size) + " of rows"
	}
	return text
}

// percent writes a part of 1 with at most one decimal, and never as 0 or 100
// what is not.
func percent(v float64) string {
	text := strconv.FormatFloat(100*v, 'f', 1, 64)
	switch {
	case text == "0.0" && v > 0:
		return "< 0.1 %"
	case text == "100.0" && v < 1:
		return "> 99.9 %"
	}
	f, _ := strconv.ParseFloat(text, 64)
	return strconv.FormatFloat(f, 'f', -1, 64) + " %"
}
