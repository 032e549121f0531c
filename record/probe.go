package record

import (
	"slices"
	"strings"
	"time"
)

// The results of a probe.
const (
	ProbeBaseline   = "baseline"   // there was nothing to compare with: later ones are compared with it
	ProbeSame       = "same"       // nothing speaks of a change
	ProbeChanged    = "changed"    // it is another model, or it answers otherwise
	ProbeIncomplete = "incomplete" // too little was answered to tell
)

// Probe is what a vendor's model answered to a suite of probes (package probe), compared with what it
// answered when it was accepted. The server scores and compares; whoever has the files can do so again.
type Probe struct {
	Team       string `json:"team"`
	Vendor     string `json:"vendor"`
	Model      string `json:"model"`
	APIVersion string `json:"apiVersion,omitzero"`
	// Suite and Answers are the digests of the files, kept as evidence.
	Suite   Digest `json:"suite"`
	Answers Digest `json:"answers"`
	// Fingerprint is that of the answers; a [Service] that is accepted names it.
	Fingerprint Digest `json:"fingerprint"`
	Result      string `json:"result"`
	Detail      string `json:"detail"`
	// Baseline is the digest of the answers that it was compared with.
	Baseline Digest `json:"baseline,omitzero"`
	// Earlier are the digests of the answers of the runs before that it was also judged together with, oldest first.
	Earlier []Digest `json:"earlier,omitzero"`
	// Together says that the change shows over these runs together, and not in this one alone.
	Together bool `json:"together,omitzero"`
	// Report is the digest of the answers before and after, side by side; of one that changed.
	Report Digest `json:"report,omitzero"`
	// P is the p-value of the test, FalseAlarm the level at which it calls a change.
	P          float64 `json:"p"`
	FalseAlarm float64 `json:"falseAlarm"`
	Prompts    int     `json:"prompts"`
	Given      int     `json:"given"`
	Missing    int     `json:"missing"`
	// Full says that it has as many answers as a run that others are compared with.
	Full bool `json:"full,omitzero"`
	// Names are what the answers call the model, Systems the fingerprints that they say.
	Names   []string  `json:"names,omitzero"`
	Systems []string  `json:"systems,omitzero"`
	Ran     time.Time `json:"ran"`
}

// VendorRef returns "team/vendor".
func (p Probe) VendorRef() string { return p.Team + "/" + p.Vendor }

// ProbeID is the name of a probe by the digest of its record.
func ProbeID(d Digest) string { return "p-" + d.Hex()[:12] }

// Kind implements Body.
func (Probe) Kind() Kind { return KindProbe }

// Keys implements Body.
func (p Probe) Keys(self Digest) []string {
	keys := []string{KeyProbe(ProbeID(self)), KeyProbes(p), KeyFingerprint(p.Fingerprint)}
	if p.Result == ProbeBaseline {
		keys = append(keys, KeyBaselines(p))
	}
	return keys
}

// Subject implements Body.
func (p Probe) Subject() (string, Digest) {
	return "probe/" + p.VendorRef() + "/" + p.Model, p.Answers
}

// maxProbeNames is how many names, and fingerprints, of one run are recorded.
const maxProbeNames = 100

// maxEarlier is how many runs before one are judged together with it at most.
const maxEarlier = 50

// Validate implements Body.
func (p Probe) Validate() error {
	c := checker{kind: KindProbe}
	c.name("team", p.Team)
	c.name("vendor", p.Vendor)
	c.oneLine("model", p.Model, MaxNames*2, true)
	c.oneLine("apiVersion", p.APIVersion, MaxNames, false)
	c.digest("suite", p.Suite)
	c.digest("answers", p.Answers)
	c.digest("fingerprint", p.Fingerprint)
	c.oneOf("result", p.Result, ProbeBaseline, ProbeSame, ProbeChanged, ProbeIncomplete)
	c.text("detail", p.Detail, true)
	c.optionalDigest("baseline", p.Baseline)
	if (p.Baseline == "") != (p.Result == ProbeBaseline) {
		c.failf("baseline is for what was compared with one")
	}
	if len(p.Earlier) > maxEarlier {
		c.failf("earlier has more than %d members", maxEarlier)
	}
	for _, d := range p.Earlier {
		c.digest("earlier", d)
	}
	if p.Together && len(p.Earlier) == 0 {
		c.failf("together is for a change that shows over several runs, and earlier has none")
	}
	c.optionalDigest("report", p.Report)
	for field, v := range map[string]float64{"p": p.P, "falseAlarm": p.FalseAlarm} {
		if c.finite(field, v); v < 0 || v > 1 {
			c.failf("%s %v is outside 0 to 1", field, v)
		}
	}
	c.count("prompts", p.Prompts)
	c.count("given", p.Given)
	c.count("missing", p.Missing)
	if len(p.Names) > maxProbeNames || len(p.Systems) > maxProbeNames {
		c.failf("names or systems has more than %d members", maxProbeNames)
	}
	for _, n := range slices.Concat(p.Names, p.Systems) {
		c.text("names and systems", n, true)
	}
	c.time("ran", p.Ran)
	return c.err()
}

// KeyProbe finds a probe by its [ProbeID].
func KeyProbe(id string) string { return "probe/" + id }

// KeyProbes finds the probes of a model of a vendor by one suite.
func KeyProbes(p Probe) string { return PrefixProbes(p.VendorRef()) + p.asked() }

// PrefixProbes begins the keys of all probes of a vendor "team/name".
func PrefixProbes(vendor string) string { return "probes/" + vendor + "/" }

// KeyBaselines finds those among them that had nothing to be compared with.
func KeyBaselines(p Probe) string { return "baselines/" + p.VendorRef() + "/" + p.asked() }

// asked names what was asked of whom: names of models may have anything in them.
func (p Probe) asked() string {
	return DigestOf([]byte(strings.Join([]string{p.Model, p.APIVersion, string(p.Suite)}, "\n"))).Hex()
}

// KeyFingerprint finds the probes with a fingerprint.
func KeyFingerprint(d Digest) string { return "fingerprint/" + string(d) }
