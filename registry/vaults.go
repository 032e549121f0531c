package registry

import (
	"context"
	"errors"
	"sync"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// SecretSource reads the values that an OpenBao or a Vault keeps. The program is
// given one by its configuration. Where a vault has said no, or nothing is to be asked of it,
// an error wraps [ErrNotGiven]; any other means that it did not answer.
type SecretSource interface {
	// Check refuses a place that is not to be read for a team.
	Check(team string, at record.VaultPlace) error
	// Read returns the value that is there now.
	Read(ctx context.Context, team string, at record.VaultPlace) (FetchedSecret, error)
	// Current returns the version whose value Read would return, of a place that is
	// not dynamic.
	Current(ctx context.Context, team string, at record.VaultPlace) (int, error)
	// Revoke ends a credential that was made when it was read.
	Revoke(ctx context.Context, at record.VaultPlace, lease string) error
}

// ErrNotGiven says that a vault gives no value, and that what it gave before counts no
// more.
var ErrNotGiven = errors.New("the vault gives no value")

// FetchedSecret is what a source has read. Version is the vault's own number of it,
// Lease names a credential that was made for this reading, and Life is how long
// either lasts, 0 for as long as nobody ends it.
type FetchedSecret struct {
	Value   wire.SecretValue
	Version int
	Lease   string
	Life    time.Duration
}

// mayKeep refuses a place in a vault that cannot be read for the secret's team.
func (s *secrets) mayKeep(x record.Secret, value wire.SecretValue) error {
	if len(value) > 0 {
		return refusef(wire.Invalid, "a secret has a value or a place in a vault, not both; give one of them")
	}
	if err := x.Validate(); err != nil {
		return err
	}
	if s.source == nil {
		return refusef(wire.Invalid, "this server knows no vault; give the value, or start it with imprimatur serve --vaults")
	}
	if err := s.source.Check(x.Team, x.Vault); err != nil {
		return refusef(wire.Invalid, "%w", err)
	}
	return nil
}

// fetched is the value of a version that a vault keeps.
func (r *Registry) fetched(ctx context.Context, x record.Secret) (FetchedSecret, error) {
	if r.secrets.source == nil {
		return FetchedSecret{}, refusef(wire.Unavailable, "the secret %s is in a vault, and this server knows none; start it with imprimatur serve --vaults, or give it a value here: imprimatur secret rotate %s", x.Ref(), x.Ref())
	}
	got, err := r.secrets.source.Read(ctx, x.Team, x.Vault)
	if err != nil {
		return FetchedSecret{}, refusef(wire.Unavailable, "the secret %s cannot be read from its vault: %w; imprimatur secret show %s says where it is", x.Ref(), err, x.Ref())
	}
	return got, nil
}

const (
	// askVaults is how often a vault is asked about what of it is lent, vaultWithin how
	// long it may take, and vaultsAtOnce how many places are asked about at a time.
	askVaults    = time.Second
	vaultWithin  = 2 * time.Second
	vaultsAtOnce = 8
	// vaultSilent is how long leases go on of a vault that does not answer.
	vaultSilent = 10 * time.Second
)

// watched is a place of which leases are open.
type watched struct {
	team string
	at   record.VaultPlace
}

// watchVaults asks the vaults about what of theirs is lent, until ctx ends: leases
// are told of a newer version, and end when theirs was deleted, or the vault is
// sealed, denies it or has been silent for too long.
func (r *Registry) watchVaults(ctx context.Context) {
	tick := time.NewTicker(askVaults)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		places := map[watched][]*Lease{}
		for _, l := range r.secrets.leases.all() {
			if l.kept > 0 {
				team, _, _ := secretOf(l.Secret)
				places[watched{team, l.at}] = append(places[watched{team, l.at}], l)
			}
		}
		var all sync.WaitGroup
		free := make(chan struct{}, vaultsAtOnce)
		for p, of := range places {
			free <- struct{}{}
			all.Go(func() {
				defer func() { <-free }()
				r.askVault(ctx, p, of)
			})
		}
		all.Wait()
	}
}

// askVault asks about one place, and tells its leases.
func (r *Registry) askVault(ctx context.Context, p watched, leases []*Lease) {
	ctx, cancel := context.WithTimeout(ctx, vaultWithin)
	defer cancel()
	began := r.now()
	newest, err := r.secrets.source.Current(ctx, p.team, p.at)
	for _, l := range leases {
		switch {
		case err == nil:
			if l.heard = began; newest != l.kept {
				l.overtaken()
			}
		case errors.Is(err, ErrNotGiven) || began.Sub(l.heard) > vaultSilent:
			r.endLease(l, err.Error())
		}
	}
}
