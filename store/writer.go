package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// A writer is one database connection with the statements of a commit
// prepared on it.
type writer struct {
	conn        *sql.Conn
	begin       string
	lockHead    *sql.Stmt
	entries     *inserter
	facts       *inserter
	tiles       *inserter
	checkpoints *inserter
	moveHead    *sql.Stmt
	factSince   *sql.Stmt
	prefixSince *sql.Stmt
	all         []*sql.Stmt // that close closes
}

func newWriter(ctx context.Context, e *engine) (_ *writer, err error) {
	w := &writer{begin: e.begin}
	if w.conn, err = e.write.Conn(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	prepare := func(query string) (s *sql.Stmt) {
		if err == nil {
			s, err = w.prepare(ctx, query)
		}
		return s
	}
	insert := func(head string, columns int, tail string) *inserter {
		return &inserter{writer: w, head: e.insert + head + " VALUES ", columns: columns, tail: tail, mark: e.mark}
	}
	w.lockHead = prepare("SELECT size, root FROM head WHERE id = 1" + e.forUpdate)
	w.entries = insert("entries (idx, payload, sig)", 3, "")
	w.facts = insert("facts (key, idx)", 2, "")
	w.tiles = insert("tiles (level, num, data)", 3, " ON CONFLICT (level, num) DO UPDATE SET data = excluded.data")
	w.checkpoints = insert("checkpoints (size, note)", 2, " ON CONFLICT (size) DO NOTHING")
	w.moveHead = prepare("UPDATE head SET size = $1, root = $2, note = $3 WHERE id = 1 AND size = $4")
	w.factSince = prepare("SELECT key FROM facts WHERE key = $1 AND idx >= $2 LIMIT 1")
	w.prefixSince = prepare("SELECT key FROM facts WHERE key >= $1 AND key < $2 AND idx >= $3 LIMIT 1")
	if err != nil {
		return nil, fmt.Errorf("preparing to write: %w", err)
	}
	return w, nil
}

// prepare prepares a statement that lives as long as the writer.
func (w *writer) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	s, err := w.conn.PrepareContext(ctx, query)
	if err == nil {
		w.all = append(w.all, s)
	}
	return s, err
}

func (w *writer) exec(ctx context.Context, query string) error {
	_, err := w.conn.ExecContext(ctx, query)
	return err
}

// close gives the connection back, after a rollback in case a transaction was
// left open. Nobody else closes the statements, and while one is open, SQLite
// does not close the connection.
func (w *writer) close() {
	if w.conn != nil {
		for _, s := range w.all {
			s.Close()
		}
		w.conn.ExecContext(context.Background(), "ROLLBACK") //nolint:errcheck // there may be nothing to roll back
		w.conn.Close()
	}
}

// maxRows bounds the rows of one INSERT. One statement with many rows costs far
// less than many with one.
const maxRows = 64

// An inserter inserts any number of rows with few statements, which it prepares
// when they are first needed.
type inserter struct {
	writer     *writer
	head, tail string // what stands before and after the placeholders
	columns    int
	mark       func(n int) string
	stmts      [maxRows + 1]*sql.Stmt // by number of rows
}

// insert inserts the rows whose values stand in values, row after row.
func (in *inserter) insert(ctx context.Context, values []any) error {
	for len(values) > 0 {
		rows := min(len(values)/in.columns, maxRows)
		stmt, err := in.statement(ctx, rows)
		if err != nil {
			return err
		}
		if _, err := stmt.ExecContext(ctx, values[:rows*in.columns]...); err != nil {
			return err
		}
		values = values[rows*in.columns:]
	}
	return nil
}

func (in *inserter) statement(ctx context.Context, rows int) (_ *sql.Stmt, err error) {
	if in.stmts[rows] == nil {
		in.stmts[rows], err = in.writer.prepare(ctx, in.head+placeholders(in.mark, rows, in.columns)+in.tail)
	}
	return in.stmts[rows], err
}

// placeholders returns "($1,$2),($3,$4)" for two rows of two columns, with each
// parameter as mark writes it.
func placeholders(mark func(n int) string, rows, columns int) string {
	var b strings.Builder
	for r := range rows {
		for c := range columns {
			switch {
			case c > 0:
				b.WriteByte(',')
			case r > 0:
				b.WriteString(",(")
			default:
				b.WriteByte('(')
			}
			b.WriteString(mark(r*columns + c + 1))
		}
		b.WriteByte(')')
	}
	return b.String()
}
