package main

import (
	"fmt"
	"os"
	"strings"

	"imprimatur.dev/policy"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// policyCmd is the noun policy.
type policyCmd struct {
	Ready   policyReadyCmd   `cmd:"" help:"List the policies that come with the program, or print one to start from."`
	Lint    policyLintCmd    `cmd:"" help:"Find every fault of a policy file."`
	Test    policyTestCmd    `cmd:"" help:"Run the tests beside a policy file."`
	Show    policyShowCmd    `cmd:"" help:"Say a policy in sentences: a file's, or a published one's."`
	Try     policyTryCmd     `cmd:"" help:"Say what a policy file would make of the releases that are live now, before it is published."`
	Publish policyPublishCmd `cmd:"" help:"Publish a policy: releases proposed from now on are judged by it."`
	List    policyListCmd    `cmd:"" help:"List the published policies, newest first."`
}

type policyReadyCmd struct {
	Name  string `arg:"" optional:"" help:"Which one."`
	Tests bool   `help:"Print the tests beside it instead."`
}

// Run implements the command.
func (c *policyReadyCmd) Run(a *app) error {
	if c.Name == "" {
		return a.show(policy.ReadyNames(), func(p *page) {
			for _, n := range policy.ReadyNames() {
				p.line("%s", n)
			}
		})
	}
	read := policy.Ready
	if c.Tests {
		read = policy.ReadyTests
	}
	text, ok := read(c.Name)
	if !ok {
		return wrongf("no ready policy is called %q; there are %s", c.Name, strings.Join(policy.ReadyNames(), ", "))
	}
	if a.json {
		return a.writeJSON(map[string]string{"name": c.Name, "text": string(text)})
	}
	_, err := a.stdout.Write(text)
	return err
}

type policyLintCmd struct {
	File string `arg:"" help:"The policy file; - is standard input."`
}

// linted is what lint prints.
type linted struct {
	File     string           `json:"file"`
	OK       bool             `json:"ok"`
	Problems []policy.Problem `json:"problems"`
}

// Run implements the command.
func (c *policyLintCmd) Run(a *app) error {
	text, err := a.readFile(c.File, "the policy")
	if err != nil {
		return err
	}
	out := linted{File: c.File, OK: true, Problems: policy.Lint(text)}
	for _, p := range out.Problems {
		out.OK = out.OK && p.Warning
	}
	if err := a.show(out, func(p *page) { drawLinted(p, out) }); err != nil || out.OK {
		return err
	}
	return no()
}

func drawLinted(p *page, out linted) {
	for _, pr := range out.Problems {
		s, word := bad, "error"
		if pr.Warning {
			s, word = warn, "warning"
		}
		p.styled(s, "%s:%d:%d: %s: %s", out.File, pr.Line, pr.Column, word, pr.Message)
	}
	if out.OK {
		p.styled(good, "✓ %s can be published", out.File)
	}
}

type policyTestCmd struct {
	File  string `arg:"" help:"The policy file."`
	Tests string `placeholder:"FILE" help:"Its tests; else NAME.test.yaml beside NAME.yaml."`
}

// Run implements the command.
func (c *policyTestCmd) Run(a *app) error {
	text, err := a.readFile(c.File, "the policy")
	if err != nil {
		return err
	}
	if c.Tests == "" {
		c.Tests = strings.TrimSuffix(strings.TrimSuffix(c.File, ".yaml"), ".yml") + ".test.yaml"
	}
	tests, err := a.readFile(c.Tests, "the tests")
	if err != nil {
		return err
	}
	results, err := policy.RunTests(text, tests)
	if err != nil {
		return wrongf("%w", err)
	}
	passed := 0
	for _, r := range results {
		if r.Passed {
			passed++
		}
	}
	err = a.show(results, func(p *page) {
		for _, r := range results {
			t := tick(r.Passed)
			p.line("%s %s", p.dress(t), r.Name)
			for _, f := range r.Faults {
				p.line("    %s:%d: %s", c.Tests, r.Line, f)
			}
		}
		p.line("%d of %s passed", passed, count(len(results), "test"))
	})
	if err != nil || passed == len(results) {
		return err
	}
	return no()
}

type policyShowCmd struct {
	What string `arg:"" help:"A policy file, or the name or digest of a published or ready policy."`
	Text bool   `help:"Print the file itself."`
}

// sentences is a policy said in words.
type sentences struct {
	Name   string             `json:"name"`
	Digest record.Digest      `json:"digest"`
	Tiers  []policy.TierRules `json:"tiers"`
	Text   string             `json:"text"`
}

// Run implements the command.
func (c *policyShowCmd) Run(a *app) error {
	text, err := c.text(a)
	if err != nil {
		return err
	}
	loaded, err := policy.Load(text)
	if err != nil {
		return fmt.Errorf("%s: %w", c.What, err)
	}
	said := sentences{Name: loaded.Name, Digest: loaded.Digest, Tiers: loaded.Sentences(), Text: string(text)}
	if c.Text && !a.json {
		_, err := a.stdout.Write(text)
		return err
	}
	return a.show(said, func(p *page) { drawSentences(p, said) })
}

// text finds a policy: a file, then a published one, then a ready one.
func (c *policyShowCmd) text(a *app) ([]byte, error) {
	if _, err := os.Stat(c.What); err == nil || c.What == "-" {
		return a.readFile(c.What, "the policy")
	}
	got, ok, err := newest(a, record.KindPolicy, func(r record.Policy) bool {
		return r.Name == c.What || string(r.Digest) == c.What || r.Digest.Short() == c.What
	})
	if ok {
		return []byte(got.Record.Text), nil
	}
	if text, ready := policy.Ready(c.What); ready {
		return text, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s is no file and no ready policy: %w", c.What, err)
	}
	return nil, &failure{code: exitNo, err: fmt.Errorf("no policy is called %s: it is no file, not published here and not a ready one", c.What), hint: "imprimatur policy list, or imprimatur policy ready"}
}

func drawSentences(p *page, s sentences) {
	p.styled(strong, "Policy %s", s.Name)
	p.line("%s", s.Digest)
	for _, t := range s.Tiers {
		p.line("")
		title := "Tier " + t.Tier
		if t.Mode == record.Advise {
			title += " (advises only, blocks nothing)"
		}
		if t.Solo {
			title += " (solo: one person may fill every seat, and the release says so)"
		}
		p.styled(strong, "%s", title)
		rows := [][]cell{}
		for _, r := range t.Rules {
			c := cell{text: r.Rule}
			if r.Mode == record.Advise && t.Mode != record.Advise {
				c.text += " (advice)"
			}
			rows = append(rows, []cell{{text: "  " + r.Gate}, c})
		}
		p.table(rows)
	}
}

type policyTryCmd struct {
	File string `arg:"" help:"The policy file; - is standard input."`
}

// Run implements the command.
func (c *policyTryCmd) Run(a *app) error {
	text, err := a.readFile(c.File, "the policy")
	if err != nil {
		return err
	}
	got, err := a.client().TryPolicy(a.ctx, wire.PolicyFile{Text: string(text)})
	if err != nil {
		return err
	}
	err = a.show(got, func(p *page) {
		for _, u := range got.Unsatisfiable {
			p.styled(bad, "✗ %s", u)
		}
		for _, w := range got.Warnings {
			p.styled(warn, "! %s", w)
		}
		for _, t := range got.Tried {
			p.line("%s %s %s in %s, tier %s", p.dress(tick(t.Passes)), t.Release, t.Model, t.Environment, t.Tier)
			for _, g := range t.Gates {
				p.line("    %s", g)
			}
		}
		p.line("%d of %s would fail policy %s", got.Failing, count(len(got.Tried), "live release"), got.Policy)
		if got.Left > 0 {
			p.styled(warn, "! %d more were not tried: there was no time", got.Left)
		}
	})
	if err != nil || got.Failing == 0 && len(got.Unsatisfiable) == 0 && got.Left == 0 {
		return err
	}
	return no()
}

type policyPublishCmd struct {
	File   string `arg:"" help:"The policy file."`
	Reason string `placeholder:"TEXT" help:"What changed and why, for who reads the ledger."`
}

// Run implements the command.
func (c *policyPublishCmd) Run(a *app) error {
	text, err := a.readFile(c.File, "the policy")
	if err != nil {
		return err
	}
	got, err := a.client().PublishPolicy(a.ctx, wire.PolicyFile{Text: string(text), Reason: c.Reason})
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		p.line("published policy %s as %s", got.Policy.Record.Name, got.Policy.Record.Digest)
		for _, w := range got.Warnings {
			p.styled(warn, "! %s", w)
		}
	})
}

type policyListCmd struct{ pager }

// Run implements the command.
func (c *policyListCmd) Run(a *app) error {
	return list(a, record.KindPolicy, c.pager, heading("NAME", "DIGEST", "BY", "PUBLISHED", "REASON"), func(r record.Recorded[record.Policy]) []cell {
		return texts(r.Record.Name, r.Record.Digest.Short(), r.Actor, day(r.Time), r.Record.Reason)
	})
}
