package policy

import (
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"imprimatur.dev/record"
)

// The budget of an envelope is held against a count by hand over random histories:
// uses of it and of others, promotions without one, and a release that used it or not.
func TestUsesAreCountedAsByHand(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mine, other := record.DigestOf([]byte("mine")), record.DigestOf([]byte("other"))
		f := &record.EnvelopeFacts{Envelope: record.Recorded[record.Envelope]{Digest: mine, Record: record.Envelope{
			Name: "nightly", Releases: rapid.IntRange(1, 6).Draw(t, "releases"), Weekly: rapid.IntRange(1, 4).Draw(t, "weekly"),
		}}}
		at := noon
		var history []record.Event
		for i := range rapid.IntRange(0, 12).Draw(t, "events") {
			at = at.Add(time.Duration(rapid.IntRange(1, 5*24).Draw(t, "hours")) * time.Hour)
			p := &record.Promotion{Release: fmt.Sprintf("r-%012d", i)}
			switch rapid.IntRange(0, 2).Draw(t, "by") {
			case 0:
				p.Envelope = &record.EnvelopeUse{Envelope: mine}
			case 1:
				p.Envelope = &record.EnvelopeUse{Envelope: other}
			}
			history = append(history, record.Event{Time: at, Index: int64(i), Promotion: p})
		}
		judged := fmt.Sprintf("r-%012d", rapid.IntRange(0, 14).Draw(t, "judged"))
		now := noon.Add(time.Duration(rapid.IntRange(0, 70*24).Draw(t, "now")) * time.Hour)

		all, week, moment := 0, 0, now
		for _, e := range history { // when it was used, if it was by now
			if p := e.Promotion; p.Release == judged && p.Envelope != nil && p.Envelope.Envelope == mine && !e.Time.After(now) {
				moment = e.Time
			}
		}
		for _, e := range history {
			if p := e.Promotion; p.Release == judged || p.Envelope == nil || p.Envelope.Envelope != mine || e.Time.After(moment) {
				continue
			}
			all++
			if e.Time.After(moment.Add(-7 * 24 * time.Hour)) {
				week++
			}
		}
		j := &judge{d: &record.Dossier{ID: judged, History: history, Envelope: f}, at: now}
		b := j.inside(f)
		b.budget()
		want := map[string]bool{"envelope/releases": all < f.Envelope.Record.Releases, "envelope/week": week < f.Envelope.Record.Weekly}
		for _, g := range j.gates {
			if passes, ok := want[g.Name]; !ok || passes != (g.Result == record.Pass) {
				t.Fatalf("%s at %s: %s is %s (%s); by hand %d used it, %d within the week", judged, now, g.Name, g.Result, g.Reason, all, week)
			}
			delete(want, g.Name)
		}
		if len(want) > 0 {
			t.Fatalf("no gate for %v", want)
		}
	})
}

// A parameter is inside of a range where its number is, however it is spelled, and
// what is no number is outside.
func TestParametersAreInsideAsByHand(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		least := rapid.Float64Range(-1e6, 1e6).Draw(t, "least")
		most := least + rapid.Float64Range(0, 1e6).Draw(t, "wide")
		v := rapid.Float64Range(-2e6, 2e6).Draw(t, "value")
		p := record.ParameterBound{Least: &least, Most: &most}
		for _, format := range []byte{'g', 'e', 'f'} {
			if got, want := within(p, strconv.FormatFloat(v, format, -1, 64)), !(v < least || v > most); got != want {
				t.Fatalf("%v within %v to %v: %v", v, least, most, got)
			}
		}
		wider := record.ParameterBound{Least: new(least - 1), Most: new(most + 1)}
		if s := fmt.Sprint(v); within(p, s) && !within(wider, s) {
			t.Fatalf("%s is within %v to %v, and not within what is wider", s, least, most)
		}
	})
	inf := math.Inf(1)
	p := record.ParameterBound{Least: new(-inf), Most: &inf}
	for _, text := range []string{"", "NaN", "adam", "1 or so", "0.1.2"} {
		if within(p, text) {
			t.Errorf("%q counts as a number of a range", text)
		}
	}
}

func TestCodeAndSourcesAreAllowedByWholeNames(t *testing.T) {
	b := record.CodeBound{Repository: "https://git.example/net", Paths: []string{"train/", "tools/fit.py"}}
	for program, want := range map[string]bool{
		"train/nightly.py": true, "train/deep/er.py": true, "tools/fit.py": true, "./train/nightly.py": true, "tools/fit.py.old": false, "trainer/x.py": false,
		"train/../secret.py": false, "": false, "/train/nightly.py": false, "tools": false,
	} {
		if got := b.Allows(record.Code{Repository: b.Repository, Path: program}); got != want {
			t.Errorf("the program %q is allowed: %v", program, got)
		}
	}
	if b.Allows(record.Code{Repository: b.Repository + ".fork", Path: "train/nightly.py"}) {
		t.Error("another repository is allowed")
	}
	s := record.SourceBound{Source: "s3://clinic/daily/*"}
	for source, want := range map[string]bool{"s3://clinic/daily/1": true, "s3://clinic/daily/../other/1": false, "s3://clinic/dailyx": false, "s3://clinic/": false} {
		if got := s.Matches(record.Dataset{Source: source}); got != want {
			t.Errorf("the source %s is allowed: %v", source, got)
		}
	}
}
