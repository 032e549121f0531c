package registry

import (
	"context"
	"fmt"
	"slices"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// SeeModel takes by what name and fingerprint a vendor's model has answered a live workload, as a gateway
// has seen it, and says whether that is the model that was accepted: where a probe of it was, by the names and
// fingerprints that this had, else by the name that was asked for. What is not is a signal of the release, once for each.
func (r *Registry) SeeModel(ctx context.Context, who Caller, in wire.ModelSeen) (wire.ModelJudged, error) {
	var out wire.ModelJudged
	_, err := r.write(ctx, who, func(t *tx) error {
		if err := who.mayState(); err != nil {
			return err
		}
		rel, err := t.release(in.Release)
		if err != nil {
			return err
		}
		if err := t.may(actSignal, rel.Record.Behaviour.Model); err != nil {
			return err
		}
		if out, err = t.judgeSeen(teamOf(rel.Record.Behaviour.Model), in); err != nil || !out.Changed {
			return err
		}
		n := lineage.Node{Name: lineage.Name{Kind: lineage.NodeRelease, Key: in.Release}, Live: &lineage.Live{Line: rel.Record.Line()}}
		return t.vendorSignal(n, record.SignalVendorModelChanged, short(cut(out.Detail)), "")
	})
	return out, err
}

// judgeSeen holds what answered against what was accepted.
func (t *tx) judgeSeen(team string, in wire.ModelSeen) (out wire.ModelJudged, err error) {
	names, systems := []string{in.Model}, []string(nil)
	p, known, err := t.acceptedProbe(team+"/"+in.Vendor, in.Model)
	if err != nil {
		return out, err
	}
	if known {
		systems = p.Record.Systems
		if len(p.Record.Names) > 0 {
			names = p.Record.Names
		}
	}
	switch {
	case in.Answered != "" && !slices.Contains(names, in.Answered):
		out.Detail = fmt.Sprintf("the model %s/%s answers as %+q, with the fingerprint %+q, and is known as %s: it may not be the one that was approved", in.Vendor, in.Model, in.Answered, in.Fingerprint, quotedList(names))
	case in.Fingerprint != "" && len(systems) > 0 && !slices.Contains(systems, in.Fingerprint):
		out.Detail = fmt.Sprintf("the model %s/%s answers with the fingerprint %+q, and was accepted with %s: probe it with imprimatur vendor probe %s/%s", in.Vendor, in.Model, in.Fingerprint, quotedList(systems), team, in.Vendor)
	}
	out.Changed = out.Detail != ""
	return out, nil
}

func quotedList(names []string) (out string) {
	for i, n := range names[:min(len(names), 5)] {
		out += fmt.Sprintf("%s%+q", map[bool]string{true: ", "}[i > 0], n)
	}
	return out
}

// acceptedProbe returns the probe whose fingerprint the newest accepted version of a vendor's model names.
func (t *tx) acceptedProbe(vendor, model string) (none record.Recorded[record.Probe], known bool, err error) {
	accepted, err := lineage.All[record.ModelVersion](t, record.KeyService(vendor, model))
	if err != nil {
		return none, false, err
	}
	for _, v := range slices.Backward(accepted) {
		if v.Record.Service == nil || v.Record.Service.Fingerprint == "" {
			continue
		}
		all, err := lineage.All[record.Probe](t, record.KeyFingerprint(v.Record.Service.Fingerprint))
		if err != nil {
			return none, false, err
		}
		for _, p := range all {
			if p.Record.VendorRef() == vendor {
				return p, true, nil
			}
		}
	}
	return none, false, nil
}
