package registry_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// modelled is what the simple model knows of one release.
type modelled struct {
	id, version string
	words       map[record.RoleName]string
	data        bool // its data is approved
	waived      bool // the security gate is waived
	status      record.Status
	ran         bool
	opens       []string // the gates over which glass was broken when it was last promoted
	replaced    string   // what it replaced when it was last promoted
}

// blocks are the gates that do not let it through.
func (m *modelled) blocks() (gates []string) {
	if !m.data {
		gates = append(gates, "lineage/datasets")
	}
	for _, role := range seats {
		if m.words[role] != record.Approve && (role != record.Security || !m.waived) {
			gates = append(gates, "approval/"+string(role))
		}
	}
	return gates
}

func (m *modelled) passes() bool { return len(m.blocks()) == 0 }

// runs reports whether it stands while it is live.
func (m *modelled) runs() bool {
	return !slices.ContainsFunc(m.blocks(), func(g string) bool { return !slices.Contains(m.opens, g) })
}

var seats = []record.RoleName{record.ModelOwner, record.Risk, record.Security}

// world is the model of one line: what the stage machine of the registry must
// agree with after every command.
type world struct {
	releases []*modelled
	current  string // promoted last
	runs     string // live now
	// broken is the exception of the glass that was broken last, and by is of which
	// release, until somebody reviews it.
	broken string
	by     *modelled
}

func (w *world) of(id string) *modelled {
	i := slices.IndexFunc(w.releases, func(m *modelled) bool { return m.id == id })
	return w.releases[i]
}

func (w *world) promote(m *modelled, opens []string) {
	if w.runs != m.id {
		m.replaced = w.runs
	}
	if w.runs != "" {
		w.of(w.runs).status = record.Replaced
	}
	m.status, m.ran, m.opens = record.Live, true, opens
	w.current, w.runs = m.id, m.id
}

func (w *world) stop(m *modelled, s record.Status) {
	m.status = s
	if w.runs == m.id {
		w.runs = ""
	}
}

func (w *world) lift(m *modelled) {
	switch {
	case w.current == m.id:
		m.status, w.runs = record.Live, m.id
	case m.ran:
		m.status = record.Replaced
	default:
		m.status = record.Proposed
	}
}

// promotable is the code with which a promotion is refused, or is empty.
func (m *modelled) promotable() wire.Code {
	switch {
	case m.status == record.Live:
		return wire.Conflict
	case m.status == record.Suspended || m.status == record.Retired || !m.passes():
		return wire.Refused
	}
	return ""
}

// rollback is the code with which a rollback is refused, or is empty.
func (w *world) rollback(from, to *modelled) wire.Code {
	switch {
	case w.runs != "" && w.runs != from.id:
		return wire.Conflict
	case to == nil:
		return wire.Refused
	case to.promotable() != "":
		return to.promotable()
	case !to.ran:
		return wire.Invalid
	}
	return ""
}

// three is a data folder with three proposed releases, each with its own data and
// its own approvers, who have approved.
func three(t *testing.T) (dir string, ids []string, at time.Time) {
	h := open(t)
	ids = h.three()
	if err := h.reg.Close(); err != nil {
		t.Fatal(err)
	}
	return h.dir, ids, h.clock.now()
}

func (h *house) three() (ids []string) {
	h.Helper()
	h.enrol("ruth", record.Risk)
	for i := range 3 {
		v := fmt.Sprint(i + 1)
		c := h.incomplete(v)
		ids = append(ids, c.ID)
		for _, role := range seats {
			h.enrol(string(role)+v, role)
			must[wire.Case](h)(h.approve(approver(role, v), role, c))
		}
	}
	return ids
}

// story is one random run against the registry and the model.
type story struct {
	*house
	*rapid.T
	world
}

func (s *story) pick() *modelled { return rapid.SampledFrom(s.releases).Draw(s.T, "release") }

