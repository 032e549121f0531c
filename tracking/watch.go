package tracking

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// Watch compares the aliases and stages of an MLflow's own registry, where they
// mean an environment, with what may run there. One that means bytes without a
// standing release is stated as a signal, once for each move, whoever else
// watches too and however often the server starts; and so is its end. With
// Restore it is moved back.
//
// What a version is, its bytes say: they are read whenever an alias points
// elsewhere than a round before. Names and numbers of that registry need not be
// known here.
type Watch struct {
	Client   *Client
	Registry *registry.Registry
	// Who states what is seen; Team is the one whose models that registry holds.
	Who  registry.Caller
	Team string
	// Restore moves an alias back to the newest version that may run in the
	// environment, or takes it away where there is none, and takes a version out of
	// a stage. It does so a few times an hour for one alias, and then only tells.
	Restore bool
	Log     *slog.Logger

	// seen are the bytes of what was held in the last round.
	seen map[record.Move]record.Digest
}

// newest bounds how many versions are read to find one that may run.
const newest = 20

// Run watches until ctx ends. A round that fails is followed by the next.
func (w *Watch) Run(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := w.Round(ctx); err != nil && ctx.Err() == nil {
			w.Log.WarnContext(ctx, "MLflow's aliases could not all be compared", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Round compares everything once. One alias that cannot be judged does not keep
// the others from it.
func (w *Watch) Round(ctx context.Context) error {
	// What this server cannot decide says nothing about anybody's alias.
	if err := w.Registry.Ready(ctx); err != nil {
		return err
	}
	held, err := w.held(ctx)
	if err != nil {
		return err
	}
	said, err := w.Registry.Moves(ctx, w.Who, w.Team, w.host())
	if err != nil {
		return err
	}
	var faults []error
	before := w.seen
	w.seen = map[record.Move]record.Digest{}
	for _, m := range held {
		open := said[m.Key()].Record.Type == record.SignalMoved
		faults = append(faults, w.judge(ctx, m, before[m], open))
		delete(said, m.Key())
	}
	// What nobody holds any more is in order again.
	for _, gone := range said {
		if gone.Record.Type == record.SignalMoved {
			faults = append(faults, w.state(ctx, record.SignalSettled, *gone.Record.Move, "it was taken away", wire.Decision{}))
		}
	}
	return errors.Join(faults...)
}

func (w *Watch) host() string { return w.Client.base.Host }

// held returns every alias and stage that means an environment, once for each.
func (w *Watch) held(ctx context.Context) ([]record.Move, error) {
	var out []record.Move
	add := func(m record.Move, name string, stage bool) {
		for _, m.Environment = range w.Registry.Meant(name, stage) {
			out = append(out, m)
		}
	}
	for model, err := range w.Client.RegisteredModels(ctx) {
		if err != nil {
			return nil, err
		}
		for _, a := range model.Aliases {
			add(record.Move{Registry: w.host(), Team: w.Team, Model: model.Name, Alias: a.Alias, Version: int(a.Version.number())}, a.Alias, false)
		}
	}
	if len(w.Registry.Meant(record.StageProduction, true))+len(w.Registry.Meant(record.StageStaging, true)) == 0 {
		return out, nil
	}
	for v, err := range w.Client.ModelVersions(ctx) {
		if err != nil {
			return nil, err
		}
		if v.Stage == record.StageProduction || v.Stage == record.StageStaging {
			add(record.Move{Registry: w.host(), Team: w.Team, Model: v.Name, Stage: v.Stage, Version: v.Number()}, v.Stage, true)
		}
	}
	return out, nil
}

// judge decides about one, and states what changed since it was last judged.
func (w *Watch) judge(ctx context.Context, m record.Move, known record.Digest, open bool) error {
	held := m
	var d wire.Decision
	artifact := known
	if artifact == "" {
		var err error
		switch artifact, err = w.bytes(ctx, m.Model, m.Version); {
		case errors.Is(err, registry.ErrUnread) || Gone(err):
			d.Reasons = []string{"its bytes cannot be read, so no release can name them: " + plain(err.Error(), 500)}
		case err != nil:
			return err
		}
	}
	if artifact != "" {
		w.seen[held] = artifact
		if d = w.Registry.Decide(ctx, m.Environment, artifact); d.Allowed {
			if open {
				return w.state(ctx, record.SignalSettled, m, "it means what may run there", d)
			}
			return nil
		}
	}
	m.Artifact = artifact
	detail := fmt.Sprintf("it points to version %d, which may not run there. MLflow does not say who moved it.", m.Version)
	for _, r := range d.Reasons {
		detail += " " + r
	}
	if err := w.state(ctx, record.SignalMoved, m, detail, d); err != nil || !w.Restore {
		return err
	}
	return w.back(ctx, m, d)
}

// bytes reads the bytes of a version in MLflow's own registry.
func (w *Watch) bytes(ctx context.Context, model string, version int) (record.Digest, error) {
	v := record.RegisteredVersion{Team: w.Team, Name: model, Version: version, Source: fmt.Sprintf("models:/%s/%d", model, version)}
	found, err := w.Client.Hash(ctx, v)
	if err != nil {
		return "", err
	}
	if len(found.Manifest.Files) == 0 { // a folder, which is the registry's to read
		v.Source = found.Location
		return w.Registry.ReadBytes(ctx, v)
	}
	return record.Digest(found.Manifest.Digest()), nil
}

// state states a signal, and with it the release that the decision is about,
// where there is one.
func (w *Watch) state(ctx context.Context, typ string, m record.Move, detail string, about wire.Decision) error {
	what := m.What()
	err := w.Registry.ReportMove(ctx, w.Who, record.Signal{Release: about.Release, Line: about.Line, Type: typ, Move: &m, Detail: plain(fmt.Sprintf("%s at %s means %s: %s", what, m.Registry, m.Environment, detail), 2000)})
	if err != nil {
		return fmt.Errorf("%s at %s: %w", what, m.Registry, err)
	}
	return nil
}

// back moves an alias back, unless it was moved again meanwhile, or too often. It
// acts first and tells then: a move that is told of has happened.
func (w *Watch) back(ctx context.Context, m record.Move, d wire.Decision) error {
	err := w.Registry.MayMoveBack(ctx, w.Who, m)
	if registry.CodeOf(err) == wire.Refused && err != nil {
		w.Log.WarnContext(ctx, "an alias is not moved back", "reason", err)
		return nil
	}
	if err != nil {
		return err
	}
	if m.Alias == "" {
		if err := w.Client.Archive(ctx, m.Model, m.Version); err != nil {
			return err
		}
		return w.state(ctx, record.SignalBack, m, fmt.Sprintf("version %d was archived", m.Version), d)
	}
	if m.To, d, err = w.mayRun(ctx, m, d); err != nil {
		return err
	}
	now, err := w.Client.RegisteredModel(ctx, m.Model)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(now.Aliases, func(a Alias) bool { return a.Alias == m.Alias && int(a.Version.number()) == m.Version }) {
		return nil // the next round judges what it is now
	}
	if m.To == 0 {
		if err := w.Client.DeleteAlias(ctx, m.Model, m.Alias); err != nil {
			return err
		}
		return w.state(ctx, record.SignalBack, m, "it was taken away, since no version of the model may run there", d)
	}
	if err := w.Client.SetAlias(ctx, m.Model, m.Alias, m.To); err != nil {
		return err
	}
	return w.state(ctx, record.SignalBack, m, "it was moved back to version "+strconv.Itoa(m.To), d)
}

// mayRun returns the newest version of a model that may run where an alias means,
// with its decision, or 0 and the one that is known.
func (w *Watch) mayRun(ctx context.Context, m record.Move, known wire.Decision) (int, wire.Decision, error) {
	var numbers []int
	for v, err := range w.Client.ModelVersions(ctx) {
		if err != nil {
			return 0, known, err
		}
		if v.Name == m.Model && v.Number() != m.Version {
			numbers = append(numbers, v.Number())
		}
	}
	slices.SortFunc(numbers, func(a, b int) int { return cmp.Compare(b, a) })
	for _, n := range numbers[:min(len(numbers), newest)] {
		artifact, err := w.bytes(ctx, m.Model, n)
		if errors.Is(err, registry.ErrUnread) || Gone(err) {
			continue // what cannot be read may not run
		}
		if err != nil {
			return 0, known, err
		}
		if d := w.Registry.Decide(ctx, m.Environment, artifact); d.Allowed {
			return n, d, nil
		}
	}
	return 0, known, nil
}
