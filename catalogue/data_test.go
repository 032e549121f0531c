package catalogue_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/catalogue"
)

var oneSentence = regexp.MustCompile(`^[A-Z][^.?!]+\.$`)

func TestCasesAreSound(t *testing.T) {
	kebab := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	seen := map[string]bool{}
	for _, c := range catalogue.Cases() {
		if !kebab.MatchString(c.ID) || seen[c.ID] {
			t.Errorf("case %q: the id is not in lower case with dashes, or is there twice", c.ID)
		}
		seen[c.ID] = true
		if c.Title == "" || !oneSentence.MatchString(c.Description) {
			t.Errorf("case %q: the title is missing or the description is not one sentence: %q", c.ID, c.Description)
		}
		if len(c.Refs) == 0 {
			t.Errorf("case %q refers to no catalogue", c.ID)
		}
		var hazards []string
		for i, ref := range c.Refs {
			if _, _, ok := catalogue.Entry(ref); !ok {
				t.Errorf("case %q refers to %v, which is in no edition", c.ID, ref)
			}
			if slices.Contains(c.Refs[:i], ref) {
				t.Errorf("case %q refers to %v twice", c.ID, ref)
			}
			if ref.Catalogue == "mlcommons-ailuminate" {
				hazards = append(hazards, ref.ID)
			}
		}
		if d := cmp.Diff(hazards, c.Hazards); d != "" {
			t.Errorf("case %q: the hazards are not those it refers to (-refs +hazards):\n%s", c.ID, d)
		}
	}
}

func TestEveryItemHasACase(t *testing.T) {
	covered := map[catalogue.Ref]bool{}
	for _, c := range catalogue.Cases() {
		for _, ref := range c.Refs {
			covered[ref] = true
		}
	}
	sizes := map[string]int{}
	for _, e := range catalogue.Editions() {
		sizes[e.Catalogue+" "+e.Edition] = len(e.Items)
		_, day := time.Parse(time.DateOnly, e.Date)
		_, month := time.Parse("2006-01", e.Date)
		if e.Title == "" || !strings.HasPrefix(e.Source, "https://") || day != nil && month != nil {
			t.Errorf("%s %s: title, source or date is missing: %q %q %q", e.Catalogue, e.Edition, e.Title, e.Source, e.Date)
		}
		for i, item := range e.Items {
			ref := catalogue.Ref{Catalogue: e.Catalogue, Edition: e.Edition, ID: item.ID}
			if e.Catalogue != "owasp-nhi" && !covered[ref] {
				t.Errorf("no case refers to %v", ref)
			}
			if item.Title == "" || !oneSentence.MatchString(item.Description) || !strings.HasPrefix(item.URL, "https://") {
				t.Errorf("%v: title, description or address is missing or malformed: %+v", ref, item)
			}
			if slices.ContainsFunc(e.Items[:i], func(other catalogue.Item) bool { return other.ID == item.ID }) {
				t.Errorf("%v is there twice", ref)
			}
		}
	}
	want := map[string]int{
		"owasp-llm 2023-24": 10, "owasp-llm 2025": 10, "owasp-llm 2026": 10, "owasp-agentic 2026": 10, "owasp-nhi 2025": 10,
		"mlcommons-ailuminate 1.1": 12, "mitre-atlas 5.6.0": sizes["mitre-atlas 5.6.0"],
	}
	if d := cmp.Diff(want, sizes); d != "" {
		t.Errorf("items per edition (-want +got):\n%s", d)
	}
}

// Every name of the tools is mapped or says why not, never both, and no case
// waits for a name that its tool does not have.
func TestToolsAreCovered(t *testing.T) {
	forName := map[string]func(string) []catalogue.Case{
		"garak": catalogue.ForGarakProbe, "promptfoo": catalogue.ForPromptfooPlugin,
	}
	sizes := map[string]int{}
	for _, tool := range catalogue.Tools() {
		sizes[tool.Tool] = len(tool.Names)
		if !slices.IsSorted(tool.Names) || len(slices.Compact(slices.Clone(tool.Names))) != len(tool.Names) {
			t.Errorf("%s: the names are not in order or not unique", tool.Tool)
		}
		for _, name := range tool.Names {
			mapped, reason := len(forName[tool.Tool](name)) > 0, tool.Unmapped[name]
			if mapped == (reason != "") {
				t.Errorf("%s %q: mapped %v, reason for being unmapped %q", tool.Tool, name, mapped, reason)
			}
		}
		for name := range tool.Unmapped {
			if !slices.Contains(tool.Names, name) {
				t.Errorf("%s has no %q to leave unmapped", tool.Tool, name)
			}
		}
		for old, now := range tool.Former {
			if _, there := modules(tool.Names)[old]; there || !modules(tool.Names)[now] {
				t.Errorf("%s: %q cannot have become %q", tool.Tool, old, now)
			}
		}
	}
	if d := cmp.Diff(map[string]int{"garak": 195, "promptfoo": 155}, sizes); d != "" {
		t.Errorf("names per tool (-want +got):\n%s", d)
	}
}

func TestNoPatternIsDead(t *testing.T) {
	names := map[string][]string{}
	for _, tool := range catalogue.Tools() {
		names[tool.Tool] = tool.Names
	}
	below := func(prefix string) func(string) bool {
		return func(name string) bool { return strings.HasPrefix(name, prefix) }
	}
	for _, c := range catalogue.Cases() {
		for _, p := range c.GarakProbes {
			if !slices.Contains(names["garak"], p) && !slices.ContainsFunc(names["garak"], below(p+".")) {
				t.Errorf("case %q waits for the garak probe %q, which there is not", c.ID, p)
			}
		}
		for _, p := range c.PromptfooPlugins {
			prefix, wide := strings.CutSuffix(p, "*")
			if !slices.Contains(names["promptfoo"], p) && !(wide && slices.ContainsFunc(names["promptfoo"], below(prefix))) {
				t.Errorf("case %q waits for the promptfoo plugin %q, which there is not", c.ID, p)
			}
		}
	}
}

func modules(names []string) map[string]bool {
	found := map[string]bool{}
	for _, name := range names {
		module, _, _ := strings.Cut(name, ".")
		found[module] = true
	}
	return found
}
