package console

import (
	"context"

	"imprimatur.dev/registry"
)

func (c *console) home(_ context.Context, _ registry.Caller, _ input) (*Page, error) {
	return &Page{Template: "home", Title: "Home", Body: map[string]string{"Origin": c.Registry.Origin(), "Key": c.Registry.VerifierKey()}}, nil
}

// operations is the page of the API.
func (c *console) operations(_ context.Context, _ registry.Caller, _ input) (*Page, error) {
	t := Table{Caption: "Operations of the API", Columns: []Column{{Label: "Operation"}, {Label: "What it does"}, {Label: "For"}}}
	for _, op := range c.Operations {
		t.Rows = append(t.Rows, Row{[]Cell{{Text: op.Method + " " + op.Path, Code: true}, text(op.Summary), text(op.Access)}})
	}
	return &Page{Template: "operations", Title: "The API", Body: t}, nil
}
