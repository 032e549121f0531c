package mlflow

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// Bounds of a page, as MLflow's server has them.
const (
	modelsPage   = 100
	modelsMost   = 1000
	versionsPage = 200_000
	versionsMost = 200_000
)

// place is where a row stands under one key of an order: a text or a number.
type place struct {
	Text   string `json:"t,omitzero"`
	Number int64  `json:"n,omitzero"`
}

func (p place) compare(q place) int {
	if c := cmp.Compare(p.Number, q.Number); c != 0 {
		return c
	}
	return strings.Compare(p.Text, q.Text)
}

// key is one key of an order over rows of type T.
type key[T any] struct {
	name string
	desc bool
	of   func(T) place
}

// orders are the keys that rows may be ordered by, with those that decide among
// rows that are otherwise equal.
type orders[T any] struct {
	known map[string]func(T) place
	// same says which names mean one key.
	same map[string]string
	// otherwise is the order where none is asked for, and ties comes after any.
	otherwise []string
	ties      []string
	// word is what MLflow calls a key, and valid what it says they are.
	word, valid string
}

var modelOrders = orders[*registry.Registered]{
	known: map[string]func(*registry.Registered) place{
		"name":                   func(m *registry.Registered) place { return place{Text: m.Model.Name} },
		"last_updated_timestamp": func(m *registry.Registered) place { return place{Number: m.Model.Updated.UnixMilli()} },
	},
	same:  map[string]string{"timestamp": "last_updated_timestamp"},
	ties:  []string{"name ASC"},
	word:  "order by key",
	valid: "{'name', 'timestamp'}",
}

var versionOrders = orders[*record.RegisteredVersion]{
	known: map[string]func(*record.RegisteredVersion) place{
		"name":                   func(v *record.RegisteredVersion) place { return place{Text: v.Name} },
		"version_number":         func(v *record.RegisteredVersion) place { return place{Number: int64(v.Version)} },
		"creation_timestamp":     func(v *record.RegisteredVersion) place { return place{Number: v.Created.UnixMilli()} },
		"last_updated_timestamp": func(v *record.RegisteredVersion) place { return place{Number: v.Updated.UnixMilli()} },
	},
	otherwise: []string{"last_updated_timestamp DESC", "name ASC", "version_number DESC"},
	ties:      []string{"name ASC", "version_number DESC"},
	word:      "attribute key",
	valid:     "{'name', 'version_number', 'creation_timestamp', 'last_updated_timestamp'}",
}

