package vault

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/openbao/openbao/api/v2"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// maxBody bounds what is read of one answer, in bytes.
const maxBody = wire.MaxSecretBody

// bounded cuts answers off that are longer than any secret.
type bounded struct{ under http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	got, err := b.under.RoundTrip(r)
	if err == nil {
		got.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(got.Body, maxBody), got.Body}
	}
	return got, err
}

// versions is the answer of GET /v1/MOUNT/metadata/PATH.
type versions struct {
	Data struct {
		Current  int                `json:"current_version"`
		Versions map[string]version `json:"versions"`
	} `json:"data"`
}

// version is what is said of one version; times are texts, empty for none.
type version struct {
	Deleted   string `json:"deletion_time"`
	Destroyed bool   `json:"destroyed"`
}

// ends is when a version is deleted, which may be in the future, or zero.
func (v version) ends() (time.Time, error) {
	if v.Deleted == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339Nano, v.Deleted)
}

// kept is the answer of GET /v1/MOUNT/data/PATH.
type kept struct {
	Data struct {
		Data     jsontext.Value `json:"data"`
		Metadata struct {
			version
			Number int `json:"version"`
		} `json:"metadata"`
	} `json:"data"`
}

// made is the answer of GET of what makes credentials.
type made struct {
	Lease string         `json:"lease_id"`
	Life  int64          `json:"lease_duration"`
	Data  jsontext.Value `json:"data"`
}

// Current implements registry.SecretSource.
func (s *Source) Current(ctx context.Context, team string, at record.VaultPlace) (int, error) {
	v, err := s.reads(team, at)
	if err != nil {
		return 0, err
	}
	number, _, err := v.current(ctx, at)
	return number, err
}

// current finds the version that is meant, and until when it is there.
func (v *server) current(ctx context.Context, at record.VaultPlace) (number int, until time.Time, err error) {
	var got versions
	if err := v.get(ctx, at, at.Mount+"/metadata/"+at.Path, nil, &got); err != nil {
		return 0, until, err
	}
	number = got.Data.Current
	if at.Version > 0 {
		number = at.Version
	}
	of, known := got.Data.Versions[strconv.Itoa(number)]
	if !known || number < 1 {
		return 0, until, v.refusef("there is no version %d at %s; its newest is %d", number, v.place(at), got.Data.Current)
	}
	until, err = of.ends()
	switch {
	case err != nil:
		return 0, until, v.unread(at)
	case of.Destroyed:
		return 0, until, v.refusef("version %d at %s was destroyed, and nobody has it any more; write the next one there", number, v.place(at))
	case !until.IsZero() && !time.Now().Before(until):
		return 0, until, v.refusef("version %d at %s was deleted on %s; undelete it there, or write the next one", number, v.place(at), until.UTC().Format(time.RFC3339))
	}
	return number, until, nil
}

// Read implements registry.SecretSource.
func (s *Source) Read(ctx context.Context, team string, at record.VaultPlace) (registry.FetchedSecret, error) {
	v, err := s.reads(team, at)
	if err != nil {
		return registry.FetchedSecret{}, err
	}
	if at.Dynamic {
		return v.make(ctx, at)
	}
	number, until, err := v.current(ctx, at)
	if err != nil {
		return registry.FetchedSecret{}, err
	}
	var got kept
	if err := v.get(ctx, at, at.Mount+"/data/"+at.Path, map[string][]string{"version": {strconv.Itoa(number)}}, &got); err != nil {
		return registry.FetchedSecret{}, err
	}
	if m := got.Data.Metadata; m.Number != number || m.Destroyed {
		return registry.FetchedSecret{}, v.unread(at)
	}
	value, err := v.field(at, got.Data.Data)
	out := registry.FetchedSecret{Value: value, Version: number}
	if !until.IsZero() {
		out.Life = max(time.Until(until), 1)
	}
	return out, err
}

// make has a vault make a credential. One that cannot be used is ended at once.
func (v *server) make(ctx context.Context, at record.VaultPlace) (registry.FetchedSecret, error) {
	var got made
	if err := v.get(ctx, at, at.Whole(), nil, &got); err != nil {
		return registry.FetchedSecret{}, err
	}
	value, err := v.field(at, got.Data)
	if err == nil && (got.Lease == "" || got.Life <= 0) {
		err = v.refusef("what is at %s is no credential that was made, since it has no lease; a secret of a KV engine is not dynamic", v.place(at))
	}
	if err != nil {
		if got.Lease != "" {
			err = errors.Join(err, v.revoke(ctx, at, got.Lease))
		}
		return registry.FetchedSecret{}, err
	}
	return registry.FetchedSecret{Value: value, Lease: got.Lease, Life: time.Duration(got.Life) * time.Second}, nil
}

// Revoke implements registry.SecretSource.
func (s *Source) Revoke(ctx context.Context, at record.VaultPlace, lease string) error {
	v, err := s.server(at)
	if err != nil {
		return err
	}
	return v.revoke(ctx, at, lease)
}

