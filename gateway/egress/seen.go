package egress

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Seen is by what name and fingerprint a vendor's model has answered under a
// release, how often, and when first and last.
type Seen struct {
	Release string `json:"release"`
	Line    string `json:"line"`
	Vendor  string `json:"vendor"`
	// Model is what was asked for, and Answered what the answer calls itself.
	Model       string    `json:"model"`
	Answered    string    `json:"answered"`
	Fingerprint string    `json:"fingerprint,omitzero"`
	Count       int64     `json:"count"`
	First       time.Time `json:"first"`
	Last        time.Time `json:"last"`
}

// seen keeps what was seen, in memory and in a file that is replaced whole.
type seen struct {
	path   string
	report func(Seen)
	log    *slog.Logger

	mu    sync.Mutex
	all   map[Seen]*Seen // by what does not change
	saved time.Time
	dirty bool
}

const (
	// maxSeen is how many are kept; a vendor that answers by a new name each time is
	// reported by then.
	maxSeen   = 10_000
	saveEvery = time.Minute
)

func openSeen(path string, report func(Seen), log *slog.Logger) (*seen, error) {
	s := &seen{path: path, report: report, log: log, all: map[Seen]*Seen{}}
	if path == "" {
		return s, nil
	}
	raw, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, nil
	case err != nil:
		return s, fmt.Errorf("reading which models have answered: %w", err)
	}
	var list []*Seen
	if err := json.Unmarshal(raw, &list); err != nil {
		return s, fmt.Errorf("%s is not the file of which models have answered: %w; move it away", path, err)
	}
	for _, one := range list {
		s.all[one.key()] = one
	}
	return s, nil
}

// key is a record without what counts.
func (s Seen) key() Seen {
	s.Count, s.First, s.Last = 0, time.Time{}, time.Time{}
	return s
}

// saw notes as what a model has answered.
func (g *Gateway) saw(c *call, model string, u *usage) {
	if u.Model == "" {
		return
	}
	g.seen.note(Seen{Release: c.answer.Release, Line: c.answer.Line, Vendor: c.up.Models, Model: model, Answered: clipped(u.Model), Fingerprint: clipped(u.Fingerprint)}, g.now().UTC())
}

func (s *seen) note(one Seen, now time.Time) {
	s.mu.Lock()
	known, ok := s.all[one]
	if !ok {
		if len(s.all) >= maxSeen {
			s.mu.Unlock()
			return
		}
		known = &Seen{}
		*known = one
		known.First = now
		s.all[one] = known
	}
	known.Count++
	known.Last = now
	s.dirty = true
	tell := !ok && s.report != nil
	write := !ok || now.Sub(s.saved) > saveEvery
	s.mu.Unlock()
	if write {
		if err := s.save(); err != nil {
			s.log.Error("keeping which models have answered", "error", err)
		}
	}
	if tell {
		s.report(one)
	}
}

// save replaces the file.
func (s *seen) save() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.path == "" || !s.dirty {
		return nil
	}
	list := make([]*Seen, 0, len(s.all))
	for _, one := range s.all {
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b *Seen) int {
		return strings.Compare(a.Release+"\x00"+a.Vendor+"\x00"+a.Model+"\x00"+a.Answered+"\x00"+a.Fingerprint, b.Release+"\x00"+b.Vendor+"\x00"+b.Model+"\x00"+b.Answered+"\x00"+b.Fingerprint)
	})
	raw, err := json.Marshal(list, jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	draft, err := os.CreateTemp(filepath.Dir(s.path), ".seen-*")
	if err != nil {
		return fmt.Errorf("keeping which models have answered: %w", err)
	}
	defer os.Remove(draft.Name())
	_, err = draft.Write(append(raw, '\n'))
	if err := errors.Join(err, draft.Close()); err != nil {
		return fmt.Errorf("keeping which models have answered: %w", err)
	}
	s.saved, s.dirty = time.Now(), false
	return os.Rename(draft.Name(), s.path)
}
