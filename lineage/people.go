package lineage

import (
	"maps"
	"slices"
	"strings"

	"imprimatur.dev/record"
)

// persons reads every principal that was named, workloads' owners and the
// authors of code included.
func (c *collector) persons() error {
	runs := c.d.Runs
	if c.d.Envelope != nil {
		runs = slices.Concat(runs, c.d.Envelope.AnchorRuns)
	}
	for _, r := range runs {
		if err := c.author(r.Record.Code.Author); err != nil {
			return err
		}
	}
	c.d.People = map[string]record.Person{}
	queue := slices.Sorted(maps.Keys(c.people))
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		if _, done := c.d.People[name]; done {
			continue
		}
		p, err := PersonOf(c, name)
		if err != nil {
			return err
		}
		if p.Principal.Name == "" {
			continue
		}
		c.d.People[name] = p
		if p.Principal.Owner != "" {
			queue = append(queue, p.Principal.Owner)
		}
	}
	return nil
}

// author names the principals whom a commit's author means: by name or by
// address, also when it is written "Name <address>".
func (c *collector) author(author string) error {
	if author == "" {
		return nil
	}
	address := author
	if _, rest, ok := strings.Cut(author, "<"); ok {
		address, _, _ = strings.Cut(rest, ">")
	}
	c.names(strings.ToLower(author), strings.ToLower(address))
	claimed, err := All[record.Principal](c, record.KeyEmail(address))
	for _, p := range claimed {
		c.names(p.Record.Name)
	}
	return err
}

// PersonOf returns a principal with its current role bindings and what stands of
// the delegations to it; the zero Person when it was never enrolled.
func PersonOf(src Source, name string) (record.Person, error) {
	p, lent, err := unaided(src, name)
	for _, d := range lent {
		if d.Record.To != name || d.Record.Revoked || d.Actor != d.Record.From {
			continue // from the person, taken back, or made by somebody who may not
		}
		from, _, err := unaided(src, d.Record.From)
		if err != nil {
			return p, err
		}
		p.Delegated = append(p.Delegated, record.Delegated{Delegation: d.Record, From: from})
	}
	return p, err
}

// Delegations returns the newest statement of each delegation that a principal
// made or that was made to it, in the order in which they were first made.
func Delegations(src Source, name string) ([]record.Recorded[record.Delegation], error) {
	stated, err := All[record.Delegation](src, record.KeyRoles(name))
	return newest(stated, record.Delegation.Same), err
}

// unaided returns a principal with its own bindings alone, and the delegations
// beside them.
func unaided(src Source, name string) (p record.Person, lent []record.Recorded[record.Delegation], err error) {
	stated, ok, err := Last[record.Principal](src, record.KeyPrincipal(name))
	if err != nil || !ok {
		return p, nil, err
	}
	p.Principal = stated.Record
	entries, err := src.Find(record.KeyRoles(name))
	same := func(a, b record.Role) bool { return a.Role == b.Role && a.Where() == b.Where() }
	for _, b := range newest(only[record.Role](entries), same) {
		p.Roles = append(p.Roles, b.Record)
	}
	return p, newest(only[record.Delegation](entries), record.Delegation.Same), err
}

// newest keeps the newest of what is the same, in the order in which each was
// first stated.
func newest[T record.Body](stated []record.Recorded[T], same func(a, b T) bool) (out []record.Recorded[T]) {
	for _, s := range stated {
		i := slices.IndexFunc(out, func(o record.Recorded[T]) bool { return same(o.Record, s.Record) })
		if i < 0 {
			out = append(out, s)
		} else {
			out[i] = s
		}
	}
	return out
}
