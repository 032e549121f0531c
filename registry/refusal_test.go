package registry_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/verify"
	"imprimatur.dev/wire"
)

// TestRule03OnlyNumbersPass sends evidence that praises itself in every way but
// the numbers.
func TestRule03OnlyNumbersPass(t *testing.T) {
	header := func(more string) string {
		return `{"imprimatur":"items/v1","suite":"holdout","category":"accuracy","settings":{"verdict":"PASSED","threshold":"0.1"}` + more + "}\n"
	}
	items := func(right, n int, more string) (out string) {
		for i := range n {
			out += fmt.Sprintf(`{"item":"%d","metrics":{"accuracy":%v%s}}`+"\n", i, i < right, more)
		}
		return out
	}
	const praise = `,"reported":[{"name":"accuracy","value":0.99,"n":1000}]`
	for _, x := range []struct {
		name     string
		evidence string
		result   record.Result
	}{
		{"its own passed", header("") + `{"item":"1","metrics":{"passed":true}}`, record.Missing},
		{"passed beside a bad number", header("") + items(500, 1000, `,"passed":true`), record.Fail},
		{"a value without samples", header(`,"reported":[{"name":"accuracy","value":1,"n":0}]`), record.Invalid},
		{"a value that its items deny", header(praise) + items(700, 1000, ""), record.Invalid},
		{"a value without uncertainty", header(praise), record.Inconclusive},
		{"too few", header("") + items(20, 20, ""), record.Inconclusive},
		{"cut off", header(`,"expected":2000`) + items(1000, 1000, ""), record.Invalid},
		{"its own threshold", header(`,"reported":[{"name":"threshold","value":0.1,"n":1000}]`) + items(200, 1000, ""), record.Fail},
		{"good numbers", header(`,"reported":[{"name":"passed","value":0,"n":1}]`) + items(950, 1000, ""), record.Pass},
	} {
		t.Run(x.name, func(t *testing.T) {
			h := open(t)
			in := submission(h.train("1", true), digest("data 1"))
			in.Run.Finished = record.Millis(h.clock.now())
			must[[]record.Recorded[record.Evaluation]](t)(h.record(eve, in, []byte(x.evidence)))
			c := must[wire.Case](t)(h.reg.ProposeRelease(h.ctx, ann, wire.Proposal{Version: "lab/net@1", UseCase: "lab/triage", Environment: "production", Incomplete: true}))
			if g := h.gate(c.Verdict, "accuracy/holdout/accuracy"); g.Result != x.result {
				t.Errorf("%s: %s, want %s: %s", x.name, g.Result, x.result, g.Reason)
			}
		})
	}
}

func TestRule03EvidenceIsTheBytesItNames(t *testing.T) {
	h := open(t)
	in := submission(h.train("1", true), digest("data 1"))
	size := h.size()
	_, err := h.reg.KeepEvidence(h.ctx, eve, digest("other bytes"), strings.NewReader("these bytes"))
	h.refused(err, wire.Invalid, string(digest("these bytes")), string(digest("other bytes")))
	for _, d := range []record.Digest{digest("these bytes"), digest("other bytes")} {
		if f, err := h.reg.Evidence(h.ctx, eve, d); err == nil {
			f.Close()
			t.Error("the bytes were kept")
		}
	}
	in.Files = []wire.EvidenceFile{{Name: "items.ndjson", Digest: digest("other bytes")}}
	_, err = h.reg.RecordEvaluations(h.ctx, eve, in)
	h.refused(err, wire.Unknown, "items.ndjson", "imprimatur eval record")
	if h.size() != size {
		t.Error("the evaluation was kept")
	}
}

// TestRule04UndecidedIsNo asks when there is no way to know, and of all that may
// not run.
func TestRule04UndecidedIsNo(t *testing.T) {
	h := open(t)
	h.no(h.reg.Decide(h.ctx, "production", digest("never seen")), "no release of the model", "propose one")
	h.no(h.reg.Decide(h.ctx, "nowhere", digest("never seen")))
	h.no(h.reg.Decide(h.ctx, "", ""))
	waiting := h.ready("0")
	h.forbidden("0", "no release of the model")
	h.no(h.reg.Decide(h.ctx, "production", record.Digest(waiting.ID)))
	suspended := h.live("1")
	h.no(h.reg.Decide(h.ctx, "staging", digest("model 1")), "no release of the model")
	must[wire.Case](t)(h.reg.Suspend(h.ctx, sam, suspended.ID, "incident", false))
	h.forbidden("1", suspended.ID+" is suspended")
	must[wire.Case](t)(h.reg.Suspend(h.ctx, sam, suspended.ID, "over", true))
	h.allowed("1")
	must[record.Recorded[record.DataApproval]](t)(h.reg.DecideData(h.ctx, bob, record.DataApproval{Dataset: digest("data 1"), Decision: record.Withdraw, Reason: "consent withdrawn"}))
	h.forbidden("1", "lineage/datasets", "bob withdrew the approval", "consent withdrawn")
	h.approveData(digest("data 1"))
	h.allowed("1")
	must[wire.Case](t)(h.reg.Retire(h.ctx, olga, suspended.ID, "replaced"))
	h.forbidden("1", suspended.ID+" is retired")
	replaced := h.live("2")
	h.live("3")
	h.forbidden("2", "no release") // what replaced it runs other bytes
	if c := h.check(replaced.ID); c.Status != record.Replaced || c.Stands {
		t.Errorf("the replaced release is %s, stands %v", c.Status, c.Stands)
	}
	h.allowed("3")
	ended, cancel := context.WithCancel(h.ctx)
	cancel()
	h.again()
	h.no(h.reg.Decide(ended, "production", digest("model 3")), "it could not be decided")
	h.allowed("3")
	if err := h.reg.Close(); err != nil {
		t.Fatal(err)
	}
	h.forbidden("3", "has closed its ledger")
}

