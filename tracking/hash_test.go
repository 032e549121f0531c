package tracking_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/artifact"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/tracking"
)

var small = map[string]string{"MLmodel": "flavors: {}\n", "data/model.pkl": "cos\nsystem\n(Vid\ntR.", "empty": "", "with space+plus%": "x"}

// Every form of source leads to the same bytes, and these have the digest and the
// findings of the same files in a folder.
func TestSourcesLeadToTheirBytes(t *testing.T) {
	s := serve(t)
	want := s.put("1/models/m-1/artifacts", small)
	const at = "mlflow-artifacts:/1/models/m-1/artifacts"
	s.put("1/r1/artifacts/old", small)
	s.answer["runs/get?run_id=r1"] = run("r1", "mlflow-artifacts:/1/r1/artifacts", `, "outputs": {"model_outputs": [{"model_id": "m-1", "step": 0}]}`)
	s.answer["logged-models/m-1"] = model("m-1", "net", at, "r1")
	s.answer["model-versions/get-download-uri?name=net&version=3"] = `{"artifact_uri": "models:/m-1"}`
	s.answer["model-versions/get-download-uri?name=net&version=4"] = `{"artifact_uri": "mlflow-artifacts:/1/r1/artifacts/old"}`
	host := strings.TrimPrefix(s.url, "http://")
	for _, x := range []struct{ source, location, run string }{
		{at, "", ""},
		{"mlflow-artifacts://" + host + "/1/models/m-1/artifacts", "", ""},
		{"models:/m-1", at, "r1"},
		{"runs:/r1/net", at, "r1"},
		{"runs:/r1/old", "mlflow-artifacts:/1/r1/artifacts/old", "r1"},
		{"models:/net/3", at, "r1"},
		{"models:/net/4", "mlflow-artifacts:/1/r1/artifacts/old", ""},
	} {
		got, err := s.hash(t.Context(), x.source)
		if err != nil {
			t.Errorf("%s: %v", x.source, err)
			continue
		}
		if got.Manifest.Digest() != want.Digest() || got.Location != x.location || got.MLflowRun != x.run {
			t.Errorf("%s: got %s at %q by %q, want %s at %q by %q", x.source, got.Manifest.Digest(), got.Location, got.MLflowRun, want.Digest(), x.location, x.run)
		}
		if len(got.Findings) != 1 || got.Findings[0].File != "data/model.pkl" || got.Findings[0].Type != artifact.KindPickle {
			t.Errorf("%s: found %v", x.source, got.Findings)
		}
	}
	one := must[registry.Hashed](t)(s.hash(t.Context(), at+"/MLmodel"))
	if diff := cmp.Diff([]artifact.File{{Path: ".", SHA256: record.DigestOf([]byte(small["MLmodel"])).Hex(), Size: 12}}, one.Manifest.Files); diff != "" {
		t.Errorf("a single file (-want +got):\n%s", diff)
	}
	for _, source := range []string{"file:///srv/m", "/srv/m"} {
		if got := must[registry.Hashed](t)(s.hash(t.Context(), source)); got.Location != source || len(got.Manifest.Files) != 0 {
			t.Errorf("%s: got %+v, want it named back", source, got)
		}
	}
}

// listed answers the listing of every folder with the same.
func listed(files string) func(http.ResponseWriter, *http.Request, int) bool {
	return func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.URL.Path == under {
			fmt.Fprintf(w, `{"files": [%s]}`, files)
		}
		return r.URL.Path == under
	}
}

func status(code int, said string) func(http.ResponseWriter, *http.Request, int) bool {
	return func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		w.WriteHeader(code)
		fmt.Fprint(w, said)
		return true
	}
}

