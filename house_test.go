// Package house_test holds the rules of the house: how the packages of this
// module may lean on each other, and how their files are written. Each rule is
// a function from the parsed source tree to the sentences that say where it is
// broken. TestHouse runs all of them over the real tree; TestRulesCatch runs
// each over a small tree that breaks it, so that no rule is satisfied by
// looking at nothing.
package house_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "imprimatur.dev"

// Each room (top-level folder) with the rooms that its product code may
// import. Within a room, sub-packages may import each other. Tests are free:
// an external test may drive a lower room from above.
var mayImport = map[string][]string{
	"record":     {},
	"guard":      {},
	"statistics": {},
	"catalogue":  {},
	"token":      {},
	"commitment": {"record"},
	"drift":      {"record", "statistics"},
	"authority":  {"record"},
	"probe":      {"record"},
	"lineage":    {"record"},
	"policy":     {"record", "authority", "lineage", "statistics", "catalogue", "drift"},
	"wire":       {"record", "authority", "drift"},
	"inventory":  {"record", "authority", "catalogue", "wire"},
	"evidence":   {"record", "statistics", "catalogue", "drift"},
	"artifact":   {"record"},
	"attest":     {"record", "artifact"},
	"ledger":     {"record", "attest"},
	"verify":     {"record", "authority", "lineage", "policy", "attest", "ledger", "artifact"},
	"store":      {"record", "attest", "ledger"},
	"notify":     {"record", "guard"},
	"registry":   belowRegistry,
	"gateway":    append([]string{"registry"}, belowRegistry...),
	"tracking":   {"record", "artifact", "wire", "registry"},
	"vault":      {"record", "wire", "registry"},
	"server":     append([]string{"registry", "tracking"}, belowRegistry...),
	"client":     {"record", "policy", "wire"},
	"demo":       append([]string{"client", "server", "gateway", "tracking", "registry"}, belowRegistry...),
	"cmd":        append([]string{"demo", "client", "server", "gateway", "tracking", "vault", "registry"}, belowRegistry...),
}

var belowRegistry = []string{
	"record", "statistics", "catalogue", "commitment", "drift", "authority", "lineage", "policy", "wire", "inventory",
	"evidence", "artifact", "attest", "ledger", "verify", "store", "guard", "notify", "token", "probe",
}

// Rooms that do no I/O and know no clock: the same input gives the same answer
// on a server today and on an auditor's laptop years later.
var pureRooms = []string{"record", "statistics", "catalogue", "commitment", "drift", "authority", "lineage", "policy", "inventory", "probe"}

// Files that may import encoding/json, each with its reason.
var mayUseEncodingJSON = map[string]string{}

const (
	maxLines         = 500
	maxTestLines     = 800
	maxFunctionLines = 100
	minPackageDoc    = 3
)

// A rule returns one sentence, starting with file:line or a folder, for each
// place that breaks it.
type rule struct {
	name  string
	check func(*tree) []string
}

var rules = []rule{
	{"imports point downwards", importsPointDownwards},
	{"pure rooms do no I/O and know no clock", pureRoomsArePure},
	{"test kits are imported by tests only", testKitsInTestsOnly},
	{"banned imports", noBannedImports},
	{"folders have names that mean something", noVagueFolders},
	{"files are short", filesAreShort},
	{"functions are short", functionsAreShort},
	{"packages say what they are", packagesAreDescribed},
	{"exported names are documented", exportsAreDocumented},
	{"tests neither skip nor sleep", testsNeitherSkipNorSleep},
	{"no unfinished business", nothingLeftUndone},
	{"no place of one machine", noMachinePaths},
	{"no package registry's host", noRegistryHosts},
}

func TestHouse(t *testing.T) {
	tr := realTree(t)
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, problem := range r.check(tr) {
				t.Error(problem)
			}
		})
	}
}

