package policy

import (
	"fmt"
	"strings"

	"imprimatur.dev/record"
)

// contribution is one way in which somebody took part in a release.
type contribution struct {
	as Contributor
	// why continues the person's name: "trained the model (run team/id)".
	why string
}

// contributions computes from the signed lineage who took part in what. The
// owner of a workload answers for what it did.
func (j *judge) contributions() map[string][]contribution {
	parts := map[string][]contribution{}
	note := func(name string, as Contributor, why string) {
		for _, c := range parts[name] {
			if c.as == as {
				return
			}
		}
		parts[name] = append(parts[name], contribution{as, why})
	}
	did := func(actor string, as Contributor, why string) {
		note(actor, as, why)
		if p := j.d.People[actor].Principal; p.Type == record.Workload && p.Owner != "" {
			note(p.Owner, as, "owns the workload "+actor+", which "+why)
		}
	}
	for i := range j.d.Runs {
		r := &j.d.Runs[i]
		ref := r.Record.Ref()
		did(r.Actor, Trainer, "trained the model (run "+ref+")")
		if r.Record.Initiator != "" {
			did(r.Record.Initiator, Trainer, "started the training run "+ref)
		}
		for _, author := range j.authors(r.Record.Code.Author) {
			note(author, CodeAuthor, fmt.Sprintf("wrote the code (commit %.12s of run %s)", r.Record.Code.Commit, ref))
		}
	}
	if v := &j.d.Version; v.Actor != "" {
		did(v.Actor, Trainer, "recorded the model version "+v.Record.Ref())
	}
	for i := range j.d.Evaluations {
		e := &j.d.Evaluations[i]
		did(e.Actor, Evaluator, "evaluated the model ("+record.EvaluationID(e.Digest)+")")
	}
	for i, s := range j.stewards {
		if !s.ok {
			continue
		}
		why := "approved the dataset " + j.d.Datasets[i].Dataset.Record.Ref()
		if did(s.steward, Steward, why); s.behalf != "" {
			note(s.behalf, Steward, "delegated the role to "+s.steward+", who "+why)
		}
	}
	if j.d.Release.Actor != "" {
		what := "the release"
		if IsEnvelope(j.d) {
			what = "the envelope"
		}
		did(j.d.Release.Actor, Proposer, "proposed "+what)
	}
	if e := j.d.Envelope; e != nil {
		for _, w := range e.Envelope.Record.Workloads {
			did(w, Trainer, "may retrain by the envelope "+e.Envelope.Record.Name)
		}
	}
	return parts
}

// authors returns the principals whom a commit's author means: by name, or by
// address, also when it is written "Name <address>".
func (j *judge) authors(author string) (names []string) {
	if author == "" {
		return nil
	}
	address := author
	if _, rest, ok := strings.Cut(author, "<"); ok {
		address, _, _ = strings.Cut(rest, ">")
	}
	for name, p := range j.d.People {
		matches := strings.EqualFold(name, author) || strings.EqualFold(name, address)
		for _, e := range p.Principal.Emails {
			matches = matches || strings.EqualFold(e, address)
		}
		if matches {
			names = append(names, name)
		}
	}
	return names
}

// took reports whether a person contributed in a way, and how.
func (j *judge) took(name string, as Contributor) (why string, ok bool) {
	for _, c := range j.parts[name] {
		if c.as == as {
			return c.why, true
		}
	}
	return "", false
}

// barred says why an approval may hold no seat, because of who gave it or of whose
// role it was given in; empty where it may.
func (j *judge) barred(w *word) string {
	if why := j.excluded(w.actor()); why != "" || w.behalf() == "" {
		return why
	}
	if why := j.excluded(w.behalf()); why != "" {
		return lentBy(why, w.actor())
	}
	return ""
}

// excluded says why a person may hold no seat, or is empty.
func (j *judge) excluded(name string) string {
	for _, as := range j.tier.Separation {
		if why, ok := j.took(name, as); ok {
			return fmt.Sprintf("%s %s and may not fill a seat (separation: %s)", name, why, as)
		}
	}
	return ""
}
