package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/demo"
	"imprimatur.dev/registry"
	"imprimatur.dev/server"
)

// demoCmd is "imprimatur demo": a real installation in a folder of its own, and
// the story played against it over HTTP.
type demoCmd struct {
	Once   bool   `help:"End after the story; exit 0 only if every step came out as told."`
	Listen string `default:"127.0.0.1:8420" help:"Address to serve on; with --once a free port is taken."`
	Data   string `placeholder:"DIR" help:"An empty folder to keep everything in; a temporary one otherwise."`
}

// told is how the story ended.
type told struct {
	folder string
	url    string
	tokens demo.Tokens
	ok     bool
	took   time.Duration
}

// Run implements the command.
func (c *demoCmd) Run(a *app) error {
	folder, done, err := c.folder()
	if err != nil {
		return err
	}
	defer done()
	reg, err := registry.Open(a.ctx, registry.Config{Data: filepath.Join(folder, "data"), Now: a.now})
	if err != nil {
		return err
	}
	defer reg.Close()
	listen := c.Listen
	if c.Once {
		listen = "127.0.0.1:0"
	}
	l, err := new(net.ListenConfig).Listen(a.ctx, "tcp", listen)
	if err != nil {
		return &failure{code: exitUndecided, err: err, hint: "name another address with --listen, or end what uses this one"}
	}
	serving, stop := context.WithCancel(a.ctx)
	served := make(chan error, 1)
	go func() {
		served <- server.ServeOn(serving, l, server.New(reg, server.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))}))
	}()
	end, err := c.tell(a, reg, told{folder: folder, url: "http://" + l.Addr().String()})
	if err == nil && end.ok && !c.Once {
		c.invite(a, end)
		<-a.ctx.Done()
	}
	stop()
	if shut := <-served; err == nil {
		err = shut
	}
	if err == nil && !end.ok {
		return no()
	}
	return err
}

func (c *demoCmd) folder() (folder string, done func(), err error) {
	if c.Data != "" {
		if there, err := os.ReadDir(c.Data); err == nil && len(there) > 0 {
			return "", nil, wrongf("the folder %s is not empty; the demo begins in an empty one", c.Data)
		}
		return c.Data, func() {}, os.MkdirAll(c.Data, 0o755)
	}
	folder, err = os.MkdirTemp("", "imprimatur-demo-")
	if err != nil {
		return "", nil, fmt.Errorf("making a folder for the demo: %w", err)
	}
	return folder, func() {
		if c.Once {
			os.RemoveAll(folder) //nolint:errcheck // a left-over in the temporary folder harms nobody
		}
	}, nil
}

// tell plays the story and prints each step as it ends.
func (c *demoCmd) tell(a *app, reg *registry.Registry, end told) (told, error) {
	administrator, err := reg.Begin(a.ctx)
	if err != nil {
		return end, err
	}
	start := a.now()
	chapter := 0
	end.tokens, err = demo.Tell(a.ctx, demo.Config{
		URL: end.url, Administrator: administrator, Folder: end.folder,
		VerifyLedger: func(ctx context.Context) (string, error) {
			r, err := reg.VerifyLedger(ctx)
			return fmt.Sprintf("%d entries, %d facts, %d tiles, %d checkpoints, root %s", r.Entries, r.Facts, r.Tiles, r.Checkpoints, r.Root), err
		},
		Tell: func(s demo.Step) {
			if a.json {
				raw, err := json.Marshal(s, json.Deterministic(true))
				if err == nil {
					a.stdout.Write(append(raw, '\n')) //nolint:errcheck // nobody is left to tell
				}
				return
			}
			p := newPage(a.stdout, a.colour(a.stdout))
			if s.Chapter != chapter {
				chapter = s.Chapter
				p.line("")
			}
			p.step(s)
			p.flush() //nolint:errcheck // nobody is left to tell
		},
	})
	end.ok, end.took = err == nil, a.now().Sub(start)
	if err != nil && !end.ok && end.tokens == nil {
		return end, err
	}
	if !a.json {
		fmt.Fprintf(a.stdout, "\nThe story took %.1f s%s.\n", end.took.Seconds(), map[bool]string{true: "", false: " and did not come out as told"}[end.ok])
	}
	return end, nil
}

// step draws one step: a tick or a cross, the sentence, and what was seen.
func (p *page) step(s demo.Step) {
	mark, how := "✓", good
	if !s.OK {
		mark, how = "✗", bad
	}
	first, rest := strings.Repeat(" ", 2), s.Sentence
	if s.Chapter > 0 {
		first = fmt.Sprintf("%d ", s.Chapter)
	}
	for i, part := range wrap(rest, p.width-4) {
		if i == 0 {
			fmt.Fprintln(p.w, p.dress(cell{mark, how})+" "+first+plain(part))
			continue
		}
		p.line("    %s", part)
	}
	for _, d := range s.Details {
		for _, part := range wrap(d, p.width-6) {
			p.styled(quiet, "      %s", part)
		}
	}
}

// invite says how to look around.
func (c *demoCmd) invite(a *app, end told) {
	if a.json {
		return
	}
	p := newPage(a.stdout, a.colour(a.stdout))
	p.line("")
	p.styled(strong, "Look around: it keeps serving at %s until you press Ctrl-C.", end.url)
	p.line("Sign in from another terminal as the model owner:")
	p.line("")
	p.line("  export IMPRIMATUR_URL=%s", end.url)
	p.line("  export IMPRIMATUR_TOKEN=%s", end.tokens["model-owner"])
	p.line("  go run ./cmd/imprimatur audit live      what runs now, by whose approval, on what evidence")
	p.line("  go run ./cmd/imprimatur release list    every release; then: release show ID, release monitor ID")
	p.line("")
	p.line("The models, the bundle and the ledger are in %s. The others' tokens:", end.folder)
	for _, name := range []string{"engineer", "data-steward", "evaluator", "risk-officer", "security-officer"} {
		p.line("  %-16s %s", name, end.tokens[name])
	}
	p.flush() //nolint:errcheck // nobody is left to tell
}