// agree demands the refusal that the model foresees, or success.
func (s *story) agree(err error, want wire.Code) bool {
	switch {
	case want == "" && err != nil:
		s.T.Fatalf("refused, though the model allows it: %v", err)
	case want != "" && (err == nil || registry.CodeOf(err) != want):
		s.T.Fatalf("got %v, and the model refuses with %s", err, want)
	}
	return want == ""
}

func (s *story) speak(decision string) func(*rapid.T) {
	return func(*rapid.T) { s.say(s.pick(), rapid.SampledFrom(seats).Draw(s.T, "role"), decision) }
}

func (s *story) approveAll(*rapid.T) {
	m := s.pick()
	for _, role := range seats {
		s.say(m, role, record.Approve)
	}
}

func (s *story) say(m *modelled, role record.RoleName, decision string) {
	c := must[wire.Case](s.house)(s.reg.CheckRelease(s.ctx, rita, m.id))
	_, err := s.reg.Approve(s.ctx, caller(string(role)+m.version), wire.Word{Release: m.id, Record: c.Digests.Record, Role: role, Decision: decision, Reason: "r"})
	want := wire.Code("")
	if m.status == record.Retired {
		want = wire.Conflict
	}
	if s.agree(err, want) {
		m.words[role] = decision
	}
}

func (s *story) promoteOne(*rapid.T) {
	m := s.pick()
	_, err := s.reg.Promote(s.ctx, olga, m.id)
	if s.agree(err, m.promotable()) {
		s.promote(m, nil)
	}
}

func (s *story) rollBack(*rapid.T) {
	from, to := s.pick(), s.pick()
	if s.runs != "" && rapid.IntRange(0, 3).Draw(s.T, "mostly") > 0 {
		from = s.of(s.runs)
	}
	name := to.id
	if rapid.Bool().Draw(s.T, "unnamed") {
		name, to = "", nil
		if from.replaced != "" {
			to = s.of(from.replaced)
		}
	}
	_, err := s.reg.Rollback(s.ctx, olga, from.id, name, "r")
	if s.agree(err, s.rollback(from, to)) {
		s.promote(to, nil)
	}
}

func (s *story) suspendOrLift(lift bool) func(*rapid.T) {
	return func(*rapid.T) {
		m := s.pick()
		_, err := s.reg.Suspend(s.ctx, sam, m.id, "r", lift)
		want := wire.Code("")
		if m.status == record.Retired || (m.status == record.Suspended) != lift {
			want = wire.Conflict
		}
		switch ok := s.agree(err, want); {
		case ok && lift:
			s.lift(m)
		case ok:
			s.stop(m, record.Suspended)
		}
	}
}

func (s *story) retire(*rapid.T) {
	m := s.pick()
	if rapid.IntRange(0, 3).Draw(s.T, "rarely") > 0 {
		return // or soon nothing would be left to promote
	}
	_, err := s.reg.Retire(s.ctx, olga, m.id, "r")
	want := wire.Code("")
	if m.status == record.Retired {
		want = wire.Conflict
	}
	if s.agree(err, want) {
		s.stop(m, record.Retired)
	}
}

func (s *story) decideData(decision string) func(*rapid.T) {
	return func(*rapid.T) {
		m := s.pick()
		_, err := s.reg.DecideData(s.ctx, bob, record.DataApproval{
			Dataset: digest("data " + m.version), Decision: decision, Purposes: []string{"triage"}, Reason: "r",
			Expires: record.Millis(s.clock.now().AddDate(0, 6, 0)),
		})
		if s.agree(err, "") {
			m.data = decision == record.Allow
		}
	}
}

func (s *story) waive(*rapid.T) {
	m := s.pick()
	_, err := s.reg.Waive(s.ctx, caller("ruth"), m.id, "approval/security", "r", 24*time.Hour)
	if s.agree(err, "") {
		m.waived = true
	}
}

