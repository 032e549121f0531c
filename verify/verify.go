// Package verify answers, with no network, database or clock, whether a release
// is what its bundle says and whether it stands.
//
// # Bundle
//
// A bundle is one file of the media type [MediaType]: a JSON object in RFC 8785
// canonical form,
//
//	{"bundle":"imprimatur/v1","checkpoint":"…","entries":[…],"origin":"…","release":"r-…"}
//
// The checkpoint is a signed note (C2SP tlog-checkpoint) of the ledger called
// origin. Each entry is
//
//	{"index":7,"keyid":"…","payload":"…","proof":["…"],"sig":"…"}
//
// with the position in the ledger, the id of the signing key, the in-toto
// statement, the RFC 6962 audit path from its leaf to the checkpoint, and the
// signature over the statement's DSSE encoding; bytes are standard base64.
// Entries stand in ledger order without repeats. A file in any other form, down
// to one space, is refused by [ParseBundle].
//
// # What is verified
//
// [Verify] checks the checkpoint's signature, every entry's signature and every
// entry's proof against keys that the caller trusts. It gathers the dossier from
// the entries with lineage.Collect, as it was when each verdict was stated,
// evaluates the policy again with policy.Evaluate, and demands the same verdict,
// gate for gate, from exactly the statements that the verdict names as its
// inputs: leaving one out is seen. An approval by passkey carries the WebAuthn
// assertion, which is checked against the key that its approver had enrolled by
// then, and each assertion serves one approval. It holds the model's files and the
// environment against the release. Then it asks policy.Stands whether the
// release may run at the time asked about.
//
// # What a bundle cannot show
//
// A bundle tells what was on the ledger at its checkpoint. A withdrawal or
// suspension that came later is not in it; who must know asks for a bundle whose
// checkpoint is at least as large as one they hold ([Options].Size). Signatures
// on the checkpoint by keys that the caller does not trust, such as witnesses,
// are not looked at.
package verify

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"imprimatur.dev/artifact"
	"imprimatur.dev/attest"
	"imprimatur.dev/ledger"
	"imprimatur.dev/lineage"
	"imprimatur.dev/policy"
	"imprimatur.dev/record"
)

// Options say what a bundle is held against. The zero value holds it against
// itself only.
type Options struct {
	// Manifest lists the files of the model that is to run.
	Manifest *artifact.Manifest
	// Artifact is the digest of the model that is to run, where its files were
	// hashed before.
	Artifact record.Digest
	// Environment is where the model is to run.
	Environment string
	// Origin is the name of the ledger that the caller expects.
	Origin string
	// Size is the least size of the ledger that the checkpoint may have.
	Size int64
	// At is the time asked about; the zero time is that of the newest statement.
	At time.Time
}

// Report is what came out.
type Report struct {
	// OK says that every check passed: the bundle is authentic, fits what it was
	// held against, and the release stands.
	OK bool `json:"ok"`
	// Authentic says that every check passed but for whether the release stands:
	// what an auditor of an old release asks.
	Authentic bool          `json:"authentic"`
	Release   string        `json:"release"`
	Line      string        `json:"line"`
	Record    record.Digest `json:"record"`
	Artifact  record.Digest `json:"artifact"`
	Tier      string        `json:"tier"`
	Status    record.Status `json:"status"`
	// Marks are shown wherever the release is.
	Marks []string `json:"marks"`
	// Verdict is the newest signed verdict, nil where there is none.
	Verdict *record.Verdict `json:"verdict,omitzero"`
	// Checks are what was checked, in order. After the first check that makes
	// the rest meaningless there are no more.
	Checks []Check `json:"checks"`
	// Reasons are sentences, empty when OK.
	Reasons []string `json:"reasons"`
	// Origin, Size and Newest say as of when: the ledger, how long it was, and
	// the time of the newest statement in the bundle.
	Origin string    `json:"origin"`
	Size   int64     `json:"size"`
	Newest time.Time `json:"newest"`
	// At is the time asked about.
	At time.Time `json:"at"`
	// Until is when the release lapses by time alone; zero for never.
	Until time.Time `json:"until,omitzero"`
}

// Check is one thing that was checked.
type Check struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Detail says what was found.
	Detail string `json:"detail"`
}

// Names of the checks, in the order in which they are made.
const (
	CheckCheckpoint  = "checkpoint"
	CheckSignatures  = "signatures"
	CheckInclusion   = "inclusion"
	CheckRelease     = "release"
	CheckPolicy      = "policy"
	CheckPasskeys    = "passkeys"
	CheckVerdict     = "verdict"
	CheckPromotion   = "promotion"
	CheckArtifact    = "artifact"
	CheckEnvironment = "environment"
	CheckStanding    = "standing"
)

