package registry

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/artifact"
	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
	"imprimatur.dev/wire"
)

// RegisterVendor registers a vendor of models, or changes what is said of it. Its owner is a person
// who may look after it.
func (r *Registry) RegisterVendor(ctx context.Context, who Caller, v record.ModelVendor) (record.Recorded[record.ModelVendor], error) {
	return command[record.ModelVendor](ctx, r, who, func(t *tx) error {
		if err := v.Validate(); err != nil {
			return err
		}
		if err := t.within(actVendor, v.Team); err != nil {
			return err
		}
		owner, err := t.person(v.Owner)
		if err != nil {
			return err
		}
		if _, ok := holdsOne(owner, rights[actVendor], v.Team, t.now); !ok || owner.Principal.Type != record.Human {
			return refusef(wire.Invalid, "%q cannot answer for the vendor %s: that takes a person with the role %s; an administrator can bind it: imprimatur principal bind %s --role %s --team %s",
				v.Owner, v.Ref(), orList(rights[actVendor]), v.Owner, rights[actVendor][0], v.Team)
		}
		return t.state(v)
	})
}

// vendor returns a vendor of a team.
func (t *tx) vendor(team, name string) (record.Recorded[record.ModelVendor], error) {
	ref := team + "/" + name
	return need[record.ModelVendor](t, record.KeyVendor(ref), "the vendor "+ref, "register it first: imprimatur vendor register "+ref)
}

// Assure records a document by which a vendor assures of something. The same document again is a
// correction of what was said of it.
func (r *Registry) Assure(ctx context.Context, who Caller, team, name string, in wire.AssuranceRequest) (record.Recorded[record.Assurance], error) {
	return command[record.Assurance](ctx, r, who, func(t *tx) error {
		if err := t.within(actVendor, team); err != nil {
			return err
		}
		if _, err := t.vendor(team, name); err != nil {
			return err
		}
		a := record.Assurance{
			Team: team, Vendor: name, Type: in.Type, Document: in.Document, Scope: in.Scope, Issuer: in.Issuer,
			Issued: record.Millis(in.Issued), Expires: record.Millis(in.Expires), Clauses: in.Clauses,
		}
		if in.Issued.IsZero() {
			a.Issued = time.Time{}
		}
		if err := a.Document.Digest.Validate(); err != nil {
			return refusef(wire.Invalid, "the document cannot be kept: %w; give what it lacks", err)
		}
		blob, err := r.blobs.At(string(a.Document.Digest))
		if errors.Is(err, store.ErrNotFound) {
			return refusef(wire.Unknown, "the document %s, %s, is not here; send it first, as imprimatur vendor assure does", a.Document.Name, a.Document.Digest.Short())
		}
		if err != nil {
			return err
		}
		a.Document.Bytes = blob.Size
		if err := blob.Close(); err != nil {
			return err
		}
		if !a.Expires.After(t.now) {
			return refusef(wire.Invalid, "the document would have lapsed already; give a later date with --until, or a newer document")
		}
		return t.state(a)
	})
}

// WithdrawAssurance ends a document before its time. The live releases that rest on the vendor get
// a signal in the same transaction, unless another document of its type stands.
func (r *Registry) WithdrawAssurance(ctx context.Context, who Caller, team, name string, in wire.AssuranceEnd) (record.Recorded[record.Assurance], error) {
	return command[record.Assurance](ctx, r, who, func(t *tx) error {
		if err := t.within(actVendor, team); err != nil {
			return err
		}
		v, err := t.vendor(team, name)
		if err != nil {
			return err
		}
		documents, err := t.documents(v.Record.Ref())
		if err != nil {
			return err
		}
		i := slices.IndexFunc(documents, func(d record.Recorded[record.Assurance]) bool { return d.Record.ID() == in.ID })
		if i < 0 {
			return refusef(wire.Unknown, "the vendor %s has no document %q; imprimatur vendor show %s lists those that it has", v.Record.Ref(), in.ID, v.Record.Ref())
		}
		a := documents[i].Record
		if a.Withdrawn {
			return refusef(wire.Conflict, "the document %s was withdrawn already: %s; give the one that takes its place: imprimatur vendor assure", in.ID, a.Reason)
		}
		a.Withdrawn, a.Reason = true, in.Reason
		if err := t.state(a); err != nil {
			return err
		}
		return t.assuranceEnded(v.Record, a)
	})
}

