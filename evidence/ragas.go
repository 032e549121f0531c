package evidence

import (
	"crypto/sha256"
	"strconv"

	"imprimatur.dev/record"
)

// ragasFormat is what users write of ragas' rows: result.to_pandas() as JSON
// records, one a line, or in a list, alone or as a member of an object. ragas
// has no file format of its own and averages over the rows that have a number;
// here a row without one has no answer. Source: ragas/dataset_schema.py.
var ragasFormat = importer{
	format: "ragas", version: 1, accepts: "ragas rows: JSON records or JSON lines of result.to_pandas()", nan: true,
	match: func(h *head) string {
		for _, prefix := range []string{"", "[]."} {
			if l := h.lines(); len(l) > 0 && ragasRow(l[0], prefix) {
				return "rows"
			}
		}
		for _, member := range ragasLists {
			if ragasRow(h.one(), member+"[].") {
				return "wrapped"
			}
		}
		return ""
	},
	read: func(in *input) error {
		for _, p := range in.parts {
			if err := readRagas(in, p); err != nil {
				return err
			}
		}
		return nil
	},
}

// ragasLists are the members under which wrappers keep the rows.
var ragasLists = []string{"per_question", "results", "rows", "scores", "samples", "data"}

func ragasRow(s skeleton, prefix string) bool {
	return s.has(prefix+"user_input", prefix+"response") && (s.has(prefix+"retrieved_contexts") || s.has(prefix+"reference"))
}

func readRagas(in *input, p part) error {
	s := in.suite("ragas", record.Accuracy)
	s.Tool.Name = "ragas"
	d := in.json(p)
	row := func(int) { ragasItem(d, s) }
	switch {
	case p.role == "wrapped":
		d.object(func(name string) bool {
			for _, list := range ragasLists {
				if name == list && d.kind() == '[' {
					d.array(row)
					return true
				}
			}
			d.skip()
			return true
		})
	default:
		for d.more() {
			if d.kind() == '[' {
				d.array(row)
			} else {
				row(0)
			}
		}
	}
	return d.end()
}

// ragasItem reads one row: its texts make its identity, its numbers are scores.
func ragasItem(d *doc, s *suite) {
	identity := sha256.New()
	scores := map[string]float64{}
	d.object(func(name string) bool {
		switch name {
		case "user_input", "reference":
			identity.Write(append(d.raw(), 0))
		case "response", "retrieved_contexts", "reference_contexts", "rubrics", "question", "answer", "contexts", "ground_truth", "multi_responses":
			d.skip()
		default:
			switch k := d.kind(); {
			case k == '0', k == 'n':
				scores[name] = d.number()
			case k == '"':
				// The bare word NaN reads as an empty text.
				if d.text() == "" {
					scores[name] = missing
				}
			default:
				d.skip()
			}
		}
		return true
	})
	if d.err != nil {
		return
	}
	i := s.newItem(strconv.Itoa(s.items.len()) + " " + string(identity.Sum(nil)))
	for _, name := range keys(scores) {
		if s.byName[name] == nil {
			s.describe(record.Metric{Name: name, Direction: record.Higher}, missing, missing)
		}
		s.score(i, name, scores[name])
	}
}
