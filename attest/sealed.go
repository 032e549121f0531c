package attest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
)

// ErrSealed is wrapped where a sealed secret can not be opened: it was sealed by another key or under another name, or
// it was changed.
var ErrSealed = errors.New("the secret was not sealed by this server's key under this name")

// SealSecret encrypts a secret that the server keeps outside of the ledger, so that only who has the server's key reads
// it: AES-256-GCM with a random nonce, which stands in front, under a key that HKDF-SHA256 (RFC 5869) derives from the
// private key. The name is authenticated, so that one secret cannot be put in another's place.
func (k *Key) SealSecret(name string, secret []byte) ([]byte, error) {
	aead, err := k.sealer()
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, secret, []byte(name)), nil
}

// OpenSecret is the reverse of [Key.SealSecret]; its error wraps ErrSealed.
func (k *Key) OpenSecret(name string, sealed []byte) ([]byte, error) {
	aead, err := k.sealer()
	if err != nil {
		return nil, err
	}
	secret, err := aead.Open(nil, nil, sealed, []byte(name))
	if err != nil {
		return nil, fmt.Errorf("opening the secret %s: %w", name, ErrSealed)
	}
	return secret, nil
}

// Derive returns n bytes that nobody knows who has not the key, by HKDF-SHA256 (RFC 5869). Each use has a label of its
// own, so that no two uses have the same bytes.
func (k *Key) Derive(label string, n int) ([]byte, error) {
	return hkdf.Key(sha256.New, k.private.Seed(), nil, label, n)
}

func (k *Key) sealer() (cipher.AEAD, error) {
	derived, err := k.Derive("imprimatur.dev/sealed-secret/v1", 32)
	if err != nil {
		return nil, fmt.Errorf("deriving the key for secrets: %w", err)
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, fmt.Errorf("deriving the key for secrets: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}
