package server_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"imprimatur.dev/client"
	"imprimatur.dev/ledger"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server"
	"imprimatur.dev/wire"
)

var administrator = registry.Caller{Name: registry.FirstAdministrator, Type: record.Human, Method: record.MethodToken}

// count counts the statements of a kind, page by page.
func (h *house) count(kind record.Kind) int {
	h.Helper()
	n, before := 0, int64(0)
	for more := true; more; more = before > 0 {
		p := must[wire.Page](h)(h.admin.List(h.ctx, kind, before, 0))
		n, before = n+len(p.Entries), p.Next
	}
	return n
}

// 32 people approve two releases at once, and each of them tries to promote
// both as soon as they have spoken.
func TestThirtyTwoClientsLoseAndDoubleNothing(t *testing.T) {
	const crowd = 32
	h := settle(t)
	names := make([]string, crowd)
	for i := range names {
		names[i] = fmt.Sprintf("owner%d", i)
		h.enrol(record.Principal{Name: names[i], Type: record.Human}, record.ModelOwner)
	}
	var cases []wire.Case
	for _, version := range []string{"1", "2"} {
		h.evaluate(h.train(version))
		c := must[wire.Case](t)(h.propose(version))
		must[wire.Case](t)(h.approve("rita", record.Risk, c))
		cases = append(cases, must[wire.Case](t)(h.approve("sam", record.Security, c)))
	}
	approvals := h.count(record.KindApproval)

	var wg sync.WaitGroup
	var mu sync.Mutex
	promoted := 0
	for i, name := range names {
		wg.Go(func() {
			c := cases[i%2]
			if _, err := h.approve(name, record.ModelOwner, c); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			_, err := h.people[name].Promote(h.ctx, c.ID)
			var p *client.Problem
			switch {
			case err == nil:
				mu.Lock()
				promoted++
				mu.Unlock()
			case !errors.As(err, &p) || p.Code != wire.Conflict && p.Code != wire.Refused:
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	wg.Wait()
	if got := h.count(record.KindApproval) - approvals; got != crowd {
		t.Errorf("%d approvals were stated, want %d", got, crowd)
	}
	if got := h.count(record.KindPromotion); got != promoted || got < 2 {
		t.Errorf("%d promotions were stated, %d were answered", got, promoted)
	}
	live := must[[]wire.LiveRelease](t)(h.people["vic"].Live(h.ctx, now()))
	if len(live) != 1 {
		t.Fatalf("%d releases are live in one line", len(live))
	}
	for _, c := range cases {
		d := must[wire.Decision](t)(h.people["vic"].Decide(h.ctx, "production", c.Release.Record.Behaviour.Artifact))
		if d.Allowed != (c.ID == live[0].Release) {
			t.Errorf("%s may run: %v, live is %s", c.ID, d.Allowed, live[0].Release)
		}
	}
}

// The same request with the same key, many times at once, is one statement.
func TestOneKeyAtOnceIsOneStatement(t *testing.T) {
	h := open(t)
	var wg sync.WaitGroup
	answers := make([]record.Recorded[record.Team], 32)
	for i := range answers {
		wg.Go(func() {
			answers[i] = body[record.Recorded[record.Team]](h, h.ask("administrator", "POST", "/api/v1/teams", `{"name":"lab"}`, "Idempotency-Key", "k"))
		})
	}
	wg.Wait()
	for _, a := range answers {
		if a != answers[0] {
			t.Fatalf("answers differ: %+v and %+v", answers[0], a)
		}
	}
	if n := h.count(record.KindTeam); n != 1 {
		t.Errorf("%d statements", n)
	}
}

// What an outside reader sees of the log is the tree that the checkpoint signs.
func TestTilesAreTheLedger(t *testing.T) {
	h := open(t)
	for i := range 300 {
		must[record.Recorded[record.Team]](t)(h.reg.CreateTeam(h.ctx, administrator, record.Team{Name: fmt.Sprintf("team%d", i)}))
	}
	nobody := client.New(h.url, "")
	at := must[ledger.Checkpoint](t)(ledger.UnverifiedCheckpoint(must[[]byte](t)(nobody.Checkpoint(h.ctx))))
	status := must[wire.LogStatus](t)(nobody.Status(h.ctx))
	if status.Size != at.Size || status.Origin != at.Origin || tlog.Hash(status.Root) != at.Root || status.Key != h.reg.VerifierKey() {
		t.Errorf("the status is %+v, the checkpoint %+v", status, at)
	}
	hashes := h.leafHashes(at.Size)
	if root := rootOf(t, hashes); root != at.Root {
		t.Errorf("the leaves make the root %s, the checkpoint signs %s", root, at.Root)
	}
	full := h.ask("", "GET", "/log/tile/0/000", "")
	raw := content(h, full)
	if got := full.Header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
		t.Errorf("a full tile is cached %q", got)
	}
	for i := range ledger.TileWidth {
		if tlog.Hash(raw[i*tlog.HashSize:(i+1)*tlog.HashSize]) != hashes[i] {
			t.Fatalf("hash %d of the tile is not that of the leaf", i)
		}
	}
	partial := content(h, h.ask("", "GET", fmt.Sprintf("/log/tile/0/001.p/%d", at.Size-256), ""))
	if len(partial) != int(at.Size-256)*tlog.HashSize || tlog.Hash(partial[:tlog.HashSize]) != hashes[256] {
		t.Errorf("the partial tile has %d bytes", len(partial))
	}
	for _, path := range []string{"/log/tile/0/001", "/log/tile/0/001.p/255", "/log/tile/0/0", "/log/tile/9/000", "/log/tile/entries/x"} {
		if answer := h.ask("", "GET", path, ""); answer.StatusCode != 404 || answer.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %s, cached %q", path, answer.Status, answer.Header.Get("Cache-Control"))
		}
	}
	p := must[wire.Proof](t)(nobody.Proof(h.ctx, 123))
	if err := tlog.CheckRecord(hashesOf(p.Hashes), at.Size, at.Root, 123, hashes[123]); err != nil || p.Index != 123 {
		t.Errorf("the proof of entry 123: %v", err)
	}
	c := must[wire.Consistency](t)(nobody.Consistency(h.ctx, 100, at.Size))
	if err := tlog.CheckTree(hashesOf(c.Hashes), at.Size, at.Root, 100, rootOf(t, hashes[:100])); err != nil {
		t.Errorf("the proof from 100 entries on: %v", err)
	}
}

// leafHashes hashes the leaves of the entry bundles.
func (h *house) leafHashes(size int64) []tlog.Hash {
	h.Helper()
	var hashes []tlog.Hash
	for n := int64(0); n*ledger.TileWidth < size; n++ {
		path := fmt.Sprintf("/log/tile/entries/%03d", n)
		if rest := size - n*ledger.TileWidth; rest < ledger.TileWidth {
			path += fmt.Sprintf(".p/%d", rest)
		}
		leaves := must[[][]byte](h)(ledger.ParseEntries(content(h, h.ask("", "GET", path, ""))))
		for _, leaf := range leaves {
			hashes = append(hashes, tlog.RecordHash(leaf))
		}
	}
	return hashes
}

func content(h *house, answer *http.Response) []byte {
	h.Helper()
	if answer.StatusCode != 200 {
		h.Fatalf("%s: %s", answer.Request.URL.Path, answer.Status)
	}
	return must[[]byte](h)(readAll(answer))
}

func hashesOf(raw [][]byte) []tlog.Hash {
	out := make([]tlog.Hash, len(raw))
	for i := range raw {
		out[i] = tlog.Hash(raw[i])
	}
	return out
}

// rootOf computes an RFC 6962 root from its definition, by splitting.
func rootOf(t testing.TB, leaves []tlog.Hash) tlog.Hash {
	t.Helper()
	if len(leaves) == 1 {
		return leaves[0]
	}
	k := 1
	for k*2 < len(leaves) {
		k *= 2
	}
	return tlog.NodeHash(rootOf(t, leaves[:k]), rootOf(t, leaves[k:]))
}

func TestServeEndsWhenAsked(t *testing.T) {
	h := open(t)
	l := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	ctx, stop := context.WithCancel(h.ctx)
	entered, leave := make(chan struct{}), make(chan struct{})
	slow := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-leave
		fmt.Fprint(w, "done")
	})
	served := make(chan error, 1)
	go func() { served <- server.ServeOn(ctx, l, slow) }()
	answered := make(chan string, 1)
	go func() {
		answer, err := http.Get("http://" + l.Addr().String())
		if err != nil {
			answered <- err.Error()
			return
		}
		defer answer.Body.Close()
		raw, _ := readAll(answer)
		answered <- string(raw)
	}()
	<-entered
	stop()
	close(leave)
	if got := <-answered; got != "done" {
		t.Errorf("the request under way was answered with %q", got)
	}
	if err := <-served; err != nil {
		t.Errorf("the server ended with %v", err)
	}
	if err := server.Serve(h.ctx, "127.0.0.1:no-port", slow); err == nil {
		t.Error("a server listens where it cannot")
	}
}
