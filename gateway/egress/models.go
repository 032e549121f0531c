package egress

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/authority"
	"imprimatur.dev/gateway/follow"
	"imprimatur.dev/wire"
)

// An upstream of models takes these paths, with and without /v1 before them, and
// no others. A grant of kind models names VENDOR/MODEL and the action. The model
// is what the body says, which is read strictly. In a condition args are the
// members of the body but for its content, and about has besides what it has for
// an API: vendor, tools (the names of the tools that the model is told of; a tool of
// the vendor's own by its type), and bytes.
//
// A budget of tokens is charged before with what the call may cost: a third of the
// request's bytes, and as many tokens as the request lets the answer have. What the
// vendor says it has cost takes the place of that afterwards; where it does not say
// it, as in a stream without usage, the reservation stands.
var modelPaths = map[string]string{
	"/chat/completions": "chat",
	"/responses":        "chat",
	"/messages":         "chat",
	"/completions":      "complete",
	"/embeddings":       "embed",
}

// content are the members of a body that are what is said, and not how.
var content = []string{"messages", "input", "prompt", "system", "instructions", "tools", "functions", "suffix", "response_format", "text"}

// weighed are the members that decide about model, tools and cost. A callee that
// reads names in any case would read another one in their place.
var weighed = []string{"model", "stream", "n", "best_of", "max_tokens", "max_completion_tokens", "max_output_tokens", "tools", "functions"}

const (
	// maxChanged bounds a list of models, in bytes.
	maxChanged = 8 << 20
	// bytesPerToken is how many bytes of a request are taken for one token.
	bytesPerToken = 3
)

// serveModels decides about a call of a model and sends it on.
func (g *Gateway) serveModels(w http.ResponseWriter, r *http.Request, u *upstream, bearer, rest string) error {
	path, query, _ := strings.Cut(rest, "?")
	path = strings.TrimPrefix(path, "/v1")
	action, known := modelPaths[path]
	isList := r.Method == http.MethodGet && path == "/models"
	if !isList && (!known || r.Method != http.MethodPost) {
		return refuse(http.StatusNotFound, "%s %+q is not passed on to models: chat/completions, responses, completions, embeddings and messages are, and models lists those that are granted", r.Method, clipped(path))
	}
	for piece := range strings.SplitSeq(query, "&") {
		// Some vendors take the model from the query.
		if name, _, _ := strings.Cut(piece, "="); name != "" && name != "beta" && name != "api-version" {
			return refuse(http.StatusBadRequest, "the parameter %+q is not passed on to models", clipped(name))
		}
	}
	c := &call{g: g, up: u, bearer: bearer}
	if err := c.read(w, r, rest); err != nil {
		return err
	}
	if isList {
		return c.list(w, r)
	}
	ask, err := c.askModel(action)
	if err != nil {
		return err
	}
	if err := c.decide(r.Context(), ask); err != nil {
		return err
	}
	usage := &usage{}
	c.look = usage.of
	err = c.send(w, r, usage.cost)
	g.saw(c, strings.TrimPrefix(ask.Resource, u.Models+"/"), usage)
	return err
}

// askModel is the question about a request to a model.
func (c *call) askModel(action string) (ask wire.Ask, err error) {
	if c.form.Opaque || len(c.form.Arguments) == 0 {
		return ask, refuse(http.StatusBadRequest, "the body is not an object of JSON; send it as application/json, in no other coding")
	}
	args, err := authority.ParseArguments(c.form.Arguments)
	if err != nil {
		return ask, refuse(http.StatusBadRequest, "%v", err)
	}
	for name := range args {
		if lower := strings.ToLower(name); lower != name && slices.Contains(weighed, lower) {
			return ask, refuse(http.StatusBadRequest, "the member %+q would be read for %q by some; write it so", name, lower)
		}
	}
	model, ok := args["model"].(string)
	if !ok || model == "" {
		return ask, refuse(http.StatusBadRequest, "the body does not say its model")
	}
	tools, err := toolNames(args)
	if err != nil {
		return ask, err
	}
	c.form.About["vendor"], c.form.About["tools"], c.form.About["bytes"] = c.up.Models, tools, c.length
	if ask, err = wire.AskOf(c.form); err != nil {
		return ask, err
	}
	ask.Kind, ask.Resource, ask.Action = "models", c.up.Models+"/"+model, action
	if ask.Tokens, err = c.mayCost(args, action); err != nil {
		return ask, err
	}
	ask.Bytes = int(c.length)
	maps.DeleteFunc(args, func(name string, _ any) bool { return slices.Contains(content, name) })
	ask.Arguments, err = json.Marshal(args, json.Deterministic(true))
	return ask, err
}

// mayCost is what a call may cost, in tokens.
func (c *call) mayCost(args map[string]any, action string) (int, error) {
	answer := int64(c.up.AnswerTokens)
	said, times := int64(0), int64(1)
	for _, name := range []string{"max_tokens", "max_completion_tokens", "max_output_tokens", "n", "best_of"} {
		v, given := args[name]
		if !given || v == nil {
			continue
		}
		n, ok := v.(int64)
		if !ok || n < 1 || n > 1<<31 {
			return 0, refuse(http.StatusBadRequest, "%s is not a whole number that can be counted with", name)
		}
		if name == "n" || name == "best_of" {
			times = max(times, n)
		} else {
			said = max(said, n)
		}
	}
	if said > 0 {
		answer = said
	}
	if action == "embed" {
		answer = 0
	}
	total := c.length/bytesPerToken + 1 + answer*min(times, 1<<20)
	return int(min(total, 1<<40)), nil
}

