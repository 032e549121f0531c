package lineage

import (
	"strings"

	"imprimatur.dev/record"
)

// Reached is one thing that was made from, names or may use what an impact
// starts from.
type Reached struct {
	Entry Entry
	// Via is the key under which it was found: what it was made from or names.
	Via string
}

// Impact walks from a key, [record.KeyUses] of a digest or
// [record.KeyUsesSecret] of a name, to everything that was made from it, names
// it or may use it, nearest first and each entry once: datasets derived from
// it, runs that read it, evaluations on it, the models that the runs made, and
// the releases of these. A secret is also reached by grants of a prefix.
func Impact(src Source, start string) ([]Reached, error) {
	r := newReader(src)
	var out []Reached
	queue := startKeys(start)
	queued, reached := map[string]bool{}, map[int64]bool{}
	for len(queue) > 0 && r.err == nil {
		key := queue[0]
		queue = queue[1:]
		if queued[key] {
			continue
		}
		queued[key] = true
		for _, e := range r.find(key) {
			if !reached[e.Index] {
				reached[e.Index] = true
				out = append(out, Reached{e, key})
			}
			queue = append(queue, r.onward(e)...)
		}
	}
	return out, r.err
}

// startKeys adds to a secret's key those of the grants that name a prefix of it.
func startKeys(start string) []string {
	keys := []string{start}
	name, ok := strings.CutPrefix(start, record.KeyUsesSecret(""))
	for i := len(name); ok && i >= 0; i-- {
		keys = append(keys, record.KeyUsesSecret(name[:i]+"*"))
	}
	return keys
}

// onward returns the keys under which the things made from an entry are found.
func (r *reader) onward(e Entry) []string {
	switch b := e.Statement.Body.(type) {
	case record.Dataset:
		return []string{record.KeyUses(b.Digest)}
	case record.ModelVersion:
		return []string{record.KeyUses(b.Artifact)}
	case record.Run:
		var keys []string
		for _, o := range b.Outputs {
			keys = append(keys, record.KeyArtifact(o.Digest), record.KeyUses(o.Digest))
		}
		return keys
	case record.Evaluation:
		return r.releasesOn(b.Artifact, e.Statement.Digest())
	}
	return nil
}

// releasesOn returns the keys of the releases that name an evaluation: they
// rest on its dataset although their model was not made from it.
func (r *reader) releasesOn(artifact, evaluation record.Digest) []string {
	var keys []string
	for _, e := range r.find(record.KeyUses(artifact)) {
		rel, ok := e.Statement.Body.(record.Release)
		if !ok {
			continue
		}
		for _, d := range rel.Behaviour.Evaluations {
			if d == evaluation {
				keys = append(keys, record.KeyRelease(record.ReleaseID(e.Statement.Digest())))
			}
		}
	}
	return keys
}
