package server_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/server/browsertest"
)

// axe is the text of axe-core, at the version of interop/tools.
func axe(t *testing.T) string {
	t.Helper()
	install := exec.CommandContext(t.Context(), "../scripts/tools.sh")
	install.Stderr = os.Stderr
	folder, err := install.Output()
	if err != nil {
		t.Fatalf("installing the tools: %v", err)
	}
	return string(must[[]byte](t)(os.ReadFile(filepath.Join(strings.TrimSpace(string(folder)), "node_modules", "axe-core", "axe.min.js"))))
}

type violation struct {
	ID     string `json:"id"`
	Impact string `json:"impact"`
	Help   string `json:"help"`
	Nodes  []struct {
		HTML    string `json:"html"`
		Failure string `json:"failureSummary"`
	} `json:"nodes"`
}

func TestPagesAreAccessible(t *testing.T) {
	c := told(t)
	rules := axe(t)
	v := visit(t, c.house)
	v.signIn("security-officer")
	pages := []struct{ name, path string }{{"home", "/"}, {"inbox", "/inbox"}, {"releases", "/releases"}, {"release", "/releases/" + c.open}, {"live", "/releases/" + c.live}, {"search", "/search?q=breast"}, {"refusal", "/nothing"}}
	for _, look := range []struct {
		scheme string
		width  int64
	}{{"light", 1280}, {"dark", 1280}, {"light", 390}} {
		v.Scheme(look.scheme)
		v.Size(look.width, 900)
		for _, p := range pages {
			v.Go(v.at.String() + p.path)
			v.Screenshot(fmt.Sprintf("%s-%s-%d", p.name, look.scheme, look.width))
			for _, found := range v.faults(rules) {
				t.Errorf("%s, %s, %d pixels: %s (%s): %s: %+v", p.name, look.scheme, look.width, found.ID, found.Impact, found.Help, found.Nodes)
			}
			if wide := browsertest.Evaluate[int](v.Browser, "document.documentElement.scrollWidth"); int64(wide) > look.width {
				t.Errorf("%s is %d pixels wide in a window of %d", p.name, wide, look.width)
			}
		}
	}
	v.Messages()
}

// faults are the serious findings of axe by the rules of WCAG 2.2 AA.
func (v *visited) faults(rules string) (serious []violation) {
	v.house.Helper()
	browsertest.Evaluate[any](v.Browser, rules+";true")
	said := browsertest.Evaluate[string](v.Browser, `axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(r => JSON.stringify(r.violations))`)
	var all []violation
	if err := json.Unmarshal([]byte(said), &all); err != nil {
		v.house.Fatal(err)
	}
	for _, found := range all {
		if found.Impact == "serious" || found.Impact == "critical" {
			serious = append(serious, found)
		}
	}
	return serious
}
