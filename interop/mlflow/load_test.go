package mlflow

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A peer is a server under load.
type peer struct {
	name    string
	address string
	token   string
	pid     int
}

// request writes a call of the protocol as it goes over the wire.
func (p peer) request(method, path, body string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s /api/2.0/mlflow%s HTTP/1.1\r\nHost: %s\r\n", method, path, p.address)
	if p.token != "" {
		fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", p.token)
	}
	if body != "" {
		fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n" + body)
	return b.Bytes()
}

// A client is one connection that is kept open. It reads no more of an answer
// than it must, since it has the same processors as the servers.
type client struct {
	conn net.Conn
	in   *bufio.Reader
}

func dial(p peer) (*client, error) {
	conn, err := net.DialTimeout("tcp", p.address, time.Second)
	if err != nil {
		return nil, err
	}
	return &client{conn, bufio.NewReaderSize(conn, 64<<10)}, nil
}

// do sends a request and reads the answer, which must be 200.
func (c *client) do(request []byte) error {
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	status, err := c.in.ReadString('\n')
	if err != nil {
		return err
	}
	length, chunked := 0, false
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		}
	}
	if !strings.Contains(status, " 200 ") {
		said, _ := io.ReadAll(io.LimitReader(c.in, int64(length)))
		return fmt.Errorf("%s: %s", strings.TrimSpace(status), said)
	}
	if !chunked {
		_, err = c.in.Discard(length)
		return err
	}
	return c.discardChunks()
}

func (c *client) discardChunks() error {
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(strings.TrimSpace(line), 16, 32)
		if err != nil {
			return err
		}
		// Each chunk, the last and empty one too, ends with a line of its own.
		if _, err := c.in.Discard(int(size) + 2); err != nil || size == 0 {
			return err
		}
	}
}

// A round is what one server did under load.
type round struct {
	took []time.Duration // in order, once it is sorted
	wall time.Duration
	cpu  time.Duration
}

// load has clients ask a server for as long as it is told, each its next call as
// soon as it has its answer.
func load(b *testing.B, p peer, clients int, length time.Duration, call func(i int) []byte) round {
	b.Helper()
	var r round
	var mu sync.Mutex
	var wg sync.WaitGroup
	var next atomic.Int64
	before, began := processorTime(b, p.pid), time.Now()
	for range clients {
		wg.Go(func() {
			c, err := dial(p)
			if err != nil {
				b.Error(err)
				return
			}
			defer c.conn.Close()
			var took []time.Duration
			for time.Since(began) < length {
				request := call(int(next.Add(1)))
				sent := time.Now()
				if err := c.do(request); err != nil {
					b.Errorf("%s: %v after %q", p.name, err, request)
					break
				}
				took = append(took, time.Since(sent))
			}
			mu.Lock()
			defer mu.Unlock()
			r.took = append(r.took, took...)
		})
	}
	wg.Wait()
	r.wall, r.cpu = time.Since(began), processorTime(b, p.pid)-before
	return r
}

func (r *round) add(more round) {
	r.took = append(r.took, more.took...)
	r.wall += more.wall
	r.cpu += more.cpu
}

func (r *round) rate() float64 { return float64(len(r.took)) / r.wall.Seconds() }

func (r *round) quantile(q float64) time.Duration {
	slices.Sort(r.took)
	return r.took[min(int(q*float64(len(r.took))), len(r.took)-1)]
}

func (r *round) cpuEach() time.Duration { return r.cpu / time.Duration(len(r.took)) }

// tick is what /proc counts processor time in (USER_HZ of proc(5)).
const tick = 10 * time.Millisecond

// processorTime is what a process and those below it have taken.
func processorTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		b.Fatal(err)
	}
	parents, times := map[int]int{}, map[int]int{}
	for _, name := range stats {
		raw, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		// The second field is the program's name, in brackets, and may hold anything.
		end := bytes.LastIndexByte(raw, ')')
		fields := strings.Fields(string(raw[end+1:]))
		id, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		parents[id], _ = strconv.Atoi(fields[1])
		for _, f := range fields[11:13] { // utime and stime
			n, _ := strconv.Atoi(f)
			times[id] += n
		}
	}
	sum := 0
	for id := range times {
		for up := id; up > 0; up = parents[up] {
			if up == pid {
				sum += times[id]
				break
			}
		}
	}
	return time.Duration(sum) * tick
}
