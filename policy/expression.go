package policy

import (
	"fmt"
	"reflect"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"
	"go.yaml.in/yaml/v4"

	"imprimatur.dev/record"
)

// Expression is a gate written in CEL. It passes when it is true.
type Expression struct {
	Name string
	CEL  string
	// Message is the demand in words.
	Message string
	Mode    string

	program cel.Program
}

// An expression may cost this many CEL units at most: estimated when the file
// is loaded, for lists of at most assumedItems and texts of at most
// assumedText bytes; and counted while it runs. A unit is about 20 ns.
const (
	costLimit    = 200_000
	assumedItems = 64
	assumedText  = 256
)

// environment declares what expressions can see, under their JSON names.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	object := func(name string) *cel.Type { return cel.ObjectType("record." + name) }
	return cel.NewEnv(
		ext.NativeTypes(
			reflect.TypeFor[record.Release](), reflect.TypeFor[record.ModelVersion](),
			reflect.TypeFor[record.UseCase](), reflect.TypeFor[record.Environment](),
			reflect.TypeFor[record.Run](), reflect.TypeFor[record.Dataset](),
			reflect.TypeFor[record.Evaluation](), ext.ParseStructTag("json"),
		),
		cel.Variable("release", object("Release")),
		cel.Variable("version", object("ModelVersion")),
		cel.Variable("usecase", object("UseCase")),
		cel.Variable("environment", object("Environment")),
		cel.Variable("runs", cel.ListType(object("Run"))),
		cel.Variable("datasets", cel.ListType(object("Dataset"))),
		cel.Variable("evaluations", cel.ListType(object("Evaluation"))),
	)
})

func (r *reader) expression(n *yaml.Node) Expression {
	e := Expression{Mode: record.Enforce}
	var text *yaml.Node
	r.mapping(n, "an expression",
		need("name", func(n *yaml.Node) { e.Name = r.name(n, "name") }),
		need("cel", func(n *yaml.Node) { e.CEL, text = r.text(n, "cel"), n }),
		need("message", func(n *yaml.Node) { e.Message = r.text(n, "message") }),
		may("mode", func(n *yaml.Node) { e.Mode = r.mode(n) }),
	)
	if e.CEL != "" {
		e.program = r.compile(text, e.CEL)
	}
	return e
}

func (r *reader) compile(n *yaml.Node, text string) cel.Program {
	env, err := environment()
	if err != nil {
		r.failf(at(n), "cel: %v", err)
		return nil
	}
	tree, issues := env.Compile(text)
	if issues.Err() != nil {
		for _, e := range issues.Errors() {
			r.failf(r.within(n, e.Location.Line(), e.Location.Column()), "cel: %s", e.Message)
		}
		return nil
	}
	if tree.OutputType() != cel.BoolType {
		r.failf(at(n), "cel: the expression gives %s, not true or false", tree.OutputType())
		return nil
	}
	if walksMap(tree) {
		r.failf(at(n), "cel: the expression walks a map, whose order is not fixed; ask for its members by name")
		return nil
	}
	estimate, err := env.EstimateCost(tree, sizes{})
	if err != nil || estimate.Max > costLimit {
		r.failf(at(n), "cel: the expression may cost %d units with %d items in each list, more than %d; nest fewer loops", estimate.Max, assumedItems, costLimit)
		return nil
	}
	program, err := env.Program(tree, cel.CostLimit(costLimit))
	if err != nil {
		r.failf(at(n), "cel: %v", err)
		return nil
	}
	return program
}

// walksMap reports whether a loop of the expression is over a map.
func walksMap(tree *cel.Ast) bool {
	native := tree.NativeRep()
	loops := celast.MatchDescendants(celast.NavigateAST(native), celast.KindMatcher(celast.ComprehensionKind))
	for _, loop := range loops {
		if native.GetType(loop.AsComprehension().IterRange().ID()).Kind() == types.MapKind {
			return true
		}
	}
	return false
}

// sizes estimates the lists and texts of a release.
type sizes struct{}

func (sizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	switch n.Type().Kind() {
	case types.ListKind, types.MapKind:
		return &cost.SizeEstimate{Min: 0, Max: assumedItems}
	case types.StringKind, types.BytesKind:
		return &cost.SizeEstimate{Min: 0, Max: assumedText}
	}
	return nil
}

func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

// within finds the place in the file of a place in an expression: line from 1,
// column from 0. Where quoting or folding hides it, it is the expression's own.
func (r *reader) within(n *yaml.Node, line, column int) position {
	whole := at(n)
	if line < 1 || n.Line < 1 || n.Line > len(r.lines) {
		return whole
	}
	values := strings.Split(n.Value, "\n")
	switch {
	case n.Style&yaml.LiteralStyle != 0:
		if n.Line+line > len(r.lines) || line > len(values) {
			return whole
		}
		source := r.lines[n.Line+line-1]
		indent := strings.Index(source, strings.TrimRight(values[line-1], "\r"))
		if indent < 0 {
			return whole
		}
		return position{n.Line + line, indent + column + 1}
	case line > 1:
		return whole
	}
	start := n.Column - 1
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		start++
	}
	source := []rune(r.lines[n.Line-1])
	if start < 0 || start > len(source) || !strings.HasPrefix(string(source[start:]), n.Value) {
		return whole
	}
	return position{n.Line, start + column + 1}
}

// variables are what the expressions of a tier see of a dossier.
func variables(d *record.Dossier) map[string]any {
	runs := make([]*record.Run, len(d.Runs))
	for i := range d.Runs {
		runs[i] = &d.Runs[i].Record
	}
	datasets := make([]*record.Dataset, len(d.Datasets))
	for i := range d.Datasets {
		datasets[i] = &d.Datasets[i].Dataset.Record
	}
	evaluations := make([]*record.Evaluation, len(d.Evaluations))
	for i := range d.Evaluations {
		evaluations[i] = &d.Evaluations[i].Record
	}
	return map[string]any{
		"release": &d.Release.Record, "version": &d.Version.Record,
		"usecase": &d.UseCase.Record, "environment": &d.Environment.Record,
		"runs": runs, "datasets": datasets, "evaluations": evaluations,
	}
}

// judge evaluates the expression. What cannot be evaluated is invalid: an
// error never passes.
func (e Expression) judge(vars map[string]any, d *record.Dossier) record.Gate {
	g := record.Gate{Who: []record.RoleName{record.Contributor, record.ModelOwner}, Do: doPropose(d)}
	value, _, err := e.program.Eval(vars)
	if err != nil {
		g.Result, g.Reason = record.Invalid, fmt.Sprintf("The expression could not be evaluated: %v.", err)
		return g
	}
	if ok, isBool := value.Value().(bool); isBool && ok {
		return record.Gate{Result: record.Pass, Reason: "The expression is true."}
	}
	g.Result, g.Reason = record.Fail, fmt.Sprintf("The release does not hold to it: %s is false.", e.CEL)
	return g
}
