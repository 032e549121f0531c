package house_test

import (
	"flag"
	"fmt"
	"go/ast"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"imprimatur.dev/catalogue"
)

var updateAttacks = flag.Bool("update-attacks", false, "write docs/attacks.md anew from the table")

// attack is one that the tests perform: what somebody tries, what it is in OWASP's
// Top 10 for Agentic Applications of 2026 (ASI) and Non-Human Identities Top 10 of
// 2025 (NHI), and the tests, of which "Test/case" names one case of a table.
type attack struct {
	name  string
	tries string
	owasp []string
	tests []string
}

// attacks are the index of the named attacks. What each of them is stopped by
// stands in SECURITY.md.
var attacks = []attack{
	{"token replay", "a token or its proof is shown again, elsewhere, or by who does not hold its key", []string{"ASI03", "NHI2"}, []string{
		"TestAttacksOnAccess/an access token is stolen that is bound to a key", "TestAttacksOnAccess/a proof is used again, or for something else", "TestACertificateIsShown", "TestEndedAccessStaysEnded",
	}},
	{"audience confusion", "a token for one service is shown to another", []string{"ASI03", "NHI4"}, []string{
		"TestAttacksOnAccess/an access token is shown to who it is not for", "TestAttacksOnAccess/a platform's token for another service is exchanged", "TestAgentsReachTheGatewayWithAccessTokens",
	}},
	{"expired or not yet valid", "a token, an identity or a release is used before or after its time", []string{"NHI7", "NHI1"}, []string{
		"TestAttacksOnAccess/a token outside of its time is exchanged", "TestAccessEndsAtItsInstant", "TestAccessIsNoLongerThanWhatItRestsOn", "TestNHI7NoLeaseOutlivesWhatItRestsOn",
	}},
	{"algorithm tricks", "alg none, the public key as a secret, another algorithm's name, a key in the header", []string{"NHI4"}, []string{
		"TestAttacksOnAccess/an unsigned token, and one signed with the public key as a secret", "TestAttacksOnAccess/a header points to the attacker's own key",
	}},
	{"forged issuer", "an issuer that is not known, or whose name looks like a known one", []string{"ASI03", "NHI3"}, []string{
		"TestAttacksOnAccess/another issuer, and names that look like ours", "TestAttacksOnAccess/key IDs are invented to have the issuer asked",
	}},
	{"workload bound to another release", "a workload asks for the release, the identity, the session or the secret of another", []string{"ASI03", "NHI9"}, []string{
		"TestAttacksOnAccess/a workload asks for another's release", "TestAttacksOnAccess/claims that are nearly those of the identity", "TestAttackSessionsOfOthers", "TestNHI9AnotherTeamsSecretIsNotLent", "TestAReplacedReleaseTakesItsAuthorityAlong",
	}},
	{"tool renamed to a granted name", "a server gives a granted name to another tool, or changes what it is approved as", []string{"ASI02", "ASI04"}, []string{
		"TestAttackAServerTurns", "TestAttackAServerTurnsSilently",
	}},
	{"Unicode look-alikes", "a name that looks like a granted one, or an address like the granted host", []string{"ASI02"}, []string{
		"TestAttackLookAlikes", "TestHTTPRefusesWhatIsReadInTwoWays",
	}},
	{"arguments that dodge conditions", "names that come twice, other types, huge numbers, text within text, parts that are coded twice", []string{"ASI02"}, []string{
		"TestAttackMessagesThatAreReadInTwoWays", "TestParseArguments", "TestAConditionOverArgumentsDoesNotHoldForABodyThatCannotBeRead", "TestEnvoyRefusesWhatTheCalleeCouldReadOtherwise",
	}},
	{"path traversal in resource names", "a resource or a path that leads elsewhere than it says", []string{"ASI02", "ASI03"}, []string{
		"TestAttackPathTraversal", "TestHTTPNeverTakesTwoPathsForOne",
	}},
	{"budget races", "calls at once, over many connections and workloads, share the last that a grant has left", []string{"ASI02", "ASI08"}, []string{
		"TestAttackBudgetRace", "TestABudgetIsNotOverrunByCallsAtOnce", "TestTheLastCallIsGivenOnce",
	}},
	{"going around the gateway", "a workload calls the upstream itself, or has the gateway lead it elsewhere; a deployer names a model where the cluster's gate does not look", []string{"ASI03", "ASI10", "NHI2"}, []string{
		"TestAttackGoingAroundTheGateway", "TestInternalAddressesAreNotCalled", "TestSmugglingReachesNothing", "TestAdmissionHasNoWayAround",
	}},
	{"log flooding", "so many refusals that one is lost in them, or the disk is full", []string{"ASI08"}, []string{
		"TestAttackLogFlooding", "TestAFloodIsCountedAndBounded", "TestWhenTheDecisionLogCannotBeWrittenNothingIsAllowed",
	}},
	{"a release suspended in mid-call", "a call, a stream or a lease that was open goes on after the stop", []string{"ASI10", "NHI1"}, []string{
		"TestRule10AnOpenCallEndsWithItsRelease", "TestRule10StreamsAreStreamsAndEndWithTheRelease", "TestEgressFollowsTheRelease", "TestWhateverEndsEndsOpenLeasesWithinASecond",
	}},
	{"more from a broken glass than it names", "other gates, other grants, more time, a second one, a lower bar for the next release", []string{"ASI03", "NHI5"}, []string{
		"TestBrokenGlassEndsAtEveryDoor", "TestBrokenGlassOpensOnlyTheGrantsThatItNames", "TestBrokenGlassPassesOverNoOtherGate", "TestBrokenGlassNamesWhatItOpens", "TestNothingIsComparedWithABrokenGlass",
	}},
}

