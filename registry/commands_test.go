package registry_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

func (h *house) size() int64 {
	h.Helper()
	return must[int64](h)(h.reg.Size(h.ctx))
}

// atOnce runs n functions together and waits for them all.
func atOnce(n int, fn func(i int)) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			fn(i)
		})
	}
	close(start)
	all.Wait()
}

func TestARepeatedRequestGetsTheFirstAnswer(t *testing.T) {
	h := open(t)
	c := h.ready("1")
	ask := func(request string, who registry.Caller) (wire.Promoted, error) {
		who.Request = request
		return h.reg.Promote(h.ctx, who, c.ID)
	}
	first := must[wire.Promoted](t)(ask("k#1", olga))
	size := h.size()
	for range 2 {
		again := must[wire.Promoted](t)(ask("k#1", olga))
		if diff := cmp.Diff(first.Promotion, again.Promotion); diff != "" {
			t.Errorf("the repeat was answered otherwise:\n%s", diff)
		}
		h.again()
	}
	_, err := ask("k#2", olga)
	h.refused(err, wire.Conflict, `the Idempotency-Key "k" was used before with another request`, "send a new one")
	_, err = ask("other#1", olga)
	h.refused(err, wire.Conflict, "is live already")
	_, err = ask("k#1", ann)
	h.refused(err, wire.Conflict, "is live already") // another caller's key is another key
	who := olga
	who.Request = "k#1"
	_, err = h.reg.Retire(h.ctx, who, c.ID, "r")
	h.refused(err, wire.Conflict, "used before for something else", "send a new one")
	if h.size() != size {
		t.Errorf("the repeats stated %d more", h.size()-size)
	}
}

func TestOneKeyAtOnceIsOneStatement(t *testing.T) {
	h := open(t)
	size := h.size()
	who := ann
	who.Request = "once#1"
	got := make([]record.Recorded[record.Model], 64)
	atOnce(len(got), func(i int) {
		var err error
		if got[i], err = h.reg.RegisterModel(h.ctx, who, record.Model{Team: "lab", Name: "twin", Type: record.Trained, Owner: "olga"}); err != nil {
			t.Error(err)
		}
	})
	for _, g := range got {
		if diff := cmp.Diff(got[0], g); diff != "" {
			t.Errorf("two answers:\n%s", diff)
		}
	}
	if h.size() != size+1 {
		t.Errorf("%d statements, want one", h.size()-size)
	}
}

func TestTheSameNameAtOnceStandsForOneThing(t *testing.T) {
	h := open(t)
	h.train("1", true)
	var mu sync.Mutex
	stands := map[string]record.Digest{}
	atOnce(48, func(i int) {
		version := fmt.Sprint(i % 3)
		artifact := digest(fmt.Sprintf("twin %d", i%12)) // four contents for each name
		v := record.ModelVersion{
			Model: "lab/net", Version: "twin-" + version, Type: record.Trained, Artifact: artifact,
			Files: []record.File{{Path: "m", SHA256: artifact.Hex(), Size: 1}},
		}
		got, err := h.reg.RegisterVersion(h.ctx, ann, v)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil && stands[version] == "":
			stands[version] = got.Digest
		case err == nil && stands[version] != got.Digest:
			t.Errorf("%s stands for two", version)
		case err != nil && (registry.CodeOf(err) != wire.Conflict || !strings.Contains(err.Error(), "use a new name or version")):
			t.Error(err)
		}
	})
	page := must[wire.Page](t)(h.reg.List(h.ctx, ann, record.KindModelVersion, 0, 0))
	if len(stands) != 3 || len(page.Entries) != 4 {
		t.Errorf("%d names won and %d versions stand, want 3 and, with the first, 4", len(stands), len(page.Entries))
	}
}

// TestConcurrentCommandsNeitherLoseNorDouble has everybody promote, roll back,
// stop and bring back three releases at once. What was answered must be what
// stands, and what stands must be possible one after the other.
func TestConcurrentCommandsNeitherLoseNorDouble(t *testing.T) {
	h := open(t)
	atTheSameTime([]*house{h}, h.three(), 15)
}

