package registry

import (
	"bytes"
	"cmp"
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/drift"
	"imprimatur.dev/evidence"
	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
	"imprimatur.dev/wire"
)

// Observations are counted beside the ledger until their window closes: each
// window has an aside, in which replicas and restarts go on counting, and each batch
// one that remembers what was answered. A batch changes the windows and is remembered
// in one transaction, so that it counts once whatever happens.
const (
	spaceWindows = "windows"
	spaceBatches = "batches"
	ownerOpen    = "open"
	ownerClosed  = "closed"
)

// kept is what a window has counted so far.
type kept struct {
	Rows    int64 `json:"rows"`
	Batches int64 `json:"batches"`
	Late    int64 `json:"late,omitzero"`
	// Sketch is the compact form of a drift.Sketch.
	Sketch []byte          `json:"sketch,omitzero"`
	Right  int64           `json:"right,omitzero"`
	Raw    []record.Digest `json:"raw,omitzero"`
	// First is when the first of it came, and Closed that nothing more counts.
	First  time.Time `json:"first,omitzero"`
	Closed bool      `json:"closed,omitzero"`
}

// maxRaw bounds how many batches of one window are kept as they came.
const maxRaw = 10_000

// windowPlace is one window of a release.
type windowPlace struct {
	release string
	of      record.Category
	from    time.Time
}

func (p windowPlace) id() string {
	return fmt.Sprintf("%s/%s/%013d", p.release, p.of, p.from.UnixMilli())
}

// lateID is where rows are counted that came too late.
func lateID(release string, of record.Category) string { return release + "/" + string(of) + "/late" }

