package house_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"
)

func importsPointDownwards(tr *tree) (problems []string) {
	for _, f := range tr.files {
		if f.isTest || f.nested {
			continue
		}
		allowed, known := mayImport[f.room]
		if !known {
			problems = append(problems, tr.at(f.syntax, "product code in %q, which has no row in the table of rooms", f.room))
			continue
		}
		for _, spec := range f.syntax.Imports {
			room, ours := ourRoom(importPath(spec))
			if ours && room != f.room && !slices.Contains(allowed, room) {
				problems = append(problems, tr.at(spec, "%s may not import %s", f.room, importPath(spec)))
			}
		}
	}
	return problems
}

func pureRoomsArePure(tr *tree) (problems []string) {
	impure := []string{"os", "net", "database/sql", "syscall", "log", "golang.org/x/sys"}
	parsersOnly := []string{"net/url", "net/netip", "net/mail"}
	clock := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}
	for _, f := range tr.files {
		if f.isTest || !slices.Contains(pureRooms, f.room) {
			continue
		}
		for _, spec := range f.syntax.Imports {
			p := importPath(spec)
			isImpure := func(root string) bool { return p == root || strings.HasPrefix(p, root+"/") }
			if slices.ContainsFunc(impure, isImpure) && !slices.Contains(parsersOnly, p) {
				problems = append(problems, tr.at(spec, "%s is pure and may not import %s", f.room, p))
			}
		}
		for _, n := range f.uses("time", clock...) {
			problems = append(problems, tr.at(n, "%s is pure: the time is an argument", f.room))
		}
	}
	return problems
}

func testKitsInTestsOnly(tr *tree) (problems []string) {
	for _, f := range tr.files {
		if f.isTest || f.isKit {
			continue
		}
		for _, spec := range f.syntax.Imports {
			if _, ours := ourRoom(importPath(spec)); ours && isTestKit(importPath(spec)) {
				problems = append(problems, tr.at(spec, "%s is for tests only", importPath(spec)))
			}
		}
	}
	return problems
}

func noBannedImports(tr *tree) (problems []string) {
	banned := map[string]string{
		"encoding/json":                "use github.com/go-json-experiment/json, which refuses duplicate names and is case-sensitive",
		"github.com/stretchr/testify/": "use testing and go-cmp",
		"github.com/golang/mock/":      "tests use the real parts",
		"go.uber.org/mock/":            "tests use the real parts",
	}
	for _, f := range tr.files {
		for _, spec := range f.syntax.Imports {
			p := importPath(spec)
			if p == "encoding/json" && mayUseEncodingJSON[f.path] != "" {
				continue
			}
			for root, instead := range banned {
				if p == root || strings.HasSuffix(root, "/") && strings.HasPrefix(p, root) {
					problems = append(problems, tr.at(spec, "imports %s: %s", p, instead))
				}
			}
		}
	}
	return problems
}

func noVagueFolders(tr *tree) (problems []string) {
	vague := []string{"util", "utils", "common", "helper", "helpers", "pkg", "services", "misc", "shared"}
	seen := map[string]bool{}
	for _, p := range tr.paths() {
		for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
			if !seen[dir] && !inTestdata(dir) && slices.Contains(vague, path.Base(dir)) {
				problems = append(problems, fmt.Sprintf("%s/: name the folder after what is in it", dir))
			}
			seen[dir] = true
		}
	}
	return problems
}

func filesAreShort(tr *tree) (problems []string) {
	for _, f := range tr.files {
		limit := maxLines
		if f.isTest {
			limit = maxTestLines
		}
		if n := strings.Count(string(tr.texts[f.path]), "\n"); n > limit {
			problems = append(problems, fmt.Sprintf("%s: %d lines, at most %d", f.path, n, limit))
		}
	}
	return problems
}

func functionsAreShort(tr *tree) (problems []string) {
	measure := func(n ast.Node, body *ast.BlockStmt, name string) {
		if body == nil {
			return
		}
		lines := tr.fset.Position(body.Rbrace).Line - tr.fset.Position(body.Lbrace).Line - 1
		if lines > maxFunctionLines {
			problems = append(problems, tr.at(n, "%s has a body of %d lines, at most %d", name, lines, maxFunctionLines))
		}
	}
	for _, f := range tr.files {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				measure(n, n.Body, n.Name.Name)
			case *ast.FuncLit:
				measure(n, n.Body, "a function literal")
			}
			return true
		})
	}
	return problems
}

