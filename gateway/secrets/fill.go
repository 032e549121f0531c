package secrets

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// named is how a text of a configuration names a secret.
var named = regexp.MustCompile(`\$\{secret:([^}]*)\}`)

// Named reports whether a text of a configuration names a secret, as
// ${secret:team/name}.
func Named(text string) bool { return named.MatchString(text) }

// Uses are secrets while something uses all of them.
type Uses []*Use

// Done says that they are used no more.
func (u Uses) Done() {
	for _, x := range u {
		x.Done()
	}
}

// Err is why one of them may be used no longer, or nil.
func (u Uses) Err() error {
	for _, x := range u {
		if err := context.Cause(x.Context()); err != nil {
			return err
		}
	}
	return nil
}

// After calls fn when one of them may be used no longer; the function that it
// returns ends that.
func (u Uses) After(fn func()) (stop func()) {
	stops := make([]func() bool, len(u))
	for i, x := range u {
		stops[i] = context.AfterFunc(x.Context(), fn)
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// Fill returns values with the secrets in them that they name; what is lent is
// for the workload of a token and goes to one place.
func (b *Broker) Fill(ctx context.Context, bearer, to string, values map[string]string) (out map[string]string, uses Uses, err error) {
	out = make(map[string]string, len(values))
	for key, value := range values {
		out[key] = named.ReplaceAllStringFunc(value, func(n string) string {
			use, fault := b.Take(ctx, bearer, named.FindStringSubmatch(n)[1], to)
			if fault != nil {
				err = errors.Join(err, fault)
				return ""
			}
			uses = append(uses, use)
			if strings.ContainsFunc(use.Text(), func(r rune) bool { return r < ' ' || r == 0x7f }) {
				err = errors.Join(err, fmt.Errorf("the secret for %s cannot be used: it must be one line", key))
			}
			return use.Text()
		})
	}
	if err != nil {
		uses.Done()
		return nil, nil, err
	}
	return out, uses, nil
}