// atTheSameTime has sixteen goroutines, spread over the servers of one ledger,
// run so many random commands each.
func atTheSameTime(servers []*house, ids []string, each int) {
	h := servers[0]
	h.Helper()
	var mu sync.Mutex
	answered := map[string]int{"approval": h.count(record.KindApproval)}
	done := func(word string, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			answered[word]++
		} else if code := registry.CodeOf(err); code != wire.Conflict && code != wire.Refused && code != wire.Invalid {
			h.Error(err)
		}
	}
	atOnce(16, func(g int) {
		draw := rand.New(rand.NewPCG(uint64(g), 7))
		reg := servers[g%len(servers)].reg
		for range each {
			id, other := ids[draw.IntN(3)], ids[draw.IntN(3)]
			switch draw.IntN(8) {
			case 0, 1, 2:
				done("promotion", only(reg.Promote(h.ctx, olga, id)))
			case 3, 4:
				done("promotion", only(reg.Rollback(h.ctx, olga, id, other, "r")))
			case 5:
				done("suspension", only(reg.Suspend(h.ctx, sam, id, "r", false)))
			case 6:
				done("suspension", only(reg.Suspend(h.ctx, sam, id, "r", true)))
			case 7:
				role := seats[draw.IntN(3)]
				c, err := reg.CheckRelease(h.ctx, rita, id)
				if err != nil {
					h.Error(err)
				}
				done("approval", only(reg.Approve(h.ctx, approver(role, fmt.Sprint(slices.Index(ids, id)+1)), wire.Word{
					Release: id, Record: c.Digests.Record, Role: role, Decision: record.Approve, Reason: "seen",
				})))
			}
		}
	})
	stated := map[string]int{}
	for word, kind := range map[string]record.Kind{"promotion": record.KindPromotion, "suspension": record.KindSuspension, "approval": record.KindApproval} {
		stated[word] = h.count(kind)
	}
	if diff := cmp.Diff(answered, stated); diff != "" {
		h.Errorf("answered and stated differ:\n%s", diff)
	}
	h.serial(ids)
	if _, err := h.reg.VerifyLedger(h.ctx); err != nil {
		h.Error(err)
	}
}

// count counts the statements of a kind.
func (h *house) count(kind record.Kind) (n int) {
	h.Helper()
	for before := int64(0); ; {
		p := must[wire.Page](h)(h.reg.List(h.ctx, rita, kind, before, 0))
		n += len(p.Entries)
		if before = p.Next; before == 0 {
			return n
		}
	}
}

// serial replays a line's history by the model: each step must have been allowed
// where it stands.
func (h *house) serial(ids []string) {
	h.Helper()
	w := world{}
	for _, id := range ids {
		m := &modelled{id: id, data: true, status: record.Proposed, words: map[record.RoleName]string{}}
		for _, role := range seats {
			m.words[role] = record.Approve
		}
		w.releases = append(w.releases, m)
	}
	var last wire.Entry
	for i, e := range must[[]wire.Entry](h)(h.reg.History(h.ctx, rita, ids[0])) {
		if e.Index <= last.Index || e.Time.Before(last.Time) && e.Kind != record.KindApproval && last.Kind != record.KindApproval {
			h.Errorf("statement %d at index %d of %s follows index %d of %s", i, e.Index, e.Time, last.Index, last.Time)
		}
		last = e
		switch b := must[record.Body](h)(record.Replay(e.Kind, e.Record)).(type) {
		case record.Promotion:
			m := w.of(b.Release)
			want := w.runs
			if m.promotable() != "" || b.Replaces != want || (b.How == record.Rollback && !m.ran) {
				h.Errorf("promotion at %d of %s (%s), replacing %q: it was %s and %q ran", e.Index, b.Release, b.How, b.Replaces, m.status, w.runs)
			}
			w.promote(m, nil)
		case record.Suspension:
			m := w.of(b.Release)
			switch {
			case b.Lifted != (m.status == record.Suspended):
				h.Errorf("suspension at %d of %s, lifted %v: it was %s", e.Index, b.Release, b.Lifted, m.status)
			case b.Lifted:
				w.lift(m)
			default:
				w.stop(m, record.Suspended)
			}
		}
	}
	for i, m := range w.releases {
		if d := h.decide(fmt.Sprint(i + 1)); d.Allowed != (m.status == record.Live) {
			h.Errorf("in the end version %d is %s and decided %v: %v", i+1, m.status, d.Allowed, d.Reasons)
		}
	}
}
