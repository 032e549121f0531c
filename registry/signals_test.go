package registry_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// responding publishes the house's rules with what signals do.
func (h *house) responding(signals string) {
	h.Helper()
	text := strings.Replace(rules, "    mode: enforce\n", "    mode: enforce\n    signals: "+signals+"\n", 1)
	must[wire.Published](h)(h.reg.PublishPolicy(h.ctx, rita, []byte(text), "what signals do"))
}

// sees records a signal of a live release.
func (h *house) sees(c wire.Case, signal string) record.Signal {
	h.Helper()
	return must[record.Recorded[record.Signal]](h)(h.reg.RecordSignal(h.ctx, sam, record.Signal{
		Release: c.ID, Line: c.Line, Type: signal, Detail: "the share of refusals doubled", Observed: record.Millis(h.clock.now()),
	})).Record
}

// drilled tries whether a release could take over.
func (h *house) drilled(c wire.Case, version string) {
	h.Helper()
	must[record.Recorded[record.Drill]](h)(h.reg.Drill(h.ctx, olga, c.ID, filesOf(version)))
}

// since are the kinds of the statements of a line after an index.
func (h *house) since(index int64, c wire.Case) (words []string) {
	h.Helper()
	for _, e := range must[[]wire.Entry](h)(h.reg.History(h.ctx, rita, c.ID)) {
		if e.Index > index {
			words = append(words, e.Word)
		}
	}
	return words
}

