package session

import (
	"errors"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How often somebody may try to sign in, as one account and from one address:
// so many at once, then one in a while. At one in 20 seconds a guesser has
// 4,320 tries a day at one account, and a long password or a passkey stands.
const (
	accountBurst, accountEvery = 10, 20 * time.Second
	addressBurst, addressEvery = 30, 2 * time.Second
	// remembered bounds how many accounts and addresses are counted. When it
	// is full, those are forgotten that may do everything again.
	remembered = 20_000
)

// limits count in this process alone: a guesser who finds n replicas has n
// times as many tries.
type limits struct {
	mu        sync.Mutex
	accounts  map[string]*rate.Limiter
	addresses map[string]*rate.Limiter
}

func newLimits() *limits {
	return &limits{accounts: map[string]*rate.Limiter{}, addresses: map[string]*rate.Limiter{}}
}

// allow counts a try, and refuses one too many. An account is counted whether
// or not there is one of that name.
func (l *limits) allow(account, address string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	ok := take(l.addresses, address, addressEvery, addressBurst)
	if account != "" {
		ok = take(l.accounts, account, accountEvery, accountBurst) && ok
	}
	if !ok {
		return errTooMany
	}
	return nil
}

func take(in map[string]*rate.Limiter, key string, every time.Duration, burst int) bool {
	l, ok := in[key]
	if !ok {
		if len(in) >= remembered {
			for k, other := range in {
				if other.Tokens() >= float64(burst) {
					delete(in, k)
				}
			}
		}
		if len(in) >= remembered {
			return false
		}
		l = rate.NewLimiter(rate.Every(every), burst)
		in[key] = l
	}
	return l.Allow()
}

// errTooMany is answered with the status 429.
var errTooMany = errors.New("too many tries; wait a minute and try again")
