package server

import (
	"log/slog"

	"imprimatur.dev/registry"
)

// Patterns returns every route that is mounted.
func Patterns(reg *registry.Registry) []string {
	return faces(reg, Options{}, slog.Default()).Patterns()
}
