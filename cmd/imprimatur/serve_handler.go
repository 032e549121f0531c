package main

import (
	"log/slog"
	"net/http"

	"imprimatur.dev/registry"
	"imprimatur.dev/server/api"
)

func handler(reg *registry.Registry, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", api.New(reg, log))
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, r *http.Request) {})
	return mux
}
