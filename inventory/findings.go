// Package inventory says what is to be mended about workloads and their
// credentials.
//
// # Findings
//
// A [Survey] is what is known of a workload, or of a secret that no release
// grants, at one moment; [Find] computes the findings from it and from nothing
// else, one function for each code. A finding names its risk in the OWASP
// Non-Human Identities Top 10 of 2025, as package catalogue has that, says in a
// sentence what is the matter, and gives the command that mends it. No finding
// holds the value of a secret: no survey does.
//
// What a ledger cannot see has no finding: where a secret leaked to, what a third
// party does with one, how a cloud is set up, and whether a person sits behind a
// machine's token (NHI2, NHI3, NHI6, NHI10).
//
// The package does no input or output and knows no clock.
package inventory

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/authority"
	"imprimatur.dev/catalogue"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// How it is judged.
const (
	// UnusedFor is how long something may go without being used, and the window in
	// which grants are looked for that nobody used.
	UnusedFor = 30 * 24 * time.Hour
	// OldAfter is how old a credential may be that somebody holds, and LongLife how
	// long one may last from when it is made.
	OldAfter = 90 * 24 * time.Hour
	LongLife = 180 * 24 * time.Hour
	// ExpiresWithin is how long before its end something is told of that is needed.
	ExpiresWithin = 14 * 24 * time.Hour
)

// The codes of findings.
const (
	Orphaned         = "orphaned-owner"
	LeftBehind       = "left-behind"
	Unused           = "unused"
	UnusedCredential = "unused-credential"
	NotRotated       = "never-rotated"
	LongLived        = "long-lived"
	Shared           = "shared"
	Environments     = "crosses-environments"
	Wider            = "wider-than-used"
	ExpiresSoon      = "expires-soon"
	Expired          = "expired-in-use"
	Bearer           = "bearer-token"
)

// nhi is the list of the risks of identities of machines, and risks says which of
// them a finding is a sign of.
var (
	nhi   = catalogue.Ref{Catalogue: "owasp-nhi", Edition: "2025"}
	risks = map[string]string{
		Orphaned: "NHI1", LeftBehind: "NHI1", Unused: "NHI1", UnusedCredential: "NHI1", Expired: "NHI1",
		Bearer: "NHI4", Wider: "NHI5", NotRotated: "NHI7", LongLived: "NHI7", ExpiresSoon: "NHI7",
		Environments: "NHI8", Shared: "NHI9",
	}
)

// Codes are all of them in the order of their risks.
var Codes = []string{
	Orphaned, LeftBehind, Unused, UnusedCredential, Expired, Bearer, Wider, NotRotated, LongLived, ExpiresSoon, Environments, Shared,
}

// Risks are those that a finding can be a sign of, in their order.
func Risks() []string {
	return slices.Compact(slices.Sorted(maps.Values(risks)))
}

// findings are one function each, over what is known at a moment.
var findings = []func(*Survey, time.Time) []wire.InventoryFinding{
	orphaned, leftBehind, unused, unusedCredentials, expired, bearers, wider, notRotated, longLived, expiresSoon, environments, shared,
}

// Survey is what is known at one moment.
type Survey struct {
	Item wire.Inventoried
	// Owner is who answers for it; without a name where nobody is enrolled so.
	Owner record.Principal
	// Ended are how many releases name it that are over.
	Ended int
	// Shared are the lines in which a secret is granted that is among the
	// credentials, where there are several.
	Shared map[string][]string
	// Unused is what would fall away of a live release, by its ID, were its authority
	// no wider than what was used in [UnusedFor].
	Unused map[string][]authority.Change
}

// Find returns what is to be mended, in the order of [Codes].
func Find(s *Survey, now time.Time) (out []wire.InventoryFinding) {
	for _, find := range findings {
		out = append(out, find(s, now)...)
	}
	return out
}

func finding(code, credential, mend, format string, args ...any) wire.InventoryFinding {
	ref := nhi
	ref.ID = risks[code]
	title, _, _ := catalogue.Entry(ref)
	return wire.InventoryFinding{Code: code, Risk: ref.ID, Title: title, Credential: credential, Mend: mend, Sentence: fmt.Sprintf(format, args...)}
}

func (s *Survey) works() bool {
	return s.Item.Type == wire.InventoryWorkload && s.Item.State == "stands"
}

// live are the bindings of releases that run or are suspended.
func (s *Survey) live() (out []wire.BoundRelease) {
	for _, b := range s.Item.Releases {
		if b.Status != string(record.Proposed) {
			out = append(out, b)
		}
	}
	return out
}

