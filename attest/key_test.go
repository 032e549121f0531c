package attest

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

// peterLine is the example signer key of the Go documentation of golang.org/x/mod/sumdb/note; its verifier key stands beside.
const (
	peterLine = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
	peterVkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
)

func newKey(t testing.TB, name string) *Key {
	t.Helper()
	key, err := NewKey(name)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestKeyIsTheSameAsTheNoteLibrarys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(peterLine+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := LoadKey(path, "")
	if err != nil {
		t.Fatal(err)
	}
	if key.VerifierKey() != peterVkey {
		t.Errorf("VerifierKey = %s, want %s", key.VerifierKey(), peterVkey)
	}
	if key.ID() != "PeterNeumann+c74f20a3" || key.Name() != "PeterNeumann" {
		t.Errorf("ID = %s, Name = %s", key.ID(), key.Name())
	}
}

func TestNewKeysSaveAndLoad(t *testing.T) {
	// Base64 of a seed may hold "+"; enough keys are made that some do.
	for i := range 64 {
		key := newKey(t, "imprimatur.dev/log-1a2b")
		path := filepath.Join(t.TempDir(), "keys", fmt.Sprint(i))
		if err := key.Save(path, ""); err != nil {
			t.Fatal(err)
		}
		loaded, err := LoadKey(path, "")
		if err != nil {
			t.Fatal(err)
		}
		if loaded.VerifierKey() != key.VerifierKey() || !bytes.Equal(loaded.Sign([]byte("x")), key.Sign([]byte("x"))) {
			t.Fatalf("another key came back: %s, not %s", loaded, key)
		}
		if file, folder := mode(t, path), mode(t, filepath.Dir(path)); file != 0o600 || folder != 0o700 {
			t.Fatalf("file mode %o, folder mode %o", file, folder)
		}
	}
}

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestKeyWithPassphrase(t *testing.T) {
	key := newKey(t, "imprimatur.dev/log-1a2b")
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	if err := key.Save(path, "open sesame"); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(content, []byte("PRIVATE+KEY")) || !bytes.HasPrefix(content, []byte("-----BEGIN AGE ENCRYPTED FILE-----")) {
		t.Errorf("the file is not encrypted:\n%s", content)
	}
	if loaded, err := LoadKey(path, "open sesame"); err != nil || loaded.ID() != key.ID() {
		t.Errorf("LoadKey = %v, %v", loaded, err)
	}
	if _, err := LoadKey(path, "open barley"); !errors.Is(err, ErrPassphraseWrong) {
		t.Errorf("wrong passphrase: %v", err)
	}
	if _, err := LoadKey(path, ""); !errors.Is(err, ErrPassphraseNeeded) {
		t.Errorf("missing passphrase: %v", err)
	}
	plain := filepath.Join(dir, "plain")
	if err := key.Save(plain, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(plain, "open sesame"); !errors.Is(err, ErrNotEncrypted) {
		t.Errorf("needless passphrase: %v", err)
	}
}

func TestKeyFilesAreGuarded(t *testing.T) {
	key := newKey(t, "imprimatur.dev/log-1a2b")
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	if err := key.Save(path, ""); err != nil {
		t.Fatal(err)
	}
	if err := newKey(t, "other").Save(path, ""); !errors.Is(err, ErrKeyExists) {
		t.Errorf("saving over a key: %v", err)
	}
	if loaded, err := LoadKey(path, ""); err != nil || loaded.ID() != key.ID() {
		t.Errorf("the first key is gone: %v, %v", loaded, err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(path, ""); !errors.Is(err, ErrKeyPermissions) || !strings.Contains(err.Error(), "chmod 600 "+path) {
		t.Errorf("a key that the group reads: %v", err)
	}
	for name, content := range map[string]string{
		"empty": "", "text": "hello\n", "public": peterVkey + "\n", "hash": strings.Replace(peterLine, "c74f", "c74e", 1),
		"cut": peterLine[:len(peterLine)-4], "age": "-----BEGIN AGE ENCRYPTED FILE-----\nrubbish",
	} {
		bad := filepath.Join(dir, name)
		if err := os.WriteFile(bad, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		passphrase := map[string]string{"age": "x"}[name]
		if _, err := LoadKey(bad, passphrase); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s: error %v must name the file", name, err)
		}
	}
	if _, err := LoadKey(filepath.Join(dir, "absent"), ""); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent file: %v", err)
	}
}

func TestNewKeyRefusesNames(t *testing.T) {
	for _, name := range []string{"", "a b", "a+b", "a\nb", "\xff"} {
		if _, err := NewKey(name); err == nil {
			t.Errorf("NewKey(%q) succeeded", name)
		}
	}
}

func TestPrintingAKeyShowsNoSecret(t *testing.T) {
	key := newKey(t, "imprimatur.dev/log-1a2b")
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, key); got != "key "+key.ID() {
			t.Errorf("%s prints %q", format, got)
		}
	}
}

func TestSignCoversThePAE(t *testing.T) {
	key := newKey(t, "log")
	vkey, err := note.NewVerifier(key.VerifierKey())
	if err != nil {
		t.Fatal(err)
	}
	sig := key.Sign([]byte("{}"))
	if len(sig) != ed25519.SignatureSize {
		t.Errorf("signature of %d bytes", len(sig))
	}
	if !vkey.Verify([]byte("DSSEv1 28 application/vnd.in-toto+json 2 {}"), sig) {
		t.Error("the signature does not verify with crypto/ed25519 over the PAE")
	}
}
