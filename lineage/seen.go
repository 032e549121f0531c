package lineage

import (
	"fmt"
	"slices"

	"imprimatur.dev/record"
)

// seen holds a run to what its pipeline's events say that it read. A registered
// dataset with such a source belongs to the lineage, whether the run names it or
// not; where none is registered, that is named as absent, and registering it
// closes the gap. Only events sent for the run's own team count.
func (w *walk) seen(stated []record.Recorded[record.Run]) error {
	read, err := w.read(stated[len(stated)-1].Record)
	if err != nil {
		return err
	}
	for _, names := range read {
		registered, err := w.registered(names)
		if err != nil {
			return err
		}
		named := slices.ContainsFunc(registered, func(d record.Digest) bool { return inputOf(stated, d) })
		switch {
		case named:
		case len(registered) == 0:
			w.absent(fmt.Sprintf("a dataset with the source %s, which the run %s read according to its pipeline's lineage", names[0], stated[0].Record.Ref()))
		default:
			w.dataset(registered[len(registered)-1])
		}
	}
	return nil
}

// inputOf reports whether a run names the bytes with a digest as its input.
func inputOf(stated []record.Recorded[record.Run], d record.Digest) bool {
	return slices.ContainsFunc(stated, func(r record.Recorded[record.Run]) bool {
		return slices.ContainsFunc(r.Record.Inputs, func(in record.Resource) bool { return in.Digest == d })
	})
}

// unread looks for the datasets that a tracking server reports as read without
// their bytes. One that was registered with the same source belongs to the
// lineage; of the others it is said that they are unknown.
func (w *walk) unread(run record.Run) error {
	if run.Reported == nil {
		return nil
	}
	for _, u := range run.Reported.Unread {
		name, _ := record.LineageNameOf(u.Source)
		known, err := w.registered([]record.LineageName{name})
		if err != nil {
			return err
		}
		if len(known) > 0 {
			w.dataset(known[len(known)-1])
			continue
		}
		says := fmt.Sprintf("%s, which the run %s read according to %s, is not registered by its bytes (%s)", u.Name, run.Ref(), run.Reported.By, u.Why)
		if u.Source != u.Name {
			says = fmt.Sprintf("%s; its source is %s", says, u.Source)
		}
		if !slices.Contains(w.trail.Unread, says) {
			w.trail.Unread = append(w.trail.Unread, says)
		}
	}
	return nil
}

// read returns the datasets that a run's events name as its inputs, each by all
// the names that they give it, its own first.
func (w *walk) read(run record.Run) ([][]record.LineageName, error) {
	id := run.External
	if id == "" {
		id = run.ID
	}
	sets, err := asOf[record.LineageEvents](w.src, record.KeyLineageRun(run.Team, id), w.index)
	var out [][]record.LineageName
	at := map[record.LineageName]int{}
	for _, s := range sets {
		for _, e := range s.Record.Events {
			if e.Run != id {
				continue
			}
			for _, d := range e.Inputs {
				own := d.Canonical()
				i, known := at[own]
				if !known {
					i, at[own] = len(out), len(out)
					out = append(out, []record.LineageName{own})
				}
				for _, a := range d.Aliases {
					if a = a.Canonical(); !slices.Contains(out[i], a) {
						out[i] = append(out[i], a)
					}
				}
			}
		}
	}
	return out, err
}

// registered returns the datasets whose source has one of the names, oldest first,
// each once for a name.
func (w *walk) registered(names []record.LineageName) ([]record.Digest, error) {
	var out []record.Digest
	for _, n := range names {
		sets, err := asOf[record.Dataset](w.src, record.KeyDatasetSource(n), w.index)
		if err != nil {
			return nil, err
		}
		from := len(out)
		for _, s := range sets {
			if !slices.Contains(out[from:], s.Record.Digest) {
				out = append(out, s.Record.Digest)
			}
		}
	}
	return out, nil
}
