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
	"imprimatur.dev/gateway/follow"
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
	f := follow.New(k.granted, "", time.Duration(c.Within), time.Now)
	if err := f.Ask(a.ctx); err != nil {
		return err
	}
	term, err := f.Stands()
	if err != nil {
		return stopped(err)
	}
	return k.run(f, term.Release)
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

// stopped is the failure for which nothing is started, or what runs is ended.
func stopped(err error) error {
	var no *follow.Stopped
	if errors.As(err, &no) && no.Undecided {
		return &failure{code: exitUndecided, err: err}
	}
	return &failure{code: exitNo, err: err, hint: "imprimatur release check says what is missing"}
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

// granted asks as the workload itself, with a token that is good.
func (k *keeper) granted(ctx context.Context, _ string, have record.Digest) (wire.Granted, error) {
	if time.Now().After(k.due) {
		if err := k.renew(ctx); err != nil {
			return wire.Granted{}, asWorkload(err)
		}
	}
	return k.app.granted(k.cmd.Env, k.cmd.Release)(ctx, k.token.Secret, have)
}

// run starts the command and waits for its end, or ends it.
func (k *keeper) run(f *follow.Follower, release string) error {
	child := exec.Command(k.cmd.Command[0], k.cmd.Command[1:]...)
	child.Stdin, child.Stdout, child.Stderr = k.app.stdin, k.app.stdout, k.app.stderr
	child.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "IMPRIMATUR_TOKEN=") })
	child.Env = append(child.Env, "IMPRIMATUR_URL="+k.app.server(), "IMPRIMATUR_ACCESS_TOKEN_FILE="+k.file, "IMPRIMATUR_RELEASE="+release)
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
	go f.Run(ctx, func() bool { return true })
	over := make(chan error, 1)
	go func() { over <- f.Await(ctx, release) }()
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
			return stopped(why)
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
