package authority

import (
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/record"
)

// Tool is what a model is told of a tool, and decides by. The schemas are JSON
// Schemas as the tool's server sends them (Model Context Protocol 2026-07-28,
// server/tools, "Tool").
type Tool struct {
	Name        string         `json:"name"`
	Description string         `json:"description"`
	InputSchema jsontext.Value `json:"inputSchema"`
}

// ToolDigest is the digest by which a grant pins a tool: SHA-256 over the RFC
// 8785 canonical JSON of name, description and input schema. A change of any
// of them is another tool; the order of members and white space are not. Names
// and versions of servers play no part, since servers state them freely.
func ToolDigest(t Tool) (record.Digest, error) {
	if len(t.InputSchema) == 0 {
		t.InputSchema = jsontext.Value("{}")
	}
	raw, err := record.CanonicalOf(t)
	if err != nil {
		return "", fmt.Errorf("the definition of the tool %s: %w", quoted(t.Name), err)
	}
	return record.DigestOf(raw), nil
}
