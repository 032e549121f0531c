package record_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/record"
)

// fault is a record with one thing wrong and the words that must name it.
type fault struct {
	body record.Body
	says string
}

// wrong changes the example of T in one thing.
func wrong[T record.Body](says string, change func(*T)) fault {
	var none T
	body := examples()[none.Kind()].(T)
	change(&body)
	return fault{body, says}
}

func TestValidateNamesEachFault(t *testing.T) {
	var all []fault
	all = append(all, faultsOfPeople()...)
	all = append(all, faultsOfDelegations()...)
	all = append(all, faultsOfLineage()...)
	all = append(all, faultsOfCommitments()...)
	all = append(all, faultsOfReleases()...)
	all = append(all, faultsOfDecisions()...)
	all = append(all, faultsOfEnvelopes()...)
	all = append(all, faultsOfRegistrations()...)
	all = append(all, faultsOfEvents()...)
	all = append(all, faultsOfTargets()...)
	all = append(all, faultsOfSecrets()...)
	all = append(all, faultsOfVendors()...)
	covered := map[record.Kind]bool{}
	for _, f := range all {
		kind := f.body.Kind()
		covered[kind] = true
		err := f.body.Validate()
		var invalid *record.InvalidError
		if !errors.As(err, &invalid) || invalid.Kind != kind {
			t.Errorf("%s: error %v, want a fault that says %q", kind, err, f.says)
			continue
		}
		if len(invalid.Faults) != 1 || !strings.Contains(invalid.Faults[0], f.says) {
			t.Errorf("%s: faults %q, want the one that says %q", kind, invalid.Faults, f.says)
		}
		if _, err := record.New("tess", noon, f.body); !errors.As(err, &invalid) {
			t.Errorf("%s with a fault (%s) was stated", kind, f.says)
		}
	}
	for _, k := range record.Kinds() {
		if !covered[k] {
			t.Errorf("no fault of a %s is tested", k)
		}
	}
}

const bidi = "x\u202ey"

