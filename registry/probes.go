package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"imprimatur.dev/authority"
	"imprimatur.dev/lineage"
	"imprimatur.dev/probe"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
	"imprimatur.dev/wire"
)

// probedWithin is how old answers may be when they are recorded: those of another day would show
// nothing of now.
const probedWithin = 24 * time.Hour

// probing is a run on its way to the ledger.
type probing struct {
	suite  *probe.Suite
	run    *probe.Run
	record record.Probe
	report []byte
}

// RecordProbe reads what a vendor's model answered to a suite, files that were kept before, scores it and
// compares it with what was accepted, and records the result: the caller brings answers, never results (rule 3).
// What is compared with is the probe whose fingerprint the newest accepted version of the model names, or
// else the newest that had nothing to be compared with. The first of a row that changed, or is incomplete,
// is a signal of each live release that rests on the model, with the answers side by side.
func (r *Registry) RecordProbe(ctx context.Context, who Caller, in wire.ProbeSubmission) (record.Recorded[record.Probe], error) {
	var none record.Recorded[record.Probe]
	team, name, err := secretOf(in.Vendor)
	if err != nil {
		return none, err
	}
	may := func(t *tx) error {
		if err := t.within(actProbe, team); err != nil {
			return err
		}
		_, err := t.vendor(team, name)
		return err
	}
	if err := r.read(ctx, who, may); err != nil {
		return none, err
	}
	// As many are judged at once as other evidence is read, so that the rest of the server has room.
	select {
	case r.reading <- struct{}{}:
		defer func() { <-r.reading }()
	case <-ctx.Done():
		return none, ctx.Err()
	}
	p, err := r.readProbe(team, name, in)
	if err != nil {
		return none, err
	}
	// Comparing needs no snapshot, and what it is compared with seldom changes meanwhile.
	for range attempts {
		var with compared
		err := r.read(ctx, who, func(t *tx) (err error) {
			with, err = t.comparedWith(p)
			return err
		})
		if err != nil {
			return none, err
		}
		if err := r.compareProbe(p, with); err != nil {
			return none, err
		}
		keep := sync.OnceValue(func() error {
			if p.record.Report == "" {
				return nil
			}
			return r.blobs.PutAs(ctx, string(p.record.Report), bytes.NewReader(p.report))
		})
		again := false
		got, err := command[record.Probe](ctx, r, who, func(t *tx) error {
			if err := may(t); err != nil {
				return err
			}
			t.before = keep
			now, err := t.comparedWith(p)
			if again = err == nil && (now.base != with.base || !slices.Equal(now.earlier, with.earlier)); err != nil || again {
				return errors.Join(err, errOvertaken)
			}
			return t.probed(p)
		})
		if !again {
			return got, err
		}
	}
	return none, refusef(wire.Unavailable, "what the probe is compared with changes faster than it can be read; try again")
}

var errOvertaken = errors.New("what the probe is compared with changed meanwhile")

// readProbe reads the two files of a probe.
func (r *Registry) readProbe(team, name string, in wire.ProbeSubmission) (*probing, error) {
	text, err := r.file(in.Suite, probe.MaxSuite, "the suite")
	if err != nil {
		return nil, err
	}
	p := &probing{}
	if p.suite, err = probe.ParseSuite(text); err != nil {
		return nil, refusef(wire.Invalid, "%w", err)
	}
	if p.run, _, err = r.answers(p.suite, in.Answers); err != nil {
		return nil, err
	}
	now := r.now()
	switch {
	case p.run.Vendor != team+"/"+name:
		return nil, refusef(wire.Invalid, "the answers are of the vendor %s, not of %s/%s; send them for their own vendor", cut(p.run.Vendor), team, name)
	case p.run.Finished.After(now.Add(time.Minute)):
		return nil, refusef(wire.Invalid, "the answers are of the future, %s; check the clock of the prober", p.run.Finished.Format(time.RFC3339))
	case p.run.Finished.Before(now.Add(-probedWithin)):
		return nil, refusef(wire.Invalid, "the answers are of %s, and show nothing of now; probe again with imprimatur vendor probe", p.run.Finished.Format(time.RFC3339))
	}
	p.record = record.Probe{
		Team: team, Vendor: name, Model: p.run.Model, APIVersion: p.run.APIVersion, Suite: in.Suite, Answers: in.Answers,
		Prompts: len(p.suite.Prompts), Names: clippedNames(p.run.Names()), Systems: clippedNames(p.run.Systems()), Ran: record.Millis(p.run.Finished),
	}
	p.record.Given, p.record.Missing = p.run.Count()
	p.record.Full = p.run.Few(p.suite.Baseline) == ""
	p.record.Fingerprint, err = p.run.Fingerprint(p.suite)
	return p, err
}

// clippedNames are as many names as a record has, as it can have them.
func clippedNames(names []string) (out []string) {
	for _, n := range names[:min(len(names), 100)] {
		out = append(out, cut(n))
	}
	return out
}

