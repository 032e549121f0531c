package server_test

import (
	"fmt"
	"testing"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// BenchmarkDecide asks over one connection at a time whether a live model may
// run, with the real client.
func BenchmarkDecide(b *testing.B) {
	h := settle(b)
	c := h.ready("1")
	must[wire.Promoted](b)(h.people["olga"].Promote(h.ctx, c.ID))
	robot, artifact := h.people["robot"], digest("model 1")
	for b.Loop() {
		if d, err := robot.Decide(h.ctx, "production", artifact); err != nil || !d.Allowed {
			b.Fatalf("%+v, %v", d, err)
		}
	}
}

// BenchmarkDecideTogether is BenchmarkDecide by several clients at once.
func BenchmarkDecideTogether(b *testing.B) {
	h := settle(b)
	c := h.ready("1")
	must[wire.Promoted](b)(h.people["olga"].Promote(h.ctx, c.ID))
	robot, artifact := h.people["robot"], digest("model 1")
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if d, err := robot.Decide(h.ctx, "production", artifact); err != nil || !d.Allowed {
				b.Errorf("%+v, %v", d, err)
				return
			}
		}
	})
}

// BenchmarkCheckRelease evaluates a release with its whole dossier over HTTP.
func BenchmarkCheckRelease(b *testing.B) {
	h := settle(b)
	c := h.ready("1")
	for b.Loop() {
		if _, err := h.people["vic"].CheckRelease(h.ctx, c.ID); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCreateTeam states one record a request, on disk when it is answered.
func BenchmarkCreateTeam(b *testing.B) {
	h := open(b)
	for i := 0; b.Loop(); i++ {
		if _, err := h.admin.CreateTeam(h.ctx, record.Team{Name: fmt.Sprintf("team%d", i)}); err != nil {
			b.Fatal(err)
		}
	}
}
