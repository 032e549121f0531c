package mcp

import (
	"fmt"
	"strings"

	"imprimatur.dev/authority"
)

// compareDefinition adds to the record of a refused call in what the tool's
// definition differs from the approved one, and reports it once.
func (s *session) compareDefinition(c *call, t *tool) {
	pinned := c.decision.Grant.Definition
	if t == nil || pinned == "" || pinned == t.digest {
		return
	}
	var old *authority.Tool
	s.server.definitions.mu.Lock()
	if known := s.server.definitions.known[pinned]; known != nil {
		old = &known.definition
	}
	s.server.definitions.mu.Unlock()
	detail := fmt.Sprintf("the tool %s/%s is not defined as it was approved: %s is pinned, and it is %s now", s.server.name, t.name, pinned, t.digest)
	if old != nil {
		detail += ": " + strings.Join(differences(*old, t.definition), "; ")
	} else {
		detail += fmt.Sprintf("; its description is %+q now", clipped(t.definition.Description))
	}
	c.entry.Difference = detail
	key := c.power.Release + " " + detail
	s.mu.Lock()
	first := !s.told[key] && len(s.told) < maxKept
	s.told[key] = true
	s.mu.Unlock()
	if first && s.g.report != nil {
		s.g.report(Redefinition{Release: c.power.Release, Line: c.power.Line, Workload: c.power.Workload, Detail: detail})
	}
}
