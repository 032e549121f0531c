package main

import (
	"context"
	"fmt"
	"time"

	"imprimatur.dev/attest"
	"imprimatur.dev/record"
	"imprimatur.dev/verify"
	"imprimatur.dev/wire"
)

// verifyCmd is "imprimatur verify PATH".
type verifyCmd struct {
	Path   string `arg:"" help:"The model as it is to run: a folder, or one file."`
	Bundle string `placeholder:"FILE" help:"The release's bundle, from imprimatur release show ID --bundle FILE."`
	Trust  string `placeholder:"FILE" help:"The keys you rely on, from imprimatur log key; get it by another way than the bundle."`
	Env    string `placeholder:"NAME" help:"The environment in which it is to run."`
	At     moment `placeholder:"TIME" help:"The time asked about; now, where none is given."`
	Size   int64  `placeholder:"N" help:"Refuse a bundle whose ledger is shorter than this."`

	Online bool `help:"Also ask the server whether it stands now: the bundle's release where there is one, else any release of these bytes."`
	Within span `default:"1m" placeholder:"TIME" help:"How long the server may take, and how old its answer may be (default 1m); later is undecided, exit 3."`

	Signer    string `placeholder:"FILE" help:"Check the model's OpenSSF signature against this public key."`
	Signature string `placeholder:"FILE" help:"Where that signature is; else where imprimatur sign puts it."`
}

// Help implements kong.HelpProvider.
func (c *verifyCmd) Help() string {
	return "Without --online nothing but the files named here is read: no network, no server, no database. " +
		"The files are hashed, every signature and proof in the bundle is checked, the policy is evaluated again, " +
		"and the release must stand at the time asked about. A bundle cannot know what happened after it was made: " +
		"fetch a fresh one where a withdrawal matters, or ask with --online, as an entry point or a pipeline does."
}

// verified is what verify prints.
type verified struct {
	OK        bool            `json:"ok"`
	Artifact  record.Digest   `json:"artifact"`
	Release   *verify.Report  `json:"release,omitzero"`
	Signature *signatureCheck `json:"signature,omitzero"`
	// Now is the server's answer.
	Now     *wire.Decision `json:"now,omitzero"`
	Reasons []string       `json:"reasons,omitzero"`
}

// signatureCheck is what came of the model's own signature.
type signatureCheck struct {
	OK     bool   `json:"ok"`
	File   string `json:"file"`
	Detail string `json:"detail"`
}

// Run implements the command.
func (c *verifyCmd) Run(a *app) error {
	out, err := c.check(a)
	if err != nil {
		return err
	}
	if err := a.show(out, func(p *page) { drawVerified(p, c.Path, out) }); err != nil {
		return err
	}
	if !out.OK {
		return no()
	}
	return nil
}

// check hashes the model and holds it against all that it is to be held against.
func (c *verifyCmd) check(a *app) (out verified, err error) {
	if err := c.sensible(); err != nil {
		return out, err
	}
	b, err := a.hash(c.Path)
	if err != nil {
		return out, err
	}
	out = verified{OK: true, Artifact: b.Digest}
	if c.Signer != "" {
		if out.Signature, err = c.signature(a, b); err != nil {
			return out, err
		}
		if !out.Signature.OK {
			out.OK, out.Reasons = false, append(out.Reasons, out.Signature.Detail)
		}
	}
	if c.Bundle != "" {
		if out.Release, err = c.release(a, b); err != nil {
			return out, err
		}
		out.OK = out.OK && out.Release.OK
		out.Reasons = append(out.Reasons, out.Release.Reasons...)
	}
	if c.Online && out.OK {
		if out.Now, err = c.online(a, out); err != nil {
			return out, err
		}
		out.OK, out.Reasons = out.Now.Allowed, out.Now.Reasons
	}
	return out, nil
}

func (c *verifyCmd) sensible() error {
	switch {
	case c.Bundle == "" && c.Signer == "" && !c.Online:
		f := wrongf("give what to verify against: --bundle and --trust for a release, --signer for a signature, or --online for the server")
		f.hint = "imprimatur release show ID --bundle FILE writes a bundle"
		return f
	case (c.Bundle == "") != (c.Trust == ""):
		f := wrongf("--bundle and --trust go together: a bundle proves nothing to who trusts no key")
		f.hint = "imprimatur log key > trust.txt"
		return f
	case c.Online && (c.Env == "" || c.At != moment{}):
		return wrongf("--online asks about now and one environment: give --env, and no --at")
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

// online asks the server. An answer that came too late, or was made too long ago,
// decides nothing.
func (c *verifyCmd) online(a *app, out verified) (*wire.Decision, error) {
	release := ""
	if out.Release != nil {
		release = out.Release.Release
	}
	bound := time.Duration(c.Within)
	ctx, cancel := context.WithTimeout(a.ctx, bound)
	defer cancel()
	got, err := a.client().DecideFor(ctx, c.Env, out.Artifact, release)
	if err != nil {
		return nil, err
	}
	if now := a.now(); now.Sub(got.At).Abs() > bound {
		return nil, &failure{
			code: exitUndecided, err: fmt.Errorf("the server's answer is of %s and it is %s here, further apart than %s", got.At.Format(time.RFC3339), now.UTC().Format(time.RFC3339), bound),
			hint: "set the clocks of both right, or allow more with --within",
		}
	}
	return &got, nil
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
	if v.Now != nil {
		rows = append(rows, []cell{tick(v.Now.Allowed), {text: "server"}, {text: "asked at " + day(v.Now.At)}})
	}
	p.table(rows)
	p.line("")
	switch {
	case v.Now != nil:
		drawMarks(p, v.Now.Marks)
	case v.Release != nil:
		drawMarks(p, v.Release.Marks)
	}
	if v.OK {
		p.styled(good, "yes: %s%s", path, v.standsUntil())
		return
	}
	p.styled(bad, "no: %s may not be relied on", path)
	for _, r := range v.Reasons {
		p.line("  %s", r)
	}
}

func (v verified) standsUntil() string {
	if now := v.Now; now != nil {
		return fmt.Sprintf(" is release %s of %s and stands now, until %s unless something changes", now.Release, now.Line, day(now.Until))
	}
	r := v.Release
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