func faultsOfPeople() []fault {
	return []fault{
		wrong("name", func(p *record.Principal) { p.Name = "Tess" }),
		wrong("name", func(p *record.Principal) { p.Name = "tess\n" }),
		wrong("name", func(p *record.Principal) { p.Name = strings.Repeat("a", 129) }),
		wrong("type", func(p *record.Principal) { p.Type, p.Owner = "robot", "" }),
		wrong("owner", func(p *record.Principal) { p.Owner = "" }),
		wrong("purpose is empty", func(p *record.Principal) { p.Purpose = " " }),
		wrong("expires", func(p *record.Principal) { p.Expires = time.Time{} }),
		wrong("owner is only for workloads", func(p *record.Principal) { p.Type = record.Human }),
		wrong("displayName", func(p *record.Principal) { p.DisplayName = bidi }),
		wrong("displayName", func(p *record.Principal) { p.DisplayName = "\xff" }),
		wrong("displayName", func(p *record.Principal) { p.DisplayName = strings.Repeat("é", record.MaxText+1) }),
		wrong("emails[0]", func(p *record.Principal) { p.Emails[0] = "a\x00b" }),
		wrong("principal", func(k *record.PrincipalKey) { k.Principal = "" }),
		wrong("keyId", func(k *record.PrincipalKey) { k.KeyID = "a/b" }),
		wrong("type", func(k *record.PrincipalKey) { k.Type = "rsa" }),
		wrong("public has 31 bytes", func(k *record.PrincipalKey) { k.Public = k.Public[1:] }),
		wrong("purpose", func(k *record.PrincipalKey) { k.Purpose = bidi }),
		wrong("expires", func(k *record.PrincipalKey) { k.Expires = noon.Add(1) }),
		wrong("reason is empty", func(k *record.PrincipalKey) { k.Withdrawn = true }),
		wrong("id", func(i *record.Identity) { i.ID = "" }),
		wrong("workload", func(i *record.Identity) { i.Workload = "" }),
		wrong("type", func(i *record.Identity) { i.Type, i.Issuer = "passport", "https://x.example" }),
		wrong("issuer", func(i *record.Identity) { i.Issuer = "ftp://x.example" }),
		wrong("issuer", func(i *record.Identity) { i.Issuer = "https://x.example?a=b" }),
		wrong("no /repository_id", func(i *record.Identity) {
			i.Claims = map[string]string{"/sub": "repo:acme/x:environment:production", "/environment": "production"}
		}),
		wrong("none of /environment", func(i *record.Identity) { i.Claims = map[string]string{"/repository_id": "74", "/sub": "x"} }),
		wrong("JSON Pointer", func(i *record.Identity) { i.Claims["ref"] = "x" }),
		wrong("no /project_id", func(i *record.Identity) { i.Type = record.IdentityGitLab }),
		wrong("is not of the trust domain", func(i *record.Identity) {
			i.Type, i.Issuer, i.Claims = record.IdentitySPIFFE, "spiffe://acme.example", map[string]string{"/sub": "spiffe://acme.example.evil/x"}
		}),
		wrong("certificate is only for", func(i *record.Identity) { i.Certificate = digest("x") }),
		wrong("issuer and claims are not for", func(i *record.Identity) { i.Type, i.Certificate = record.IdentityCertificate, digest("x") }),
		wrong("certificate", func(i *record.Identity) { i.Type, i.Issuer, i.Claims = record.IdentityCertificate, "", nil }),
		wrong("expires", func(i *record.Identity) { i.Expires = noon.Add(1) }),
		wrong("reason is empty", func(i *record.Identity) { i.Revoked = true }),
		wrong("workload", func(r *record.Revocation) { r.Workload = "" }),
		wrong("token", func(r *record.Revocation) { r.Token = "A b" }),
		wrong("expires", func(r *record.Revocation) { r.Expires = time.Time{} }),
		wrong("reason is empty", func(r *record.Revocation) { r.Token, r.Reason = "", "" }),
		wrong("principal", func(c *record.Credential) { c.Principal = "" }),
		wrong("type", func(c *record.Credential) { c.Type = "smile" }),
		wrong("issuer", func(c *record.Credential) { c.Issuer = "" }),
		wrong("account", func(c *record.Credential) { c.Account = "" }),
		wrong("expires", func(c *record.Credential) {
			*c = record.Credential{Principal: "tess", Type: record.CredentialInvitation}
		}),
		wrong("reason is empty", func(c *record.Credential) { c.Withdrawn = true }),
		wrong("role", func(r *record.Role) { r.Role = "king" }),
		wrong("form team/name", func(r *record.Role) { r.Role, r.Model = record.ModelOwner, "acme/" }),
		wrong("not of the team", func(r *record.Role) { r.Role, r.Model = record.ModelOwner, "other/net" }),
		wrong("only for the role model-owner", func(r *record.Role) { r.Model = "acme/net" }),
		wrong("team", func(r *record.Role) { r.Team = "" }),
		wrong("principal", func(r *record.Role) { r.Principal = "" }),
		wrong("millisecond", func(r *record.Role) { r.Expires = noon.Add(time.Microsecond) }),
		wrong("years", func(r *record.Role) { r.Expires = time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC) }),
		wrong("id", func(x *record.Token) { x.ID = "" }),
		wrong("principal", func(x *record.Token) { x.Principal = "?" }),
		wrong("hash", func(x *record.Token) { x.Hash = "sha256:00" }),
		wrong("scopes is empty", func(x *record.Token) { x.Scopes = nil }),
		wrong("scopes", func(x *record.Token) { x.Scopes = []string{"everything"} }),
		wrong("expires is not given", func(x *record.Token) { x.Expires = time.Time{} }),
		wrong("note", func(x *record.Token) { x.Note = bidi }),
		wrong("name", func(x *record.Team) { x.Name = "a b" }),
		wrong("displayName", func(x *record.Team) { x.DisplayName = bidi }),
		wrong("name", func(x *record.Environment) { x.Name = "" }),
		wrong("leastTier", func(x *record.Environment) { x.LeastTier = "" }),
		wrong("policy", func(x *record.Environment) { x.Policy = "" }),
		wrong("aliases", func(x *record.Environment) { x.Aliases = []string{""} }),
		wrong("namespaces", func(x *record.Environment) { x.Namespaces = []string{bidi} }),
		wrong("workloads", func(x *record.Environment) { x.Workloads = []string{"X"} }),
		wrong("team", func(x *record.UseCase) { x.Team = "" }),
		wrong("name", func(x *record.UseCase) { x.Name = "a/b" }),
		wrong("title", func(x *record.UseCase) { x.Title = "" }),
		wrong("purpose", func(x *record.UseCase) { x.Purpose = "Any purpose" }),
		wrong("owner", func(x *record.UseCase) { x.Owner = "" }),
		wrong("tier", func(x *record.UseCase) { x.Tier = "" }),
		wrong("context", func(x *record.UseCase) { x.Context = bidi }),
		wrong("environments is empty", func(x *record.UseCase) { x.Environments = nil }),
		wrong("environments", func(x *record.UseCase) { x.Environments = []string{"Prod"} }),
		wrong("misuse.case", func(x *record.UseCase) { x.Misuse[0].Case = "A" }),
		wrong("misuse.reason is empty", func(x *record.UseCase) { x.Misuse[1].Reason = "" }),
		wrong("misuse names the case direct-prompt-injection twice", func(x *record.UseCase) { x.Misuse[1].Case = x.Misuse[0].Case }),
		wrong("catalogue is empty", func(x *record.UseCase) { x.Catalogue = "" }),
		wrong("anchor", func(x *record.UseCase) { x.Anchor = "1234" }),
		wrong("name", func(x *record.Policy) { x.Name = "" }),
		wrong("digest is not that of the text", func(x *record.Policy) { x.Text += " " }),
		wrong("longer", func(x *record.Policy) {
			x.Text = strings.Repeat("a", record.MaxPolicy+1)
			x.Digest = record.DigestOf([]byte(x.Text))
		}),
		wrong("reason", func(x *record.Policy) { x.Reason = bidi }),
	}
}

