package registry_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// wayOn matches the part of a refusal that says who or what mends it: after the
// fault, a command or an instruction.
var wayOn = regexp.MustCompile(`[;:.,] .*(imprimatur [a-z]+ |propose |register |promote it|give |send |sign in|use a new|ask |check |name |another person|a person with|an administrator|approve (as|with|again)|enrol |make a new one|take (another|a few)|bind it|try again|report it)`)

// TestRule12EveryRefusalSaysWhatCanBeDone reads the package's own source, so that
// a refusal which nothing provokes is held to the rule as well.
func TestRule12EveryRefusalSaysWhatCanBeDone(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if id, ok := call.Fun.(*ast.Ident); !ok || id.Name != "refusef" {
				return true
			}
			lit, ok := call.Args[1].(*ast.BasicLit)
			if !ok {
				t.Errorf("%s: a refusal is not a literal sentence", name)
				return true
			}
			text, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			seen++
			// What only passes on another's sentence is tested where that is written.
			passesOn := text == "%w" || text == "%s" || strings.HasSuffix(text, "; %s") || strings.HasSuffix(text, "policy %s: %s")
			if !passesOn && !wayOn.MatchString(", "+text) {
				t.Errorf("%s: the refusal says no way on: %q", name, text)
			}
			return true
		})
	}
	if seen < 50 {
		t.Errorf("only %d refusals were found; is refusef still their name?", seen)
	}
}

// TestRule12RefusalsNameTheMissingAndWhoMendsIt provokes refusals that the other
// tests do not.
func TestRule12RefusalsNameTheMissingAndWhoMendsIt(t *testing.T) {
	h := open(t)
	c := h.live("1")
	proposal := func(version, use, env string) error {
		return only(h.reg.ProposeRelease(h.ctx, ann, wire.Proposal{Version: version, UseCase: use, Environment: env}))
	}
	token := func(p string, seconds int64, scopes ...string) error {
		return only(h.reg.IssueToken(h.ctx, ann, wire.TokenRequest{Principal: p, Scopes: scopes, Seconds: seconds}))
	}
	for _, x := range []struct {
		err  error
		code wire.Code
		says []string
	}{
		{proposal("lab/net@9", "lab/triage", "production"), wire.Unknown, []string{"the model version lab/net@9 is not known", "imprimatur model register"}},
		{proposal("lab/net@1", "lab/none", "production"), wire.Unknown, []string{"the use case lab/none", "imprimatur usecase register"}},
		{proposal("lab/net@1", "lab/triage", "moon"), wire.Unknown, []string{"the environment moon", "administrator", "imprimatur principal environment moon"}},
		{only(h.reg.CheckRelease(h.ctx, rita, "r-000000000000")), wire.Unknown, []string{"the release r-000000000000", "imprimatur release list"}},
		{only(h.reg.Approve(h.ctx, olga, wire.Word{Release: c.ID, Role: record.Viewer})), wire.Invalid, []string{`nobody approves in the role "viewer"`, "model-owner or risk"}},
		{only(h.approve(h.holder(record.Auditor, "lab", record.Principal{Name: "audrey"}), record.Auditor, c)), wire.Invalid, []string{"asks for no approval by auditor", "approve as model-owner or risk or security"}},
		{only(h.reg.Promote(h.ctx, olga, c.ID)), wire.Conflict, []string{"live already", "imprimatur release show " + c.ID}},
		{only(h.reg.Rollback(h.ctx, olga, c.ID, "", "r")), wire.Refused, []string{"nothing ran in " + c.Line, "imprimatur release suspend " + c.ID}},
		{only(h.reg.DiffReleases(h.ctx, rita, "", c.ID)), wire.Refused, []string{"nothing was live", "name the release"}},
		{only(h.reg.Suspend(h.ctx, sam, c.ID, "r", true)), wire.Conflict, []string{"is live, so there is nothing to lift", "imprimatur release show"}},
		{only(h.reg.BreakGlass(h.ctx, sam, c.ID, h.glass(c.ID, "r", time.Hour))), wire.Conflict, []string{"stands already"}},
		{only(h.reg.BreakGlass(h.ctx, sam, c.ID, h.glass(c.ID, "r", 73*time.Hour))), wire.Invalid, []string{"at most 72 hours"}},
		{only(h.reg.Waive(h.ctx, rita, c.ID, "nothing", "r", time.Hour)), wire.Invalid, []string{`no gate "nothing"`, "imprimatur release check " + c.ID}},
		{only(h.reg.ReviewException(h.ctx, rita, "x-000000000000", record.Upheld, "r")), wire.Unknown, []string{"the exception x-000000000000", "imprimatur release show"}},
		{token("nobody", 60, "write"), wire.Unknown, []string{`no principal "nobody"`, "imprimatur principal enrol nobody"}},
		{token("ann", 0, "write"), wire.Invalid, []string{"at most 366 days"}},
		{token("rita", 60, "write"), wire.Forbidden, []string{"issue tokens for others", "administrator"}},
		{only(h.reg.BindRole(h.ctx, administrator, record.Role{Principal: "ann", Role: record.Viewer, Team: "moon"})), wire.Unknown, []string{"the team moon", "imprimatur principal team moon"}},
		{only(h.reg.EnrolPrincipal(h.ctx, administrator, record.Principal{Name: "w", Type: record.Workload, Owner: "robot"})), wire.Invalid, []string{`owner "robot"`, "not a human", "imprimatur principal enrol"}},
		{only(h.reg.Impact(h.ctx, rita, "what", "", 0)), wire.Invalid, []string{"no name of a node", "TEAM/NAME@VERSION"}},
		{only(h.reg.Impact(h.ctx, rita, "lab/none@1", "", 0)), wire.Unknown, []string{"lab/none@1", "imprimatur dataset register"}},
		{only(h.reg.LogTile(h.ctx, "nonsense")), wire.Unknown, nil},
		{only(h.reg.Evidence(h.ctx, rita, "md5:00")), wire.Invalid, nil},
	} {
		h.refused(x.err, x.code, x.says...)
	}
}

// TestRule12AVerdictSaysAllThatIsMissing proposes a release that lacks everything.
func TestRule12AVerdictSaysAllThatIsMissing(t *testing.T) {
	h := open(t)
	h.train("1", false)
	c := must[wire.Case](t)(h.reg.ProposeRelease(h.ctx, ann, wire.Proposal{Version: "lab/net@1", UseCase: "lab/triage", Environment: "production", Incomplete: true}))
	blocking := c.Verdict.Blocking()
	if len(blocking) != 5 {
		t.Errorf("%d gates block, want data, accuracy and three approvals", len(blocking))
	}
	for _, g := range blocking {
		if g.Reason == "" || !strings.Contains(g.Rule, "olicy house") || len(g.Who) == 0 || !strings.HasPrefix(g.Do, "imprimatur ") {
			t.Errorf("the gate %s says too little: %+v", g.Name, g)
		}
		for _, role := range g.Who {
			if len(c.Approvers[role]) == 0 {
				t.Errorf("nobody is named for %s of %s", role, g.Name)
			}
		}
	}
	_, err := h.reg.Promote(h.ctx, olga, c.ID)
	for _, g := range blocking {
		h.refused(err, wire.Refused, g.Name, g.Reason)
	}
}
