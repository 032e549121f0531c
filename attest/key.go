package attest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
	"golang.org/x/mod/sumdb/note"
)

// What [LoadKey] and [Key.Save] answer when a person must do something about it.
var (
	ErrKeyExists        = errors.New("a key file is already there")
	ErrKeyPermissions   = errors.New("the key file can be read by others")
	ErrPassphraseNeeded = errors.New("the key file is encrypted and no passphrase was given")
	ErrPassphraseWrong  = errors.New("the passphrase does not open the key file")
	ErrNotEncrypted     = errors.New("a passphrase was given, but the key file is not encrypted")
)

// maxKeyFile is far above any key file; it stops a wrong path from being read into memory.
const maxKeyFile = 64 << 10

// maxScryptWork bounds what a key file may cost to open: 2^20 is about four seconds and 1 GiB.
// Keys are written with age's own default, 2^18.
const maxScryptWork = 20

// Key is the server's Ed25519 signing key. It is safe for concurrent use.
type Key struct {
	line    string // PRIVATE+KEY+name+hash+base64
	vkey    string
	id      string
	private ed25519.PrivateKey
	signer  note.Signer
}

// NewKey makes a fresh key. The name is the origin of the log that it signs, such as "imprimatur.dev/log-1a2b";
// it may hold neither white space nor "+".
func NewKey(name string) (*Key, error) {
	line, _, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return nil, fmt.Errorf("making key %q: %w", name, err)
	}
	key, err := parseKey(line)
	if err != nil {
		return nil, fmt.Errorf("making key: %q can not name a key; it must be set and hold neither white space nor \"+\"", name)
	}
	return key, nil
}

func parseKey(line string) (*Key, error) {
	signer, err := note.NewSigner(line)
	if err != nil {
		return nil, err
	}
	// note.NewSigner has checked the layout: PRIVATE+KEY+name+hash+base64 of an algorithm byte and a 32-byte seed.
	// Base64 may itself hold a "+", so the fields are counted from the front.
	seed, err := base64.StdEncoding.DecodeString(strings.SplitN(line, "+", 5)[4])
	if err != nil || len(seed) != 1+ed25519.SeedSize {
		return nil, errors.New("malformed private key")
	}
	private := ed25519.NewKeyFromSeed(seed[1:])
	vkey, err := note.NewEd25519VerifierKey(signer.Name(), private.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	return &Key{
		line: line, vkey: vkey, id: keyID(signer.Name(), signer.KeyHash()),
		private: private, signer: signer,
	}, nil
}

func keyID(name string, hash uint32) string { return fmt.Sprintf("%s+%08x", name, hash) }

// ID is the key's id, "name+hash", as it stands in an envelope's keyid.
func (k *Key) ID() string { return k.id }

// Name is the name the key was made with, the log's origin.
func (k *Key) Name() string { return k.signer.Name() }

// VerifierKey is the public half as a C2SP verifier key line without line break, fit for a trust file.
func (k *Key) VerifierKey() string { return k.vkey }

// NoteSigner signs checkpoints and other C2SP notes.
func (k *Key) NoteSigner() note.Signer { return k.signer }

// Sign returns the 64-byte Ed25519 signature of an in-toto statement: over PAE([PayloadType], payload).
func (k *Key) Sign(payload []byte) []byte {
	return ed25519.Sign(k.private, PAE(PayloadType, payload))
}

// Seal signs an in-toto statement and returns it in its envelope.
func (k *Key) Seal(payload []byte) Envelope {
	return Envelope{
		Payload:     payload,
		PayloadType: PayloadType,
		Signatures:  []Signature{{KeyID: k.id, Sig: k.Sign(payload)}},
	}
}

// String never shows the private half, whatever prints a Key.
func (k *Key) String() string { return "key " + k.id }

// GoString is [Key.String], for %#v.
func (k *Key) GoString() string { return k.String() }

// Save writes the key to a new file with mode 0600, making its folder with mode 0700 where there is none. With a
// passphrase the file is encrypted. An existing file is never replaced (ErrKeyExists): a lost log key can not be had again.
func (k *Key) Save(path, passphrase string) error {
	content := []byte(k.line + "\n")
	if passphrase != "" {
		var err error
		if content, err = encrypt(content, passphrase); err != nil {
			return fmt.Errorf("encrypting key: %w", err)
		}
	}
	return WriteSecret(path, content)
}

// LoadKey reads a key file written by [Key.Save]. A file that its group or others can read is refused
// (ErrKeyPermissions); a wrong, a missing and a needless passphrase each have their own error.
func LoadKey(path, passphrase string) (*Key, error) {
	content, err := ReadSecret(path)
	if err != nil {
		return nil, err
	}
	switch encrypted := bytes.HasPrefix(content, []byte(armor.Header)); {
	case encrypted && passphrase == "":
		return nil, fmt.Errorf("reading key %s: %w", path, ErrPassphraseNeeded)
	case encrypted:
		if content, err = decrypt(content, passphrase); err != nil {
			return nil, fmt.Errorf("reading key %s: %w", path, err)
		}
	case passphrase != "":
		return nil, fmt.Errorf("reading key %s: %w", path, ErrNotEncrypted)
	}
	key, err := parseKey(strings.TrimSuffix(string(content), "\n"))
	if err != nil {
		return nil, fmt.Errorf("reading key %s: it is not a key file (%w)", path, err)
	}
	return key, nil
}

func encrypt(plain []byte, passphrase string) ([]byte, error) {
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	armored := armor.NewWriter(&out)
	w, err := age.Encrypt(armored, recipient)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := errors.Join(w.Close(), armored.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func decrypt(sealed []byte, passphrase string) ([]byte, error) {
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, err
	}
	identity.SetMaxWorkFactor(maxScryptWork)
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(sealed)), identity)
	if errors.Is(err, age.ErrIncorrectIdentity) {
		return nil, ErrPassphraseWrong
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// WriteSecret writes a new file with mode 0600 that is there whole or not at all: a full temporary file is synced, then linked to its name, which fails
// where the name is taken, even by a process that started at the same moment.
func WriteSecret(path string, content []byte) error {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("writing key: %w", err)
	}
	tmp, err := os.CreateTemp(folder, ".key-*") // CreateTemp gives mode 0600
	if err != nil {
		return fmt.Errorf("writing key: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(content)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("writing key: %w", err)
	}
	if err := os.Link(tmp.Name(), path); errors.Is(err, os.ErrExist) {
		return fmt.Errorf("writing key %s: %w; move it away first if it is really no longer needed", path, ErrKeyExists)
	} else if err != nil {
		return fmt.Errorf("writing key: %w", err)
	}
	dir, err := os.Open(folder)
	if err != nil {
		return fmt.Errorf("writing key: %w", err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("writing key: %w", err)
	}
	return nil
}

// ReadSecret reads a file that nobody but its owner can read; another is refused (ErrKeyPermissions).
func ReadSecret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("reading key %s: %w (mode %04o); run: chmod 600 %s", path, ErrKeyPermissions, mode, path)
	}
	content, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return nil, fmt.Errorf("reading key: %w", err)
	}
	return content, nil
}
