package lineage

import (
	"slices"
	"strings"

	"imprimatur.dev/record"
)

// Reached is one thing that an impact reaches.
type Reached struct {
	Entry Entry
	// Via is the key under which it was found.
	Via string
}

// Impact walks from a key (KeyUses of a digest, KeyUsesSecret of a name) to all
// that was made from it or names it, nearest first and each entry once: datasets
// derived from it, runs that read it, evaluations on it, what those runs made,
// and releases. A secret is also reached by grants of a prefix of its name.
func Impact(src Source, start string) ([]Reached, error) {
	var out []Reached
	queue := startKeys(start)
	queued, reached := map[string]bool{}, map[int64]bool{}
	for len(queue) > 0 {
		key := queue[0]
		queue = queue[1:]
		if queued[key] {
			continue
		}
		queued[key] = true
		entries, err := src.Find(key)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if !reached[e.Index] {
				reached[e.Index] = true
				out = append(out, Reached{e, key})
			}
			next, err := onward(src, e)
			if err != nil {
				return nil, err
			}
			queue = append(queue, next...)
		}
	}
	return out, nil
}

// startKeys adds to a secret's key those of the grants of a prefix of its name.
func startKeys(start string) []string {
	keys := []string{start}
	name, secret := strings.CutPrefix(start, record.KeyUsesSecret(""))
	for i := len(name); secret && i >= 0; i-- {
		keys = append(keys, record.KeyUsesSecret(name[:i]+"*"))
	}
	return keys
}

// onward returns the keys under which things made from an entry are found.
func onward(src Source, e Entry) ([]string, error) {
	var keys []string
	switch b := e.Statement.Body.(type) {
	case record.Dataset:
		keys = append(keys, record.KeyUses(b.Digest))
	case record.ModelVersion:
		keys = append(keys, record.KeyUses(b.Artifact))
	case record.Run:
		for _, o := range b.Outputs {
			keys = append(keys, record.KeyArtifact(o.Digest), record.KeyUses(o.Digest))
		}
	case record.Evaluation:
		return releasesOn(src, b.Artifact, e.Statement.Digest())
	}
	return keys, nil
}

// releasesOn returns the keys of the releases that name an evaluation: they rest
// on its dataset although their model was not made from it.
func releasesOn(src Source, artifact, evaluation record.Digest) ([]string, error) {
	entries, err := src.Find(record.KeyUses(artifact))
	var keys []string
	for _, e := range entries {
		if rel, ok := e.Statement.Body.(record.Release); ok && slices.Contains(rel.Behaviour.Evaluations, evaluation) {
			keys = append(keys, record.KeyRelease(record.ReleaseID(e.Statement.Digest())))
		}
	}
	return keys, err
}
