package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"imprimatur.dev/record"
)

// VendorRule is what a tier demands of every vendor on which a release rests.
type VendorRule struct {
	// Assurance are the types of document of which one must stand.
	Assurance []string
	// Clauses must be given by a document that stands.
	Clauses []ClauseRule
	// ProbedWithin is how long a model of it may go without a probe while the release is live; longer is the signal
	// probe-failed, not the gate's to refuse. 0 is for ever.
	ProbedWithin time.Duration
}

// ClauseRule is one clause that is demanded. AtLeast and AtMost bound the days that it gives, in
// whole days; nil is no bound.
type ClauseRule struct {
	Name            string
	AtLeast, AtMost *int
}

const gateVendor = "vendor"

func (r *reader) vendor(n *yaml.Node) *VendorRule {
	v := &VendorRule{}
	r.mapping(n, "vendor",
		may("assurance", func(n *yaml.Node) {
			r.list(n, "assurance", func(n *yaml.Node) {
				if name := r.name(n, "a type of assurance"); name != "" && slices.Contains(v.Assurance, name) {
					r.failf(at(n), "assurance gives %q twice", name)
				} else {
					v.Assurance = append(v.Assurance, name)
				}
			})
		}),
		may("clauses", func(n *yaml.Node) {
			r.list(n, "clauses", func(n *yaml.Node) {
				c := r.clause(n)
				if slices.ContainsFunc(v.Clauses, func(o ClauseRule) bool { return o.Name == c.Name }) {
					r.failf(at(n), "clauses gives %q twice", c.Name)
				}
				v.Clauses = append(v.Clauses, c)
			})
		}),
		may("probedWithin", func(n *yaml.Node) { v.ProbedWithin = r.span(n, "probedWithin") }),
	)
	if len(v.Assurance)+len(v.Clauses) == 0 && v.ProbedWithin == 0 {
		r.failf(at(n), "vendor asks for nothing: give assurance, clauses or probedWithin")
	}
	return v
}

// clause reads a clause's name, or a mapping with bounds on its days.
func (r *reader) clause(n *yaml.Node) (c ClauseRule) {
	if n.Kind != yaml.MappingNode {
		c.Name = r.name(n, "a clause")
		return c
	}
	days := func(what string, into **int) func(*yaml.Node) {
		return func(n *yaml.Node) {
			d := r.span(n, what)
			if d%day != 0 {
				r.failf(at(n), "%s is not in whole days", what)
			}
			whole := int(d / day)
			*into = &whole
		}
	}
	r.mapping(n, "a clause",
		need("clause", func(n *yaml.Node) { c.Name = r.name(n, "clause") }),
		may("atLeast", days("atLeast", &c.AtLeast)),
		may("atMost", days("atMost", &c.AtMost)),
	)
	return c
}

func (c ClauseRule) String() string {
	text := c.Name
	if c.AtLeast != nil {
		text += fmt.Sprintf(" of at least %d days", *c.AtLeast)
	}
	if c.AtMost != nil {
		text += fmt.Sprintf(" of at most %d days", *c.AtMost)
	}
	return text
}

// met says why a clause is not what is demanded, or is empty.
func (c ClauseRule) met(x record.Clause) string {
	switch {
	case !x.Given:
		return "says that it is not given"
	case c.AtLeast == nil && c.AtMost == nil:
		return ""
	case x.Days == nil:
		return "gives no number of days"
	case c.AtLeast != nil && *x.Days < *c.AtLeast, c.AtMost != nil && *x.Days > *c.AtMost:
		return fmt.Sprintf("gives %d days", *x.Days)
	}
	return ""
}

func (v *VendorRule) sentence() string {
	var parts []string
	if len(v.Assurance) > 0 {
		parts = append(parts, "has a standing document of each of "+list(v.Assurance))
	}
	if len(v.Clauses) > 0 {
		names := make([]string, len(v.Clauses))
		for i, c := range v.Clauses {
			names[i] = c.String()
		}
		parts = append(parts, "gives, in one that stands, "+list(names))
	}
	if v.ProbedWithin > 0 {
		parts = append(parts, "is known here, and while the release is live each of its models is probed again within "+spell(v.ProbedWithin)+", or the signal "+record.SignalProbeFailed+" is stated")
	}
	return "every vendor whose model the release is, is made from or may call " + strings.Join(parts, " and ")
}

// vendors judges the vendors of a release.
func (j *judge) vendors() record.Gate {
	if v := j.unnamed(); v != nil {
		return refuse(record.Missing, roles(record.Contributor, record.ModelOwner), doAcceptService(v.Record),
			"The vendor's model %s names no vendor, so nobody can say what assures of it; register it as a vendor's service and propose the release again.", v.Record.Ref())
	}
	if len(j.d.Vendors) == 0 {
		return pass("The release rests on no vendor's model.")
	}
	var lacking, names []string
	var until time.Time
	g := record.Gate{}
	do := ""
	for i := range j.d.Vendors {
		f := &j.d.Vendors[i]
		names = append(names, f.Name)
		got := j.vendor(f)
		until = record.Earlier(until, got.until)
		g.Evidence = append(g.Evidence, got.evidence...)
		if len(got.lacking) > 0 {
			lacking = append(lacking, fmt.Sprintf("%s (%s): %s", f.Name, strings.Join(f.Uses, ", "), strings.Join(got.lacking, "; ")))
			if do == "" {
				do = got.do
			}
		}
	}
	if len(lacking) > 0 {
		return refuse(record.Missing, roles(record.ModelOwner, record.Risk, record.Security), do, "%s.", strings.Join(lacking, ". "))
	}
	ok := pass("What is asked of %s stands.", list(names))
	ok.Until, ok.Evidence = until, g.Evidence
	return ok
}

