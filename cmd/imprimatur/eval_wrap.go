package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"imprimatur.dev/attest"
	"imprimatur.dev/record"
)

type evalWrapCmd struct {
	ModelPath string            `required:"" placeholder:"PATH" help:"The model's folder or file; hashed before and after the run."`
	Key       string            `required:"" placeholder:"FILE" help:"Your key, as imprimatur principal key new makes it."`
	Output    []string          `required:"" sep:"none" placeholder:"GLOB" help:"The files that the command writes; a folder stands for its files. May be repeated."`
	Envelope  string            `default:"evaluation-run.dsse.json" placeholder:"FILE" help:"Where the signed run goes (default ${default})."`
	Dataset   string            `placeholder:"DATA" help:"What is evaluated on: a file or folder, a digest, or team/name@version."`
	Category  string            `enum:",accuracy,safety,drift,misuse" default:"" help:"accuracy, safety, drift or misuse."`
	Suite     string            `help:"The name of the suite."`
	Seed      string            `help:"The seed of the evaluation."`
	Setting   map[string]string `mapsep:"none" placeholder:"K=V" help:"A setting that two evaluations must share to be compared."`
	Tool      string            `placeholder:"NAME@VERSION" help:"The tool, where its files do not say."`
	Command   []string          `arg:"" passthrough:"" help:"The command, after --."`
}

// Help implements kong.HelpProvider.
func (c *evalWrapCmd) Help() string {
	return `The command runs as if it were alone: with your input and output, and with the signals that you send. When it has ended, what was run is
signed: the model's digest, the data's, the command, its exit status, its times, and the digest of every file that it wrote. The tokens and
passphrases of this program are not handed to it.

  imprimatur eval wrap --model-path model --dataset holdout.csv --key me.key --output 'results/*.json' -- our-eval --model model
  imprimatur eval record results/*.json --model clinic/triage@3 --envelope evaluation-run.dsse.json

The exit status is the command's own, also where that is 0 to 3: a tool that says "failed" is evidence all the same. A command that cannot be
started gives 127. Only where the command itself ended with 0 does this program speak for itself: 1 when the model was changed during the
run, 2 for wrong use or output that the run did not write, 3 when a file is out of reach. A signed run was written if and only if the
last line on standard error says so.`
}

// exitNotStarted is what shells answer for a command that is not there.
const exitNotStarted = 127

// Run implements the command.
func (c *evalWrapCmd) Run(a *app) error {
	if len(c.Command) > 0 && c.Command[0] == "--" {
		c.Command = c.Command[1:]
	}
	if len(c.Command) == 0 {
		return wrongf("give the command to run, after --")
	}
	key, err := a.key(c.Key)
	if err != nil {
		return err
	}
	run, err := c.before(a, key)
	if err != nil {
		return err
	}
	was, err := c.outputs()
	if err != nil {
		return err
	}
	run.Started = record.Millis(a.now())
	status, err := a.pass(c.Command)
	run.Finished, run.Exit = record.Millis(a.now()), status
	if err != nil {
		return err
	}
	// What follows is short and belongs to the run: a signal that ended the
	// command does not end it.
	err = c.after(a, run, was, key)
	if err == nil && status == 0 {
		return nil
	}
	if err != nil && status == 0 {
		return err
	}
	if err != nil {
		a.fail(err)
	}
	return &failure{code: status, err: errors.New("the command failed"), told: true}
}

// before says what is known of the run before it begins.
func (c *evalWrapCmd) before(a *app, key *attest.Key) (run record.EvaluationRun, err error) {
	model, err := a.hash(c.ModelPath)
	if err != nil {
		return run, err
	}
	tool, version, _ := strings.Cut(c.Tool, "@")
	run = record.EvaluationRun{
		Artifact: model.Digest, Category: record.Category(c.Category), Suite: c.Suite, Tool: record.Tool{Name: tool, Version: version},
		Settings: c.Setting, Command: c.Command, Evaluator: attest.PrincipalOf(key.Name()),
	}
	if c.Seed != "" {
		if run.Settings == nil {
			run.Settings = map[string]string{}
		}
		if other, ok := run.Settings["seed"]; ok && other != c.Seed {
			return run, wrongf("--seed is %s and --setting seed=%s", c.Seed, other)
		}
		run.Settings["seed"] = c.Seed
	}
	run.Dataset, err = a.dataAt(c.Dataset)
	return run, err
}

// dataAt returns the digest of data that is a path here, or that a person names.
func (a *app) dataAt(data string) (record.Digest, error) {
	if data == "" {
		return "", nil
	}
	if _, err := os.Stat(data); err == nil {
		b, err := a.hash(data)
		return b.Digest, err
	}
	return a.dataset(data)
}

