package authority

import (
	"fmt"
	"mime"
	"slices"
	"strings"
)

// HTTPRequest is a request over HTTP as an enforcement point has read it.
type HTTPRequest struct {
	Method string
	// URL is absolute, and as it was on the wire: nothing of it is decoded.
	URL string
	// Header are the fields by their names, in any case.
	Header map[string][]string
	// Body is what was read of the body, all of it unless Unread.
	Body []byte
	// Unread says that there is a body which was not read.
	Unread bool
}

// HTTPCall is a request over HTTP as a call of kind apis, in its one form. What
// is passed on to the callee is this form and not what was received, so that the
// callee sees what was decided about.
type HTTPCall struct {
	// Resource is the host, the port where it is not that of https, and the path; a
	// request in plain HTTP has "http://" before it. Action is the method.
	Resource, Action string
	// Scheme, Host (with a port that is not the scheme's own), Path and Query are
	// the address.
	Scheme, Host, Path, Query string
	// Header are the fields that the callee may see, by lower-case names; a field
	// that came several times is joined by commas (RFC 9110 5.3).
	Header map[string]string
	// Arguments are the body where it is a JSON object.
	Arguments []byte
	// Opaque is [Call.Opaque].
	Opaque bool
	// About has method, host, path, query (values by name), headers, and body: none,
	// json or other.
	About map[string]any
}

// URL returns the address in its one form.
func (c *HTTPCall) URL() string {
	u := c.Scheme + "://" + c.Host + c.Path
	if c.Query != "" {
		u += "?" + c.Query
	}
	return u
}

const (
	maxURL     = 8 << 10
	maxHeaders = 100
	// maxFields bounds the bytes of all fields.
	maxFields = 32 << 10
)

// HTTP brings a request to its one form. Refused is what two readers of HTTP
// would understand in two ways: the error says how to write it instead.
func HTTP(r HTTPRequest) (*HTTPCall, error) {
	if !plainMethod(r.Method) {
		return nil, fmt.Errorf("the method %s is not passed on", quoted(r.Method))
	}
	c := &HTTPCall{Action: r.Method}
	query, err := c.address(r.URL)
	if err != nil {
		return nil, err
	}
	if c.Header, err = fields(r.Header); err != nil {
		return nil, err
	}
	values, err := c.readQuery(query)
	if err != nil {
		return nil, err
	}
	c.Resource = c.Host + c.Path
	if c.Scheme == "http" {
		c.Resource = "http://" + c.Resource
	}
	body := c.readBody(r)
	headers := make(map[string]any, len(c.Header))
	for name, value := range c.Header {
		headers[name] = value
	}
	c.About = map[string]any{"method": c.Action, "host": c.Host, "path": c.Path, "query": values, "headers": headers, "body": body}
	return c, nil
}

// plainMethod accepts what a callee reads as written: CONNECT makes a tunnel, in
// which nothing is decided, and TRACE shows the callee's credentials.
func plainMethod(m string) bool {
	if m == "" || len(m) > 20 || m == "CONNECT" || m == "TRACE" {
		return false
	}
	return !strings.ContainsFunc(m, func(r rune) bool { return (r < 'A' || r > 'Z') && r != '-' })
}

