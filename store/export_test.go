package store

import (
	"context"
	"database/sql"
	"runtime"
)

// AwaitWaiting returns when n appends wait for the committer.
func AwaitWaiting(s *Store, n int) {
	for s.queue.length() != n {
		runtime.Gosched()
	}
}

func (q *queue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// QueryOnWriter asks for one value on the connection that the committer writes
// with. No append may be under way.
func (s *Store) QueryOnWriter(query string, into any) error {
	var row *sql.Row
	if s.writer != nil {
		row = s.writer.conn.QueryRowContext(context.Background(), query)
	} else {
		row = s.engine.write.QueryRowContext(context.Background(), query)
	}
	return row.Scan(into)
}
