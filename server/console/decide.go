package console

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"imprimatur.dev/policy"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server/api"
	"imprimatur.dev/verify"
	"imprimatur.dev/wire"
)

// SeatRow is how the seats of one role stand.
type SeatRow struct {
	Role    record.RoleName
	Badge   Badge
	Covers  string
	Passkey bool
	Words   []Event
	May     []registry.Candidate
	MayNot  []registry.Candidate
}

// seatRow is how a role's seats stand, in words.
func seatRow(s registry.Seat) SeatRow {
	row := SeatRow{Role: s.Role, Passkey: s.Passkey}
	var parts []string
	for _, p := range s.Covers {
		parts = append(parts, string(p))
	}
	row.Covers = strings.Join(parts, ", ")
	open, blocked := s.Open(), false
	for _, w := range s.Words {
		blocked = blocked || w.Blocks
		row.Words = append(row.Words, wordEvent(w))
	}
	switch {
	case blocked:
		row.Badge = Badge{"fail", "changes requested"}
	case open == 0:
		row.Badge = Badge{"pass", fmt.Sprintf("%d of %d filled", s.Count, s.Count)}
	default:
		row.Badge = Badge{"missing", fmt.Sprintf("%d of %d open", open, s.Count)}
	}
	for _, w := range s.Who {
		switch {
		case w.Not != "":
			row.MayNot = append(row.MayNot, w)
		case open > 0:
			row.May = append(row.May, w)
		}
	}
	return row
}

func wordEvent(w policy.Spoken) Event {
	a := w.Approval
	e := Event{Time: a.Time, Who: a.Actor + a.Record.Behalf(), Text: a.Record.Reason, What: "on", On: a.Record.Release, Badge: &Badge{"missing", "void"}}
	switch {
	case w.Blocks:
		e.Badge = &Badge{"fail", "requests changes"}
	case w.Fills:
		e.Badge = &Badge{"pass", "approves"}
	}
	e.Note = "By " + a.Record.Method
	if w.Fills {
		e.Note += ", until " + w.Until.UTC().Format("2006-01-02")
	}
	if w.Why != "" {
		e.Note += "; " + w.Why
	}
	return e
}

// Decision is the form by which one approves or requests changes.
type Decision struct {
	// Of is "release" or "envelope", and ID its ID.
	Of, ID string
	Record record.Digest
	Roles  []Option
	Reason string
	// Passkey are the roles for which the policy asks for a passkey.
	Passkey []record.RoleName
	Until   string
}

// offer lets the form speak in a role.
func (d *Decision) offer(role record.RoleName, passkey bool, in input) {
	d.Roles = append(d.Roles, Option{Value: string(role), Text: string(role), Chosen: in.get("role") == string(role)})
	if passkey {
		d.Passkey = append(d.Passkey, role)
	}
}

// decision is the form for somebody who holds a role with seats; nil for others.
func decision(got *registry.Inspection, in input) *Decision {
	if len(got.Mine) == 0 || got.Status == record.Retired {
		return nil
	}
	d := &Decision{Of: "release", ID: got.ID, Record: got.Digests.Record, Reason: in.get("reason"), Until: in.get("until")}
	for _, s := range got.Seats {
		if slices.Contains(got.Mine, s.Role) {
			d.offer(s.Role, s.Passkey, in)
		}
	}
	return d
}

// decide carries out the form.
func (c *console) decide(ctx context.Context, who registry.Caller, in input) (string, error) {
	word, err := wordOf(in)
	if err != nil {
		return "", err
	}
	word.Release = in.path("id")
	if _, err := c.Registry.Approve(ctx, who, word); err != nil {
		return "", err
	}
	return "/releases/" + in.path("id") + "?done=" + word.Decision, nil
}

// wordOf is what the form says.
func wordOf(in input) (wire.Word, error) {
	word := wire.Word{Record: record.Digest(in.get("record")), Role: record.RoleName(in.get("role")), Decision: in.get("decision"), Reason: in.get("reason")}
	if said := in.get("assertion"); said != "" {
		a, err := record.ReadAssertion([]byte(said))
		if err != nil {
			return word, api.Refusal(wire.Invalid, "%v; approve again", err)
		}
		word.Assertion = a
	}
	return word, nil
}

func (c *console) comment(ctx context.Context, who registry.Caller, in input) (string, error) {
	if _, err := c.Registry.Comment(ctx, who, in.path("id"), in.get("text")); err != nil {
		return "", err
	}
	return "/releases/" + in.path("id") + "?done=comment#discussion", nil
}

// bundle hands out the file by which a release verifies offline.
func (c *console) bundle(ctx context.Context, who registry.Caller, in input) (*Download, error) {
	b, err := c.Registry.Bundle(ctx, who, in.path("id"))
	if err != nil {
		return nil, err
	}
	raw, err := b.Marshal()
	return &Download{Name: b.Release + ".bundle.json", Media: verify.MediaType, Content: raw}, err
}
