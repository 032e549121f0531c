package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"imprimatur.dev/ledger"
)

// ErrForked is wrapped when the log does not extend a checkpoint that it is
// known to have given out.
var ErrForked = errors.New("the log has lost or changed entries")

const (
	checkpointFile = "checkpoint"
	keepEvery      = time.Second
)

// Extends checks that the log still has, unchanged, the entries that the
// checkpoint covers. The checkpoint's signature is not looked at. The error
// wraps [ErrForked] if not.
func (s *Store) Extends(ctx context.Context, c ledger.Checkpoint) error {
	return s.View(ctx, func(v *View) error {
		if c.Origin != s.options.Origin {
			return fmt.Errorf("%w: the checkpoint is of %q, this is %q", ErrForked, c.Origin, s.options.Origin)
		}
		if c.Size > v.Size() {
			return fmt.Errorf("%w: it has %d entries and once had %d; a backup was restored, and writing to it would fork the log",
				ErrForked, v.Size(), c.Size)
		}
		root, err := v.Root(c.Size)
		if err != nil {
			return err
		}
		if root != c.Root {
			return fmt.Errorf("%w: its first %d entries hash to %v and once hashed to %v; another log was put in its place",
				ErrForked, c.Size, root, c.Root)
		}
		return nil
	})
}

// checkKept compares the log with the checkpoint kept beside it.
func (s *Store) checkKept(ctx context.Context) error {
	if s.options.CheckpointFile == "" {
		return nil
	}
	kept, err := os.ReadFile(s.options.CheckpointFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the kept checkpoint: %w", err)
	}
	c, err := ledger.UnverifiedCheckpoint(kept)
	if err != nil {
		return fmt.Errorf("reading the kept checkpoint %s: %w", s.options.CheckpointFile, err)
	}
	if err := s.Extends(ctx, c); err != nil {
		return fmt.Errorf("comparing %s with the checkpoint kept in %s: %w", s.engine.place, s.options.CheckpointFile, err)
	}
	return nil
}

// keepCheckpoints writes the newest checkpoint to the file, at most once a
// second, away from the committer. A file that lags behind is still right: the
// log extends it.
func (s *Store) keepCheckpoints() {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	var last *[]byte
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		latest := s.latest.Load()
		if latest == last {
			continue
		}
		if err := s.keepCheckpoint(*latest); err != nil {
			slog.Warn("the last checkpoint could not be kept; trying again", "file", s.options.CheckpointFile, "error", err)
			continue
		}
		last = latest
	}
}

func (s *Store) keepCheckpoint(signed []byte) error {
	if s.options.CheckpointFile == "" {
		return nil
	}
	if err := replaceFile(s.options.CheckpointFile, signed); err != nil {
		return fmt.Errorf("keeping the checkpoint: %w", err)
	}
	return nil
}

// replaceFile replaces the file's content in one step that survives a crash.
func replaceFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // renamed away when all went well
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes the names in a folder durable.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
