package console

import (
	"context"
	"strings"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// principal is the page of a person or a workload: rights, credentials without
// their secrets, what they own and what they stated.
func (c *console) principal(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	name := in.path("name")
	got, err := c.Registry.Principal(ctx, who, name)
	if err != nil {
		return nil, err
	}
	p := got.Principal.Record
	t := &thing{Facts: []Term{{"Kind", text(string(p.Type))}, {"State", stands(p, c.now())}, {"Shown as", text(p.DisplayName)}}}
	crumb := Link{Text: "People", Href: "/people"}
	if p.Type == record.Workload {
		crumb = Link{Text: "Workloads", Href: "/workloads"}
		t.Facts = append(t.Facts, Term{"Owner", linked(p.Owner, principalHref(p.Owner))}, Term{"Purpose", text(p.Purpose)}, Term{"Ends", when(p.Expires)})
	} else if len(p.Emails) > 0 {
		t.Facts = append(t.Facts, Term{"E-mail", text(strings.Join(p.Emails, ", "))})
	}
	last, err := c.Registry.By(ctx, who, name, 0, 1)
	if err != nil {
		return nil, err
	}
	for _, e := range last.Entries {
		t.Facts = append(t.Facts, Term{"Last stated something", Cell{Time: e.Time, Note: "use that states nothing is not kept"}})
	}
	t.Facts = append(t.Facts, managing(p))
	roles := rolesTable(name, got.Roles)
	t.Sections = append(t.Sections, section{Title: "Roles", Table: &roles})
	if p.Type == record.Human {
		t.Sections = append(t.Sections, c.delegations(ctx, got, who, in)...)
	}
	for _, show := range []func(context.Context, registry.Caller, string) (section, error){c.tokens, c.keys, c.owned} {
		s, err := show(ctx, who, name)
		if err != nil {
			return nil, err
		}
		t.Sections = append(t.Sections, s)
	}
	err = t.tell(ctx, c, who, in, record.KeyActor(name), record.KeyPrincipal(name), record.KeyRoles(name))
	return &Page{Template: "thing", Title: name, Lead: p.DisplayName, Crumbs: []Link{crumb}, Body: t}, err
}

// tokens lists tokens as they stand now; nobody is shown a secret, and who may
// not issue them is shown none.
func (c *console) tokens(ctx context.Context, who registry.Caller, name string) (section, error) {
	seen := map[string]bool{}
	return c.under(ctx, who, "Tokens", record.KeyTokens(name), []string{"Token", "Reaches", "State", "Ends", "Note"}, func(e wire.Entry, body record.Body) []Cell {
		k, ok := body.(record.Token)
		if !ok || seen[k.ID] {
			return nil
		}
		seen[k.ID] = true
		state := badge("pass", "stands")
		switch {
		case k.Revoked:
			state = badge("suspended", "ended")
		case !k.Expires.After(c.now()):
			state = badge("retired", "expired")
		}
		return []Cell{{Text: k.ID, Code: true, Href: entryHref(e.Index)}, text(strings.Join(k.Scopes, ", ")), state, when(k.Expires), text(k.Note)}
	}, "None that you may see: tokens are for their owner and for administrators.")
}

// keys lists the keys that speak for a principal.
func (c *console) keys(ctx context.Context, who registry.Caller, name string) (section, error) {
	seen := map[string]bool{}
	return c.under(ctx, who, "Keys", record.KeyPrincipalKeys(name), []string{"Key", "Type", "State", "Ends", "Purpose"}, func(e wire.Entry, body record.Body) []Cell {
		k, ok := body.(record.PrincipalKey)
		if !ok || seen[k.KeyID] {
			return nil
		}
		seen[k.KeyID] = true
		state := badge("pass", "stands")
		switch {
		case k.Withdrawn:
			state = badge("suspended", "withdrawn")
		case !k.Stands(c.now()):
			state = badge("retired", "expired")
		}
		return []Cell{{Text: k.KeyID, Code: true, Href: entryHref(e.Index)}, text(k.Type), state, when(k.Expires), text(k.Purpose)}
	}, "No key speaks for them.")
}

// owned is what a principal answers for, as it was last stated.
func (c *console) owned(ctx context.Context, who registry.Caller, name string) (section, error) {
	entries, err := c.Registry.Owned(ctx, who, name)
	if err != nil {
		return section{}, err
	}
	t := &Table{Caption: "What they own", Columns: []Column{{Label: "What"}, {Label: "Which"}, {Label: "Since"}}, Empty: Empty{Sentence: "They own nothing that you may read."}}
	for _, e := range entries {
		t.Rows = append(t.Rows, Row{[]Cell{text(e.Word), linked(aboutOf(e), thingHref(e)), when(e.Time)}})
	}
	return section{Title: "What they own", Table: t}, nil
}
