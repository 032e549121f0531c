package store

import "strings"

// A ReadSet is what a decision rested on: the size of the log when it was
// read, and the keys and prefixes that were looked up, found or not. An append
// that carries it succeeds only if no entry at or after Size has been written
// under any of them. The zero ReadSet guards nothing.
type ReadSet struct {
	Size     int64
	Keys     []string
	Prefixes []string
}

// recentWindow is how many of the last entries' keys are remembered at least.
// A decision that is older than the window is checked in the database.
const recentWindow = 1 << 14

// recent remembers the keys of the last entries, so that conflicts are found
// without asking the database. It is owned by the committer.
type recent struct {
	from int64            // entries from … from+len(keys)-1 are remembered
	keys [][]string       // of each of them
	last map[string]int64 // the newest of them under each key
}

func newRecent(size int64) *recent {
	return &recent{from: size, last: map[string]int64{}}
}

func (r *recent) add(keys []string) {
	idx := r.from + int64(len(r.keys))
	r.keys = append(r.keys, keys)
	for _, key := range keys {
		r.last[key] = idx
	}
	if len(r.keys) >= 2*recentWindow {
		r.forget(recentWindow)
	}
}

// forget drops the oldest n entries.
func (r *recent) forget(n int) {
	for i, keys := range r.keys[:n] {
		for _, key := range keys {
			if r.last[key] == r.from+int64(i) {
				delete(r.last, key)
			}
		}
	}
	r.from += int64(n)
	r.keys = append([][]string(nil), r.keys[n:]...)
}

// conflict returns a key of the read set that a remembered entry at or after
// its size was written under. known is false when the read set is older than
// what is remembered.
func (r *recent) conflict(read ReadSet) (key string, found, known bool) {
	for _, key := range read.Keys {
		if idx, ok := r.last[key]; ok && idx >= read.Size {
			return key, true, true
		}
	}
	if len(read.Prefixes) > 0 {
		for _, keys := range r.keys[min(max(read.Size-r.from, 0), int64(len(r.keys))):] {
			for _, key := range keys {
				for _, prefix := range read.Prefixes {
					if strings.HasPrefix(key, prefix) {
						return key, true, true
					}
				}
			}
		}
	}
	return "", false, read.Size >= r.from
}
