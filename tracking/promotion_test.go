package tracking_test

import (
	"io"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

const free = `apiVersion: imprimatur/v1
kind: Policy
name: free
tiers:
  low:
    expires: 90d
`

// The bytes of a version are read again before it is promoted, whichever way it
// is: what was overwritten since, or cannot be read, stays where it is.
func TestOverwrittenBytesAreNotPromoted(t *testing.T) {
	l := open(t)
	ctx := t.Context()
	must[wire.Published](t)(l.reg.PublishPolicy(ctx, ann, []byte(free), "free"))
	must[record.Recorded[record.Environment]](t)(l.reg.SetEnvironment(ctx, admin, record.Environment{Name: "staging", LeastTier: "low", Policy: "free", Aliases: []string{"challenger", "Staging"}}))
	must[record.Recorded[record.UseCase]](t)(l.reg.RegisterUseCase(ctx, ann, record.UseCase{
		Team: "lab", Name: "trial", Title: "Trial", Purpose: "trial", Owner: "ann", Tier: "low", Environments: []string{"staging"},
	}))
	l.put("m", map[string]string{"a/weights.bin": "one", "MLmodel": "x: y\n"})
	v := l.register("mlflow-artifacts:/m", "")
	c := must[wire.Case](t)(l.reg.ProposeRelease(ctx, ann, wire.Proposal{Version: v.Model, UseCase: "lab/trial", Environment: "staging"}))
	ways := map[string]func() error{
		"alias": func() error { return l.reg.SetAlias(ctx, ann, "lab", "net", "challenger", 1) },
		"stage": func() error { return l.reg.MoveStage(ctx, ann, "lab", "net", 1, record.StageStaging, false) },
		"promote": func() error {
			_, err := l.reg.Promote(ctx, ann, c.ID)
			return err
		},
	}
	refused := func(says string) {
		t.Helper()
		for way, promote := range ways {
			if err := promote(); registry.CodeOf(err) != wire.Refused || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: got %v, want a refusal with %q", way, err, says)
			}
		}
	}
	l.overwrite("m/a/weights.bin", "two")
	refused("are not those that were registered and approved: the files are not those of the manifest; changed: a/weights.bin; put these back")
	l.overwrite("m/a/weights.bin", "one")
	l.overwrite("m/more.bin", "x")
	refused("not in the manifest: more.bin")
	l.mu.Lock()
	delete(l.files, "m/more.bin")
	l.mu.Unlock()
	l.set(status(503, ""))
	refused("could not be read again before it is promoted")
	l.set(nil)
	if d := l.reg.Decide(ctx, "staging", v.Artifact); d.Allowed {
		t.Error("it runs in spite of the refusals")
	}
	if err := ways["alias"](); err != nil {
		t.Errorf("with its own bytes: %v", err)
	}
	if d := l.reg.Decide(ctx, "staging", v.Artifact); !d.Allowed {
		t.Errorf("it was promoted and may not run: %v", d.Reasons)
	}
	// An alias that means no environment is nobody's business.
	asked := l.called(under)
	if err := l.reg.SetAlias(ctx, ann, "lab", "net", "draft", 1); err != nil || l.called(under) != asked {
		t.Errorf("a draft's alias: %v, and %d listings were read for it", err, l.called(under)-asked)
	}
}

func (s *tracker) overwrite(path, content string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[path] = content
}

// endless gives so many bytes that are all the same.
type endless struct{ left int64 }

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), e.left)
	e.left -= n
	return int(n), nil
}

// A large artifact passes through bounded memory: 64 MiB are kept of the
// beginnings of four files at most, whatever their size.
func TestLargeArtifactsPassThroughBoundedMemory(t *testing.T) {
	size := int64(512 << 20)
	if os.Getenv("IMPRIMATUR_LONG") != "" {
		size = 5 << 30
	}
	s := serve(t)
	s.before = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.URL.Path == under {
			return listed(`{"path": "big", "file_size": `+strconv.FormatInt(size, 10)+`}`)(w, r, 1)
		}
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		_, err := io.Copy(w, &endless{size})
		if err != nil {
			t.Error(err)
		}
		return true
	}
	var most atomic.Uint64
	done := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most.Store(max(most.Load(), m.HeapInuse))
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	got := must[registry.Hashed](t)(s.hash(t.Context(), "mlflow-artifacts:/m"))
	close(done)
	<-watched
	if len(got.Manifest.Files) != 1 || got.Manifest.Size() != size {
		t.Errorf("read %v", got.Manifest.Files)
	}
	if mib := most.Load() >> 20; mib > 160 {
		t.Errorf("%d MiB of memory were in use at once", mib)
	}
}
