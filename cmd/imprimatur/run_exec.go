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

	"imprimatur.dev/client"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

type runExecCmd struct {
	Command []string `arg:"" passthrough:"" help:"The command with its arguments."`

	Model  string `placeholder:"PATH" help:"The model as it is to run; it is hashed first, and must be what stands in --env."`
	Bundle string `placeholder:"FILE" help:"Also check the model offline, against this bundle."`
	Trust  string `placeholder:"FILE" help:"The keys you rely on for --bundle."`
	Env    string `placeholder:"NAME" help:"The environment."`

	Identity string   `placeholder:"FILE" help:"The token of the workload's platform, read anew for each exchange, such as a projected service account token. Without it IMPRIMATUR_TOKEN is exchanged."`
	Workload string   `placeholder:"NAME" help:"The workload, where the identity is bound to several."`
	Release  string   `placeholder:"ID" help:"The release, where several name the workload."`
	Audience []string `placeholder:"NAME" help:"Whom the token is for; may be repeated."`

	Grace  span `default:"5s" placeholder:"TIME" help:"How long the command has to end before it is killed (default 5s)."`
	Within span `default:"5s" placeholder:"TIME" help:"How long the server may not be heard of before the command is stopped (default 5s)."`
}

// Help implements kong.HelpProvider.
func (c *runExecCmd) Help() string {
	return `  imprimatur run --model ./model --env production -- python serve.py

The command finds its access token in the file that IMPRIMATUR_ACCESS_TOKEN_FILE names, which is written anew before the token ends, the
server in IMPRIMATUR_URL, and its release in IMPRIMATUR_RELEASE; it does not get IMPRIMATUR_TOKEN. When the release is suspended, retired
or replaced, or lapses, the command and what it has started get SIGTERM, and SIGKILL after --grace. The exit code is the command's own;
1 where the release stopped it or never stood, 3 where the server was not heard of.`
}

// askEvery is how often the server is asked whether the release stands.
const askEvery = 250 * time.Millisecond

// Run implements the command.
func (c *runExecCmd) Run(a *app) error {
	if len(c.Command) > 0 && c.Command[0] == "--" {
		c.Command = c.Command[1:]
	}
	if len(c.Command) == 0 {
		return wrongf("there is no command; give it after --: imprimatur run --model PATH --env NAME -- COMMAND")
	}
	if err := c.verified(a); err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "imprimatur-run-")
	if err != nil {
		return fmt.Errorf("making a place for the token: %w", err)
	}
	defer os.RemoveAll(folder)
	k := &keeper{cmd: c, app: a, file: filepath.Join(folder, "token")}
	if err := k.renew(a.ctx); err != nil {
		return err
	}
	got, err := k.ask(a.ctx)
	if err != nil {
		return err
	}
	if !got.Stands {
		return stopped(got)
	}
	return k.run(got)
}

// verified checks the model, where one is named.
func (c *runExecCmd) verified(a *app) error {
	if c.Model == "" {
		if c.Bundle != "" || c.Trust != "" {
			return wrongf("--bundle and --trust are of a model: name it with --model")
		}
		return nil
	}
	v := verifyCmd{Path: c.Model, Bundle: c.Bundle, Trust: c.Trust, Env: c.Env, Online: a.env("IMPRIMATUR_TOKEN") != "", Within: c.Within}
	out, err := v.check(a)
	if err == nil && !out.OK {
		err = &failure{code: exitNo, err: fmt.Errorf("%s may not run: %s", c.Model, strings.Join(out.Reasons, "; ")), hint: "imprimatur release check says what is missing"}
	}
	return err
}

func stopped(got wire.Granted) error {
	return &failure{code: exitNo, err: fmt.Errorf("no release stands for %s: %s", got.Workload, strings.Join(got.Reasons, "; ")), hint: "imprimatur release check says what is missing"}
}

// keeper keeps a command that runs: its token fresh, and itself only while its
// release stands.
type keeper struct {
	cmd   *runExecCmd
	app   *app
	file  string
	token client.AccessToken
	// due is when the token is to be had anew.
	due time.Time
	// known is the digest of the grants that were told of: they are not told again.
	known record.Digest
}