// Verify checks a bundle. It never fails otherwise than by saying no in the
// report.
func Verify(bundle *Bundle, trust attest.Trust, opts Options) Report {
	v := &verifier{bundle: bundle, trust: trust, opts: opts}
	v.report = Report{Release: bundle.Release, Origin: bundle.Origin, Marks: []string{}, Checks: []Check{}, Reasons: []string{}}
	v.run()
	v.report.OK = len(v.report.Reasons) == 0
	return v.report
}

type verifier struct {
	bundle *Bundle
	trust  attest.Trust
	opts   Options
	report Report

	signatures sync.WaitGroup
	unsigned   int   // the first entry that is not signed, where untrusted is set
	untrusted  error // why its signature is not accepted
	checkpoint ledger.Checkpoint
	entries    entries
	unproved   error // why the entries could not be read or proved
	dossier    *record.Dossier
	policy     *policy.Policy
}

// run makes the checks in order. Each of the first five makes sense only after
// those before it; the others do not depend on one another.
func (v *verifier) run() {
	v.startSignatures()
	defer v.signatures.Wait() // the bundle is the caller's again when Verify returns
	for _, step := range []func() bool{v.checkCheckpoint, v.checkSignatures, v.checkInclusion, v.checkRelease, v.checkPolicy} {
		if !step() {
			return
		}
	}
	v.checkPasskeys()
	v.checkVerdicts()
	v.checkPromotions()
	v.checkArtifact()
	v.checkEnvironment()
	v.report.Authentic = len(v.report.Reasons) == 0
	v.checkStanding()
}

// note adds a check: passed when there are no reasons.
func (v *verifier) note(name, detail string, reasons ...string) bool {
	ok := len(reasons) == 0
	if !ok {
		detail = strings.Join(reasons, " ")
	}
	v.report.Checks = append(v.report.Checks, Check{name, ok, detail})
	v.report.Reasons = append(v.report.Reasons, reasons...)
	return ok
}

func (v *verifier) checkCheckpoint() bool {
	b := v.bundle
	signed, err := v.trust.VerifyNote([]byte(b.Checkpoint))
	if err != nil {
		return v.note(CheckCheckpoint, "", fmt.Sprintf("The checkpoint of the ledger is not to be trusted: %v.", err))
	}
	for _, sig := range append(signed.Sigs, signed.UnverifiedSigs...) {
		// A note's reader passes over the last bits of base64, and one note would have several forms.
		if _, err := base64.StdEncoding.Strict().DecodeString(sig.Base64); err != nil {
			return v.note(CheckCheckpoint, "", fmt.Sprintf("The signature of %s on the checkpoint is not in its only form: %v.", sig.Name, err))
		}
	}
	c, err := ledger.ParseCheckpoint(signed.Text)
	switch {
	case err != nil:
		return v.note(CheckCheckpoint, "", fmt.Sprintf("The checkpoint cannot be read: %v.", err))
	case c.Origin != b.Origin:
		return v.note(CheckCheckpoint, "", fmt.Sprintf("The checkpoint is of the ledger %q, and the bundle says %q.", c.Origin, b.Origin))
	case v.opts.Origin != "" && c.Origin != v.opts.Origin:
		return v.note(CheckCheckpoint, "", fmt.Sprintf("The bundle is of the ledger %q, not of %q.", c.Origin, v.opts.Origin))
	case c.Size < v.opts.Size:
		return v.note(CheckCheckpoint, "", fmt.Sprintf("The bundle is old: its checkpoint is of %d statements, and the ledger is known to have %d; ask for a new bundle.", c.Size, v.opts.Size))
	}
	v.checkpoint, v.report.Size = c, c.Size
	return v.note(CheckCheckpoint, fmt.Sprintf("The ledger %s at %d statements, signed by %s.", c.Origin, c.Size, signed.Sigs[0].Name))
}

// startSignatures checks the signatures on another core while the checkpoint is
// opened and the statements are read.
func (v *verifier) startSignatures() {
	batch := make([]attest.Signed, len(v.bundle.Entries))
	for i, e := range v.bundle.Entries {
		batch[i] = attest.Signed{Payload: e.Payload, Sig: e.Signature, KeyID: e.KeyID}
	}
	v.signatures.Go(func() { v.unsigned, v.untrusted = v.trust.VerifyBatch(batch) })
}

func (v *verifier) checkSignatures() bool {
	if len(v.bundle.Entries) == 0 {
		return v.note(CheckSignatures, "", "The bundle holds no statement.")
	}
	v.entries, v.unproved = readEntries(v.bundle.Entries, v.checkpoint)
	v.signatures.Wait()
	if v.untrusted != nil {
		return v.note(CheckSignatures, "", fmt.Sprintf("The statement at index %d is not to be trusted: %v.", v.bundle.Entries[v.unsigned].Index, v.untrusted))
	}
	return v.note(CheckSignatures, fmt.Sprintf("%d statements, each signed by a trusted key.", len(v.bundle.Entries)))
}

