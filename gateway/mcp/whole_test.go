package mcp_test

import (
	"slices"
	"testing"

	"imprimatur.dev/gateway/mcp"
	"imprimatur.dev/record"
)

// wards is the authority of most tests: one tool with a condition and its
// definition pinned, one limited, resources and a prompt.
func wards(t testing.TB, server string) record.Authority {
	t.Helper()
	return record.Authority{
		Tools: []record.Grant{
			{Resource: server + "/read_note", Actions: []string{"call"}, Definition: definition(t, clerk(), "read_note"), Condition: `args.ward == "7"`},
			{Resource: server + "/wait", Actions: []string{"call"}},
		},
		Data: []record.Grant{
			{Resource: server + "/note://ward/*", Actions: []string{"read"}},
			{Resource: server + "/prompts/summary", Actions: []string{"get"}},
		},
	}
}

// Over every way in and to every kind of server, in both revisions, what is
// granted is shown and can be called, and nothing else is.
func TestWhatIsNotGrantedIsNeitherShownNorCalled(t *testing.T) {
	for _, kind := range []string{"command", "address with sessions", "address without"} {
		for _, way := range []string{"lines", "2025-11-25", "2026-07-28"} {
			t.Run(kind+" by "+way, func(t *testing.T) {
				t.Parallel()
				server := command("clerk")
				if kind != "command" {
					server = address(t, clerk(), kind == "address without")
				}
				b := setup(t, wards(t, "clerk"), map[string]mcp.Server{"clerk": server})
				s := b.agent("clerk", way)
				if got := tools(t, s); !slices.Equal(got, []string{"read_note", "wait"}) {
					t.Errorf("shown: %q", got)
				}
				if got, err := call(t, s, "read_note", note{Ward: "7"}); err != nil || got != "the note of ward 7" {
					t.Errorf("%q, %v", got, err)
				}
				_, err := call(t, s, "read_note", note{Ward: "8"})
				refused(t, err, `args.ward == \"7\"`)
				_, err = call(t, s, "write_note", note{Ward: "7", Text: "x"})
				refused(t, err, "no grant of the release names the tool")
				_, err = call(t, s, "read_note", map[string]any{"ward": 7})
				refused(t, err, "the arguments are not what the tool read_note takes")
				b.resourcesAndPrompts(s)
				entries := b.close()
				counts := map[bool]int{}
				for _, e := range entries {
					counts[e.Allowed]++
					if e.Workload != "agent-token" || e.Release != "r-0123456789ab" || e.Server != "clerk" {
						t.Errorf("recorded: %+v", e)
					}
				}
				if counts[true] != 3 || counts[false] != 6 {
					t.Errorf("recorded: %v of %+v", counts, entries)
				}
			})
		}
	}
}
