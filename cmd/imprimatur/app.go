package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/term"

	"imprimatur.dev/artifact"
	"imprimatur.dev/attest"
	"imprimatur.dev/client"
	"imprimatur.dev/evidence"
	"imprimatur.dev/policy"
	"imprimatur.dev/record"
	"imprimatur.dev/verify"
	"imprimatur.dev/wire"
)

// The exit codes of the package comment.
const (
	exitYes = iota
	exitNo
	exitWrong
	exitUndecided
)

// app is what every command is given.
type app struct {
	ctx    context.Context
	env    func(string) string
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	json   bool
	now    func() time.Time
}

func newApp(ctx context.Context, env func(string) string, stdin io.Reader, stdout, stderr io.Writer) *app {
	return &app{ctx: ctx, env: env, stdin: stdin, stdout: stdout, stderr: stderr, now: time.Now}
}

// client speaks to the server that the environment names.
func (a *app) client() *client.Client {
	return client.New(a.server(), a.env("IMPRIMATUR_TOKEN"))
}

func (a *app) server() string {
	if u := a.env("IMPRIMATUR_URL"); u != "" {
		return strings.TrimRight(u, "/")
	}
	return "http://127.0.0.1:8420"
}

// show prints what a command found: the value as JSON, or what human draws.
func (a *app) show(value any, human func(p *page)) error {
	if a.json {
		return a.writeJSON(value)
	}
	p := newPage(a.stdout, a.colour(a.stdout))
	human(p)
	return p.flush()
}

func (a *app) writeJSON(value any) error {
	raw, err := json.Marshal(value, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return fmt.Errorf("writing JSON: %w", err)
	}
	_, err = a.stdout.Write(append(raw, '\n'))
	return err
}

// terminal returns the file of a writer that is a terminal.
func terminal(w io.Writer) (*os.File, bool) {
	f, ok := w.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

func (a *app) colour(w io.Writer) bool {
	_, ok := terminal(w)
	return ok && a.env("NO_COLOR") == "" && a.env("TERM") != "dumb"
}

// failure is an error that knows its exit code, and what to do next.
type failure struct {
	code int
	err  error
	hint string
	// told says that the answer was printed already: only the code is left.
	told bool
}

func (f *failure) Error() string { return f.err.Error() }

func (f *failure) Unwrap() error { return f.err }

func wrongf(format string, args ...any) *failure {
	return &failure{code: exitWrong, err: fmt.Errorf(format, args...)}
}

// no ends a command whose answer, already printed, is no.
func no() error { return &failure{code: exitNo, err: errors.New("no"), told: true} }

// problem is the form of a failure under --json.
type problem struct {
	Error   string          `json:"error"`
	Code    wire.Code       `json:"code"`
	Exit    int             `json:"exit"`
	Hint    string          `json:"hint,omitzero"`
	Verdict *record.Verdict `json:"verdict,omitzero"`
}

// fail tells of an error and returns the exit code.
func (a *app) fail(err error) int {
	var f *failure
	if errors.As(err, &f) && f.told {
		return f.code
	}
	p := a.problemOf(err)
	if a.json {
		if werr := a.writeJSON(p); werr != nil {
			fmt.Fprintln(a.stderr, "imprimatur:", werr)
		}
	}
	fmt.Fprintln(a.stderr, "imprimatur:", plain(p.Error))
	if p.Hint != "" {
		fmt.Fprintln(a.stderr, "hint:", plain(p.Hint))
	}
	return p.Exit
}

func (a *app) problemOf(err error) problem {
	p := problem{Error: err.Error(), Exit: exitUndecided, Code: wire.Unavailable}
	var said *client.Problem
	var f *failure
	var unreachable *url.Error
	switch {
	case errors.As(err, &said):
		p.Code, p.Verdict, p.Exit = said.Code, said.Verdict, exitOf(said.Code)
		p.Error = said.Detail
	case errors.As(err, &f):
		p.Exit, p.Hint = f.code, f.hint
		p.Code = map[int]wire.Code{exitNo: wire.Refused, exitWrong: wire.Invalid, exitUndecided: wire.Unavailable}[f.code]
	case errors.As(err, &unreachable):
		p.Error = fmt.Sprintf("cannot reach the server at %s: %v", a.server(), cause(unreachable))
		p.Hint = "start one with imprimatur serve, or set IMPRIMATUR_URL"
	case broken(err):
		p.Exit, p.Code = exitWrong, wire.Invalid
	}
	return p
}

// cause digs out what an operating system said.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return errors.Unwrap(err)
}

func exitOf(code wire.Code) int {
	switch code {
	case wire.Invalid:
		return exitWrong
	case wire.Unavailable, "":
		return exitUndecided
	default:
		return exitNo
	}
}

// broken reports whether an error says that input was read and is not what it
// should be.
func broken(err error) bool {
	for _, is := range []error{
		verify.ErrBundle, artifact.ErrManifest, artifact.ErrEmpty, artifact.ErrNotRegular,
		attest.ErrModelSignature, attest.ErrKeyPermissions, attest.ErrKeyExists,
		attest.ErrPassphraseNeeded, attest.ErrPassphraseWrong, attest.ErrNotEncrypted,
	} {
		if errors.Is(err, is) {
			return true
		}
	}
	var file *policy.FileError
	var refused *evidence.Refusal
	var invalid *record.InvalidError
	return errors.As(err, &file) || errors.As(err, &refused) || errors.As(err, &invalid)
}

// readFile reads a file that a person named; "-" is standard input.
func (a *app) readFile(path, what string) ([]byte, error) {
	if path == "-" {
		raw, err := io.ReadAll(a.stdin)
		if err != nil {
			return nil, fmt.Errorf("reading %s from standard input: %w", what, err)
		}
		return raw, nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, fmt.Errorf("cannot read %s %s: %w", what, path, err)
	}
	return raw, nil
}

// readJSON reads a file strictly into a value.
func readJSON[T any](a *app, path, what string) (T, error) {
	raw, err := a.readFile(path, what)
	if err != nil {
		var none T
		return none, err
	}
	return strictly[T](raw, path, what)
}

// strictly reads JSON and refuses members that it does not know.
func strictly[T any](raw []byte, path, what string) (T, error) {
	var v T
	if err := json.Unmarshal(raw, &v, json.RejectUnknownMembers(true)); err != nil {
		return v, wrongf("%s %s cannot be read: %w", what, path, err)
	}
	return v, nil
}

// output opens what a command writes to, and says how it is finished.
func (a *app) output(path string) (w *bufio.Writer, done func() error, err error) {
	if path == "" || path == "-" {
		w = bufio.NewWriter(a.stdout)
		return w, w.Flush, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot write %s: %w", path, err)
	}
	w = bufio.NewWriter(f)
	return w, func() error { return errors.Join(w.Flush(), f.Close()) }, nil
}
