package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/openbao/openbao/api/v2"
)

// login gives the token with which a vault is asked.
type login struct {
	// text reads a token that somebody else keeps good; without it the server signs
	// in by posting body to mount.
	text  func() (string, error)
	mount string
	body  func() (map[string]any, error)

	*session
}

// session is a token that was given at a login, until it is to be renewed.
type session struct {
	mu    sync.Mutex
	token string
	until time.Time
}

func newLogin(c Server, env func(string) string) (login, error) {
	l := login{session: &session{}}
	ways := 0
	var err error
	if c.Token != nil {
		ways++
		l.text, err = reading(*c.Token, env)
	}
	if a := c.AppRole; a != nil {
		ways++
		var secret func() (string, error)
		secret, err = reading(a.Secret, env)
		if a.Role == "" {
			err = errors.New("appRole needs a role, the role_id")
		}
		l.mount, l.body = cmp.Or(a.Mount, "approle"), func() (map[string]any, error) {
			id, err := secret()
			return map[string]any{"role_id": a.Role, "secret_id": id}, err
		}
	}
	if k := c.Kubernetes; k != nil {
		ways++
		if k.Token == (Text{}) {
			k.Token.File = podToken
		}
		var jwt func() (string, error)
		jwt, err = reading(k.Token, env)
		if k.Role == "" {
			err = errors.New("kubernetes needs a role")
		}
		l.mount, l.body = cmp.Or(k.Mount, "kubernetes"), func() (map[string]any, error) {
			token, err := jwt()
			return map[string]any{"role": k.Role, "jwt": token}, err
		}
	}
	if ways != 1 {
		return l, errors.New("say with one of token, appRole and kubernetes how to sign in")
	}
	return l, err
}

// reading reads a text each time, since files change.
func reading(t Text, env func(string) string) (func() (string, error), error) {
	if (t.File == "") == (t.Env == "") {
		return nil, errors.New("a token or secret is given by either file or env, the name of an environment variable")
	}
	return func() (string, error) {
		text, from := "", t.Env
		if t.File != "" {
			raw, err := os.ReadFile(t.File)
			if err != nil {
				return "", fmt.Errorf("what this server signs in with cannot be read: %w", err)
			}
			text, from = string(raw), t.File
		} else {
			text = env(t.Env)
		}
		if text = strings.TrimSpace(text); text == "" {
			return "", fmt.Errorf("what this server signs in with is empty: %s", from)
		}
		return text, nil
	}, nil
}

// renewBefore is how much of a token's life is left when the next is asked for.
const renewBefore = 3

// current returns a token; ours says that a login of this server gave it, so that
// another can be had when it is refused.
func (l login) current(ctx context.Context, v *server) (token string, ours bool, err error) {
	if l.text != nil {
		token, err = l.text()
		return token, false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.token != "" && time.Now().Before(l.until) {
		return l.token, true, nil
	}
	body, err := l.body()
	if err != nil {
		return "", true, err
	}
	in := v.client.WithNamespace(v.Namespace)
	got, err := in.Logical().WriteWithContext(ctx, "auth/"+l.mount+"/login", body)
	if err != nil {
		return "", true, v.no(err, "auth/"+l.mount+"/login")
	}
	if got == nil || got.Auth == nil || got.Auth.ClientToken == "" {
		return "", true, fmt.Errorf("the vault %s gave no token at auth/%s/login; whoever runs it can say why", v.name, l.mount)
	}
	life := time.Duration(got.Auth.LeaseDuration) * time.Second
	l.token, l.until = got.Auth.ClientToken, time.Now().Add(life-life/renewBefore)
	return l.token, true, nil
}

// forget has the next request sign in anew.
func (l login) forget(token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.token == token {
		l.token = ""
	}
}

// as calls with a client in a namespace that is signed in, once more where the login
// had ended in the meantime. Its error is a sentence about the path.
func (v *server) as(ctx context.Context, namespace, path string, call func(context.Context, *api.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, v.Timeout)
	defer cancel()
	for again := true; ; again = false {
		token, ours, err := v.login.current(ctx, v)
		if err != nil {
			return err
		}
		c := v.client.WithNamespace(namespace)
		c.SetToken(token)
		err = call(ctx, c)
		if !again || !ours || statusOf(err) != 403 {
			return v.no(err, path)
		}
		v.login.forget(token)
	}
}
