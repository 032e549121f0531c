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
	for _, r := range c.d.Runs {
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

// PersonOf returns a principal with its current role bindings; the zero Person
// when it was never enrolled.
func PersonOf(src Source, name string) (record.Person, error) {
	p, ok, err := Last[record.Principal](src, record.KeyPrincipal(name))
	if err != nil || !ok {
		return record.Person{}, err
	}
	bindings, err := All[record.Role](src, record.KeyRoles(name))
	return record.Person{Principal: p.Record, Roles: currentRoles(bindings)}, err
}

// currentRoles keeps the newest binding of each role, team and model, in the order in
// which they were first bound.
func currentRoles(bindings []record.Recorded[record.Role]) []record.Role {
	var out []record.Role
	for _, b := range bindings {
		i := slices.IndexFunc(out, func(r record.Role) bool { return r.Role == b.Record.Role && r.Where() == b.Record.Where() })
		if i < 0 {
			out = append(out, b.Record)
		} else {
			out[i] = b.Record
		}
	}
	return out
}
