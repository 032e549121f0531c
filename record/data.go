package record

import (
	"slices"
	"strings"
	"time"
)

// Dataset is named, versioned data known by the SHA-256 of its bytes, or of a
// manifest of its files. A tool's short hash is a label, never the digest.
type Dataset struct {
	Team    string `json:"team"`
	Name    string `json:"name"`
	Version string `json:"version"`
	Digest  Digest `json:"digest"`
	// Source is the URI the data came from.
	Source string `json:"source"`
	// From and To are when what it tells of happened, first and last; zero where
	// nobody says.
	From           time.Time `json:"from,omitzero"`
	To             time.Time `json:"to,omitzero"`
	Classification string    `json:"classification"`
	// Owner is the principal who answers for the data.
	Owner string `json:"owner"`
	// Derived names the datasets this one was made from.
	Derived []Digest          `json:"derived,omitzero"`
	Licence string            `json:"licence,omitzero"`
	Labels  map[string]string `json:"labels,omitzero"`
	// Visibility is PrivateCommitted, Public or Unknown; empty is Unknown.
	Visibility string `json:"visibility,omitzero"`
	// Commitment binds to the items; nil where nobody committed to them.
	Commitment *Commitment `json:"commitment,omitzero"`
}

// Kind implements Body.
func (Dataset) Kind() Kind { return KindDataset }

// Ref returns "team/name@version".
func (d Dataset) Ref() string { return d.Team + "/" + d.Name + "@" + d.Version }

// Keys implements Body.
func (d Dataset) Keys(Digest) []string {
	keys := []string{KeyDataset(d.Digest), KeyDatasetName(d.Team, d.Name), KeyOwned(d.Owner)}
	if n, ok := LineageNameOf(d.Source); ok {
		keys = append(keys, KeyDatasetSource(n))
	}
	for _, p := range d.Derived {
		keys = append(keys, KeyUses(p))
	}
	return keys
}

// Subject implements Body.
func (d Dataset) Subject() (string, Digest) { return "dataset/" + d.Ref(), d.Digest }

// Validate implements Body.
func (d Dataset) Validate() error {
	c := checker{kind: KindDataset}
	c.name("team", d.Team)
	c.name("name", d.Name)
	c.version("version", d.Version)
	c.digest("digest", d.Digest)
	c.text("source", d.Source, true)
	c.name("classification", d.Classification)
	c.principal("owner", d.Owner)
	c.list("derived", len(d.Derived))
	for _, p := range d.Derived {
		c.digest("derived", p)
		if p == d.Digest {
			c.failf("derived names the dataset itself")
		}
	}
	c.optionalTime("from", d.From)
	c.optionalTime("to", d.To)
	if d.To.Before(d.From) {
		c.failf("to is before from")
	}
	c.text("licence", d.Licence, false)
	c.textMap("labels", d.Labels)
	c.commitment(d)
	return c.err()
}

// KeyDataset finds a dataset's statements by digest.
func KeyDataset(d Digest) string { return "dataset/" + string(d) }

// KeyDatasetName finds the versions of a dataset by name.
func KeyDatasetName(team, name string) string { return "dataset/" + team + "/" + name }

// KeyUses finds what was made from, or names, the bytes with a digest.
func KeyUses(d Digest) string { return "uses/" + string(d) }

// Decisions on data.
const (
	Allow    = "allow"
	Withdraw = "withdraw"
)

// DataApproval is a data steward's word on a dataset, or on every dataset whose
// source begins with a pattern, for named purposes until a date. A later
// withdrawal by any steward voids the earlier approvals of the purposes it
// names, or of all where it names none.
type DataApproval struct {
	// Dataset or Source is given, not both. Source ends in '*' to mean a prefix.
	Dataset  Digest    `json:"dataset,omitzero"`
	Source   string    `json:"source,omitzero"`
	Decision string    `json:"decision"`
	Purposes []string  `json:"purposes,omitzero"`
	Expires  time.Time `json:"expires,omitzero"`
	Reason   string    `json:"reason"`
}

// Kind implements Body.
func (DataApproval) Kind() Kind { return KindDataApproval }

// Keys implements Body.
func (a DataApproval) Keys(Digest) []string {
	if a.Dataset != "" {
		return []string{KeyDataApprovals(a.Dataset)}
	}
	return []string{KeySourceApprovals}
}

// Subject implements Body.
func (a DataApproval) Subject() (string, Digest) {
	if a.Dataset != "" {
		return "data-approval/" + string(a.Dataset), a.Dataset
	}
	return "data-approval/" + a.Source, ""
}

// Validate implements Body.
func (a DataApproval) Validate() error {
	c := checker{kind: KindDataApproval}
	switch {
	case (a.Dataset == "") == (a.Source == ""):
		c.failf("give either dataset or source")
	case a.Dataset != "":
		c.digest("dataset", a.Dataset)
	default:
		c.text("source", a.Source, true)
		if strings.Trim(a.Source, "*") == "" {
			c.failf("source %q would approve all data there is", a.Source)
		}
	}
	c.oneOf("decision", a.Decision, Allow, Withdraw)
	if a.Decision == Allow {
		c.time("expires", a.Expires)
		if len(a.Purposes) == 0 {
			c.failf("purposes is empty: an approval is for named purposes")
		}
	}
	c.texts("purposes", a.Purposes)
	c.text("reason", a.Reason, true)
	return c.err()
}

// Matches reports whether the approval speaks of the dataset.
func (a DataApproval) Matches(d Dataset) bool {
	if a.Dataset != "" {
		return a.Dataset == d.Digest
	}
	if prefix, ok := strings.CutSuffix(a.Source, "*"); ok {
		return strings.HasPrefix(d.Source, prefix)
	}
	return a.Source == d.Source
}

// ForPurpose reports whether the approval or withdrawal speaks of a purpose.
func (a DataApproval) ForPurpose(purposes ...string) bool {
	if len(a.Purposes) == 0 {
		return a.Decision == Withdraw
	}
	return slices.ContainsFunc(purposes, func(p string) bool { return slices.Contains(a.Purposes, p) })
}

// KeyDataApprovals finds the approvals of one dataset.
func KeyDataApprovals(d Digest) string { return "data-approvals/" + string(d) }

// KeySourceApprovals finds the approvals of source patterns.
const KeySourceApprovals = "data-approvals/source"