var batchPattern = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,128}$`)

// Observe counts a batch of observations of the release under which a workload
// acts, or of the one before it what was on the way when that was replaced; nobody
// speaks for another's. The body is a file that evidence.Observe reads,
// perhaps packed by gzip. Sent again it is answered with what it was answered first.
// Values are not kept, unless the policy keeps batches as they come.
func (r *Registry) Observe(ctx context.Context, who Caller, in wire.ObservationBatch, body io.Reader) (wire.Observed, error) {
	m, err := r.observedBy(ctx, who, in)
	if err != nil {
		return wire.Observed{}, err
	}
	if !batchPattern.MatchString(in.ID) {
		return wire.Observed{}, refusef(wire.Invalid, "the batch has the ID %q; give one of up to 128 letters, digits and . _ : -, the same whenever it is sent", in.ID)
	}
	now := record.Millis(r.now())
	if in.To.After(now.Add(clocksDiffer)) {
		return wire.Observed{}, refusef(wire.Invalid, "the batch ends at %s, which is to come; check the clock of the sender", in.To.UTC().Format(time.RFC3339))
	}
	file, err := spool(body)
	if err != nil {
		return wire.Observed{}, err
	}
	defer file.done()
	counted, err := r.countFile(ctx, m, in, file.File)
	var refused *evidence.Refusal
	if errors.As(err, &refused) {
		return wire.Observed{}, refusef(wire.Invalid, "the observations are refused, and none of them counts: %w; mend the file and send it again", err)
	}
	if err != nil {
		return wire.Observed{}, err
	}
	var raw record.Digest
	if m.rules.Raw {
		digest, _, err := r.blobs.Put(ctx, io.NewSectionReader(file, 0, file.Size))
		if err != nil {
			return wire.Observed{}, err
		}
		raw = record.Digest(digest)
	}
	return r.fold(ctx, m, in.ID, counted, raw, now)
}

// counters bounds how many files of observations are counted at once: a block of an
// Arrow file, and a page of a Parquet file, may take some hundred MB.
const counters = 4

func (r *Registry) countFile(ctx context.Context, m *monitor, in wire.ObservationBatch, file evidence.File) (*evidence.Observed, error) {
	select {
	case r.counting <- struct{}{}:
		defer func() { <-r.counting }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return evidence.Observe(m.frame, evidence.Batch{From: in.From, To: in.To, Time: in.Time, Window: m.rules.Window}, file)
}

// observedBy finds the release that a workload speaks for.
func (r *Registry) observedBy(ctx context.Context, who Caller, in wire.ObservationBatch) (*monitor, error) {
	if who.Type != record.Workload {
		return nil, refusef(wire.Forbidden, "%s is no workload: what a release sees and says is told by the workload that runs it; sign in with its token, from imprimatur principal token", who.Name)
	}
	if err := r.wholeNow(); err != nil {
		return nil, err
	}
	before, err := r.replacedOf(ctx, in.Release)
	if err != nil {
		return nil, err
	}
	ask := wire.Ask{Release: in.Release}
	if before != nil {
		ask.Release = before.by
	}
	acts, why, now, err := r.actingFor(ctx, who, &ask)
	if err != nil {
		return nil, err
	}
	if acts == nil {
		return nil, refusef(wire.Refused, "no observations are taken from %s; %s", who.Name, strings.Join(why, "; "))
	}
	if before == nil {
		return r.monitorOf(ctx, acts.dossier.ID)
	}
	m, err := r.monitorOf(ctx, in.Release)
	if err != nil {
		return nil, err
	}
	return m, before.takes(m, who.Name, in, record.Millis(now))
}

// replaced is when a release was replaced, and which one was promoted last since.
type replaced struct {
	by string
	at time.Time
}

// replacedOf returns how a release was replaced; nil where it was not.
func (r *Registry) replacedOf(ctx context.Context, id string) (out *replaced, err error) {
	if id == "" {
		return nil, nil
	}
	err = r.read(ctx, Caller{}, func(t *tx) error {
		rel, err := t.release(id)
		if refusal := (*Error)(nil); errors.As(err, &refusal) {
			return nil // which is said when it is asked who acts under it
		}
		if err != nil {
			return err
		}
		history, err := lineage.History(t, rel.Record.Line())
		if status, _ := record.StatusAt(history, id, t.now); err != nil || status != record.Replaced {
			return err
		}
		out = &replaced{}
		for _, e := range history {
			p := e.Promotion
			if p == nil {
				continue
			}
			if out.by == "" || out.by == id {
				out.at = e.Time
			}
			out.by = p.Release
		}
		return nil
	})
	return out, err
}

// takes refuses a batch of a release that was replaced, but for what was on the
// way: rows from before, by a workload that ran it and runs what replaced it, while the
// window in which it was replaced could be open. Tokens are tied to the workload or to
// the new release; the old one's have ended.
func (r *replaced) takes(m *monitor, workload string, in wire.ObservationBatch, now time.Time) error {
	if !slices.Contains(m.release.Record.Authority.Workloads, workload) {
		return refusef(wire.Forbidden, "the release %s does not name the workload %s, and nobody tells for another; the workload that ran it sends what it saw", m.id, workload)
	}
	if in.To.After(r.at) {
		return refusef(wire.Invalid, "the release %s was replaced by %s at %s, and the batch reaches to %s; cut it there, and send the rest of %s",
			m.id, r.by, r.at.UTC().Format(time.RFC3339Nano), in.To.UTC().Format(time.RFC3339Nano), r.by)
	}
	length := m.rules.Window.Milliseconds()
	until := time.UnixMilli((r.at.UnixMilli()/length + 1) * length).Add(max(m.lateness(record.Drift), m.lateness(record.Accuracy)))
	if now.After(until) {
		return refusef(wire.Refused, "the windows of the release %s, which was replaced at %s, were open until %s; a longer lateness in the section monitor of the policy waits longer for the next one: imprimatur policy publish",
			m.id, r.at.UTC().Format(time.RFC3339), until.UTC().Format(time.RFC3339))
	}
	return nil
}

// share is what a batch adds to one window.
type share struct {
	windowPlace
	rows, right int64
	sketch      *drift.Sketch
}

// batchAnswer is what is kept of a batch.
type batchAnswer struct {
	Sum    record.Digest `json:"sum"`
	Answer wire.Observed `json:"answer"`
}

// fold adds a batch to its windows.
func (r *Registry) fold(ctx context.Context, m *monitor, id string, counted *evidence.Observed, raw record.Digest, now time.Time) (wire.Observed, error) {
	parts, sum, err := partsOf(m, counted)
	if err != nil {
		return wire.Observed{}, err
	}
	last, err := r.lastClosed(ctx, m.id)
	if err != nil {
		return wire.Observed{}, err
	}
	answer := wire.Observed{Batch: id, Release: m.id, Format: counted.Format, Rows: counted.Rows, Unknown: counted.Unknown}
	places := []store.Aside{}
	for _, p := range parts {
		places = append(places, store.Aside{Space: spaceWindows, ID: p.id(), Owner: ownerOpen})
		if late := lateID(m.id, p.of); !slices.ContainsFunc(places, func(a store.Aside) bool { return a.ID == late }) {
			places = append(places, store.Aside{Space: spaceWindows, ID: late, Owner: ownerClosed})
		}
	}
	slices.SortFunc(places, func(a, b store.Aside) int { return cmp.Compare(a.ID, b.ID) })
	remembers := later(now, parts[len(parts)-1].from.Add(m.rules.Window)).Add(m.lateness(record.Accuracy) + m.rules.Lateness + batchKept)
	value, first, err := r.store.Fold(ctx, store.Aside{Space: spaceBatches, ID: m.id + "/" + id, Owner: m.id, Expires: remembers}, places, func(mark *store.Aside, places []store.Aside) error {
		answer.Windows = nil
		for _, p := range parts {
			late := !p.from.After(last[p.of])
			if !late {
				if late, err = p.add(at(places, p.id()), m, raw, now); err != nil {
					return err
				}
			}
			if late {
				if err := addLate(at(places, lateID(m.id, p.of)), p.rows); err != nil {
					return err
				}
			}
			answer.Windows = append(answer.Windows, wire.ObservedPart{Of: p.of, From: p.from, To: p.from.Add(m.rules.Window), Rows: p.rows, Late: late})
		}
		forgetEmpty(places, now)
		mark.Value, err = json.Marshal(batchAnswer{sum, answer})
		return err
	})
	if err != nil || first {
		return answer, err
	}
	var before batchAnswer
	if err := json.Unmarshal(value, &before); err != nil {
		return answer, fmt.Errorf("reading what was answered to the batch %s: %w", id, err)
	}
	if before.Sum != sum {
		return answer, refusef(wire.Conflict, "the batch %s was sent before with other rows, which count; give each batch an ID of its own", id)
	}
	before.Answer.Again = true
	return before.Answer, nil
}

// batchKept is how long a batch is remembered after its windows have closed.
const batchKept = 7 * 24 * time.Hour

func at(places []store.Aside, id string) *store.Aside {
	i := slices.IndexFunc(places, func(a store.Aside) bool { return a.ID == id })
	return &places[i]
}

// forgetEmpty lets go of windows in which nothing came to count.
func forgetEmpty(places []store.Aside, now time.Time) {
	for i := range places {
		if len(places[i].Value) == 0 {
			places[i].Value, places[i].Owner, places[i].Expires = []byte{}, ownerClosed, now
		}
	}
}

// partsOf returns what a batch adds to which windows, in the order of their times,
// and a digest of it.
func partsOf(m *monitor, counted *evidence.Observed) (parts []share, sum record.Digest, err error) {
	digest := sha256.New()
	for _, w := range counted.Windows {
		if w.Rows > 0 {
			parts = append(parts, share{windowPlace: windowPlace{m.id, record.Drift, w.From}, rows: w.Rows, sketch: w.Sketch})
		}
		if w.Labelled > 0 && m.rate.N > 0 {
			parts = append(parts, share{windowPlace: windowPlace{m.id, record.Accuracy, w.From}, rows: w.Labelled, right: w.Right})
		}
		raw, err := w.Sketch.MarshalBinary()
		if err != nil {
			return nil, "", err
		}
		fmt.Fprintf(digest, "%d %d %d %d\n%s", w.From.UnixMilli(), w.Rows, w.Labelled, w.Right, raw)
	}
	if len(parts) == 0 {
		return nil, "", refusef(wire.Invalid, "the batch has outcomes alone, and the release %s has no rate to compare them with; name one in the policy, in its section monitor as performance, and publish it: imprimatur policy publish", m.id)
	}
	return parts, record.Digest("sha256:" + hex.EncodeToString(digest.Sum(nil))), nil
}

// add adds to a window, or says that it has closed.
func (p share) add(a *store.Aside, m *monitor, raw record.Digest, now time.Time) (late bool, err error) {
	k, err := readKept(a.Value)
	if err != nil || k.Closed {
		return k.Closed, err
	}
	if k.First.IsZero() {
		k.First = now
	}
	k.Rows, k.Batches, k.Right = k.Rows+p.rows, k.Batches+1, k.Right+p.right
	if p.sketch != nil {
		all := p.sketch
		if len(k.Sketch) > 0 {
			all, err = m.frame.DecodeSketch(k.Sketch)
			if err == nil {
				err = all.Merge(p.sketch)
			}
			if err != nil {
				return false, err
			}
		}
		if k.Sketch, err = all.MarshalBinary(); err != nil {
			return false, err
		}
	}
	if raw != "" && !slices.Contains(k.Raw, raw) && len(k.Raw) < maxRaw {
		k.Raw = append(k.Raw, raw)
	}
	a.Owner, a.Expires = ownerOpen, time.Time{}
	a.Value, err = json.Marshal(k)
	return false, err
}

func addLate(a *store.Aside, rows int64) error {
	k, err := readKept(a.Value)
	if err != nil {
		return err
	}
	k.Late += rows
	a.Expires = time.Time{}
	a.Value, err = json.Marshal(k)
	return err
}

func readKept(value []byte) (k kept, err error) {
	if len(value) > 0 {
		if err = json.Unmarshal(value, &k); err != nil {
			err = fmt.Errorf("reading what a window has counted: %w", err)
		}
	}
	return k, err
}

// lastClosed returns when the newest windows of a release that have closed begin.
func (r *Registry) lastClosed(ctx context.Context, release string) (map[record.Category]time.Time, error) {
	last := map[record.Category]time.Time{}
	err := r.read(ctx, Caller{}, func(t *tx) error {
		for _, of := range []record.Category{record.Drift, record.Accuracy} {
			w, known, err := lineage.Last[record.Window](t, record.KeyWindows(release, of))
			if err != nil {
				return err
			}
			if known {
				last[of] = w.Record.From
			}
		}
		return nil
	})
	return last, err
}

// spooled is a body as a file: in memory where it is small.
type spooled struct {
	evidence.File
	done func()
}

// inMemory is how much of a body is kept in memory.
const inMemory = 8 << 20

// spool takes a body, and unpacks it where it is packed by gzip.
func spool(body io.Reader) (spooled, error) {
	start := make([]byte, 2)
	n, err := io.ReadFull(body, start)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return spooled{}, err
	}
	body = io.MultiReader(bytes.NewReader(start[:n]), body)
	if string(start[:n]) == "\x1f\x8b" {
		z, err := gzip.NewReader(body)
		if err != nil {
			return spooled{}, refusef(wire.Invalid, "the observations are not sound gzip: %w; pack them anew and send them again", err)
		}
		body = z
	}
	body = io.LimitReader(body, evidence.MaxObservations+1)
	head, err := io.ReadAll(io.LimitReader(body, inMemory))
	if err != nil {
		return spooled{}, unread(err)
	}
	const name = "the batch"
	if len(head) < inMemory {
		return spooled{evidence.File{Name: name, Size: int64(len(head)), ReaderAt: bytes.NewReader(head)}, func() {}}, nil
	}
	f, err := os.CreateTemp("", "imprimatur-observations-")
	if err != nil {
		return spooled{}, err
	}
	done := func() { _ = f.Close() }
	// Nobody else opens it, so that nothing is left of it after a crash.
	err = os.Remove(f.Name())
	size := int64(0)
	if err == nil {
		size, err = io.Copy(f, io.MultiReader(bytes.NewReader(head), body))
	}
	if err != nil {
		done()
		return spooled{}, unread(err)
	}
	return spooled{evidence.File{Name: name, Size: size, ReaderAt: f}, done}, nil
}

func unread(err error) error {
	var corrupt flate.CorruptInputError
	if errors.As(err, &corrupt) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) {
		return refusef(wire.Invalid, "the observations are cut off or damaged: %w; send the batch again", err)
	}
	return err
}
