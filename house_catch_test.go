package house_test

import (
	"strings"
	"testing"
	"testing/fstest"
)

const described = "// Package p does\n// one thing\n// and says so.\npackage p\n"

// Each rule with one or more trees that break it and one or more that look
// alike and do not. A good tree breaks no rule at all, its own or another.
var catches = []struct {
	rule      string
	bad, good []map[string]string
}{
	{
		rule: "imports point downwards",
		bad: []map[string]string{
			{"record/a.go": described + `import _ "imprimatur.dev/store"`},
			{"policy/cel/a.go": described + `import _ "imprimatur.dev/ledger"`},
			{"client/a.go": described + `import _ "imprimatur.dev/server/api"`},
			{"server/a.go": described + `import _ "imprimatur.dev/cmd/imprimatur"`},
			{"demo/a.go": described + `import _ "imprimatur.dev/cmd/imprimatur"`},
			{"novel/a.go": described},
			{"a.go": described},
		},
		good: []map[string]string{
			{"server/a.go": described + "import (\n_ \"imprimatur.dev/server/api\"\n_ \"imprimatur.dev/store\"\n)"},
			{"record/a_test.go": "package p\nimport _ \"imprimatur.dev/store\""},
			{"interop/go.mod": "module imprimatur.dev/interop", "interop/a.go": described + `import _ "imprimatur.dev/store"`},
		},
	},
	{
		rule: "pure rooms do no I/O and know no clock",
		bad: []map[string]string{
			{"policy/a.go": described + `import "os"`},
			{"drift/a.go": described + `import "net/http"`},
			{"lineage/a.go": described + `import "database/sql"`},
			{"authority/a.go": described + "import \"time\"\nvar x = time.Now()"},
			{"authority/a.go": described + "import t \"time\"\nvar clock = t.Now"},
			{"authority/a.go": described + "import . \"time\"\nvar x = Now()"},
		},
		good: []map[string]string{
			{"policy/a.go": described + "import (\n\"net/url\"\n\"time\"\n)\nvar x time.Time\nvar y url.URL"},
			{"policy/a_test.go": "package p\nimport \"os\"\nimport \"time\"\nvar x = time.Now()"},
			{"store/a.go": described + "import \"os\"\nimport \"time\"\nvar x = time.Now()"},
		},
	},
	{
		rule: "test kits are imported by tests only",
		bad:  []map[string]string{{"store/a.go": described + `import _ "imprimatur.dev/store/storetest"`}},
		good: []map[string]string{
			{"store/a_test.go": "package p\nimport _ \"imprimatur.dev/store/storetest\""},
			{"registry/registrytest/a.go": described + `import _ "imprimatur.dev/store/storetest"`},
			{"store/a.go": described + `import _ "imprimatur.dev/attest"`},
		},
	},
	{
		rule: "banned imports",
		bad: []map[string]string{
			{"store/a.go": described + `import "encoding/json"`},
			{"store/a_test.go": "package p\nimport \"encoding/json\""},
			{"store/a_test.go": "package p\nimport \"github.com/stretchr/testify/require\""},
		},
		good: []map[string]string{{"store/a.go": described + `import "github.com/go-json-experiment/json"`}},
	},
	{
		rule: "folders have names that mean something",
		bad: []map[string]string{
			{"store/util/a.txt": ""},
			{"pkg/store/a.txt": ""},
			{"server/services/x/a.txt": ""},
		},
		good: []map[string]string{{"store/utility.txt": "", "evidence/testdata/common/a.json": "{}"}},
	},
	{
		rule: "files are short",
		bad: []map[string]string{
			{"store/a.go": described + strings.Repeat("\n", 497)},
			{"store/a_test.go": "package p\n" + strings.Repeat("\n", 800)},
		},
		good: []map[string]string{
			{"store/a.go": described + strings.Repeat("\n", 496)},
			{"store/a_test.go": "package p\n" + strings.Repeat("\n", 799)},
		},
	},
	{
		rule: "functions are short",
		bad: []map[string]string{
			{"store/a.go": described + "func f() {\n" + strings.Repeat("\n", 101) + "}\n"},
			{"store/a_test.go": "package p\nvar f = func() {\n" + strings.Repeat("\n", 101) + "}\n"},
		},
		good: []map[string]string{{"store/a.go": described + "func f() {\n" + strings.Repeat("\n", 100) + "}\n"}},
	},
	{
		rule: "packages say what they are",
		bad: []map[string]string{
			{"store/a.go": "package store\n"},
			{"store/a.go": "// Package store keeps\n//\n//\n// things.\npackage store\n"},
			{"cmd/x/main.go": "// Short.\npackage main\n"},
		},
		good: []map[string]string{
			{"store/a.go": described, "store/b.go": "package p\n"},
			{"store/a_test.go": "package p\n"},
		},
	},
	{
		rule: "exported names are documented",
		bad: []map[string]string{
			{"store/a.go": described + "func F() {}"},
			{"store/a.go": described + "type T struct{}"},
			{"store/a.go": described + "// T is one.\ntype T struct{}\nfunc (t *T) M() {}"},
			{"store/a.go": described + "const (\n\tA = 1\n)"},
			{"store/a.go": described + "var V int"},
		},
		good: []map[string]string{
			{"store/a.go": described + "// F does.\nfunc F() {}\n// Kinds of thing.\nconst (\nA = 1\nB = 2\n)\nvar (\nV int // counts\n)"},
			{"store/a.go": described + "type t[E any] struct{}\nfunc (t[E]) M() {}\n// T is one.\ntype T struct{}\nfunc (T) Error() string { return \"\" }"},
			{"store/a_test.go": "package p\nfunc TestX() {}"},
			{"cmd/x/main.go": strings.Replace(described, "package p", "package main", 1) + "type Flags struct{}"},
		},
	},
	{
		rule: "tests neither skip nor sleep",
		bad: []map[string]string{
			{"store/a_test.go": "package p\nimport \"testing\"\nfunc TestX(t *testing.T) { t.Skip() }"},
			{"store/a_test.go": "package p\nimport \"testing\"\nfunc BenchmarkX(b *testing.B) { b.Skipf(\"no %s\", \"x\") }"},
			{"store/a_test.go": "package p\nimport z \"time\"\nfunc f() { z.Sleep(1) }"},
			{"store/storetest/a.go": described + "import \"testing\"\nfunc need(t testing.TB) { t.SkipNow() }"},
			{"cmd/x/testdata/a.txtar": "exec imprimatur\n[!linux] skip 'no'\n"},
			{"cmd/x/testdata/a.txt": "exec sleep 1\n"},
		},
		good: []map[string]string{
			{"store/a.go": described + "import \"time\"\nfunc f() { time.Sleep(1) }"},
			{"cmd/x/testdata/a.txtar": "exec imprimatur\n-- file --\nskip this\n"},
		},
	},
	{
		rule: "no unfinished business",
		bad: []map[string]string{
			{"store/a.go": described + "// TO" + "DO: more"},
			{"docs/a.md": "FIX" + "ME"},
		},
		good: []map[string]string{{"docs/a.md": "MASTO" + "DON", "evidence/testdata/a.json": `"TO` + `DO"`}},
	},
	{
		rule: "no place of one machine",
		bad: []map[string]string{
			{"scripts/a.sh": "cd /wo" + "rk/main"},
			{"evidence/testdata/a.json": `"/ro` + `ot/.cache/x"`},
		},
		good: []map[string]string{{"scripts/a.sh": "cd $HOME/wo" + "rk/main; ls trust/ro" + "ot/key"}},
	},
	{
		rule: "no package registry's host",
		bad: []map[string]string{
			{"Makefile": "GOPROXY=https://proxy.golang" + ".org"},
			{"docs/a.md": "see https://PyPI" + ".org/project/x"},
		},
		good: []map[string]string{{"docs/a.md": "see pypi_org and the Go proxy"}},
	},
}

