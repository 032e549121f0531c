package registry

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sys/unix"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// journal keeps what the decision point answered (docs/authority.md, "The
// decision log"). An answer is noted in memory and a moment later written to an
// open file, which outlives this process; from time to time the file becomes a
// blob that a statement names, and is begun anew. The next process to take a left
// file seals it like its own.
//
// It is bounded: of one asker so many answers have a line of their own in each
// moment, the rest are only counted; and when nothing can be written for long, the
// answer is no.
type journal struct {
	reg  *Registry
	file *os.File
	// every is how many allowed answers come to a line, and keep how long files
	// are kept; 0 is for ever.
	every int64
	keep  time.Duration

	mu      sync.Mutex
	pending []wire.Decided
	writing int // lines that are being written
	askers  map[string]*asker
	allowed int64 // answers, for every
	wake    chan struct{}

	// doing is held by whoever writes or seals.
	doing  sync.Mutex
	spare  []wire.Decided // what was pending before, to be filled again
	text   bytes.Buffer   // of the lines that are written
	size   int64          // of the file
	teams  map[string]*tally
	denied bool // something was refused since the last sealing
	sealed time.Time
	swept  time.Time
	// trouble is what was last reported.
	trouble error
}

// asker is what one asker has had since the last writing.
type asker struct {
	lines, refusals int
	// alike finds the line of a refusal with the same words.
	alike map[wire.Decided]int
	// more finds the lines that only count, by what they count.
	more map[wire.Decided]int
}

const (
	writeEvery = 250 * time.Millisecond
	// allowedAtOnce and refusalsAtOnce are how many lines one asker gets between two
	// writings.
	allowedAtOnce  = 2000
	refusalsAtOnce = 200
	// maxPending is how many lines may wait to be written before every answer is
	// no.
	maxPending = 100_000
	// maxSpare is for how many lines room is kept between two writings.
	maxSpare = 10_000
	// sealRefused and sealAllowed are how long what was answered may wait for its
	// statement, and sealSize is how long the file grows before.
	sealRefused = 10 * time.Second
	sealAllowed = time.Minute
	sealSize    = 16 << 20
	// sweepEvery is how often files that are past their time are removed.
	sweepEvery = time.Hour
	// maxWord is how much of an asker's word is kept, in bytes.
	maxWord = 300
)

// openJournal takes a file that no other process holds.
func openJournal(r *Registry, folder string, cfg Config) (*journal, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of the decision log: %w", err)
	}
	j := &journal{
		reg: r, every: int64(max(cfg.KeepEvery, 1)), keep: cfg.KeepDecisions,
		askers: map[string]*asker{}, wake: make(chan struct{}, 1), sealed: time.Now(), teams: map[string]*tally{},
	}
	for n := range 100 {
		f, err := os.OpenFile(filepath.Join(folder, "open-"+strconv.Itoa(n)+".ndjson"), os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return nil, fmt.Errorf("opening the decision log: %w", err)
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
			f.Close()
			continue
		}
		j.file = f
		if j.size, err = f.Seek(0, io.SeekEnd); err == nil {
			err = j.recount()
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("opening the decision log: %w", err)
		}
		j.denied = j.size > 0
		return j, nil
	}
	return nil, fmt.Errorf("opening the decision log: all files in %s are held by other servers", folder)
}

// full says why nothing may be answered with yes: its line could not be kept.
func (j *journal) full() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.pending)+j.writing < maxPending {
		return ""
	}
	return "the decision log cannot be written, so nothing is allowed; the server's log says why: make room on its disk"
}

// note keeps an answer. What the ask points to must not be changed any more.
func (j *journal) note(by string, team string, ask *wire.Ask, a *wire.Answer, number int) {
	d := wire.Decided{
		At: a.At, Team: team, Workload: ask.Workload, Release: a.Release, Kind: ask.Kind, Resource: ask.Resource, Action: ask.Action,
		Definition: ask.Definition, Allowed: a.Allowed, Count: 1,
	}
	if by != ask.Workload {
		d.By = by
	}
	if len(ask.Arguments) > 0 {
		d.Arguments = record.DigestOf(ask.Arguments)
	}
	if a.Allowed {
		d.Grant, d.Lease = max(number, 0), ask.Lease
	} else if len(a.Reasons) > 0 {
		d.Reason = a.Reasons[0]
	}
	j.keepLine(by, d)
}

// keepLine notes a line of an asker.
func (j *journal) keepLine(by string, d wire.Decided) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.pending)+j.writing >= maxPending {
		return
	}
	from := j.askers[by]
	if from == nil {
		from = &asker{alike: map[wire.Decided]int{}, more: map[wire.Decided]int{}}
		j.askers[by] = from
	}
	if d.Allowed {
		j.noteAllowed(from, d)
	} else {
		j.noteRefused(from, d)
	}
	if len(j.pending) == maxPending/2 {
		select {
		case j.wake <- struct{}{}:
		default:
		}
	}
}

func (j *journal) noteAllowed(from *asker, d wire.Decided) {
	j.allowed++
	// What was lent has a line, however many there are.
	if from.lines++; d.Lease != "" || j.allowed%j.every == 0 && from.lines <= allowedAtOnce {
		j.pending = append(j.pending, d)
		return
	}
	j.merge(from.more, wire.Decided{Team: d.Team, By: cmp.Or(d.By, d.Workload), Release: d.Release, Allowed: true, Cut: true}, d)
}

