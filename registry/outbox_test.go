package registry_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/guard"
	"imprimatur.dev/notify"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/store/storetest"
	"imprimatur.dev/wire"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// got is one request that a receiver had.
type got struct {
	header http.Header
	body   []byte
	event  notify.Event
}

// receiver is an HTTP server that keeps what it is sent.
type receiver struct {
	testing.TB
	*httptest.Server
	came chan got

	mu     sync.Mutex
	answer func(http.ResponseWriter)
}

func receive(t testing.TB) *receiver {
	r := &receiver{TB: t, came: make(chan got, 1000)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		one := got{header: q.Header, body: body}
		_ = json.Unmarshal(body, &one.event)
		r.mu.Lock()
		answer := r.answer
		r.mu.Unlock()
		if answer != nil {
			answer(w)
		}
		r.came <- one
	}))
	t.Cleanup(r.Close)
	return r
}

// answers sets how the receiver answers from now on; nil is with 200.
func (r *receiver) answers(fn func(http.ResponseWriter)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = fn
}

func status(code int) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { w.WriteHeader(code) }
}

// next is the next request.
func (r *receiver) next() got {
	r.Helper()
	select {
	case g := <-r.came:
		return g
	case <-time.After(patience):
		r.Fatal("nothing came")
		panic("unreachable")
	}
}

// quiet demands that nothing has come.
func (r *receiver) quiet() {
	r.Helper()
	select {
	case g := <-r.came:
		r.Errorf("came %s", g.body)
	default:
	}
}

// signedBy demands the signature of Standard Webhooks.
func (g got) signedBy(t testing.TB, secret string) {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, raw)
	fmt.Fprintf(mac, "%s.%s.%s", g.header.Get("webhook-id"), g.header.Get("webhook-timestamp"), g.body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	if all := strings.Fields(g.header.Get("webhook-signature")); !contains(all, want) {
		t.Errorf("signed %q, want %q among them", all, want)
	}
}

func contains(all []string, one string) bool {
	for _, a := range all {
		if a == one {
			return true
		}
	}
	return false
}

