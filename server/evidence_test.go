package server_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"

	"imprimatur.dev/client"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// counting counts what is read of a file.
type counting struct {
	io.ReaderAt
	n int64
}

func (c *counting) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, at)
	c.n += int64(n)
	return n, err
}

func TestEvidenceIsSentOnceAndByEvaluators(t *testing.T) {
	h := settle(t)
	content := bytes.Repeat([]byte("evidence "), 2<<20)
	d := record.DigestOf(content)
	send := func(who string) (int64, error) {
		file := &counting{ReaderAt: bytes.NewReader(content)}
		err := h.people[who].KeepEvidence(h.ctx, d, file, int64(len(content)), nil)
		return file.n, err
	}
	// A refusal comes through while the file is still being sent.
	sent, err := send("vic")
	h.refused(err, wire.Forbidden, "vic may not")
	if sent > int64(len(content))/2 {
		t.Errorf("%d bytes were sent by who may not", sent)
	}
	var told []int64
	err = h.people["eve"].KeepEvidence(h.ctx, d, bytes.NewReader(content), int64(len(content)), func(done, total int64) {
		if total != int64(len(content)) {
			t.Errorf("the total is told to be %d", total)
		}
		told = append(told, done)
	})
	if err != nil || len(told) == 0 || told[len(told)-1] != int64(len(content)) {
		t.Errorf("told of %v: %v", told, err)
	}
	if got := must[[]byte](t)(h.people["vic"].Evidence(h.ctx, d)); !bytes.Equal(got, content) {
		t.Errorf("%d bytes came back of %d", len(got), len(content))
	}
	if sent, err := send("eve"); err != nil || sent > int64(len(content))/2 {
		t.Errorf("what is there was sent again, %d bytes: %v", sent, err)
	}
	empty := record.DigestOf(nil)
	if err := h.people["eve"].KeepEvidence(h.ctx, empty, bytes.NewReader(nil), 0, nil); err != nil {
		t.Errorf("an empty file: %v", err)
	}
}

func TestEvidenceThatIsNotWhatItSaysIsRefused(t *testing.T) {
	h := settle(t)
	at := func(d record.Digest) string { return "/api/v1/evidence/" + url.PathEscape(string(d)) }
	p := h.problem(h.ask("eve", http.MethodPut, at(digest("other bytes")), "these bytes"), 422)
	if !strings.Contains(p.Detail, string(digest("these bytes"))) {
		t.Errorf("the refusal says %q", p.Detail)
	}
	h.problem(h.ask("eve", http.MethodPut, at("sha256:00"), "x"), 422)
	h.problem(h.ask("", http.MethodPut, at(digest("x")), "x"), 401)
	h.problem(h.ask("eve", http.MethodGet, at(digest("these bytes")), ""), 404)
	if a := h.ask("eve", http.MethodPatch, at(digest("x")), "x"); a.StatusCode != 405 || !strings.Contains(a.Header.Get("Allow"), "PUT") {
		t.Errorf("%s, allowed is %q", a.Status, a.Header.Get("Allow"))
	}
	// A file that is too large is refused before it is sent.
	conn := must[net.Conn](t)((&net.Dialer{}).DialContext(h.ctx, "tcp", strings.TrimPrefix(h.url, "http://")))
	defer conn.Close()
	fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", at(digest("x")), h.tokens["eve"], int64(wire.MaxEvidence)+1)
	answer := must[*http.Response](t)(http.ReadResponse(bufio.NewReader(conn), nil))
	defer answer.Body.Close()
	if raw := must[[]byte](t)(io.ReadAll(answer.Body)); answer.StatusCode != 422 || !strings.Contains(string(raw), "at most 4294967296") {
		t.Errorf("%s: %s", answer.Status, raw)
	}
}

func TestUploadThatBreaksOffIsNotKept(t *testing.T) {
	h := settle(t)
	content := strings.Repeat("evidence ", 1<<20)
	d := digest(content)
	broken := errors.New("the disk is gone")
	req := must[*http.Request](t)(http.NewRequestWithContext(h.ctx, http.MethodPut, h.url+"/api/v1/evidence/"+string(d),
		io.MultiReader(strings.NewReader(content[:len(content)/2]), iotest.ErrReader(broken))))
	req.Header.Set("Authorization", "Bearer "+h.tokens["eve"])
	req.ContentLength = int64(len(content))
	if answer, err := http.DefaultClient.Do(req); !errors.Is(err, broken) {
		answer.Body.Close()
		t.Fatalf("the upload did not break off: %v", err)
	}
	_, err := h.people["eve"].Evidence(h.ctx, d)
	h.refused(err, wire.Unknown)
	ended, cancel := context.WithCancel(h.ctx)
	cancel()
	if err := h.people["eve"].KeepEvidence(ended, d, strings.NewReader(content), int64(len(content)), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestEvaluationsOverHTTPAreWhatTheServerRead(t *testing.T) {
	h := settle(t)
	got := h.evaluate(h.train("1"))
	e := got.Record
	if m := e.Metrics[0]; m.Value != 0.95 || *m.Successes != 950 || e.Attempt != 1 || e.Assurance != record.Imported || got.Actor != "eve" {
		t.Errorf("recorded %+v by %s", e, got.Actor)
	}
	// A ready-made evaluation is not a submission.
	h.problem(h.ask("eve", http.MethodPost, "/api/v1/evaluations", `{"evaluation":{"team":"lab"},"evidence":""}`), 422)
	nobody := client.New(h.url, "")
	_, err := nobody.RecordEvaluations(h.ctx, wire.Submission{})
	h.refused(err, wire.SignIn)
}
