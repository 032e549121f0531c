package record

import (
	"slices"
	"strings"
	"time"
)

// ModelVendor is a vendor of models as a team deals with it: who answers for the dealings, and
// whom to ask there. Its name is the one that grants of the kind models and the upstreams of the
// gateway use. Each statement restates the whole.
type ModelVendor struct {
	Team string `json:"team"`
	Name string `json:"name"`
	// Owner is the person who renews what assures of it.
	Owner string `json:"owner"`
	// Contact is whom to ask at the vendor, in words.
	Contact     string `json:"contact"`
	Description string `json:"description,omitzero"`
}

// Ref returns "team/name".
func (v ModelVendor) Ref() string { return v.Team + "/" + v.Name }

// Kind implements Body.
func (ModelVendor) Kind() Kind { return KindVendor }

// Keys implements Body.
func (v ModelVendor) Keys(Digest) []string {
	return []string{KeyVendor(v.Ref()), KeyOwned(v.Owner)}
}

// Subject implements Body.
func (v ModelVendor) Subject() (string, Digest) { return "vendor/" + v.Ref(), "" }

// Validate implements Body.
func (v ModelVendor) Validate() error {
	c := checker{kind: KindVendor}
	c.name("team", v.Team)
	c.name("name", v.Name)
	c.principal("owner", v.Owner)
	c.text("contact", v.Contact, true)
	c.text("description", v.Description, false)
	return c.err()
}

// KeyVendor finds the statements of a vendor, by "team/name".
func KeyVendor(ref string) string { return "vendor/" + ref }

// Assurance is one document by which a vendor assures of something: a report, a certificate, a
// contract. The newest statement with an [Assurance.ID] is its state.
type Assurance struct {
	Team   string `json:"team"`
	Vendor string `json:"vendor"`
	// Type is what it is, such as soc-2, iso-42001, dpa, contract or model-card; the list is
	// open, and a policy names what it asks for.
	Type string `json:"type"`
	// Document is the file, kept as evidence.
	Document RawFile `json:"document"`
	// Scope is what it speaks of, and Issuer who says it.
	Scope  string `json:"scope"`
	Issuer string `json:"issuer"`
	// Issued is when it was made, and Expires when it speaks no more.
	Issued  time.Time `json:"issued,omitzero"`
	Expires time.Time `json:"expires"`
	Clauses []Clause  `json:"clauses,omitzero"`
	// Withdrawn ends it before, for a reason.
	Withdrawn bool   `json:"withdrawn,omitzero"`
	Reason    string `json:"reason,omitzero"`
}

// The clauses of which the product speaks; others may be recorded and asked for.
const (
	ClauseModelChange    = "model-change-notice" // changes of a model are told before
	ClauseDataUse        = "data-use"            // what is sent trains nothing
	ClauseRetention      = "retention"           // what is sent is kept for so many days at most
	ClauseSubProcessors  = "sub-processors"      // who else processes is told
	ClauseIncidentNotice = "incident-notice"     // incidents are told within so many days
)

// Clause is what a document says on one matter.
type Clause struct {
	Name string `json:"name"`
	// Given says whether the document gives what the clause is about; that it was looked for
	// and is not there is worth recording too.
	Given bool `json:"given"`
	// Days is the number that it gives, such as of notice or of retention.
	Days *int   `json:"days,omitzero"`
	Text string `json:"text,omitzero"`
	// Where is the place in the document.
	Where string `json:"where,omitzero"`
}

// VendorRef returns "team/vendor".
func (a Assurance) VendorRef() string { return a.Team + "/" + a.Vendor }

// ID names the document: what it is, of which vendor, and its bytes.
func (a Assurance) ID() string {
	return "a-" + DigestOf([]byte(a.VendorRef() + "\n" + a.Type + "\n" + string(a.Document.Digest))).Hex()[:12]
}

// StandsAt reports whether it speaks at a time as far as this statement says.
func (a Assurance) StandsAt(t time.Time) bool { return !a.Withdrawn && Stands(a.Issued, a.Expires, t) }

// Clause returns what it says on a matter.
func (a Assurance) Clause(name string) (Clause, bool) {
	i := slices.IndexFunc(a.Clauses, func(c Clause) bool { return c.Name == name })
	if i < 0 {
		return Clause{}, false
	}
	return a.Clauses[i], true
}

// Kind implements Body.
func (Assurance) Kind() Kind { return KindAssurance }

// Keys implements Body.
func (a Assurance) Keys(Digest) []string { return []string{KeyAssurances(a.VendorRef())} }

// Subject implements Body.
func (a Assurance) Subject() (string, Digest) {
	return "assurance/" + a.VendorRef() + "/" + a.Type, a.Document.Digest
}

// MaxClauses is how many clauses of one document are recorded.
const MaxClauses = 100

