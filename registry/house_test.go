package registry_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

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