// standing are the credentials that can be used.
func (s *Survey) standing() iter.Seq[wire.Credential] {
	return func(yield func(wire.Credential) bool) {
		for i := range s.Item.Credentials {
			if c := &s.Item.Credentials[i]; c.State == "stands" && !yield(*c) {
				return
			}
		}
	}
}

func (s *Survey) disable() string { return "imprimatur principal disable " + s.Item.Name }

func orphaned(s *Survey, now time.Time) []wire.InventoryFinding {
	if !s.works() || s.Owner.Name != "" && s.Owner.Type == record.Human && s.Owner.Stands(now) {
		return nil
	}
	f := finding(Orphaned, "", "imprimatur principal offboard "+s.Item.Owner+" --to OTHER", "%s, who answers for it, is disabled or has expired: nobody does.", s.Item.Owner)
	f.Page = "/principals/" + s.Item.Owner + "/offboard"
	return []wire.InventoryFinding{f}
}

func (s *Survey) leftBehind() bool {
	return s.works() && len(s.Item.Releases) == 0 && s.Ended > 0 && len(s.Item.Roles) == 0
}

func leftBehind(s *Survey, _ time.Time) []wire.InventoryFinding {
	if !s.leftBehind() {
		return nil
	}
	return []wire.InventoryFinding{finding(LeftBehind, "", s.disable(), "No release in force names it any more, and it has no role: it has nothing left to do.")}
}

// idle reports whether something that is old enough was not used lately.
func idle(since, used, now time.Time) bool {
	return now.Sub(since) >= UnusedFor && now.Sub(used) >= UnusedFor
}

func unused(s *Survey, now time.Time) []wire.InventoryFinding {
	if !s.works() || s.leftBehind() || !idle(s.Item.Since, s.Item.Used, now) {
		return nil
	}
	return []wire.InventoryFinding{finding(Unused, "", s.disable(), "It was not seen at work for %s%s.", days(UnusedFor), lastSeen(s.Item.Used))}
}

func unusedCredentials(s *Survey, now time.Time) (out []wire.InventoryFinding) {
	if s.Item.Type == wire.InventoryWorkload && (!s.works() || s.leftBehind() || idle(s.Item.Since, s.Item.Used, now)) {
		return nil
	}
	for c := range s.standing() {
		if idle(c.Since, c.Used, now) {
			out = append(out, finding(UnusedCredential, c.ID, ending(c), "The %s %s was not used for %s%s.", c.Kind, c.ID, days(UnusedFor), lastSeen(c.Used)))
		}
	}
	return out
}

// ending is the command that ends a credential.
func ending(c wire.Credential) string {
	switch c.Kind {
	case wire.CredentialIdentity:
		return "imprimatur principal identity end " + c.ID + " --reason 'not used'"
	case wire.CredentialKey:
		return "imprimatur principal key withdraw " + c.ID + " --reason 'not used'"
	case wire.CredentialSecret:
		return "imprimatur secret withdraw " + c.ID + " --reason 'not used'"
	}
	return "imprimatur principal revoke " + c.ID
}

// rotating is the command that puts a new credential in the place of one.
func rotating(c wire.Credential) string {
	switch c.Kind {
	case wire.CredentialKey:
		return "imprimatur principal key rotate " + c.ID + " FILE --overlap 1h --expires 90d"
	case wire.CredentialSecret:
		return "imprimatur secret rotate " + c.ID + " --value-file FILE --overlap 1h --expires 90d"
	}
	return "imprimatur principal rotate " + c.ID + " --overlap 1h --for 30d"
}

func expired(s *Survey, _ time.Time) (out []wire.InventoryFinding) {
	live := s.live()
	if len(live) == 0 {
		return nil
	}
	if s.Item.State != "stands" {
		out = append(out, finding(Expired, "", "imprimatur principal renew "+s.Item.Name+" --expires 90d", "It is %s, and the release %s names it: what runs under that gets nothing.", s.Item.State, live[0].Release))
	}
	for _, c := range s.Item.Credentials {
		if c.Kind == wire.CredentialSecret && c.State != "stands" {
			mend := rotating(c)
			if c.State == "ended" {
				mend = "imprimatur secret set " + c.ID + " --value-file FILE"
			}
			out = append(out, finding(Expired, c.ID, mend, "The secret %s has %s, and a release in force grants it.", c.ID, c.State))
		}
	}
	return out
}

func bearers(s *Survey, _ time.Time) (out []wire.InventoryFinding) {
	vouched := func(c wire.Credential) bool { return c.Kind == wire.CredentialIdentity && c.State == "stands" }
	if !s.works() || !slices.ContainsFunc(s.Item.Credentials, vouched) {
		return nil
	}
	for c := range s.standing() {
		if c.Kind == wire.CredentialToken {
			out = append(out, finding(Bearer, c.ID, ending(c), "The token %s is good for whoever has it, though its platform vouches for the workload.", c.ID))
		}
	}
	return out
}