// parse reads the clauses of an order, each a key with ASC or DESC or nothing.
func (o orders[T]) parse(clauses []string) ([]key[T], error) {
	if len(clauses) == 0 {
		clauses = o.otherwise
	}
	var keys []key[T]
	for _, clause := range clauses {
		k, err := o.clause(clause)
		if err != nil {
			return nil, err
		}
		if o.has(keys, k.name) {
			return nil, invalidf("`order_by` contains duplicate fields: ['%s']", strings.Join(clauses, "', '"))
		}
		keys = append(keys, k)
	}
	for _, tie := range o.ties {
		if k, err := o.clause(tie); err == nil && !o.has(keys, k.name) {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

func (o orders[T]) has(keys []key[T], name string) bool {
	return slices.ContainsFunc(keys, func(k key[T]) bool { return k.name == name })
}

func (o orders[T]) clause(clause string) (key[T], error) {
	words := strings.Fields(clause)
	if len(words) == 0 || len(words) > 2 {
		return key[T]{}, invalidf("Invalid order_by clause '%s'. Could not be parsed.", clause)
	}
	k := key[T]{name: strings.Trim(strings.TrimPrefix(words[0], "attribute."), "`\"")}
	if len(words) == 2 {
		switch strings.ToLower(words[1]) {
		case "asc":
		case "desc":
			k.desc = true
		default:
			return k, invalidf("Invalid order_by clause '%s'. Could not be parsed.", clause)
		}
	}
	if same, ok := o.same[k.name]; ok {
		k.name = same
	}
	of, ok := o.known[k.name]
	if !ok {
		return k, invalidf("Invalid %s '%s' specified. Valid keys are '%s'", o.word, k.name, o.valid)
	}
	k.of = of
	return k, nil
}

// compare compares two rows by all keys.
func compare[T any](keys []key[T], a, b T) int {
	for _, k := range keys {
		c := k.of(a).compare(k.of(b))
		if k.desc {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

// page sorts rows and returns those after the token, at most so many, with the
// token of the next page.
func page[T any](rows []T, keys []key[T], token string, most int) ([]T, string, error) {
	slices.SortFunc(rows, func(a, b T) int { return compare(keys, a, b) })
	if token != "" {
		after, err := readToken(token, keys)
		if err != nil {
			return nil, "", err
		}
		i, _ := slices.BinarySearchFunc(rows, after, func(row T, after []place) int {
			if compareTo(keys, row, after) <= 0 {
				return -1
			}
			return 1
		})
		rows = rows[i:]
	}
	if len(rows) <= most {
		return rows, "", nil
	}
	return rows[:most], newToken(rows[most-1], keys), nil
}

func compareTo[T any](keys []key[T], row T, after []place) int {
	for i, k := range keys {
		c := k.of(row).compare(after[i])
		if k.desc {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

// cursor is what a page token holds: the keys of the order, and where the last
// row of the page stands under them.
type cursor struct {
	Order []string `json:"o"`
	After []place  `json:"a"`
}

func orderOf[T any](keys []key[T]) []string {
	var out []string
	for _, k := range keys {
		out = append(out, k.name+map[bool]string{true: "-", false: "+"}[k.desc])
	}
	return out
}

func newToken[T any](row T, keys []key[T]) string {
	c := cursor{Order: orderOf(keys)}
	for _, k := range keys {
		c.After = append(c.After, k.of(row))
	}
	// A cursor always has a JSON form.
	raw, _ := json.Marshal(c)
	return base64.StdEncoding.EncodeToString(raw)
}

func readToken[T any](token string, keys []key[T]) ([]place, error) {
	raw, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return nil, invalidf("Invalid page token, could not base64-decode")
	}
	var c cursor
	if json.Unmarshal(raw, &c) != nil || len(c.After) != len(keys) || !slices.Equal(c.Order, orderOf(keys)) {
		return nil, invalidf("Invalid page token, decoded value=%q", raw)
	}
	return c.After, nil
}

// window are the arguments of a search.
type window struct {
	filter []condition
	order  []string
	token  string
	most   int
	// prompts says that the search is for prompts.
	prompts bool
}

func (c *call) window(g grammar, usual, most int) (w window, err error) {
	filter, err := c.args.text("filter")
	if err != nil {
		return w, err
	}
	if w.most, err = c.args.number("max_results", usual); err != nil {
		return w, err
	}
	if w.most > most {
		return w, invalidf("Invalid value for request parameter max_results. It must be at most %d, but got value %d", most, w.most)
	}
	if w.most < 1 {
		return w, invalidf("Invalid value for max_results. It must be a positive integer, but got %d", w.most)
	}
	if w.order, err = c.args.list("order_by"); err != nil {
		return w, err
	}
	if w.token, err = c.args.text("page_token"); err != nil {
		return w, err
	}
	if w.filter, err = parseFilter(filter, g); err != nil {
		return w, err
	}
	w.prompts = asksForPrompts(w.filter)
	return w, nil
}

func searchModels(c *call) (any, error) {
	w, err := c.window(modelGrammar, modelsPage, modelsMost)
	if err != nil {
		return nil, err
	}
	keys, err := modelOrders.parse(w.order)
	if err != nil {
		return nil, err
	}
	all, err := c.reg.RegisteredModels(c.ctx, c.who, c.team)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(m *registry.Registered) bool { return !matchModel(w.filter, m, w.prompts) })
	rows, next, err := page(all, keys, w.token, w.most)
	if err != nil {
		return nil, err
	}
	out := modelsAnswer{Next: next, Models: make([]model, 0, len(rows))}
	for _, m := range rows {
		out.Models = append(out.Models, modelOf(m))
	}
	return out, nil
}

func searchVersions(c *call) (any, error) {
	w, err := c.window(versionGrammar, versionsPage, versionsMost)
	if err != nil {
		return nil, err
	}
	keys, err := versionOrders.parse(w.order)
	if err != nil {
		return nil, err
	}
	models, err := c.modelsNamed(w.filter)
	if err != nil {
		return nil, err
	}
	var found []*record.RegisteredVersion
	for _, m := range models {
		for _, v := range m.Versions {
			if matchVersion(w.filter, v, w.prompts) && (w.prompts || !registry.IsPrompt(m.Model.Tags)) {
				found = append(found, v)
			}
		}
	}
	rows, next, err := page(found, keys, w.token, w.most)
	if err != nil {
		return nil, err
	}
	out := versionsAnswer{Next: next, Versions: make([]versionOut, 0, len(rows))}
	for _, v := range rows {
		out.Versions = append(out.Versions, versionOf(v, nil))
	}
	return out, nil
}

// modelsNamed returns the models whose versions a filter can find: of a filter
// that names one model, that one.
func (c *call) modelsNamed(filter []condition) ([]*registry.Registered, error) {
	for _, f := range filter {
		if !f.tag && f.key == "name" && f.op == "=" {
			m, err := c.reg.RegisteredModel(c.ctx, c.who, c.team, f.text)
			if err != nil && registry.CodeOf(err) == wire.Unknown {
				return nil, nil
			}
			return []*registry.Registered{m}, err
		}
	}
	return c.reg.RegisteredModels(c.ctx, c.who, c.team)
}
