package registry

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"

	"filippo.io/age"

	"imprimatur.dev/attest"
	"imprimatur.dev/wire"
)

// secretKeys encrypt what the server keeps of secrets, with age. The first
// identity seals and all of them open, so that a key is replaced by putting
// another before it. Where none is given, one is made in the data folder, sealed by
// the server's key; of a ledger that several servers share each must be given the
// same.
type secretKeys struct {
	server *attest.Key
	path   string
	given  []age.Identity
	shared bool

	mu    sync.Mutex
	local []age.Identity
}

// ownKey is the name under which the server's key seals that of the secrets.
const ownKey = "secrets-key"

func newSecretKeys(server *attest.Key, cfg Config) (*secretKeys, error) {
	k := &secretKeys{server: server, path: filepath.Join(cfg.Data, "keys", "secrets.key"), shared: cfg.Database != ""}
	if strings.TrimSpace(cfg.SecretsKey) == "" {
		return k, nil
	}
	given, err := age.ParseIdentities(strings.NewReader(strings.ReplaceAll(cfg.SecretsKey, "\r\n", "\n")))
	if err != nil {
		// What age says of a line could show a part of it.
		return nil, refusef(wire.Invalid, "the key of the secrets is not a list of age identities, one a line, AGE-SECRET-KEY-1…; make one with age-keygen, or imprimatur secret key")
	}
	k.given = given
	return k, nil
}

// NewSecretsKey makes a key for [Config].SecretsKey: an age identity.
func NewSecretsKey() (string, error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return "", fmt.Errorf("making a key: %w", err)
	}
	return id.String(), nil
}

// identities are those that open, the one that seals first.
func (k *secretKeys) identities(needed bool) ([]age.Identity, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.local == nil {
		local, err := k.load()
		if errors.Is(err, fs.ErrNotExist) && len(k.given) == 0 && needed {
			if k.shared {
				return nil, refusef(wire.Refused, "the servers of this ledger have no common key for secrets yet; start each with the same one: imprimatur serve --secrets-key")
			}
			local, err = k.make()
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		k.local = local
	}
	return append(k.given[:len(k.given):len(k.given)], k.local...), nil
}

func (k *secretKeys) load() ([]age.Identity, error) {
	text, err := attest.ReadSecret(k.path)
	if err != nil {
		return nil, err
	}
	sealed, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("the key of the secrets %s is damaged; put it back from a backup", k.path)
	}
	plain, err := k.server.OpenSecret(ownKey, sealed)
	if err != nil {
		return nil, fmt.Errorf("the key of the secrets %s is another server's or damaged; put it back from a backup: %w", k.path, err)
	}
	id, err := age.ParseX25519Identity(string(plain))
	if err != nil {
		return nil, fmt.Errorf("the key of the secrets %s is damaged; put it back from a backup", k.path)
	}
	return []age.Identity{id}, nil
}

func (k *secretKeys) make() ([]age.Identity, error) {
	text, err := NewSecretsKey()
	if err != nil {
		return nil, err
	}
	sealed, err := k.server.SealSecret(ownKey, []byte(text))
	if err != nil {
		return nil, err
	}
	err = attest.WriteSecret(k.path, append(base64.StdEncoding.AppendEncode(nil, sealed), '\n'))
	if err != nil && !errors.Is(err, attest.ErrKeyExists) {
		return nil, err
	}
	return k.load()
}

// sealedHead begins what is encrypted; the name follows, so that one value can not
// be put in another's place.
const sealedHead = "imprimatur secret v1\n"

// seal encrypts a value under its name.
func (k *secretKeys) seal(name string, value []byte) ([]byte, error) {
	ids, err := k.identities(true)
	if err != nil {
		return nil, err
	}
	to, err := recipientOf(ids[0])
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	if err != nil {
		return nil, fmt.Errorf("encrypting a secret: %w", err)
	}
	_, err = io.WriteString(w, sealedHead+name+"\n")
	if err == nil {
		_, err = w.Write(value)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		return nil, fmt.Errorf("encrypting a secret: %w", err)
	}
	return out.Bytes(), nil
}

func recipientOf(id age.Identity) (age.Recipient, error) {
	switch id := id.(type) {
	case *age.X25519Identity:
		return id.Recipient(), nil
	case *age.HybridIdentity:
		return id.Recipient(), nil
	}
	return nil, fmt.Errorf("the key of the secrets is an age identity of a kind that is not known here")
}

// errSealed says that a value cannot be opened, and not what it is.
var errSealed = errors.New("no key that this server has opens it; start the server with the key that encrypted it: imprimatur serve --secrets-key")

// open decrypts what was sealed under a name.
func (k *secretKeys) open(name string, sealed []byte) ([]byte, error) {
	ids, err := k.identities(false)
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, errSealed
	}
	r, err := age.Decrypt(bytes.NewReader(sealed), ids...)
	if err != nil {
		return nil, errSealed
	}
	plain, err := io.ReadAll(io.LimitReader(r, wire.MaxSecret+int64(len(sealedHead)+len(name)+2)))
	if err != nil {
		return nil, errSealed
	}
	value, ok := bytes.CutPrefix(plain, []byte(sealedHead+name+"\n"))
	if !ok {
		return nil, errors.New("the value that is kept under this name is another one's")
	}
	return value, nil
}
