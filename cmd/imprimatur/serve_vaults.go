package main

import (
	"imprimatur.dev/registry"
	"imprimatur.dev/vault"
)

// vaultsFlags say from where secrets are read that the server does not keep itself.
type vaultsFlags struct {
	Vaults string `placeholder:"FILE" help:"The OpenBao and Vault servers that keep secrets, in YAML: address, how to sign in, and which paths are which team's."`
}

// vaults lets a registry read secrets from vaults.
func (f vaultsFlags) vaults(a *app, cfg *registry.Config) error {
	if f.Vaults == "" {
		return nil
	}
	raw, err := a.readFile(f.Vaults, "the configuration of vaults")
	if err != nil {
		return err
	}
	source, err := vault.Open(raw, a.env)
	if err != nil {
		return wrongf("%s: %w", f.Vaults, err)
	}
	cfg.Secrets = source
	return nil
}
