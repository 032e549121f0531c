package mlflow

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxBody holds the largest request: a prompt's text with its tags.
const maxBody = 4 << 20

// args are the arguments of a call, from its query or its body.
type args struct {
	query url.Values
	body  map[string]jsontext.Value
}

func invalidf(format string, a ...any) error {
	return &fault{invalidParameter, fmt.Sprintf(format, a...)}
}

// seeDocs ends what MLflow says of a parameter of the wrong form.
const seeDocs = " See the API docs for more information about request parameters."

func arguments(w http.ResponseWriter, r *http.Request) (args, error) {
	query := r.URL.Query()
	if r.Method == http.MethodGet {
		return args{query: query}, nil
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return args{}, invalidf("the request is longer than %d bytes", maxBody)
		}
		return args{}, &fault{badRequest, "the request's body cannot be read"}
	}
	if len(raw) == 0 {
		return args{query: query}, nil
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return args{}, &fault{badRequest, "Bad Request. Content-Type must be one of ['application/json']."}
	}
	value := jsontext.Value(raw)
	if value.Kind() == '"' {
		var inner string
		if err := json.Unmarshal(value, &inner); err != nil {
			return args{}, notJSON(err)
		}
		value = jsontext.Value(inner)
	}
	a := args{body: map[string]jsontext.Value{}}
	if err := json.Unmarshal(value, &a.body); err != nil {
		return args{}, notJSON(err)
	}
	return a, nil
}

func notJSON(err error) error { return invalidf("the request's body is not a JSON object: %v", err) }

// given returns a member of the body; null is none.
func (a args) given(name string) (jsontext.Value, bool) {
	v, ok := a.body[name]
	return v, ok && v.Kind() != 'n'
}

// text returns an argument that is text, or nothing.
func (a args) text(name string) (string, error) {
	if a.body == nil {
		return a.query.Get(name), nil
	}
	v, ok := a.given(name)
	if !ok {
		return "", nil
	}
	var s string
	if err := json.Unmarshal(v, &s); err != nil {
		return "", wrongType(name, v)
	}
	return s, nil
}

// wrongType says what MLflow says of a value of another type than it should be.
func wrongType(name string, v jsontext.Value) error {
	types := map[jsontext.Kind]string{'t': "bool", 'f': "bool", '"': "str", '0': "int", '{': "dict", '[': "list", 'n': "NoneType"}
	kind := types[v.Kind()]
	if v.Kind() == '0' && strings.ContainsAny(string(v), ".eE") {
		kind = "float"
	}
	return invalidf("Invalid value %s for parameter '%s' supplied:  Hint: Value was of type '%s'.%s", string(v), name, kind, seeDocs)
}

func missing(name string) error {
	return invalidf("Missing value for required parameter '%s'.%s", name, seeDocs)
}

// required returns an argument that must be there.
func (a args) required(name string) (string, error) {
	s, err := a.text(name)
	if err == nil && s == "" {
		err = missing(name)
	}
	return s, err
}

// number returns an argument that is a whole number, or the default.
func (a args) number(name string, otherwise int) (int, error) {
	raw := a.query.Get(name)
	if a.body != nil {
		v, ok := a.given(name)
		if !ok {
			return otherwise, nil
		}
		raw = strings.Trim(string(v), `"`)
	}
	if raw == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(raw))
	if err != nil {
		return 0, wrongType(name, jsontext.Value(strconv.Quote(raw)))
	}
	return n, nil
}

// flag returns an argument that is true or false.
func (a args) flag(name string) (bool, error) {
	raw := a.query.Get(name)
	if a.body != nil {
		v, ok := a.given(name)
		if !ok {
			return false, nil
		}
		raw = strings.Trim(string(v), `"`)
	}
	switch strings.ToLower(raw) {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, invalidf("Invalid boolean value: %s, must be 'true' or 'false'.", raw)
}

// list returns an argument that is a list of texts.
func (a args) list(name string) ([]string, error) {
	if a.body == nil {
		return a.query[name], nil
	}
	v, ok := a.given(name)
	if !ok {
		return nil, nil
	}
	var out []string
	if err := json.Unmarshal(v, &out); err != nil {
		return nil, wrongType(name, v)
	}
	return out, nil
}

// tag is a name and a value, as the protocol sends and answers them.
type tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// tags returns the argument tags; of a name that comes twice the last counts.
func (a args) tags() (map[string]string, error) {
	v, ok := a.given("tags")
	if !ok {
		return nil, nil
	}
	var list []tag
	if err := json.Unmarshal(v, &list); err != nil {
		return nil, wrongType("tags", v)
	}
	var out map[string]string
	for _, t := range list {
		if err := checkTag(t.Key, t.Value); err != nil {
			return nil, err
		}
		if out == nil {
			out = map[string]string{}
		}
		out[t.Key] = t.Value
	}
	return out, nil
}
