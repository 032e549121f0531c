package registry

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// awaited is a model of a vendor that is to be probed for a live release.
type awaited struct {
	model string
	// last is the newest probe of it; its statement is empty where there is none.
	last wire.ProbeStatus
	// due is when its silence is too long for the policy of the release.
	due time.Time
}

// awaitedProbes returns the models of a vendor that the policy of a live release wants probed again and again: those that it is, is made from
// or may call by name. Silence counts from the last probe, whatever came of it, and from when the release went live.
func (t *tx) awaitedProbes(v record.ModelVendor, n lineage.Node, probes []wire.ProbeStatus) (out []awaited, err error) {
	rel, err := t.release(n.Name.Key)
	if err != nil {
		return nil, err
	}
	p, err := t.policyByDigest(rel.Record.Context.Policy.Digest)
	if err != nil {
		return nil, err
	}
	tier := p.Tier(rel.Record.Context.Tier)
	if tier == nil || tier.Vendor == nil || tier.Vendor.ProbedWithin == 0 {
		return nil, nil
	}
	d, _, err := lineage.Collect(t, n.Name.Key)
	if err != nil {
		return nil, err
	}
	var models []string
	for _, is := range append([]record.Recorded[record.ModelVersion]{d.Version}, d.Bases...) {
		if s := is.Record.Service; s != nil && s.Vendor == v.Name {
			models = append(models, s.Model)
		}
	}
	for _, g := range rel.Record.Authority.Models {
		if vendor, model, _ := strings.Cut(g.Resource, "/"); vendor == v.Name && model != "" && !strings.ContainsAny(model, "*?") {
			models = append(models, model)
		}
	}
	slices.Sort(models)
	for _, model := range slices.Compact(models) {
		a := awaited{model: model}
		since := n.Live.Since.Time
		for _, s := range probes {
			if x := s.Probe.Record; x.Model == model && x.Ran.After(a.last.Probe.Record.Ran) {
				a.last = s
			}
		}
		if ran := a.last.Probe.Record.Ran; ran.After(since) {
			since = ran
		}
		a.due = since.Add(tier.Vendor.ProbedWithin)
		out = append(out, a)
	}
	return out, nil
}

// missProbes states a signal for each live release whose vendor's model was not probed again in time, once for each silence. Whichever
// server is first states it.
func (r *Registry) missProbes(ctx context.Context) error {
	var late []record.ModelVendor
	err := r.read(ctx, Caller{}, func(t *tx) error {
		all, err := t.allVendors()
		for _, v := range all {
			missed, err := t.missedProbes(v.Record)
			if err != nil {
				return err
			}
			if len(missed) > 0 {
				late = append(late, v.Record)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, v := range late {
		_, err := r.write(ctx, Caller{Name: r.Origin()}, func(t *tx) error {
			missed, err := t.missedProbes(v)
			for _, s := range missed {
				if err := t.signal(s); err != nil {
					return err
				}
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// missedProbes are the signals of silences of the models of one vendor that were not stated before.
func (t *tx) missedProbes(v record.ModelVendor) (out []record.Signal, err error) {
	live, err := t.restingOn(v)
	if err != nil || len(live) == 0 {
		return nil, err
	}
	probes, err := t.newestProbes(v.Ref())
	if err != nil {
		return nil, err
	}
	for _, n := range live {
		all, err := t.awaitedProbes(v, n, probes)
		if err != nil {
			return nil, err
		}
		for _, a := range all {
			if t.now.Before(a.due) {
				continue
			}
			s := record.Signal{Release: n.Name.Key, Line: n.Live.Line, Type: record.SignalProbeFailed, Detail: a.says(v, n), Observed: t.now}
			known, err := t.signalled(s)
			if err != nil {
				return nil, err
			}
			if !known {
				out = append(out, s)
			}
		}
	}
	return out, nil
}

// says is the silence in a sentence: the same for as long as it lasts.
func (a awaited) says(v record.ModelVendor, n lineage.Node) string {
	was := fmt.Sprintf("was not probed since the release went live on %s", n.Live.Since.Time.UTC().Format(time.RFC3339))
	if x := a.last.Probe.Record; x.Ran.After(n.Live.Since.Time) {
		was = fmt.Sprintf("was last probed on %s (%s)", x.Ran.UTC().Format(time.RFC3339), a.last.ID)
	}
	return short(fmt.Sprintf("the model %s of the vendor %s %s, and the policy asks for a probe by %s; see that the prober runs and that its token stands, or probe again with imprimatur vendor probe %s --service %s --suite FILE --gateway URL",
		cut(a.model), v.Name, was, a.due.UTC().Format(time.RFC3339), v.Ref(), cut(a.model)))
}
