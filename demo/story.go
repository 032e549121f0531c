package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"imprimatur.dev/client"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// Step is one line of the story: what was done, whether it came out as told,
// and what was seen.
type Step struct {
	Chapter int `json:"chapter"`
	// OK says that the step came out as the story tells it: a refusal that was
	// expected is a tick.
	OK       bool     `json:"ok"`
	Sentence string   `json:"sentence"`
	Details  []string `json:"details,omitzero"`
	Millis   int64    `json:"ms"`
}

// Config says where the story takes place.
type Config struct {
	// URL is a running server with an empty ledger, Administrator the token of
	// its first start.
	URL           string
	Administrator string
	// Folder receives the data, the models and the bundle.
	Folder string
	// VerifyLedger re-checks the whole ledger and says what it checked.
	VerifyLedger func(context.Context) (string, error)
	// Tell is given each step as it ends.
	Tell func(Step)
}

// Tokens are the API tokens of the people in the story, by principal, for
// whoever wants to look around afterwards.
type Tokens map[string]string

// ErrNotAsTold says that a step did not come out as the story tells it.
var ErrNotAsTold = errors.New("the story did not come out as told")

// The people and the workloads of the story, named for what they do.
const (
	engineer = "engineer"
	steward  = "data-steward"
	assessor = "evaluator"
	risk     = "risk-officer"
	security = "security-officer"
	owner    = "model-owner"
	pipeline = "training-pipeline"
	service  = "reading-service"
)

const (
	team        = "clinic"
	model       = "clinic/breast-mass"
	useCase     = "clinic/second-reading"
	purpose     = "second-reading"
	environment = "production"
)

// teller tells the story: it keeps the clients of the people and what the
// chapters hand on to one another.
type teller struct {
	cfg     Config
	ctx     context.Context
	admin   *client.Client
	people  map[string]*client.Client
	tokens  Tokens
	chapter int
	failed  bool

	data   Data
	first  subject
	second subject
	// releases are the IDs in the order in which they went live, times when.
	releases []string
	times    []time.Time
	// returned is when the way back took effect.
	returned time.Time
}

// subject is a trained model in its folder.
type subject struct {
	version string
	folder  string
	model   Model
	digest  record.Digest
	files   []record.File
}

// Tell plays the story against a server and returns the people's tokens. The
// error is [ErrNotAsTold] when a step failed; later chapters are then left out.
func Tell(ctx context.Context, cfg Config) (Tokens, error) {
	t := &teller{cfg: cfg, ctx: ctx, admin: client.New(cfg.URL, cfg.Administrator), people: map[string]*client.Client{}, tokens: Tokens{}}
	var err error
	if t.data, err = Splits(); err != nil {
		return nil, err
	}
	chapters := []func(){
		t.registers, t.proposesWithoutEvidence, t.suppliesEvidence, t.trainerTriesToApprove,
		t.threeApprove, t.oneByteChanges, t.changes, t.drifts,
	}
	for i, tell := range chapters {
		t.chapter = i + 1
		tell()
		if t.failed {
			return t.tokens, ErrNotAsTold
		}
	}
	return t.tokens, nil
}

// step runs one step and tells it. The details may be filled in by fn.
func (t *teller) step(sentence string, fn func() (details []string, err error)) {
	if t.failed {
		return
	}
	start := time.Now()
	details, err := fn()
	s := Step{Chapter: t.chapter, OK: err == nil, Sentence: sentence, Details: details}
	if err != nil {
		t.failed = true
		s.Details = append(s.Details, strings.Split(err.Error(), "\n")...)
	}
	s.Millis = time.Since(start).Milliseconds()
	t.cfg.Tell(s)
}

// refused turns the refusal that the story expects into details, and its
// absence into a failure.
func refused(err error, code wire.Code) ([]string, error) {
	var p *client.Problem
	switch {
	case err == nil:
		return nil, errors.New("it was allowed, and should have been refused")
	case !errors.As(err, &p) || p.Code != code:
		return nil, fmt.Errorf("it was refused in another way than the story tells: %w", err)
	}
	lines := strings.Split(p.Detail, "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return lines, nil
}

// mentions fails when a refusal does not name what it should.
func mentions(details []string, words ...string) error {
	all := strings.Join(details, "\n")
	for _, w := range words {
		if !strings.Contains(all, w) {
			return fmt.Errorf("the refusal does not mention %q", w)
		}
	}
	return nil
}

// write puts a file of the story into its folder.
func (t *teller) write(name string, content []byte) (string, error) {
	path := filepath.Join(t.cfg.Folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, content, 0o644)
}

// who asks a role's people for their names, as the refusals of the server do.
func who(c wire.Case) []string {
	var lines []string
	for _, g := range c.Verdict.Blocking() {
		var people []string
		for _, role := range g.Who {
			people = append(people, fmt.Sprintf("%s (%s)", role, strings.Join(c.Approvers[role], ", ")))
		}
		lines = append(lines, fmt.Sprintf("%s: %s Ask %s.", g.Name, g.Reason, strings.Join(people, " or ")))
	}
	return lines
}