func wider(s *Survey, _ time.Time) (out []wire.InventoryFinding) {
	for _, b := range s.Item.Releases {
		if n := len(s.Unused[b.Release]); n > 0 {
			out = append(out, finding(Wider, "", "imprimatur authority suggest "+b.Release+" --since 30d --propose",
				"The release %s grants more than was used in %s: without the rest, it %s%s.", b.Release, days(UnusedFor), s.Unused[b.Release][0].Sentence, more(n-1)))
		}
	}
	return out
}

func more(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", and %d more", n)
}

// held reports whether a credential is something that somebody holds; what a
// platform vouches for, it makes anew all the time.
func held(c wire.Credential) bool { return c.Kind != wire.CredentialIdentity }

func notRotated(s *Survey, now time.Time) (out []wire.InventoryFinding) {
	for c := range s.standing() {
		if age := now.Sub(c.Since); held(c) && age > OldAfter {
			out = append(out, finding(NotRotated, c.ID, rotating(c), "The %s %s is %s old, and was not replaced within %s.", c.Kind, c.ID, days(age), days(OldAfter)))
		}
	}
	return out
}

func longLived(s *Survey, _ time.Time) (out []wire.InventoryFinding) {
	for c := range s.standing() {
		switch {
		case !held(c) || !c.Expires.IsZero() && c.Expires.Sub(c.Since) <= LongLife:
		case c.Expires.IsZero():
			out = append(out, finding(LongLived, c.ID, rotating(c), "The %s %s has no end.", c.Kind, c.ID))
		default:
			out = append(out, finding(LongLived, c.ID, rotating(c), "The %s %s lasts for %s, longer than %s.", c.Kind, c.ID, days(c.Expires.Sub(c.Since)), days(LongLife)))
		}
	}
	return out
}

func expiresSoon(s *Survey, now time.Time) (out []wire.InventoryFinding) {
	if len(s.live()) == 0 || s.Item.State != "stands" {
		return nil
	}
	soon := func(at time.Time) bool { return !at.IsZero() && at.Sub(now) < ExpiresWithin }
	if soon(s.Item.Expires) {
		out = append(out, finding(ExpiresSoon, "", "imprimatur principal renew "+s.Item.Name+" --expires 90d", "It expires within %s, and a release in force names it.", days(ExpiresWithin)))
	}
	for c := range s.standing() {
		if held(c) && soon(c.Expires) && c.Expires.Sub(c.Since) > ExpiresWithin && !idle(c.Since, c.Used, now) {
			out = append(out, finding(ExpiresSoon, c.ID, rotating(c), "The %s %s ends within %s.", c.Kind, c.ID, days(ExpiresWithin)))
		}
	}
	return out
}

// different are the different values that the live releases have of something.
func different(live []wire.BoundRelease, of func(wire.BoundRelease) string) (out []string) {
	for _, b := range live {
		out = append(out, of(b))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func environments(s *Survey, _ time.Time) []wire.InventoryFinding {
	in := different(s.live(), func(b wire.BoundRelease) string { return b.Environment })
	if len(in) < 2 {
		return nil
	}
	return []wire.InventoryFinding{finding(Environments, "", s.another(), "It acts in several environments: %s.", strings.Join(in, ", "))}
}

// another is the command that makes a workload for one of the releases alone.
func (s *Survey) another() string {
	live := s.live()
	return fmt.Sprintf("imprimatur principal enrol %s-2 --workload --owner %s --purpose 'acts under %s alone' --expires 90d", s.Item.Name, s.Item.Owner, live[len(live)-1].Release)
}

func shared(s *Survey, _ time.Time) (out []wire.InventoryFinding) {
	if lines := different(s.live(), func(b wire.BoundRelease) string { return b.Line }); len(lines) > 1 {
		out = append(out, finding(Shared, "", s.another(), "%d releases share it: %s.", len(lines), strings.Join(lines, ", ")))
	}
	for _, c := range s.Item.Credentials {
		if lines := s.Shared[c.ID]; c.Kind == wire.CredentialSecret && len(lines) > 1 {
			out = append(out, finding(Shared, c.ID, "imprimatur secret set "+c.ID+"-2 --value-file FILE", "The secret %s is granted to %d releases: %s.", c.ID, len(lines), strings.Join(lines, ", ")))
		}
	}
	return out
}

func days(d time.Duration) string { return fmt.Sprintf("%d days", int(d.Hours()/24)) }

func lastSeen(at time.Time) string {
	if at.IsZero() {
		return ", nor ever"
	}
	return ", since " + at.UTC().Format(time.DateOnly)
}
