package main

import (
	"errors"

	"imprimatur.dev/commitment"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

type datasetOverlapCmd struct {
	A     string `arg:"" help:"A committed dataset: team/name@version or digest; with --files, a file of leaves."`
	B     string `arg:"" help:"Another."`
	Files bool   `help:"Compare two files of leaves here, with no server, and state nothing."`
}

// Help implements kong.HelpProvider.
func (c *datasetOverlapCmd) Help() string {
	return `The server counts the items that two datasets have in common and states the number in the ledger,
where a policy with "holdout: { overlap: none }" looks for it. Both must be committed to under one
key and field. Exit 0 where nothing is in common, 1 where something is.

  imprimatur dataset overlap clinic/held-out@1 clinic/training@7
  imprimatur dataset overlap --files held-out.csv.leaves training.csv.leaves`
}

// counted is what overlap --files prints.
type counted struct {
	A      record.Commitment `json:"a"`
	B      record.Commitment `json:"b"`
	Common int               `json:"common"`
}

// Run implements the command.
func (c *datasetOverlapCmd) Run(a *app) error {
	if c.Files {
		return c.here(a)
	}
	in, err := c.datasets(a)
	if err != nil {
		return err
	}
	got, err := a.client().CompareDatasets(a.ctx, in)
	if err != nil {
		return err
	}
	o := got.Record
	ofA, ofB := o.OfA, o.OfB
	if o.A != in.A {
		ofA, ofB = ofB, ofA
	}
	err = a.show(got, func(p *page) {
		drawCommon(p, o.Common, c.A, ofA, c.B, ofB)
		p.field("stated", "by %s at %s", got.Actor, day(got.Time))
	})
	return errors.Join(err, noneInCommon(o.Common))
}

func (c *datasetOverlapCmd) datasets(a *app) (in wire.Comparison, err error) {
	if in.A, err = a.dataset(c.A); err != nil {
		return in, err
	}
	in.B, err = a.dataset(c.B)
	return in, err
}

func (c *datasetOverlapCmd) here(a *app) error {
	_, setA, commitA, err := a.leavesFile(c.A)
	if err != nil {
		return err
	}
	_, setB, commitB, err := a.leavesFile(c.B)
	if err != nil {
		return err
	}
	common, err := commitment.Overlap(setA, setB)
	if err != nil {
		return wrongf("%s and %s: %w", c.A, c.B, err)
	}
	err = a.show(counted{commitA, commitB, common}, func(p *page) {
		drawCommon(p, common, c.A, setA.Items(), c.B, setB.Items())
	})
	return errors.Join(err, noneInCommon(common))
}

func drawCommon(p *page, common int, a string, ofA int, b string, ofB int) {
	if common == 0 {
		p.line("nothing is in common: none of the %d items of %s is among the %d of %s", ofA, a, ofB, b)
		return
	}
	p.styled(bad, "%d of the %d items of %s are among the %d of %s", common, ofA, a, ofB, b)
}

func noneInCommon(common int) error {
	if common == 0 {
		return nil
	}
	return no()
}
