package mlflow

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/registry"
)

// FuzzTarget demands that no way of writing a path of the registry hides it, and
// that what is answered here is written in one way only.
func FuzzTarget(f *testing.F) {
	f.Add("/api/2.0/mlflow/registered-models/alias", uint16(5), uint8(0))
	f.Add("/api/2.0/mlflow-artifacts/artifacts/0/0123456789abcdef0123456789abcdef/artifacts/m", uint16(30), uint8(1))
	f.Add("/x/ajax-api/2.0/mlflow/model-versions/create", uint16(9), uint8(2))
	f.Add("/t/lab/graphql", uint16(0), uint8(3))
	f.Add("/get-artifact/%zz;a\\..", uint16(0), uint8(4))
	f.Fuzz(func(t *testing.T, path string, at uint16, how uint8) {
		plain := registry.PlainPath(path)
		if again := registry.PlainPath(plain); again != plain {
			t.Fatalf("%q is plain as %q, and that as %q", path, plain, again)
		}
		if strings.ContainsAny(plain, "\\;") || strings.Contains(plain, "//") || strings.Contains(plain, "/../") {
			t.Fatalf("%q is plain as %q", path, plain)
		}
		got := targetOf(path)
		if got.kind == ofRegistry && got.exact && !strings.EqualFold(path, plain) {
			t.Fatalf("%q counts as exact, and is plain as %q", path, plain)
		}
		want := targetOf(plain)
		if i := int(at) % (len(plain) + 1); i < len(plain) {
			c := plain[i : i+1]
			other := []string{fmt.Sprintf("%%%02X", c[0]), fmt.Sprintf("%%25%02x", c[0]), strings.ToUpper(c), c, c}[how%5]
			written := plain[:i] + other + plain[i+1:]
			if how%5 == 3 {
				written = strings.Replace(plain, "/", "/./", 1)
			}
			if how%5 == 4 {
				written = strings.ReplaceAll(plain, "/", "//")
			}
			if _, err := url.PathUnescape(plain); err == nil && !strings.Contains(plain, "%") && plain[i] < 0x80 {
				if hidden := targetOf(written); hidden.kind != want.kind || hidden.path != want.path {
					t.Fatalf("%q is %d, and written as %q it is %d", plain, want.kind, written, hidden.kind)
				}
			}
		}
		place := registry.PlaceOf("mlflow-artifacts:/" + path)
		if strings.HasPrefix(place, "/") || strings.HasSuffix(place, "/") || strings.Contains(place, "//") {
			t.Fatalf("the place of %q is %q", path, place)
		}
	})
}

// FuzzGraph demands that no query gets past that asks for versions elsewhere.
func FuzzGraph(f *testing.F) {
	f.Add(`{ mlflowGetRun { run { modelVersions { name } } } }`)
	f.Add(`{"data":{"run":{"info":{"runUuid":"1"},"modelVersions":[{}]}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		if asks, err := registryFields(text); err == nil && !asks && strings.Contains(text, versionsOfRun) {
			t.Fatalf("nobody looks for the versions of %q", text)
		}
		if !jsontext.Value(text).IsValid() {
			return
		}
		out, err := replaced([]byte(text), nil)
		if err == nil && strings.Contains(string(out), `"modelVersions":[{`) {
			t.Fatalf("versions of another registry stay in %s", out)
		}
	})
}
