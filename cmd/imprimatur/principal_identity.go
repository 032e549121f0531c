package main

import (
	"crypto/x509"
	"encoding/pem"
	"strings"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// principalIdentityCmd is "imprimatur principal identity".
type principalIdentityCmd struct {
	Add       principalIdentityAddCmd       `cmd:"" help:"Bind what a platform vouches for to a workload: whoever shows it gets the workload's tokens."`
	List      principalIdentityListCmd      `cmd:"" help:"List identities, and when each was last shown."`
	End       principalIdentityEndCmd       `cmd:"" help:"End an identity for good, with the tokens that were given for it."`
	EndAccess principalIdentityEndAccessCmd `cmd:"" name:"end-access" help:"End all access tokens that a workload was given until now."`
}

type principalIdentityAddCmd struct {
	Workload string `arg:"" help:"The workload, which is enrolled."`

	Kubernetes  string `xor:"platform" placeholder:"ISSUER" help:"A cluster's issuer: needs --namespace and --service-account."`
	GitHub      string `xor:"platform" name:"github" placeholder:"ISSUER" help:"The issuer of GitHub Actions: needs --repository-id, and --environment, --ref or --workflow."`
	GitLab      string `xor:"platform" name:"gitlab" placeholder:"ISSUER" help:"The issuer of GitLab: needs --project-id, and --environment or --ref."`
	SPIFFE      string `xor:"platform" name:"spiffe" placeholder:"spiffe://DOMAIN/PATH" help:"A SPIFFE ID, by JWT-SVID or X.509-SVID."`
	Certificate string `xor:"platform" placeholder:"FILE" help:"A client certificate in PEM."`

	Namespace      string `placeholder:"NAME" help:"The namespace of the service account."`
	ServiceAccount string `placeholder:"NAME" help:"The service account."`
	Pod            string `placeholder:"NAME" help:"Only this pod."`
	RepositoryID   string `placeholder:"NUMBER" help:"The repository, by the number that stays when it is renamed."`
	ProjectID      string `placeholder:"NUMBER" help:"The project, by the number that stays when it is renamed."`
	Environment    string `placeholder:"NAME" help:"The platform's environment in which the job runs."`
	Ref            string `placeholder:"REF" help:"The branch or tag, such as refs/heads/main."`
	Workflow       string `placeholder:"REF" help:"The workflow file with its ref, as job_workflow_ref has it."`

	Claim   map[string]string `placeholder:"POINTER=TEXT" help:"Another claim that must have this text, by JSON Pointer such as /runner_environment; may be repeated."`
	Expires moment            `placeholder:"DATE" help:"When it ends: 2026-12-31 or 90d."`
}

// Help implements kong.HelpProvider.
func (c *principalIdentityAddCmd) Help() string {
	return `The server takes the word of the issuers alone that imprimatur serve --identity-issuers names.

  imprimatur principal identity add scorer --kubernetes https://kubernetes.default.svc --namespace prod --service-account scorer
  imprimatur principal identity add trainer --github https://token.actions.githubusercontent.com --repository-id 74 --environment production
  imprimatur principal identity add scorer --spiffe spiffe://example.org/prod/scorer`
}

// Run implements the command.
func (c *principalIdentityAddCmd) Run(a *app) error {
	in, err := c.identity(a)
	if err != nil {
		return err
	}
	got, err := a.client().AddIdentity(a.ctx, in)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		p.line("whoever shows %s is %s from now on (%s)", got.Record.Shows(), c.Workload, got.Record.ID)
		p.styled(quiet, "they get tokens at %s/oauth2/token while a release that stands names the workload", a.server())
	})
}

