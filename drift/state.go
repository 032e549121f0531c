package drift

// maxWindows bounds how many outcomes a State remembers.
const maxWindows = 1000

// A State carries the judgements of one model's windows from one to the next.
// The zero value is the beginning. It is plain data: store it as JSON.
type State struct {
	// Alarm is raised, or not.
	Alarm bool `json:"alarm"`
	// Recent has the outcomes of the last conclusive windows since the alarm was
	// last raised or cleared, oldest first, at most Settings.Of.
	Recent []Outcome `json:"recent,omitempty"`
	// Blind counts the inconclusive windows since the last conclusive one: a
	// monitor that sees too little is not a monitor that sees no drift.
	Blind int `json:"blind,omitzero"`
}

// Next returns the state after one more window. Need of the last Of conclusive
// windows must breach to raise the alarm, and be steady to clear it; after
// either, counting begins anew. Inconclusive windows are counted as Blind and
// otherwise change nothing. The state given is not changed.
func (s State) Next(window Outcome, settings Settings) State {
	if window != Steady && window != Breach {
		s.Blind++
		return s
	}
	s.Blind = 0
	recent := append(s.Recent[:len(s.Recent):len(s.Recent)], window)
	recent = recent[max(0, len(recent)-settings.Of):]
	turning := Breach
	if s.Alarm {
		turning = Steady
	}
	seen := 0
	for _, o := range recent {
		if o == turning {
			seen++
		}
	}
	if seen >= settings.Need {
		return State{Alarm: !s.Alarm}
	}
	s.Recent = recent
	return s
}
