package verify

import (
	"fmt"
	"slices"
	"strings"

	"imprimatur.dev/artifact"
	"imprimatur.dev/record"
)

// mostNamed bounds how many files a reason names.
const mostNamed = 10

// checkArtifact holds the model that is to run against the release.
func (v *verifier) checkArtifact() {
	want := v.dossier.Release.Record.Behaviour.Artifact
	if m := v.opts.Manifest; m != nil {
		got := record.Digest(m.Digest())
		var reasons []string
		if got != want {
			reasons = append(reasons, fmt.Sprintf("The model's files have the digest %s, and the release is of %s: %s.", got, want, fileDifferences(v.dossier.Version.Record.Files, m.Files)))
		}
		v.note(CheckArtifact, fmt.Sprintf("%d files, digest %s.", len(m.Files), got), reasons...)
	}
	if got := v.opts.Artifact; got != "" {
		var reasons []string
		if got != want {
			reasons = append(reasons, fmt.Sprintf("The model has the digest %s, and the release is of %s.", got, want))
		}
		v.note(CheckArtifact, "Digest "+string(got)+".", reasons...)
	}
}

// fileDifferences names the files that are changed, missing or added.
func fileDifferences(recorded []record.File, found []artifact.File) string {
	was := map[string]record.File{}
	for _, f := range recorded {
		was[f.Path] = f
	}
	var changed, added, missing []string
	for _, f := range found {
		switch w, ok := was[f.Path]; {
		case !ok:
			added = append(added, f.Path)
		case w.SHA256 != f.SHA256 || w.Size != f.Size:
			changed = append(changed, f.Path)
		}
		delete(was, f.Path)
	}
	for path := range was {
		missing = append(missing, path)
	}
	slices.Sort(missing)
	var parts []string
	for _, p := range []struct {
		word  string
		paths []string
	}{{"changed", changed}, {"missing", missing}, {"not in the release", added}} {
		if n := len(p.paths); n > mostNamed {
			p.paths = append(p.paths[:mostNamed:mostNamed], fmt.Sprintf("and %d more", n-mostNamed))
		}
		if len(p.paths) > 0 {
			parts = append(parts, p.word+": "+strings.Join(p.paths, ", "))
		}
	}
	if len(parts) == 0 {
		return "the recorded files are the same, so the release names another artifact"
	}
	return strings.Join(parts, "; ")
}
