package probe

import (
	"fmt"
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
	// Rounds is how many runs, this the last, show together that answers moved; 0 where this one shows it by
	// itself, or nothing does.
	Rounds int `json:"rounds,omitzero"`
	// Moved are the prompts that moved by themselves; where none did, those that moved most.
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
	// holds is the p-value of a prompt that moved by itself.
	holds = 0.05
)

// Compare says whether a run is of the model that the baseline was of: by itself, and together with the runs
// before it that were not of another one, the newest last.
func Compare(s *Suite, base *Run, before []*Run, now *Run) Finding {
	f := Finding{Result: Same, P: 1, FalseAlarm: s.FalseAlarm}
	f.NewNames = beyond(now.Names(), base.Names())
	f.NewSystems = beyond(now.Systems(), base.Systems())
	if few := now.Few(s.Repeats); few != "" && len(f.NewNames)+len(f.NewSystems) == 0 {
		f.Result, f.Detail = Incomplete, few
		return f
	}
	f.judge(s, base, before, now)
	var why []string
	if len(f.NewNames) > 0 {
		why = append(why, fmt.Sprintf("it calls itself %s, and called itself %s", quoted(f.NewNames), quoted(base.Names())))
	}
	if len(f.NewSystems) > 0 {
		why = append(why, fmt.Sprintf("its system says the fingerprint %s, and said %s", quoted(f.NewSystems), quoted(base.Systems())))
	}
	if f.P <= f.FalseAlarm {
		together := ""
		if f.Rounds > 0 {
			together = fmt.Sprintf(" over the last %d runs together", f.Rounds)
		}
		why = append(why, fmt.Sprintf("its answers moved%s (p = %.2g, at a false-alarm rate of %g): %s", together, f.P, f.FalseAlarm, f.most()))
	}
	if len(why) > 0 {
		f.Result, f.Detail = Changed, strings.Join(why, "; ")
		return f
	}
	f.Moved = nil
	f.Detail = fmt.Sprintf("no change: p = %.2g, at a false-alarm rate of %g", f.P, f.FalseAlarm)
	return f
}

// The parts of the rate of false alarms that a run has by itself, and together with those before it.
const (
	partAlone    = 2. / 3
	partTogether = 1. / 3
)

// judge tests the run by itself and then, where that shows nothing, together with those before it.
func (f *Finding) judge(s *Suite, base *Run, before []*Run, now *Run) {
	part := partAlone
	if len(before) == 0 {
		part = 1
	}
	alone := compare(s, base, now, part*s.FalseAlarm)
	f.P, f.Deals, f.Moved = min(1, alone.p/part), alone.deals, alone.moved
	if len(before) == 0 || f.P <= f.FalseAlarm || len(f.NewNames)+len(f.NewSystems) > 0 {
		return
	}
	all := compare(s, base, together(s, before, now), partTogether*s.FalseAlarm)
	if p := all.p / partTogether; p < f.P {
		f.P, f.Deals, f.Moved = p, all.deals, all.moved
		if f.P <= f.FalseAlarm {
			f.Rounds = 1 + len(before)
		}
	}
}

// together are the answers of a run and of those before it as those of one run.
func together(s *Suite, before []*Run, now *Run) *Run {
	out := *now
	out.Prompts = make([]Answered, len(s.Prompts))
	for i, p := range s.Prompts {
		out.Prompts[i].ID = p.ID
		for _, r := range before {
			out.Prompts[i].Answers = append(out.Prompts[i].Answers, r.Prompts[i].given()...)
		}
		out.Prompts[i].Answers = append(out.Prompts[i].Answers, now.Prompts[i].given()...)
	}
	return &out
}

// most names the prompts that moved most.
func (f *Finding) most() string {
	var out []string
	for _, m := range f.Moved[:min(len(f.Moved), 3)] {
		out = append(out, fmt.Sprintf("%s passed %d of %d, and passes %d of %d", m.ID, m.PassedBefore, m.Before, m.PassedNow, m.Now))
	}
	if f.Moved[0].P > holds {
		return "no prompt by itself, and most of all " + strings.Join(out, ", ")
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