func faultsOfDelegations() []fault {
	return []fault{
		wrong("from", func(d *record.Delegation) { d.From = "" }),
		wrong("to", func(d *record.Delegation) { d.To = "?" }),
		wrong("the same person", func(d *record.Delegation) { d.To = d.From }),
		wrong("role", func(d *record.Delegation) { d.Role, d.Model = "boss", "" }),
		wrong("cannot be delegated", func(d *record.Delegation) { d.Role, d.Model = record.Administrator, "" }),
		wrong("team", func(d *record.Delegation) { d.Team, d.Model = "", "" }),
		wrong("not of the team", func(d *record.Delegation) { d.Model = "other/triage" }),
		wrong("only for the role model-owner", func(d *record.Delegation) { d.Role = record.Risk }),
		wrong("starts is not given", func(d *record.Delegation) { d.Starts = time.Time{} }),
		wrong("expires is not given", func(d *record.Delegation) { d.Expires = time.Time{} }),
		wrong("not within 90 days", func(d *record.Delegation) { d.Expires = d.Expires.Add(time.Millisecond) }),
		wrong("not within 90 days", func(d *record.Delegation) { d.Expires = d.Starts }),
		wrong("reason is empty", func(d *record.Delegation) { d.Reason = "" }),
	}
}

func faultsOfLineage() []fault {
	return []fault{
		wrong("team", func(d *record.Dataset) { d.Team = "" }),
		wrong("name", func(d *record.Dataset) { d.Name = "" }),
		wrong("version", func(d *record.Dataset) { d.Version = "a b" }),
		wrong("digest", func(d *record.Dataset) { d.Digest = "sha256:" + record.Digest(strings.Repeat("A", 64)) }),
		wrong("digest", func(d *record.Dataset) { d.Digest = "1234abcd" }),
		wrong("source", func(d *record.Dataset) { d.Source = "" }),
		wrong("classification", func(d *record.Dataset) { d.Classification = "" }),
		wrong("owner", func(d *record.Dataset) { d.Owner = "" }),
		wrong("derived", func(d *record.Dataset) { d.Derived = []record.Digest{""} }),
		wrong("the dataset itself", func(d *record.Dataset) { d.Derived = []record.Digest{d.Digest} }),
		wrong("licence", func(d *record.Dataset) { d.Licence = bidi }),
		wrong("labels", func(d *record.Dataset) { d.Labels = map[string]string{"": "x"} }),
		wrong("either dataset or source", func(a *record.DataApproval) { a.Source = "" }),
		wrong("either dataset or source", func(a *record.DataApproval) { a.Dataset = digest("x") }),
		wrong("dataset", func(a *record.DataApproval) { a.Source, a.Dataset = "", "x" }),
		wrong("all data there is", func(a *record.DataApproval) { a.Source = "**" }),
		wrong("decision", func(a *record.DataApproval) { a.Decision = "maybe" }),
		wrong("expires", func(a *record.DataApproval) { a.Expires = time.Time{} }),
		wrong("purposes is empty", func(a *record.DataApproval) { a.Purposes = nil }),
		wrong("purposes[0]", func(a *record.DataApproval) { a.Purposes = []string{""} }),
		wrong("reason", func(a *record.DataApproval) { a.Reason = "" }),
		wrong("team", func(r *record.Run) { r.Team = "" }),
		wrong("id", func(r *record.Run) { r.ID = "a/b" }),
		wrong("code.repository", func(r *record.Run) { r.Code.Repository = "" }),
		wrong("full commit", func(r *record.Run) { r.Code.Commit = "abc1234" }),
		wrong("reported.by", reported(func(r *record.Reported) { r.By = "" })),
		wrong("reported.raw", reported(func(r *record.Reported) { r.Raw = "2981c147" })),
		wrong("reported.user", reported(func(r *record.Reported) { r.User = bidi })),
		wrong("reported.metrics", reported(func(r *record.Reported) { r.Metrics = map[string]string{"": "1"} })),
		wrong("reported.unread[0].name", reported(func(r *record.Reported) { r.Unread[0].Name = "" })),
		wrong("reported.unread[0].why", reported(func(r *record.Reported) { r.Unread[0].Why = "" })),
		wrong("names no dataset", reported(func(r *record.Reported) { r.Unread[0].Source = "cases" })),
		wrong("code.author", func(r *record.Run) { r.Code.Author = bidi }),
		wrong("parameters", func(r *record.Run) { r.Parameters = map[string]string{"a": bidi} }),
		wrong("environment", func(r *record.Run) { r.Environment = map[string]string{"": ""} }),
		wrong("initiator", func(r *record.Run) { r.Initiator = "T" }),
		wrong("inputs is empty", func(r *record.Run) { r.Inputs = nil }),
		wrong("outputs is empty", func(r *record.Run) { r.Outputs = nil }),
		wrong("inputs.type", func(r *record.Run) { r.Inputs[0].Type = "code" }),
		wrong("outputs.digest", func(r *record.Run) { r.Outputs[0].Digest = "" }),
		wrong("inputs.name", func(r *record.Run) { r.Inputs[0].Name = "" }),
		wrong("finished is before started", func(r *record.Run) { r.Finished = r.Started.Add(-time.Second) }),
		wrong("started", func(r *record.Run) { r.Started = time.Time{} }),
		wrong("team", func(m *record.Model) { m.Team = "" }),
		wrong("name", func(m *record.Model) { m.Name = "" }),
		wrong("type", func(m *record.Model) { m.Type = "magic" }),
		wrong("owner", func(m *record.Model) { m.Owner = "" }),
		wrong("description", func(m *record.Model) { m.Description = bidi }),
		wrong("model", func(v *record.ModelVersion) { v.Model = "triage" }),
		wrong("version", func(v *record.ModelVersion) { v.Version = "" }),
		wrong("type", func(v *record.ModelVersion) { v.Type = "" }),
		wrong("artifact", func(v *record.ModelVersion) { v.Artifact = "" }),
		wrong("files is empty", func(v *record.ModelVersion) { v.Files = nil }),
		wrong("order of path", func(v *record.ModelVersion) { v.Files[0], v.Files[1] = v.Files[1], v.Files[0] }),
		wrong("order of path", func(v *record.ModelVersion) { v.Files[1] = v.Files[0] }),
		wrong("files[0].path", func(v *record.ModelVersion) { v.Files[0].Path = "" }),
		wrong("files[1].sha256", func(v *record.ModelVersion) { v.Files[1].SHA256 = "00" }),
		wrong("files[1].size", func(v *record.ModelVersion) { v.Files[1].Size = -1 }),
		wrong("signature", func(v *record.ModelVersion) { v.Signature = "x" }),
		wrong("run", func(v *record.ModelVersion) { v.Run = "run-1" }),
		wrong("bases", func(v *record.ModelVersion) { v.Bases[0] = "" }),
		wrong("the model itself", func(v *record.ModelVersion) { v.Bases[0] = v.Artifact }),
		wrong("prompt", func(v *record.ModelVersion) { v.Prompt = "x" }),
		wrong("configuration", func(v *record.ModelVersion) { v.Configuration = "x" }),
		wrong("source", func(v *record.ModelVersion) { v.Source = bidi }),
		wrong("findings.type", func(v *record.ModelVersion) { v.Findings[0].Type = "" }),
		wrong("findings.detail", func(v *record.ModelVersion) { v.Findings[0].Detail = bidi }),
		wrong("team", func(e *record.Evaluation) { e.Team = "" }),
		wrong("artifact", func(e *record.Evaluation) { e.Artifact = "" }),
		wrong("category", func(e *record.Evaluation) { e.Category = "luck" }),
		wrong("suite", func(e *record.Evaluation) { e.Suite = "" }),
		wrong("dataset", func(e *record.Evaluation) { e.Dataset = "" }),
		wrong("tool.name", func(e *record.Evaluation) { e.Tool.Name = "" }),
		wrong("tool.version", func(e *record.Evaluation) { e.Tool.Version = "" }),
		wrong("evidence", func(e *record.Evaluation) { e.Evidence = nil }),
		wrong("metrics is empty", func(e *record.Evaluation) { e.Metrics = nil }),
		wrong("given twice", func(e *record.Evaluation) { e.Metrics[1].Name = e.Metrics[0].Name }),
		wrong("name", func(e *record.Evaluation) { e.Metrics[0].Name = "F1" }),
		wrong("finite", func(e *record.Evaluation) { e.Metrics[0].Value = math.NaN() }),
		wrong("finite", func(e *record.Evaluation) { e.Metrics[0].Value = math.Inf(1) }),
		wrong("metrics[1].n", func(e *record.Evaluation) { e.Metrics[1].N = -1 }),
		wrong("successes 11 exceeds n 10", func(e *record.Evaluation) { e.Metrics[0].Successes = ptr(11) }),
		wrong("successes", func(e *record.Evaluation) { e.Metrics[0].Successes = ptr(-1) }),
		wrong("stdErr is negative", func(e *record.Evaluation) { e.Metrics[1].Reported.StdErr = ptr(-0.1) }),
		wrong("one end", func(e *record.Evaluation) { e.Metrics[1].Reported.Upper95 = nil }),
		wrong("ends before it begins", func(e *record.Evaluation) { e.Metrics[1].Reported.Lower95 = ptr(0.6) }),
		wrong("neither a standard error nor", func(e *record.Evaluation) { e.Metrics[1].Reported = &record.Uncertainty{Method: "t"} }),
		wrong("direction", func(e *record.Evaluation) { e.Metrics[0].Direction = "up" }),
		wrong("one bit an item", func(e *record.Evaluation) { e.Metrics[0].Outcomes = []byte{1} }),
		wrong("is not the sum", func(e *record.Evaluation) { e.Counts = record.Counts{Evaluated: 3, Scored: 1, Errors: 1} }),
		wrong("evidence[0].digest", func(e *record.Evaluation) { e.Evidence[0].Digest = "x" }),
		wrong("judges[0].model", func(e *record.Evaluation) { e.Judges = []record.Judge{{}} }),
		wrong("later than ran", func(e *record.Evaluation) { e.Started = e.Ran.Add(time.Hour) }),
		wrong("import.checks[0].reported", func(e *record.Evaluation) { e.Import.Checks = []record.Check{{Name: "n", Reported: math.NaN()}} }),
		wrong("incomplete", func(e *record.Evaluation) { e.Incomplete = bidi }),
		wrong("settings", func(e *record.Evaluation) { e.Settings = map[string]string{"a": "\x07"} }),
		wrong("assurance", func(e *record.Evaluation) { e.Assurance = "sworn" }),
		wrong("ran", func(e *record.Evaluation) { e.Ran = time.Time{} }),
	}
}

