package main

import (
	"bytes"
	"path/filepath"
	"strings"

	"imprimatur.dev/record"
)

// datasetCmd is the noun dataset.
type datasetCmd struct {
	Register datasetRegisterCmd `cmd:"" help:"Register a version of a dataset by the digest of its files."`
	Commit   datasetCommitCmd   `cmd:"" help:"Commit to the items of a dataset without telling them."`
	Overlap  datasetOverlapCmd  `cmd:"" help:"Count the items that two committed datasets have in common."`
	Approve  datasetApproveCmd  `cmd:"" help:"Approve data for a purpose until a date."`
	Withdraw datasetWithdrawCmd `cmd:"" help:"Withdraw data; names the live models that it hits."`
	Show     datasetShowCmd     `cmd:"" help:"Show a dataset and the stewards' words on it."`
	List     datasetListCmd     `cmd:"" help:"List datasets, newest first."`
}

type datasetRegisterCmd struct {
	Ref            string            `arg:"" name:"team/name@version" help:"Such as clinic/scans@2026-05."`
	Path           string            `arg:"" optional:"" help:"The file or folder; its digest is computed here and the data stays here."`
	Digest         string            `help:"The digest, where the data is not at hand."`
	Source         string            `help:"The URI it came from; else the path."`
	Classification string            `default:"internal" help:"Such as public, internal, personal (default internal)."`
	Owner          string            `placeholder:"NAME" help:"Who answers for it; else you."`
	From           moment            `placeholder:"DATE" help:"When what it tells of began; envelopes may bound it."`
	To             moment            `placeholder:"DATE" help:"When what it tells of ended."`
	Derived        []string          `help:"Datasets it was made from: digests or team/name@version."`
	Licence        string            `placeholder:"TEXT" help:"Its licence."`
	Label          map[string]string `help:"A tool's own short hash, and the like."`
	Commitment     string            `placeholder:"FILE" help:"The leaves that imprimatur dataset commit wrote; binds to the items."`
	Visibility     string            `enum:",private-committed,public,unknown" default:"" help:"private-committed, public or unknown; with --commitment private-committed, where you do not say."`
}

// Help implements kong.HelpProvider.
func (c *datasetRegisterCmd) Help() string {
	return `The data stays where it is: its digest is registered, and with --commitment the leaves of its items.
A dataset that is registered already can be given a commitment later, once; it counts from then on.

  imprimatur dataset register clinic/scans@2026-05 scans/ --classification personal
  imprimatur dataset register clinic/held-out@1 held-out.csv --commitment held-out.csv.leaves
  imprimatur dataset register clinic/benchmark@3 bench.ndjson --visibility public`
}

// Run implements the command.
func (c *datasetRegisterCmd) Run(a *app) error {
	team, name, version, err := splitRef(c.Ref)
	if err != nil {
		return err
	}
	if (c.Path == "") == (c.Digest == "") {
		return wrongf("give either the path of the data or its --digest")
	}
	d := record.Dataset{
		Team: team, Name: name, Version: version, Digest: record.Digest(c.Digest), Source: c.Source,
		Classification: c.Classification, Owner: c.Owner, Licence: c.Licence, Labels: c.Label,
		From: c.From.before(a.now()), To: c.To.before(a.now()),
	}
	if c.Path != "" {
		b, err := a.hash(c.Path)
		if err != nil {
			return err
		}
		d.Digest = b.Digest
		if d.Source == "" {
			abs, err := filepath.Abs(c.Path)
			if err != nil {
				return err
			}
			d.Source = "file://" + filepath.ToSlash(abs)
		}
	}
	if d.Owner == "" {
		me, err := a.client().Me(a.ctx)
		if err != nil {
			return err
		}
		d.Owner = me.Name
	}
	for _, ref := range c.Derived {
		from, err := a.dataset(ref)
		if err != nil {
			return err
		}
		d.Derived = append(d.Derived, from)
	}
	if err := c.commit(a, &d); err != nil {
		return err
	}
	got, err := a.client().RegisterDataset(a.ctx, d)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		p.line("registered %s", got.Record.Ref())
		p.line("%s", got.Record.Digest)
		drawCommitment(p, got)
		p.styled(quiet, "next, by a data steward: imprimatur dataset approve %s --purpose PURPOSE --until DATE --reason TEXT", got.Record.Ref())
	})
}

// commit sends the leaves, if there are any, and has the dataset carry what they
// commit to.
func (c *datasetRegisterCmd) commit(a *app, d *record.Dataset) error {
	if d.Visibility = c.Visibility; c.Commitment == "" {
		return nil
	}
	raw, _, k, err := a.leavesFile(c.Commitment)
	if err != nil {
		return err
	}
	d.Commitment, d.Visibility = &k, orElse(c.Visibility, record.PrivateCommitted)
	return a.client().KeepEvidence(a.ctx, k.Leaves, bytes.NewReader(raw), int64(len(raw)), nil)
}

func drawCommitment(p *page, d record.Recorded[record.Dataset]) {
	if d.Record.Visibility != "" {
		p.field("visibility", "%s", d.Record.Visibility)
	}
	if k := d.Record.Commitment; k != nil {
		p.field("committed", "to %d items by %s at %s, under the key %s", k.Items, k.Identity, day(d.Time), k.Key.Short())
		p.field("root", "%s", k.Root)
	}
}

// splitRef takes "team/name@version" apart.
func splitRef(ref string) (team, name, version string, err error) {
	rest, version, ok := strings.Cut(ref, "@")
	team, name, ok2 := strings.Cut(rest, "/")
	if !ok || !ok2 || team == "" || name == "" || version == "" {
		return "", "", "", wrongf("%q is not of the form team/name@version", ref)
	}
	return team, name, version, nil
}

