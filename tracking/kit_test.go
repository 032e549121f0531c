package tracking_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/artifact"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/tracking"
)

// tracker is a tracking server made by hand, which misbehaves when it is told
// to. MLflow's own is tried in package server.
type tracker struct {
	*testing.T
	url string

	mu     sync.Mutex
	answer map[string]string // by the path after /api/2.0/mlflow/ with its query
	files  map[string]string // by the path in the artifact store
	calls  map[string]int
	before func(w http.ResponseWriter, r *http.Request, call int) bool // answers in place of the server
}

const under = "/api/2.0/mlflow-artifacts/artifacts"

func serve(t *testing.T) *tracker {
	s := &tracker{T: t, answer: map[string]string{}, files: map[string]string{}, calls: map[string]int{}}
	at := httptest.NewServer(s)
	t.Cleanup(at.Close)
	s.url = at.URL
	return s
}

func (s *tracker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.calls[r.URL.Path]++
	call, before := s.calls[r.URL.Path], s.before
	s.mu.Unlock()
	if before != nil && before(w, r, call) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.URL.Path == under {
		fmt.Fprint(w, s.listing(r.URL.Query().Get("path")))
		return
	}
	if file, ok := strings.CutPrefix(r.URL.Path, under+"/"); ok {
		if content, ok := s.files[file]; ok {
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content))
			return
		}
	}
	at := strings.TrimPrefix(r.URL.Path, "/api/2.0/mlflow/")
	if r.URL.RawQuery != "" {
		at += "?" + r.URL.RawQuery
	}
	if said, ok := s.answer[at]; ok {
		fmt.Fprint(w, said)
		return
	}
	w.WriteHeader(http.StatusNotFound)
	fmt.Fprintf(w, `{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "nothing at %s"}`, at)
}

func (s *tracker) listing(folder string) string {
	type file struct {
		Path string `json:"path"`
		Dir  bool   `json:"is_dir"`
		Size *int   `json:"file_size,omitempty"`
	}
	var out []file
	for p, content := range s.files {
		rest, ok := strings.CutPrefix(p, folder+"/")
		if !ok {
			continue
		}
		name, _, dir := strings.Cut(rest, "/")
		f := file{Path: name, Dir: dir}
		if !dir {
			size := len(content)
			f.Size = &size
		}
		if !slices.ContainsFunc(out, func(o file) bool { return o.Path == name }) {
			out = append(out, f)
		}
	}
	raw, err := json.Marshal(map[string]any{"files": out})
	if err != nil {
		s.Error(err)
	}
	return string(raw)
}

func (s *tracker) called(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[path]
}

// client waits next to nothing between attempts.
func (s *tracker) client(change ...func(*tracking.Config)) *tracking.Client {
	s.Helper()
	cfg := tracking.Config{URL: s.url, FirstWait: time.Millisecond, Idle: 10 * time.Second}
	for _, fn := range change {
		fn(&cfg)
	}
	return must[*tracking.Client](s.T)(tracking.New(cfg))
}

func (s *tracker) hash(ctx context.Context, source string, change ...func(*tracking.Config)) (registry.Hashed, error) {
	s.Helper()
	return s.client(change...).Hash(ctx, record.RegisteredVersion{Team: "lab", Name: "net", Source: source})
}

// put puts files below a path and returns the manifest of the same in a folder.
func (s *tracker) put(below string, files map[string]string) artifact.Manifest {
	s.Helper()
	folder := s.TempDir()
	for p, content := range files {
		s.files[path.Join(below, p)] = content
		at := filepath.Join(folder, p)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			s.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(content), 0o644); err != nil {
			s.Fatal(err)
		}
	}
	return must[artifact.Manifest](s.T)(artifact.Digest(s.Context(), folder, artifact.Options{}))
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func run(id, artifacts, more string) string {
	return `{"run": {"info": {"run_id": ` + strconv.Quote(id) + `, "artifact_uri": ` + strconv.Quote(artifacts) + `, "status": "FINISHED"}` + more + `}}`
}

func model(id, name, artifacts, run string) string {
	return fmt.Sprintf(`{"model": {"info": {"model_id": %q, "name": %q, "artifact_uri": %q, "source_run_id": %q}}}`, id, name, artifacts, run)
}
