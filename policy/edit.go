package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"go.yaml.in/yaml/v4"

	"imprimatur.dev/record"
)

// edit sets one place of a dossier.
type edit struct {
	path  string
	value any
	where position
}

func (r *reader) edits(n *yaml.Node) (edits []edit) {
	r.members(n, "change", func(key, value *yaml.Node) {
		if !strings.HasPrefix(key.Value, "/") {
			r.failf(at(key), "%q is not a path such as /runs/run-1/record/code/dirty", key.Value)
			return
		}
		e := edit{path: key.Value, where: at(key)}
		if value.ShortTag() == "!!timestamp" {
			e.value = r.time(value, key.Value).Format(time.RFC3339)
		} else if err := value.Load(&e.value); err != nil {
			r.failf(at(value), "%v", err)
		}
		edits = append(edits, e)
	})
	return edits
}

// dossier makes the case's dossier. What approvers saw follows the changes made
// before they looked.
func (c *testCase) dossier(p *Policy) (*record.Dossier, error) {
	d := p.Example(c.tier, exampleTime)
	before, line, id := d.Digests, d.Line, d.ID
	d, err := apply(d, c.change)
	if err != nil {
		return nil, err
	}
	refreeze(d)
	for i := range d.Approvals {
		a := &d.Approvals[i]
		x := &a.Approval.Record
		if x.Release == id {
			x.Release, x.Record, a.Digests, a.Authority = d.ID, d.Digests.Record, d.Digests, d.Release.Record.Authority
		}
		for part, digest := range x.Parts {
			if digest == before.Parts[part] {
				x.Parts[part] = d.Digests.Parts[part]
			}
		}
	}
	if d, err = apply(d, c.after); err != nil {
		return nil, err
	}
	refreeze(d)
	relink(d, before, line, id)
	return d, nil
}

// relink lets what the example says of its own release or line follow it.
func relink(d *record.Dossier, before record.Digests, line, id string) {
	for i := range d.Approvals {
		if x := &d.Approvals[i].Approval.Record; x.Line == line {
			x.Line = d.Line
		}
	}
	for i := range d.Exceptions {
		x := &d.Exceptions[i].Record
		if x.Release == "" || x.Release == id {
			x.Release, x.Record, x.Line = d.ID, d.Digests.Record, d.Line
		}
	}
}

func apply(d *record.Dossier, edits []edit) (*record.Dossier, error) {
	if len(edits) == 0 {
		return d, nil
	}
	raw, err := json.Marshal(d, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("writing the example: %w", err)
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		return nil, fmt.Errorf("reading the example: %w", err)
	}
	for _, e := range edits {
		if tree, err = set(tree, strings.Split(e.path[1:], "/"), e.value); err != nil {
			return nil, fmt.Errorf("line %d, column %d: %s: %w", e.where.line, e.where.column, e.path, err)
		}
	}
	if raw, err = json.Marshal(tree, json.Deterministic(true)); err != nil {
		return nil, fmt.Errorf("writing the changed example: %w", err)
	}
	out := &record.Dossier{}
	if err := json.Unmarshal(raw, out, json.RejectUnknownMembers(true), json.MatchCaseInsensitiveNames(true)); err != nil {
		return nil, fmt.Errorf("the changes do not fit a dossier: %w", err)
	}
	return out, nil
}

// set returns the tree with a value at a path; nil takes the place away.
func set(tree any, path []string, value any) (any, error) {
	if len(path) == 0 {
		return value, nil
	}
	step := strings.NewReplacer("~1", "/", "~0", "~").Replace(path[0])
	switch node := tree.(type) {
	case nil:
		return set(map[string]any{}, path, value)
	case map[string]any:
		key := step
		for k := range node {
			if strings.EqualFold(k, step) {
				key = k
			}
		}
		child, err := set(node[key], path[1:], value)
		if err != nil {
			return nil, err
		}
		if node[key] = child; child == nil {
			delete(node, key)
		}
		return node, nil
	case []any:
		i := item(node, step)
		if i < 0 {
			return nil, fmt.Errorf("the list has no item %q", step)
		}
		if i == len(node) {
			node = append(node, nil)
		}
		child, err := set(node[i], path[1:], value)
		if err != nil {
			return nil, err
		}
		if node[i] = child; child == nil {
			return slices.Delete(node, i, i+1), nil
		}
		return node, nil
	}
	return nil, fmt.Errorf("nothing lies below %q", step)
}

// item finds an item of a list by number, by "-" for one more, or by name.
func item(node []any, step string) int {
	if step == "-" {
		return len(node)
	}
	if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(node) {
		return i
	}
	return slices.IndexFunc(node, func(x any) bool { return named(x, step) })
}

// named reports whether an item, or the record in it, bears a name.
func named(x any, name string) bool {
	node, ok := x.(map[string]any)
	if !ok {
		return x == any(name)
	}
	if slice, ok := node["slice"].(map[string]any); ok && len(slice) > 0 {
		return label(node["name"], slice) == name
	}
	for _, key := range []string{"name", "id", "suite", "role", "resource", "actor", "principal"} {
		if node[key] == any(name) {
			return true
		}
	}
	for _, key := range []string{"record", "Approval", "Dataset"} {
		if inner, ok := node[key]; ok && named(inner, name) {
			return true
		}
	}
	return false
}

// label names a metric of a slice as [record.Metric.Label] does.
func label(name any, slice map[string]any) string {
	m := record.Metric{Slice: map[string]string{}}
	m.Name, _ = name.(string)
	for k, v := range slice {
		m.Slice[k], _ = v.(string)
	}
	return m.Label()
}
