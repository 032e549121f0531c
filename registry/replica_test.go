package registry_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/drift"
	"imprimatur.dev/record"
	"imprimatur.dev/store/storetest"
	"imprimatur.dev/wire"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// beside opens a second server on the house's database, through a wire of its own.
func (h *house) beside(c *clock, database string) *house {
	h.Helper()
	b := &house{TB: h.TB, ctx: h.ctx, clock: c, dir: h.TempDir(), database: database}
	keys := filepath.Join(b.dir, "keys")
	if err := os.CopyFS(keys, os.DirFS(filepath.Join(h.dir, "keys"))); err != nil {
		h.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(keys, "server.key"), 0o600); err != nil {
		h.Fatal(err)
	}
	b.reopen()
	return b
}

// within asks again and again until it is so, and returns how long it took.
func (h *house) within(most time.Duration, what string, so func() bool) time.Duration {
	h.Helper()
	began := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		if time.Since(began) > most {
			h.Fatalf("after %s it is still not so: %s", most, what)
		}
		<-tick.C
	}
	return time.Since(began)
}

func TestRule10RevocationCrossesReplicasWithinFiveSeconds(t *testing.T) {
	h := openOn(t, storetest.Postgres(t).DSN)
	b := h.beside(h.clock, h.database)
	const bound = 5 * time.Second
	c := h.live("1")
	b.within(bound, "the other server allows it", func() bool { return b.decide("1").Allowed })
	stop := func(what string, change, undo func() error) {
		t.Helper()
		if err := change(); err != nil {
			t.Fatal(err)
		}
		h.forbidden("1")
		took := b.within(bound, what+" is refused by the other server", func() bool { return !b.decide("1").Allowed })
		t.Logf("%s reached the other server after %s", what, took.Round(time.Millisecond))
		if err := undo(); err != nil {
			t.Fatal(err)
		}
		// Either server may have undone it, so that both may hear of it late.
		h.within(bound, what+" undone is allowed by the first server", func() bool { return h.decide("1").Allowed })
		b.within(bound, what+" undone is allowed by the other server", func() bool { return b.decide("1").Allowed })
	}
	stop("a suspension",
		func() error { return only(h.reg.Suspend(h.ctx, sam, c.ID, "r", false)) },
		func() error { return only(b.reg.Suspend(h.ctx, sam, c.ID, "r", true)) })
	stop("withdrawn data",
		func() error {
			return only(h.reg.DecideData(h.ctx, bob, record.DataApproval{Dataset: digest("data 1"), Decision: record.Withdraw, Reason: "r"}))
		},
		func() error { h.approveData(digest("data 1")); return nil })
}

// TestRule10AReplicaThatCannotSeeTheLedgerRefuses cuts one server's connection.
func TestRule10AReplicaThatCannotSeeTheLedgerRefuses(t *testing.T) {
	h := openOn(t, storetest.Postgres(t).DSN)
	line := newCable(t, h.database)
	b := h.beside(h.clock, line.dsn)
	b.reg.SetStale(1500 * time.Millisecond)
	h.live("1")
	b.within(5*time.Second, "the other server allows it", func() bool { return b.decide("1").Allowed })
	line.cut()
	took := b.within(4*time.Second, "the cut-off server refuses", func() bool { return !b.decide("1").Allowed })
	b.forbidden("1", "has not seen the ledger", "check its database")
	if _, err := b.reg.EnvironmentsOf(h.ctx, "clinic"); err == nil {
		t.Error("the cut-off server says which environment a namespace means")
	}
	_, at := b.reg.DecideAt(h.ctx, "production", "s3://models/net/1")
	_, named := b.reg.DecideRelease(h.ctx, "production", h.decide("1").Release)
	h.no(at, "has not seen the ledger")
	h.no(named, "has not seen the ledger")
	if took < 500*time.Millisecond {
		t.Errorf("it refused after %s already, before its bound", took)
	}
	if err := b.reg.Ready(h.ctx); err == nil {
		t.Error("the cut-off server says that it is ready")
	}
	h.allowed("1")
	line.mend()
	b.within(10*time.Second, "the mended server allows it again", func() bool { return b.decide("1").Allowed })
}

// TestRule10ASlowClockForgetsNothing gives the second server a clock that is an
// hour behind.
func TestRule10ASlowClockForgetsNothing(t *testing.T) {
	h := openOn(t, storetest.Postgres(t).DSN)
	slow := h.beside(&clock{at: h.clock.peek().Add(-time.Hour)}, h.database)
	c := h.live("1")
	slow.within(5*time.Second, "the slow server allows it", func() bool { return slow.decide("1").Allowed })
	must[wire.Case](t)(h.reg.Suspend(h.ctx, sam, c.ID, "incident", false))
	slow.within(5*time.Second, "the slow server refuses", func() bool { return !slow.decide("1").Allowed })
	must[wire.Case](t)(h.reg.Suspend(h.ctx, sam, c.ID, "over", true))
	must[record.Recorded[record.DataApproval]](t)(h.reg.DecideData(h.ctx, bob, record.DataApproval{Dataset: digest("data 1"), Decision: record.Withdraw, Reason: "r"}))
	_, err := slow.reg.Rollback(h.ctx, olga, c.ID, c.ID, "r")
	h.refused(err, wire.Conflict)
	if got := slow.check(c.ID); got.Verdict.Passed || got.Stands {
		t.Errorf("the slow server passes over the withdrawal: %+v", got.Verdict)
	}
}

func TestReplicasNeitherLoseNorDouble(t *testing.T) {
	h := openOn(t, storetest.Postgres(t).DSN)
	b := h.beside(h.clock, h.database)
	ids := h.three()
	atTheSameTime([]*house{h, b}, ids, 12)
	for _, v := range []string{"1", "2", "3"} {
		want := h.decide(v).Allowed
		b.within(5*time.Second, "both servers decide alike on "+v, func() bool { return b.decide(v).Allowed == want })
	}
}

