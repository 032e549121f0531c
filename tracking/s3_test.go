package tracking_test

import (
	"crypto/md5"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"imprimatur.dev/artifact"
	"imprimatur.dev/registry"
	"imprimatur.dev/tracking"
)

const lastModified = "Wed, 25 Nov 2026 10:00:00 GMT"

// store is an object store over TLS; before, where it is set, answers instead.
type store struct {
	at      *httptest.Server
	backend gofakes3.Backend
	before  atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
}

func objects(t *testing.T) *store {
	s := &store{backend: s3mem.New()}
	if err := s.backend.CreateBucket("models"); err != nil {
		t.Fatal(err)
	}
	real := gofakes3.New(s.backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server()
	s.at = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if before := s.before.Load(); before != nil && (*before)(w, r) {
			return
		}
		real.ServeHTTP(w, r)
	}))
	t.Cleanup(s.at.Close)
	return s
}

func (s *store) put(t *testing.T, key, content string) {
	t.Helper()
	if _, err := s.backend.PutObject("models", key, map[string]string{"Last-Modified": lastModified}, strings.NewReader(content), int64(len(content)), nil); err != nil {
		t.Fatal(err)
	}
}

func (s *store) use(c *tracking.Config) {
	c.Buckets = []string{"s3://models", "s3://nobucket/x"}
	c.Transport = s.at.Client().Transport
	c.Env = func(name string) string {
		return map[string]string{
			"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ENDPOINT_URL_S3": s.at.URL, "AWS_REGION": "us-east-1",
		}[name]
	}
}

func TestBytesInS3(t *testing.T) {
	s, o := serve(t), objects(t)
	files := map[string]string{"big": strings.Repeat("x", 300_000)}
	for i := range 1500 { // more than one page
		files[fmt.Sprintf("part/%04d", i)] = fmt.Sprint(i)
	}
	want := s.put("m", files)
	for p, content := range files {
		o.put(t, "net/1/"+p, content)
	}
	o.put(t, "net/10/other", "x")
	got := must[registry.Hashed](t)(s.hash(t.Context(), "s3://models/net/1", o.use))
	if got.Manifest.Digest() != want.Digest() {
		t.Errorf("got %s of %d files, want %s", got.Manifest.Digest(), len(got.Manifest.Files), want.Digest())
	}
	one := must[registry.Hashed](t)(s.hash(t.Context(), "s3://models/net/10/other", o.use))
	if len(one.Manifest.Files) != 1 || one.Manifest.Files[0].Path != "." {
		t.Errorf("a single object: %v", one.Manifest.Files)
	}
	for source, says := range map[string]string{
		"s3://models/nothing": "404", "s3://nobucket/x": "404", "s3://models/a/../b": "is not a path",
	} {
		if _, err := s.hash(t.Context(), source, o.use); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want %q", source, err, says)
		}
	}
	refuse := func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `<Error><Code>AccessDenied</Code><Message>no</Message></Error>`)
		return true
	}
	o.before.Store(&refuse)
	if _, err := s.hash(t.Context(), "s3://models/net/1", o.use); err == nil || !strings.Contains(err.Error(), "the object store answered 403 Forbidden, AccessDenied") {
		t.Errorf("refused: got %v", err)
	}
}

// The server's credentials reach no place that its operator has not named, and
// nothing is asked of the store about the others.
func TestOnlyNamedBucketsAreRead(t *testing.T) {
	s, o := serve(t), objects(t)
	for _, key := range []string{"net/1/a", "network/a", "other"} {
		o.put(t, key, "x")
	}
	var asked atomic.Int32
	count := func(http.ResponseWriter, *http.Request) bool {
		asked.Add(1)
		return false
	}
	o.before.Store(&count)
	none := func(c *tracking.Config) { c.Buckets = nil }
	some := func(c *tracking.Config) { c.Buckets = []string{"s3://models/net/"} }
	for source, allow := range map[string]func(*tracking.Config){
		"s3://models/net/1": none, "s3://models/network": some, "s3://models/other": some, "s3://models": some, "s3a://elsewhere/net/1": some, "s3://models/net%2f..%2fother": some,
	} {
		if _, err := s.hash(t.Context(), source, o.use, allow); err == nil || !strings.Contains(err.Error(), "which its operator can allow: imprimatur serve --s3-from s3://") && !strings.Contains(err.Error(), "is not a path") {
			t.Errorf("%s: got %v", source, err)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the store was asked %d times", n)
	}
	for _, source := range []string{"s3://models/net", "s3://models/net/1", "s3://models/net/1/a"} {
		if got := must[registry.Hashed](t)(s.hash(t.Context(), source, o.use, some)); len(got.Manifest.Files) != 1 {
			t.Errorf("%s: got %v", source, got.Manifest.Files)
		}
	}
	for _, place := range []string{"models", "s3:///net", "https://models/net", "s3://key@models"} {
		if _, err := tracking.New(tracking.Config{URL: s.url, Buckets: []string{place}}); err == nil || !strings.Contains(err.Error(), "s3://BUCKET/PREFIX") {
			t.Errorf("%s: got %v", place, err)
		}
	}
}

// An object that breaks off is read on from where it broke, unless it is another
// by then.
func TestObjectsThatBreakOff(t *testing.T) {
	s, o := serve(t), objects(t)
	content := strings.Repeat("0123456789", 10_000)
	o.put(t, "m/big", content)
	want := s.put("m", map[string]string{"big": content})
	sum := fmt.Sprintf("%x", md5.Sum([]byte(content)))
	for tag, is := range map[string]error{sum: nil, "0123456789abcdef0123456789abcdef": artifact.ErrChanged} {
		var ranges []string
		brk := func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/big") {
				return false
			}
			if ranges = append(ranges, r.Header.Get("Range")); len(ranges) > 1 {
				return false
			}
			for k, v := range map[string]string{"Content-Length": "100000", "ETag": strconv.Quote(tag), "Last-Modified": lastModified} {
				w.Header().Set(k, v)
			}
			fmt.Fprint(w, content[:60_000])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		o.before.Store(&brk)
		got, err := s.hash(t.Context(), "s3://models/m", o.use)
		if !errors.Is(err, is) || err == nil && got.Manifest.Digest() != want.Digest() {
			t.Errorf("got %v and %v, want %v and %v", got.Manifest.Files, err, want.Files, is)
		}
		if len(ranges) != 2 || ranges[0] != "" || !strings.HasPrefix(ranges[1], "bytes=") {
			t.Errorf("the ranges %q were asked for", ranges)
		}
	}
}
