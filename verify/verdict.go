package verify

import (
	"bytes"
	"fmt"
	"slices"
	"sync"

	"imprimatur.dev/lineage"
	"imprimatur.dev/policy"
	"imprimatur.dev/record"
)

// policies keeps the policies read so far, since compiling the expressions of
// one takes longer than all else: a program that verifies many bundles reads
// each policy once.
var policies sync.Map // record.Digest to *policy.Policy

func loadPolicy(digest record.Digest, text string) (*policy.Policy, error) {
	if p, ok := policies.Load(digest); ok {
		return p.(*policy.Policy), nil
	}
	p, err := policy.Load([]byte(text))
	if err != nil {
		return nil, err
	}
	policies.Store(digest, p)
	return p, nil
}

// checkVerdicts reaches every verdict of the release again.
func (v *verifier) checkVerdicts() {
	verdicts, err := lineage.All[record.Verdict](v.entries, record.KeyVerdicts(v.bundle.Release))
	if err != nil || len(verdicts) == 0 {
		v.note(CheckVerdict, "", fmt.Sprintf("The bundle holds no verdict on the release %s: it was never promoted, or the verdict was left out.", v.bundle.Release))
		return
	}
	var reasons []string
	for _, signed := range verdicts {
		reasons = append(reasons, v.again(signed)...)
	}
	newest := verdicts[len(verdicts)-1].Record
	v.report.Verdict = &newest
	passed := "passed"
	if !newest.Passed {
		passed = "did not pass"
	}
	v.note(CheckVerdict, fmt.Sprintf("Reached again from the same %d statements, gate for gate: %s on %s.", len(newest.Inputs), passed, newest.At.Format("2006-01-02 15:04 MST")), reasons...)
}

// again evaluates the policy over the inputs that a signed verdict names, at its
// time, and says how what comes out differs.
func (v *verifier) again(signed record.Recorded[record.Verdict]) []string {
	was := signed.Record
	var reasons []string
	inputs := map[record.Digest]bool{}
	for _, d := range was.Inputs {
		inputs[d] = true
		if !v.entries.byDigest[d] {
			reasons = append(reasons, fmt.Sprintf("The statement %s, on which the verdict at index %d rests, was left out of the bundle.", d, signed.Index))
		}
	}
	if len(reasons) > 0 {
		return reasons
	}
	before := lineage.Filter(v.entries, func(e lineage.Entry) bool { return e.Index < signed.Index })
	d, stood, err := lineage.Collect(before, v.bundle.Release)
	if err != nil {
		return []string{fmt.Sprintf("What stood before the verdict at index %d does not hold the release: %v.", signed.Index, err)}
	}
	reasons = overlooked(signed, stood, inputs)
	if slices.ContainsFunc(stood, func(e lineage.Entry) bool { return !inputs[e.Digest] }) {
		// What the verdict's own transaction stated before it is no input: collect without.
		named := lineage.Filter(before, func(e lineage.Entry) bool { return inputs[e.Digest] })
		if d, _, err = lineage.Collect(named, v.bundle.Release); err != nil {
			return []string{fmt.Sprintf("The inputs of the verdict at index %d do not hold the release: %v.", signed.Index, err)}
		}
	}
	now := v.policy.Evaluate(d, was.At)
	now.Inputs = was.Inputs
	if text, err := record.CanonicalOf(now); err == nil && record.DigestOf(text) == signed.Digest {
		return reasons // what was stated, byte for byte
	}
	return append(differences(was, now, signed.Index), reasons...)
}

// overlooked names the statements that stood before the verdict, bear on it, and
// are not among its inputs. What was stated in the same instant may be of the
// same transaction, such as the exception of a break-glass.
func overlooked(signed record.Recorded[record.Verdict], stood []lineage.Entry, inputs map[record.Digest]bool) []string {
	var reasons []string
	for _, e := range stood {
		if !inputs[e.Digest] && e.Statement.Time.Before(signed.Record.At) {
			reasons = append(reasons, fmt.Sprintf("The verdict at index %d passed over the %s that %s stated at index %d.", signed.Index, e.Statement.Body.Kind(), e.Statement.Actor, e.Index))
		}
	}
	return reasons
}