func faultsOfReleases() []fault {
	two := []record.Digest{digest("b"), digest("a")}
	if two[0] < two[1] {
		two[0], two[1] = two[1], two[0]
	}
	return []fault{
		wrong("behaviour.model", func(r *record.Release) { r.Behaviour.Model = "triage" }),
		wrong("behaviour.version", func(r *record.Release) { r.Behaviour.Version = "" }),
		wrong("behaviour.type", func(r *record.Release) { r.Behaviour.Type = "" }),
		wrong("behaviour.artifact", func(r *record.Release) { r.Behaviour.Artifact = "" }),
		wrong("behaviour.prompt", func(r *record.Release) { r.Behaviour.Prompt = "x" }),
		wrong("behaviour.configuration", func(r *record.Release) { r.Behaviour.Configuration = "x" }),
		wrong("behaviour.evaluations is not in order", func(r *record.Release) { r.Behaviour.Evaluations = two }),
		wrong("data.datasets is not in order", func(r *record.Release) { r.Data.Datasets = []record.Digest{two[0], two[0]} }),
		wrong("data.bases is not in order", func(r *record.Release) { r.Data.Bases = two }),
		wrong("data.runs", func(r *record.Release) { r.Data.Runs = []string{"run"} }),
		wrong("authority.tools[0].resource", func(r *record.Release) { r.Authority.Tools[0].Resource = "" }),
		wrong("authority.tools[0].actions is empty", func(r *record.Release) { r.Authority.Tools[0].Actions = nil }),
		wrong("authority.tools[0].actions[0]", func(r *record.Release) { r.Authority.Tools[0].Actions = []string{""} }),
		wrong("authority.tools[0].definition", func(r *record.Release) { r.Authority.Tools[0].Definition = "x" }),
		wrong("authority.tools[0].condition", func(r *record.Release) { r.Authority.Tools[0].Condition = bidi }),
		wrong("authority.tools[0].why", func(r *record.Release) { r.Authority.Tools[0].Why = bidi }),
		wrong("authority.tools[0].until", func(r *record.Release) { r.Authority.Tools[0].Until = noon.Add(1) }),
		wrong("authority.tools[0].limit", func(r *record.Release) { r.Authority.Tools[0].Limit.Seconds = 0 }),
		wrong("authority.tools[0].limit", func(r *record.Release) { r.Authority.Tools[0].Limit.Calls = -1 }),
		wrong("authority.secrets[0].resource", func(r *record.Release) { r.Authority.Secrets = []record.Grant{{Actions: []string{"use"}}} }),
		wrong("context.misuse", func(r *record.Release) { r.Context.Misuse = []string{"A"} }),
		wrong("context.useCase", func(r *record.Release) { r.Context.UseCase = "queue" }),
		wrong("context.tier", func(r *record.Release) { r.Context.Tier = "" }),
		wrong("context.environment", func(r *record.Release) { r.Context.Environment = "" }),
		wrong("context.owner", func(r *record.Release) { r.Context.Owner = "" }),
		wrong("context.policy.name", func(r *record.Release) { r.Context.Policy.Name = "" }),
		wrong("context.policy.digest", func(r *record.Release) { r.Context.Policy.Digest = "" }),
	}
}

