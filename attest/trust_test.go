package attest

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

func trustIn(t testing.TB, keys ...*Key) Trust {
	t.Helper()
	text := "# keys of this test\n\n"
	for _, key := range keys {
		text += key.VerifierKey() + "\n"
	}
	trust, err := ParseTrust([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

func TestParseTrustRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"nothing":       {"", "no verifier key"},
		"comments only": {"# a\n\n#b", "no verifier key"},
		"words":         {peterVkey + "\nhello world\n", "line 2"},
		"wrong hash":    {strings.Replace(peterVkey, "c74f", "c74e", 1), "line 1"},
		"upper case":    {strings.Replace(peterVkey, "c74f20a3", "C74F20A3", 1), "line 1"},
		"private key":   {peterLine, "line 1"},
		"short key":     {peterVkey[:len(peterVkey)-4], "line 1"},
		"twice":         {peterVkey + "\n# again\n" + peterVkey, "line 3"},
		"two on a line": {peterVkey + " " + peterVkey, "line 1"},
	} {
		if _, err := ParseTrust([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
	trust, err := ParseTrust([]byte("  # note\r\n\r\n" + peterVkey + "\r\n"))
	if err != nil || len(trust.KeyIDs()) != 1 || trust.KeyIDs()[0] != "PeterNeumann+c74f20a3" {
		t.Errorf("with CRLF: %v, %v", trust.KeyIDs(), err)
	}
}

func FuzzParseTrust(f *testing.F) {
	f.Add([]byte("# x\n" + peterVkey + "\n"))
	f.Add([]byte(peterVkey + "+"))
	f.Fuzz(func(t *testing.T, text []byte) {
		trust, err := ParseTrust(text)
		if err != nil {
			return
		}
		for _, id := range trust.KeyIDs() {
			if !strings.Contains(string(text), id) {
				t.Fatalf("key %q is trusted but does not stand in the file", id)
			}
			if !errors.Is(trust.VerifyStatement([]byte("{}"), make([]byte, 63), id), ErrBadSignature) {
				t.Fatal("a signature of 63 bytes passes")
			}
		}
	})
}

func TestVerifyStatement(t *testing.T) {
	key, other := newKey(t, "log"), newKey(t, "log")
	trust, payload := trustIn(t, key), []byte(`{"_type":"https://in-toto.io/Statement/v1"}`)
	sig := key.Sign(payload)
	if err := trust.VerifyStatement(payload, sig, key.ID()); err != nil {
		t.Fatal(err)
	}
	if err := trust.VerifyStatement(payload, other.Sign(payload), other.ID()); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("unknown key: %v", err)
	}
	if err := trust.VerifyStatement(payload, other.Sign(payload), key.ID()); !errors.Is(err, ErrBadSignature) {
		t.Errorf("borrowed key id: %v", err)
	}
	if err := (Trust{}).VerifyStatement(payload, sig, key.ID()); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("the zero trust: %v", err)
	}
	for i := range payload {
		changed := append([]byte(nil), payload...)
		changed[i] ^= 1
		if err := trust.VerifyStatement(changed, sig, key.ID()); !errors.Is(err, ErrBadSignature) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
}

func TestOpen(t *testing.T) {
	key := newKey(t, "log")
	trust := trustIn(t, newKey(t, "witness"), key)
	sealed := key.Seal([]byte(`{"a":1}`))
	data, err := sealed.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if payload, err := trust.Open(data); err != nil || string(payload) != `{"a":1}` {
		t.Errorf("Open = %s, %v", payload, err)
	}
	sealed.PayloadType = "text/plain"
	if data, err = sealed.Marshal(); err != nil {
		t.Fatal(err)
	}
	if _, err := trust.Open(data); !errors.Is(err, ErrEnvelope) {
		t.Errorf("another payload type: %v", err)
	}
	if _, err := trustIn(t, newKey(t, "log")).Open(data); err == nil {
		t.Error("opened with a key that is not trusted")
	}
}

func TestVerifyNote(t *testing.T) {
	key, witness := newKey(t, "imprimatur.dev/log-1a2b"), newKey(t, "witness.example")
	text := "imprimatur.dev/log-1a2b\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
	signed, err := note.Sign(&note.Note{Text: text}, key.NoteSigner(), witness.NoteSigner())
	if err != nil {
		t.Fatal(err)
	}
	n, err := trustIn(t, key).VerifyNote(signed)
	if err != nil || n.Text != text || len(n.Sigs) != 1 || len(n.UnverifiedSigs) != 1 {
		t.Errorf("VerifyNote = %+v, %v", n, err)
	}
	if n, err := trustIn(t, key, witness).VerifyNote(signed); err != nil || len(n.Sigs) != 2 {
		t.Errorf("with the witness trusted: %+v, %v", n, err)
	}
	if _, err := trustIn(t, newKey(t, "stranger")).VerifyNote(signed); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("nobody trusted has signed: %v", err)
	}
	forged := strings.Replace(string(signed), "\n1\n", "\n2\n", 1)
	if _, err := trustIn(t, key).VerifyNote([]byte(forged)); !errors.Is(err, ErrBadSignature) {
		t.Errorf("changed text: %v", err)
	}
	if _, err := trustIn(t, key).VerifyNote([]byte("hello")); err == nil {
		t.Error("a text that is no note passes")
	}
}

func BenchmarkSeal(b *testing.B) {
	key, payload := newKey(b, "log"), make([]byte, 600)
	for b.Loop() {
		if _, err := key.Seal(payload).Marshal(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	key := newKey(b, "log")
	data, err := key.Seal(make([]byte, 600)).Marshal()
	if err != nil {
		b.Fatal(err)
	}
	trust := trustIn(b, key)
	for b.Loop() {
		if _, err := trust.Open(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyStatement(b *testing.B) {
	key := newKey(b, "log")
	trust, s := trustIn(b, key), signedBy(key, 1)[0]
	for b.Loop() {
		if err := trust.VerifyStatement(s.Payload, s.Sig, s.KeyID); err != nil {
			b.Fatal(err)
		}
	}
}
