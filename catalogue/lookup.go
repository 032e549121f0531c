package catalogue

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrUnknownTag is returned for a tag that no shipped edition knows.
var ErrUnknownTag = errors.New("unknown catalogue tag")

// AmbiguousTagError is returned for a tag that fits several editions when none
// was named.
type AmbiguousTagError struct {
	Tag      string
	Meanings []Ref // one per edition
}

func (e *AmbiguousTagError) Error() string {
	var meanings []string
	for _, ref := range e.Meanings {
		title, _, _ := Entry(ref)
		meanings = append(meanings, fmt.Sprintf("%s (%s)", ref.Edition, title))
	}
	return fmt.Sprintf("the tag %q is ambiguous: say which edition of %s is meant, %s",
		e.Tag, e.Meanings[0].Catalogue, strings.Join(meanings, ", "))
}

// ForGarakProbe returns the cases that a garak probe tries. The name is as in a
// report, "dan.Dan_11_0" or "garak.probes.dan.Dan_11_0"; modules that garak has
// renamed since are found under their old name too. Nothing is returned for a
// probe that is unknown, or unmapped on purpose: [Tools] tells the two apart.
func ForGarakProbe(probe string) []Case {
	name := strings.TrimPrefix(strings.TrimPrefix(probe, "garak."), "probes.")
	module, class, _ := strings.Cut(name, ".")
	for _, t := range shipped().tools {
		if now, renamed := t.Former[module]; renamed && t.Tool == "garak" {
			module = now
		}
	}
	return mostSpecific([]string{module + "." + class, module}, func(c Case) []string { return c.GarakProbes })
}

// ForPromptfooPlugin returns the cases that a red-team plugin of promptfoo
// tries. The id is as in metadata.pluginId, "harmful:privacy", or as in the
// type of the assertion, "promptfoo:redteam:harmful:privacy". Nothing is
// returned for one that is unknown, or unmapped on purpose.
func ForPromptfooPlugin(id string) []Case {
	id = strings.TrimPrefix(id, "promptfoo:redteam:")
	patterns := []string{id}
	for at := strings.LastIndexByte(id, ':'); at >= 0; at = strings.LastIndexByte(id[:at], ':') {
		patterns = append(patterns, id[:at]+":*")
	}
	return mostSpecific(patterns, func(c Case) []string { return c.PromptfooPlugins })
}

// mostSpecific returns the cases with the first of the patterns that any has.
func mostSpecific(patterns []string, of func(Case) []string) []Case {
	for _, p := range patterns {
		if found := casesWhere(func(c Case) bool { return slices.Contains(of(c), p) }); found != nil {
			return found
		}
	}
	return nil
}

// ForHazard returns the cases that a hazard of MLCommons AILuminate measures.
// The key is bare, "vcr", or inside a name as ModelBench writes it,
// "safe_hazard-1.1-vcr-en_us-official"; a subhazard, "src_x", counts as its
// hazard.
func ForHazard(key string) []Case {
	for part := range strings.SplitSeq(key, "-") {
		hazard, _, _ := strings.Cut(part, "_")
		if found := casesWhere(func(c Case) bool { return slices.Contains(c.Hazards, hazard) }); found != nil {
			return found
		}
	}
	return nil
}

// ForTag returns the cases that refer to what a tag of a tool or report names.
// Case does not matter. These are understood: "owasp:llm04" (garak),
// "owasp:llm:04" and "owasp:agentic:asi01" (promptfoo), "LLM04:2025" (OWASP),
// and bare ids such as "ASI01" and "AML.T0051.000". The edition, such as
// "2025", may be empty where the tag has it or where one edition alone fits;
// else the error is an [*AmbiguousTagError]. A tag that fits no edition, or
// not the one named, gives [ErrUnknownTag].
func ForTag(tag, edition string) ([]Case, error) {
	id, own := splitTag(tag)
	if own != "" && edition != "" && own != edition {
		return nil, fmt.Errorf("%w: %q names its own edition, which is not %q", ErrUnknownTag, tag, edition)
	}
	if edition == "" {
		edition = own
	}
	var fits []Ref
	var known []string
	for _, e := range shipped().editions {
		for _, item := range e.Items {
			if !strings.EqualFold(item.ID, id) {
				continue
			}
			known = append(known, e.Edition)
			if edition == "" || edition == e.Edition {
				fits = append(fits, Ref{e.Catalogue, e.Edition, item.ID})
			}
		}
	}
	switch {
	case len(known) == 0:
		return nil, fmt.Errorf("%w: %q is in none of the shipped catalogues", ErrUnknownTag, tag)
	case len(fits) == 0:
		return nil, fmt.Errorf("%w: %q is not in an edition %q, only in %s",
			ErrUnknownTag, tag, edition, strings.Join(known, ", "))
	case len(fits) > 1:
		return nil, &AmbiguousTagError{Tag: tag, Meanings: fits}
	}
	return casesWhere(func(c Case) bool { return slices.Contains(c.Refs, fits[0]) }), nil
}

// splitTag returns the id in a tag, and the edition if the tag has one.
func splitTag(tag string) (id, edition string) {
	id = strings.ToUpper(tag)
	if number, ok := strings.CutPrefix(id, "OWASP:LLM:"); ok {
		id = "LLM" + number
	} else {
		id = strings.TrimPrefix(strings.TrimPrefix(id, "OWASP:"), "AGENTIC:")
	}
	id, edition, _ = strings.Cut(id, ":")
	return id, edition
}
