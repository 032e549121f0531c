package registry_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/catalogue"
	"imprimatur.dev/commitment"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

var (
	key      = bytes.Repeat([]byte{1}, commitment.KeySize)
	otherKey = bytes.Repeat([]byte{2}, commitment.KeySize)
)

// leaves makes a commitment to the items of an NDJSON text, and sends its leaves.
func (h *house) leaves(key []byte, field, text string) (*record.Commitment, []byte) {
	h.Helper()
	set, _, err := commitment.Read(strings.NewReader(text), key, false, field)
	if err != nil {
		h.Fatal(err)
	}
	raw := must[[]byte](h)(set.Marshal())
	c := must[record.Commitment](h)(set.Commitment())
	must[wire.Kept](h)(h.reg.KeepEvidence(h.ctx, ann, c.Leaves, bytes.NewReader(raw)))
	return &c, raw
}

func plain(name string) record.Dataset {
	return record.Dataset{Team: "lab", Name: name, Version: "1", Digest: digest(name), Source: "s3://lab/" + name, Classification: "internal", Owner: "bob"}
}

func with(d record.Dataset, c *record.Commitment) record.Dataset {
	d.Visibility, d.Commitment = record.PrivateCommitted, c
	return d
}

func (h *house) register(d record.Dataset) record.Recorded[record.Dataset] {
	h.Helper()
	return must[record.Recorded[record.Dataset]](h)(h.reg.RegisterDataset(h.ctx, ann, d))
}

func (h *house) compare(a, b string) (record.Recorded[record.Overlap], error) {
	return h.reg.CompareDatasets(h.ctx, eve, wire.Comparison{A: digest(a), B: digest(b)})
}

func TestDatasetsAreComparedByTheirLeaves(t *testing.T) {
	h := open(t)
	a, _ := h.leaves(key, "id", "{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n")
	b, _ := h.leaves(key, "id", "{\"id\":3}\n{\"id\":\"1\"}\n{\"id\":9}\n{\"id\":10}\n")
	c, _ := h.leaves(key, "id", "{\"id\":77}\n")
	h.register(with(plain("a"), a))
	h.register(with(plain("b"), b))
	h.register(with(plain("c"), c))
	o := must[record.Recorded[record.Overlap]](t)(h.compare("a", "b"))
	ofA, ofB := o.Record.OfA, o.Record.OfB
	if o.Record.A != digest("a") {
		ofA, ofB = ofB, ofA
	}
	if o.Record.Common != 2 || ofA != 3 || ofB != 4 || o.Actor != "eve" {
		t.Errorf("got %+v", o)
	}
	if again := must[record.Recorded[record.Overlap]](t)(h.compare("b", "a")); again.Index != o.Index {
		t.Errorf("the same comparison is stated at %d and %d", o.Index, again.Index)
	}
	if o := must[record.Recorded[record.Overlap]](t)(h.compare("c", "a")); o.Record.Common != 0 {
		t.Errorf("got %+v", o)
	}
	page := must[wire.Page](t)(h.reg.List(h.ctx, eve, record.KindOverlap, 0, 0))
	if len(page.Entries) != 2 {
		t.Errorf("%d overlaps are stated", len(page.Entries))
	}
}

func TestComparisonsThatCannotBeMade(t *testing.T) {
	h := open(t)
	const items = "{\"id\":1}\n"
	a, _ := h.leaves(key, "id", items)
	other, _ := h.leaves(otherKey, "id", items)
	whole, _ := h.leaves(key, "", items)
	h.register(with(plain("a"), a))
	h.register(with(plain("other"), other))
	h.register(with(plain("whole"), whole))
	h.register(plain("bare"))
	fails := func(x, y string, code wire.Code, says ...string) {
		t.Helper()
		_, err := h.compare(x, y)
		h.refused(err, code, says...)
	}
	fails("a", "a", wire.Invalid, "with itself")
	fails("a", "nothing", wire.Unknown, "is not known here")
	fails("a", "bare", wire.Conflict, "nobody committed to the items of lab/bare@1", "imprimatur dataset commit FILE --key KEYFILE")
	fails("a", "other", wire.Conflict, "under the key", "commit to both with one key file")
	fails("a", "whole", wire.Conflict, `"ndjson"`, "commit to both by the same field")
	_, err := h.reg.CompareDatasets(h.ctx, sam, wire.Comparison{A: digest("a"), B: digest("whole")})
	h.refused(err, wire.Forbidden, "sam may not compare datasets")
}

