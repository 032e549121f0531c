package registry_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/store/storetest"
	"imprimatur.dev/wire"
)

// TestTwoServersTellEachNoticeOnce has two servers on one database state things
// at once, with a target that either may serve.
func TestTwoServersTellEachNoticeOnce(t *testing.T) {
	h := told(t, storetest.Postgres(t).DSN)
	r := receive(t)
	id := h.hook(r, everything).Target.Record.ID
	b := h.beside(h.clock, h.database) // opened now, it knows the target from its start
	b.sendsHere(nothing)
	const each = 20
	want := map[string]bool{}
	var both sync.WaitGroup
	for name, server := range map[string]*house{"here": h, "there": b} {
		for i := range each {
			want[fmt.Sprintf("%s-%d", name, i)] = true
		}
		both.Go(func() {
			for i := range each {
				p := record.Principal{Name: fmt.Sprintf("%s-%d", name, i), Type: record.Human}
				if _, err := server.reg.EnrolPrincipal(h.ctx, administrator, p); err != nil {
					t.Error(err)
				}
			}
		})
	}
	both.Wait()
	ids := map[string]bool{}
	for range 2 * each {
		g := r.next()
		name := strings.TrimSuffix(strings.TrimPrefix(g.event.Data.Summary, "administrator enrolled "), ", or changed it.")
		if !want[name] || ids[g.header.Get("webhook-id")] {
			t.Errorf("came twice, or was never stated: %s", g.body)
		}
		delete(want, name)
		ids[g.header.Get("webhook-id")] = true
	}
	for _, server := range []*house{h, b} {
		server.eventually(id, "all sent", func(s wire.TargetStatus) bool { return s.Sent == 2*each && s.Behind == 0 })
	}
	r.quiet()
}

// TestAServerThatLosesItsDatabaseLosesNoNotice cuts a server off after it has sent
// something and before it could note that: another one takes the target over, and
// sends it again under the same ID.
func TestAServerThatLosesItsDatabaseLosesNoNotice(t *testing.T) {
	t.Cleanup(registry.SetLease(time.Second)) // the first, so that it is undone when the servers have closed
	h := openOn(t, storetest.Postgres(t).DSN)
	line := newCable(t, h.database)
	b := h.beside(h.clock, line.dsn)
	b.sendsHere(nothing)
	if err := h.reg.Close(); err != nil {
		t.Fatal(err)
	}
	r := receive(t)
	target := b.hook(r, everything)
	b.enrol("first")
	r.next()
	arrived, hold := make(chan struct{}, 10), make(chan struct{})
	r.answers(func(w http.ResponseWriter) {
		arrived <- struct{}{}
		<-hold
	})
	b.enrol("second")
	<-arrived
	line.cut()
	r.answers(nil)
	close(hold)
	lost := r.next()
	h.sendsHere(nothing)
	again := r.next()
	if lost.header.Get("webhook-id") != again.header.Get("webhook-id") || !strings.Contains(again.event.Data.Summary, "enrolled second") {
		t.Errorf("%s came again as %s", lost.body, again.body)
	}
	h.enrol("third")
	third := r.next()
	if third.signedBy(t, target.Secret); !strings.Contains(third.event.Data.Summary, "enrolled third") {
		t.Errorf("then came %s", third.body)
	}
	line.mend()
	h.eventually(target.Target.Record.ID, "three sent", func(s wire.TargetStatus) bool { return s.Sent == 3 && s.Behind == 0 })
	r.quiet()
}
