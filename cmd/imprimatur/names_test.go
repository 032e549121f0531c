package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// named is a command as a sentence or a document names it.
var named = regexp.MustCompile(`\bimprimatur ([a-z][a-z-]+)(?: ([a-z][a-z-]+))?`)

// TestEveryCommandThatIsNamedExists reads the string literals of the product
// and the documents: what a refusal or a page tells a person to type is a
// command of this program.
func TestEveryCommandThatIsNamedExists(t *testing.T) {
	model := modelOf(t)
	seen := 0
	tree := os.DirFS("../..")
	err := fs.WalkDir(tree, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (strings.HasPrefix(d.Name(), ".") && p != "." || d.Name() == "testdata") {
			return skipped(err)
		}
		for _, text := range textsOf(t, tree, p) {
			for _, m := range named.FindAllStringSubmatch(text, -1) {
				seen++
				if !exists(model, m[1], m[2]) {
					t.Errorf("%s names %q, which is no command", p, m[0])
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 30 {
		t.Errorf("only %d names were seen", seen)
	}
}

func skipped(err error) error {
	if err != nil {
		return err
	}
	return fs.SkipDir
}

func modelOf(t *testing.T) *kong.Node {
	t.Helper()
	var cli commands
	parser, err := newParser(&cli, newApp(t.Context(), none, nil, nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	return parser.Model.Node
}

// textsOf returns the prose of a file in which commands are named: the string
// literals of product code, and the code spans and blocks of a document.
func textsOf(t *testing.T, tree fs.FS, p string) (texts []string) {
	switch {
	case path.Ext(p) == ".md":
		raw, err := fs.ReadFile(tree, p)
		if err != nil {
			t.Fatal(err)
		}
		for i, span := range strings.Split(string(raw), "`") {
			if i%2 == 1 {
				texts = append(texts, span)
			}
		}
	case path.Ext(p) == ".go" && !strings.HasSuffix(p, "_test.go"):
		raw, err := fs.ReadFile(tree, p)
		if err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), p, raw, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if s, err := strconv.Unquote(lit.Value); err == nil {
					texts = append(texts, s)
				}
			}
			return true
		})
	}
	return texts
}

// exists reports whether the program has a noun with a verb. After a noun
// without verbs comes an argument.
func exists(root *kong.Node, noun, verb string) bool {
	n := child(root, noun)
	if n == nil || len(n.Children) == 0 || verb == "" {
		return n != nil
	}
	return child(n, verb) != nil
}

func child(n *kong.Node, name string) *kong.Node {
	for _, c := range n.Children {
		if c.Name == name || slices.Contains(c.Aliases, name) {
			return c
		}
	}
	return nil
}
