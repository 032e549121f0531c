package main

import (
	"fmt"

	"imprimatur.dev/attest"
	"imprimatur.dev/record"
	"imprimatur.dev/verify"
)

// verifyCmd is "imprimatur verify PATH".
type verifyCmd struct {
	Path   string `arg:"" help:"The model as it is to run: a folder, or one file."`
	Bundle string `placeholder:"FILE" help:"The release's bundle, from imprimatur release show ID --bundle FILE."`
	Trust  string `placeholder:"FILE" help:"The keys you rely on, from imprimatur log key; get it by another way than the bundle."`
	Env    string `placeholder:"NAME" help:"The environment in which it is to run."`
	At     moment `placeholder:"TIME" help:"The time asked about; now, where none is given."`
	Size   int64  `placeholder:"N" help:"Refuse a bundle whose ledger is shorter than this."`

	Signer    string `placeholder:"FILE" help:"Check the model's OpenSSF signature against this public key."`
	Signature string `placeholder:"FILE" help:"Where that signature is; else where imprimatur sign puts it."`
}

// Help implements kong.HelpProvider.
func (c *verifyCmd) Help() string {
	return "Nothing but the files named here is read: no network, no server, no database. " +
		"The files are hashed, every signature and proof in the bundle is checked, the policy is evaluated again, " +
		"and the release must stand at the time asked about. A bundle cannot know what happened after it was made: " +
		"fetch a fresh one where a withdrawal matters."
}

// verified is what verify prints.
type verified struct {
	OK        bool            `json:"ok"`
	Artifact  record.Digest   `json:"artifact"`
	Release   *verify.Report  `json:"release,omitzero"`
	Signature *signatureCheck `json:"signature,omitzero"`
	Reasons   []string        `json:"reasons,omitzero"`
}

// signatureCheck is what came of the model's own signature.
type signatureCheck struct {
	OK     bool   `json:"ok"`
	File   string `json:"file"`
	Detail string `json:"detail"`
}

// Run implements the command.
func (c *verifyCmd) Run(a *app) error {
	if err := c.sensible(); err != nil {
		return err
	}
	b, err := a.hash(c.Path)
	if err != nil {
		return err
	}
	out := verified{OK: true, Artifact: b.Digest}
	if c.Signer != "" {
		if out.Signature, err = c.signature(a, b); err != nil {
			return err
		}
		if !out.Signature.OK {
			out.OK, out.Reasons = false, append(out.Reasons, out.Signature.Detail)
		}
	}
	if c.Bundle != "" {
		if out.Release, err = c.release(a, b); err != nil {
			return err
		}
		out.OK = out.OK && out.Release.OK
		out.Reasons = append(out.Reasons, out.Release.Reasons...)
	}
	if err := a.show(out, func(p *page) { drawVerified(p, c.Path, out) }); err != nil {
		return err
	}
	if !out.OK {
		return no()
	}
	return nil
}

func (c *verifyCmd) sensible() error {
	switch {
	case c.Bundle == "" && c.Signer == "":
		f := wrongf("give what to verify against: --bundle and --trust for a release, or --signer for a signature")
		f.hint = "imprimatur release show ID --bundle FILE writes a bundle"
		return f
	case (c.Bundle == "") != (c.Trust == ""):
		f := wrongf("--bundle and --trust go together: a bundle proves nothing to who trusts no key")
		f.hint = "imprimatur log key > trust.txt"
		return f
	}
	return nil
}

func (c *verifyCmd) signature(a *app, b bytesOf) (*signatureCheck, error) {
	pem, err := a.readFile(c.Signer, "the public key")
	if err != nil {
		return nil, err
	}
	public, err := attest.ParseModelPublicKey(pem)
	if err != nil {
		return nil, wrongf("%s is not a public key: %w", c.Signer, err)
	}
	out := &signatureCheck{File: c.Signature}
	if out.File == "" {
		out.File = signatureOf(c.Path)
	}
	raw, err := a.readFile(out.File, "the signature")
	if err != nil {
		return nil, err
	}
	model, err := attest.VerifyModel(raw, public)
	if err != nil && broken(err) {
		return nil, fmt.Errorf("%s: %w", out.File, err)
	}
	if err == nil {
		err = model.Check(b.manifest)
	}
	if err != nil {
		out.Detail = fmt.Sprintf("the signature %s does not hold: %v", out.File, err)
		return out, nil
	}
	out.OK, out.Detail = true, fmt.Sprintf("the key %s signed exactly these %s", c.Signer, count(len(model.Files), "file"))
	return out, nil
}

func (c *verifyCmd) release(a *app, b bytesOf) (*verify.Report, error) {
	raw, err := a.readFile(c.Bundle, "the bundle")
	if err != nil {
		return nil, err
	}
	bundle, err := verify.ParseBundle(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Bundle, err)
	}
	trust, err := a.trustFile(c.Trust)
	if err != nil {
		return nil, err
	}
	at := c.At.before(a.now())
	if at.IsZero() {
		at = record.Millis(a.now())
	}
	report := verify.Verify(bundle, trust, verify.Options{Manifest: &b.manifest, Environment: c.Env, Size: c.Size, At: at})
	return &report, nil
}

// trustFile reads the keys that a person relies on.
func (a *app) trustFile(path string) (attest.Trust, error) {
	text, err := a.readFile(path, "the trusted keys")
	if err != nil {
		return attest.Trust{}, err
	}
	trust, err := attest.ParseTrust(text)
	if err != nil {
		return trust, wrongf("%s: %w", path, err)
	}
	return trust, nil
}

func drawVerified(p *page, path string, v verified) {
	rows := [][]cell{}
	if v.Signature != nil {
		rows = append(rows, []cell{tick(v.Signature.OK), {text: "model signature"}, {text: v.Signature.Detail}})
	}
	if v.Release != nil {
		for _, c := range v.Release.Checks {
			rows = append(rows, []cell{tick(c.OK), {text: c.Name}, {text: c.Detail}})
		}
	}
	p.table(rows)
	p.line("")
	if r := v.Release; r != nil {
		drawMarks(p, r.Marks)
	}
	if v.OK {
		p.styled(good, "yes: %s%s", path, standsUntil(v.Release))
		return
	}
	p.styled(bad, "no: %s may not be relied on", path)
	for _, r := range v.Reasons {
		p.line("  %s", r)
	}
}

func standsUntil(r *verify.Report) string {
	if r == nil {
		return " is what was signed"
	}
	s := fmt.Sprintf(" is release %s of %s and stands at %s", r.Release, r.Line, day(r.At))
	if !r.Until.IsZero() {
		s += ", until " + day(r.Until) + " unless something is renewed"
	}
	return s
}

// drawMarks shows what must be seen wherever a release is.
func drawMarks(p *page, marks []string) {
	for _, m := range marks {
		p.styled(loud, "! %s", m)
	}
}
