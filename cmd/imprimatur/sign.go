package main

import (
	"fmt"
	"os"
	"path/filepath"

	"imprimatur.dev/artifact"
	"imprimatur.dev/attest"
	"imprimatur.dev/record"
)

// signCmd is "imprimatur sign".
type signCmd struct {
	Path   string `arg:"" optional:"" help:"The model: a folder, or one file."`
	Key    string `placeholder:"FILE" help:"The private key, as --new-key writes it."`
	NewKey string `placeholder:"FILE" help:"Make a key: FILE for you alone, FILE.pub for everybody who verifies."`
	Output string `placeholder:"FILE" help:"Where the signature goes; else model.sig in the folder, or beside the file."`
}

// Help implements kong.HelpProvider.
func (c *signCmd) Help() string {
	return "The signature is an OpenSSF Model Signing bundle (v1.0, key mode, ECDSA P-256), which other tools read too. " +
		"Check it with: imprimatur verify PATH --signer FILE.pub"
}

// signed is what sign prints.
type signed struct {
	Signature string        `json:"signature,omitzero"`
	Artifact  record.Digest `json:"artifact,omitzero"`
	Files     int           `json:"files,omitzero"`
	Key       string        `json:"key"`
	Public    string        `json:"public,omitzero"`
	// Hint names the key in the signature.
	Hint string `json:"hint"`
}

// Run implements the command.
func (c *signCmd) Run(a *app) error {
	switch {
	case (c.Key == "") == (c.NewKey == ""):
		return &failure{code: exitWrong, err: fmt.Errorf("give either --key or --new-key"), hint: "make a key with imprimatur sign --new-key FILE"}
	case c.NewKey == "" && c.Path == "":
		return wrongf("give the model to sign")
	}
	var out signed
	key, err := c.key(&out)
	if err != nil {
		return err
	}
	if c.Path != "" {
		if err := c.sign(a, key, &out); err != nil {
			return err
		}
	}
	return a.show(out, func(p *page) {
		if out.Public != "" {
			p.line("made the key %s; give %s to those who verify", out.Key, out.Public)
		}
		if out.Signature != "" {
			p.line("signed %s (%s) in %s", out.Artifact, count(out.Files, "file"), out.Signature)
		}
	})
}

func (c *signCmd) key(out *signed) (*attest.ModelKey, error) {
	if c.NewKey == "" {
		out.Key = c.Key
		key, err := attest.LoadModelKey(c.Key)
		if err != nil {
			return nil, fmt.Errorf("cannot use the key %s: %w", c.Key, err)
		}
		out.Hint = key.Hint()
		return key, nil
	}
	out.Key, out.Public = c.NewKey, c.NewKey+".pub"
	key, err := attest.NewModelKey()
	if err != nil {
		return nil, err
	}
	if err := key.Save(c.NewKey); err != nil {
		return nil, fmt.Errorf("cannot keep the key %s: %w", c.NewKey, err)
	}
	out.Hint = key.Hint()
	return key, os.WriteFile(out.Public, key.PublicPEM(), 0o644)
}

func (c *signCmd) sign(a *app, key *attest.ModelKey, out *signed) error {
	b, err := a.hash(c.Path)
	if err != nil {
		return err
	}
	name, err := filepath.Abs(c.Path)
	if err != nil {
		return err
	}
	bundle, err := attest.SignModel(filepath.Base(name), b.manifest, key)
	if err != nil {
		return fmt.Errorf("cannot sign %s: %w", c.Path, err)
	}
	out.Signature, out.Artifact, out.Files = c.Output, b.Digest, len(b.Files)
	if out.Signature == "" {
		out.Signature = signatureOf(c.Path)
	}
	return os.WriteFile(out.Signature, bundle, 0o644)
}

// signatureOf is where the signature of a model lies.
func signatureOf(path string) string {
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		return path + ".sig"
	}
	return filepath.Join(path, artifact.SignatureFile)
}