// Who compares in one team must be allowed to read in the other.
func TestDatasetsOfTwoTeamsAreComparedByWhoMayReadBoth(t *testing.T) {
	h := open(t)
	must[record.Recorded[record.Team]](t)(h.reg.CreateTeam(h.ctx, administrator, record.Team{Name: "other"}))
	grant := func(name string, role record.RoleName, team string) {
		must[record.Recorded[record.Role]](t)(h.reg.BindRole(h.ctx, administrator, record.Role{Principal: name, Role: role, Team: team}))
	}
	grant("ann", record.Contributor, "other")
	a, _ := h.leaves(key, "id", "{\"id\":1}\n")
	foreign := with(plain("foreign"), a)
	foreign.Team = "other"
	h.register(with(plain("a"), a))
	h.register(foreign)
	_, err := h.compare("a", "foreign")
	h.refused(err, wire.Forbidden, "eve may not read for team other")
	grant("eve", record.Viewer, "other")
	if o := must[record.Recorded[record.Overlap]](t)(h.compare("a", "foreign")); o.Record.Common != 1 {
		t.Errorf("got %+v", o)
	}
}

func TestLeavesThatWereTamperedWith(t *testing.T) {
	h := open(t)
	a, raw := h.leaves(key, "id", "{\"id\":1}\n{\"id\":2}\n")
	b, _ := h.leaves(key, "id", "{\"id\":2}\n")
	h.register(with(plain("a"), a))
	h.register(with(plain("b"), b))
	hex := a.Leaves.Hex()
	path := filepath.Join(h.dir, "blobs", hex[:2], hex)
	changed := bytes.Clone(raw)
	changed[len(changed)-1] ^= 1
	if err := os.WriteFile(path, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := h.compare("a", "b")
	h.refused(err, wire.Unavailable, "was damaged or changed", "imprimatur dataset register lab/a@1 --commitment FILE")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, err = h.compare("a", "b")
	h.refused(err, wire.Unknown, "is not here")
	must[wire.Kept](t)(h.reg.KeepEvidence(h.ctx, bob, a.Leaves, bytes.NewReader(raw)))
	if o := must[record.Recorded[record.Overlap]](t)(h.compare("a", "b")); o.Record.Common != 1 {
		t.Errorf("got %+v", o)
	}
}

func TestCommitmentIsHeldToItsLeaves(t *testing.T) {
	h := open(t)
	c, _ := h.leaves(key, "id", "{\"id\":1}\n{\"id\":2}\n")
	refused := func(code wire.Code, says string, change func(d *record.Dataset)) {
		t.Helper()
		own := *c
		d := with(plain("a"), &own)
		change(&d)
		_, err := h.reg.RegisterDataset(h.ctx, ann, d)
		h.refused(err, code, says)
	}
	refused(wire.Invalid, "is not that of its file of leaves, which has 2 items", func(d *record.Dataset) { d.Commitment.Root = digest("x") })
	refused(wire.Invalid, "is not that of its file of leaves", func(d *record.Dataset) { d.Commitment.Items = 3 })
	refused(wire.Invalid, "is not that of its file of leaves", func(d *record.Dataset) { d.Commitment.Key = digest("x") })
	refused(wire.Invalid, "is not that of its file of leaves", func(d *record.Dataset) { d.Commitment.Identity = "csv" })
	refused(wire.Unknown, "is not here", func(d *record.Dataset) { d.Commitment.Leaves = digest("x") })
	refused(wire.Invalid, "commitment.items is 0", func(d *record.Dataset) { d.Commitment.Items = 0 })
	junk := []byte("these are no leaves")
	must[wire.Kept](t)(h.reg.KeepEvidence(h.ctx, bob, record.DigestOf(junk), bytes.NewReader(junk)))
	refused(wire.Invalid, "this is no file of leaves", func(d *record.Dataset) { d.Commitment.Leaves = record.DigestOf(junk) })
	long := make([]byte, commitment.MaxFile+1)
	must[wire.Kept](t)(h.reg.KeepEvidence(h.ctx, bob, record.DigestOf(long), bytes.NewReader(long)))
	refused(wire.Invalid, "it is longer than 64 MB", func(d *record.Dataset) { d.Commitment.Leaves = record.DigestOf(long) })
	_, err := h.reg.RegisterDataset(h.ctx, rita, with(plain("a"), c))
	h.refused(err, wire.Forbidden, "rita may not register datasets")
	h.enrol("pia", record.Auditor)
	_, err = h.reg.KeepEvidence(h.ctx, caller("pia"), record.DigestOf(junk), bytes.NewReader(junk))
	h.refused(err, wire.Forbidden, "pia may not")
}

func TestDatasetIsCommittedToOnce(t *testing.T) {
	h := open(t)
	c, _ := h.leaves(key, "id", "{\"id\":1}\n")
	c2, _ := h.leaves(key, "id", "{\"id\":2}\n")
	first := h.register(plain("a"))
	later := h.register(with(plain("a"), c))
	if later.Index == first.Index || !later.Time.After(first.Time) || later.Record.Commitment == nil {
		t.Errorf("the commitment came with %+v", later)
	}
	// The same again answers with what stands.
	if again := h.register(with(plain("a"), c)); again.Index != later.Index {
		t.Errorf("stated again at %d", again.Index)
	}
	if again := h.register(plain("a")); again.Index != first.Index {
		t.Errorf("stated again at %d", again.Index)
	}
	for name, d := range map[string]record.Dataset{
		"another commitment": with(plain("a"), c2),
		"made public":        {Team: "lab", Name: "a", Version: "1", Digest: digest("a"), Source: "s3://lab/a", Classification: "internal", Owner: "bob", Visibility: record.Public},
		"another owner":      {Team: "lab", Name: "a", Version: "1", Digest: digest("a"), Source: "s3://lab/a", Classification: "internal", Owner: "ann"},
	} {
		_, err := h.reg.RegisterDataset(h.ctx, ann, d)
		if registry.CodeOf(err) != wire.Conflict {
			t.Errorf("%s: %v", name, err)
		}
	}
	public := plain("p")
	public.Visibility = record.Public
	h.register(plain("p"))
	h.register(public)
	_, err := h.reg.RegisterDataset(h.ctx, ann, with(plain("p"), c))
	h.refused(err, wire.Conflict, "stands already with other content")
}

func TestMisuseCasesComeFromTheCatalogue(t *testing.T) {
	h := open(t)
	use := record.UseCase{
		Team: "lab", Name: "triage", Title: "Triage", Purpose: "triage", Owner: "olga", Tier: "high", Environments: []string{"production"},
		Misuse: []record.MisuseCase{{Case: "jailbreak", Required: true}, {Case: "tool-misuse", Reason: "it has no tools"}}, Catalogue: catalogue.Current,
	}
	c := h.ready("1")
	must[record.Recorded[record.UseCase]](t)(h.reg.RegisterUseCase(h.ctx, olga, use))
	h.clock.turn(time.Minute)
	again := must[wire.Case](t)(h.propose("1", record.Authority{}))
	if again.ID == c.ID || len(again.Release.Record.Context.Misuse) != 1 {
		t.Errorf("the release froze the cases %q", again.Release.Record.Context.Misuse)
	}
	d := must[wire.Diff](t)(h.reg.DiffReleases(h.ctx, rita, c.ID, again.ID))
	var changes []string
	for _, p := range d.Parts {
		changes = append(changes, p.Changes...)
	}
	if len(changes) != 1 || changes[0] != "the required misuse case jailbreak is new" {
		t.Errorf("changes %q", changes)
	}
	use.Misuse[0].Case = "mind-reading"
	_, err := h.reg.RegisterUseCase(h.ctx, olga, use)
	h.refused(err, wire.Invalid, `no misuse case "mind-reading"`)
	use.Catalogue = "1999"
	_, err = h.reg.RegisterUseCase(h.ctx, olga, use)
	h.refused(err, wire.Invalid, `from the edition "1999"`, "this server has "+catalogue.Current)
}
