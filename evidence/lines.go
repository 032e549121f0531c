package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"runtime"
	"strconv"
	"sync"

	"imprimatur.dev/record"
)

// lines reads a file that has one JSON value a line; only the first, a header
// that a person may have written, can go over several. Read is called for every
// line, from several goroutines at once, and sets all of what the line says;
// take is called for one after the other, in the order of the file, and its
// error refuses the line. What they do is the same whatever the parallelism:
// blocks of the file end at the same lines.
//
// One goroutine reads and hashes blocks of whole lines, as many as there are
// processors read what they say, and the caller's takes it. Blocks go round, so
// that memory is bounded and none is made for a line.
func lines[L any](in *input, p part, read func(d *doc, l *L), take func(l *L) error) error {
	f, row, err := firstValue(in, p, read, take)
	if err != nil {
		return err
	}
	workers := runtime.GOMAXPROCS(0)
	rounds := workers + 2
	free, work, order := make(chan *block[L], rounds), make(chan *block[L], rounds), make(chan *block[L], rounds)
	for range rounds {
		free <- &block[L]{ready: make(chan struct{}, 1)}
	}
	stop := make(chan struct{})
	var running sync.WaitGroup
	defer running.Wait()
	defer close(stop)
	running.Go(func() {
		defer close(order)
		defer close(work)
		for {
			select {
			case <-stop:
				return
			case b := <-free:
				more := f.fill(&b.piece)
				order <- b
				work <- b
				if !more {
					return
				}
			}
		}
	})
	for range workers {
		running.Go(func() {
			c := &cursor{}
			d := newDoc(p, c, nil)
			d.fast = true
			for b := range work {
				b.read(d, c, read)
				b.ready <- struct{}{}
			}
		})
	}
	for b := range order {
		<-b.ready
		if err := b.take(in, p, &row, read, take); err != nil {
			return err
		}
		free <- b
	}
	return nil
}

// firstValue reads and takes the first value of a file. It returns what feeds
// the rest of it, and the number of lines before.
func firstValue[L any](in *input, p part, read func(*doc, *L), take func(*L) error) (*feed, int, error) {
	d := in.json(p)
	d.first = true
	var first L
	if read(d, &first); d.err != nil {
		return nil, 0, d.err
	}
	if err := take(&first); err != nil {
		d.refuse("%s", err)
		return nil, 0, d.err
	}
	f := &feed{part: p, in: io.NewSectionReader(p, 0, p.Size), sum: sha256.New()}
	newlines := &newlines{}
	if _, err := io.CopyN(io.MultiWriter(f.sum, newlines), f.in, d.dec.InputOffset()); err != nil {
		return nil, 0, fmt.Errorf("reading %s: %w", p.Name, err)
	}
	return f, newlines.n, nil
}

// newlines counts them.
type newlines struct{ n int }

func (c *newlines) Write(p []byte) (int, error) {
	c.n += bytes.Count(p, []byte("\n"))
	return len(p), nil
}

// piece is a part of a file: whole lines, each with its '\n'.
type piece struct {
	text []byte
	last bool
	err  error
}

// feed cuts a file into pieces, and hashes it where it has a sum.
type feed struct {
	part part
	in   io.Reader
	sum  hash.Hash
	rest []byte
}

const pieceSize = 256 << 10

// fill fills a piece and reports whether another follows.
func (f *feed) fill(p *piece) bool {
	if cap(p.text) > 4*pieceSize {
		p.text = nil
	}
	p.text, p.last, p.err = append(p.text[:0], f.rest...), false, nil
	f.rest = f.rest[:0]
	for {
		held := len(p.text)
		if held+pieceSize > cap(p.text) {
			p.text = append(make([]byte, 0, 2*held+pieceSize+1), p.text...)
		}
		n, err := io.ReadFull(f.in, p.text[held:held+pieceSize])
		p.text = p.text[:held+n]
		if f.sum != nil {
			f.sum.Write(p.text[held:])
		}
		switch {
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			if n := len(p.text); n > 0 && p.text[n-1] != '\n' {
				p.text = append(p.text, '\n')
			}
			if f.sum != nil {
				f.part.head.digest = record.Digest("sha256:" + hex.EncodeToString(f.sum.Sum(nil)))
			}
			p.last = true
			return false
		case err != nil:
			p.text, p.err = p.text[:0], fmt.Errorf("reading %s: %w", f.part.Name, err)
			return false
		}
		if cut := bytes.LastIndexByte(p.text[held:], '\n') + 1; cut > 0 {
			f.rest = append(f.rest, p.text[held+cut:]...)
			p.text = p.text[:held+cut]
			return true
		}
		if len(p.text) > MaxLine {
			p.text, p.err = p.text[:0], f.part.refuse("", "it has a line longer than %d bytes", MaxLine)
			return false
		}
	}
}

// block is a piece and what its lines say.
type block[L any] struct {
	piece
	lines []line[L]
	notes notes
	ready chan struct{}
}

type line[L any] struct {
	text []byte
	says L
	// state is whether it was read.
	state int8
}

const (
	lineRead int8 = iota
	lineBlank
	lineOtherwise // to be read by jsontext
)

// read reads the lines that the cursor accepts.
func (b *block[L]) read(d *doc, c *cursor, read func(*doc, *L)) {
	b.lines, b.notes.unknown = b.lines[:0], b.notes.unknown[:0]
	d.notes = &b.notes
	clear(d.noted)
	for text := b.text; len(text) > 0; {
		end := bytes.IndexByte(text, '\n') + 1
		if len(b.lines) < cap(b.lines) {
			b.lines = b.lines[:len(b.lines)+1]
		} else {
			b.lines = append(b.lines, line[L]{})
		}
		l := &b.lines[len(b.lines)-1]
		l.text, l.state = text[:end], lineRead
		text = text[end:]
		c.reset(l.text)
		if c.space(0) == end-1 {
			l.state = lineBlank
			continue
		}
		d.err, d.turn = nil, 0
		if read(d, &l.says); d.err != nil || !c.ended() {
			l.state = lineOtherwise
		}
	}
}

// take takes the lines. Those that the cursor did not accept are read again,
// which says what is wrong with them if anything is.
func (b *block[L]) take(in *input, p part, row *int, read func(*doc, *L), take func(*L) error) error {
	for _, u := range b.notes.unknown {
		in.notes.unknownMember(u)
	}
	for i := range b.lines {
		l := &b.lines[i]
		*row++
		if l.state == lineBlank {
			continue
		}
		if l.state == lineOtherwise {
			d := in.jsonFrom(p, bytes.NewReader(l.text))
			d.row, d.within = *row, !b.last || i < len(b.lines)-1
			read(d, &l.says)
			if err := d.end(); err != nil {
				return err
			}
		}
		if err := take(&l.says); err != nil {
			return p.refuse("line "+strconv.Itoa(*row), "%s", err)
		}
	}
	return b.err
}
