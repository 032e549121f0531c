package evidence

// caseDimension is the slice dimension that names a misuse case; a metric over
// such a slice carries the case.
const caseDimension = "case"

// caseOfProbe returns the misuse case that a garak probe tries, or "".
func caseOfProbe(string) string { return "" }

// caseOfPlugin returns the misuse case that a promptfoo plugin tries, or "".
func caseOfPlugin(string) string { return "" }

// caseOfHazard returns the misuse case of an MLCommons hazard, or "".
func caseOfHazard(string) string { return "" }
