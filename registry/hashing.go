package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"imprimatur.dev/artifact"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// A Hasher reads the bytes that a version's source names, and hashes them. Of
// the version it is given what the client sent; the number is 0 where it has
// none yet. An error that wraps [ErrUnread] says that nothing here can read the
// source, so that the version is ready with bytes that nobody knows; any other
// error is a sentence, and the registration fails with it. It is called from
// several goroutines, and again for the same version after a restart.
type Hasher func(ctx context.Context, v record.RegisteredVersion) (Hashed, error)

// Hashed is what a hasher found.
type Hashed struct {
	Manifest artifact.Manifest
	Findings []record.Finding
	// Type is the model's, [record.Trained] where it is empty.
	Type record.ModelKind
	// Run is the "team/id" of the training run, where it is recorded here; Report
	// is what is to be recorded of it, and Note why nothing is.
	Run    string
	Report *Report
	Note   string
	// Bases are the artifacts that the model was made from.
	Bases []record.Digest
	// Prompt is the digest of a prompt's text.
	Prompt record.Digest
	// Location is where clients find the bytes, where that is not the source. One
	// without a manifest is a folder's, which is read like a source that names one.
	// MLflowRun is the tracking server's run, where the client named none.
	Location, MLflowRun string
}

// ErrUnread is wrapped where nothing here can read a source.
var ErrUnread = errors.New("nothing here can read the source")

const (
	// hashers bounds how many versions are read at once.
	hashers = 2
	// hashAtOnce is how long a registration waits for its bytes. What takes
	// longer is pending, and the client asks again.
	hashAtOnce = 1500 * time.Millisecond
	// hashWithin is how long the bytes of one version may take.
	hashWithin = 2 * time.Hour
	// maxBytes is the size of the largest version that is read.
	maxBytes = 1 << 40
)

// newReader joins what reads prompts and folders with what reads the rest. Only
// a few versions are read at once.
func newReader(folders []string, rest Hasher) (Hasher, error) {
	places := make(chan struct{}, hashers)
	real := make([]string, len(folders))
	for i, f := range folders {
		abs, err := filepath.Abs(f)
		if err == nil {
			real[i], err = filepath.EvalSymlinks(abs)
		}
		if err != nil {
			return nil, fmt.Errorf("the folder %s, from which models may be read: %w", f, err)
		}
	}
	return func(ctx context.Context, v record.RegisteredVersion) (Hashed, error) {
		if text, ok := v.Tags[promptTextTag]; ok && IsPrompt(v.Tags) {
			return hashPrompt(text), nil
		}
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		case <-ctx.Done():
			return Hashed{}, ctx.Err()
		}
		found := Hashed{Location: cmp.Or(v.Location, v.Source)}
		path, local, err := localPath(found.Location)
		if err == nil && !local && rest != nil {
			if found, err = rest(ctx, v); err != nil || len(found.Manifest.Files) > 0 {
				return found, err
			}
			path, local, err = localPath(found.Location)
		}
		if err != nil {
			return found, err
		}
		if !local {
			return found, ErrUnread
		}
		at, err := hashFolder(ctx, path, real)
		found.Manifest, found.Findings = at.Manifest, at.Findings
		return found, err
	}, nil
}

// hashPrompt is a prompt as a model of one file.
func hashPrompt(text string) Hashed {
	d := record.DigestOf([]byte(text))
	file := artifact.File{Path: ".", SHA256: d.Hex(), Size: int64(len(text))}
	return Hashed{Manifest: artifact.Manifest{Files: []artifact.File{file}}, Type: record.Agent, Prompt: d}
}

// localPath returns the path of a source that names a file of some machine.
func localPath(source string) (path string, local bool, err error) {
	if strings.HasPrefix(source, "/") {
		return source, true, nil
	}
	u, err := url.Parse(source)
	if err != nil || !strings.EqualFold(u.Scheme, "file") {
		return "", false, nil //nolint:nilerr // what is no URL is not a file's
	}
	if u.Host != "" && u.Host != "localhost" {
		return "", false, nil
	}
	if u.Path == "" {
		return "", true, fmt.Errorf("the source %s names no path", source)
	}
	return u.Path, true, nil
}

// hashFolder reads a model below one of the folders. A path that leads out of
// them is as good as unread, but for one that pretends to be within.
func hashFolder(ctx context.Context, path string, folders []string) (Hashed, error) {
	claims := within(filepath.Clean(path), folders)
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		if claims {
			return Hashed{}, fmt.Errorf("the model cannot be read at its source: %w", err)
		}
		return Hashed{}, fmt.Errorf("%w: %s is not below a folder that this server reads models from", ErrUnread, path)
	}
	if !within(real, folders) {
		if claims {
			return Hashed{}, fmt.Errorf("the source %s leads out of the folder that it seems to be in; register the place where the bytes are", path)
		}
		return Hashed{}, fmt.Errorf("%w: %s is not below a folder that this server reads models from", ErrUnread, path)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	bound := func(_, total int64) {
		if total > maxBytes {
			cancel(fmt.Errorf("the model has %d bytes, more than the %d that are read here", total, int64(maxBytes)))
		}
	}
	m, err := artifact.Digest(ctx, real, artifact.Options{Progress: bound})
	if cause := context.Cause(ctx); cause != nil {
		return Hashed{}, cause
	}
	if err != nil {
		return Hashed{}, err
	}
	seen, err := artifact.Inspect(ctx, real, artifact.Options{})
	if err != nil {
		return Hashed{}, err
	}
	return Hashed{Manifest: m, Findings: seen.Findings}, nil
}

func within(path string, folders []string) bool {
	for _, f := range folders {
		if path == f || strings.HasPrefix(path, strings.TrimSuffix(f, "/")+"/") {
			return true
		}
	}
	return false
}