func (c *principalIdentityAddCmd) identity(a *app) (record.Identity, error) {
	in := record.Identity{Workload: c.Workload, Claims: map[string]string{}, Expires: c.Expires.after(a.now())}
	for name, text := range c.Claim {
		in.Claims[name] = text
	}
	hold := func(name, text string) {
		if text != "" {
			in.Claims[name] = text
		}
	}
	hold("/kubernetes.io/namespace", c.Namespace)
	hold("/kubernetes.io/serviceaccount/name", c.ServiceAccount)
	hold("/kubernetes.io/pod/name", c.Pod)
	hold("/repository_id", c.RepositoryID)
	hold("/project_id", c.ProjectID)
	hold("/environment", c.Environment)
	hold("/ref", c.Ref)
	hold("/job_workflow_ref", c.Workflow)
	switch {
	case c.Kubernetes != "":
		in.Type, in.Issuer = record.IdentityKubernetes, c.Kubernetes
	case c.GitHub != "":
		in.Type, in.Issuer = record.IdentityGitHub, c.GitHub
	case c.GitLab != "":
		in.Type, in.Issuer = record.IdentityGitLab, c.GitLab
	case c.SPIFFE != "":
		rest, _ := strings.CutPrefix(c.SPIFFE, "spiffe://")
		domain, _, _ := strings.Cut(rest, "/")
		in.Type, in.Issuer = record.IdentitySPIFFE, "spiffe://"+domain
		hold("/sub", c.SPIFFE)
	case c.Certificate != "":
		digest, err := certificateIn(a, c.Certificate)
		in.Type, in.Certificate = record.IdentityCertificate, digest
		return in, err
	default:
		return in, wrongf("say what is shown: --kubernetes, --github, --gitlab, --spiffe or --certificate")
	}
	return in, nil
}

func certificateIn(a *app, path string) (record.Digest, error) {
	raw, err := a.readFile(path, "the certificate")
	if err != nil {
		return "", err
	}
	block, _ := pem.Decode(raw)
	if block == nil || block.Type != "CERTIFICATE" {
		return "", wrongf("%s holds no certificate in PEM", path)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", wrongf("%s: %w", path, err)
	}
	return record.DigestOf(c.Raw), nil
}

type principalIdentityListCmd struct {
	Workload string `arg:"" optional:"" help:"Whose; else all."`
}

// Run implements the command.
func (c *principalIdentityListCmd) Run(a *app) error {
	got, err := a.client().Identities(a.ctx, c.Workload)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		if len(got) == 0 {
			p.line("none; bind one with imprimatur principal identity add")
			return
		}
		rows := [][]cell{heading("ID", "WORKLOAD", "TYPE", "EXPIRES", "LAST SHOWN", "", "SHOWS")}
		for _, k := range got {
			i := k.Identity.Record
			state := cell{"stands", good}
			switch {
			case i.Revoked:
				state = cell{"ended: " + i.Reason, bad}
			case !i.Stands(a.now()):
				state = cell{"expired", bad}
			}
			rows = append(rows, append(append(texts(i.ID, i.Workload, i.Type, day(i.Expires), day(k.Used)), state), cell{text: i.Shows()}))
		}
		p.table(rows)
	})
}

type principalIdentityEndCmd struct {
	ID     string `arg:"" help:"Such as i-0123456789abcdef; imprimatur principal identity list shows them."`
	Reason string `required:"" placeholder:"TEXT" help:"Why; it stands in the ledger."`
}

// Run implements the command.
func (c *principalIdentityEndCmd) Run(a *app) error {
	got, err := a.client().EndIdentity(a.ctx, c.ID, wire.Stop{Reason: c.Reason})
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		p.line("the identity %s of %s is ended, with the tokens that were given for it", got.Record.ID, got.Record.Workload)
	})
}

type principalIdentityEndAccessCmd struct {
	Workload string `arg:"" help:"The workload."`
	Reason   string `required:"" placeholder:"TEXT" help:"Why; it stands in the ledger."`
}

// Run implements the command.
func (c *principalIdentityEndAccessCmd) Run(a *app) error {
	got, err := a.client().EndAccess(a.ctx, c.Workload, wire.Stop{Reason: c.Reason})
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		p.line("all access tokens of %s until now are ended; it may ask for new ones", got.Record.Workload)
	})
}