func faultsOfDecisions() []fault {
	return []fault{
		wrong("team", func(d *record.Decisions) { d.Team = "a/b" }),
		wrong("to is before from", func(d *record.Decisions) { d.To = noon.Add(-time.Second) }),
		wrong("log", func(d *record.Decisions) { d.Log = "" }),
		wrong("others is -1", func(d *record.Decisions) { d.Others, d.Denied = -1, 1 }),
		wrong("unkept is 6 of 5", func(d *record.Decisions) { d.Unkept = 6 }),
		wrong("denied is 3, and 2 are told of", func(d *record.Decisions) { d.Others = 0 }),
		wrong("denials[0].reason", func(d *record.Decisions) { d.Denials[0].Reason = "" }),
		wrong("denials[0].reason", func(d *record.Decisions) { d.Denials[0].Reason = bidi }),
		wrong("to is not after from", func(w *record.Window) { w.To = w.From }),
		wrong("of", func(w *record.Window) { w.Of = record.Safety }),
		wrong("late is -1", func(w *record.Window) { w.Late = -1 }),
		wrong("outcome", func(w *record.Window) { w.Outcome = "" }),
		wrong("worst[0].feature", func(w *record.Window) { w.Worst[0].Feature = "" }),
		wrong("worst[0] is not a finite", func(w *record.Window) { w.Worst[0].P = math.NaN() }),
		wrong("worst has 11 entries", func(w *record.Window) { w.Worst = slices.Repeat(w.Worst, 11) }),
		wrong("recent", func(w *record.Window) { w.Recent = []string{"odd"} }),
		wrong("report", func(w *record.Window) { w.Report = "" }),
		wrong("raw", func(w *record.Window) { w.Raw[0] = "x" }),
		wrong("monitor.baseline", func(e *record.Evaluation) { e.Monitor = &record.Monitor{Sample: digest("s")} }),
		wrong("denials[0].count", func(d *record.Decisions) { d.Denials[0].Count, d.Others = 0, 3 }),
		wrong("more than 100", func(d *record.Decisions) {
			d.Denials = slices.Repeat(d.Denials, 101)
			d.Denied = 203
		}),
		wrong("release", func(a *record.Approval) { a.Release = "r-0123" }),
		wrong("release", func(a *record.Approval) { a.Release = "r-0123456789aG" }),
		wrong("line", func(a *record.Approval) { a.Line = "acme/triage" }),
		wrong("record", func(a *record.Approval) { a.Record = "" }),
		wrong("role", func(a *record.Approval) { a.Role = "" }),
		wrong("for", func(a *record.Approval) { a.For, a.Lent = "?", noon }),
		wrong("delegatedUntil is not given", func(a *record.Approval) { a.For = "rita" }),
		wrong("delegatedUntil is only for", func(a *record.Approval) { a.Lent = noon }),
		wrong("decision", func(a *record.Approval) { a.Decision = "shrug" }),
		wrong("parts is empty", func(a *record.Approval) { a.Parts = nil }),
		wrong("parts", func(a *record.Approval) { a.Parts = map[record.Part]record.Digest{"rest": digest("x")} }),
		wrong("parts.data", func(a *record.Approval) { a.Parts[record.PartData] = "" }),
		wrong("reason", func(a *record.Approval) { a.Reason = "" }),
		wrong("text", func(c *record.Comment) { c.Text = "" }),
		wrong("method", func(a *record.Approval) { a.Method, a.Asked, a.Assertion = "telephone", time.Time{}, nil }),
		wrong("asked and assertion are for", func(a *record.Approval) { a.Assertion = nil }),
		wrong("asked and assertion are for", func(a *record.Approval) { a.Method = record.MethodToken }),
		wrong("asked and assertion are for", func(a *record.Approval) { a.Asked = time.Time{} }),
		wrong("assertion.client has 0 bytes", func(a *record.Approval) { a.Assertion.Client = nil }),
		wrong("assertion.key", func(a *record.Approval) { a.Assertion.Key = "" }),
		wrong("public has 0 bytes", func(k *record.PrincipalKey) {
			k.Type, k.Public, k.Site, k.Origin = record.KeyPasskey, nil, "x.example", "https://x.example"
		}),
		wrong("site", func(k *record.PrincipalKey) { k.Type, k.Origin = record.KeyPasskey, "https://x.example" }),
		wrong("expires", func(a *record.Approval) { a.Expires = time.Time{} }),
		wrong("type", func(e *record.Exception) { e.Type = "favour" }),
		wrong("gate", func(e *record.Exception) { e.Gate = "" }),
		wrong("gate is only for a waiver", func(e *record.Exception) { e.Type = record.BreakGlass }),
		wrong("gates and grants are only for", func(e *record.Exception) { e.Gates = []string{"rollback"} }),
		wrong("gates and grants are only for", func(e *record.Exception) { e.Grants = []string{"tools/x"} }),
		wrong("reason", func(e *record.Exception) { e.Reason = "" }),
		wrong("expires", func(e *record.Exception) { e.Expires = time.Time{} }),
		wrong("reviewBy", func(e *record.Exception) { e.ReviewBy = time.Time{} }),
		wrong("exception", func(r *record.Review) { r.Exception = "0123" }),
		wrong("outcome", func(r *record.Review) { r.Outcome = "" }),
		wrong("reason", func(r *record.Review) { r.Reason = "" }),
		wrong("release", func(v *record.Verdict) { v.Release = "" }),
		wrong("artifact", func(v *record.Verdict) { v.Artifact = "" }),
		wrong("policy.name", func(v *record.Verdict) { v.Policy.Name = "" }),
		wrong("policy.digest", func(v *record.Verdict) { v.Policy.Digest = "" }),
		wrong("tier", func(v *record.Verdict) { v.Tier = "" }),
		wrong("at", func(v *record.Verdict) { v.At = time.Time{} }),
		wrong("environment", func(p *record.Promotion) { p.Environment = "" }),
		wrong("artifact", func(p *record.Promotion) { p.Artifact = "" }),
		wrong("how", func(p *record.Promotion) { p.How = "quietly" }),
		wrong("verdict", func(p *record.Promotion) { p.Verdict = "" }),
		wrong("until", func(p *record.Promotion) { p.Until = noon.Add(1) }),
		wrong("replaces", func(p *record.Promotion) { p.Replaces = "x" }),
		wrong("reason", func(p *record.Promotion) { p.Reason = "" }),
		wrong("release", func(s *record.Suspension) { s.Release = "" }),
		wrong("reason", func(s *record.Suspension) { s.Reason = "" }),
		wrong("record", func(r *record.Retirement) { r.Record = "" }),
		wrong("reason", func(r *record.Retirement) { r.Reason = "" }),
		wrong("text", func(c *record.Comment) { c.Text = "" }),
		wrong("type", func(s *record.Signal) { s.Type = "" }),
		wrong("detail", func(s *record.Signal) { s.Detail = "" }),
		wrong("observed", func(s *record.Signal) { s.Observed = time.Time{} }),
		wrong("release", func(d *record.Drill) { d.Release = "x" }),
		wrong("record", func(d *record.Drill) { d.Record = "" }),
		wrong("artifact", func(d *record.Drill) { d.Artifact = "x" }),
		wrong("checks is empty", func(d *record.Drill) { d.Checks = nil }),
		wrong("checks[0].detail", func(d *record.Drill) { d.Checks[0].Detail = "" }),
		wrong("does \"panic\"", func(s *record.Signal) { s.Does, s.Due = "panic", time.Time{} }),
		wrong("due and does", func(s *record.Signal) { s.Does = record.Suspend }),
		wrong("due and does", func(s *record.Signal) { s.Due = time.Time{} }),
		wrong("due and does", func(s *record.Signal) { s.Release, s.Line = "", "" }),
		wrong("evidence", func(s *record.Signal) { s.Evidence = "x" }),
		wrong("release", func(s *record.Signal) { s.Release, s.Move = "", nil }),
		wrong("exactly one of alias and stage", func(s *record.Signal) { s.Move = &record.Move{Registry: "m", Team: "acme", Environment: "production"} }),
		wrong("move.environment", func(s *record.Signal) { s.Move = &record.Move{Registry: "m", Team: "acme", Alias: "champion"} }),
	}
}