// documents returns the documents of a vendor as they stand, what this command has stated included.
func (t *tx) documents(vendor string) ([]record.Recorded[record.Assurance], error) {
	stated, err := lineage.All[record.Assurance](t, record.KeyAssurances(vendor))
	return record.AssuranceAt(stated, t.now), err
}

// Vendors returns the vendors of one team, or of all where it is empty, that the caller may read, in
// the order of their names.
func (r *Registry) Vendors(ctx context.Context, who Caller, team string) ([]wire.VendorStatus, error) {
	out := []wire.VendorStatus{}
	err := r.read(ctx, who, func(t *tx) error {
		if err := t.mayReadAny(); err != nil {
			return err
		}
		all, err := t.allVendors()
		for _, v := range all {
			if team != "" && v.Record.Team != team || !t.mayRead(v.Record.Team) {
				continue
			}
			s, err := t.vendorStatus(v)
			if err != nil {
				return err
			}
			out = append(out, s)
		}
		return err
	})
	slices.SortFunc(out, func(a, b wire.VendorStatus) int {
		return strings.Compare(a.Vendor.Record.Ref(), b.Vendor.Record.Ref())
	})
	return out, err
}

// allVendors returns every vendor as it was last stated.
func (t *tx) allVendors() (out []record.Recorded[record.ModelVendor], err error) {
	newest, err := t.view.LastOfEach(record.KeyVendor(""))
	if err != nil {
		return nil, err
	}
	entries, err := t.decode(newest)
	for _, e := range entries {
		if v, ok := e.Statement.Body.(record.ModelVendor); ok {
			out = append(out, recorded(e, v))
		}
	}
	return out, err
}

// Vendor returns a vendor with its documents and the live releases that rest on it.
func (r *Registry) Vendor(ctx context.Context, who Caller, team, name string) (wire.VendorStatus, error) {
	var out wire.VendorStatus
	err := r.read(ctx, who, func(t *tx) error {
		if err := t.may(actRead, team); err != nil {
			return err
		}
		v, err := t.vendor(team, name)
		if err != nil {
			return err
		}
		if out, err = t.vendorStatus(v); err != nil {
			return err
		}
		if out.Probes, err = t.newestProbes(v.Record.Ref()); err != nil {
			return err
		}
		live, err := t.restingOn(v.Record)
		for _, n := range live {
			rel, err := t.release(n.Name.Key)
			if err != nil {
				return err
			}
			b := rel.Record.Behaviour
			use := wire.VendorUse{LiveIn: *liveIn(n.Live), Release: n.Name.Key, Model: b.Model + "@" + b.Version}
			all, err := t.awaitedProbes(v.Record, n, out.Probes)
			if err != nil {
				return err
			}
			for _, a := range all {
				use.ProbeDue = record.Earlier(use.ProbeDue, a.due)
				for i := range out.Probes {
					if out.Probes[i].ID == a.last.ID {
						out.Probes[i].Due = record.Earlier(out.Probes[i].Due, a.due)
					}
				}
			}
			out.Live = append(out.Live, use)
		}
		return err
	})
	return out, err
}

func (t *tx) vendorStatus(v record.Recorded[record.ModelVendor]) (wire.VendorStatus, error) {
	out := wire.VendorStatus{Vendor: v, Documents: []wire.AssuranceStatus{}}
	documents, err := t.documents(v.Record.Ref())
	for _, d := range documents {
		s := wire.AssuranceStatus{ID: d.Record.ID(), Document: d, State: wire.AssuranceStands}
		switch {
		case d.Record.Withdrawn:
			s.State = wire.AssuranceWithdrawn
		case !t.now.Before(d.Record.Expires):
			s.State = wire.AssuranceLapsed
		case !d.Record.StandsAt(t.now):
			s.State = wire.AssuranceComing
		default:
			out.Next = record.Earlier(out.Next, d.Record.Expires)
		}
		out.Documents = append(out.Documents, s)
	}
	return out, err
}

