package demo

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"imprimatur.dev/artifact"
	"imprimatur.dev/attest"
	"imprimatur.dev/authority"
	"imprimatur.dev/record"
	"imprimatur.dev/verify"
	"imprimatur.dev/wire"
)

// trainerTriesToApprove is chapter 4.
func (t *teller) trainerTriesToApprove() {
	t.step("The engineer proposes the release again: now it waits for three people only.", func() ([]string, error) {
		c, err := t.people[engineer].ProposeRelease(t.ctx, t.proposal(t.first, readOnly()))
		if err != nil {
			return nil, err
		}
		t.releases = append(t.releases, c.ID)
		return append([]string{"release " + c.ID}, who(c)...), nil
	})
	t.step("The engineer, who is a model owner too, tries to approve the model they trained: refused by lineage.", func() ([]string, error) {
		_, err := t.approve(engineer, record.ModelOwner, t.releases[0], "I know it is good")
		details, err := refused(err, wire.Forbidden)
		if err != nil {
			return details, err
		}
		return details, mentions(details, engineer, "train")
	})
}

// approve looks at a release as the person and approves what was seen.
func (t *teller) approve(name string, role record.RoleName, release, reason string) (wire.Case, error) {
	seen, err := t.people[name].CheckRelease(t.ctx, release)
	if err != nil {
		return seen, err
	}
	return t.people[name].Approve(t.ctx, wire.Word{Release: release, Record: seen.Digests.Record, Role: role, Decision: record.Approve, Reason: reason})
}

// threeApprove is chapter 5.
func (t *teller) threeApprove() {
	t.step("The model owner, the risk officer and the security officer approve in their roles.", func() ([]string, error) {
		return nil, t.approveAll(t.releases[0])
	})
	t.promotes("The model owner promotes the release: it is live in production.", 0)
	t.step("Anyone verifies the model's folder offline, from the bundle and the ledger's public key alone.", func() ([]string, error) {
		return t.verifyOffline(t.releases[0], t.first.folder)
	})
}

func (t *teller) approveAll(release string) error {
	for _, a := range []struct {
		name   string
		role   record.RoleName
		reason string
	}{
		{owner, record.ModelOwner, "fit for a second reading"},
		{risk, record.Risk, "the evidence bounds what it misses"},
		{security, record.Security, "it may do what it needs and no more"},
	} {
		if _, err := t.approve(a.name, a.role, release, a.reason); err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
	}
	return nil
}

func (t *teller) promotes(sentence string, i int) {
	t.step(sentence, func() ([]string, error) {
		p, err := t.people[owner].Promote(t.ctx, t.releases[i])
		if err != nil {
			return nil, err
		}
		t.times = append(t.times, p.Promotion.Time)
		return append([]string{"live: " + p.Promotion.Record.Release}, p.Case.Verdict.Marks...), nil
	})
}

// verifyOffline saves the bundle and the key and uses nothing but these files.
func (t *teller) verifyOffline(release, folder string) ([]string, error) {
	raw, err := t.people[owner].Bundle(t.ctx, release)
	if err != nil {
		return nil, err
	}
	key, err := t.people[owner].Key(t.ctx)
	if err != nil {
		return nil, err
	}
	bundlePath, err := t.write(release+".bundle.json", raw)
	if err != nil {
		return nil, err
	}
	trustPath, err := t.write("trust.txt", []byte(key))
	if err != nil {
		return nil, err
	}
	return t.verifyFiles(bundlePath, trustPath, folder)
}

