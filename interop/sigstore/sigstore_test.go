// Package sigstore checks that Sigstore's own Go client accepts the model signatures that we make. It is a module of its
// own so that Sigstore's dependencies stay out of the product's.
package sigstore

import (
	"context"
	"crypto"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"

	"imprimatur.dev/artifact"
	"imprimatur.dev/attest"
)

func TestSigstoreVerifiesOurModelSignature(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"config.json": "{}", "weights/a": "abc"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	manifest, err := artifact.Digest(context.Background(), dir, artifact.Options{})
	if err != nil {
		t.Fatal(err)
	}
	key, err := attest.NewModelKey()
	if err != nil {
		t.Fatal(err)
	}
	signed, err := attest.SignModel("model", manifest, key)
	if err != nil {
		t.Fatal(err)
	}

	result, err := check(t, signed, key, manifest.Root())
	if err != nil {
		t.Fatalf("sigstore-go refuses our signature: %v", err)
	}
	if result.Statement.PredicateType != attest.ModelSignatureType || result.Statement.Subject[0].Name != "model" {
		t.Errorf("sigstore-go read %v", result.Statement)
	}
	if _, err := check(t, signed, key, hex.EncodeToString(make([]byte, 32))); err == nil {
		t.Error("sigstore-go accepts it for other files too, so this test shows nothing")
	}
	other, err := attest.NewModelKey()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := check(t, signed, other, manifest.Root()); err == nil {
		t.Error("sigstore-go accepts it with another key, so this test shows nothing")
	}
}

// check verifies a bundle with one trusted key and no clock, log or network.
func check(t *testing.T, signed []byte, key *attest.ModelKey, digest string) (*verify.VerificationResult, error) {
	t.Helper()
	var b bundle.Bundle
	if err := b.UnmarshalJSON(signed); err != nil {
		t.Fatalf("sigstore-go can not read our bundle: %v", err)
	}
	verifier, err := signature.LoadECDSAVerifier(key.Public(), crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	trusted := root.NewTrustedPublicKeyMaterial(func(hint string) (root.TimeConstrainedVerifier, error) {
		if hint == "" {
			return nil, errors.New("the bundle names no key")
		}
		return root.NewExpiringKey(verifier, time.Time{}, time.Time{}), nil
	})
	v, err := verify.NewVerifier(trusted, verify.WithNoObserverTimestamps())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := hex.DecodeString(digest)
	if err != nil {
		t.Fatal(err)
	}
	return v.Verify(&b, verify.NewPolicy(verify.WithArtifactDigest("sha256", raw), verify.WithKey()))
}
