package record

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits on what a record may carry, so that one statement stays small enough
// to be shown, signed and sent. Larger things are kept as blobs by digest.
const (
	MaxText  = 4096   // characters of a title, reason or description
	MaxList  = 10_000 // members of a list
	MaxNames = 128    // characters of a name
)

// InvalidError lists everything that is wrong with a record, in the order of
// its fields, so that the person who sent it mends it once.
type InvalidError struct {
	Kind   Kind
	Faults []string
}

func (e *InvalidError) Error() string {
	return fmt.Sprintf("the %s is not valid: %s", e.Kind, strings.Join(e.Faults, "; "))
}

var (
	namePattern      = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,127}$`)
	principalPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._@+-]{0,127}$`)
	versionPattern   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$`)
	releaseIDPattern = regexp.MustCompile(`^r-[0-9a-f]{12}$`)
	commitPattern    = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
)

// checker gathers faults; its methods read as the rules they hold.
type checker struct {
	kind   Kind
	faults []string
}

func (c *checker) failf(format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

func (c *checker) err() error {
	if len(c.faults) == 0 {
		return nil
	}
	return &InvalidError{Kind: c.kind, Faults: c.faults}
}

func (c *checker) name(field, v string) {
	if !namePattern.MatchString(v) {
		c.failf("%s %q is not a name: lower-case letters, digits, '.', '_' and '-', at most %d, starting with a letter or digit", field, v, MaxNames)
	}
}

func (c *checker) version(field, v string) {
	if !versionPattern.MatchString(v) {
		c.failf("%s %q is not a version: letters, digits, '.', '_', '+' and '-', at most %d", field, v, MaxNames)
	}
}

func (c *checker) principal(field, v string) {
	if !principalPattern.MatchString(v) {
		c.failf("%s %q is not a principal's name: lower-case letters, digits and . _ @ + -, at most %d", field, v, MaxNames)
	}
}

// ref checks a "team/name" reference.
func (c *checker) ref(field, v string) {
	team, name, ok := strings.Cut(v, "/")
	if !ok || !namePattern.MatchString(team) || !namePattern.MatchString(name) {
		c.failf("%s %q is not of the form team/name", field, v)
	}
}

func (c *checker) digest(field string, d Digest) {
	if err := d.Validate(); err != nil {
		c.failf("%s: %v", field, err)
	}
}

func (c *checker) optionalDigest(field string, d Digest) {
	if d != "" {
		c.digest(field, d)
	}
}

// text checks prose: valid UTF-8, bounded, and free of control characters that
// could forge a line on a terminal or turn text around in a review.
func (c *checker) text(field, v string, required bool) {
	switch {
	case required && strings.TrimSpace(v) == "":
		c.failf("%s is empty", field)
	case utf8.RuneCountInString(v) > MaxText:
		c.failf("%s is longer than %d characters", field, MaxText)
	case !utf8.ValidString(v):
		c.failf("%s is not valid UTF-8", field)
	case strings.ContainsFunc(v, forbiddenRune):
		c.failf("%s contains a control or direction-changing character", field)
	}
}

func forbiddenRune(r rune) bool {
	return (unicode.IsControl(r) && r != '\n' && r != '\t') || unicode.Is(unicode.Bidi_Control, r)
}

func (c *checker) oneOf(field, v string, allowed ...string) {
	if !slices.Contains(allowed, v) {
		c.failf("%s %q is not one of %s", field, v, strings.Join(allowed, ", "))
	}
}

func (c *checker) time(field string, t time.Time) {
	switch {
	case t.IsZero():
		c.failf("%s is not given", field)
	case !t.Equal(t.Truncate(time.Millisecond)):
		c.failf("%s is finer than a millisecond", field)
	case t.Year() < 1970 || t.Year() > 9999:
		c.failf("%s is outside the years 1970 to 9999", field)
	}
}

func (c *checker) optionalTime(field string, t time.Time) {
	if !t.IsZero() {
		c.time(field, t)
	}
}

func (c *checker) finite(field string, v float64) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		c.failf("%s is not a finite number", field)
	}
}

func (c *checker) count(field string, n int) {
	if n < 0 || int64(n) > 1<<53 {
		c.failf("%s %d is outside 0 to 2^53", field, n)
	}
}

func (c *checker) list(field string, n int) {
	if n > MaxList {
		c.failf("%s has %d members, more than %d", field, n, MaxList)
	}
}

func (c *checker) texts(field string, vs []string) {
	c.list(field, len(vs))
	for i, v := range vs {
		c.text(fmt.Sprintf("%s[%d]", field, i), v, true)
	}
}

func (c *checker) textMap(field string, m map[string]string) {
	c.list(field, len(m))
	for _, k := range sortedKeys(m) {
		c.text(field+" name", k, true)
		c.text(field+"."+k, m[k], false)
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Millis returns t in UTC, cut to the precision that records keep.
func Millis(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// Stands reports whether something that begins at from and ends before until
// stands at t. It is the one place that decides so (rule 8): a zero until never
// lapses, and the instant of expiry itself is already lapsed.
func Stands(from, until, t time.Time) bool {
	return !t.Before(from) && (until.IsZero() || t.Before(until))
}