// hash is one reading under way.
type hash struct {
	done  chan struct{}
	found Hashed
	err   error
}

// startHashing begins to read a version's bytes. Reading goes on when the
// request ends, and ends when the server does.
func (r *Registry) startHashing(v record.RegisteredVersion) *hash {
	h := &hash{done: make(chan struct{})}
	r.tailing.Go(func() {
		defer close(h.done)
		ctx, cancel := context.WithTimeout(r.working, hashWithin)
		defer cancel()
		h.found, h.err = r.readVersion(ctx, v)
	})
	return h
}

// wait returns whether the reading ended within the time a client waits.
func (h *hash) wait(ctx context.Context, patience time.Duration) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-h.done:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// settle writes what was found into a version, and states the model version
// that its bytes are.
func (t *tx) settle(v *record.RegisteredVersion, h *hash) error {
	v.Status, v.Message = record.RegistrationReady, ""
	if h.err != nil {
		if !errors.Is(h.err, ErrUnread) {
			v.Status, v.Message = record.RegistrationFailed, cut(h.err.Error())
		}
		return nil
	}
	if h.found.Location != v.Source {
		v.Location = cmp.Or(h.found.Location, v.Location)
	}
	if v.Run == "" {
		v.Run = h.found.MLflowRun
	}
	return t.stateVersion(v, h.found)
}

// cut shortens an error to what a statement may hold.
func cut(text string) string {
	text = strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, text), "?")
	if len(text) > 1000 {
		text = strings.ToValidUTF8(text[:1000], "") + "…"
	}
	return text
}

// stateVersion states the model version that a registered version's bytes are.
// A version that somebody registered under the same name with other bytes
// stands in the way; with the same bytes it is this one.
func (t *tx) stateVersion(v *record.RegisteredVersion, h Hashed) error {
	ref := versionRef(v.Team, v.Name, v.Version)
	model, number, _ := strings.Cut(ref, "@")
	body := record.ModelVersion{
		Model: model, Version: number, Type: h.Type, Artifact: record.Digest(h.Manifest.Digest()), Files: h.Manifest.Files,
		Findings: h.Findings, Run: h.Run, Bases: h.Bases, Prompt: h.Prompt, Source: v.Source,
	}
	if body.Type == "" {
		body.Type = record.Trained
	}
	if err := body.Validate(); err != nil {
		v.Status, v.Message = record.RegistrationFailed, cut(err.Error())
		return nil
	}
	old, _, stands, err := last[record.ModelVersion](t, record.KeyVersion(ref))
	switch {
	case err != nil:
		return err
	case stands && old.Record.Artifact != body.Artifact:
		v.Status, v.Message = record.RegistrationFailed, fmt.Sprintf("the model version %s stands already for the bytes %s, and these are %s; register them once more, under the next number", ref, old.Record.Artifact.Short(), body.Artifact.Short())
		return nil
	}
	v.Artifact, v.Model, v.Message = body.Artifact, ref, h.Note
	if stands {
		return nil
	}
	if h.Report != nil {
		made := []record.Resource{{Type: record.ResourceModel, Name: body.Ref(), Digest: body.Artifact}}
		body.Run, v.Message, err = t.report(v.Team, made, h.Report)
		var invalid *record.InvalidError
		if errors.As(err, &invalid) {
			v.Artifact, v.Model = "", ""
			v.Status, v.Message = record.RegistrationFailed, cut(err.Error())
			return nil
		}
		if err != nil {
			return err
		}
	}
	if err := t.ensureModel(v, model, body.Type); err != nil {
		return err
	}
	return t.state(body)
}

// ensureModel states the model that a version is of, where nobody has.
func (t *tx) ensureModel(v *record.RegisteredVersion, ref string, kind record.ModelKind) error {
	if _, _, stands, err := last[record.Model](t, record.KeyModel(ref)); err != nil || stands {
		return err
	}
	owner, err := t.answering()
	if err != nil {
		return err
	}
	return t.state(record.Model{Team: v.Team, Name: modelNamed(v.Name), Type: kind, Owner: owner, Description: "registered by MLflow's protocol"})
}

// finish states what came of a reading that took longer than its registration
// waited, as the one who registered. A version that is not pending any more is
// left alone, and so is one whose reading the server's end cut off: the next
// start reads it again.
func (r *Registry) finish(actor string, v record.RegisteredVersion, h *hash) {
	<-h.done
	for r.working.Err() == nil {
		_, err := r.write(r.working, Caller{Name: actor}, func(t *tx) error { return t.finish(v, h) })
		if err == nil || CodeOf(err) != wire.Unavailable {
			return
		}
		timer := time.NewTimer(tailEvery)
		select {
		case <-timer.C:
		case <-r.working.Done():
			timer.Stop()
		}
	}
}

func (t *tx) finish(v record.RegisteredVersion, h *hash) error {
	m, _, err := t.registered(v.Team, v.Name)
	if err != nil {
		return err
	}
	now, _, err := t.registeredVersion(m, v.Version)
	if err != nil || now.Status != record.RegistrationPending {
		return err
	}
	if err := t.settle(&now, h); err != nil {
		return err
	}
	now.Updated = t.now
	return t.state(now)
}

// resumeHashing reads what was pending when the server last ended.
func (r *Registry) resumeHashing() {
	r.shelf.mu.RLock()
	defer r.shelf.mu.RUnlock()
	for _, t := range r.shelf.teams {
		for _, m := range t.sorted {
			for _, s := range m.all {
				if s.v.Status == record.RegistrationPending && !m.Model.Deleted && m.Version(s.v.Version) == s.v {
					h := r.startHashing(*s.v)
					r.tailing.Go(func() { r.finish(s.actor, *s.v, h) })
				}
			}
		}
	}
}
