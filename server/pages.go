package server

import (
	"embed"
	"html/template"
	"net/http"

	"imprimatur.dev/registry"
	"imprimatur.dev/server/api"
)

//go:embed pages
var files embed.FS

var templates = template.Must(template.ParseFS(files, "pages/*.html"))

// pages mounts what people read without signing in.
func pages(mux *http.ServeMux, reg *registry.Registry, v1 *api.API) {
	mux.HandleFunc("GET /page.css", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, files, "pages/page.css")
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		show(w, "home.html", map[string]any{"Origin": reg.Origin(), "Key": reg.VerifierKey()})
	})
	mux.HandleFunc("GET /api/{$}", func(w http.ResponseWriter, _ *http.Request) {
		show(w, "operations.html", v1.Operations)
	})
}

func show(w http.ResponseWriter, name string, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	// The templates and their data are this package's own, so that an error
	// means that the reader has gone.
	_ = templates.ExecuteTemplate(w, name, data)
}