// toolNames are the names of the tools that a model is told of.
func toolNames(args map[string]any) ([]any, error) {
	names := []any{}
	for _, member := range []string{"tools", "functions"} {
		list, ok := args[member].([]any)
		if !ok && args[member] != nil {
			return nil, refuse(http.StatusBadRequest, "%s is not a list", member)
		}
		for _, t := range list {
			tool, _ := t.(map[string]any)
			if inner, ok := tool["function"].(map[string]any); ok {
				tool = inner
			}
			name, ok := tool["name"].(string)
			if !ok {
				name, ok = tool["type"].(string)
			}
			if !ok || name == "" {
				return nil, refuse(http.StatusBadRequest, "one of the %s has neither a name nor a type", member)
			}
			names = append(names, name)
		}
	}
	return names, nil
}

// list passes on the vendor's list of models, with those that are granted.
func (c *call) list(w http.ResponseWriter, r *http.Request) error {
	f := follow.New(c.g.opts.Granted, c.bearer, c.g.cfg.StaleAfter, c.g.now)
	if err := f.Ask(r.Context()); err != nil {
		return undecided(err)
	}
	term, err := f.Stands()
	if err != nil {
		return refuse(http.StatusForbidden, "%v", err)
	}
	grants := term.Grants()
	c.answer = wire.Answer{Release: term.Release}
	c.change = func(raw []byte) ([]byte, error) { return c.granted(raw, grants, c.g.now()) }
	return c.send(w, r, nil)
}

// granted leaves those of a vendor's list that may be called in some way.
func (c *call) granted(raw []byte, grants *authority.Set, now time.Time) ([]byte, error) {
	all, err := authority.ParseArguments(raw)
	if err != nil {
		return nil, err
	}
	data, ok := all["data"].([]any)
	if !ok {
		return nil, fmt.Errorf("it has no list of models")
	}
	left := []any{}
	for _, m := range data {
		object, _ := m.(map[string]any)
		id, _ := object["id"].(string)
		for _, action := range []string{"chat", "complete", "embed"} {
			if grants.Offers(&authority.Call{Kind: "models", Resource: c.up.Models + "/" + id, Action: action}, now) {
				left = append(left, m)
				break
			}
		}
	}
	return json.Marshal(map[string]any{"object": "list", "data": left, "has_more": false}, json.Deterministic(true))
}

// usage is what an answer of a model says of itself.
type usage struct {
	Model       string
	Fingerprint string
	tokens      struct{ input, output, total, cached int }
	line        bytes.Buffer
	events      bool
	over        bool
}

// maxAnswerRead is how much of one answer, or of one event, is looked into.
const maxAnswerRead = 16 << 20

// of returns what sees the bytes of an answer.
func (u *usage) of(media string) io.Writer {
	u.events = strings.HasPrefix(media, "text/event-stream")
	return u
}

// Write implements [io.Writer]; it takes everything.
func (u *usage) Write(p []byte) (int, error) {
	n := len(p)
	for u.events {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			break
		}
		u.keep(p[:end])
		u.event()
		p = p[end+1:]
	}
	u.keep(p)
	return n, nil
}

func (u *usage) keep(p []byte) {
	if u.over = u.over || u.line.Len()+len(p) > maxAnswerRead; !u.over {
		u.line.Write(p)
	}
}

// event reads one line of a stream.
func (u *usage) event() {
	if data, ok := bytes.CutPrefix(u.line.Bytes(), []byte("data:")); ok && !u.over {
		u.read(data)
	}
	u.line.Reset()
	u.over = false
}

// cost returns what the answer says that it has cost, when it is over.
func (u *usage) cost() int {
	if u.events {
		u.event()
	} else if !u.over {
		u.read(u.line.Bytes())
		u.line.Reset()
	}
	t := u.tokens
	return max(t.total, t.input+t.output+t.cached)
}

// said is what vendors say: OpenAI in the answer and in the last chunk of a
// stream, its responses in an event of their own, Anthropic in the first event and
// in later ones.
type said struct {
	Model       string  `json:"model"`
	Fingerprint string  `json:"system_fingerprint"`
	Usage       counted `json:"usage"`
	Response    *said   `json:"response"`
	Message     *said   `json:"message"`
}

type counted struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
	Input      int `json:"input_tokens"`
	Output     int `json:"output_tokens"`
	Created    int `json:"cache_creation_input_tokens"`
	Read       int `json:"cache_read_input_tokens"`
}

// read takes the largest of each number: streams count up.
func (u *usage) read(raw []byte) {
	var s said
	if json.Unmarshal(raw, &s) != nil {
		return // the end of a stream, or nothing that says anything
	}
	for _, part := range []*said{&s, s.Response, s.Message} {
		if part == nil {
			continue
		}
		if part.Model != "" {
			u.Model = part.Model
		}
		if part.Fingerprint != "" {
			u.Fingerprint = part.Fingerprint
		}
		c, t := part.Usage, &u.tokens
		t.input = max(t.input, c.Prompt, c.Input)
		t.output = max(t.output, c.Completion, c.Output)
		t.total = max(t.total, c.Total)
		t.cached = max(t.cached, c.Created+c.Read)
	}
}
