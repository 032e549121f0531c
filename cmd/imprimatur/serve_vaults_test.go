package main

import (
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"imprimatur.dev/vault/vaulttest"
)

// startVault PATH FIELD=VALUE starts a vault with a secret of the team lab, and writes
// vaults.yaml and the token that it names.
func startVault(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: vault PATH FIELD VALUE")
	}
	// The kit's servers are closed by a test of its own, which ends with the script.
	s := vaulttest.Start(scriptTest{ts: ts})
	s.Write("", args[0], map[string]string{args[1]: args[2]})
	text := fmt.Sprintf("vaults:\n  main:\n    address: %s\n    token: {file: %s}\n    teams: {lab: [secret/lab/*]}\n", s.URL, ts.MkAbs("vault-token"))
	for file, text := range map[string]string{"vaults.yaml": text, "vault-token": vaulttest.Root} {
		ts.Check(os.WriteFile(ts.MkAbs(file), []byte(text), 0o600))
	}
}

// scriptTest has what a kit wants cleaned up done at the end of a script.
type scriptTest struct {
	testing.TB
	ts *testscript.TestScript
}

func (t scriptTest) Cleanup(fn func()) { t.ts.Defer(fn) }
