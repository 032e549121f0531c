package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"imprimatur.dev/artifact"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// What MLflow's clients register lies where others can write. So its bytes are
// read whole again before a promotion, and must be those that were registered.
// A promotion that is refused for another reason is refused before anything is
// read. A rollback reads nothing: the way back must work while the place of the
// bytes does not, and the alias that hands them out is moved by its own rules.

const (
	// rereadPatience is how long a promotion waits for it: MLflow's clients wait
	// for two minutes. What takes longer goes on, and the next attempt finds it.
	rereadPatience = 90 * time.Second
	// rereadStands is how long what was found counts for an attempt that comes later.
	rereadStands = 10 * time.Minute
)

// rereads are the readings under way, and those that nobody has asked for since
// they ended.
type rereads struct {
	mu sync.Mutex
	of map[string]*reread
}

type reread struct {
	*hash
	ended time.Time
}

// unchanged refuses unless the bytes of a version are still those that were
// registered.
func (r *Registry) unchanged(ctx context.Context, v record.RegisteredVersion, files []record.File) error {
	key := fmt.Sprint(v.Team, "/", v.Name, "/", v.Version)
	h := r.rereadOf(key, v)
	if !h.wait(ctx, r.rereadPatience) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return refusef(wire.Refused, "the bytes of %s, version %d, are being read again before it is promoted, which takes a while; ask again in a few minutes", v.Name, v.Version)
	}
	// What was found is used once.
	r.rereads.mu.Lock()
	if r.rereads.of[key] == h {
		delete(r.rereads.of, key)
	}
	r.rereads.mu.Unlock()
	if h.err != nil {
		return refusef(wire.Refused, "the bytes of %s, version %d, could not be read again before it is promoted: %w; promote it when they can", v.Name, v.Version, h.err)
	}
	var diff *artifact.Mismatch
	if errors.As(artifact.Manifest{Files: files}.Compare(h.found.Manifest), &diff) {
		return refusef(wire.Refused, "the bytes of %s, version %d, are not those that were registered and approved: %w; put these back, or register what is there as a new version", v.Name, v.Version, diff)
	}
	return nil
}

// rereadOf joins the reading that is under way, takes what one has just found,
// or begins to read.
func (r *Registry) rereadOf(key string, v record.RegisteredVersion) *reread {
	r.rereads.mu.Lock()
	defer r.rereads.mu.Unlock()
	for k, h := range r.rereads.of {
		if !h.ended.IsZero() && time.Since(h.ended) > rereadStands {
			delete(r.rereads.of, k)
		}
	}
	if h := r.rereads.of[key]; h != nil {
		return h
	}
	h := &reread{hash: &hash{done: make(chan struct{})}}
	r.rereads.of[key] = h
	r.tailing.Go(func() {
		defer close(h.done)
		ctx, cancel := context.WithTimeout(r.working, hashWithin)
		defer cancel()
		h.found, h.err = r.reader(ctx, v)
		r.rereads.mu.Lock()
		defer r.rereads.mu.Unlock()
		h.ended = time.Now()
	})
	return h
}

// before runs the part of a promotion that comes before its command: try says
// what would be promoted, or refuses, and then the bytes are read again.
func (r *Registry) before(ctx context.Context, who Caller, try func(*tx) (record.RegisteredVersion, bool, error)) error {
	if err := who.mayState(); err != nil {
		return err
	}
	var v record.RegisteredVersion
	var files []record.File
	err := r.read(ctx, who, func(t *tx) (err error) {
		var promotes bool
		if v, promotes, err = try(t); err != nil || !promotes || v.Model == "" {
			return err
		}
		model, err := need[record.ModelVersion](t, record.KeyVersion(v.Model), "the model version "+v.Model, "it was registered with another model")
		files = model.Record.Files
		return err
	})
	if err != nil || files == nil {
		return err
	}
	return r.unchanged(ctx, v, files)
}

// beforeMove is before, of an alias or a stage. Most of them mean no environment,
// and then nothing is looked up.
func (r *Registry) beforeMove(ctx context.Context, who Caller, word string, promote func(*tx) (record.RegisteredModel, record.RegisteredVersion, bool, error)) error {
	if !r.shelf.means(word) {
		return nil
	}
	return r.before(ctx, who, func(t *tx) (record.RegisteredVersion, bool, error) {
		_, v, promotes, err := promote(t)
		return v, promotes, err
	})
}

// means reports whether an alias or a stage may mean an environment.
func (s *shelf) means(word string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, p := range s.places {
		if slices.ContainsFunc(p.env.Aliases, func(a string) bool { return strings.EqualFold(a, word) }) {
			return true
		}
	}
	return false
}

// registeredAs finds the registered version whose bytes a model version is.
func (r *Registry) registeredAs(team, model string) (record.RegisteredVersion, bool) {
	for _, m := range r.shelf.list(team) {
		for _, v := range m.Versions {
			if v.Model == model {
				return *v, true
			}
		}
	}
	return record.RegisteredVersion{}, false
}
