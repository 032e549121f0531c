package authority

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
)

// A condition may cost this many CEL units at most: estimated when the grant
// is compiled, for lists of at most assumedItems and texts of at most
// assumedText bytes; and counted while it runs. A unit is about 20 ns.
const (
	costLimit    = 10_000
	assumedItems = 64
	assumedText  = 4096
)

// conditions declares what a condition can see of a call. What an argument is
// shows only when the call comes; a comparison of two kinds that do not compare
// is an error then, and an error never allows.
var conditions = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.Variable("args", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("about", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("resource", cel.StringType),
		cel.Variable("action", cel.StringType),
		cel.Variable("now", cel.TimestampType),
		cel.CrossTypeNumericComparisons(true),
	)
})

// condition is a grant's condition made ready to be evaluated.
type condition struct {
	text    string
	program cel.Program
}

func compileCondition(text string) (*condition, error) {
	env, err := conditions()
	if err != nil {
		return nil, err
	}
	tree, issues := env.Compile(text)
	if issues.Err() != nil {
		e := issues.Errors()[0]
		return nil, fmt.Errorf("the condition %q, column %d: %s", text, e.Location.Column()+1, strings.TrimSpace(e.Message))
	}
	if tree.OutputType() != cel.BoolType {
		return nil, fmt.Errorf("the condition %q gives %s, not true or false; compare it with something", text, tree.OutputType())
	}
	estimate, err := env.EstimateCost(tree, sizes{})
	if err != nil || estimate.Max > costLimit {
		return nil, fmt.Errorf("the condition %q may cost %d units, more than %d; nest fewer loops", text, estimate.Max, costLimit)
	}
	program, err := env.Program(tree, cel.CostLimit(costLimit))
	if err != nil {
		return nil, fmt.Errorf("the condition %q: %w", text, err)
	}
	return &condition{text, program}, nil
}

// holds evaluates the condition over a call; the sentence says why it does not
// hold.
func (c *condition) holds(call *Call, now time.Time) (ok bool, why string) {
	value, _, err := c.program.Eval(&facts{call, now})
	if err != nil {
		return false, fmt.Sprintf("its condition %q cannot be evaluated over these arguments: %v", c.text, err)
	}
	if held, isBool := value.Value().(bool); isBool && held {
		return true, ""
	}
	return false, fmt.Sprintf("its condition %q does not hold for these arguments", c.text)
}

// facts are what a condition sees of a call: a cel.Activation without a map.
type facts struct {
	call *Call
	now  time.Time
}

var none = map[string]any{}

// ResolveName implements cel.Activation.
func (f *facts) ResolveName(name string) (any, bool) {
	switch name {
	case "args":
		return orNone(f.call.Arguments), !f.call.Opaque
	case "about":
		return orNone(f.call.About), true
	case "resource":
		return f.call.Resource, true
	case "action":
		return f.call.Action, true
	case "now":
		return f.now, true
	}
	return nil, false
}

// Parent implements cel.Activation.
func (f *facts) Parent() cel.Activation { return nil }

func orNone(m map[string]any) map[string]any {
	if m == nil {
		return none
	}
	return m
}

// sizes estimates the lists and texts among a call's arguments.
type sizes struct{}

func (sizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	switch n.Type().Kind() {
	case types.ListKind, types.MapKind, types.DynKind:
		return &cost.SizeEstimate{Min: 0, Max: assumedItems}
	case types.StringKind, types.BytesKind:
		return &cost.SizeEstimate{Min: 0, Max: assumedText}
	}
	return nil
}

func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}