// file reads a file that was kept before.
func (r *Registry) file(d record.Digest, most int64, what string) ([]byte, error) {
	if err := d.Validate(); err != nil {
		return nil, refusef(wire.Invalid, "%s is named by no digest: %w; give that of a file that was sent before", what, err)
	}
	blob, err := r.blobs.At(string(d))
	if errors.Is(err, store.ErrNotFound) {
		return nil, refusef(wire.Unknown, "%s, %s, is not here; send it first, as imprimatur vendor probe does", what, d.Short())
	}
	if err != nil {
		return nil, err
	}
	defer blob.Close() //nolint:errcheck // it was only read
	if blob.Size > most {
		return nil, refusef(wire.Invalid, "%s has %d bytes, more than %d; ask fewer prompts, or fewer times", what, blob.Size, most)
	}
	return io.ReadAll(io.NewSectionReader(blob, 0, blob.Size))
}

// answers reads the answers of a run, and says how many bytes they have.
func (r *Registry) answers(s *probe.Suite, d record.Digest) (*probe.Run, int, error) {
	raw, err := r.file(d, probe.MaxAnswers, "the file of answers")
	if err != nil {
		return nil, 0, err
	}
	run, err := probe.ParseRun(s, raw)
	if err != nil {
		return nil, 0, refusef(wire.Invalid, "%w", err)
	}
	return run, len(raw), nil
}

// earlierRuns reads the runs before a probe, oldest first: as many of the newest as have no more bytes together than one may
// have.
func (r *Registry) earlierRuns(s *probe.Suite, earlier []record.Digest) (out []*probe.Run, err error) {
	sum := 0
	for _, d := range slices.Backward(earlier) {
		run, size, err := r.answers(s, d)
		if err != nil {
			return nil, fmt.Errorf("reading what the probe is judged together with: %w", err)
		}
		if sum += size; sum > probe.MaxAnswers {
			break
		}
		out = append(out, run)
	}
	slices.Reverse(out)
	return out, nil
}

// baselineOf returns the answers that a probe is compared with: none where it is the first.
func (t *tx) baselineOf(p record.Probe) (record.Digest, error) {
	accepted, err := lineage.All[record.ModelVersion](t, record.KeyService(p.VendorRef(), p.Model))
	if err != nil {
		return "", err
	}
	for _, v := range slices.Backward(accepted) {
		s := v.Record.Service
		if s == nil || s.Fingerprint == "" || s.APIVersion != p.APIVersion {
			continue
		}
		known, err := lineage.All[record.Probe](t, record.KeyFingerprint(s.Fingerprint))
		if err != nil {
			return "", err
		}
		for _, k := range known {
			if k.Record.Suite == p.Suite && k.Record.VendorRef() == p.VendorRef() {
				return k.Record.Answers, nil
			}
		}
	}
	first, _, err := lineage.Last[record.Probe](t, record.KeyBaselines(p))
	return first.Record.Answers, err
}

// compared is what a run is compared with, by the digests of the answers.
type compared struct {
	base record.Digest
	// earlier are the runs before it with which it is judged together, oldest first.
	earlier []record.Digest
}

// comparedWith returns what a probe is compared with: the baseline, and the runs of the same suite before
// it that were compared with that one too, back to the last that showed a change by itself. Answers count once, and
// what has too few of them is passed over.
func (t *tx) comparedWith(p *probing) (out compared, err error) {
	if out.base, err = t.baselineOf(p.record); err != nil || out.base == "" {
		return out, err
	}
	all, err := lineage.All[record.Probe](t, record.KeyProbes(p.record))
	if err != nil {
		return out, err
	}
	for _, k := range slices.Backward(all) {
		x := k.Record
		if len(out.earlier) == p.suite.Rounds-1 || x.Baseline != out.base || x.Result == record.ProbeChanged && !x.Together {
			break
		}
		if x.Result != record.ProbeIncomplete && x.Answers != p.record.Answers && !slices.Contains(out.earlier, x.Answers) {
			out.earlier = append(out.earlier, x.Answers)
		}
	}
	slices.Reverse(out.earlier)
	return out, nil
}