func TestRule04ABadLedgerEndsInNo(t *testing.T) {
	h := open(t)
	c := h.live("1")
	h.again() // nothing is gathered yet
	t.Cleanup(must[func()](t)(h.reg.CutStore()))
	h.forbidden("1", "it could not be decided")
	for name, err := range map[string]error{
		"check":   only(h.reg.CheckRelease(h.ctx, rita, c.ID)),
		"promote": only(h.reg.Promote(h.ctx, olga, c.ID)),
		"bundle":  only[*verify.Bundle](h.reg.Bundle(h.ctx, rita, c.ID)),
		"live":    only(h.reg.Live(h.ctx, rita, time.Time{})),
		"token":   only(h.reg.Authenticate(h.ctx, "imp_a_b")),
		"ready":   h.reg.Ready(h.ctx),
	} {
		if registry.CodeOf(err) != wire.Unavailable {
			t.Errorf("%s without a store: %v", name, err)
		}
	}
}

// TestRule10RevocationReachesTheNextDecision stops and starts a release again and
// again while sixteen goroutines decide: what is decided after a command was
// answered agrees with it.
func TestRule10RevocationReachesTheNextDecision(t *testing.T) {
	h := open(t)
	c := h.live("1")
	data := digest("data 1")
	var mu sync.RWMutex // held by a decision, so that no command ends within it
	stands := true
	var decided atomic.Int64
	stop := make(chan struct{})
	var deciding sync.WaitGroup
	for range 16 {
		deciding.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				mu.RLock()
				if d := h.decide("1"); d.Allowed != stands {
					t.Errorf("decided %v, and the last answered command says %v: %v", d.Allowed, stands, d.Reasons)
				}
				mu.RUnlock()
				decided.Add(1)
			}
		})
	}
	off := []func() error{
		func() error { return only(h.reg.Suspend(h.ctx, sam, c.ID, "r", false)) },
		func() error {
			return only(h.reg.DecideData(h.ctx, bob, record.DataApproval{Dataset: data, Decision: record.Withdraw, Reason: "r"}))
		},
		func() error {
			return only(h.reg.BindRole(h.ctx, administrator, record.Role{Principal: "sam", Role: record.Security, Team: "lab", Revoked: true}))
		},
	}
	on := []func() error{
		func() error { return only(h.reg.Suspend(h.ctx, sam, c.ID, "r", true)) },
		func() error { h.approveData(data); return nil },
		func() error {
			return only(h.reg.BindRole(h.ctx, administrator, record.Role{Principal: "sam", Role: record.Security, Team: "lab"}))
		},
	}
	// Commands run beside the decisions; only the moment of the answer is held
	// apart, since until then either answer is right.
	for i := range 60 {
		change := off[i/2%3]
		if i%2 == 1 {
			change = on[i/2%3]
		}
		mu.Lock()
		if err := change(); err != nil {
			t.Error(err)
		}
		stands = i%2 == 1
		mu.Unlock()
	}
	close(stop)
	deciding.Wait()
	if decided.Load() < 60 {
		t.Errorf("%d decisions were made, too few to show anything", decided.Load())
	}
}

// TestDecisionsBesideCommands decides while commands run, for the race detector,
// and demands of each answer that it is one of the two that could be.
func TestDecisionsBesideCommands(t *testing.T) {
	h := open(t)
	c := h.live("1")
	atOnce(8, func(g int) {
		for i := range 15 {
			switch {
			case g == 0:
				_, err := h.reg.Suspend(h.ctx, sam, c.ID, "r", i%2 == 1)
				if err != nil {
					t.Error(err)
				}
				if d := h.decide("1"); d.Allowed != (i%2 == 1) {
					t.Errorf("after the answer to command %d: %+v", i, d)
				}
			case g == 1:
				h.train(fmt.Sprint("beside-", i), true)
			default:
				if d := h.decide("1"); !d.Allowed && !strings.Contains(strings.Join(d.Reasons, " "), "is suspended") {
					t.Errorf("decided %+v", d)
				}
			}
		}
	})
}
