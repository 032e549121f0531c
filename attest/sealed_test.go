package attest

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"
)

func TestSealedSecretsOpenWithTheKeyAndTheNameAlone(t *testing.T) {
	key, other := newKey(t, "imprimatur.dev/log-1"), newKey(t, "imprimatur.dev/log-1")
	secret := []byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	sealed, err := key.SealSecret("one", secret)
	if err != nil {
		t.Fatal(err)
	}
	again, err := key.SealSecret("one", secret)
	if err != nil || bytes.Equal(sealed, again) || bytes.Contains(sealed, secret[:8]) {
		t.Fatalf("sealed as %q and %q, %v", sealed, again, err)
	}
	if got, err := key.OpenSecret("one", sealed); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("opened %q, %v", got, err)
	}
	// A replica has the key from its file, whatever the passphrase.
	path := filepath.Join(t.TempDir(), "server.key")
	if err := key.Save(path, "correct horse"); err != nil {
		t.Fatal(err)
	}
	replica, err := LoadKey(path, "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := replica.OpenSecret("one", sealed); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("a replica opened %q, %v", got, err)
	}
	refuse := func(what string, k *Key, name string, sealed []byte) {
		if got, err := k.OpenSecret(name, sealed); !errors.Is(err, ErrSealed) || got != nil {
			t.Errorf("%s opened %q, %v", what, got, err)
		}
	}
	refuse("another key", other, "one", sealed)
	refuse("another name", key, "two", sealed)
	refuse("nothing", key, "one", nil)
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		refuse("a changed byte", key, "one", changed)
	}
}