// The attacks that the suite must hold, whatever else it holds.
var mustTry = []string{
	"token replay", "audience confusion", "expired or not yet valid", "algorithm tricks", "forged issuer", "workload bound to another release",
	"tool renamed to a granted name", "Unicode look-alikes", "arguments that dodge conditions", "path traversal in resource names", "budget races",
	"going around the gateway", "log flooding", "a release suspended in mid-call", "more from a broken glass than it names",
}

// page is docs/attacks.md.
func page() string {
	var b strings.Builder
	b.WriteString(`# The named attacks

Each row is tried by the tests that it names, against the real parts; ` + "`go test -run NAME ./...`" + ` runs one. The identifiers are those of OWASP's Top 10 for Agentic
Applications (ASI, 2026) and Non-Human Identities Top 10 (NHI, 2025), as near as they come. SECURITY.md says what stops each, and what is not defended. A test of
the tree holds this page to the tests that there are.

| attack | what is tried | OWASP | tests |
|---|---|---|---|
`)
	for _, a := range attacks {
		tests := make([]string, len(a.tests))
		for i, name := range a.tests {
			test, part, _ := strings.Cut(name, "/")
			if tests[i] = "`" + test + "`"; part != "" {
				tests[i] += " (" + part + ")"
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", a.name, a.tries, strings.Join(a.owasp, ", "), strings.Join(tests, "; "))
	}
	return b.String()
}

func TestTheNamedAttacksAreTried(t *testing.T) {
	tr := realTree(t)
	found, cases := map[string]bool{}, map[string]bool{}
	for _, f := range tr.files {
		if !f.isTest || f.path == "attacks_test.go" {
			continue
		}
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				found[fn.Name.Name] = true
			}
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok {
				if text, err := strconv.Unquote(lit.Value); err == nil {
					cases[text] = true
				}
			}
			return true
		})
	}
	var names []string
	for _, a := range attacks {
		names = append(names, a.name)
		if len(a.tests) == 0 || len(a.owasp) == 0 {
			t.Errorf("the attack %q has no test, or no identifier", a.name)
		}
		for _, id := range a.owasp {
			list, edition := "owasp-agentic", "2026"
			if strings.HasPrefix(id, "NHI") {
				list, edition = "owasp-nhi", "2025"
			}
			if _, _, ok := catalogue.Entry(catalogue.Ref{Catalogue: list, Edition: edition, ID: id}); !ok {
				t.Errorf("the attack %q: %s is not in %s %s", a.name, id, list, edition)
			}
		}
		for _, name := range a.tests {
			test, part, _ := strings.Cut(name, "/")
			if !found[test] || part != "" && !cases[part] {
				t.Errorf("the attack %q names the test %s, which there is not", a.name, name)
			}
		}
	}
	for _, name := range mustTry {
		if !slices.Contains(names, name) {
			t.Errorf("the attack %q is not in the table", name)
		}
	}
	if *updateAttacks {
		if err := os.WriteFile("docs/attacks.md", []byte(page()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if is, err := os.ReadFile("docs/attacks.md"); err != nil || string(is) != page() {
		t.Errorf("docs/attacks.md is not the table (%v); write it anew with go test . -run NamedAttacks -update-attacks", err)
	}
}
