package admission

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

func TestImagesAreReadAsClustersDo(t *testing.T) {
	list := []string{"kserve/", "docker.io/istio/proxyv2", "registry.example/tools", "mirror.example", "nginx"}
	for image, want := range map[string]bool{
		"kserve/sklearnserver:v1": true, "docker.io/kserve/x": true, "kserve.example/x": false, "other.example/kserve/x": false,
		"istio/proxyv2": true, "istio/proxyv2:1@sha256:00": true, "istio/proxyv2-evil": false, "istio/proxyv2/evil": true,
		"registry.example/tools/a:1": true, "registry.example/toolsmith/a": false, "registry.example:5000/tools/a": false,
		"mirror.example/any/x": true, "mirror.example.invalid/x": false, "mirror.example": false, "mirror.example:5000/x": false,
		"nginx:1": true, "library/nginx": true, "nginx-evil": false, "evil/nginx": false, "": false,
		"kserve/../evil/x": false,
	} {
		if got := startsWithImage(image, list); got != want {
			t.Errorf("%q: %v", image, got)
		}
	}
	if startsWithImage("x", []string{""}) {
		t.Error("an empty beginning takes everything")
	}
}

// FuzzReview feeds reviews of any form: what can be read is walked without a
// panic, and a location that is planted in it is found.
func FuzzReview(f *testing.F) {
	files, err := filepath.Glob("../testdata/admission/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal(err, len(files))
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, "spec")
	}
	f.Add([]byte(`{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"image":"a","args":["--model","b"],"env":[{"name":"MODEL_ID","value":1}]}]}}`), "args")
	opts := &Options{Helpers: []string{"kserve/"}}
	const planted = "s3://planted/model"
	f.Fuzz(func(t *testing.T, object []byte, member string) {
		raw, err := json.Marshal(review{APIVersion: reviewVersion, Kind: reviewKind, Request: &request{UID: "1", Kind: groupKind{Version: "v1", Kind: "Pod"}, Operation: "CREATE"}})
		if err != nil {
			t.Fatal(err)
		}
		q, err := parse([]byte(strings.Replace(string(raw), `"object":null`, `"object":`+string(object), 1)))
		if err != nil {
			return
		}
		read, ok := q.Object.(map[string]any)
		if !ok {
			return
		}
		for name := range shapes {
			group, kind, _ := strings.Cut(name, "/")
			s, _ := shapeOf(groupKind{Group: group, Version: "v1", Kind: kind}, read)
			opts.walk(s, read)
		}
		switch member {
		case "status", "apiVersion", "kind", "metadata":
			return // nothing there says what runs, annotations apart
		}
		read[member] = []any{map[string]any{"x": []any{planted}}}
		found := opts.walk(shapes["/Pod"], read)
		for _, n := range found.locations {
			if n.text == planted {
				return
			}
		}
		t.Errorf("planted in %q, not found: %+v", member, found)
	})
}

// TestNoObjectKeepsTheGateBusy walks long objects, at which it would take minutes to
// look twice for each part.
func TestNoObjectKeepsTheGateBusy(t *testing.T) {
	const size = 1 << 19
	long := func(part string) string { return strings.Repeat(part, size/len(part)) }
	numbered := func(format string, n int) (out []any) {
		for i := range n {
			out = append(out, strings.ReplaceAll(format, "#", strconv.Itoa(i)))
		}
		return out
	}
	var mounts, variables []any
	for _, n := range numbered("/m/#", 20000) {
		mounts = append(mounts, map[string]any{"name": "s", "mountPath": n})
		variables = append(variables, map[string]any{"name": "MODEL_PATH", "value": n})
	}
	for what, container := range map[string]map[string]any{
		"one location in another": {"args": []any{long("s3://")}},
		"one location many times": {"args": []any{strings.Repeat(" ", size) + "x " + long("s3://a ")}},
		"a long flag":             {"args": []any{long("-a") + "=s3://a " + long("s3://a ")}},
		"many locations":          {"args": numbered("s3://a/#", 20000)},
		"many adapters":           {"args": append([]any{"--lora-modules"}, numbered("a/#", 20000)...)},
		"many words that serve":   {"args": []any{long("serve -a ")}},
		"quotation marks":         {"args": []any{long(`"`) + "s3://a" + long(`"`)}},
		"many mounts and places":  {"volumeMounts": mounts, "env": variables},
	} {
		container["image"] = "x"
		opts := &Options{}
		got := opts.walk(shapes["/Pod"], map[string]any{"spec": map[string]any{
			"volumes": []any{map[string]any{"name": "s", "secret": map[string]any{}}}, "containers": []any{container},
		}})
		if strings.HasPrefix(what, "many ") && what != "many words that serve" && (len(got.unseen) != 1 || !strings.Contains(got.unseen[0].text, "more than 2000")) {
			t.Errorf("%s: %d are not seen", what, len(got.unseen))
		}
		if len(got.locations)+len(got.places)+len(got.settings) > maxNamed {
			t.Errorf("%s: %d locations, %d places, %d mounts", what, len(got.locations), len(got.places), len(got.settings))
		}
	}
}
