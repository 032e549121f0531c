package registry_test

import (
	"imprimatur.dev/lineage/openlineage"
)

// sends has the robot send events.
func (h *house) sends(events ...string) {
	h.Helper()
	var parsed []openlineage.Event
	for _, e := range events {
		parsed = append(parsed, must[openlineage.Event](h)(openlineage.Parse([]byte(e))))
	}
	if err := h.reg.SendLineage(h.ctx, robot, "", parsed); err != nil {
		h.Fatal(err)
	}
}