// eventually demands that something becomes true of a target.
func (h *house) eventually(id, what string, is func(wire.TargetStatus) bool) wire.TargetStatus {
	h.Helper()
	end := time.Now().Add(patience)
	for {
		s := must[wire.TargetStatus](h)(h.reg.Target(h.ctx, administrator, id))
		if is(s) {
			return s
		}
		if time.Now().After(end) {
			h.Fatalf("the target never had %s: %+v", what, s)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// told is a house that may send to this machine.
func told(t *testing.T, database string) *house {
	h := openOn(t, database)
	h.sendsHere(nothing)
	return h
}

// sendsHere closes the registry and opens it so that it sends to this machine.
func (h *house) sendsHere(change func(*registry.Config)) {
	h.Helper()
	if err := h.reg.Close(); err != nil {
		h.Fatal(err)
	}
	g, err := guard.Allow("127.0.0.1")
	if err != nil {
		h.Fatal(err)
	}
	cfg := registry.Config{Data: h.dir, Database: h.database, Now: h.clock.now, Notify: registry.Notify{URL: "https://imprimatur.example", Guard: g}}
	change(&cfg)
	reg, err := registry.Open(h.ctx, cfg)
	if err != nil {
		h.Fatal(err)
	}
	h.reg = reg
	h.Cleanup(func() { reg.Close() })
}

func (h *house) hook(r *receiver, change func(*wire.TargetRequest)) wire.KeptTarget {
	h.Helper()
	in := wire.TargetRequest{Team: record.AllTeams, Name: "hook", Form: record.FormWebhook, URL: r.URL + "/hook"}
	change(&in)
	return must[wire.KeptTarget](h)(h.reg.AddTarget(h.ctx, administrator, in))
}

func everything(*wire.TargetRequest) {}

func nothing(*registry.Config) {}

// onBoth runs a test on SQLite and on PostgreSQL.
func onBoth(t *testing.T, fn func(*testing.T, *house)) {
	t.Run("sqlite", func(t *testing.T) { fn(t, told(t, "")) })
	t.Run("postgres", func(t *testing.T) { fn(t, told(t, storetest.Postgres(t).DSN)) })
}

func TestTargetsAreToldInOrderAndSigned(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		r := receive(t)
		target := h.hook(r, everything)
		c := h.ready("1")
		want := []string{"model-version", "data-approval", "evaluation", "release", "approval", "approval", "approval"}
		seen := map[string]string{}
		for len(want) > 0 {
			g := r.next()
			g.signedBy(t, target.Secret)
			kind := strings.TrimPrefix(g.event.Type, "dev.imprimatur.")
			seen[kind] = g.event.Data.Summary
			if g.header.Get("Content-Type") != "application/cloudevents+json; charset=utf-8" || g.event.SpecVersion != "1.0" || g.event.Source != h.reg.Origin() || g.event.ID != fmt.Sprintf("entry-%d", g.event.Data.Index) {
				t.Errorf("sent as %v: %s", g.header, g.body)
			}
			if kind == "release" && (g.event.Data.Release != c.ID || g.event.Data.Environment != "production" || g.event.Data.Team != "lab" || g.event.Data.Links.Page != "https://imprimatur.example/releases/"+c.ID) {
				t.Errorf("told %s", g.body)
			}
			for i, k := range want {
				if k == kind {
					want = append(want[:i], want[i+1:]...)
					break
				}
			}
		}
		if !strings.Contains(seen["approval"], "rita approved "+c.ID+" (lab/net/lab:triage/production) as risk: seen.") {
			t.Errorf("an approval is told as %q", seen["approval"])
		}
		h.eventually(target.Target.Record.ID, "nothing left", func(s wire.TargetStatus) bool { return s.Sent >= 7 && s.Failures == 0 })
		r.quiet()
	})
}

func TestFiltersKeepOutWhatIsNotAskedFor(t *testing.T) {
	h := told(t, "")
	must[record.Recorded[record.Team]](t)(h.reg.CreateTeam(h.ctx, administrator, record.Team{Name: "other"}))
	r := receive(t)
	foreign := h.hook(r, func(in *wire.TargetRequest) { in.Team, in.URL = "other", r.URL+"/foreign" })
	staging := h.hook(r, func(in *wire.TargetRequest) { in.Environments = []string{"staging"} })
	approvals := h.hook(r, func(in *wire.TargetRequest) {
		in.Team, in.Events, in.Environments = "lab", []string{"approval"}, []string{"production"}
	})
	off := h.hook(r, everything)
	must[wire.KeptTarget](t)(h.reg.ChangeTarget(h.ctx, administrator, off.Target.Record.ID, wire.TargetChange{Disabled: new(true)}))
	h.ready("1")
	for range 3 {
		if g := r.next(); g.event.Type != "dev.imprimatur.approval" {
			t.Errorf("told %s", g.body)
		}
	}
	size := must[int64](t)(h.reg.Size(h.ctx))
	h.eventually(approvals.Target.Record.ID, "three", func(s wire.TargetStatus) bool { return s.Sent == 3 })
	// A target that is enabled again is told of what is stated from then on.
	must[wire.KeptTarget](t)(h.reg.ChangeTarget(h.ctx, administrator, off.Target.Record.ID, wire.TargetChange{Disabled: new(false)}))
	h.enrol("new")
	g := r.next()
	g.signedBy(t, off.Secret)
	if g.event.Type != "dev.imprimatur.principal" || g.event.Data.Index != size+1 {
		t.Errorf("told %s", g.body)
	}
	for _, id := range []string{foreign.Target.Record.ID, staging.Target.Record.ID} {
		if s := must[wire.TargetStatus](t)(h.reg.Target(h.ctx, administrator, id)); s.Sent != 0 || s.Fault != "" {
			t.Errorf("told: %+v", s)
		}
	}
	r.quiet()
	// A model owner sees and changes the team's alone.
	if mine := must[[]wire.TargetStatus](t)(h.reg.Targets(h.ctx, olga, "")); len(mine) != 1 || mine[0].Target.Record.ID != approvals.Target.Record.ID {
		t.Errorf("olga sees %+v", mine)
	}
	_, err := h.reg.Targets(h.ctx, rita, "")
	h.refused(err, wire.Forbidden, "administrator or model-owner")
}

// What was committed and not sent when the server was closed is sent by the next
// one; what was sent and not noted comes again under the same ID.
func TestNothingIsLostByARestart(t *testing.T) {
	onBoth(t, func(t *testing.T, h *house) {
		r := receive(t)
		target := h.hook(r, everything)
		hold := make(chan struct{})
		arrived := make(chan struct{}, 10)
		r.answers(func(http.ResponseWriter) {
			arrived <- struct{}{}
			<-hold
		})
		h.enrol("first")
		// The receiver has the request, and the server ends without an answer.
		<-arrived
		h.sendsHere(nothing)
		close(hold)
		r.answers(nil)
		lost := r.next()
		again := r.next()
		if lost.header.Get("webhook-id") != again.header.Get("webhook-id") || lost.event.ID != again.event.ID || lost.event.Data.Summary != "administrator enrolled first, or changed it." {
			t.Errorf("%s came again as %s", lost.body, again.body)
		}
		again.signedBy(t, target.Secret)
		h.eventually(target.Target.Record.ID, "one sent", func(s wire.TargetStatus) bool { return s.Sent == 1 })
		r.quiet()
	})
}
