package store

import (
	"context"
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

// ExecOnWriter runs SQL on the connection that the committer writes with. No
// append may be under way.
func (s *Store) ExecOnWriter(query string, args ...any) error {
	if s.writer != nil {
		_, err := s.writer.conn.ExecContext(context.Background(), query, args...)
		return err
	}
	_, err := s.engine.write.ExecContext(context.Background(), query, args...)
	return err
}