func (j *journal) noteRefused(from *asker, d wire.Decided) {
	d.Workload, d.Kind, d.Resource, d.Action, d.Reason = word(d.Workload), word(d.Kind), word(d.Resource), word(d.Action), cmp.Or(word(d.Reason), "refused")
	if d.Definition.Validate() != nil {
		d.Definition = ""
	}
	words := d
	words.At, words.Last, words.Arguments, words.Count = time.Time{}, time.Time{}, "", 0
	if _, known := from.alike[words]; known || from.refusals < refusalsAtOnce {
		if !known {
			from.refusals++
		}
		if at := j.merge(from.alike, words, d); !known {
			j.pending[at].Arguments = d.Arguments
		}
		return
	}
	j.merge(from.more, wire.Decided{Team: d.Team, By: cmp.Or(d.By, d.Workload), Release: d.Release, Cut: true, Reason: "many others"}, d)
}

// merge adds a line to the one with such words, and returns its place.
func (j *journal) merge(lines map[wire.Decided]int, words, d wire.Decided) int {
	at, ok := lines[words]
	if !ok {
		at = len(j.pending)
		lines[words] = at
		words.At, words.Last = d.At, d.Last
		j.pending = append(j.pending, words)
	} else {
		j.pending[at].Last = later(j.pending[at].Last, later(d.At, d.Last))
	}
	j.pending[at].Count += d.Count
	return at
}

// word is what is kept of an asker's word: short, and without what could
// deceive who reads it.
func word(s string) string {
	if len(s) > maxWord {
		s = string([]rune(s[:maxWord])) + "…"
	}
	for _, r := range s {
		if r == utf8.RuneError || unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return strconv.QuoteToASCII(s)
		}
	}
	return s
}

// run writes and seals until ctx ends, and then once more.
func (j *journal) run(ctx context.Context) {
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), sealRefused)
			defer cancel()
			j.report(last, j.step(last, true))
			return
		case <-tick.C:
		case <-j.wake:
		}
		j.report(ctx, j.step(ctx, false))
	}
}

// step writes what was noted, and seals the file when that is due, or at once.
func (j *journal) step(ctx context.Context, atOnce bool) error {
	j.doing.Lock()
	defer j.doing.Unlock()
	if err := j.write(); err != nil {
		return err
	}
	since := time.Since(j.sealed)
	if j.size > 0 && (atOnce || j.size >= sealSize || j.denied && since >= sealRefused || since >= sealAllowed) {
		if err := j.seal(ctx); err != nil {
			return fmt.Errorf("sealing the decision log: %w", err)
		}
	}
	if j.keep > 0 && time.Since(j.swept) >= sweepEvery {
		if err := j.sweep(ctx); err != nil {
			return fmt.Errorf("removing decision logs whose time is over: %w", err)
		}
		j.swept = time.Now()
	}
	return nil
}

// report logs the first of a row of failures, and that it is over.
func (j *journal) report(ctx context.Context, err error) {
	switch {
	case err != nil && j.trouble == nil:
		j.reg.outbox.log.ErrorContext(ctx, "keeping the decision log", "error", err)
	case err == nil && j.trouble != nil:
		j.reg.outbox.log.InfoContext(ctx, "the decision log is kept again")
	}
	j.trouble = err
}

// write moves what was noted to the open file. The lock is not held while the
// disk is waited for, and what could not be written is noted again.
func (j *journal) write() error {
	if j.size >= 4*sealSize {
		return nil
	}
	j.mu.Lock()
	lines := j.pending
	j.pending, j.askers, j.writing = j.spare, map[string]*asker{}, len(lines)
	j.mu.Unlock()
	j.spare = nil
	ends, err := linesOf(&j.text, lines)
	if err == nil {
		_, err = j.file.WriteAt(j.text.Bytes(), j.size)
	}
	j.mu.Lock()
	if j.writing = 0; err != nil {
		j.pending, j.askers = append(lines, j.pending...), map[string]*asker{}
	}
	j.mu.Unlock()
	if err != nil {
		return fmt.Errorf("writing the decision log: %w", err)
	}
	from := j.size
	for i := range lines {
		j.count(&lines[i], part{from, j.size + ends[i]})
		from = j.size + ends[i]
		j.denied = j.denied || !lines[i].Allowed
		j.reg.uses.decided(lines[i])
	}
	j.size = from
	if len(lines) <= maxSpare {
		clear(lines)
		j.spare = lines[:0]
	} else {
		j.text = bytes.Buffer{}
	}
	return nil
}

// linesOf writes lines to the buffer alone, and says where each ends.
func linesOf(b *bytes.Buffer, lines []wire.Decided) (ends []int64, err error) {
	b.Reset()
	for i := range lines {
		if err := json.MarshalWrite(b, &lines[i], jsontext.AllowInvalidUTF8(true)); err != nil {
			return nil, err
		}
		b.WriteByte('\n')
		ends = append(ends, int64(b.Len()))
	}
	return ends, nil
}
