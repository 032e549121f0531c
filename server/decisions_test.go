package server_test

import (
	"testing"

	"imprimatur.dev/wire"
)

func TestAGatewayTellsOverHTTP(t *testing.T) {
	h := settle(t)
	lines := []wire.Decided{{At: now(), Workload: "robot", Kind: "tools", Resource: "look-up", Action: "call", Reason: "no grant", Count: 1}}
	if got := must[wire.Told](t)(h.people["robot"].TellDecisions(h.ctx, lines)); got.Kept != 1 {
		t.Errorf("%+v", got)
	}
	_, err := h.people["vic"].TellDecisions(h.ctx, lines)
	h.refused(err, wire.Forbidden, "is a person")
	_, err = h.people["robot"].TellDecisions(h.ctx, make([]wire.Decided, 1001))
	h.refused(err, wire.Invalid, "more than 1000")
}