func TestASignalDoesWhatThePolicySays(t *testing.T) {
	for _, x := range []struct {
		name, signals string
		before        func(h *house, first, second wire.Case)
		does          record.Response
		states        []string
		runs          string // the version that may run afterwards
		says          string
	}{
		{name: "told", signals: "{ drift: notify }", states: []string{"signal"}, runs: "2"},
		{name: "not named", signals: "{ data-withdrawn: suspend }", states: []string{"signal"}, runs: "2"},
		{name: "suspends", signals: "{ drift: suspend }", does: record.Suspend, states: []string{"signal", "suspension"}, says: "suspended"},
		{name: "any", signals: "{ data-withdrawn: notify, default: suspend }", does: record.Suspend, states: []string{"signal", "suspension"}, says: "suspended"},
		{name: "rolls back", signals: "{ drift: rollback }", does: record.RollBack, states: []string{"signal", "promotion"}, runs: "1"},
		{
			name: "nothing stands to roll back to", signals: "{ drift: rollback }", does: record.RollBack, states: []string{"signal", "suspension"}, says: "suspended",
			before: func(h *house, _, _ wire.Case) {
				must[record.Recorded[record.DataApproval]](h)(h.reg.DecideData(h.ctx, bob, record.DataApproval{Dataset: digest("data 1"), Decision: record.Withdraw, Reason: "recalled"}))
			},
		},
		{name: "at once", signals: "{ drift: reapprove }", does: record.Reapprove, states: []string{"signal"}, says: "had to be renewed"},
		{
			name: "no longer live", signals: "{ drift: suspend }", states: []string{"signal"}, runs: "1",
			before: func(h *house, first, second wire.Case) {
				must[wire.Promoted](h)(h.reg.Rollback(h.ctx, olga, second.ID, first.ID, "slow"))
			},
		},
	} {
		t.Run(x.name, func(t *testing.T) {
			h := open(t)
			h.responding(x.signals)
			first, second := h.live("1"), h.live("2")
			h.drilled(first, "1")
			if x.before != nil {
				x.before(h, first, second)
			}
			last := h.size()
			if s := h.sees(second, record.SignalDrift); s.Does != x.does {
				t.Errorf("it does %q, want %q", s.Does, x.does)
			}
			if got := h.since(last-1, second); !slices.Equal(got, x.states) {
				t.Errorf("stated are %q, want %q", got, x.states)
			}
			turn := must[wire.Case](t)(h.reg.CheckRelease(h.ctx, olga, second.ID)).Last
			how := map[string]string{"suspension": "suspend", "promotion": "rollback"}[x.states[len(x.states)-1]]
			if acted := strings.HasPrefix(turn.Reason, "The policy acts on the signal drift"); acted != (how != "") || acted && turn.How != how {
				t.Errorf("what became of it is %+v, want %q", turn, how)
			}
			for _, version := range []string{"1", "2"} {
				if version == x.runs {
					h.allowed(version)
				} else if version == "2" {
					h.forbidden(version, x.says)
				}
			}
			if _, err := h.reg.VerifyLedger(h.ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

// What is to be approved again runs until its day, waits for its approvers, and
// runs on when they have spoken. An auditor reaches the same answers.
func TestASignalAsksForApprovalsAgain(t *testing.T) {
	onEitherDatabase(t, func(h *house) {
		h.responding("{ vendor-model-changed: reapprove within 7d }")
		c := h.live("1")
		h.waitsAre(rita)
		s := h.sees(c, record.SignalVendorModelChanged)
		if left := s.Due.Sub(h.clock.now()).Round(time.Hour); left != 7*24*time.Hour {
			h.Errorf("it is due in %v", left)
		}
		h.allowed("1")
		if got := must[[]wire.Waiting](h)(h.reg.Waiting(h.ctx, rita)); len(got) != 1 || !got[0].Due.Equal(s.Due) || got[0].Act != wire.WaitsApprove {
			h.Errorf("for risk waits %+v", got)
		}
		must[wire.Case](h)(h.approve(rita, record.Risk, c))
		h.waitsAre(rita)
		must[wire.Case](h)(h.approve(olga, record.ModelOwner, c))
		h.clock.set(s.Due.Add(-time.Minute))
		h.allowed("1")
		h.clock.set(s.Due)
		h.forbidden("1", "approval/security", "had to be renewed by", "vendor-model-changed")
		if report := h.verified(c.ID, h.clock.now()); report.OK || !strings.Contains(strings.Join(report.Reasons, " "), "had to be renewed by") {
			h.Errorf("an auditor finds %+v", report.Reasons)
		}
		must[wire.Case](h)(h.approve(sam, record.Security, c))
		h.allowed("1")
		if report := h.verified(c.ID, h.clock.now()); !report.OK {
			h.Errorf("an auditor finds %+v", report.Reasons)
		}
		h.again()
		h.allowed("1")
	})
}

func TestAWordAgainstWhatRunsIsASignal(t *testing.T) {
	h := open(t)
	h.responding("{ approval-withdrawn: rollback }")
	first, second := h.live("1"), h.live("2")
	h.drilled(first, "1")
	last := h.size()
	against := wire.Word{Release: second.ID, Record: second.Digests.Record, Role: record.Risk, Decision: record.RequestChanges, Reason: "the appeal rate doubled"}
	must[wire.Case](t)(h.reg.Approve(h.ctx, rita, against))
	if got, want := h.since(last-1, second), []string{"approval", "signal", "promotion"}; !slices.Equal(got, want) {
		t.Errorf("stated are %q, want %q", got, want)
	}
	h.allowed("1")
	// Of what does not run it is a word, and nothing more.
	last = h.size()
	must[wire.Case](t)(h.reg.Approve(h.ctx, rita, against))
	if got := h.since(last-1, first); !slices.Equal(got, []string{"approval"}) {
		t.Errorf("stated are %q", got)
	}
}

func TestWhatASignalDoesIsNotForItsCallerToSay(t *testing.T) {
	h := open(t)
	c := h.live("1")
	s := record.Signal{Release: c.ID, Line: c.Line, Type: "odd", Detail: "odd", Observed: record.Millis(h.clock.now())}
	s.Does = record.Suspend
	_, err := h.reg.RecordSignal(h.ctx, sam, s)
	h.refused(err, wire.Invalid, "without does and due")
	s.Does, s.Due = record.Reapprove, s.Observed
	_, err = h.reg.RecordSignal(h.ctx, sam, s)
	h.refused(err, wire.Invalid, "without does and due")
	h.allowed("1")
}
