// Package catalogue holds the misuse cases that evidence is gathered for, and
// the external catalogues that they refer to.
//
// # Cases
//
// A misuse case ([Case]) is a way in which somebody might abuse a model, an
// agent or what surrounds them. Its ID is ours, in lower case with dashes, and
// never changes its meaning, so that policies and records may name it. A case
// is tied to the outside in four ways: by references to catalogues, by the
// probes of garak and the red-team plugins of promptfoo that try it, and by the
// hazards of MLCommons AILuminate that measure it.
//
// # Editions
//
// A reference ([Ref]) always has three parts: catalogue, edition and id, for
// the same id means different things in different editions. LLM04 of the OWASP
// list is Model Denial of Service in 2023-24, Data and Model Poisoning in 2025
// and Supply Chain in 2026. [ForTag] therefore refuses a tag that fits more
// than one edition unless it is told which.
//
// # Tools
//
// For garak and promptfoo the data also has the full list of names of one
// release ([Tools]). Each name leads to a case or is listed as unmapped with
// the reason. A name is looked up by the most specific pattern that any case
// has for it: "grandma.Win10" before "grandma", "harmful:privacy" before
// "harmful:*". Names of later releases thus fall back on the wider pattern.
//
// # Risks
//
// The OWASP list of non-human identities has no cases: nobody attacks for them.
// What the ledger says of workloads and credentials finds them (package registry,
// the inventory), and refers to them by [Ref].
//
// # Data
//
// Everything is in data/, one JSON file per edition and per tool, and
// cases.json for the cases. Identifiers and titles are those of the source that
// each file names; all descriptions are ours. All results come in the order of
// the files, which are read by name. What is returned is shared: read it, do
// not write to it.
package catalogue

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
)

// Ref names one item of one edition of a catalogue, such as
// {"owasp-llm", "2025", "LLM04"}.
type Ref struct {
	Catalogue string `json:"catalogue"` // "owasp-llm", "owasp-agentic", "owasp-nhi", "mitre-atlas", "mlcommons-ailuminate"
	Edition   string `json:"edition"`
	ID        string `json:"id"` // as the catalogue writes it: "LLM04", "AML.T0051.000", "vcr"
}

// String returns the three parts with blanks between them.
func (r Ref) String() string { return r.Catalogue + " " + r.Edition + " " + r.ID }

// Case is one misuse case.
type Case struct {
	ID          string `json:"id"` // "direct-prompt-injection"
	Title       string `json:"title"`
	Description string `json:"description"` // one sentence
	Refs        []Ref  `json:"refs"`
	// GarakProbes are modules ("dan") or single probes ("grandma.Win10").
	GarakProbes []string `json:"garakProbes"`
	// PromptfooPlugins are ids ("bola") or, ending in ":*", all ids below one ("pii:*").
	PromptfooPlugins []string `json:"promptfooPlugins"`
	// Hazards are keys of MLCommons AILuminate ("vcr").
	Hazards []string `json:"hazards"`
}

// Item is one entry of an edition.
type Item struct {
	ID          string `json:"id"`
	Title       string `json:"title"`       // the source's
	Description string `json:"description"` // ours, one sentence
	URL         string `json:"url"`
}

// Edition is one edition of an external catalogue.
type Edition struct {
	Catalogue string `json:"catalogue"`
	Edition   string `json:"edition"`
	Title     string `json:"title"`
	Source    string `json:"source"` // where ids and titles were read
	Date      string `json:"date"`   // of the source: YYYY-MM-DD, or YYYY-MM where it tells no day
	Items     []Item `json:"items"`
}

// Tool is the list of what one release of an attack tool can run.
type Tool struct {
	Tool    string   `json:"tool"` // "garak" or "promptfoo"
	Version string   `json:"version"`
	Source  string   `json:"source"`
	Date    string   `json:"date"`  // of the release
	Names   []string `json:"names"` // garak: module.Class; promptfoo: plugin id
	// Unmapped says of each name without a case why it has none.
	Unmapped map[string]string `json:"unmapped"`
	// Former leads from a garak module of earlier releases to its present name.
	Former map[string]string `json:"former"`
}

//go:embed data/*.json
var files embed.FS

type content struct {
	cases    []Case
	editions []Edition
	tools    []Tool
}

// The files are part of the program, so that one that cannot be read is a
// fault of the program; the tests read them all.
var shipped = sync.OnceValue(func() (all content) {
	names, err := fs.Glob(files, "data/*.json")
	if err != nil {
		panic(err)
	}
	for _, name := range names {
		switch {
		case name == "data/cases.json":
			all.cases = read[[]Case](name)
		case strings.HasPrefix(name, "data/tool-"):
			all.tools = append(all.tools, read[Tool](name))
		default:
			all.editions = append(all.editions, read[Edition](name))
		}
	}
	return all
})

func read[T any](name string) (out T) {
	raw, err := files.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(raw, &out, json.RejectUnknownMembers(true))
	}
	if err != nil {
		panic(fmt.Errorf("reading catalogue %s: %w", name, err))
	}
	return out
}

// Cases returns all misuse cases: those of models first, those of agents last.
func Cases() []Case { return slices.Clone(shipped().cases) }

// Editions returns all catalogue editions, by catalogue and edition.
func Editions() []Edition { return slices.Clone(shipped().editions) }

// Tools returns the attack tools whose names the cases were checked against.
func Tools() []Tool { return slices.Clone(shipped().tools) }

// Lookup returns the case with an id.
func Lookup(id string) (Case, bool) {
	all := shipped().cases
	at := slices.IndexFunc(all, func(c Case) bool { return c.ID == id })
	if at < 0 {
		return Case{}, false
	}
	return all[at], true
}

// Entry returns title and address of the item that a reference names. Case
// matters, as it does in the catalogues.
func Entry(ref Ref) (title, url string, ok bool) {
	for _, e := range shipped().editions {
		if e.Catalogue != ref.Catalogue || e.Edition != ref.Edition {
			continue
		}
		for _, item := range e.Items {
			if item.ID == ref.ID {
				return item.Title, item.URL, true
			}
		}
	}
	return "", "", false
}

func casesWhere(has func(Case) bool) (found []Case) {
	for _, c := range shipped().cases {
		if has(c) {
			found = append(found, c)
		}
	}
	return found
}
