package registry_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"imprimatur.dev/attest"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/verify"
	"imprimatur.dev/wire"
)

// again closes the registry and opens it anew.
func (h *house) again() {
	h.Helper()
	if err := h.reg.Close(); err != nil {
		h.Fatal(err)
	}
	h.reopen()
}

// decide asks whether the model of a version may run in production.
func (h *house) decide(version string) wire.Decision {
	return h.reg.Decide(h.ctx, "production", digest("model "+version))
}

func (h *house) allowed(version string) wire.Decision {
	h.Helper()
	d := h.decide(version)
	if !d.Allowed || d.Release == "" || len(d.Reasons) > 0 {
		h.Fatalf("version %s may not run: %+v", version, d)
	}
	return d
}

// forbidden demands a no for reasons that say certain things.
func (h *house) forbidden(version string, says ...string) {
	h.Helper()
	h.no(h.decide(version), says...)
}

// no demands that a decision is a no, with reasons and nothing that could be
// taken for a yes.
func (h *house) no(d wire.Decision, says ...string) {
	h.Helper()
	if d.Allowed || len(d.Reasons) == 0 || !d.Until.IsZero() {
		h.Fatalf("got %+v, want a no with reasons", d)
	}
	text := strings.Join(d.Reasons, "\n")
	for _, s := range says {
		if !strings.Contains(text, s) {
			h.Errorf("the reasons do not say %q:\n%s", s, text)
		}
	}
}

// incomplete proposes a version with good evidence that nobody has approved, in
// spite of any gap.
func (h *house) incomplete(version string) wire.Case {
	h.Helper()
	h.evaluate(h.train(version, true), 950)
	return must[wire.Case](h)(h.reg.ProposeRelease(h.ctx, ann, wire.Proposal{Version: "lab/net@" + version, UseCase: "lab/triage", Environment: "production", Incomplete: true}))
}

// copyOf opens the registry on a copy of a closed data folder.
func (h *house) copyOf(dir string) {
	h.Helper()
	err := os.CopyFS(h.dir, os.DirFS(dir))
	if err := errors.Join(err, os.Chmod(filepath.Join(h.dir, "keys", "server.key"), 0o600)); err != nil {
		h.Fatal(err)
	}
	h.reopen()
}

// shift enrols three approvers of their own for a version.
func (h *house) shift(version string) {
	h.Helper()
	for _, role := range seats {
		h.enrol(string(role)+version, role)
	}
}

// approver is who approves a version in a role, of its own shift.
func approver(role record.RoleName, version string) registry.Caller {
	return caller(string(role) + version)
}

// check looks at a release.
func (h *house) check(id string) wire.Case {
	h.Helper()
	return must[wire.Case](h)(h.reg.CheckRelease(h.ctx, rita, id))
}

// gate returns one gate of a verdict.
func (h *house) gate(v record.Verdict, name string) record.Gate {
	h.Helper()
	for _, g := range v.Gates {
		if g.Name == name {
			return g
		}
	}
	h.Fatalf("the verdict has no gate %s: %+v", name, v.Gates)
	return record.Gate{}
}

// verified verifies a release's bundle offline, as of a time.
func (h *house) verified(id string, at time.Time) verify.Report {
	h.Helper()
	return h.bundleReport(id, "production", at)
}

func (h *house) bundleReport(id, environment string, at time.Time) verify.Report {
	h.Helper()
	trust := must[attest.Trust](h)(attest.ParseTrust([]byte(h.reg.VerifierKey() + "\n")))
	raw := must[[]byte](h)(must[*verify.Bundle](h)(h.reg.Bundle(h.ctx, rita, id)).Marshal())
	r := verify.Verify(must[*verify.Bundle](h)(verify.ParseBundle(raw)), trust, verify.Options{Environment: environment, At: at})
	if !r.Authentic {
		h.Errorf("the bundle of %s is not authentic: %s", id, strings.Join(r.Reasons, " "))
	}
	return r
}