func (v *verifier) checkInclusion() bool {
	if v.unproved != nil {
		return v.note(CheckInclusion, "", capital(v.unproved.Error())+".")
	}
	for _, e := range v.entries.all {
		if e.Statement.Time.After(v.report.Newest) {
			v.report.Newest = e.Statement.Time
		}
	}
	v.report.At = record.Millis(v.opts.At)
	if v.opts.At.IsZero() {
		v.report.At = v.report.Newest
	}
	return v.note(CheckInclusion, fmt.Sprintf("%d statements, each proved to be in the ledger.", len(v.entries.all)))
}

func (v *verifier) checkRelease() bool {
	found, err := v.entries.Find(record.KeyRelease(v.bundle.Release))
	if err != nil || len(found) != 1 {
		return v.note(CheckRelease, "", fmt.Sprintf("The bundle holds %d statements of the release %s; it must hold one.", len(found), v.bundle.Release))
	}
	if v.dossier, _, err = lineage.Collect(v.entries, v.bundle.Release); err != nil {
		return v.note(CheckRelease, "", fmt.Sprintf("The release %s cannot be read: %v.", v.bundle.Release, err))
	}
	ds := v.dossier.Digests
	if record.ReleaseID(ds.Record) != v.bundle.Release || found[0].Statement.Digest() != ds.Record {
		return v.note(CheckRelease, "", fmt.Sprintf("The record digest %s is not that of the release %s.", ds.Record, v.bundle.Release))
	}
	rel := v.dossier.Release.Record
	r := &v.report
	r.Line, r.Record, r.Artifact, r.Tier = v.dossier.Line, ds.Record, rel.Behaviour.Artifact, rel.Context.Tier
	return v.note(CheckRelease, fmt.Sprintf("%s@%s, record digest %s, proposed by %s.", rel.Behaviour.Model, rel.Behaviour.Version, ds.Record, v.dossier.Release.Actor))
}

func (v *verifier) checkPolicy() bool {
	ref := v.dossier.Release.Record.Context.Policy
	texts, err := lineage.All[record.Policy](v.entries, record.KeyPolicy(ref.Digest))
	if err != nil || len(texts) == 0 {
		return v.note(CheckPolicy, "", fmt.Sprintf("The bundle does not hold the policy %s with the digest %s, by which the release is judged.", ref.Name, ref.Digest))
	}
	text := texts[0].Record.Text
	if got := record.DigestOf([]byte(text)); got != ref.Digest {
		return v.note(CheckPolicy, "", fmt.Sprintf("The text of the policy %s has the digest %s, and the release asks for %s.", ref.Name, got, ref.Digest))
	}
	if v.policy, err = loadPolicy(ref.Digest, text); err != nil {
		return v.note(CheckPolicy, "", fmt.Sprintf("The policy %s cannot be read: %v.", ref.Name, err))
	}
	return v.note(CheckPolicy, fmt.Sprintf("%s, digest %s.", ref.Name, ref.Digest))
}

func (v *verifier) checkEnvironment() {
	runs := v.dossier.Release.Record.Context.Environment
	switch v.opts.Environment {
	case "":
	case runs:
		v.note(CheckEnvironment, "The release is for "+runs+".")
	default:
		v.note(CheckEnvironment, "", fmt.Sprintf("The release is for %s, not for %s.", runs, v.opts.Environment))
	}
}

// checkStanding asks whether the release may run at the time asked about, from
// what the ledger had said by then.
func (v *verifier) checkStanding() {
	at := v.report.At
	d, err := v.dossier, error(nil)
	if at.Before(v.report.Newest) {
		then := lineage.Filter(v.entries, func(e lineage.Entry) bool { return !e.Statement.Time.After(at) })
		d, _, err = lineage.Collect(then, v.bundle.Release)
	}
	if err != nil {
		v.note(CheckStanding, "", fmt.Sprintf("The release %s was not yet proposed on %s.", v.bundle.Release, at.Format(time.RFC3339)))
		return
	}
	s := v.policy.Stands(d, at)
	v.report.Status, v.report.Until = s.Status, s.Until
	if s.Marks != nil {
		v.report.Marks = slices.Clone(s.Marks)
	}
	if s.OK {
		v.note(CheckStanding, fmt.Sprintf("Live, and it stands on %s.", at.Format(time.RFC3339)))
		return
	}
	reasons := []string{}
	for _, r := range s.Reasons {
		reasons = append(reasons, sentence(r))
	}
	if len(reasons) == 0 {
		reasons = append(reasons, "The release does not stand.")
	}
	v.note(CheckStanding, "", reasons...)
}

func capital(s string) string { return strings.ToUpper(s[:min(1, len(s))]) + s[min(1, len(s)):] }

func sentence(s string) string {
	if strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}
