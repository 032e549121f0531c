package attest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/artifact"
)

const (
	signme1 = "bc9a717db6064a32cbe9eae6fc40651dd6d36ef1757183f590eff2b1765d7ebc"
	signme2 = "32dcb1f8e1ae52d5963e56a6ba06ab58b424c15ed2a6b70d2feca1d089370028"
	abcHash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // SHA-256 of "abc"
)

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestVerifyModelOfTheReferenceImplementation(t *testing.T) {
	public, err := ParseModelPublicKey(read(t, "testdata/oms/key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := VerifyModel(read(t, "testdata/oms/v1.1.0-key.sig"), public)
	if err != nil {
		t.Fatal(err)
	}
	want := SignedModel{
		Name:    "v1.1.0-elliptic-key",
		Files:   []artifact.File{{Path: "signme-1", SHA256: signme1, Size: -1}, {Path: "signme-2", SHA256: signme2, Size: -1}},
		Root:    "92745110b1ab4368471cbe31664e10174e954b113a3df333db860317b2c6dec4",
		Ignored: []string{".git", "model.sig", "ignore-me", ".gitattributes", ".gitignore", ".github"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("v1.1.0 (-want +got):\n%s", diff)
	}
	same := artifact.Manifest{Files: []artifact.File{{Path: "signme-1", SHA256: signme1, Size: 1}, {Path: "signme-2", SHA256: signme2, Size: 1}}}
	if same.Root() != want.Root {
		t.Errorf("Manifest.Root = %s, want that of the reference, %s", same.Root(), want.Root)
	}
	old, err := VerifyModel(read(t, "testdata/oms/v0.3.1-key.sig"), public)
	if err != nil {
		t.Fatal(err)
	}
	if len(old.Files) != 1 || old.Files[0].SHA256 != signme1 {
		t.Errorf("v0.3.1: %+v", old)
	}
	if err := old.Check(artifact.Manifest{Files: []artifact.File{{Path: ".", SHA256: signme1, Size: 1}}}); err != nil {
		t.Errorf("v0.3.1, a single file: %v", err)
	}
}

func newModelKey(t testing.TB) *ModelKey {
	t.Helper()
	key, err := NewModelKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

var twoFiles = artifact.Manifest{
	Files:   []artifact.File{{Path: "a", SHA256: abcHash, Size: 3}, {Path: "b/c", SHA256: signme1, Size: 4}},
	Ignored: []string{".git", "cache"},
}

// TestSignModelByHand spells the statement out as the specification has it, sections 5 and 6, and checks the signature
// with the standard library alone.
func TestSignModelByHand(t *testing.T) {
	key := newModelKey(t)
	bundle, err := SignModel("my-model", twoFiles, key)
	if err != nil {
		t.Fatal(err)
	}
	payload := `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"my-model","digest":{"sha256":"` + twoFiles.Root() + `"}}],` +
		`"predicateType":"https://model_signing/signature/v1.0","predicate":{"resources":[` +
		`{"name":"a","algorithm":"sha256","digest":"` + abcHash + `"},{"name":"b/c","algorithm":"sha256","digest":"` + signme1 + `"}],` +
		`"serialization":{"method":"files","hash_type":"sha256","allow_symlinks":false,` +
		`"ignore_paths":[".git",".gitattributes",".github",".gitignore","cache","model.sig"]}}}`
	begin, rest, _ := strings.Cut(string(bundle), `"sig":"`)
	sig64, end, _ := strings.Cut(rest, `"`)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	hint := fmt.Sprintf("%x", sha256.Sum256(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	want := `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"` + hint + `"},"tlogEntries":[]},` +
		`"dsseEnvelope":{"payload":"` + base64.StdEncoding.EncodeToString([]byte(payload)) + `","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"",`
	if begin != want || end != `}]}}` {
		t.Errorf("bundle\n%s\nwant it to begin\n%s", bundle, want)
	}
	sig, err := base64.StdEncoding.DecodeString(sig64)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(fmt.Appendf(nil, "DSSEv1 28 application/vnd.in-toto+json %d %s", len(payload), payload))
	if !ecdsa.VerifyASN1(key.Public(), digest[:], sig) {
		t.Error("the signature does not verify with crypto/ecdsa")
	}
}

func TestSignAndVerifyModel(t *testing.T) {
	key := newModelKey(t)
	bundle, err := SignModel("m", twoFiles, key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := ParseModelPublicKey(key.PublicPEM())
	if err != nil {
		t.Fatal(err)
	}
	m, err := VerifyModel(bundle, public)
	if err != nil || m.Root != twoFiles.Root() || m.Name != "m" {
		t.Fatalf("VerifyModel = %+v, %v", m, err)
	}
	if err := m.Check(twoFiles); err != nil {
		t.Error(err)
	}
	other := artifact.Manifest{Files: []artifact.File{{Path: "a", SHA256: signme2, Size: 3}, {Path: "d", SHA256: abcHash, Size: 3}}}
	var diff *artifact.Mismatch
	if err := m.Check(other); !errors.As(err, &diff) {
		t.Fatalf("Check = %v", err)
	}
	if d := cmp.Diff(&artifact.Mismatch{Changed: []string{"a"}, Missing: []string{"b/c"}, Extra: []string{"d"}}, diff); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if _, err := VerifyModel(bundle, newModelKey(t).Public()); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("another key: %v", err)
	}
	forged := strings.Replace(string(bundle), `"payload":"ey`, `"payload":"fy`, 1)
	if _, err := VerifyModel([]byte(forged), public); !errors.Is(err, ErrBadSignature) {
		t.Errorf("another payload: %v", err)
	}
	single, err := SignModel("weights.bin", artifact.Manifest{Files: []artifact.File{{Path: ".", SHA256: abcHash, Size: 3}}}, key)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := VerifyModel(single, public); err != nil || m.Files[0].Path != "weights.bin" {
		t.Errorf("a single file: %+v, %v", m, err)
	}
}

func TestSignModelRefuses(t *testing.T) {
	key := newModelKey(t)
	if _, err := SignModel("m", artifact.Manifest{}, key); !errors.Is(err, artifact.ErrManifest) {
		t.Errorf("an empty model: %v", err)
	}
	globbed := artifact.Manifest{Files: twoFiles.Files, Ignored: []string{"a*"}}
	if _, err := SignModel("m", globbed, key); !errors.Is(err, ErrModelSignature) {
		t.Errorf("a glob: %v", err)
	}
	for _, name := range []string{"", ".", "a/b", "..", "/"} {
		if _, err := SignModel(name, twoFiles, key); !errors.Is(err, ErrModelSignature) {
			t.Errorf("name %q: %v", name, err)
		}
	}
}

// sign puts any payload into a bundle whose signature is good.
func sign(t testing.TB, key *ModelKey, payload string) string {
	t.Helper()
	digest := sha256.Sum256(PAE(PayloadType, []byte(payload)))
	sig, err := ecdsa.SignASN1(rand.Reader, key.private, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":""}},"dsseEnvelope":{"payload":"` +
		base64.StdEncoding.EncodeToString([]byte(payload)) + `","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"` +
		base64.StdEncoding.EncodeToString(sig) + `","keyid":null}]}}`
}

func TestVerifyModelChecksTheStatement(t *testing.T) {
	key := newModelKey(t)
	root := artifact.Manifest{Files: []artifact.File{{Path: "a", SHA256: abcHash}}}.Root()
	good := `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"m","digest":{"sha256":"` + root + `"}}],` +
		`"predicateType":"https://model_signing/signature/v1.0","predicate":{"resources":[{"name":"a","algorithm":"sha256","digest":"` + abcHash + `","uri":"x"}],` +
		`"serialization":{"method":"files","hash_type":"sha256","allow_symlinks":false,"shard_size":1000000000.0}}}`
	if _, err := VerifyModel([]byte(sign(t, key, good)), key.Public()); err != nil {
		t.Fatalf("with a fractional shard_size and an unknown member: %v", err)
	}
	resource := good[strings.Index(good, `{"name":"a"`):strings.Index(good, `],"serialization"`)]
	for name, c := range map[string]struct{ old, new, want string }{
		"shards":           {`"method":"files"`, `"method":"shards"`, "in shards"},
		"unknown method":   {`"method":"files"`, `"method":"tree"`, "unknown serialization"},
		"blake3":           {`"hash_type":"sha256"`, `"hash_type":"blake3"`, "blake3"},
		"other algorithm":  {`"algorithm":"sha256"`, `"algorithm":"blake3"`, "no plain SHA-256"},
		"upper-case hash":  {`"digest":"` + abcHash, `"digest":"` + strings.ToUpper(abcHash), "no plain SHA-256"},
		"short hash":       {abcHash, abcHash[:62], "no plain SHA-256"},
		"another root":     {root, abcHash, "root digest"},
		"no file":          {resource, "", "signs no file"},
		"file twice":       {resource, resource + "," + resource, "twice"},
		"escape":           {`"name":"a"`, `"name":"../a"`, "relative path"},
		"absolute":         {`"name":"a"`, `"name":"/a"`, "relative path"},
		"no subject":       {`{"name":"m","digest":{"sha256":"` + root + `"}}`, "", "one subject"},
		"old predicate":    {ModelSignatureType, legacyModelType, "before v1.0"},
		"other predicate":  {ModelSignatureType, "https://example.com/x", "example.com"},
		"old statement":    {"Statement/v1", "Statement/v0.1", "v0.1"},
		"repeated member":  {`"_type"`, `"_type":"x","_type"`, "duplicate"},
		"repeated, inside": {`"method"`, `"method":"x","method"`, "duplicate"},
		"not JSON":         {good, "hello", "statement"},
	} {
		bad := strings.Replace(good, c.old, c.new, 1)
		if bad == good {
			t.Fatalf("%s changes nothing", name)
		}
		_, err := VerifyModel([]byte(sign(t, key, bad)), key.Public())
		if !errors.Is(err, ErrModelSignature) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want ErrModelSignature with %q", name, err, c.want)
		}
	}
}

func TestVerifyModelChecksTheBundle(t *testing.T) {
	key := newModelKey(t)
	bundle, err := SignModel("m", twoFiles, key)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string][2]string{
		"media type":   {"bundle.v0.3", "bundle.v0.9"},
		"certificate":  {`"publicKey"`, `"certificate"`},
		"payload type": {"vnd.in-toto+json", "json"},
		"no envelope":  {`"dsseEnvelope"`, `"messageSignature"`},
		"two":          {`"signatures":[`, `"signatures":[{"sig":"AQI="},`},
		"repeated":     {`{"mediaType"`, `{"mediaType":"x","mediaType"`},
	} {
		bad := strings.Replace(string(bundle), c[0], c[1], 1)
		if bad == string(bundle) {
			t.Fatalf("%s changes nothing", name)
		}
		if _, err := VerifyModel([]byte(bad), key.Public()); !errors.Is(err, ErrModelSignature) {
			t.Errorf("%s: %v, want ErrModelSignature", name, err)
		}
	}
}

func TestModelKeyFiles(t *testing.T) {
	key, dir := newModelKey(t), t.TempDir()
	path := filepath.Join(dir, "keys", "model.pem")
	if err := key.Save(path); err != nil {
		t.Fatal(err)
	}
	if mode(t, path) != 0o600 {
		t.Errorf("mode %o", mode(t, path))
	}
	loaded, err := LoadModelKey(path)
	if err != nil || loaded.Hint() != key.Hint() || fmt.Sprintf("%#v", loaded) != "model key "+key.Hint() {
		t.Errorf("LoadModelKey = %v, %v", loaded, err)
	}
	if err := os.Chmod(path, 0o604); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadModelKey(path); !errors.Is(err, ErrKeyPermissions) {
		t.Errorf("a key that all read: %v", err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "p384.pem")
	if err := (&ModelKey{p384}).Save(other); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadModelKey(other); err == nil || !strings.Contains(err.Error(), "P-256") {
		t.Errorf("a P-384 key: %v", err)
	}
	if _, err := ParseModelPublicKey([]byte("hello")); err == nil {
		t.Error("a text passes for a public key")
	}
}

func FuzzVerifyModel(f *testing.F) {
	key := newModelKey(f)
	f.Add([]byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"m","digest":{"sha256":"x"}}],"predicateType":"https://model_signing/signature/v1.0","predicate":{"resources":[{"name":"a","algorithm":"sha256","digest":"` + abcHash + `"}],"serialization":{"method":"files","hash_type":"sha256","allow_symlinks":false}}}`))
	f.Add([]byte(read(f, "testdata/oms/v1.1.0-key.sig")))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := VerifyModel(data, key.Public()); err == nil {
			t.Fatal("a bundle that nobody signed verifies")
		}
		m, err := parseModelStatement(data)
		if err != nil {
			return
		}
		files := append([]artifact.File(nil), m.Files...)
		if (artifact.Manifest{Files: files}).Root() != m.Root {
			t.Fatalf("root %s is not that of %v", m.Root, files)
		}
	})
}

func BenchmarkSignModel(b *testing.B) {
	key := newModelKey(b)
	for b.Loop() {
		if _, err := SignModel("m", twoFiles, key); err != nil {
			b.Fatal(err)
		}
	}
}