// renew exchanges the identity and writes the token where the command finds it.
func (k *keeper) renew(ctx context.Context) error {
	in := client.Exchange{Audience: k.cmd.Audience, Workload: k.cmd.Workload, Environment: k.cmd.Env, Release: k.cmd.Release}
	if k.cmd.Identity != "" {
		raw, err := k.app.readFile(k.cmd.Identity, "the platform's token")
		if err != nil {
			return err
		}
		in.Subject = strings.TrimSpace(string(raw))
	}
	// The server takes what it asks about itself beside what others take.
	if len(in.Audience) > 0 {
		in.Audience = slices.Concat(in.Audience, []string{k.app.server()})
	}
	got, err := k.app.client().Exchange(ctx, in)
	if err != nil {
		return err
	}
	if err := os.WriteFile(k.file+".new", []byte(got.Secret), 0o600); err != nil {
		return fmt.Errorf("writing the token: %w", err)
	}
	if err := os.Rename(k.file+".new", k.file); err != nil {
		return fmt.Errorf("writing the token: %w", err)
	}
	k.token, k.due = got, time.Now().Add(got.Life/2)
	return nil
}

// ask asks, as the workload itself, whether its release stands.
func (k *keeper) ask(ctx context.Context) (wire.Granted, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(k.cmd.Within))
	defer cancel()
	got, err := client.New(k.app.server(), k.token.Secret).Granted(ctx, wire.Ask{Environment: k.cmd.Env, Release: k.cmd.Release}, k.known)
	if err == nil {
		k.known = got.Digest
	}
	return got, err
}

// run starts the command and waits for its end, or ends it.
func (k *keeper) run(got wire.Granted) error {
	child := exec.Command(k.cmd.Command[0], k.cmd.Command[1:]...)
	child.Stdin, child.Stdout, child.Stderr = k.app.stdin, k.app.stdout, k.app.stderr
	child.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "IMPRIMATUR_TOKEN=") })
	child.Env = append(child.Env, "IMPRIMATUR_URL="+k.app.server(), "IMPRIMATUR_ACCESS_TOKEN_FILE="+k.file, "IMPRIMATUR_RELEASE="+got.Release)
	// A group of its own, so that what it starts ends with it.
	child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	if err := child.Start(); err != nil {
		return wrongf("starting %s: %w", k.cmd.Command[0], err)
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	ctx, cancel := context.WithCancel(context.WithoutCancel(k.app.ctx))
	defer cancel()
	over := make(chan error, 1)
	go func() { over <- k.watch(ctx, got.Release) }()
	for {
		select {
		case err := <-ended:
			return codeOf(err)
		case s := <-signals:
			group(child, s.(syscall.Signal))
		case why := <-over:
			fmt.Fprintln(k.app.stderr, "imprimatur: stopping the command:", plain(why.Error()))
			group(child, syscall.SIGTERM)
			select {
			case <-ended:
			case <-time.After(time.Duration(k.cmd.Grace)):
			}
			// Also what it has started and left behind.
			group(child, syscall.SIGKILL)
			return why
		}
	}
}

// group sends a signal to the command and what it has started.
func group(child *exec.Cmd, s syscall.Signal) {
	_ = syscall.Kill(-child.Process.Pid, s) // it may have ended by itself
}

// codeOf makes the command's exit code this program's own.
func codeOf(err error) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	code := exit.ExitCode()
	if code < 0 { // by a signal, as shells say it
		code = 128 + int(exit.Sys().(syscall.WaitStatus).Signal())
	}
	return &failure{code: code, err: err, told: true}
}

// watch returns when the release is no longer the one that stands, or nothing was
// heard of the server for too long.
func (k *keeper) watch(ctx context.Context, release string) error {
	heard := time.Now()
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		var err error
		if time.Now().After(k.due) {
			err = k.renew(ctx)
		}
		var got wire.Granted
		if err == nil {
			got, err = k.ask(ctx)
		}
		var refused *client.Problem
		switch {
		case err == nil && !got.Stands:
			return stopped(got)
		case err == nil && got.Release != release:
			return &failure{code: exitNo, err: fmt.Errorf("%s was replaced by %s", release, got.Release), hint: "start the command again with the new model"}
		case err == nil:
			heard = time.Now()
		case errors.As(err, &refused) && (refused.Code == wire.Forbidden || refused.Code == wire.SignIn):
			return &failure{code: exitNo, err: err}
		case time.Since(heard) > time.Duration(k.cmd.Within):
			return &failure{code: exitUndecided, err: fmt.Errorf("the server was not heard of for %s: %w", time.Duration(k.cmd.Within), err)}
		}
	}
}
