package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// BenchmarkAuthorizeByHTTP holds a decision over HTTP against a bare handler of Go
// that reads and writes JSON of the same shape: rounds of each in turn, by a client
// that costs next to nothing. CPU is that of the process, with the client.
func BenchmarkAuthorizeByHTTP(b *testing.B) {
	h := settle(b)
	h.evaluate(h.train("1"))
	p := proposal("1")
	p.Authority = record.Authority{Workloads: []string{"robot"}, APIs: []record.Grant{{Resource: "crm.example/cases/*", Actions: []string{"GET"}, Condition: `args.ward == "7"`}}}
	c := must[wire.Case](b)(h.people["ann"].ProposeRelease(h.ctx, p))
	must[wire.Case](b)(h.approve("olga", record.ModelOwner, c))
	must[wire.Case](b)(h.approve("rita", record.Risk, c))
	must[wire.Case](b)(h.approve("sam", record.Security, c))
	must[wire.Promoted](b)(h.people["olga"].Promote(h.ctx, c.ID))
	bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var ask wire.Ask
		if err := json.UnmarshalRead(r.Body, &ask); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.MarshalWrite(w, wire.Answer{Allowed: ask.Workload == "robot", Release: "r-0123456789ab", Line: "lab/net/triage/production", Grant: &p.Authority.APIs[0], At: time.Now()})
	}))
	defer bare.Close()
	ask := `{"workload":"robot","kind":"apis","resource":"crm.example/cases/7","action":"GET","arguments":{"ward":"7"}}`
	question := `{"subject":{"type":"workload","id":"robot"},"resource":{"type":"api","id":"crm.example/cases/7"},"action":{"name":"GET","properties":{"ward":"7"}}}`
	peers := []*peer{
		dial(b, bare.URL, "/", h.tokens["robot"], ask, `"allowed":true`), dial(b, h.url, "/api/v1/authorize", h.tokens["robot"], ask, `"allowed":true`),
		dial(b, h.url, "/access/v1/evaluation", h.tokens["robot"], question, `"decision":true`),
	}
	const round = 500
	cpu, took := make([]time.Duration, len(peers)), make([]time.Duration, len(peers))
	n := 0
	for b.Loop() {
		for i, p := range peers {
			began, cpuBegan := time.Now(), process()
			for range round {
				p.ask()
			}
			cpu[i], took[i] = cpu[i]+process()-cpuBegan, took[i]+time.Since(began)
		}
		n += round
	}
	for i, name := range []string{"bare", "authorize", "authzen"} {
		b.ReportMetric(float64(cpu[i].Nanoseconds())/1000/float64(n), name+"-cpu-µs")
		b.ReportMetric(float64(took[i].Nanoseconds())/1000/float64(n), name+"-µs")
		if i > 0 {
			b.ReportMetric(float64(cpu[i])/float64(cpu[0]), name+"-cpu-ratio")
		}
	}
}

// peer asks the same question again and again over one connection.
type peer struct {
	testing.TB
	conn  net.Conn
	in    *bufio.Reader
	write []byte
	says  string
	body  []byte
}

func dial(b testing.TB, address, path, token, body, says string) *peer {
	conn := must[net.Conn](b)(net.Dial("tcp", strings.TrimPrefix(address, "http://")))
	b.Cleanup(func() { conn.Close() })
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", path, token, len(body))
	return &peer{TB: b, conn: conn, in: bufio.NewReader(conn), write: []byte(head + body), says: says, body: make([]byte, 64<<10)}
}

func (p *peer) ask() {
	if _, err := p.conn.Write(p.write); err != nil {
		p.Fatal(err)
	}
	length := -1
	for {
		line, err := p.in.ReadSlice('\n')
		if err != nil {
			p.Fatal(err)
		}
		if text, ok := strings.CutPrefix(string(line), "Content-Length: "); ok {
			length, _ = strconv.Atoi(strings.TrimSpace(text))
		}
		if len(line) <= 2 {
			break
		}
	}
	if length < 0 {
		p.Fatal("an answer without a length")
	}
	if _, err := io.ReadFull(p.in, p.body[:length]); err != nil || !strings.Contains(string(p.body[:length]), p.says) {
		p.Fatalf("%v %s", err, p.body[:length])
	}
}