// address reads the URL but for the query, which it returns as written.
func (c *HTTPCall) address(text string) (query string, err error) {
	if len(text) > maxURL {
		return "", fmt.Errorf("the address has %d bytes, more than the %d that are read", len(text), maxURL)
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if c.Scheme = strings.ToLower(scheme); !ok || c.Scheme != "https" && c.Scheme != "http" {
		return "", fmt.Errorf("%s is no address of https or http", quoted(text))
	}
	if strings.Contains(rest, "#") {
		return "", fmt.Errorf("the address %s has a fragment, which is for browsers; leave it out", quoted(text))
	}
	rest, query, _ = strings.Cut(rest, "?")
	host, path := rest, "/"
	if at := strings.IndexByte(rest, '/'); at >= 0 {
		host, path = rest[:at], rest[at:]
	}
	if c.Host, err = canonicalHost(host, c.Scheme); err != nil {
		return "", err
	}
	c.Path, err = canonicalPath(path)
	return query, err
}

// readQuery brings the query to its one form and returns the values by name. A
// name that comes twice is read as the first, the last or a list, and by some in
// any case; and so is refused.
func (c *HTTPCall) readQuery(text string) (map[string]any, error) {
	values, seen, roots := map[string]any{}, map[string]bool{}, map[string]bool{}
	var out []string
	for piece := range strings.SplitSeq(text, "&") {
		if piece == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(piece, "=")
		name, nameForm, err := queryText(rawName)
		if err != nil {
			return nil, err
		}
		value, valueForm, err := queryText(rawValue)
		if err != nil {
			return nil, err
		}
		fold := strings.ToLower(name)
		root, _, nested := strings.Cut(fold, "[")
		switch {
		case fold == "_method":
			return nil, fmt.Errorf("the parameter _method would have another method be read than %s", c.Action)
		case seen[fold], !nested && roots[root], nested && seen[root]:
			return nil, fmt.Errorf("the parameter %s comes more than once; send it once", quoted(name))
		}
		seen[fold] = true
		roots[root] = roots[root] || nested
		values[name] = value
		out = append(out, nameForm+"="+valueForm)
	}
	c.Query = strings.Join(out, "&")
	return values, nil
}

// The fields that are not passed on: they are about this connection or the
// way to it (RFC 9110 7.6), or the credentials of who asks.
var notPassedOn = []string{
	"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "content-length", "host", "expect", "forwarded",
	"authorization", "proxy-authorization", "proxy-authenticate", "cookie", "x-real-ip", "x-request-start", "via", "dpop",
}

// overriding are fields that some callees read in place of the method or the path.
var overriding = []string{
	"x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url", "x-original-uri", "x-override-url",
}

func fields(header map[string][]string) (map[string]string, error) {
	out := make(map[string]string, len(header))
	size := 0
	for name, all := range header {
		name, value := strings.ToLower(name), strings.Join(all, ", ")
		if size += len(name) + len(value); size > maxFields || len(out) >= maxHeaders {
			return nil, fmt.Errorf("the fields of the header are more than %d, or have more than %d bytes", maxHeaders, maxFields)
		}
		if err := plainField(name, value); err != nil {
			return nil, err
		}
		if slices.Contains(notPassedOn, name) || strings.HasPrefix(name, "x-forwarded-") || strings.HasPrefix(name, "x-envoy-") {
			continue
		}
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("the field %s comes twice, in several ways of writing it", quoted(name))
		}
		out[name] = strings.Trim(value, " \t")
	}
	return out, nil
}

func plainField(name, value string) error {
	switch {
	case name == "" || strings.ContainsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }):
		// An underscore is read as a hyphen by gateways that make variables of names.
		return fmt.Errorf("the name of the field %s is not made of letters, digits and hyphens", quoted(name))
	case slices.Contains(overriding, name):
		return fmt.Errorf("the field %s would have something else be read than is decided about; leave it out", name)
	case name == "upgrade":
		return fmt.Errorf("a request to speak another protocol (%s) is not passed on, since nothing in it could be decided", quoted(value))
	case !plainText(value):
		return fmt.Errorf("the field %s has a value with control characters, or that is not UTF-8", quoted(name))
	case name == "connection":
		// What it names would be taken away on the way, after the decision.
		for token := range strings.SplitSeq(value, ",") {
			if t := strings.ToLower(strings.TrimSpace(token)); t != "" && t != "close" && t != "keep-alive" && t != "te" {
				return fmt.Errorf("the field connection names %s, which it may not take away", quoted(t))
			}
		}
	}
	return nil
}

// readBody makes arguments of the body, or says that nobody can look into it.
func (c *HTTPCall) readBody(r HTTPRequest) string {
	if len(r.Body) == 0 && !r.Unread {
		return "none"
	}
	media, params, err := mime.ParseMediaType(c.Header["content-type"])
	charset := strings.ToLower(params["charset"])
	isJSON := err == nil && (media == "application/json" || strings.HasSuffix(media, "+json")) && (charset == "" || charset == "utf-8")
	encoding := strings.ToLower(c.Header["content-encoding"])
	if r.Unread || !isJSON || encoding != "" && encoding != "identity" || !strings.HasPrefix(strings.TrimLeft(string(r.Body[:min(len(r.Body), 64)]), " \t\r\n"), "{") {
		c.Opaque = true
		return "other"
	}
	c.Arguments = r.Body
	return "json"
}
