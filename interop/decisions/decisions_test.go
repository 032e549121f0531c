package decisions

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"imprimatur.dev/authority"
	"imprimatur.dev/record"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

const arguments = `{"repo":"acme/support","priority":2,"labels":["a","b"]}`

// asks is one side: whether the tool may be called with the arguments.
type asks func(tool string) bool

func toolName(i int) string { return fmt.Sprintf("tool-%d", i) }

func ours(t testing.TB, n int, conditions, parse bool) asks {
	t.Helper()
	var a record.Authority
	for i := range n {
		g := record.Grant{Resource: toolName(i), Actions: []string{"call"}}
		if conditions {
			g.Condition = `args.repo == "acme/support" && args.priority <= 3 && size(args.labels) <= 3`
		}
		a.Tools = append(a.Tools, g)
	}
	set, err := authority.Compile(a)
	if err != nil {
		t.Fatal(err)
	}
	meter := authority.NewMeter()
	args, err := authority.ParseArguments([]byte(arguments))
	if err != nil {
		t.Fatal(err)
	}
	return func(tool string) bool {
		call := authority.Call{Kind: "tools", Resource: tool, Action: "call", Arguments: args}
		if parse {
			if call.Arguments, err = authority.ParseArguments([]byte(arguments)); err != nil {
				t.Fatal(err)
			}
		}
		return set.Decide(&call, noon, meter).Allowed
	}
}

func cedars(t testing.TB, n int, conditions bool) asks {
	t.Helper()
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, `permit(principal == Workload::"scorer", action == Action::"call", resource == Tool::%q)`, toolName(i))
		if conditions {
			text.WriteString(` when { context.repo == "acme/support" && context.priority <= 3 && context.labels.size <= 3 }`)
		}
		text.WriteString(";\n")
	}
	set, err := cedar.NewPolicySetFromBytes("grants.cedar", []byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	about := types.NewRecord(types.RecordMap{
		"repo": types.String("acme/support"), "priority": types.Long(2),
		// Cedar has no size of a set; the caller counts.
		"labels": types.NewRecord(types.RecordMap{"size": types.Long(2)}),
	})
	entities := types.EntityMap{}
	return func(tool string) bool {
		ok, _ := cedar.Authorize(set, entities, cedar.Request{
			Principal: types.NewEntityUID("Workload", "scorer"), Action: types.NewEntityUID("Action", "call"),
			Resource: types.NewEntityUID("Tool", types.String(tool)), Context: about,
		})
		return bool(ok)
	}
}

const module = `package grants

default allow := false

allow if {
	grant := data.tools[input.resource]
	input.action in grant.actions
	holds(grant)
}

holds(grant) if not grant.conditions

holds(grant) if {
	grant.conditions
	input.args.repo == "acme/support"
	input.args.priority <= 3
	count(input.args.labels) <= 3
}
`

func opas(t testing.TB, n int, conditions bool) asks {
	t.Helper()
	tools := map[string]any{}
	for i := range n {
		tools[toolName(i)] = map[string]any{"actions": []any{"call"}, "conditions": conditions}
	}
	q, err := rego.New(rego.Query("data.grants.allow = x"), rego.Module("grants.rego", module), rego.Store(inmem.NewFromObject(map[string]any{"tools": tools}))).PrepareForEval(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	inputs := map[string]ast.Value{}
	return func(tool string) bool {
		in, ok := inputs[tool]
		if !ok {
			if in, err = ast.InterfaceToValue(map[string]any{
				"resource": tool, "action": "call", "args": map[string]any{"repo": "acme/support", "priority": 2, "labels": []any{"a", "b"}},
			}); err != nil {
				t.Fatal(err)
			}
			inputs[tool] = in
		}
		rs, err := q.Eval(context.Background(), rego.EvalParsedInput(in))
		if err != nil || len(rs) != 1 {
			t.Fatal("the Rego does not answer", err)
		}
		return rs[0].Bindings["x"].(bool)
	}
}

func TestAllSidesAgree(t *testing.T) {
	for _, conditions := range []bool{false, true} {
		for name, side := range map[string]asks{"ours": ours(t, 100, conditions, true), "cedar": cedars(t, 100, conditions), "opa": opas(t, 100, conditions)} {
			if !side("tool-99") || side("tool-100") {
				t.Errorf("%s with conditions %v: %v for one that is granted, %v for one that is not", name, conditions, side("tool-99"), side("tool-100"))
			}
		}
	}
}

// BenchmarkDecision runs the sides alternately in one loop.
func BenchmarkDecision(b *testing.B) {
	for _, n := range []int{10, 1000, 100_000} {
		for _, conditions := range []bool{false, true} {
			b.Run(fmt.Sprintf("grants=%d/conditions=%v", n, conditions), func(b *testing.B) {
				sides := map[string]asks{"ours": ours(b, n, conditions, false), "parsed": ours(b, n, conditions, true), "opa": opas(b, n, conditions)}
				if n <= 1000 {
					sides["cedar"] = cedars(b, n, conditions)
				}
				tool := toolName(n - 1)
				const times = 100
				took := map[string]time.Duration{}
				rounds := 0
				for b.Loop() {
					rounds += times
					for name, side := range sides {
						start := time.Now()
						for range times {
							if !side(tool) {
								b.Fatal(name, "refuses")
							}
						}
						took[name] += time.Since(start)
					}
				}
				for name, d := range took {
					b.ReportMetric(float64(d.Nanoseconds())/float64(rounds), name+"-ns/op")
				}
				for _, peer := range []string{"cedar", "opa"} {
					if took[peer] > 0 {
						b.ReportMetric(float64(took[peer])/float64(took["ours"]), peer+"/ours")
					}
				}
			})
		}
	}
}
