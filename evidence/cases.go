package evidence

import "imprimatur.dev/catalogue"

// caseDimension is the slice dimension that names a misuse case; a metric over
// such a slice carries the case.
const caseDimension = "case"

// first returns the ID of the first case, which is the closest one, or "".
func first(cases []catalogue.Case) string {
	if len(cases) == 0 {
		return ""
	}
	return cases[0].ID
}

// caseOfProbe returns the misuse case that a garak probe tries, or "".
func caseOfProbe(probe string) string { return first(catalogue.ForGarakProbe(probe)) }

// caseOfPlugin returns the misuse case that a promptfoo plugin tries, or "".
func caseOfPlugin(plugin string) string { return first(catalogue.ForPromptfooPlugin(plugin)) }

// caseOfHazard returns the misuse case of an MLCommons hazard, or "".
func caseOfHazard(key string) string { return first(catalogue.ForHazard(key)) }