// compareProbe fills in what comes of comparing a run with the answers of others.
func (r *Registry) compareProbe(p *probing, with compared) error {
	p.record.Baseline, p.record.Earlier, p.record.Together = with.base, with.earlier, false
	p.record.Report, p.record.P, p.record.FalseAlarm = "", 1, p.suite.FalseAlarm
	if with.base == "" {
		p.record.Result, p.record.Detail = record.ProbeBaseline, "there is nothing to compare it with yet; later probes are compared with it"
		if few := p.run.Few(p.suite.Baseline); few != "" {
			return refusef(wire.Refused, "the first probe of a model is what later ones are compared with, and this one has too few answers: %s; probe again with imprimatur vendor probe %s --baseline", few, p.record.VendorRef())
		}
		return nil
	}
	base, _, err := r.answers(p.suite, with.base)
	if err != nil {
		return fmt.Errorf("reading what the probe is compared with: %w", err)
	}
	before, err := r.earlierRuns(p.suite, with.earlier)
	if err != nil {
		return err
	}
	p.record.Earlier = with.earlier[len(with.earlier)-len(before):]
	f := probe.Compare(p.suite, base, before, p.run)
	p.record.Result, p.record.Detail, p.record.P, p.record.Together = f.Result, short(cut(f.Detail)), f.P, f.Rounds > 0
	if f.Result != record.ProbeChanged {
		return nil
	}
	if p.report, err = probe.ReportOf(p.suite, base, before, p.run, f).Marshal(); err != nil {
		return err
	}
	p.record.Report = record.DigestOf(p.report)
	return nil
}

// probed states a probe and, where it is the first of a row with such a result, the signals.
func (t *tx) probed(p *probing) error {
	before, entry, known, err := last[record.Probe](t, record.KeyProbes(p.record))
	if err != nil {
		return err
	}
	if known && before.Record.Answers == p.record.Answers {
		t.answer = []lineage.Entry{entry}
		return nil
	}
	if err := t.state(p.record); err != nil {
		return err
	}
	kind := map[string]string{record.ProbeChanged: record.SignalVendorModelChanged, record.ProbeIncomplete: record.SignalProbeFailed}[p.record.Result]
	if kind == "" || known && before.Record.Result == p.record.Result && before.Record.Baseline == p.record.Baseline {
		return nil
	}
	raw := t.stated[len(t.stated)-1].entry.Statement.Digest()
	detail := fmt.Sprintf("the model %s of the vendor %s is not the one that was accepted: %s; see imprimatur vendor diff %s", p.record.Model, p.record.Vendor, p.record.Detail, record.ProbeID(raw))
	if kind == record.SignalProbeFailed {
		detail = fmt.Sprintf("the model %s of the vendor %s could not be probed: %s; probe again with imprimatur vendor probe %s", p.record.Model, p.record.Vendor, p.record.Detail, p.record.VendorRef())
	}
	return t.modelSignals(p.record.VendorRef(), p.record.Model, kind, short(detail), p.record.Report)
}

// modelSignals states a signal of each live release that rests on one model of a vendor.
func (t *tx) modelSignals(vendor, model, kind, detail string, evidence record.Digest) error {
	team, name, err := secretOf(vendor)
	if err != nil {
		return err
	}
	v, err := t.vendor(team, name)
	if err != nil {
		return err
	}
	live, err := t.restingOn(v.Record)
	for _, n := range live {
		uses, err := t.uses(n.Name.Key, name, model)
		if err != nil {
			return err
		}
		if !uses {
			continue
		}
		if err := t.vendorSignal(n, kind, detail, evidence); err != nil {
			return err
		}
	}
	return err
}

// uses reports whether a release is, is made from or may call one model of a vendor.
func (t *tx) uses(release, vendor, model string) (bool, error) {
	d, _, err := lineage.Collect(t, release)
	if err != nil {
		return false, err
	}
	is := func(v record.Recorded[record.ModelVersion]) bool {
		s := v.Record.Service
		return s != nil && s.Vendor == vendor && s.Model == model
	}
	if is(d.Version) || slices.ContainsFunc(d.Bases, is) {
		return true, nil
	}
	grants, _ := authority.Compile(record.Authority{Models: d.Release.Record.Authority.Models})
	return slices.ContainsFunc([]string{"chat", "complete", "embed"}, func(action string) bool {
		return grants.Offers(&authority.Call{Kind: "models", Resource: vendor + "/" + model, Action: action}, t.now)
	}), nil
}

// newestProbes returns the newest probe of each model and suite of a vendor, the newest first.
func (t *tx) newestProbes(vendor string) (out []wire.ProbeStatus, err error) {
	newest, err := t.view.LastOfEach(record.PrefixProbes(vendor))
	if err != nil {
		return nil, err
	}
	entries, err := t.decode(newest)
	for _, e := range entries {
		if p, ok := e.Statement.Body.(record.Probe); ok {
			out = append(out, wire.ProbeStatus{ID: record.ProbeID(e.Statement.Digest()), Probe: recorded(e, p)})
		}
	}
	slices.SortFunc(out, func(a, b wire.ProbeStatus) int { return int(b.Probe.Index - a.Probe.Index) })
	return out, err
}

// Probe returns a probe by its ID.
func (r *Registry) Probe(ctx context.Context, who Caller, id string) (record.Recorded[record.Probe], error) {
	var out record.Recorded[record.Probe]
	err := r.read(ctx, who, func(t *tx) (err error) {
		out, err = need[record.Probe](t, record.KeyProbe(id), "the probe "+id, "imprimatur vendor show lists the newest of a vendor")
		if err != nil {
			return err
		}
		return t.may(actRead, out.Record.Team)
	})
	return out, err
}