// dataset returns the digest that a person means by a digest, the beginning of
// one, or team/name@version.
func (a *app) dataset(ref string) (record.Digest, error) {
	if d := record.Digest(ref); d.Validate() == nil {
		return d, nil
	}
	got, err := a.datasetRecord(ref)
	return got.Record.Digest, err
}

func (a *app) datasetRecord(ref string) (record.Recorded[record.Dataset], error) {
	got, ok, err := newest(a, record.KindDataset, func(d record.Dataset) bool {
		return d.Ref() == ref || string(d.Digest) == ref || isShort(d.Digest, ref)
	})
	if err == nil && !ok {
		err = absent("the dataset "+ref, "imprimatur dataset list shows them; imprimatur dataset register adds one")
	}
	return got, err
}

// isShort reports whether ref is the beginning of a digest, as people are shown it.
func isShort(d record.Digest, ref string) bool {
	return len(ref) >= 12 && strings.HasPrefix(d.Hex(), strings.TrimPrefix(ref, "sha256:"))
}

type datasetApproveCmd struct {
	Dataset string   `arg:"" optional:"" help:"team/name@version, or the digest."`
	Source  string   `placeholder:"URI*" help:"Approve every dataset from a source instead; * at the end means everything below."`
	Purpose []string `required:"" help:"What it may be used for, as use cases name it."`
	Until   moment   `required:"" placeholder:"DATE" help:"When the approval lapses: 2026-12-31 or 180d."`
	Reason  string   `required:"" placeholder:"TEXT" help:"Why; it stands in the ledger."`
}

// Run implements the command.
func (c *datasetApproveCmd) Run(a *app) error {
	approval := record.DataApproval{
		Source: c.Source, Decision: record.Allow, Purposes: c.Purpose, Expires: c.Until.after(a.now()), Reason: c.Reason,
	}
	if c.Dataset != "" {
		var err error
		if approval.Dataset, err = a.dataset(c.Dataset); err != nil {
			return err
		}
	}
	got, err := a.client().DecideData(a.ctx, approval)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		p.line("%s may be used for %s until %s", orElse(c.Dataset, c.Source), strings.Join(c.Purpose, ", "), day(got.Record.Expires))
	})
}

type datasetShowCmd struct {
	Dataset string `arg:"" help:"team/name@version, or the digest."`
}

// datasetShown is what show prints.
type datasetShown struct {
	Dataset   record.Recorded[record.Dataset]        `json:"dataset"`
	Approvals []record.Recorded[record.DataApproval] `json:"approvals"`
	Overlaps  []record.Recorded[record.Overlap]      `json:"overlaps"`
}

// Run implements the command.
func (c *datasetShowCmd) Run(a *app) error {
	d, err := a.datasetRecord(c.Dataset)
	if err != nil {
		return err
	}
	out := datasetShown{Dataset: d, Approvals: []record.Recorded[record.DataApproval]{}, Overlaps: []record.Recorded[record.Overlap]{}}
	_, err = each(a, record.KindDataApproval, 0, func(r record.Recorded[record.DataApproval]) bool {
		if r.Record.Matches(d.Record) {
			out.Approvals = append(out.Approvals, r)
		}
		return true
	})
	if err != nil {
		return err
	}
	_, err = each(a, record.KindOverlap, 0, func(o record.Recorded[record.Overlap]) bool {
		if o.Record.A == d.Record.Digest || o.Record.B == d.Record.Digest {
			out.Overlaps = append(out.Overlaps, o)
		}
		return true
	})
	if err != nil {
		return err
	}
	return a.show(out, func(p *page) {
		r := d.Record
		p.field("dataset", "%s", r.Ref())
		p.field("digest", "%s", r.Digest)
		p.field("source", "%s", r.Source)
		p.field("class", "%s", r.Classification)
		p.field("owner", "%s", r.Owner)
		for _, from := range r.Derived {
			p.field("made from", "%s", from)
		}
		p.field("registered", "by %s at %s", d.Actor, day(d.Time))
		drawCommitment(p, d)
		drawOverlaps(p, r.Digest, out.Overlaps)
		if len(out.Approvals) == 0 {
			p.styled(warn, "! no data steward has said a word on it")
		}
		rows := [][]cell{}
		for _, w := range out.Approvals {
			x := w.Record
			word := tick(x.Decision == record.Allow && record.Stands(w.Time, x.Expires, a.now()))
			rows = append(rows, append([]cell{word}, texts(x.Decision, join(x.Purposes, "all purposes"), "until "+day(x.Expires), "by "+w.Actor, x.Reason)...))
		}
		p.table(rows)
	})
}

func drawOverlaps(p *page, of record.Digest, overlaps []record.Recorded[record.Overlap]) {
	for _, o := range overlaps {
		p.field("in common", "%d items with %s, counted at %s", o.Record.Common, o.Record.Other(of).Short(), day(o.Time))
	}
}

type datasetListCmd struct{ pager }

// Run implements the command.
func (c *datasetListCmd) Run(a *app) error {
	return list(a, record.KindDataset, c.pager, heading("DATASET", "DIGEST", "CLASS", "OWNER", "REGISTERED", "SOURCE"), func(r record.Recorded[record.Dataset]) []cell {
		d := r.Record
		return texts(d.Ref(), d.Digest.Short(), d.Classification, d.Owner, day(r.Time), d.Source)
	})
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