func (v *server) revoke(ctx context.Context, at record.VaultPlace, lease string) error {
	return v.as(ctx, v.namespace(at), "sys/leases/revoke", func(ctx context.Context, c *api.Client) error {
		return c.Sys().RevokeWithContext(ctx, lease)
	})
}

// field is the value of a place among what is kept there, an object.
func (v *server) field(at record.VaultPlace, object jsontext.Value) (wire.SecretValue, error) {
	value := object
	if at.Field != "" {
		var fields map[string]jsontext.Value
		if json.Unmarshal(object, &fields) != nil {
			return nil, v.unread(at)
		}
		var text string
		switch field, there := fields[at.Field]; {
		case !there:
			return nil, v.refusef("there is no field %q at %s; name another, or none for all of them", at.Field, v.place(at))
		case json.Unmarshal(field, &text) != nil:
			return nil, v.refusef("the field %q at %s is not text; write it there as text, or name no field", at.Field, v.place(at))
		}
		value = jsontext.Value(text)
	}
	switch {
	case len(value) == 0 || at.Field == "" && value.Kind() != '{':
		return nil, v.refusef("what is at %s is empty; write a value there", v.place(at))
	case len(value) > wire.MaxSecret:
		return nil, v.refusef("what is at %s has more than the %d bytes that are lent", v.place(at), wire.MaxSecret)
	}
	return slices.Clone(wire.SecretValue(value)), nil
}

// get reads what is at a path as an answer of its form.
func (v *server) get(ctx context.Context, at record.VaultPlace, path string, query map[string][]string, out any) error {
	var raw []byte
	err := v.as(ctx, v.namespace(at), path, func(ctx context.Context, c *api.Client) error {
		got, err := c.Logical().ReadRawWithDataWithContext(ctx, path, query)
		if got != nil {
			defer got.Body.Close()
		}
		if err != nil {
			return err
		}
		if got.StatusCode != http.StatusOK {
			return &api.ResponseError{StatusCode: got.StatusCode}
		}
		raw, err = io.ReadAll(got.Body)
		return err
	})
	if err != nil {
		return err
	}
	if json.Unmarshal(raw, out) != nil {
		return v.unread(at)
	}
	return nil
}

// place names a place in a sentence.
func (v *server) place(at record.VaultPlace) string {
	at.Server, at.Namespace = v.name, v.namespace(at)
	return at.Full()
}

// refusef is a no that a vault has said.
func (v *server) refusef(format string, args ...any) error {
	return fmt.Errorf("%s%w", fmt.Sprintf(format, args...), notGiven{})
}

// notGiven is [registry.ErrNotGiven] without words of its own.
type notGiven struct{}

func (notGiven) Error() string        { return "" }
func (notGiven) Is(target error) bool { return target == registry.ErrNotGiven }

func (v *server) unread(at record.VaultPlace) error {
	return v.refusef("the answer for %s is not that of a KV engine of version 2, or is longer than any secret; whoever runs the vault can say what is mounted at %s", v.place(at), at.Mount)
}

// statusOf is the status of a vault's refusal, 0 where there was no answer.
func statusOf(err error) int {
	var refused *api.ResponseError
	if errors.As(err, &refused) {
		return refused.StatusCode
	}
	return 0
}

// no makes a sentence of a refusal of the vault, or of its silence, at a path. What the
// vault has answered is not repeated.
func (v *server) no(err error, path string) error {
	switch status := statusOf(err); {
	case err == nil:
		return nil
	case status == http.StatusForbidden, status == http.StatusBadRequest && strings.HasSuffix(path, "/login"):
		return v.refusef("the vault %s denies this server %s (%d): its token has ended, or its policy does not allow it; whoever runs the vault can allow read of it", v.name, path, status)
	case status == http.StatusNotFound:
		return v.refusef("the vault %s has nothing at %s (404): it was never written, was deleted, or the engine is mounted elsewhere", v.name, path)
	case status == http.StatusServiceUnavailable:
		return v.refusef("the vault %s is sealed or not ready (503), and gives nothing until it is unsealed; whoever runs it can do so", v.name)
	case status >= 300 && status < 400:
		return v.refusef("the vault %s redirects (%d), and no redirect is followed: the token would go where it leads; name the address of the active server in the file of serve --vaults", v.name, status)
	case status >= 400 && status < 500 && status != http.StatusTooManyRequests:
		return v.refusef("the vault %s refuses %s (%d)", v.name, path, status)
	case status != 0:
		return fmt.Errorf("the vault %s cannot answer now (%d)", v.name, status)
	}
	var dial *net.OpError
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the vault %s did not answer within %s", v.name, v.Timeout)
	case errors.As(err, &untrusted):
		return fmt.Errorf("the certificate of the vault %s is not one that is trusted; give its authority under ca in the file of serve --vaults", v.name)
	case errors.As(err, &dial):
		return fmt.Errorf("the vault %s cannot be reached: %w", v.name, dial)
	}
	return fmt.Errorf("the vault %s gave no answer that can be read", v.name)
}
