package mcp

import (
	"context"
	"errors"
	"testing"
	"time"

	"imprimatur.dev/wire"
)

// TestWhatCannotBeToldWaits tells a server that is away at first: every line
// comes in the end, in order, and beyond the bound calls are counted.
func TestWhatCannotBeToldWaits(t *testing.T) {
	var told []wire.Decided
	away := true
	x := &teller{cut: map[wire.Decided]*wire.Decided{}, tell: func(_ context.Context, lines []wire.Decided) error {
		if len(lines) > tellAtOnce {
			t.Errorf("told of %d lines at once", len(lines))
		}
		if away {
			return errors.New("the server is away")
		}
		told = append(told, lines...)
		return nil
	}}
	began := time.Date(2026, 5, 1, 9, 0, 0, 0, time.UTC)
	const calls = maxUntold + 500
	for i := range calls {
		e := Entry{Time: began.Add(time.Duration(i) * time.Millisecond), Workload: "agent", Release: "r-0123456789ab", Kind: "tools", Resource: "crm/find", Action: "call", Allowed: i%2 == 0, Grant: 3, Reason: "no grant"}
		if e.Allowed {
			e.Reason = ""
		}
		x.add(e)
		if i == calls/2 {
			if err := x.some(t.Context()); err == nil {
				t.Fatal("a server that is away was told")
			}
		}
	}
	x.add(Entry{Method: "tools/list"}) // asks for nothing
	away = false
	if err := x.some(t.Context()); err != nil {
		t.Fatal(err)
	}
	var n, cut int64
	for i, d := range told {
		n += d.Count
		if d.Cut {
			cut += d.Count
		} else if !d.At.Equal(began.Add(time.Duration(i) * time.Millisecond)) {
			t.Fatalf("line %d is of %s", i, d.At)
		}
	}
	if n != calls || cut != 500 || told[0].Grant != 3 || told[1].Reason != "no grant" {
		t.Errorf("told of %d calls, %d of them by number; first %+v, second %+v", n, cut, told[0], told[1])
	}
	if err := x.some(t.Context()); err != nil || len(told) != maxUntold+2 {
		t.Errorf("told twice: %d lines, %v", len(told), err)
	}
}
