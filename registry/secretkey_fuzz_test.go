package registry

import (
	"bytes"
	"testing"

	"imprimatur.dev/attest"
)

// FuzzOpenSecret opens what somebody may have put in a value's place: it is the value
// that was sealed under the name, or an error that shows nothing.
func FuzzOpenSecret(f *testing.F) {
	server, err := attest.NewKey("imprimatur.dev/log-fuzz")
	if err != nil {
		f.Fatal(err)
	}
	given, err := NewSecretsKey()
	if err != nil {
		f.Fatal(err)
	}
	keys, err := newSecretKeys(server, Config{Data: f.TempDir(), SecretsKey: given})
	if err != nil {
		f.Fatal(err)
	}
	value := []byte("hunter2-correct-horse-battery-staple")
	sealed, err := keys.seal("secret/lab/key/s-1", value)
	if err != nil {
		f.Fatal(err)
	}
	if got, err := keys.open("secret/lab/key/s-1", sealed); err != nil || !bytes.Equal(got, value) {
		f.Fatalf("what was sealed is not opened: %v", err)
	}
	if _, err := keys.open("secret/lab/key/s-2", sealed); err == nil {
		f.Fatal("a value is opened under another name")
	}
	f.Add(sealed)
	f.Add(sealed[:len(sealed)-1])
	f.Add([]byte("age-encryption.org/v1\n"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := keys.open("secret/lab/key/s-1", raw)
		if err == nil && (!bytes.Equal(got, value) || !bytes.Equal(raw, sealed)) {
			t.Errorf("%d bytes were opened that nobody sealed", len(got))
		}
		if err != nil && (len(got) > 0 || bytes.Contains([]byte(err.Error()), value)) {
			t.Error("a refusal shows what it refused")
		}
	})
}
