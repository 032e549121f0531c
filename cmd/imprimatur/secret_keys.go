package main

import (
	"bytes"
	"fmt"
	"os/exec"

	"imprimatur.dev/attest"
	"imprimatur.dev/registry"
)

// secretsKeyFlags say which key encrypts the values of secrets.
type secretsKeyFlags struct {
	SecretsKey        string `name:"secrets-key" xor:"secrets-key" placeholder:"FILE" help:"The key that encrypts the values of secrets: age identities, one a line, the first of which encrypts; or IMPRIMATUR_SECRETS_KEY. Without one the server makes its own."`
	SecretsKeyCommand string `name:"secrets-key-command" xor:"secrets-key" placeholder:"CMD" help:"A shell command that prints this key."`
}

// secretsKey reads the key. What the command says on standard error is shown, and
// what it prints never is.
func (c *secretsKeyFlags) secretsKey(a *app) (string, error) {
	switch {
	case c.SecretsKeyCommand != "":
		var out bytes.Buffer
		cmd := exec.CommandContext(a.ctx, "/bin/sh", "-c", c.SecretsKeyCommand)
		cmd.Stdout, cmd.Stderr = &out, a.stderr
		if err := cmd.Run(); err != nil {
			return "", &failure{code: exitUndecided, err: fmt.Errorf("the command of --secrets-key-command failed: %w", err)}
		}
		if len(bytes.TrimSpace(out.Bytes())) == 0 {
			return "", wrongf("the command of --secrets-key-command printed no key")
		}
		return out.String(), nil
	case c.SecretsKey != "":
		raw, err := attest.ReadSecret(c.SecretsKey)
		if err == nil && len(bytes.TrimSpace(raw)) == 0 {
			err = wrongf("%s holds no key; make one with imprimatur secret key", c.SecretsKey)
		}
		return string(raw), err
	}
	return a.env("IMPRIMATUR_SECRETS_KEY"), nil
}

type secretRekeyCmd struct {
	secretsKeyFlags
	Data           string `default:"${dataDefault}" placeholder:"DIR" help:"The data folder (default ${dataDefault})."`
	DB             string `name:"db" placeholder:"URL" help:"postgres://… for a ledger that several servers share; else SQLite in the folder."`
	PassphraseFile string `placeholder:"FILE" help:"Opens the server's key; or IMPRIMATUR_PASSPHRASE."`
}

// Help implements kong.HelpProvider.
func (c *secretRekeyCmd) Help() string {
	return "Give a key file with the new identity first and the old one after it. When it is done, the old one opens nothing any more " +
		"and can be taken out. A server that is started with such a file does the same."
}

// Run implements the command.
func (c *secretRekeyCmd) Run(a *app) error {
	cfg := registry.Config{Data: c.Data, Database: c.DB}
	var err error
	if cfg.Passphrase, err = a.passphrase(c.PassphraseFile); err != nil {
		return err
	}
	if cfg.SecretsKey, err = c.secretsKey(a); err != nil {
		return err
	}
	reg, err := openRegistry(a.ctx, cfg)
	if err != nil {
		return err
	}
	defer reg.Close()
	n, err := reg.RekeySecrets(a.ctx)
	if err != nil {
		return err
	}
	return a.show(struct {
		Values int `json:"values"`
	}{n}, func(p *page) { p.line("%s encrypted with the first key", count(n, "value")) })
}
