package record

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// The types of signals that this software states of a live release itself. Others
// may be recorded, and a policy may name them too.
const (
	SignalDataWithdrawn     = "data-withdrawn"     // data that it rests on is approved no more
	SignalApprovalWithdrawn = "approval-withdrawn" // an approver requested changes after its promotion
	SignalDrift             = "drift"              // its monitor raised an alarm
	SignalDriftSettled      = "drift-settled"      // and took it back
	// Windows of its monitor brought nothing, as many as its policy allows.
	SignalObservationsStopped = "observations-stopped"
	SignalVendorModelChanged  = "vendor-model-changed" // its vendor's model is not the one that was approved
	SignalProbeFailed         = "probe-failed"         // its vendor's model could not be probed, or was not in time
	SignalAssuranceLapsed     = "assurance-lapsed"     // a vendor's assurance stands no more
)

// SignalTypes are the types above.
var SignalTypes = []string{
	SignalDataWithdrawn, SignalApprovalWithdrawn, SignalDrift, SignalDriftSettled, SignalObservationsStopped, SignalVendorModelChanged, SignalProbeFailed, SignalAssuranceLapsed,
}

// Response is what a policy does by itself when a signal of a live release is
// stated.
type Response string

// The responses.
const (
	Notify    Response = "notify"    // people are told
	Reapprove Response = "reapprove" // approvals given before lapse
	Suspend   Response = "suspend"   // the release stops
	RollBack  Response = "rollback"  // the release before takes over
)

// Responses are all of them.
var Responses = []string{string(Notify), string(Reapprove), string(Suspend), string(RollBack)}

// Signal is something seen after promotion: of a release, or of an alias or stage
// in a registry that is not ours, or of both.
type Signal struct {
	Release  string    `json:"release,omitzero"`
	Line     string    `json:"line,omitzero"`
	Type     string    `json:"type"`
	Detail   string    `json:"detail"`
	Observed time.Time `json:"observed"`
	// Evidence is the digest of what shows it in full, kept as a blob.
	Evidence Digest `json:"evidence,omitzero"`
	// Does is what the release's policy did about it in the same step; empty is
	// nothing. By Due, of [Reapprove] alone, approvals of the line that were given
	// before have lapsed.
	Does Response  `json:"does,omitzero"`
	Due  time.Time `json:"due,omitzero"`
	Move *Move     `json:"move,omitzero"`
}

// The types of signals about an alias or stage elsewhere.
const (
	SignalMoved   = "moved-without-release" // it means bytes that no standing release names
	SignalBack    = "moved-back"            // this server moved it to what stands, or took it away
	SignalSettled = "move-settled"          // it was found in order again, or gone
)

// Move is an alias or a stage in another registry, of the model of a team, where
// it means an environment.
type Move struct {
	// Registry is the other one's host.
	Registry string `json:"registry"`
	Team     string `json:"team"`
	Model    string `json:"model"`
	// Alias points to Version, or else Version is in the Stage.
	Alias   string `json:"alias,omitzero"`
	Stage   string `json:"stage,omitzero"`
	Version int    `json:"version"`
	// Artifact are the version's bytes, where they could be read.
	Artifact    Digest `json:"artifact,omitzero"`
	Environment string `json:"environment"`
	// To is the version to which the alias was moved back; 0 is none.
	To int `json:"to,omitzero"`
}

// Key finds what was said of the alias, or of the version in the stage.
func (m Move) Key() string {
	what := "alias " + m.Alias
	if m.Alias == "" {
		what = "stage " + m.Stage + " " + strconv.Itoa(m.Version)
	}
	return PrefixMoves(m.Registry, m.Team) + DigestOf([]byte(m.Model+"\n"+m.Environment+"\n"+what)).Hex()
}

// What names it as people do.
func (m Move) What() string {
	if m.Alias != "" {
		return "the alias " + m.Alias + " of " + m.Model
	}
	return "the stage " + m.Stage + " of version " + strconv.Itoa(m.Version) + " of " + m.Model
}

// PrefixMoves begins the keys of what was said of a team's models in a registry.
func PrefixMoves(registry, team string) string {
	return "moves/" + team + "/" + DigestOf([]byte(registry)).Hex() + "/"
}

// Kind implements Body.
func (Signal) Kind() Kind { return KindSignal }

// Keys implements Body.
func (s Signal) Keys(Digest) []string {
	var out []string
	if s.Line != "" {
		out = append(out, KeySignals(s.Line))
	}
	if !s.Due.IsZero() {
		out = append(out, KeyRenewals(s.Line))
	}
	if s.Move != nil {
		out = append(out, s.Move.Key())
	}
	return out
}

// Subject implements Body.
func (s Signal) Subject() (string, Digest) { return "signal/" + s.Type, "" }

// Validate implements Body.
func (s Signal) Validate() error {
	c := checker{kind: KindSignal}
	if s.Move == nil || s.Release != "" || s.Line != "" {
		c.releaseID("release", s.Release)
		c.line("line", s.Line)
	}
	c.name("type", s.Type)
	c.text("detail", s.Detail, true)
	c.time("observed", s.Observed)
	c.optionalDigest("evidence", s.Evidence)
	if s.Does != "" && !slices.Contains(Responses, string(s.Does)) {
		c.failf("does %q is not one of %s", s.Does, strings.Join(Responses, ", "))
	}
	if (s.Does == Reapprove) != !s.Due.IsZero() || s.Line == "" && s.Does != "" {
		c.failf("due and does do not fit together: only a signal of a line that asks for approvals again has a date for them")
	}
	if !s.Due.IsZero() {
		c.time("due", s.Due)
	}
	if m := s.Move; m != nil {
		c.text("move.registry", m.Registry, true)
		c.name("move.team", m.Team)
		c.foreign("move.model", m.Model, MaxRegisteredName)
		if (m.Alias == "") == (m.Stage == "") {
			c.failf("move names not exactly one of alias and stage")
		}
		c.text("move.alias", m.Alias, false)
		c.text("move.stage", m.Stage, false)
		c.count("move.version", m.Version)
		c.optionalDigest("move.artifact", m.Artifact)
		c.name("move.environment", m.Environment)
		c.count("move.to", m.To)
	}
	return c.err()
}

// KeySignals finds the signals of a line.
func KeySignals(line string) string { return "signals/" + line }

// KeyRenewals finds the signals of a line after which approvals are to be given
// again.
func KeyRenewals(line string) string { return "renewals/" + line }
