package lineage

import (
	"slices"

	"imprimatur.dev/record"
)

// Reached is one thing that an impact reaches.
type Reached struct {
	Entry Entry
	// Via is the key under which it was found.
	Via string
}

// Impact walks from a key (KeyUses of a digest, KeyUsesSecret of a name) to all
// that was made from it or names it, nearest first: datasets derived from it,
// runs that read it, what those runs made, and releases.
func Impact(src Source, start string) ([]Reached, error) {
	var out []Reached
	seen := map[string]bool{start: true}
	queue := []string{start}
	for len(queue) > 0 {
		entries, err := src.Find(queue[0])
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if !slices.ContainsFunc(out, func(r Reached) bool { return r.Entry.Index == e.Index }) {
				out = append(out, Reached{e, queue[0]})
			}
			for _, next := range onward(e.Statement.Body) {
				if !seen[next] {
					seen[next] = true
					queue = append(queue, next)
				}
			}
		}
		queue = queue[1:]
	}
	return out, nil
}

// onward returns the keys under which things made from a record are found.
func onward(body record.Body) []string {
	switch b := body.(type) {
	case record.Dataset:
		return []string{record.KeyUses(b.Digest)}
	case record.ModelVersion:
		return []string{record.KeyUses(b.Artifact)}
	case record.Run:
		var keys []string
		for _, o := range b.Outputs {
			keys = append(keys, record.KeyUses(o.Digest), record.KeyArtifact(o.Digest))
		}
		return keys
	}
	return nil
}