func TestRulesCatch(t *testing.T) {
	byName := map[string]rule{}
	for _, r := range rules {
		byName[r.name] = r
	}
	for _, c := range catches {
		r, known := byName[c.rule]
		if !known {
			t.Fatalf("no rule is named %q", c.rule)
		}
		delete(byName, c.rule)
		for i, files := range c.bad {
			if len(r.check(fixture(t, files))) == 0 {
				t.Errorf("%s: bad tree %d passes: %v", c.rule, i, files)
			}
		}
		for i, files := range c.good {
			tr := fixture(t, files)
			for _, r := range rules {
				for _, problem := range r.check(tr) {
					t.Errorf("%s: good tree %d breaks %q: %s", c.rule, i, r.name, problem)
				}
			}
		}
	}
	for name := range byName {
		t.Errorf("no fixture proves that %q catches anything", name)
	}
}

func TestLoadRefusesBrokenGo(t *testing.T) {
	if _, err := load(fstest.MapFS{"store/a.go": {Data: []byte("package")}}); err == nil {
		t.Error("a file that does not parse was read without an error")
	}
}

func fixture(t *testing.T, files map[string]string) *tree {
	t.Helper()
	fsys := fstest.MapFS{}
	for p, src := range files {
		fsys[p] = &fstest.MapFile{Data: []byte(src)}
	}
	tr, err := load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}