// unnamed returns a version of a vendor's model that names no vendor, or nil.
func (j *judge) unnamed() *record.Recorded[record.ModelVersion] {
	if v := &j.d.Version; v.Record.Type == record.Vendor && v.Record.Service == nil {
		return v
	}
	for i := range j.d.Bases {
		if v := &j.d.Bases[i]; v.Record.Type == record.Vendor && v.Record.Service == nil {
			return v
		}
	}
	return nil
}

// assured is how one vendor stands.
type assured struct {
	lacking  []string
	do       string
	until    time.Time
	evidence []string
}

func (a *assured) lack(do, format string, args ...any) {
	a.lacking = append(a.lacking, fmt.Sprintf(format, args...))
	if a.do == "" {
		a.do = do
	}
}

// rests notes a document that the verdict rests on.
func (a *assured) rests(x *record.Recorded[record.Assurance]) {
	a.until = record.Earlier(a.until, x.Record.Expires)
	if id := string(x.Digest); !slices.Contains(a.evidence, id) {
		a.evidence = append(a.evidence, id)
	}
}

func (j *judge) vendor(f *record.VendorFacts) (a assured) {
	if f.Stated.Statement == "" || f.Stated.Time.After(j.at) {
		if strings.ContainsAny(f.Name, "*?") || f.Name == "" {
			a.lack(doPropose(j.d), "the grant names no one vendor; name it")
		} else {
			a.lack(doRegisterVendor(j.team, f.Name), "nobody has registered the vendor and who answers for it")
		}
		return a
	}
	owner, ref := f.Stated.Record.Owner, f.Stated.Record.Ref()
	documents := record.AssuranceAt(f.Assurances, j.at)
	for _, kind := range j.tier.Vendor.Assurance {
		best, why := longest(documents, j.at, func(x *record.Assurance) string {
			if x.Type != kind {
				return "-"
			}
			return ""
		})
		if best == nil {
			a.lack(doAssure(ref, kind), "%s; %s renews it", orElse(why, "no document of the type "+kind+" is recorded"), owner)
			continue
		}
		a.rests(best)
	}
	for _, c := range j.tier.Vendor.Clauses {
		best, why := longest(documents, j.at, func(x *record.Assurance) string {
			clause, ok := x.Clause(c.Name)
			if !ok {
				return "-"
			}
			if not := c.met(clause); not != "" {
				return fmt.Sprintf("the %s of %s %s on %s", x.Type, x.Issuer, not, c)
			}
			return ""
		})
		if best == nil {
			a.lack(doAssure(ref, "TYPE")+" --clause "+c.Name+"=yes@WHERE", "%s; %s renews it", orElse(why, "no document gives the clause "+c.String()), owner)
			continue
		}
		a.rests(best)
	}
	return a
}

// longest returns the document that fits and stands for longest, or nil with why the last that
// could have been meant does not. Fits is empty for one that fits, "-" for one that is of something
// else, or says why not.
func longest(documents []record.Recorded[record.Assurance], at time.Time, fits func(*record.Assurance) string) (best *record.Recorded[record.Assurance], why string) {
	for i := range documents {
		d := &documents[i]
		x := &d.Record
		switch not := fits(x); {
		case not == "-":
		case x.Withdrawn:
			why = fmt.Sprintf("the %s of %s was withdrawn: %s", x.Type, x.Issuer, x.Reason)
		case !x.StandsAt(at) && at.Before(x.Expires):
			why = fmt.Sprintf("the %s of %s speaks from %s only", x.Type, x.Issuer, date(x.Issued))
		case !x.StandsAt(at):
			why = fmt.Sprintf("the %s of %s lapsed on %s", x.Type, x.Issuer, date(x.Expires))
		case not != "":
			why = not
		case best == nil || x.Expires.After(best.Record.Expires):
			best = d
		}
	}
	return best, why
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

func doRegisterVendor(team, name string) string {
	return fmt.Sprintf("imprimatur vendor register %s/%s --owner NAME --contact TEXT", team, name)
}

func doAssure(vendor, kind string) string {
	return fmt.Sprintf("imprimatur vendor assure %s FILE --type %s --issuer NAME --scope TEXT --until DATE", vendor, kind)
}

func doAcceptService(v record.ModelVersion) string {
	return fmt.Sprintf("imprimatur vendor accept %s@VERSION --vendor NAME --service ID", v.Model)
}
