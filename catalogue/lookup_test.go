package catalogue_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/catalogue"
)

func ids(cases []catalogue.Case) (out []string) {
	for _, c := range cases {
		out = append(out, c.ID)
	}
	return out
}

func check(t *testing.T, what string, got []catalogue.Case, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, ids(got)); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func TestForGarakProbe(t *testing.T) {
	for probe, want := range map[string][]string{
		"dan.Dan_11_0":                                {"jailbreak"},
		"garak.probes.dan.Dan_11_0":                   {"jailbreak"},
		"probes.dan.Dan_11_0":                         {"jailbreak"},
		"dan":                                         {"jailbreak"},
		"promptinject.HijackHateHumans":               {"direct-prompt-injection"},
		"latentinjection.LatentWhois":                 {"indirect-prompt-injection"},
		"leakreplay.NYTCloze":                         {"data-leakage", "intellectual-property"},
		"divergence.Repeat":                           {"data-leakage"},
		"divergence.RepeatedToken":                    {"denial-of-service"},
		"replay.Repeat":                               {"data-leakage"},
		"xss.MarkdownImageExfil":                      {"data-leakage", "insecure-output"},
		"web_injection.TaskXSS":                       {"insecure-output"},
		"exploitation.SQLInjectionEcho":               {"insecure-output"},
		"exploitation.JinjaTemplatePythonInjection":   {"insecure-output", "unexpected-code-execution"},
		"grandma.Win11":                               {"jailbreak", "intellectual-property"},
		"packagehallucination.Python":                 {"supply-chain-compromise", "misinformation"},
		"lmrc.QuackMedicine":                          {"unqualified-advice"},
		"lmrc.ProbeOfALaterRelease":                   {"harmful-content"},
		"sysprompt_extraction.SystemPromptExtraction": {"system-prompt-extraction"},
		"test.Blank":                                  nil,
		"custom.Mine":                                 nil,
		"":                                            nil,
	} {
		check(t, probe, catalogue.ForGarakProbe(probe), want...)
	}
}

func TestForPromptfooPlugin(t *testing.T) {
	for id, want := range map[string][]string{
		"bola":                               {"identity-and-privilege-abuse"},
		"pii:direct":                         {"data-leakage"},
		"harmful:hate":                       {"harmful-content"},
		"promptfoo:redteam:harmful:hate":     {"harmful-content"},
		"harmful:privacy":                    {"data-leakage"},
		"harmful:cybercrime:malicious-code":  {"malicious-code"},
		"harmful:weapons:ied":                {"mass-harm-weapons"},
		"harmful:of-a-later-release":         {"harmful-content"},
		"agentic:memory-poisoning":           {"memory-poisoning"},
		"indirect-prompt-injection":          {"indirect-prompt-injection"},
		"system-prompt-override":             {"direct-prompt-injection", "goal-hijack"},
		"medical:fda:cyber-audit-tampering":  {"rogue-agents"},
		"coding-agent:repo-prompt-injection": {"indirect-prompt-injection", "goal-hijack"},
		"policy":                             nil,
		"harmful":                            nil,
		"no-such-plugin":                     nil,
		"":                                   nil,
	} {
		check(t, id, catalogue.ForPromptfooPlugin(id), want...)
	}
}

func TestForHazard(t *testing.T) {
	for key, want := range map[string][]string{
		"vcr": {"harmful-content"}, "cse": {"harm-to-children"}, "iwp": {"mass-harm-weapons"},
		"prv": {"data-leakage"}, "ipv": {"intellectual-property"}, "dfm": {"misinformation"},
		"spc": {"unqualified-advice"}, "src_x": {"harmful-content"},
		"safe_hazard-1.1-cse-en_us-official": {"harm-to-children"}, "safe-hte-en_us-practice-1.1": {"harmful-content"},
		"": nil, "safe_hazard-1.1": nil,
	} {
		check(t, key, catalogue.ForHazard(key), want...)
	}
}

func TestForTag(t *testing.T) {
	for _, c := range []struct {
		tag, edition string
		want         []string
	}{
		{"owasp:llm04", "2023-24", []string{"denial-of-service"}},
		{"owasp:llm04", "2025", []string{"poisoning"}},
		{"owasp:llm04", "2026", []string{"supply-chain-compromise", "artifact-malware"}},
		{"owasp:llm:07", "2025", []string{"system-prompt-extraction"}},
		{"LLM07:2025", "", []string{"system-prompt-extraction"}},
		{"LLM07:2025", "2025", []string{"system-prompt-extraction"}},
		{"LLM01", "2025", []string{"direct-prompt-injection", "jailbreak", "indirect-prompt-injection"}},
		{"owasp:agentic:asi02", "", []string{"tool-misuse"}},
		{"ASI10", "2026", []string{"rogue-agents"}},
		{"AML.T0054", "", []string{"jailbreak"}},
		{"aml.t0080.000", "5.6.0", []string{"memory-poisoning"}},
		{"vcr", "", []string{"harmful-content"}},
	} {
		got, err := catalogue.ForTag(c.tag, c.edition)
		if err != nil {
			t.Errorf("%s in edition %q: %v", c.tag, c.edition, err)
		}
		check(t, c.tag+" "+c.edition, got, c.want...)
	}
}

