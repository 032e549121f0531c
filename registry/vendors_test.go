package registry_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// bought are the rules of the house with what is asked of vendors.
var bought = strings.Replace(rules, "    approvals:\n", "    vendor: { assurance: [soc-2], clauses: [{ clause: model-change-notice, atLeast: 30d }] }\n    approvals:\n", 1)

// calls is the authority to call a vendor's model.
var calls = record.Authority{Models: []record.Grant{{Resource: "parrot/chat-2", Actions: []string{"chat"}}}}

func (h *house) buys() {
	h.Helper()
	must[wire.Published](h)(h.reg.PublishPolicy(h.ctx, rita, []byte(bought), "vendors assure"))
}

func (h *house) parrot() {
	h.Helper()
	must[record.Recorded[record.ModelVendor]](h)(h.reg.RegisterVendor(h.ctx, rita, record.ModelVendor{Team: "lab", Name: "parrot", Owner: "olga", Contact: "trust@parrot.example"}))
}

// assured has a report of the vendor recorded until a time.
func (h *house) assured(report string, until time.Time) record.Assurance {
	h.Helper()
	return must[record.Recorded[record.Assurance]](h)(h.assure(olga, report, until)).Record
}

func (h *house) assure(who registry.Caller, report string, until time.Time) (record.Recorded[record.Assurance], error) {
	h.Helper()
	d, days := record.DigestOf([]byte(report)), 45
	must[wire.Kept](h)(h.reg.KeepEvidence(h.ctx, olga, d, bytes.NewReader([]byte(report))))
	return h.reg.Assure(h.ctx, who, "lab", "parrot", wire.AssuranceRequest{
		Type: "soc-2", Document: record.RawFile{Name: "soc2.pdf", Digest: d}, Scope: "the API", Issuer: "Auditors", Expires: until,
		Clauses: []record.Clause{{Name: record.ClauseModelChange, Given: true, Days: &days, Where: "section 4.2"}},
	})
}

func (h *house) signals(release string) (out []record.Signal) {
	h.Helper()
	for _, e := range must[[]wire.Entry](h)(h.reg.History(h.ctx, rita, release)) {
		if body, ok := must[record.Body](h)(record.Replay(e.Kind, e.Record)).(record.Signal); ok {
			out = append(out, body)
		}
	}
	return out
}

func TestAssuranceOfAVendorIsAskedForAndLapses(t *testing.T) {
	h := open(t)
	h.buys()
	h.evaluate(h.train("1", true), 950)
	_, err := h.propose("1", calls)
	h.refused(err, wire.Refused, "vendor: parrot (the grant of parrot/chat-2)", "Ask model-owner (ann, olga)", "imprimatur vendor register lab/parrot --owner NAME")
	_, err = h.assure(olga, "report", h.clock.now().AddDate(1, 0, 0))
	h.refused(err, wire.Unknown, "the vendor lab/parrot is not known here", "imprimatur vendor register lab/parrot")
	h.parrot()
	_, err = h.propose("1", calls)
	h.refused(err, wire.Refused, "no document of the type soc-2 is recorded; olga renews it", "imprimatur vendor assure lab/parrot FILE --type soc-2")

	// A release lives on the report for as long as that stands, here and offline.
	until := record.Millis(h.clock.now().AddDate(0, 0, 20))
	h.assured("report", until)
	c := must[wire.Case](t)(h.propose("1", calls))
	for who, role := range map[*registry.Caller]record.RoleName{&olga: record.ModelOwner, &rita: record.Risk, &sam: record.Security} {
		must[wire.Case](t)(h.approve(*who, role, c))
	}
	must[wire.Promoted](t)(h.reg.Promote(h.ctx, olga, c.ID))
	if d := h.allowed("1"); !d.Until.Equal(until) {
		t.Errorf("it stands until %s, and the report until %s", d.Until, until)
	}
	h.clock.set(until)
	h.forbidden("1", "the soc-2 of Auditors lapsed on", "olga renews it")
	if r := h.verified(c.ID, until.Add(-time.Second)); !r.OK {
		t.Errorf("offline, before: %s", strings.Join(r.Reasons, " "))
	}
	if r := h.verified(c.ID, until); r.OK || !strings.Contains(strings.Join(r.Reasons, " "), "the soc-2 of Auditors lapsed") {
		t.Errorf("offline, after: %+v", r.Reasons)
	}

	// Whoever looks first says so, once; a report that takes its place ends it.
	for range 3 {
		if err := h.reg.LookAtVendors(h.ctx); err != nil {
			t.Fatal(err)
		}
	}
	s := h.signals(c.ID)
	if len(s) != 1 || s[0].Type != record.SignalAssuranceLapsed || s[0].Release != c.ID || !strings.Contains(s[0].Detail, "olga renews it: imprimatur vendor assure lab/parrot FILE --type soc-2") {
		t.Errorf("signals: %+v", s)
	}
	h.assured("next report", h.clock.now().AddDate(1, 0, 0))
	h.allowed("1")
}

