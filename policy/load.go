package policy

import (
	"slices"

	"go.yaml.in/yaml/v4"

	"imprimatur.dev/record"
)

// Load reads a policy file. Its error is a *FileError that names every fault
// with line and column: unknown and repeated members, wrong types, a second
// document, expressions that do not type-check or could cost too much, gates
// of the same name.
func Load(text []byte) (*Policy, error) {
	p, r := load(text)
	if err := r.err(); err != nil {
		return nil, err
	}
	return p, nil
}

func load(text []byte) (*Policy, *reader) {
	r := &reader{}
	if len(text) > record.MaxPolicy {
		r.failf(position{}, "the file is longer than %d bytes", record.MaxPolicy)
		return nil, r
	}
	p := &Policy{Digest: record.DigestOf(text)}
	root := r.document(text)
	if root == nil {
		return nil, r
	}
	r.mapping(root, "the policy",
		need("apiVersion", func(n *yaml.Node) { r.oneOf(n, "apiVersion", "imprimatur/v1") }),
		need("kind", func(n *yaml.Node) { r.oneOf(n, "kind", "Policy") }),
		need("name", func(n *yaml.Node) { p.Name = r.name(n, "name") }),
		need("tiers", func(n *yaml.Node) {
			r.members(n, "tiers", func(key, value *yaml.Node) { p.Tiers = append(p.Tiers, r.tier(key, value)) })
			if len(n.Content) == 0 {
				r.failf(at(n), "tiers is empty: the policy would let nothing through")
			}
		}),
	)
	slices.SortStableFunc(p.Tiers, func(a, b *Tier) int { return a.Rank - b.Rank })
	for i, t := range p.Tiers {
		if i > 0 && t.Rank == p.Tiers[i-1].Rank && t.Rank != 0 {
			r.failf(t.where, "tier %s has the rank %d, which is that of tier %s", t.Name, t.Rank, p.Tiers[i-1].Name)
		}
		t.describe(p.Name)
	}
	return p, r
}

func (r *reader) tier(key, n *yaml.Node) *Tier {
	t := &Tier{Name: r.name(key, "a tier's name"), Mode: record.Enforce, BreakGlass: MaxBreakGlass, where: at(key)}
	t.Rank = defaultRanks[t.Name]
	r.mapping(n, "tier "+t.Name,
		may("mode", func(n *yaml.Node) { t.Mode = r.mode(n) }),
		may("rank", func(n *yaml.Node) { t.Rank = r.count(n, "rank", 1, 1000) }),
		may("solo", func(n *yaml.Node) { t.Solo = r.truth(n, "solo") }),
		may("lineage", func(n *yaml.Node) { r.lineage(n, t) }),
		may("evaluations", func(n *yaml.Node) {
			r.list(n, "evaluations", func(n *yaml.Node) { t.Evaluations = append(t.Evaluations, r.requirement(n)) })
		}),
		may("misuse", func(n *yaml.Node) { t.Misuse = r.misuse(n) }),
		may("holdout", func(n *yaml.Node) { t.Holdout = r.holdout(n) }),
		may("signals", func(n *yaml.Node) { t.Signals = r.signals(n) }),
		may("vendor", func(n *yaml.Node) { t.Vendor = r.vendor(n) }),
		may("rollback", func(n *yaml.Node) { t.Rollback = r.readiness(n) }),
		may("monitor", func(n *yaml.Node) { t.Monitor = r.monitor(n) }),
		may("content", func(n *yaml.Node) {
			r.mapping(n, "content", need("unsafe", func(n *yaml.Node) { t.Content = r.oneOf(n, "unsafe", "forbid") == "forbid" }))
		}),
		may("expressions", func(n *yaml.Node) {
			r.list(n, "expressions", func(n *yaml.Node) { t.Expressions = append(t.Expressions, r.expression(n)) })
		}),
		may("approvals", func(n *yaml.Node) {
			r.list(n, "approvals", func(n *yaml.Node) { t.Approvals = append(t.Approvals, r.seats(n)) })
		}),
		may("separation", func(n *yaml.Node) { t.Separation = readNames(r, n, "separation", contributors) }),
		may("expires", func(n *yaml.Node) { t.Expires = r.span(n, "expires") }),
		may("breakGlass", func(n *yaml.Node) { t.BreakGlass = r.breakGlass(n) }),
	)
	if t.Rank == 0 {
		r.failf(t.where, "tier %s has no rank; only low, medium and high have one by themselves", t.Name)
	}
	r.uniqueGates(t)
	r.companions(t)
	return t
}

func (r *reader) uniqueGates(t *Tier) {
	taken := map[string]bool{gateTier: true}
	for _, name := range []string{gateDatasets, gateRun, gateCode, gateRollback, gateContent, gateVendor} {
		taken[name] = true
	}
	for _, name := range t.Gates() {
		switch name {
		case gateDatasets, gateRun, gateCode, gateRollback, gateContent, gateVendor:
			continue
		}
		if taken[name] {
			r.failf(t.where, "tier %s has two gates %q, which a waiver could not tell apart; give one a name of its own", t.Name, name)
		}
		taken[name] = true
	}
}

func (r *reader) mode(n *yaml.Node) string {
	return r.oneOf(n, "mode", record.Enforce, record.Advise)
}

func (r *reader) lineage(n *yaml.Node, t *Tier) {
	r.mapping(n, "lineage",
		may("datasets", func(n *yaml.Node) { t.Datasets = r.oneOf(n, "datasets", "approved") == "approved" }),
		may("run", func(n *yaml.Node) { t.Run = r.oneOf(n, "run", "attested") == "attested" }),
		may("code", func(n *yaml.Node) { t.Code = r.oneOf(n, "code", "committed") == "committed" }),
	)
}

func (r *reader) seats(n *yaml.Node) Seats {
	s := Seats{Count: 1, where: at(n)}
	r.mapping(n, "an approval",
		need("role", func(n *yaml.Node) {
			name := record.RoleName(r.text(n, "role"))
			if name != "" && !slices.Contains(record.RoleNames, name) {
				r.failf(at(n), "role %q is not one of %s", name, list(record.RoleNames))
			}
			s.Role = name
		}),
		may("count", func(n *yaml.Node) { s.Count = r.count(n, "count", 1, 20) }),
		need("covers", func(n *yaml.Node) {
			s.Covers = readNames(r, n, "covers", record.Parts)
			if len(s.Covers) == 0 {
				r.failf(at(n), "covers is empty: an approval covers what was seen")
			}
		}),
		may("passkey", func(n *yaml.Node) { s.Passkey = r.oneOf(n, "passkey", "required") == "required" }),
	)
	return s
}

// readNames reads a list of distinct names out of a closed set.
func readNames[S ~string](r *reader, n *yaml.Node, what string, known []S) (out []S) {
	r.list(n, what, func(n *yaml.Node) {
		name := S(r.text(n, what))
		switch {
		case name == "":
		case !slices.Contains(known, name):
			r.failf(at(n), "%s: %q is not one of %s", what, name, list(known))
		case slices.Contains(out, name):
			r.failf(at(n), "%s gives %q twice", what, name)
		default:
			out = append(out, name)
		}
	})
	return out
}