// differences compares a signed verdict with the same verdict reached again.
func differences(was, now record.Verdict, index int64) []string {
	if same(was, now) {
		return nil
	}
	var reasons []string
	differ := func(format string, args ...any) { reasons = append(reasons, fmt.Sprintf(format, args...)) }
	for i := range max(len(was.Gates), len(now.Gates)) {
		switch {
		case i >= len(now.Gates):
			differ("The gate %s of the verdict at index %d does not follow from the policy.", was.Gates[i].Name, index)
		case i >= len(was.Gates):
			differ("The verdict at index %d lacks the gate %s, which is %s.", index, now.Gates[i].Name, now.Gates[i].Result)
		case !same(was.Gates[i], now.Gates[i]):
			differ("The gate %s of the verdict at index %d says %s (%s), and reached again it says %s: %s", was.Gates[i].Name, index, was.Gates[i].Result, was.Gates[i].Reason, now.Gates[i].Result, now.Gates[i].Reason)
		}
	}
	if len(reasons) == 0 {
		was.Gates, now.Gates = nil, nil
		a, _ := record.CanonicalOf(was)
		b, _ := record.CanonicalOf(now)
		differ("The verdict at index %d says %s, and reached again it says %s.", index, a, b)
	}
	return reasons
}

// same compares in canonical form, in which records are stated.
func same(a, b any) bool {
	x, err1 := record.CanonicalOf(a)
	y, err2 := record.CanonicalOf(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}

// checkPromotions holds the promotions of the release against its verdicts.
func (v *verifier) checkPromotions() {
	promotions, err := lineage.All[record.Promotion](v.entries, record.KeyPromotions(v.bundle.Release))
	if err != nil || len(promotions) == 0 {
		v.note(CheckPromotion, "The release was never promoted.")
		return
	}
	verdicts, _ := lineage.All[record.Verdict](v.entries, record.KeyVerdicts(v.bundle.Release))
	var reasons []string
	for _, p := range promotions {
		at := slices.IndexFunc(verdicts, func(w record.Recorded[record.Verdict]) bool { return w.Digest == p.Record.Verdict })
		reasons = append(reasons, v.promotion(p, verdicts, at)...)
	}
	last := promotions[len(promotions)-1]
	v.note(CheckPromotion, fmt.Sprintf("Promoted into %s by %s on %s (%s).", last.Record.Environment, last.Actor, last.Time.Format("2006-01-02 15:04 MST"), last.Record.How), reasons...)
}

func (v *verifier) promotion(p record.Recorded[record.Promotion], verdicts []record.Recorded[record.Verdict], at int) []string {
	rel := v.dossier.Release.Record
	switch {
	case at < 0:
		return []string{fmt.Sprintf("The promotion at index %d names the verdict %s, which the bundle does not hold.", p.Index, p.Record.Verdict)}
	case p.Record.Record != v.dossier.Digests.Record || p.Record.Artifact != rel.Behaviour.Artifact || p.Record.Environment != rel.Context.Environment:
		return []string{fmt.Sprintf("The promotion at index %d is of another record, artifact or environment than the release's.", p.Index)}
	case !verdicts[at].Record.Passed && p.Record.How != record.BrokeGlass:
		return []string{fmt.Sprintf("The promotion at index %d rests on a verdict that did not pass, and no glass was broken.", p.Index)}
	}
	return v.spent(p, verdicts[at])
}

// spent counts again what a promotion says that it spent of an envelope.
func (v *verifier) spent(p record.Recorded[record.Promotion], by record.Recorded[record.Verdict]) []string {
	var want *record.EnvelopeUse
	if p.Record.How == record.Promote && v.dossier.Release.Record.Context.Envelope != "" {
		d, _, err := lineage.Collect(lineage.Filter(v.entries, func(e lineage.Entry) bool { return e.Index < by.Index }), v.bundle.Release)
		if err != nil {
			return []string{fmt.Sprintf("What stood before the verdict at index %d does not hold the release: %v.", by.Index, err)}
		}
		want, _ = v.policy.Uses(d, by.Record.At)
	}
	if same(want, p.Record.Envelope) {
		return nil
	}
	return []string{fmt.Sprintf("The promotion at index %d says that it %s, and counted again it %s.", p.Index, useOf(p.Record.Envelope), useOf(want))}
}

func useOf(u *record.EnvelopeUse) string {
	if u == nil {
		return "spends no envelope"
	}
	if u.People {
		return fmt.Sprintf("is one that people looked at for the envelope %s, with %d left", record.EnvelopeID(u.Envelope), u.Left)
	}
	return fmt.Sprintf("is the use %d of the envelope %s, with %d left", u.Use, record.EnvelopeID(u.Envelope), u.Left)
}