func TestListsAreBounded(t *testing.T) {
	long := make([]record.Digest, record.MaxList+1)
	for i := range long {
		long[i] = digest("same")
	}
	d := examples()[record.KindDataset].(record.Dataset)
	d.Derived = long
	var invalid *record.InvalidError
	if err := d.Validate(); !errors.As(err, &invalid) || !strings.Contains(err.Error(), "more than 10000") {
		t.Errorf("error %v", err)
	}
}

// A person mends a record once: all faults are reported together.
func TestValidateReportsEverything(t *testing.T) {
	err := record.UseCase{}.Validate()
	var invalid *record.InvalidError
	if !errors.As(err, &invalid) || len(invalid.Faults) != 7 {
		t.Fatalf("error %v", err)
	}
	if !strings.HasPrefix(err.Error(), "the use case is not valid: ") {
		t.Errorf("error %v", err)
	}
}

// reported changes a run that a tracking server reports, without commit, inputs
// and outputs.
func reported(change func(*record.Reported)) func(*record.Run) {
	return func(r *record.Run) {
		r.Code, r.Inputs, r.Outputs = record.Code{}, nil, nil
		r.Reported = &record.Reported{
			By: "mlflow", Raw: digest("raw"), Unread: []record.UnreadInput{{Name: "cases", Label: "2981c147", Source: "s3://acme/cases", Why: "no"}},
		}
		change(r.Reported)
	}
}

