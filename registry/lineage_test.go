package registry_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/store/storetest"
	"imprimatur.dev/wire"
)

// onEitherDatabase runs a test on SQLite and on PostgreSQL.
func onEitherDatabase(t *testing.T, test func(h *house)) {
	t.Run("SQLite", func(t *testing.T) { test(open(t)) })
	t.Run("PostgreSQL", func(t *testing.T) { test(openOn(t, storetest.Postgres(t).DSN)) })
}

// The graph shows what a release was made from, marks what is not approved with
// the reason and the first path to it, and is the same after a restart.
func TestTheGraphOfARelease(t *testing.T) {
	onEitherDatabase(t, func(h *house) {
		c := h.live("1")
		h.sends(reads("run-1", "1", "more.csv"))
		got := must[wire.Graph](h)(h.reg.Graph(h.ctx, ann, c.ID, registry.Asked{Way: wire.WayFrom}))
		var roles []string
		for _, e := range got.Edges {
			if e.Statement.Validate() != nil {
				h.Errorf("the edge %+v names no statement", e)
			}
			roles = append(roles, e.Role)
		}
		for _, want := range []string{"source", "input", "output", "release", "shown", "tested", "code", "told", "read"} {
			if !slices.Contains(roles, want) {
				h.Errorf("no edge has the role %s: %q", want, roles)
			}
		}
		if start := got.Nodes[0]; start.ID != "release:"+c.ID || start.Live == nil || start.Live.Environment != "production" || start.Live.By != "olga" {
			h.Errorf("the start is %+v", start)
		}
		if got.Broken == nil || !strings.Contains(got.Broken.Reason, "source:s3://lab/more.csv: nobody registered") || len(got.Broken.Edges) != 3 {
			h.Errorf("the first broken path is %+v", got.Broken)
		}
		h.again()
		if diff := cmp.Diff(got, must[wire.Graph](h)(h.reg.Graph(h.ctx, ann, c.ID, registry.Asked{Way: wire.WayFrom}))); diff != "" {
			h.Errorf("the restart changed the graph:\n%s", diff)
		}
		short := must[wire.Graph](h)(h.reg.Graph(h.ctx, ann, c.ID, registry.Asked{Depth: 1}))
		if !strings.Contains(short.Cut, "goes on beyond 1 edges") {
			h.Errorf("the cut says %q", short.Cut)
		}
	})
}

// A stranger to the team sees neither its names nor what lies behind them.
func TestTheGraphHidesWhatMayNotBeRead(t *testing.T) {
	h := open(t)
	c := h.live("1")
	must[record.Recorded[record.Team]](t)(h.reg.CreateTeam(h.ctx, administrator, record.Team{Name: "other"}))
	oz := h.holder(record.Viewer, "other", record.Principal{Name: "oz"})
	_, err := h.reg.Graph(h.ctx, oz, c.ID, registry.Asked{})
	h.refused(err, wire.Unknown, "nothing that you may read")
	got := must[wire.Graph](t)(h.reg.Graph(h.ctx, oz, "commit:"+strings.Repeat("ab", 20), registry.Asked{}))
	for _, n := range got.Nodes[1:] {
		if !strings.HasPrefix(n.ID, "hidden:") || len(n.Labels) > 0 || n.Team != "" || n.Depth > 1 {
			t.Errorf("a stranger sees %+v", n)
		}
	}
	hit := must[wire.Impact](t)(h.reg.Impact(h.ctx, oz, string(digest("data 1")), "", 0))
	if len(hit.Reached) != 0 || hit.OthersLive != 1 || hit.Others < 3 {
		t.Errorf("a stranger is told %+v", hit)
	}
}

// A withdrawal shows what it hits first, is refused when that has changed, and
// then does what the policy says.
func TestAWithdrawalHitsWhatItShowed(t *testing.T) {
	onEitherDatabase(t, func(h *house) {
		word := record.DataApproval{Dataset: digest("data 1"), Decision: record.Withdraw, Reason: "recalled"}
		h.evaluate(h.train("1", true), 950)
		before := must[wire.Hits](h)(h.reg.PreviewWithdrawal(h.ctx, bob, word))
		if len(before.Releases) != 0 {
			h.Errorf("nothing is live, and hit is %+v", before.Releases)
		}
		strict := strings.Replace(rules, "    mode: enforce\n", "    mode: enforce\n    signals: { data-withdrawn: suspend }\n", 1)
		must[wire.Published](h)(h.reg.PublishPolicy(h.ctx, rita, []byte(strict), "stop for good"))
		c := must[wire.Case](h)(h.propose("1", record.Authority{}))
		for role, who := range map[record.RoleName]registry.Caller{record.ModelOwner: olga, record.Risk: rita, record.Security: sam} {
			must[wire.Case](h)(h.approve(who, role, c))
		}
		must[wire.Promoted](h)(h.reg.Promote(h.ctx, olga, c.ID))
		_, err := h.reg.Withdraw(h.ctx, bob, wire.Withdrawal{Approval: word, Seen: before.Digest})
		h.refused(err, wire.Conflict, "have changed since they were shown", "imprimatur dataset withdraw")
		h.allowed("1")

		other := word
		other.Purposes = []string{"marketing"}
		if got := must[wire.Hits](h)(h.reg.PreviewWithdrawal(h.ctx, bob, other)); len(got.Releases) != 0 {
			h.Errorf("a withdrawal for another purpose hits %+v", got.Releases)
		}
		now := must[wire.Hits](h)(h.reg.PreviewWithdrawal(h.ctx, bob, word))
		if len(now.Releases) != 1 || now.Releases[0].Release != c.ID || now.Releases[0].Does != "suspend" || !now.Releases[0].Stops || now.Impact.Live != 1 {
			h.Fatalf("hit is %+v", now)
		}
		h.allowed("1")
		done := must[record.Recorded[record.DataApproval]](h)(h.reg.Withdraw(h.ctx, bob, wire.Withdrawal{Approval: word, Seen: now.Digest}))
		h.forbidden("1", "suspended")
		var after []string
		for _, e := range must[[]wire.Entry](h)(h.reg.History(h.ctx, rita, c.ID)) {
			if e.Index > done.Index {
				after = append(after, e.Word)
			}
		}
		if want := []string{"signal", "suspension"}; !slices.Equal(after, want) {
			h.Errorf("after the withdrawal stand %q, want %q", after, want)
		}
		// Approved again, it still waits for a person.
		h.approveData(word.Dataset)
		h.forbidden("1", "suspended")
	})
}

// BenchmarkReopen starts on a ledger of some thousand statements, and says what
// each of them costs to learn again.
func BenchmarkReopen(b *testing.B) {
	h := open(b)
	const sets, senders = 6000, 50
	atOnce(senders, func(s int) {
		for i := range sets / senders {
			name := fmt.Sprintf("set-%d-%d", s, i)
			d := record.Dataset{Team: "lab", Name: name, Version: "1", Digest: digest(name), Source: "s3://lab/" + name, Classification: "internal", Owner: "bob", Derived: []record.Digest{digest("a"), digest("b"), digest("c")}}
			if _, err := h.reg.RegisterDataset(h.ctx, ann, d); err != nil {
				b.Error(err)
			}
		}
	})
	size := must[int64](b)(h.reg.Size(h.ctx))
	for b.Loop() {
		h.again()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(size), "µs/statement-wall")
}
