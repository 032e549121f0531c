package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// targetCmd is the noun target.
type targetCmd struct {
	Add    targetAddCmd    `cmd:"" help:"Tell a webhook, a chat or a mail address of what is stated from now on."`
	List   targetListCmd   `cmd:"" help:"List the targets that you may change, and how they do."`
	Show   targetShowCmd   `cmd:"" help:"Show one with what could not be delivered."`
	Change targetChangeCmd `cmd:"" help:"Change one, its secret, or switch it off and on."`
	Test   targetTestCmd   `cmd:"" help:"Send one message that tells of nothing, and say what came of it."`
	Replay targetReplayCmd `cmd:"" help:"Deliver what was given up."`
	Remove targetRemoveCmd `cmd:"" help:"End one for good."`
}

type targetAddCmd struct {
	Name        string   `arg:"" help:"What people call it."`
	Team        string   `required:"" help:"Whose affairs it is told of; '*' for everybody's."`
	URL         string   `name:"url" xor:"to" placeholder:"URL" help:"A webhook: CloudEvents, signed as Standard Webhooks asks."`
	SlackFile   string   `xor:"to" placeholder:"FILE" help:"The secret address of a Slack-compatible incoming webhook; - is standard input."`
	Mail        string   `xor:"to" placeholder:"ADDRESS" help:"An e-mail address."`
	Event       []string `placeholder:"KIND" help:"Only this kind, such as approval or data-approval; may be repeated."`
	Environment []string `placeholder:"NAME" help:"Only what concerns this environment; may be repeated."`
	SecretFile  string   `placeholder:"FILE" help:"The secret that signs, whsec_…; else one is made and shown once."`
	Description string   `placeholder:"TEXT" help:"What it is for."`
}

// Run implements the command.
func (c *targetAddCmd) Run(a *app) error {
	in := wire.TargetRequest{Team: c.Team, Name: c.Name, Description: c.Description, Events: c.Event, Environments: c.Environment}
	var err error
	switch {
	case c.URL != "":
		in.Form, in.URL = record.FormWebhook, c.URL
		in.Secret, err = a.secret(c.SecretFile)
	case c.SlackFile != "":
		in.Form = record.FormSlack
		in.URL, err = a.secret(c.SlackFile)
	case c.Mail != "":
		in.Form, in.Address = record.FormMail, c.Mail
	default:
		return wrongf("say where to: --url, --slack-file or --mail")
	}
	if err != nil {
		return err
	}
	got, err := a.client().AddTarget(a.ctx, in)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) { drawKept(p, got, "added") })
}

// secret reads a secret from a file, or none where none is named.
func (a *app) secret(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	raw, err := a.readFile(path, "the secret")
	return strings.TrimSpace(string(raw)), err
}

func drawKept(p *page, got wire.KeptTarget, what string) {
	x := got.Target.Record
	p.line("%s the target %s (%s), %s", what, x.Name, x.ID, goesTo(x))
	if got.Secret != "" {
		p.line("")
		p.line("This secret signs what is sent. It is shown once; give it to the receiver:")
		p.line("")
		p.line("  %s", got.Secret)
		p.line("")
	}
	p.styled(quiet, "next: imprimatur target test %s", x.ID)
}

func goesTo(x record.Target) string {
	return x.Form + " " + cmp.Or(x.URL, x.Address)
}

type targetListCmd struct {
	Team string `help:"Only this team's; '*' for those of everybody's affairs."`
}

// Run implements the command.
func (c *targetListCmd) Run(a *app) error {
	got, err := a.client().Targets(a.ctx, c.Team)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		if len(got) == 0 {
			p.line("none; add one with imprimatur target add")
			return
		}
		rows := [][]cell{heading("TARGET", "NAME", "TEAM", "TO", "SENT", "BEHIND", "")}
		for _, s := range got {
			x := s.Target.Record
			rows = append(rows, append(texts(x.ID, x.Name, x.Team, goesTo(x), fmt.Sprint(s.Sent), fmt.Sprint(s.Behind)), conditionOf(s)))
		}
		p.table(rows)
	})
}

// conditionOf says how a target does.
func conditionOf(s wire.TargetStatus) cell {
	switch {
	case s.Target.Record.Disabled:
		return cell{"off", quiet}
	case s.Fault != "":
		return cell{s.Fault, bad}
	}
	return cell{"well", good}
}

type targetShowCmd struct {
	ID string `arg:"" help:"Such as t-0123456789abcdef; imprimatur target list shows them."`
}

// Run implements the command.
func (c *targetShowCmd) Run(a *app) error {
	got, err := a.client().Target(a.ctx, c.ID)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) { drawTarget(p, got) })
}