// cutOff sends so much of a body and breaks the connection.
func cutOff(n, calls int) func(http.ResponseWriter, *http.Request, int) bool {
	return func(w http.ResponseWriter, r *http.Request, call int) bool {
		if !strings.HasSuffix(r.URL.Path, "/big") || call > calls {
			return false
		}
		w.Header().Set("Content-Length", "100000")
		_, _ = io.WriteString(w, strings.Repeat("x", n))
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

// Every misbehaviour ends soon, in a sentence, after a bounded number of requests.
func TestMisbehavingServersAreRefused(t *testing.T) {
	const source = "mlflow-artifacts:/m"
	for name, x := range map[string]struct {
		before func(http.ResponseWriter, *http.Request, int) bool
		source string
		is     error
		says   string
		calls  int // of the listing, or of the file big
	}{
		"down for good":     {status(503, `{"error_code": "TEMPORARILY_UNAVAILABLE", "message": "restarting"}`), source, nil, "503 Service Unavailable, TEMPORARILY_UNAVAILABLE: restarting; it was tried 5 times; register the version again", 5},
		"too many requests": {status(429, ""), source, nil, "429 Too Many Requests; it was tried 5 times", 5},
		"not allowed":       {status(403, "{}"), source, nil, "403 Forbidden; give the server of Imprimatur credentials", 1},
		"not implemented":   {status(501, ""), source, nil, "501", 1},
		"no MLflow":         {status(200, "<html>"), source, tracking.ErrAnswer, "the answer is not MLflow's", 1},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request, _ int) bool {
			http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusFound)
			return true
		}, source, nil, "leads to another place", 1},
		"a way out":          {listed(`{"path": "../../etc/passwd"}`), source, tracking.ErrListing, `"../../etc/passwd" is not a path below its folder`, 1},
		"dots":               {listed(`{"path": "..", "is_dir": true}`), source, tracking.ErrListing, `".." is not a path`, 1},
		"absolute":           {listed(`{"path": "/etc/passwd"}`), source, tracking.ErrListing, "not a path", 1},
		"backslash":          {listed(`{"path": "..\\etc"}`), source, tracking.ErrListing, "not a path", 1},
		"deep":               {listed(`{"path": "a/b"}`), source, tracking.ErrListing, "not a name within its folder", 1},
		"twice":              {listed(`{"path": "a"}, {"path": "a"}`), source, tracking.ErrListing, "comes twice", 1},
		"a negative size":    {listed(`{"path": "a", "file_size": -7}`), source, tracking.ErrListing, `the size of "a" is "-7"`, 1},
		"a circle":           {listed(`{"path": "a", "is_dir": true}`), source, tracking.ErrListing, "folders lie in folders without end", 33},
		"lies, more":         {listed(`{"path": "big", "file_size": 99999}`), source, artifact.ErrChanged, "said to have 99999 bytes, and more came; register the model when nobody writes there", 1},
		"lies, less":         {listed(`{"path": "big", "file_size": 100001}`), source, artifact.ErrChanged, "said to have 100001 bytes, and 100000 came", 1},
		"vanished":           {listed(`{"path": "gone", "file_size": 5}`), source, nil, "are not there, or went while they were read", 1},
		"cut for ever":       {cutOff(0, 1000), source, nil, "reading broke off after 0 bytes", 0},
		"nothing there":      {nil, "mlflow-artifacts:/nowhere", nil, "are not there", 1},
		"another host":       {nil, "mlflow-artifacts://169.254.169.254/m", nil, "only ", 0},
		"a source with dots": {nil, "mlflow-artifacts:/m/../../x", tracking.ErrListing, "not a path", 0},
		"no run":             {nil, "runs:/nobody/m", nil, "the run nobody", 0},
		"no logged model":    {nil, "models:/m-9", nil, "the logged model m-9", 0},
		"another store":      {nil, "gs://bucket/m", registry.ErrUnread, "gs:", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			s.put("m", map[string]string{"big": strings.Repeat("x", 100_000)})
			s.before = x.before
			_, err := s.hash(t.Context(), x.source)
			if err == nil || x.is != nil && !errors.Is(err, x.is) || !strings.Contains(err.Error(), x.says) {
				t.Fatalf("got %v, want %v with %q", err, x.is, x.says)
			}
			if got := s.called(under); x.calls > 0 && got != x.calls {
				t.Errorf("%d listings were asked for, want %d", got, x.calls)
			}
			if got := s.called(under + "/m/big"); got > tracking.Attempts {
				t.Errorf("the file was asked for %d times", got)
			}
		})
	}
}

// What passes is tried again, and a stream that broke off goes on where it did.
func TestFaultsThatPass(t *testing.T) {
	for name, before := range map[string]func(http.ResponseWriter, *http.Request, int) bool{
		"starting": func(w http.ResponseWriter, _ *http.Request, call int) bool {
			if call < 3 {
				w.WriteHeader(http.StatusBadGateway)
			}
			return call < 3
		},
		"cut at the start": cutOff(0, 2),
		"cut in between":   cutOff(40_000, 2),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			want := s.put("m", map[string]string{"big": strings.Repeat("x", 100_000), "a/b": "c"})
			s.before = before
			got := must[registry.Hashed](t)(s.hash(t.Context(), "mlflow-artifacts:/m"))
			if got.Manifest.Digest() != want.Digest() {
				t.Errorf("got %s, want %s", got.Manifest.Digest(), want.Digest())
			}
		})
	}
}

// A server that says nothing is given up on, and so is one at once whose caller
// goes away, also between two attempts.
func TestSlowServersAreGivenUp(t *testing.T) {
	s := serve(t)
	s.put("m", map[string]string{"big": "x"})
	release := make(chan struct{})
	s.before = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.URL.Path == under {
			return false
		}
		w.Header().Set("Content-Length", "1")
		w.(http.Flusher).Flush()
		select {
		case <-release:
		case <-r.Context().Done():
		}
		return true
	}
	defer close(release)
	_, err := s.hash(t.Context(), "mlflow-artifacts:/m", func(c *tracking.Config) { c.Idle = 20 * time.Millisecond })
	if !errors.Is(err, tracking.ErrSlow) || s.called(under+"/m/big") != tracking.Attempts {
		t.Errorf("got %v after %d attempts", err, s.called(under+"/m/big"))
	}
	stop := errors.New("the server ends")
	ctx, cancel := context.WithCancelCause(t.Context())
	s.before = func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		cancel(stop)
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
	start := time.Now()
	if _, err := s.hash(ctx, "mlflow-artifacts:/m", func(c *tracking.Config) { c.FirstWait = time.Hour }); err == nil {
		t.Error("it was read")
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %s to notice that nobody waits", took)
	}
}
