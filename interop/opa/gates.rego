# The gates of the high tier in Rego, over the same facts. It decides pass or
# fail per gate and gives numbers, without the sentences that ours also writes.
package gates

import rego.v1

z := 1.959963984540054

now := time.parse_rfc3339_ns(input.at)

stands(expires) if expires == "0001-01-01T00:00:00Z"

stands(expires) if time.parse_rfc3339_ns(expires) > now

wilson(s, n) := [centre - half, centre + half] if {
	p := s / n
	d := 1 + ((z * z) / n)
	centre := (p + ((z * z) / (2 * n))) / d
	half := (z / d) * sqrt(((p * (1 - p)) / n) + ((z * z) / ((4 * n) * n)))
}

# Rego has no square root; five steps of Newton from a straight line suffice for
# the small variances here.
sqrt(v) := 0 if v == 0

sqrt(v) := r if {
	v > 0
	a := (v + 0.0001) / 0.02
	b := (a + (v / a)) / 2
	c := (b + (v / b)) / 2
	d := (c + (v / c)) / 2
	e := (d + (v / d)) / 2
	f := (e + (v / e)) / 2
	r := (f + (v / f)) / 2
}

holds(name, role) if {
	p := input.people[name]
	not p.Principal.disabled
	some r in p.Roles
	r.role == role
	r.team in {"acme", "*"}
	not r.revoked
}

gate["known"] if count(input.absent) == 0

gate["use-case"] if {
	input.release.context.environment in input.usecase.environments
	input.usecase.tier == input.release.context.tier
	input.usecase.owner == input.release.context.owner
}

rank := {"low": 1, "medium": 2, "high": 3}

gate["environment-tier"] if rank[input.release.context.tier] >= rank[input.environment.leastTier]

approved(d) if {
	some a in d.Approvals
	a.record.decision == "allow"
	a.record.dataset == d.Dataset.record.digest
	input.usecase.purpose in a.record.purposes
	stands(a.record.expires)
	holds(a.actor, "data-steward")
	not withdrawn(d, a)
}

withdrawn(d, a) if {
	some w in d.Approvals
	w.record.decision == "withdraw"
	w.index > a.index
}

gate["lineage/datasets"] if {
	every d in input.datasets {
		approved(d)
	}
}

own_runs := [r | some r in input.runs; some o in r.record.outputs; o.digest == input.release.behaviour.artifact]

gate["lineage/run"] if {
	some r in own_runs
	input.people[r.actor].Principal.type == "workload"
}

gate["lineage/code"] if {
	count(own_runs) > 0
	every r in own_runs {
		count(r.record.code.commit) == 40
		not r.record.code.dirty
	}
}

trainers contains r.actor if some r in input.runs

trainers contains input.people[r.actor].Principal.owner if some r in input.runs

evaluators contains e.actor if some e in input.evaluations

authors contains name if {
	some r in input.runs
	some name, p in input.people
	some mail in p.Principal.emails
	mail == r.record.code.author
}

excluded := (trainers | evaluators) | authors

found[i] := m if {
	some i, q in input.requirements
	some e in input.evaluations
	e.record.category == q.category
	e.record.suite == q.suite
	e.record.artifact == input.release.behaviour.artifact
	e.digest in input.release.behaviour.evaluations
	not e.record.incomplete
	not trainers[e.actor]
	e.record.assurance in {"imported", "signed-run"}
	time.parse_rfc3339_ns(e.record.ran) <= now
	time.parse_rfc3339_ns(e.record.ran) + q.freshNs > now
	some m in e.record.metrics
	m.name == q.metric
	m.n >= q.minSamples
	abs(m.value - (m.successes / m.n)) <= 0.000001
}

measured(m, "value") := m.value

measured(m, "lower95") := wilson(m.successes, m.n)[0]

measured(m, "upper95") := wilson(m.successes, m.n)[1]

meets(v, ">=", t) if v >= t

meets(v, "<=", t) if v <= t

gate[q.gate] if {
	some i, q in input.requirements
	meets(measured(found[i], q.statistic), q.operator, q.threshold)
}

gate[sprintf("%s/versus-production", [q.gate])] if {
	some i, q in input.requirements
	q.versus
	m := found[i]
	some e in input.production.evaluations
	e.record.suite == q.suite
	some o in e.record.metrics
	o.name == q.metric
	w := wilson(m.successes, m.n)
	v := wilson(o.successes, o.n)
	a := m.value - w[0]
	b := v[1] - o.value
	(m.value - o.value) - sqrt((a * a) + (b * b)) >= 0 - q.margin
}

gate["rollback"] if {
	some h in input.history
	h.Promotion.release == input.production.id
	not input.production.stopped
	stands(input.production.until)
}

gate["content"] if {
	object.get(input.version, "findings", []) == []
}

gate["expression/no-wildcard-writes"] if {
	every g in input.release.authority.records {
		not "*" in g.actions
	}
}

gate["reviews"] if count(input.exceptions) == 0

# The latest word of each person in a role, void where a covered part changed.
latest(role) := [a |
	some a in input.approvals
	a.Approval.record.role == role
	not superseded(a)
]

superseded(a) if {
	some b in input.approvals
	b.Approval.actor == a.Approval.actor
	b.Approval.record.role == a.Approval.record.role
	b.Approval.index > a.Approval.index
}

able[i] := {a.Approval.actor |
	some a in latest(s.role)
	a.Approval.record.decision == "approve"
	stands(a.Approval.record.expires)
	time.parse_rfc3339_ns(a.Approval.time) + input.expiresNs > now
	input.people[a.Approval.actor].Principal.type == "human"
	holds(a.Approval.actor, s.role)
	passkey(s, a)
	every part in s.covers {
		a.Approval.record.parts[part] == input.parts[part]
	}
	not excluded[a.Approval.actor]
} if {
	some i, s in input.seats
}

passkey(s, _) if not s.passkey

passkey(_, a) if a.Approval.record.method == "passkey"

blocked(s) if {
	some a in latest(s.role)
	a.Approval.record.decision == "request-changes"
}

# One person, one seat: with one seat to an entry, as here, it is enough that a
# choice of different people exists.
gate[sprintf("approval/%s", [s.role])] if {
	some i, s in input.seats
	count(able[i]) >= s.count
	not blocked(s)
	some p in able[i]
	every k, o in input.seats {
		free(k, i, o, p)
	}
}

free(k, i, _, _) if k == i

free(k, i, o, p) if {
	k != i
	count(able[k] - {p}) >= o.count
}

free(k, i, o, _) if {
	k != i
	count(able[k]) < o.count
}

passed if {
	every name in input.gates {
		gate[name]
	}
}