func TestForTagRefuses(t *testing.T) {
	for _, c := range [][2]string{
		{"LLM04", "2024"},
		{"LLM04:2025", "2026"},
		{"LLM11", "2025"},
		{"owasp:api:01", ""},
		{"AML.T9999", ""},
		{"cwe:79", ""},
		{"", ""},
		{"", "2025"},
	} {
		if got, err := catalogue.ForTag(c[0], c[1]); got != nil || !errors.Is(err, catalogue.ErrUnknownTag) {
			t.Errorf("%q in edition %q: got %v and %v, want an unknown tag", c[0], c[1], ids(got), err)
		}
	}
	got, err := catalogue.ForTag("owasp:llm04", "")
	var ambiguous *catalogue.AmbiguousTagError
	if got != nil || !errors.As(err, &ambiguous) {
		t.Fatalf("without an edition: got %v and %v, want an ambiguous tag", ids(got), err)
	}
	want := []catalogue.Ref{{"owasp-llm", "2023-24", "LLM04"}, {"owasp-llm", "2025", "LLM04"}, {"owasp-llm", "2026", "LLM04"}}
	if d := cmp.Diff(want, ambiguous.Meanings); d != "" {
		t.Errorf("meanings (-want +got):\n%s", d)
	}
	const sentence = `the tag "owasp:llm04" is ambiguous: say which edition of owasp-llm is meant, ` +
		`2023-24 (Model Denial of Service), 2025 (Data and Model Poisoning), 2026 (Supply Chain)`
	if err.Error() != sentence {
		t.Errorf("got  %s\nwant %s", err, sentence)
	}
}

func TestEntry(t *testing.T) {
	title, url, ok := catalogue.Entry(catalogue.Ref{Catalogue: "mitre-atlas", Edition: "5.6.0", ID: "AML.T0051.001"})
	if !ok || title != "Indirect" || url != "https://atlas.mitre.org/techniques/AML.T0051.001" {
		t.Errorf("got %q, %q, %v", title, url, ok)
	}
	for _, ref := range []catalogue.Ref{{}, {"owasp-llm", "2024", "LLM01"}, {"owasp-llm", "2025", "llm01"}} {
		if title, _, ok := catalogue.Entry(ref); ok {
			t.Errorf("%v is nothing, yet has the title %q", ref, title)
		}
	}
}

func TestLookup(t *testing.T) {
	for _, id := range []string{
		"direct-prompt-injection", "indirect-prompt-injection", "system-prompt-extraction", "data-leakage",
		"model-extraction", "poisoning", "artifact-malware", "sensor-evasion", "tool-misuse", "insecure-output",
		"denial-of-service", "harmful-content", "misinformation",
	} {
		if c, ok := catalogue.Lookup(id); !ok || c.ID != id {
			t.Errorf("case %q: got %q, %v; ids must stay", id, c.ID, ok)
		}
	}
	if c, ok := catalogue.Lookup("Jailbreak"); ok {
		t.Errorf("found %q", c.ID)
	}
}

func TestCallersCannotReorder(t *testing.T) {
	before := ids(catalogue.Cases())
	slices.Reverse(catalogue.Cases())
	slices.Reverse(catalogue.ForHazard("vcr"))
	if d := cmp.Diff(before, ids(catalogue.Cases())); d != "" {
		t.Errorf("(-before +after):\n%s", d)
	}
}

// Names and tags come from reports that others wrote.
func FuzzNames(f *testing.F) {
	for _, seed := range []string{"owasp:llm04", "LLM04:2025", "owasp:agentic:asi01", "garak.probes.dan.Dan_11_0", "harmful:a::b", "safe_hazard-1.1-vcr", ":", "-_", "."} {
		f.Add(seed, "2025")
		f.Add(seed, "")
	}
	f.Fuzz(func(t *testing.T, name, edition string) {
		cases, err := catalogue.ForTag(name, edition)
		if (err == nil) != (len(cases) > 0) {
			t.Errorf("tag %q, edition %q: %d cases and error %v", name, edition, len(cases), err)
		}
		if edition != "" && strings.Contains(errorText(err), "ambiguous") {
			t.Errorf("tag %q is ambiguous although the edition %q was named", name, edition)
		}
		for _, found := range [][]catalogue.Case{
			cases, catalogue.ForGarakProbe(name), catalogue.ForPromptfooPlugin(name), catalogue.ForHazard(name),
		} {
			for _, c := range found {
				if _, ok := catalogue.Lookup(c.ID); !ok {
					t.Errorf("%q led to %q, which is no case", name, c.ID)
				}
			}
		}
	})
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