// restingOn returns the live releases of a vendor's team that rest on it, in the order of their
// lines. A promotion in between runs the command again.
func (t *tx) restingOn(v record.ModelVendor) (out []lineage.Node, err error) {
	if _, err := t.lines(); err != nil {
		return nil, err
	}
	t.reg.graph.mu.RLock()
	defer t.reg.graph.mu.RUnlock()
	g := t.reg.graph.g
	for _, n := range g.LiveFrom(g.Find(lineage.Name{Kind: lineage.NodeVendor, Key: v.Name})) {
		if teamOf(n.Live.Line) == v.Team {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b lineage.Node) int { return strings.Compare(a.Live.Line, b.Live.Line) })
	return out, nil
}

// AcceptService takes a vendor's model as a version of one of the team's: from then on a release can
// name it. A model that changed is accepted in the same way, as another version.
func (r *Registry) AcceptService(ctx context.Context, who Caller, in wire.ServiceRequest) (record.Recorded[record.ModelVersion], error) {
	return command[record.ModelVersion](ctx, r, who, func(t *tx) error {
		model, version, ok := strings.Cut(in.Version, "@")
		if !ok {
			return refusef(wire.Invalid, "%q is not of the form team/name@version; give it so", in.Version)
		}
		if err := t.within(actModel, model); err != nil {
			return err
		}
		m, err := need[record.Model](t, record.KeyModel(model), "the model "+model, "register it first: imprimatur model create "+model+" --type vendor")
		if err != nil {
			return err
		}
		if m.Record.Type != record.Vendor {
			return refusef(wire.Invalid, "the model %s is %s, and a service is a version of a model of the type %s; register one: imprimatur model create TEAM/NAME --type vendor", model, m.Record.Type, record.Vendor)
		}
		service, err := t.service(m.Record.Team, in)
		if err != nil {
			return err
		}
		out, err := serviceVersion(model, version, service)
		if err != nil {
			return err
		}
		return once(t, record.KeyVersion(out.Ref()), out, "the model version "+out.Ref())
	})
}

// service is what is asked to be accepted: as a probe found it, or as it is named.
func (t *tx) service(team string, in wire.ServiceRequest) (out record.Service, err error) {
	if in.Probe == "" {
		v, err := t.vendor(team, in.Vendor)
		return record.Service{Vendor: v.Record.Name, Model: in.Service, APIVersion: in.APIVersion}, err
	}
	p, err := need[record.Probe](t, record.KeyProbe(in.Probe), "the probe "+in.Probe, "imprimatur vendor show lists the newest; record one with imprimatur vendor probe")
	if err != nil {
		return out, err
	}
	out = record.Service{Vendor: p.Record.Vendor, Model: p.Record.Model, APIVersion: p.Record.APIVersion, Fingerprint: p.Record.Fingerprint}
	asked := record.Service{Vendor: in.Vendor, Model: in.Service, APIVersion: in.APIVersion}
	switch {
	case p.Record.Team != team:
		return out, refusef(wire.Invalid, "the probe %s is of the team %s, and the model of %s; make one for this team: imprimatur vendor probe", in.Probe, p.Record.Team, team)
	case !p.Record.Full:
		return out, refusef(wire.Refused, "the probe %s has too few answers for others to be compared with; probe again with imprimatur vendor probe %s --baseline, and accept that one", in.Probe, p.Record.VendorRef())
	case asked != (record.Service{}) && asked != (record.Service{Vendor: out.Vendor, Model: out.Model, APIVersion: out.APIVersion}):
		return out, refusef(wire.Invalid, "the probe %s is of %s of %s; give the probe without --vendor, --service and --api-version, which it says", in.Probe, out.Model, out.Vendor)
	}
	return out, nil
}

// serviceVersion is the version that a service is: its one file says what it is, so that another
// service, or another fingerprint, is another artifact.
func serviceVersion(model, version string, s record.Service) (record.ModelVersion, error) {
	raw, err := s.Canonical()
	if err != nil {
		return record.ModelVersion{}, err
	}
	f := record.File{Path: record.ServiceFile, SHA256: record.DigestOf(raw).Hex(), Size: int64(len(raw))}
	m := artifact.Manifest{Files: []artifact.File{{Path: f.Path, SHA256: f.SHA256, Size: f.Size}}}
	return record.ModelVersion{Model: model, Version: version, Type: record.Vendor, Artifact: record.Digest(m.Digest()), Files: []record.File{f}, Service: &s}, nil
}