func TestOneKeyAtOnceOnTwoServersIsOneStatement(t *testing.T) {
	h := openOn(t, storetest.Postgres(t).DSN)
	servers := []*house{h, h.beside(h.clock, h.database)}
	size := h.size()
	who := ann
	who.Request = "once#1"
	var mu sync.Mutex
	answers := map[record.Digest]int{}
	atOnce(16, func(i int) {
		got, err := servers[i%2].reg.RegisterModel(h.ctx, who, record.Model{Team: "lab", Name: "twin", Type: record.Trained, Owner: "olga"})
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		answers[got.Statement]++
	})
	if len(answers) != 1 || h.size() != size+1 {
		t.Errorf("%d answers and %d statements, want one", len(answers), h.size()-size)
	}
}

// cable is a wire to the database that can be cut.
type cable struct {
	t      *testing.T
	dsn    string
	socket string
	server string

	mu    sync.Mutex
	mouth net.Listener
	conns []net.Conn
}

func newCable(t *testing.T, dsn string) *cable {
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	// A socket's path is short by the system's rule, so not in t.TempDir.
	dir, err := os.MkdirTemp("", "cable")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	query := u.Query()
	name := ".s.PGSQL." + query.Get("port")
	c := &cable{t: t, socket: filepath.Join(dir, name), server: filepath.Join(query.Get("host"), name)}
	query.Set("host", dir)
	u.RawQuery = query.Encode()
	c.dsn = u.String()
	c.mend()
	t.Cleanup(c.cut)
	return c
}

// mend lets connections through.
func (c *cable) mend() {
	mouth, err := net.Listen("unix", c.socket)
	if err != nil {
		c.t.Fatal(err)
	}
	c.mu.Lock()
	c.mouth = mouth
	c.mu.Unlock()
	go func() {
		for {
			in, err := mouth.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("unix", c.server)
			if err != nil {
				in.Close()
				continue
			}
			c.mu.Lock()
			c.conns = append(c.conns, in, out)
			c.mu.Unlock()
			go io.Copy(in, out) //nolint:errcheck // it ends when it is cut
			go io.Copy(out, in) //nolint:errcheck // it ends when it is cut
		}
	}()
}

// cut ends all connections, and lets none in until it is mended.
func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mouth.Close()
	for _, conn := range c.conns {
		conn.Close()
	}
	c.conns = nil
}

// TestTwoServersCountTheSameWindow sends batches of one hour to two servers at once, some to
// both, and has both close it: each counts once, and one statement is made, with the very
// counts of one server that was sent all.
func TestTwoServersCountTheSameWindow(t *testing.T) {
	h, c := watchedOn(openOn(t, storetest.Postgres(t).DSN))
	b := h.beside(h.clock, h.database)
	b.share(h)
	h.at(3, 0)
	const batches, rows = 24, 50
	frame := must[*drift.Frame](t)(drift.NewFrame(must[drift.Baseline](t)(drift.Capture(table(1, 5000, 0)))))
	want := frame.NewSketch()
	var sent sync.WaitGroup
	for i := range batches {
		rowsOf := table(uint64(200+i), rows, 0.1)
		want.AddBatch(0, rowsOf.Columns[0].Numbers)
		want.AddCategories(1, rowsOf.Columns[1].Labels)
		for k, server := range []*house{h, b} {
			if i%3 == k {
				continue // the third of each three goes to both
			}
			sent.Go(func() {
				got, err := server.reg.Observe(h.ctx, scorer, batch(fmt.Sprint("b-", i), 2), bytes.NewReader(ndjson(rowsOf, "")))
				if err != nil || got.Rows != rows || got.Windows[0].Late {
					t.Errorf("batch %d at server %d: %+v, %v", i, k, got, err)
				}
			})
		}
	}
	sent.Wait()
	h.clock.set(time.Date(2026, 5, 2, 3, 30, 0, 0, time.UTC))
	for _, server := range []*house{h, b} {
		sent.Go(func() {
			if err := server.reg.CloseWindows(h.ctx); err != nil {
				t.Error(err)
			}
		})
	}
	sent.Wait()
	b.within(5*time.Second, "the other server has read the window", func() bool { return len(b.windows(c)) > 0 })
	all := h.windows(c)
	if len(all) != 1 || all[0].Record.Rows != batches*rows || all[0].Record.Batches != batches {
		t.Fatalf("the windows are %+v", all)
	}
	if other := b.windows(c); len(other) != 1 || other[0].Digest != all[0].Digest {
		t.Errorf("the other server has %+v", other)
	}
	h.judgedAgain(all[0])
	var report wire.WindowReport
	content := must[io.ReadCloser](t)(b.reg.WindowReport(h.ctx, rita, all[0].Record.Report))
	if err := json.UnmarshalRead(content, &report); err != nil || content.Close() != nil {
		t.Fatal(err)
	}
	if one := must[string](t)(func() (string, error) { raw, err := want.Canonical(); return string(raw), err }()); string(report.Sketch) != one {
		t.Errorf("two servers counted\n%s\nand one counts\n%s", report.Sketch, one)
	}
}

// share gives a server the blobs of another, as servers have that keep them in S3.
func (h *house) share(with *house) {
	h.Helper()
	h.reg.Close()
	blobs := filepath.Join(h.dir, "blobs")
	if err := errors.Join(os.RemoveAll(blobs), os.Symlink(filepath.Join(with.dir, "blobs"), blobs)); err != nil {
		h.Fatal(err)
	}
	h.reopen()
}
