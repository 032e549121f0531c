package mcp

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"imprimatur.dev/authority"
	"imprimatur.dev/record"
)

const (
	// maxDefinition bounds the definition of one tool, in bytes, and maxTools
	// how many a server may have.
	maxDefinition = 256 << 10
	maxTools      = 4096
	// maxKept bounds the definitions that a server's are compared with.
	maxKept = 4096
	// maxPages bounds the pages of one list.
	maxPages = 256
)

// toolName is what a tool may be called: the names that MCP recommends
// (2025-11-25, server/tools, "Tool Names"), among which none looks like another.
var toolName = regexp.MustCompile(`^[A-Za-z0-9_./-]{1,128}$`)

// tool is a tool as its server describes it now.
type tool struct {
	name   string
	digest record.Digest
	schema *jsonschema.Schema
	// arguments are the names that the schema has.
	arguments []string
	// definition is what the digest is over.
	definition authority.Tool
}

// definitions are the tools that a server has described since the gateway runs,
// by digest; a schema is compiled once.
type definitions struct {
	mu    sync.Mutex
	known map[record.Digest]*tool
}

// read reads one tool of a list.
func (d *definitions) read(item jsontext.Value) (*tool, error) {
	var name, description, schema jsontext.Value
	if err := members(item, map[string]*jsontext.Value{"name": &name, "description": &description, "inputSchema": &schema}); err != nil {
		return nil, err
	}
	t := &tool{}
	var err error
	if t.name, err = text(name); err != nil || !toolName.MatchString(t.name) {
		return nil, fmt.Errorf("a tool is called %s, which is not 1 to 128 letters, digits and _ - . / of ASCII", clipped(string(name)))
	}
	if len(description)+len(schema) > maxDefinition {
		return nil, fmt.Errorf("the definition of the tool %s is longer than %d bytes", t.name, maxDefinition)
	}
	t.definition = authority.Tool{Name: t.name, InputSchema: schema}
	if description != nil {
		if t.definition.Description, err = text(description); err != nil {
			return nil, fmt.Errorf("the description of the tool %s: %w", t.name, err)
		}
	}
	if t.digest, err = authority.ToolDigest(t.definition); err != nil {
		return nil, err
	}
	return d.keep(t)
}

// keep returns the tool with its schema compiled.
func (d *definitions) keep(t *tool) (*tool, error) {
	d.mu.Lock()
	known := d.known[t.digest]
	d.mu.Unlock()
	if known != nil {
		return known, nil
	}
	if err := t.compile(); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil {
		d.known = map[record.Digest]*tool{}
	}
	if len(d.known) < maxKept {
		d.known[t.digest] = t
	}
	return t, nil
}

// nowhere loads no schema from anywhere: a reference that leads out of a tool's
// own schema would send the gateway wherever the tool's server likes.
type nowhere struct{}

func (nowhere) Load(url string) (any, error) {
	return nil, fmt.Errorf("it refers to %q, and what is not in it is not fetched", clipped(url))
}

// schemaAt is where a schema stands for its references to itself.
const schemaAt = "urn:imprimatur:tool"

func (t *tool) compile() error {
	raw := t.definition.InputSchema
	if len(raw) == 0 {
		raw = jsontext.Value("{}")
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("the input schema of the tool %s: %w", t.name, err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(nowhere{})
	if err := c.AddResource(schemaAt, doc); err != nil {
		return fmt.Errorf("the input schema of the tool %s: %w", t.name, err)
	}
	if t.schema, err = c.Compile(schemaAt); err != nil {
		return fmt.Errorf("arguments cannot be checked against the input schema of the tool %s: %w", t.name, err)
	}
	if top, ok := doc.(map[string]any); ok {
		if properties, ok := top["properties"].(map[string]any); ok {
			t.arguments = slices.Sorted(maps.Keys(properties))
		}
	}
	return nil
}

// check holds the arguments of a call to the tool's schema. A name that differs
// from another in case alone is refused: there are servers that take one for the
// other, and a condition does not.
func (t *tool) check(args map[string]any) error {
	if err := alike(args, t.arguments); err != nil {
		return err
	}
	err := t.schema.Validate(args)
	var invalid *jsonschema.ValidationError
	if errors.As(err, &invalid) {
		_, why, _ := strings.Cut(invalid.Error(), schemaAt+"#'")
		return errors.New(clipped(strings.Join(strings.Fields(why), " ")))
	}
	return err
}

// alike refuses names of one object that differ in case alone, from each other
// or from those that are known.
func alike(object map[string]any, known []string) error {
	folded := make(map[string]string, len(object))
	for _, name := range known {
		folded[strings.ToLower(name)] = name
	}
	for name, value := range object {
		low := strings.ToLower(name)
		if other, ok := folded[low]; ok && other != name {
			return fmt.Errorf("the arguments %+q and %+q differ in case alone, and a server may take one for the other", clipped(other), clipped(name))
		}
		folded[low] = name
		if err := alikeWithin(value); err != nil {
			return err
		}
	}
	return nil
}

func alikeWithin(value any) error {
	switch v := value.(type) {
	case map[string]any:
		return alike(v, nil)
	case []any:
		for _, e := range v {
			if err := alikeWithin(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// toolset is what a server offers at a time, by name.
type toolset struct {
	tools map[string]*tool
	// folded has the names as they are when case counts for nothing.
	folded map[string]string
	// faults say why a tool cannot be decided about.
	faults map[string]string
	at     time.Time
}

// add adds a tool of the list. Of two tools whose names differ in case alone, or
// not at all, neither is offered: it could not be said which of them is called.
func (ts *toolset) add(t *tool) {
	low := strings.ToLower(t.name)
	if other, ok := ts.folded[low]; ok {
		why := fmt.Sprintf("the server has two tools that are called %s and %s", other, t.name)
		ts.faults[other], ts.faults[t.name] = why, why
		delete(ts.tools, other)
		return
	}
	ts.folded[low] = t.name
	ts.tools[t.name] = t
}

// has reports whether the tool is offered, defined as it is.
func (ts *toolset) has(t *tool) bool {
	return ts != nil && ts.tools[t.name] != nil && ts.tools[t.name].digest == t.digest
}

// differences says in what two definitions of a tool differ, for people.
func differences(old, now authority.Tool) []string {
	var out []string
	if old.Description != now.Description {
		out = append(out, fmt.Sprintf("its description was %+q and is %+q", clipped(old.Description), clipped(now.Description)))
	}
	var before, after any
	if json.Unmarshal(old.InputSchema, &before) == nil && json.Unmarshal(now.InputSchema, &after) == nil {
		out = append(out, changes("inputSchema", before, after)...)
	}
	const most = 12
	if len(out) > most {
		out = append(out[:most], fmt.Sprintf("and %d more", len(out)-most))
	}
	return out
}

func changes(at string, before, after any) (out []string) {
	old, wasObject := before.(map[string]any)
	now, isObject := after.(map[string]any)
	if !wasObject || !isObject {
		if was, is := string(encode(before)), string(encode(after)); was != is {
			out = append(out, fmt.Sprintf("%s was %s and is %s", at, clipped(was), clipped(is)))
		}
		return out
	}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		path := at + "." + clipped(name)
		if value, ok := now[name]; ok {
			out = append(out, changes(path, old[name], value)...)
		} else {
			out = append(out, path+" is gone")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if _, ok := old[name]; !ok {
			out = append(out, fmt.Sprintf("%s is new: %s", at+"."+clipped(name), clipped(string(encode(now[name])))))
		}
	}
	return out
}
