package console

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"imprimatur.dev/registry"
	"imprimatur.dev/server/api"
	"imprimatur.dev/server/router"
	"imprimatur.dev/wire"
)

// access says who gets in at a row of the table. The zero value is no access
// level, so that a row that forgot it is not one.
type access int

const (
	public   access = iota + 1 // anyone
	signedIn                   // whoever is signed in; the registry decides the rest
)

// route is one row of the table.
type route struct {
	method string
	path   string
	access access
	answer answer
}

// answer writes what a row answers, or returns why it does not.
type answer func(c *console, w http.ResponseWriter, r *http.Request, who registry.Caller) error

// Options are what the console is made from.
type Options struct {
	Registry *registry.Registry
	Log      *slog.Logger
	// SignedIn returns who sent a request, if anybody who is signed in.
	SignedIn func(*http.Request) (registry.Caller, bool)
	// Base is the address at which browsers reach the installation, without a final
	// slash; empty is that of plain HTTP by which a request came.
	Base string
	// Operations are the rows of the API, for its page.
	Operations []api.Operation
}

// console is the pages of one registry.
type console struct {
	Options
	now func() time.Time
}

// Mount adds the console to a server's routes. It panics when the table of
// routes is faulty, which no input can bring about.
func Mount(mux *router.Mux, opts Options) { mount(mux, opts, routes) }

func mount(mux *router.Mux, opts Options, rows []route) {
	c := &console{Options: opts, now: time.Now}
	for _, row := range rows {
		if row.access != public && row.access != signedIn {
			panic(fmt.Sprintf("console: the route %s %s does not say who gets in", row.method, row.path))
		}
		mux.HandleFunc(row.method+" "+row.path, c.enter(row))
	}
	// Without a method, which would make it conflict with the other faces.
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		who, _ := c.SignedIn(r)
		c.refuse(w, r, who, api.Refusal(wire.Unknown, "nothing is at %s; the navigation shows what there is", r.URL.Path))
	})
}

// enter lets in whom the row lets in, and turns an error into a page.
func (c *console) enter(row route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, ok := c.SignedIn(r)
		switch {
		case !ok && row.access != public && r.Method == http.MethodGet:
			http.Redirect(w, r, "/sign-in?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
			return
		case !ok && row.access != public:
			c.refuse(w, r, who, api.Refusal(wire.SignIn, "nobody is signed in here any more, and nothing was changed; sign in at /sign-in and send the form again"))
			return
		}
		if err := row.answer(c, w, r, who); err != nil {
			c.refuse(w, r, who, err)
		}
	}
}

// shows is a handler that returns a page.
type shows func(c *console, ctx context.Context, who registry.Caller, in input) (*Page, error)

// page answers with a page.
func page(show shows) answer {
	return func(c *console, w http.ResponseWriter, r *http.Request, who registry.Caller) error {
		p, err := show(c, r.Context(), who, input{r, r.URL.Query()})
		if err != nil {
			return err
		}
		return c.draw(w, r, who, http.StatusOK, p)
	}
}

// maxForm is the most bytes that a form may have.
const maxForm = 1 << 20

// form carries out what a form asks for and leads to where it is seen. Where
// that is refused, the page of the form is shown again with the refusal.
func form(do func(c *console, ctx context.Context, who registry.Caller, in input) (to string, err error), again shows) answer {
	return func(c *console, w http.ResponseWriter, r *http.Request, who registry.Caller) error {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			return api.Refusal(wire.Invalid, "the form cannot be read: it is longer than %d bytes or cut off; send it again", maxForm)
		}
		in := input{r, r.PostForm}
		to, refused := do(c, r.Context(), who, in)
		if refused == nil {
			http.Redirect(w, r, to, http.StatusSeeOther)
			return nil
		}
		p, err := again(c, r.Context(), who, in)
		if err != nil {
			// Without its page, the refusal itself is what there is to say.
			return refused
		}
		problem := c.problem(w, r, refused)
		p.Refusal = &problem
		return c.draw(w, r, who, problem.Status, p)
	}
}

// Download is a file that is handed out as it is.
type Download struct {
	Name    string
	Media   string
	Content []byte
}

// file answers with a download, which no browser opens as a page.
func file(get func(c *console, ctx context.Context, who registry.Caller, in input) (*Download, error)) answer {
	return func(c *console, w http.ResponseWriter, r *http.Request, who registry.Caller) error {
		d, err := get(c, r.Context(), who, input{r, r.URL.Query()})
		if err != nil {
			return err
		}
		h := w.Header()
		h.Set("Content-Type", d.Media)
		h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", d.Name))
		h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
		// The status is sent: an error now means that the caller has gone.
		_, _ = w.Write(d.Content)
		return nil
	}
}

// input is what a handler knows of a request: the parts of its path, and its
// query or its form.
type input struct {
	request *http.Request
	values  url.Values
}

// path returns a part of the path by its name in the row.
func (in input) path(name string) string { return in.request.PathValue(name) }

// get returns a value of the query or form without the space around it.
func (in input) get(name string) string { return strings.TrimSpace(in.values.Get(name)) }

// posted reports whether the page is shown again after a refused form.
func (in input) posted() bool { return in.request.Method == http.MethodPost }

// with returns the address of this page with some of its values set, and those
// taken away whose value is empty.
func (in input) with(pairs ...string) string {
	q := url.Values{}
	for name, vs := range in.values {
		if len(vs) > 0 && vs[0] != "" {
			q.Set(name, vs[0])
		}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			q.Del(pairs[i])
		}
	}
	u := url.URL{Path: in.request.URL.Path, RawQuery: q.Encode()}
	return u.String()
}

func (c *console) problem(w http.ResponseWriter, r *http.Request, err error) wire.Problem {
	return api.ProblemOf(r.Context(), c.Log, w.Header().Get(api.RequestID), err)
}

// refuse answers with an error as a page.
func (c *console) refuse(w http.ResponseWriter, r *http.Request, who registry.Caller, err error) {
	problem := c.problem(w, r, err)
	p := &Page{Template: "refusal", Title: problem.Title, Body: problem, Refusal: &problem}
	if err := c.draw(w, r, who, problem.Status, p); err != nil {
		api.Refuse(w, r, c.Log, err)
	}
}

// draw writes a page inside the frame. A fault of a template is found before
// anything is sent.
func (c *console) draw(w http.ResponseWriter, r *http.Request, who registry.Caller, status int, p *Page) error {
	t, ok := templates[p.Template]
	if !ok {
		return fmt.Errorf("console: there is no template %q", p.Template)
	}
	f := frame{Page: p, Who: who, Search: r.URL.Query().Get("q"), Now: c.now()}
	f.Navigation = navigation(r.URL.Path)
	if r.URL.Path != "/search" {
		f.Search = ""
	}
	var out bytes.Buffer
	if err := t.ExecuteTemplate(&out, "frame", f); err != nil {
		return fmt.Errorf("drawing the page %s: %w", p.Template, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	// The status is sent: an error now means that the reader has gone.
	_, _ = w.Write(out.Bytes())
	return nil
}
