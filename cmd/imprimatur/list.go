package main

import (
	"fmt"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// pager is the flags of every list.
type pager struct {
	Limit  int   `default:"50" help:"At most so many, newest first (default 50)."`
	Before int64 `placeholder:"N" help:"Go on from the \"next\" of the list before."`
}

// each calls f with the records of a kind, newest first, until f says stop.
func each[T record.Body](a *app, kind record.Kind, before int64, f func(record.Recorded[T]) (more bool)) (stopped bool, err error) {
	c := a.client()
	for {
		page, err := c.List(a.ctx, kind, before, wire.MaxPage)
		if err != nil {
			return false, err
		}
		for _, e := range page.Entries {
			r, err := recordedOf[T](e)
			if err != nil {
				return false, err
			}
			if !f(r) {
				return true, nil
			}
		}
		if page.Next == 0 {
			return false, nil
		}
		before = page.Next
	}
}

// recordedOf reads the record of an entry.
func recordedOf[T record.Body](e wire.Entry) (record.Recorded[T], error) {
	body, err := record.Replay(e.Kind, e.Record)
	if err != nil {
		return record.Recorded[T]{}, fmt.Errorf("entry %d: %w", e.Index, err)
	}
	t, ok := body.(T)
	if !ok {
		return record.Recorded[T]{}, fmt.Errorf("entry %d is a %s", e.Index, e.Word)
	}
	return record.Recorded[T]{Record: t, Digest: e.Digest, Actor: e.Actor, Time: e.Time, Index: e.Index, Statement: e.Statement}, nil
}

// newest finds the newest record of a kind that fits.
func newest[T record.Body](a *app, kind record.Kind, fits func(T) bool) (found record.Recorded[T], ok bool, err error) {
	_, err = each(a, kind, 0, func(r record.Recorded[T]) bool {
		if fits(r.Record) {
			found, ok = r, true
		}
		return !ok
	})
	return found, ok, err
}

// listed is the JSON of a list.
type listed[T record.Body] struct {
	Entries []record.Recorded[T] `json:"entries"`
	Next    int64                `json:"next,omitzero"`
}

// list prints the statements of a kind.
func list[T record.Body](a *app, kind record.Kind, pg pager, head []cell, row func(record.Recorded[T]) []cell) error {
	return listFrom(a, kind, pg.Before, pg, func(record.Recorded[T]) bool { return true }, head, row)
}

// listLatest prints the newest statement about each thing of a kind, which is
// its state.
func listLatest[T record.Body](a *app, kind record.Kind, pg pager, head []cell, row func(record.Recorded[T]) []cell) error {
	seen := map[string]bool{}
	first := func(r record.Recorded[T]) bool {
		name, _ := r.Record.Subject()
		known := seen[name]
		seen[name] = true
		return !known
	}
	// A page further on is still read from the newest, or an older statement
	// would pass for the state.
	return listFrom(a, kind, 0, pg, first, head, row)
}

// listFrom reads the statements before an index, newest first, and prints those
// of the page that fit.
func listFrom[T record.Body](a *app, kind record.Kind, from int64, pg pager, fits func(record.Recorded[T]) bool, head []cell, row func(record.Recorded[T]) []cell) error {
	out := listed[T]{Entries: []record.Recorded[T]{}}
	var last int64
	more, err := each(a, kind, from, func(r record.Recorded[T]) bool {
		if fits(r) && (pg.Before == 0 || r.Index < pg.Before) {
			if len(out.Entries) == pg.Limit {
				return false
			}
			out.Entries = append(out.Entries, r)
		}
		last = r.Index
		return true
	})
	if err != nil {
		return err
	}
	if more {
		out.Next = last
	}
	return a.show(out, func(p *page) {
		if len(out.Entries) == 0 {
			p.line("none")
			return
		}
		rows := [][]cell{head}
		for _, r := range out.Entries {
			rows = append(rows, row(r))
		}
		p.table(rows)
		if out.Next > 0 {
			p.styled(quiet, "there are more: --before %d", out.Next)
		}
	})
}

// absent says that something is not there.
func absent(what, hint string) error {
	return &failure{code: exitNo, err: fmt.Errorf("%s is not known here", what), hint: hint}
}