func TestWithdrawnAssuranceStopsWhatRestsOnIt(t *testing.T) {
	h := open(t)
	h.buys()
	h.parrot()
	year := h.clock.now().AddDate(1, 0, 0)
	a := h.assured("report", year)
	c := h.liveWith("1", calls)
	_, err := h.reg.WithdrawAssurance(h.ctx, rita, "lab", "parrot", wire.AssuranceEnd{ID: "a-000000000000", Reason: "x"})
	h.refused(err, wire.Unknown, "has no document", "imprimatur vendor show lab/parrot")
	must[record.Recorded[record.Assurance]](t)(h.reg.WithdrawAssurance(h.ctx, rita, "lab", "parrot", wire.AssuranceEnd{ID: a.ID(), Reason: "qualified"}))
	h.forbidden("1", "the soc-2 of Auditors was withdrawn: qualified")
	if s := h.signals(c.ID); len(s) != 1 || !strings.Contains(s[0].Detail, "was withdrawn by rita: qualified") {
		t.Errorf("signals: %+v", s)
	}
	_, err = h.reg.WithdrawAssurance(h.ctx, rita, "lab", "parrot", wire.AssuranceEnd{ID: a.ID(), Reason: "again"})
	h.refused(err, wire.Conflict, "was withdrawn already")

	// Where another stands, nothing rests on the one that is withdrawn.
	b, other := h.assured("second", year), h.assured("third", year)
	must[record.Recorded[record.Assurance]](t)(h.reg.WithdrawAssurance(h.ctx, rita, "lab", "parrot", wire.AssuranceEnd{ID: b.ID(), Reason: "old"}))
	h.allowed("1")
	if s := h.signals(c.ID); len(s) != 1 {
		t.Errorf("signals: %+v", s)
	}
	got := must[wire.VendorStatus](t)(h.reg.Vendor(h.ctx, bob, "lab", "parrot"))
	var states []string
	for _, d := range got.Documents {
		states = append(states, d.State)
	}
	if strings.Join(states, ", ") != "withdrawn, withdrawn, stands" || got.Documents[2].ID != other.ID() || !got.Next.Equal(record.Millis(year)) ||
		len(got.Live) != 1 || got.Live[0].Release != c.ID || got.Live[0].Model != "lab/net@1" {
		t.Errorf("the vendor stands as %+v", got)
	}
}