func (s *story) breakGlass(*rapid.T) {
	m := s.pick()
	opens := m.blocks()
	if rapid.IntRange(0, 3).Draw(s.T, "mostly right") == 0 {
		opens = append(opens, "rollback")
	}
	p, err := s.reg.BreakGlass(s.ctx, olga, m.id, registry.Glass{Gates: opens, Reason: "r", Lasting: 24 * time.Hour})
	want := wire.Code("")
	switch {
	case m.status == record.Suspended || m.status == record.Retired:
		want = wire.Refused
	case m.passes() || m.status == record.Live && m.runs():
		want = wire.Conflict
	case s.broken != "":
		want = wire.Refused
	case len(opens) > len(m.blocks()):
		want = wire.Invalid
	}
	if s.agree(err, want) {
		s.promote(m, opens)
		s.broken, s.by = p.Promotion.Record.Exception, m
	}
}

func (s *story) review(*rapid.T) {
	if s.broken == "" {
		return
	}
	outcome := rapid.SampledFrom([]string{record.Upheld, record.Reversed}).Draw(s.T, "outcome")
	_, err := s.reg.ReviewException(s.ctx, rita, s.broken, outcome, "r")
	if s.agree(err, "") {
		if outcome == record.Reversed {
			s.by.opens = nil
		}
		s.broken = ""
	}
}

// check compares what the registry says of every release with the model.
func (s *story) check(*rapid.T) {
	for _, m := range s.releases {
		stands := m.status == record.Live && m.runs()
		if d := s.decide(m.version); d.Allowed != stands || (len(d.Reasons) == 0) != stands {
			s.T.Fatalf("version %s: decided %+v, and the model says %v", m.version, d, stands)
		}
		c := must[wire.Case](s.house)(s.reg.CheckRelease(s.ctx, rita, m.id))
		if c.Status != m.status || c.Live != s.runs || c.Verdict.Passed != m.passes() || c.Stands != stands {
			s.T.Fatalf("version %s is %s, passed %v, stands %v, live is %q; the model says %s, %v, %v, %q", m.version,
				c.Status, c.Verdict.Passed, c.Stands, c.Live, m.status, m.passes(), stands, s.runs)
		}
	}
	live := must[[]wire.LiveRelease](s.house)(s.reg.Live(s.ctx, rita, time.Time{}))
	if (len(live) == 1) != (s.runs != "") || (len(live) == 1 && live[0].Release != s.runs) {
		s.T.Fatalf("live is %+v, and the model says %q", live, s.runs)
	}
}

// fewer sets how many random runs a property gets in a plain test.
func fewer(t *testing.T, checks string) {
	if os.Getenv("IMPRIMATUR_LONG") == "" {
		was := flag.Lookup("rapid.checks").Value.String()
		t.Cleanup(func() { flag.Set("rapid.checks", was) })
		flag.Set("rapid.checks", checks)
	}
}

func TestStagesFollowTheModel(t *testing.T) {
	dir, ids, at := three(t)
	fewer(t, "8")
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		h := &house{TB: t, ctx: t.Context(), clock: &clock{at: at}, dir: filepath.Join(t.TempDir(), fmt.Sprint(run))}
		h.copyOf(dir)
		s := &story{house: h, T: rt}
		for i, id := range ids {
			m := &modelled{id: id, version: fmt.Sprint(i + 1), words: map[record.RoleName]string{}, data: true, status: record.Proposed}
			for _, role := range seats {
				m.words[role] = record.Approve
			}
			s.releases = append(s.releases, m)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"approve": s.speak(record.Approve), "approve all": s.approveAll, "approve all again": s.approveAll,
			"request changes": s.speak(record.RequestChanges),
			"promote":         s.promoteOne, "promote again": s.promoteOne, "roll back": s.rollBack, "roll back again": s.rollBack,
			"suspend": s.suspendOrLift(false), "lift": s.suspendOrLift(true), "retire": s.retire,
			"withdraw": s.decideData(record.Withdraw), "approve data": s.decideData(record.Allow),
			"waive": s.waive, "break glass": s.breakGlass, "review": s.review, "reopen": func(*rapid.T) { h.again() },
			"": s.check,
		})
		if _, err := h.reg.VerifyLedger(h.ctx); err != nil {
			rt.Fatal(err)
		}
		h.reg.Close()
	})
}
