package registry_test

import (
	"testing"

	"imprimatur.dev/wire"
)

// TestDecideFollowsEveryPromotion asks about a model only after others of its
// line were promoted, so that the index must learn of it by itself.
func TestDecideFollowsEveryPromotion(t *testing.T) {
	h := open(t)
	h.live("1")
	h.allowed("1")
	h.live("2")
	h.allowed("2")
	h.forbidden("1")
	h.again()
	h.live("3")
	h.allowed("3")
	h.forbidden("2")
	c := h.live("4")
	must[wire.Case](t)(h.reg.Suspend(h.ctx, sam, c.ID, "incident", false))
	h.live("5")
	h.allowed("5")
}