func packagesAreDescribed(tr *tree) (problems []string) {
	lines := map[string]int{}
	for _, f := range tr.files {
		if f.isTest {
			continue
		}
		dir := path.Dir(f.path)
		text := strings.TrimSpace(f.syntax.Doc.Text())
		lines[dir] += len(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' }))
	}
	for dir, n := range lines {
		if n < minPackageDoc {
			problems = append(problems, fmt.Sprintf("%s/: the package comment has %d lines; it is the package's specification, at least %d", dir, n, minPackageDoc))
		}
	}
	slices.Sort(problems)
	return problems
}

// Methods by which a type meets an interface of the standard library, whose
// documentation says what they do.
var wellKnownMethods = []string{
	"Error", "Unwrap", "Is", "As", "String", "GoString", "Format", "LogValue", "Len", "Less", "Swap",
	"Read", "Write", "Close", "ServeHTTP", "RoundTrip", "Scan", "Value", "IsZero", "Set",
	"MarshalJSON", "UnmarshalJSON", "MarshalJSONTo", "UnmarshalJSONFrom", "MarshalText", "UnmarshalText",
	"MarshalYAML", "UnmarshalYAML", "MarshalBinary", "UnmarshalBinary", "AppendText", "AppendBinary",
}

func exportsAreDocumented(tr *tree) (problems []string) {
	for _, f := range tr.files {
		if f.isTest || f.syntax.Name.Name == "main" || f.room == "cmd" {
			continue
		}
		for _, decl := range f.syntax.Decls {
			for _, name := range undocumented(decl) {
				problems = append(problems, tr.at(name, "exported %s has no doc comment", name.Name))
			}
		}
	}
	return problems
}

// undocumented returns the exported names that decl declares without a comment
// of their own, on their line, or on the group.
func undocumented(decl ast.Decl) (names []*ast.Ident) {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		isMethod := decl.Recv != nil
		if decl.Doc == nil && decl.Name.IsExported() &&
			!(isMethod && (!exportedReceiver(decl.Recv) || slices.Contains(wellKnownMethods, decl.Name.Name))) {
			names = append(names, decl.Name)
		}
	case *ast.GenDecl:
		if decl.Tok == token.IMPORT || decl.Doc != nil {
			return nil
		}
		for _, spec := range decl.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				if spec.Doc == nil && spec.Comment == nil && spec.Name.IsExported() {
					names = append(names, spec.Name)
				}
			case *ast.ValueSpec:
				if spec.Doc != nil || spec.Comment != nil {
					continue
				}
				for _, id := range spec.Names {
					if id.IsExported() {
						names = append(names, id)
					}
				}
			}
		}
	}
	return names
}

// exportedReceiver looks through the pointer and the type parameters of a receiver.
func exportedReceiver(recv *ast.FieldList) bool {
	typ := recv.List[0].Type
	for {
		switch t := typ.(type) {
		case *ast.StarExpr:
			typ = t.X
		case *ast.IndexExpr:
			typ = t.X
		case *ast.IndexListExpr:
			typ = t.X
		case *ast.Ident:
			return t.IsExported()
		default:
			return true
		}
	}
}

// A script's line that skips or sleeps, whatever condition stands before it.
var scriptSkipsOrSleeps = regexp.MustCompile(`(?m)^\s*(\[[^\]]*\]\s*)*(skip\b|(exec )?sleep\b).*$`)

func testsNeitherSkipNorSleep(tr *tree) (problems []string) {
	for _, f := range tr.files {
		if !f.isTest && !f.isKit {
			continue
		}
		for _, n := range f.uses("time", "Sleep") {
			problems = append(problems, tr.at(n, "a test waits for what it needs, it does not sleep"))
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) {
				problems = append(problems, tr.at(n, "a test that skips proves nothing: install what it needs, or fail"))
			}
			return true
		})
	}
	for _, p := range tr.paths() {
		if !inTestdata(p) || path.Ext(p) != ".txtar" && path.Ext(p) != ".txt" {
			continue
		}
		script, _, _ := strings.Cut(string(tr.texts[p]), "\n-- ")
		if line := scriptSkipsOrSleeps.FindString(script); line != "" {
			problems = append(problems, fmt.Sprintf("%s: script line %q skips or sleeps", p, strings.TrimSpace(line)))
		}
	}
	return problems
}

// The needles below are put together here, so that this file does not hold
// what it forbids.
var (
	unfinished   = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
	machinePath  = regexp.MustCompile(`(^|[^A-Za-z0-9_.$})-])/(wo` + `rk|ro` + `ot)/`)
	registryHost = regexp.MustCompile(`(?i)\b(` + strings.ReplaceAll(strings.Join([]string{
		"proxy.golang~org", "sum.golang~org", "pypi~org", "pythonhosted~org", "registry.npmjs~org", "registry.yarnpkg~com",
		"crates~io", "repo1.maven~org", "repo.maven.apache~org", "deb.debian~org", "security.debian~org", "archive.ubuntu~com",
	}, "|"), "~", `\.`) + `)\b`)
)

func nothingLeftUndone(tr *tree) []string {
	return tr.linesWith(unfinished, "finish it, or open an issue", func(p string) bool { return !inTestdata(p) })
}

func noMachinePaths(tr *tree) []string {
	return tr.linesWith(machinePath, "a path of one machine", func(string) bool { return true })
}

func noRegistryHosts(tr *tree) []string {
	return tr.linesWith(registryHost, "the host of a package registry: name the package, the client knows the host", func(string) bool { return true })
}

func (tr *tree) linesWith(needle *regexp.Regexp, problem string, concerns func(path string) bool) (problems []string) {
	for _, p := range tr.paths() {
		if !concerns(p) || !needle.Match(tr.texts[p]) {
			continue
		}
		for i, line := range strings.Split(string(tr.texts[p]), "\n") {
			if found := needle.FindString(line); found != "" {
				problems = append(problems, fmt.Sprintf("%s:%d: %q: %s", p, i+1, found, problem))
			}
		}
	}
	return problems
}