func realTree(t *testing.T) *tree {
	t.Helper()
	tr, err := load(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	if len(tr.files) == 0 || len(tr.texts) <= len(tr.files) {
		t.Fatalf("read %d Go files and %d text files: the test does not run at the root of the tree", len(tr.files), len(tr.texts))
	}
	return tr
}

// tree is the source as the rules see it: every text file, and the Go files
// among them parsed.
type tree struct {
	fset    *token.FileSet
	texts   map[string][]byte // by slash-separated path from the root
	files   []*goFile         // in path order
	modules []string          // folders of nested modules, which rules of this module's layers leave out
}

type goFile struct {
	path   string
	room   string // first folder of the path; "" at the root and in a nested module
	isTest bool   // *_test.go
	isKit  bool   // in a folder such as storetest: code for tests, in an importable package
	nested bool   // belongs to another module
	syntax *ast.File
}

func load(fsys fs.FS) (*tree, error) {
	tr := &tree{fset: token.NewFileSet(), texts: map[string][]byte{}}
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if p == ".git" || p == "bin" || p == "imprimatur-data" {
				return fs.SkipDir
			}
			return nil
		}
		// In a linked work tree .git is a file, which says where the rest is.
		if !d.Type().IsRegular() || p == ".git" {
			return nil
		}
		src, err := fs.ReadFile(fsys, p)
		if err != nil {
			return err
		}
		if bytes.IndexByte(src[:min(len(src), 8000)], 0) < 0 {
			tr.texts[p] = src
		}
		if path.Base(p) == "go.mod" && p != "go.mod" {
			tr.modules = append(tr.modules, path.Dir(p))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the tree: %w", err)
	}
	return tr, tr.parse()
}

func (tr *tree) parse() error {
	for _, p := range tr.paths() {
		if !strings.HasSuffix(p, ".go") || inTestdata(p) {
			continue
		}
		syntax, err := parser.ParseFile(tr.fset, p, tr.texts[p], parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("parsing: %w", err)
		}
		f := &goFile{
			path:   p,
			isTest: strings.HasSuffix(p, "_test.go"),
			isKit:  isTestKit(path.Dir(p)),
			nested: slices.ContainsFunc(tr.modules, func(dir string) bool { return strings.HasPrefix(p, dir+"/") }),
			syntax: syntax,
		}
		if first, _, inFolder := strings.Cut(p, "/"); inFolder && !f.nested {
			f.room = first
		}
		tr.files = append(tr.files, f)
	}
	return nil
}

func (tr *tree) paths() []string {
	paths := make([]string, 0, len(tr.texts))
	for p := range tr.texts {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths
}

// at formats one problem with its place.
func (tr *tree) at(n ast.Node, format string, args ...any) string {
	pos := tr.fset.Position(n.Pos())
	return fmt.Sprintf("%s:%d: %s", pos.Filename, pos.Line, fmt.Sprintf(format, args...))
}

func inTestdata(p string) bool {
	return slices.Contains(strings.Split(p, "/"), "testdata")
}

// isTestKit tells by the folder's name: httptest is one, attest is not.
func isTestKit(dir string) bool {
	return strings.HasSuffix(dir, "test") && path.Base(dir) != "attest"
}

func importPath(spec *ast.ImportSpec) string {
	p, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return spec.Path.Value
	}
	return p
}

// ourRoom returns the room of an import path of this module.
func ourRoom(imported string) (room string, ours bool) {
	rest, ours := strings.CutPrefix(imported, module+"/")
	room, _, _ = strings.Cut(rest, "/")
	return room, ours
}

// nameOf returns the name under which f refers to the imported package, or ""
// if f does not import it. The default is the last element of the path.
func (f *goFile) nameOf(imported string) string {
	for _, spec := range f.syntax.Imports {
		if importPath(spec) != imported {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(imported)
	}
	return ""
}

// uses returns every mention in f of one of the named members of a package,
// called or passed on as a value. A dot import hides mentions, so it counts as one.
func (f *goFile) uses(imported string, members ...string) []ast.Node {
	name := f.nameOf(imported)
	if name == "" {
		return nil
	}
	if name == "." {
		return []ast.Node{f.syntax.Name}
	}
	var found []ast.Node
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if id, ok := sel.X.(*ast.Ident); ok && id.Name == name && slices.Contains(members, sel.Sel.Name) {
				found = append(found, sel)
			}
		}
		return true
	})
	return found
}