func drawTarget(p *page, s wire.TargetStatus) {
	x := s.Target.Record
	p.styled(strong, "%s", x.Name)
	p.field("target", "%s", x.ID)
	p.field("team", "%s", x.Team)
	p.field("to", "%s", goesTo(x))
	p.field("events", "%s", join(x.Events, "all that people decide"))
	p.field("environments", "%s", join(x.Environments, "all"))
	if x.Description != "" {
		p.field("for", "%s", x.Description)
	}
	last := "never"
	if !s.Last.IsZero() {
		last = s.Last.Format(time.RFC3339)
	}
	p.field("sent", "%d, last %s; %d statements behind", s.Sent, last, s.Behind)
	p.field("condition", "%s", conditionOf(s).text)
	if !s.Rest.IsZero() {
		p.field("rests until", "%s, after %d failures", s.Rest.Format(time.RFC3339), s.Failures)
	}
	if len(s.Deliveries) == 0 {
		return
	}
	p.line("")
	rows := [][]cell{heading("DELIVERY", "STATEMENT", "", "TRIED", "NEXT", "WHY")}
	for _, d := range s.Deliveries {
		state, next := cell{d.State, warn}, d.Due.Format(time.RFC3339)
		if d.State == "dead" {
			state, next = cell{"given up", bad}, "when replayed"
		}
		rows = append(rows, append([]cell{{text: d.ID}, {text: fmt.Sprint(d.Entry)}, state}, texts(fmt.Sprint(d.Attempts), next, d.Fault)...))
	}
	p.table(rows)
	p.styled(quiet, "next: imprimatur target replay %s", x.ID)
}

type targetChangeCmd struct {
	ID          string    `arg:"" help:"The target."`
	Name        *string   `help:"What people call it."`
	Description *string   `placeholder:"TEXT" help:"What it is for."`
	URL         *string   `name:"url" placeholder:"URL" help:"Where a webhook goes."`
	SlackFile   string    `placeholder:"FILE" help:"The new secret address of a Slack-compatible incoming webhook."`
	Mail        *string   `placeholder:"ADDRESS" help:"Where mail goes."`
	Event       *[]string `placeholder:"KIND" help:"Only this kind; may be repeated."`
	Environment *[]string `placeholder:"NAME" help:"Only what concerns this environment; may be repeated."`
	Rotate      bool      `help:"Make a new secret; the old one signs too for a day."`
	SecretFile  string    `placeholder:"FILE" help:"The new secret."`
	Off         bool      `xor:"on" help:"Tell it nothing more."`
	On          bool      `xor:"on" help:"Tell it again, of what is stated from now on."`
}

// Run implements the command.
func (c *targetChangeCmd) Run(a *app) error {
	in := wire.TargetChange{
		Name: c.Name, Description: c.Description, URL: c.URL, Address: c.Mail, Events: c.Event, Environments: c.Environment, Rotate: c.Rotate,
	}
	if c.Off || c.On {
		in.Disabled = &c.Off
	}
	for file, field := range map[string]**string{c.SecretFile: &in.Secret, c.SlackFile: &in.URL} {
		if file == "" {
			continue
		}
		secret, err := a.secret(file)
		if err != nil {
			return err
		}
		*field = &secret
	}
	got, err := a.client().ChangeTarget(a.ctx, c.ID, in)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) { drawKept(p, got, "changed") })
}

type targetTestCmd struct {
	ID string `arg:"" help:"The target."`
}

// Run implements the command.
func (c *targetTestCmd) Run(a *app) error {
	got, err := a.client().TestTarget(a.ctx, c.ID)
	if err != nil {
		return err
	}
	err = a.show(got, func(p *page) {
		if got.OK {
			p.line("it was taken")
			return
		}
		p.line("it was not taken: %s", got.Fault)
		if got.Body != "" {
			p.styled(quiet, "  %s", got.Body)
		}
	})
	if err == nil && !got.OK {
		return no()
	}
	return err
}

type targetReplayCmd struct {
	ID       string `arg:"" help:"The target."`
	Delivery string `arg:"" optional:"" help:"One delivery; else all that were given up."`
}

// Run implements the command.
func (c *targetReplayCmd) Run(a *app) error {
	got, err := a.client().ReplayTarget(a.ctx, c.ID, wire.Replay{Delivery: c.Delivery})
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) { p.line("%d deliveries are due again", got.Deliveries) })
}

type targetRemoveCmd struct {
	ID string `arg:"" help:"The target."`
}

// Run implements the command.
func (c *targetRemoveCmd) Run(a *app) error {
	got, err := a.client().RemoveTarget(a.ctx, c.ID)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) { p.line("removed the target %s (%s)", got.Record.Name, got.Record.ID) })
}