// faultsOfEnvelopes are those of envelopes and of what speaks of them.
func faultsOfEnvelopes() []fault {
	return []fault{
		wrong("name", func(e *record.Envelope) { e.Name = "" }),
		wrong("line", func(e *record.Envelope) { e.Line = "" }),
		wrong("tier", func(e *record.Envelope) { e.Tier = "" }),
		wrong("policy.digest", func(e *record.Envelope) { e.Policy.Digest = "" }),
		wrong("anchor", func(e *record.Envelope) { e.Anchor = "net@1" }),
		wrong("workloads is empty", func(e *record.Envelope) { e.Workloads = nil }),
		wrong("sources is empty", func(e *record.Envelope) { e.Sources = nil }),
		wrong("would allow all data", func(e *record.Envelope) { e.Sources[0].Source = "*" }),
		wrong("before its from", func(e *record.Envelope) { e.Sources[0].To = noon.Add(-time.Hour) }),
		wrong("code.repository", func(e *record.Envelope) { e.Code.Repository = "" }),
		wrong("code.commits", func(e *record.Envelope) { e.Code.Commits = []string{"main"} }),
		wrong("neither commits nor paths", func(e *record.Envelope) { e.Code.Commits, e.Code.Paths = nil, nil }),
		wrong("parameters.lr allows nothing", func(e *record.Envelope) {
			e.Parameters["lr"] = record.ParameterBound{Least: number(1), Most: number(0)}
		}),
		wrong("parameters.lr lacks", func(e *record.Envelope) { e.Parameters["lr"] = record.ParameterBound{Least: number(1)} }),
		wrong("parameters.lr is not exactly one", func(e *record.Envelope) {
			e.Parameters["lr"] = record.ParameterBound{Least: number(0), Most: number(1), Any: true}
		}),
		wrong("parameters.lr", func(e *record.Envelope) {
			e.Parameters["lr"] = record.ParameterBound{Least: number(0), Most: number(math.Inf(1))}
		}),
		wrong("evaluations is empty", func(e *record.Envelope) { e.Evaluations = nil }),
		wrong("evaluations.require", func(e *record.Envelope) { e.Evaluations[0].Require = "" }),
		wrong("small losses would add up", func(e *record.Envelope) { e.Evaluations[0].Anchor = nil }),
		wrong("how much worse", func(e *record.Envelope) { e.Evaluations[0].Anchor = number(-1) }),
		wrong("twice", func(e *record.Envelope) { e.Evaluations = append(e.Evaluations, e.Evaluations[0]) }),
		wrong("people.each", func(e *record.Envelope) { e.People.Each = -1 }),
		wrong("would leave no release", func(e *record.Envelope) { e.People.Each = 1 }),
		wrong("of what people let run", func(p *record.Promotion) {
			p.Envelope = &record.EnvelopeUse{Envelope: digest("e"), Use: 1, People: true}
		}),
		wrong("weekly", func(e *record.Envelope) { e.Weekly = 0 }),
		wrong("envelope", func(w *record.EnvelopeWithdrawal) { w.Envelope = "weekly" }),
		wrong("reason", func(w *record.EnvelopeWithdrawal) { w.Reason = "" }),
		wrong("an approval is of one", func(a *record.Approval) { a.Envelope = "env-0123456789ab" }),
		wrong("envelope.use", func(p *record.Promotion) { p.Envelope = &record.EnvelopeUse{Envelope: digest("e")} }),
		wrong("releases", func(e *record.Envelope) { e.Releases = 0 }),
		wrong("ends", func(e *record.Envelope) { e.Ends = time.Time{} }),
	}
}
