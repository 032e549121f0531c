package house_test

import (
	"fmt"
	"go/ast"
	"regexp"
	"testing"
)

// The rules are those of ARCHITECTURE.md, numbered 1 to 13: the system is what
// it is by them, so each is held by at least one test that carries its number,
// as in TestRule05SeparationFromLineage.
const numberedRules = 13

var ruleTestName = regexp.MustCompile(`^TestRule(\d\d)[A-Z]`)

func TestEveryRuleHasATest(t *testing.T) {
	for _, problem := range rulesWithoutTest(realTree(t)) {
		t.Error(problem)
	}
}

func TestEveryRuleHasATestCatches(t *testing.T) {
	tr := fixture(t, map[string]string{
		"store/a_test.go": "package p\nimport \"testing\"\nfunc TestRule01OneWritePath(t *testing.T) {}\n" +
			"func TestRule02(t *testing.T) {}\nfunc TestRule14Unknown(t *testing.T) {}\n",
		"store/a.go": described + "func TestRule03InProductCode() {}\n",
	})
	// 2 to 13 have no test: 02 has no words, 03 is no test; 14 is no rule.
	if got := rulesWithoutTest(tr); len(got) != 13 {
		t.Errorf("%d problems, want 12 rules without a test and 1 test of no rule: %q", len(got), got)
	}
}

func rulesWithoutTest(tr *tree) (problems []string) {
	held := map[string]bool{}
	for _, f := range tr.files {
		if !f.isTest {
			continue
		}
		for _, decl := range f.syntax.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Recv != nil {
				continue
			}
			if m := ruleTestName.FindStringSubmatch(fn.Name.Name); m != nil {
				held[m[1]] = true
			}
		}
	}
	for n := 1; n <= numberedRules; n++ {
		number := fmt.Sprintf("%02d", n)
		if !held[number] {
			problems = append(problems, fmt.Sprintf("rule %d has no test: write a TestRule%s… that breaks it and sees the refusal", n, number))
		}
		delete(held, number)
	}
	for number := range held {
		problems = append(problems, fmt.Sprintf("TestRule%s… names a rule that does not exist", number))
	}
	return problems
}
