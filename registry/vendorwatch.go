package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
)

// watchEvery is how often it is looked whether a document of a vendor has lapsed. Verdicts do not
// wait for it: a release whose policy asks for the document lapses by itself at that very time.
const watchEvery = time.Minute

// watchVendors states the signals of documents that have lapsed, and of models that nobody probes any more, until ctx ends.
func (r *Registry) watchVendors(ctx context.Context) {
	look := func() {
		if err := errors.Join(r.lapseAssurance(ctx), r.missProbes(ctx)); err != nil && ctx.Err() == nil {
			r.outbox.log.WarnContext(ctx, "looking at vendors; trying again", "error", err)
		}
	}
	look()
	every(ctx, watchEvery, look)
}

// lapseAssurance states a signal for each live release that rests on a vendor of whom a document
// has lapsed since the release went live, where none of its type stands. Whichever server is first
// states it, once.
func (r *Registry) lapseAssurance(ctx context.Context) error {
	var due []record.Assurance
	vendors := map[string]record.ModelVendor{}
	err := r.read(ctx, Caller{}, func(t *tx) error {
		all, err := t.allVendors()
		for _, v := range all {
			documents, err := t.documents(v.Record.Ref())
			if err != nil {
				return err
			}
			vendors[v.Record.Ref()] = v.Record
			for _, d := range documents {
				if a := d.Record; !a.Withdrawn && !t.now.Before(a.Expires) {
					due = append(due, a)
				}
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, a := range due {
		_, err := r.write(ctx, Caller{Name: r.Origin()}, func(t *tx) error { return t.assuranceEnded(vendors[a.VendorRef()], a) })
		if err != nil {
			return err
		}
	}
	return nil
}

// assuranceEnded states the signals of a document that was withdrawn or has lapsed. What went live
// after it lapsed went live without it.
func (t *tx) assuranceEnded(v record.ModelVendor, a record.Assurance) error {
	documents, err := t.documents(v.Ref())
	if err != nil {
		return err
	}
	if slices.ContainsFunc(documents, func(d record.Recorded[record.Assurance]) bool {
		return d.Record.Type == a.Type && d.Record.StandsAt(t.now)
	}) {
		return nil
	}
	how, ended := fmt.Sprintf("lapsed on %s", a.Expires.Format("2 January 2006")), a.Expires
	if a.Withdrawn {
		how, ended = fmt.Sprintf("was withdrawn by %s: %s", t.who.Name, cut(a.Reason)), t.now
	}
	detail := fmt.Sprintf("the %s of the vendor %s by %s (%s) %s; %s renews it: imprimatur vendor assure %s FILE --type %s", a.Type, v.Name, a.Issuer, a.ID(), how, v.Owner, v.Ref(), a.Type)
	live, err := t.restingOn(v)
	for _, n := range live {
		if n.Live.Since.Time.After(ended) {
			continue
		}
		if err := t.vendorSignal(n, record.SignalAssuranceLapsed, detail, ""); err != nil {
			return err
		}
	}
	return err
}

// vendorSignal states a signal of a live release, unless the very same was stated of it before. The
// evidence is what shows it in full, if anything does.
func (t *tx) vendorSignal(n lineage.Node, kind, detail string, evidence record.Digest) error {
	s := record.Signal{Release: n.Name.Key, Line: n.Live.Line, Type: kind, Detail: detail, Observed: t.now, Evidence: evidence}
	if known, err := t.signalled(s); known || err != nil {
		return err
	}
	return t.signal(s)
}

// signalled reports whether the very same was stated of a release before.
func (t *tx) signalled(s record.Signal) (bool, error) {
	stated, err := lineage.All[record.Signal](t, record.KeySignals(s.Line))
	return slices.ContainsFunc(stated, func(o record.Recorded[record.Signal]) bool {
		return o.Record.Release == s.Release && o.Record.Type == s.Type && o.Record.Detail == s.Detail && o.Record.Evidence == s.Evidence
	}), err
}

// assurance notices the documents of vendors that lapse soon, to whoever renews them, unless another of
// their type stands for longer.
func (n *noticing) assurance() error {
	all, err := n.allVendors()
	for _, v := range all {
		documents, err := n.documents(v.Record.Ref())
		if err != nil {
			return err
		}
		for _, d := range documents {
			a := d.Record
			before, soon := n.remind(a.Expires)
			renewed := slices.ContainsFunc(documents, func(o record.Recorded[record.Assurance]) bool {
				return o.Record.Type == a.Type && o.Record.StandsAt(n.now) && o.Record.Expires.After(a.Expires)
			})
			i := slices.IndexFunc(n.people, func(p record.Person) bool { return p.Principal.Name == v.Record.Owner })
			if !soon || a.Withdrawn || renewed || i < 0 {
				continue
			}
			day := a.Expires.Format("2 January 2006")
			n.add(n.people[i], fmt.Sprintf("the %s of the vendor %s lapses on %s", a.Type, v.Record.Ref(), day),
				fmt.Sprintf("The %s of the vendor %s by %s (%s) lapses on %s, and you renew it. Ask %s for the next, and record it before:\n\nimprimatur vendor assure %s FILE --type %s --issuer NAME --scope TEXT --until DATE",
					a.Type, v.Record.Ref(), a.Issuer, a.ID(), day, v.Record.Contact, v.Record.Ref(), a.Type),
				"", "assurance", a.ID(), a.Expires.String(), before.String())
		}
	}
	return err
}