// Validate implements Body.
func (a Assurance) Validate() error {
	c := checker{kind: KindAssurance}
	c.name("team", a.Team)
	c.name("vendor", a.Vendor)
	c.name("type", a.Type)
	c.text("document.name", a.Document.Name, true)
	c.digest("document.digest", a.Document.Digest)
	if a.Document.Bytes <= 0 || a.Document.Bytes > 1<<53 {
		c.failf("document.bytes %d is outside 1 to 2^53", a.Document.Bytes)
	}
	c.text("document.format", a.Document.Format, false)
	c.text("scope", a.Scope, true)
	c.text("issuer", a.Issuer, true)
	c.optionalTime("issued", a.Issued)
	c.time("expires", a.Expires)
	if !a.Issued.IsZero() && !a.Issued.Before(a.Expires) {
		c.failf("expires is not after issued")
	}
	c.clauses(a.Clauses)
	c.text("reason", a.Reason, a.Withdrawn)
	return c.err()
}

func (c *checker) clauses(all []Clause) {
	if len(all) > MaxClauses {
		c.failf("clauses has %d members, more than %d", len(all), MaxClauses)
	}
	seen := map[string]bool{}
	for _, x := range all {
		c.name("clauses.name", x.Name)
		if seen[x.Name] {
			c.failf("clauses names %s twice", x.Name)
		}
		seen[x.Name] = true
		if x.Days != nil && (*x.Days < 0 || *x.Days > 36500) {
			c.failf("clauses.%s.days %d is outside 0 to 36500", x.Name, *x.Days)
		}
		c.text("clauses."+x.Name+".text", x.Text, false)
		c.text("clauses."+x.Name+".where", x.Where, x.Given)
	}
}

// KeyAssurances finds the documents of a vendor, by "team/name".
func KeyAssurances(ref string) string { return "assurance/" + ref }

// AssuranceAt returns the documents of a vendor as they stood at a time, each as it was last
// stated by then, in the order in which they were first stated.
func AssuranceAt(stated []Recorded[Assurance], t time.Time) (out []Recorded[Assurance]) {
	for _, s := range stated {
		if s.Time.After(t) {
			continue
		}
		i := slices.IndexFunc(out, func(o Recorded[Assurance]) bool { return o.Record.ID() == s.Record.ID() })
		if i < 0 {
			out = append(out, s)
		} else {
			out[i] = s
		}
	}
	return out
}

// Service is a vendor's model, of which there are no bytes: it is what the provider calls by a
// name, and what it answered when it was probed.
type Service struct {
	// Vendor is the name of a vendor of the model's team.
	Vendor string `json:"vendor"`
	// Model is the ID by which it is asked for, and APIVersion that of the interface.
	Model      string `json:"model"`
	APIVersion string `json:"apiVersion,omitzero"`
	// Fingerprint is that of its answers to a suite of probes; empty for one that was not
	// probed.
	Fingerprint Digest `json:"fingerprint,omitzero"`
}

// ServiceFile is the name of the one file of a version that is a service.
const ServiceFile = "service.json"

// Canonical is the content of that file: the RFC 8785 JSON of the service.
func (s Service) Canonical() ([]byte, error) { return CanonicalOf(s) }

func (c *checker) service(v ModelVersion) {
	s := v.Service
	if s == nil {
		return
	}
	if v.Type != Vendor {
		c.failf("service is only for a version of the type %s", Vendor)
	}
	c.name("service.vendor", s.Vendor)
	c.oneLine("service.model", s.Model, MaxNames*2, true)
	c.oneLine("service.apiVersion", s.APIVersion, MaxNames, false)
	c.optionalDigest("service.fingerprint", s.Fingerprint)
	raw, err := s.Canonical()
	if err != nil {
		c.failf("service: %v", err)
		return
	}
	want := File{Path: ServiceFile, SHA256: DigestOf(raw).Hex(), Size: int64(len(raw))}
	if len(v.Files) != 1 || v.Files[0] != want {
		c.failf("files is not the one file %s that says what the service is", ServiceFile)
	}
}

// KeyService finds the versions that are one model of a vendor "team/name".
func KeyService(vendor, model string) string { return "service/" + vendor + "/" + model }

// VendorFacts are what is known of a vendor on which a release rests.
type VendorFacts struct {
	// Name is the vendor's in the release's team; what names no one vendor has the pattern.
	Name string
	// Uses say in words what of it the release uses.
	Uses []string
	// Stated is the vendor's record; its Statement is empty where there is none.
	Stated Recorded[ModelVendor]
	// Assurances are all statements of its documents, oldest first.
	Assurances []Recorded[Assurance]
}

// VendorsUsed returns the vendors on which a release rests, by their names: those of its model and
// its bases, and those whose models it may call.
func VendorsUsed(rel Release, versions []ModelVersion) []VendorFacts {
	var out []VendorFacts
	use := func(vendor, what string) {
		i := slices.IndexFunc(out, func(f VendorFacts) bool { return f.Name == vendor })
		if i < 0 {
			i, out = len(out), append(out, VendorFacts{Name: vendor})
		}
		if !slices.Contains(out[i].Uses, what) {
			out[i].Uses = append(out[i].Uses, what)
		}
	}
	for _, v := range versions {
		if v.Type == Vendor && v.Service != nil {
			use(v.Service.Vendor, "the model "+v.Ref())
		}
	}
	for _, g := range rel.Authority.Models {
		vendor, _, _ := strings.Cut(g.Resource, "/")
		use(vendor, "the grant of "+g.Resource)
	}
	slices.SortFunc(out, func(a, b VendorFacts) int { return strings.Compare(a.Name, b.Name) })
	return out
}