func (t *teller) verifyFiles(bundlePath, trustPath, folder string) ([]string, error) {
	raw, err := os.ReadFile(bundlePath)
	if err != nil {
		return nil, err
	}
	bundle, err := verify.ParseBundle(raw)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(trustPath)
	if err != nil {
		return nil, err
	}
	trust, err := attest.ParseTrust(text)
	if err != nil {
		return nil, err
	}
	manifest, err := artifact.Digest(t.ctx, folder, artifact.Options{})
	if err != nil {
		return nil, err
	}
	report := verify.Verify(bundle, trust, verify.Options{Manifest: &manifest, Environment: environment, At: time.Now()})
	if !report.OK {
		return nil, errors.New(strings.Join(report.Reasons, "\n"))
	}
	return []string{fmt.Sprintf("%s: %d statements, their signatures and proofs, %d files and the policy's verdict agree", filepath.Base(bundlePath), len(bundle.Entries), len(manifest.Files))}, nil
}

// oneByteChanges is chapter 6.
func (t *teller) oneByteChanges() {
	const weights = "model.safetensors"
	t.step("One byte of the weights is changed: verification fails and names the file.", func() ([]string, error) {
		path := filepath.Join(t.first.folder, weights)
		good, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		bad := append([]byte(nil), good...)
		bad[len(bad)-1] ^= 1
		if err := os.WriteFile(path, bad, 0o644); err != nil {
			return nil, err
		}
		_, failure := t.verifyFiles(filepath.Join(t.cfg.Folder, t.releases[0]+".bundle.json"), filepath.Join(t.cfg.Folder, "trust.txt"), t.first.folder)
		if err := os.WriteFile(path, good, 0o644); err != nil {
			return nil, err
		}
		if failure == nil {
			return nil, errors.New("a changed byte went unnoticed")
		}
		details := strings.Split(failure.Error(), "\n")
		return details, mentions(details, weights)
	})
}

// changes is chapter 7: authority alone, data nobody approved, and a retrained
// model with a new tool.
func (t *teller) changes() {
	t.drills("The policy wants a way back that was tried: the model owner drills what is live, a dry promotion with the bytes read again.", 0)
	t.step("The model is to call a new tool. The diff shows that only the authority changed, so two approvals carry over and one is void.", func() ([]string, error) {
		return t.proposeChange(t.first, withTool(), map[string]bool{owner: true, risk: true, security: false})
	})
	t.step("The security officer approves the wider authority; nobody else is asked again.", func() ([]string, error) {
		_, err := t.approve(security, record.Security, t.releases[1], "it may notify, within a limit")
		return nil, err
	})
	t.promotes("The model owner promotes it.", 1)
	t.drills("And drills it, before anything can follow it.", 1)
	t.step("The pipeline retrains on a new clinic's intake, data that nobody approved: the release is refused.", t.retrain)
	t.step("The steward approves the new data. The retrained model, which also asks for a wider tool, differs in behaviour, data and authority: no approval carries over.", func() ([]string, error) {
		if err := t.approveData(t.data.Intake); err != nil {
			return nil, err
		}
		return t.proposeChange(t.second, withWiderTool(), map[string]bool{owner: false, risk: false, security: false})
	})
	t.step("All three look at what changed and approve; its evidence holds against production.", func() ([]string, error) {
		return nil, t.approveAll(t.releases[2])
	})
	t.promotes("The model owner promotes the retrained model.", 2)
}

// drills tries whether a release of the first model could take over again.
func (t *teller) drills(sentence string, i int) {
	t.step(sentence, func() ([]string, error) {
		found, err := artifact.Digest(t.ctx, t.first.folder, artifact.Options{})
		if err != nil {
			return nil, err
		}
		x, err := t.people[owner].Drill(t.ctx, t.releases[i], wire.DrillRequest{Files: found.Files})
		if err != nil {
			return nil, err
		}
		var details []string
		for _, c := range x.Record.Checks {
			details = append(details, c.Name+": "+c.Detail)
		}
		if !x.Record.Ready() {
			return details, errors.New("it could not take over")
		}
		return details, nil
	})
}