// after checks what the run left, and signs it.
func (c *evalWrapCmd) after(a *app, run record.EvaluationRun, was map[string]stamp, key *attest.Key) error {
	after := *a
	after.ctx = context.WithoutCancel(a.ctx)
	model, err := after.hash(c.ModelPath)
	if err != nil {
		return err
	}
	if model.Digest != run.Artifact {
		return &failure{code: exitNo, err: fmt.Errorf("the model in %s was changed during the run, from %s to %s: which of the two was evaluated is not known, and nothing is signed", c.ModelPath, run.Artifact.Short(), model.Digest.Short())}
	}
	// Data is looked at again too, where it is here.
	data, err := after.dataAt(c.Dataset)
	if err != nil {
		return err
	}
	if data != run.Dataset {
		return &failure{code: exitNo, err: fmt.Errorf("the data in %s was changed during the run, and nothing is signed", c.Dataset)}
	}
	if run.Outputs, err = c.written(&after, run.Started, was); err != nil {
		return err
	}
	payload, err := attest.EncodeRun(run)
	if err != nil {
		return err
	}
	raw, err := key.Seal(payload).Marshal()
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.Envelope, append(raw, '\n'), 0o644); err != nil {
		return fmt.Errorf("cannot write the signed run %s: %w", c.Envelope, err)
	}
	_, err = fmt.Fprintf(a.stderr, "imprimatur: signed the run of %s over %s in %s\n", run.Artifact.Short(), count(len(run.Outputs), "file"), c.Envelope)
	return err
}

// stamp tells a file from what it was before.
type stamp struct {
	size    int64
	written time.Time
}

// outputs returns the files that the patterns match now. The envelope of an
// earlier run is none of them.
func (c *evalWrapCmd) outputs() (map[string]stamp, error) {
	out := map[string]stamp{}
	for _, pattern := range c.Output {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			return nil, wrongf("--output %q is no pattern: %w", pattern, err)
		}
		for _, path := range paths {
			files, err := filesAt(path)
			if err != nil {
				return nil, err
			}
			for _, f := range files {
				info, err := os.Stat(f.path)
				if err != nil {
					return nil, cannotRead(f.path, err)
				}
				if path := filepath.Clean(f.path); path != filepath.Clean(c.Envelope) {
					out[path] = stamp{info.Size(), info.ModTime()}
				}
			}
		}
	}
	return out, nil
}

// slack is how far the clock of a file system may be behind: that of some is
// read once in two seconds.
const slack = 2 * time.Second

// written returns the files that the run wrote, and refuses those that it did not.
func (c *evalWrapCmd) written(a *app, began time.Time, was map[string]stamp) ([]record.RawFile, error) {
	is, err := c.outputs()
	if err != nil {
		return nil, err
	}
	if len(is) == 0 {
		return nil, wrongf("the command wrote no file that --output %s matches, and nothing is signed", strings.Join(c.Output, " "))
	}
	var out []record.RawFile
	for _, path := range sortedKeys(is) {
		before, there := was[path]
		if is[path].written.Before(began.Add(-slack)) || there && before.size == is[path].size && before.written.Equal(is[path].written) {
			return nil, wrongf("%s is from %s, before the run, and nothing is signed; remove it, or name what the command writes with --output", path, day(is[path].written))
		}
		b, err := a.hash(path)
		if err != nil {
			return nil, err
		}
		out = append(out, record.RawFile{Name: filepath.ToSlash(path), Digest: record.DigestFromHex(b.Files[0].SHA256), Bytes: b.Size, Format: "output"})
	}
	return out, nil
}

func sortedKeys(m map[string]stamp) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// ours is what the environment holds for this program alone.
var ours = []string{"IMPRIMATUR_TOKEN=", "IMPRIMATUR_PASSPHRASE="}

// pass runs a command in this program's place, and returns its exit status.
func (a *app) pass(command []string) (status int, err error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.stdin, a.stdout, a.stderr
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return slices.ContainsFunc(ours, func(name string) bool { return strings.HasPrefix(v, name) })
	})
	sent := make(chan os.Signal, 8)
	signal.Notify(sent, a.forwarded()...)
	defer signal.Stop(sent)
	if err := cmd.Start(); err != nil {
		return exitNotStarted, &failure{code: exitNotStarted, err: fmt.Errorf("cannot start %s: %w", command[0], err)}
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-sent:
			_ = cmd.Process.Signal(s) // it may have ended in between
		case err = <-ended:
			return statusOf(cmd, err)
		}
	}
}

// forwarded are the signals that are handed on. What a terminal's keys send
// reaches the command by itself.
func (a *app) forwarded() []os.Signal {
	out := []os.Signal{syscall.SIGTERM, syscall.SIGHUP}
	if f, ok := a.stdin.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		out = append(out, os.Interrupt, syscall.SIGQUIT)
	}
	return out
}

// statusOf returns the status of a command that ended, in the shells' way where a
// signal ended it: that run is cut off, and not signed.
func statusOf(cmd *exec.Cmd, err error) (int, error) {
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		return exitUndecided, fmt.Errorf("running %s: %w", cmd.Path, err)
	}
	if w, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		status := 128 + int(w.Signal())
		return status, &failure{code: status, err: fmt.Errorf("the command was ended by a signal (%v), and nothing is signed", w.Signal())}
	}
	return cmd.ProcessState.ExitCode(), nil
}
