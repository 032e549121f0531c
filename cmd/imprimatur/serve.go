package main

// serveCmd is "imprimatur serve".
type serveCmd struct{}

// Run implements the command.
func (c *serveCmd) Run(a *app) error { return nil }