// withTool is the first authority and one tool.
func withTool() record.Authority {
	a := readOnly()
	a.Tools = []record.Grant{{
		Resource: "notify-cytologist", Actions: []string{"send"}, Definition: record.DigestOf([]byte("notify-cytologist v1")),
		Limit: record.Limit{Calls: 10, Seconds: 3600}, Why: "asks a person to look sooner",
	}}
	return a
}

// withWiderTool lets the tool do more.
func withWiderTool() record.Authority {
	a := withTool()
	a.Tools[0].Actions = []string{"send", "schedule"}
	return a
}

func (t *teller) retrain() ([]string, error) {
	if _, err := t.registerData(t.data.Intake); err != nil {
		return nil, err
	}
	var err error
	if t.second, _, err = t.train(t.data.Intake, "2"); err != nil {
		return nil, err
	}
	if err := t.recordRun(t.second, t.data.Intake); err != nil {
		return nil, err
	}
	if _, err := t.evaluate(t.second, t.data); err != nil {
		return nil, err
	}
	_, err = t.people[engineer].ProposeRelease(t.ctx, t.proposal(t.second, withWiderTool()))
	details, err := refused(err, wire.Refused)
	if err != nil {
		return details, err
	}
	return details, mentions(details, "lineage/datasets", t.data.Intake.Name)
}

// proposeChange proposes a release and compares it with the live one. carries
// says of each approver whether their approval should carry over.
func (t *teller) proposeChange(s subject, a record.Authority, carries map[string]bool) ([]string, error) {
	c, err := t.people[engineer].ProposeRelease(t.ctx, t.proposal(s, a))
	if err != nil {
		return nil, err
	}
	t.releases = append(t.releases, c.ID)
	d, err := t.people[owner].DiffReleases(t.ctx, "", c.ID)
	if err != nil {
		return nil, err
	}
	lines := []string{fmt.Sprintf("%s against %s, which is live", d.To, d.From)}
	for _, p := range d.Parts {
		state := "unchanged"
		if p.Changed {
			state = strings.Join(p.Changes, "; ")
		}
		lines = append(lines, fmt.Sprintf("%s: %s", p.Part, state))
	}
	for _, a := range d.Approvals {
		lines = append(lines, fmt.Sprintf("approval of %s (%s): %s", a.Approver, a.Role, a.Why))
		if a.Carries != carries[a.Approver] {
			return lines, fmt.Errorf("whether the approval of %s carries over is not as told", a.Approver)
		}
		delete(carries, a.Approver)
	}
	if len(carries) > 0 {
		return lines, fmt.Errorf("the diff does not speak of every approval: %v are left out", carries)
	}
	if d.Authority != authority.Wider {
		return lines, fmt.Errorf("the authority is %s, not wider", d.Authority)
	}
	return lines, nil
}

func (t *teller) liveAtEachTime() ([]string, error) {
	expected := append(append([]string{}, t.releases...), t.releases[1])
	var lines []string
	for i, at := range append(append([]time.Time{}, t.times...), t.returned) {
		live, err := t.people[risk].Live(t.ctx, at)
		if err != nil {
			return lines, err
		}
		if len(live) != 1 || live[0].Release != expected[i] {
			return lines, fmt.Errorf("at %s something else was live than was promoted", at.Format(time.RFC3339Nano))
		}
		l := live[0]
		var by, on []string
		for _, a := range l.Approvals {
			by = append(by, fmt.Sprintf("%s (%s)", a.Actor, a.Record.Role))
		}
		for _, e := range l.Evaluations {
			on = append(on, fmt.Sprintf("%s/%s", e.Record.Category, e.Record.Suite))
		}
		lines = append(lines, fmt.Sprintf("%s %s (%s, by %s); approved by %s; evidence %s",
			at.Format("15:04:05.000"), l.Release, l.Model, l.How, strings.Join(by, ", "), strings.Join(on, ", ")))
		if len(l.Approvals) < 3 {
			return lines, errors.New("fewer than three approvals are shown")
		}
	}
	return lines, nil
}