func TestAServiceIsAVersion(t *testing.T) {
	h := open(t)
	h.buys()
	ask := wire.ServiceRequest{Version: "lab/chat@1", Vendor: "parrot", Service: "chat-2", APIVersion: "2026-05"}
	_, err := h.reg.AcceptService(h.ctx, ann, ask)
	h.refused(err, wire.Unknown, "the model lab/chat is not known here", "imprimatur model create lab/chat --type vendor")
	must[record.Recorded[record.Model]](t)(h.reg.RegisterModel(h.ctx, ann, record.Model{Team: "lab", Name: "chat", Type: record.Vendor, Owner: "olga"}))
	_, err = h.reg.AcceptService(h.ctx, ann, ask)
	h.refused(err, wire.Unknown, "the vendor lab/parrot is not known here")
	h.parrot()
	h.assured("report", h.clock.now().AddDate(1, 0, 0))
	v := must[record.Recorded[record.ModelVersion]](t)(h.reg.AcceptService(h.ctx, ann, ask))
	if again := must[record.Recorded[record.ModelVersion]](t)(h.reg.AcceptService(h.ctx, ann, ask)); again.Index != v.Index {
		t.Error("accepted twice")
	}
	ask.Service = "chat-3"
	_, err = h.reg.AcceptService(h.ctx, ann, ask)
	h.refused(err, wire.Conflict, "stands already with other content")
	ask.Version = "lab/net@9"
	_, err = h.reg.AcceptService(h.ctx, ann, ask)
	h.refused(err, wire.Invalid, "the model lab/net is trained")

	// Another service is another artifact; a plain registration cannot claim one.
	ask.Version = "lab/chat@2"
	if w := must[record.Recorded[record.ModelVersion]](t)(h.reg.AcceptService(h.ctx, ann, ask)); w.Record.Artifact == v.Record.Artifact {
		t.Error("two services have one artifact")
	}
	claim := v.Record
	claim.Version, claim.Artifact = "3", digest("other")
	_, err = h.reg.RegisterVersion(h.ctx, ann, claim)
	h.refused(err, wire.Invalid, "imprimatur vendor accept lab/chat@3")

	h.evaluate(v.Record.Artifact, 950)
	c := must[wire.Case](t)(h.reg.ProposeRelease(h.ctx, ann, wire.Proposal{Version: "lab/chat@1", UseCase: "lab/triage", Environment: "production"}))
	if g := h.gate(c.Verdict, "vendor"); g.Result != record.Pass || len(g.Evidence) != 1 {
		t.Errorf("the gate on vendors: %+v", g)
	}
}

func TestWhoAnswersForAVendor(t *testing.T) {
	h := open(t)
	v := record.ModelVendor{Team: "lab", Name: "parrot", Owner: "bob", Contact: "x"}
	_, err := h.reg.RegisterVendor(h.ctx, rita, v)
	h.refused(err, wire.Invalid, `"bob" cannot answer for the vendor lab/parrot`, "imprimatur principal bind bob --role model-owner --team lab")
	v.Owner = "robot"
	_, err = h.reg.RegisterVendor(h.ctx, rita, v)
	h.refused(err, wire.Invalid, `"robot" cannot answer`)
	h.parrot()
	_, err = h.assure(olga, "report", h.clock.now().Add(-time.Hour))
	h.refused(err, wire.Invalid, "would have lapsed already")
	_, err = h.reg.Assure(h.ctx, olga, "lab", "parrot", wire.AssuranceRequest{Type: "dpa", Document: record.RawFile{Name: "dpa.pdf", Digest: digest("never sent")}, Scope: "s", Issuer: "i", Expires: h.clock.now().AddDate(1, 0, 0)})
	h.refused(err, wire.Unknown, "is not here; send it first, as imprimatur vendor assure does")

	// Who leaves hands it over.
	h.offboards("olga", wire.Offboarding{To: "rita"})
	if got := must[wire.VendorStatus](t)(h.reg.Vendor(h.ctx, rita, "lab", "parrot")); got.Vendor.Record.Owner != "rita" {
		t.Errorf("%s answers for the vendor of olga, who left", got.Vendor.Record.Owner)
	}
}

func TestWhoRenewsIsTold(t *testing.T) {
	h := told(t, "")
	p := postOffice(t)
	h.parrot()
	h.assured("old report", h.clock.now().AddDate(0, 0, 12))
	h.assured("report", h.clock.now().AddDate(0, 0, 13))
	h.address("olga", false)
	h.address("rita", false)
	h.mails(p)
	m := p.next(t)
	if !strings.Contains(m, "To: <olga@b.example>") || !strings.Contains(m, "the soc-2 of the vendor lab/parrot lapses on 14 May 2026") || !strings.Contains(m, "imprimatur vendor assure lab/parrot FILE --type soc-2") {
		t.Errorf("olga got %s", m)
	}
}
