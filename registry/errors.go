package registry

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"imprimatur.dev/record"
	"imprimatur.dev/store"
	"imprimatur.dev/wire"
)

// Error is a refusal that a person can act on (rule 12).
type Error struct {
	Code    wire.Code
	Message string
	// Verdict holds every gate when a release was refused.
	Verdict *record.Verdict
	err     error
}

func (e *Error) Error() string { return e.Message }

func (e *Error) Unwrap() error { return e.err }

func refusef(code wire.Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), err: errors.Unwrap(err)}
}

// CodeOf returns the code of an error; what is not an [Error] could not be decided.
func CodeOf(err error) wire.Code {
	var e *Error
	var invalid *record.InvalidError
	switch {
	case errors.As(err, &e):
		return e.Code
	case errors.As(err, &invalid), errors.Is(err, store.ErrDraft):
		return wire.Invalid
	default:
		return wire.Unavailable
	}
}

// refusedBy words a verdict that does not pass: every gate in the way, why, who
// can supply what is missing, and the command that does so.
func refusedBy(c *examined, what string) *Error {
	v := c.Verdict
	var b strings.Builder
	fmt.Fprintf(&b, "%s is refused by policy %s (%s), tier %s:", what, v.Policy.Name, v.Policy.Digest.Short(), v.Tier)
	for _, g := range v.Blocking() {
		fmt.Fprintf(&b, "\n  %s: %s", g.Name, g.Reason)
		for i, role := range g.Who {
			b.WriteString(map[bool]string{true: " Ask ", false: " or "}[i == 0])
			fmt.Fprintf(&b, "%s (%s)", role, cmp.Or(strings.Join(c.Approvers[role], ", "), "nobody holds the role"))
		}
		if g.Do != "" {
			fmt.Fprintf(&b, ": %s", g.Do)
		}
	}
	return &Error{Code: wire.Refused, Message: b.String(), Verdict: &v}
}
