package attest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
)

// ModelKey is an ECDSA P-256 key that signs model folders.
type ModelKey struct {
	private *ecdsa.PrivateKey
}

// NewModelKey makes a fresh key.
func NewModelKey() (*ModelKey, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making model key: %w", err)
	}
	return &ModelKey{private}, nil
}

// Public is the public half.
func (k *ModelKey) Public() *ecdsa.PublicKey { return &k.private.PublicKey }

// PublicPEM is the public half as PEM of a SubjectPublicKeyInfo, the file that other verifiers read.
func (k *ModelKey) PublicPEM() []byte { return publicPEM(k.Public()) }

// Hint names the key in a signature: the hexadecimal SHA-256 of [ModelKey.PublicPEM].
func (k *ModelKey) Hint() string { return modelKeyHint(k.Public()) }

// String never shows the private half.
func (k *ModelKey) String() string { return "model key " + k.Hint() }

// GoString is [ModelKey.String], for %#v.
func (k *ModelKey) GoString() string { return k.String() }

// Save writes the key as PEM of PKCS #8 to a new file with mode 0600, by the rules of [Key.Save].
func (k *ModelKey) Save(path string) error {
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		return fmt.Errorf("writing model key: %w", err)
	}
	return WriteSecret(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// LoadModelKey reads a key file; one that its group or others can read is refused (ErrKeyPermissions).
func LoadModelKey(path string) (*ModelKey, error) {
	content, err := ReadSecret(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(content)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("reading model key %s: it is not an unencrypted PEM file of a PKCS #8 private key", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading model key %s: %w", path, err)
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return nil, fmt.Errorf("reading model key %s: models are signed with ECDSA on P-256, and this is another kind of key", path)
	}
	return &ModelKey{private}, nil
}

// ParseModelPublicKey reads the PEM of a SubjectPublicKeyInfo with an ECDSA key.
func ParseModelPublicKey(text []byte) (*ecdsa.PublicKey, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, errors.New("reading public key: it is not a PEM block \"PUBLIC KEY\"")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading public key: %w", err)
	}
	public, ok := parsed.(*ecdsa.PublicKey)
	if !ok {
		return nil, errors.New("reading public key: models are signed with ECDSA, and this is another kind of key")
	}
	return public, nil
}

func publicPEM(public *ecdsa.PublicKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		panic(fmt.Sprintf("attest: public key on an unnamed curve: %v", err)) // keys come from crypto/x509 or elliptic.P256
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// modelKeyHint is the key identifier of the reference implementation: over the PEM text, not the DER.
func modelKeyHint(public *ecdsa.PublicKey) string {
	sum := sha256.Sum256(publicPEM(public))
	return hex.EncodeToString(sum[:])
}
