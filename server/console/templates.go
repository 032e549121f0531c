package console

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"imprimatur.dev/registry"
	"imprimatur.dev/server/api"
	"imprimatur.dev/wire"
)

//go:embed templates assets
var files embed.FS

// templates are the pages by name, each with the frame and the parts.
var templates = parse()

func parse() map[string]*template.Template {
	shared := template.Must(template.New("").Funcs(functions).ParseFS(files, "templates/frame.html", "templates/parts.html"))
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		panic(err)
	}
	out := map[string]*template.Template{}
	for _, name := range names {
		base := strings.TrimSuffix(path.Base(name), ".html")
		if base != "frame" && base != "parts" {
			out[base] = template.Must(template.Must(shared.Clone()).ParseFS(files, name))
		}
	}
	return out
}

var functions = template.FuncMap{
	"shape":   func(state string) string { return shapes[state] },
	"asset":   func(name string) string { return "/assets/" + name + "?v=" + versions[name] },
	"stamp":   stamp,
	"machine": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"lines":   func(s string) []string { return strings.Split(s, "\n") },
	"sign":    func(s string) string { return map[string]string{"+": "added", "-": "removed", "~": "changed"}[s] },
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// versions are the digests of the assets, so that a browser may keep each for
// as long as it does not change.
var versions = versionsOf()

func versionsOf() map[string]string {
	entries, err := fs.ReadDir(files, "assets")
	if err != nil {
		panic(err)
	}
	out := map[string]string{}
	for _, e := range entries {
		raw, err := fs.ReadFile(files, "assets/"+e.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(raw)
		out[e.Name()] = hex.EncodeToString(sum[:6])
	}
	return out
}

// asset answers with a stylesheet or a script of our own.
func asset(_ *console, w http.ResponseWriter, r *http.Request, _ registry.Caller) error {
	name := r.PathValue("name")
	if versions[name] == "" {
		return api.Refusal(wire.Unknown, "there is no file %q here", name)
	}
	if r.URL.Query().Get("v") == versions[name] {
		w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d, immutable", int(365*24*time.Hour/time.Second)))
	}
	http.ServeFileFS(w, r, files, "assets/"+name)
	return nil
}
