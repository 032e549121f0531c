package attest

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPAEVector(t *testing.T) {
	// The test vector of the DSSE specification (protocol.md, "Test Vectors").
	got := string(PAE("http://example.com/HelloWorld", []byte("hello world")))
	if want := "DSSEv1 29 http://example.com/HelloWorld 11 hello world"; got != want {
		t.Errorf("PAE = %q, want %q", got, want)
	}
	if got, want := string(PAE("", nil)), "DSSEv1 0  0 "; got != want {
		t.Errorf("PAE of nothing = %q, want %q", got, want)
	}
}

// helloEnvelope holds "hello" (aGVsbG8=) and the two signature bytes 1, 2 (AQI=).
const helloEnvelope = `{"payload":"aGVsbG8=","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"k","sig":"AQI="}]}`

func TestEnvelopeReadsAndWrites(t *testing.T) {
	want := Envelope{
		Payload: []byte("hello"), PayloadType: PayloadType,
		Signatures: []Signature{{KeyID: "k", Sig: []byte{1, 2}}},
	}
	got, err := ParseEnvelope([]byte(helloEnvelope))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("parsed (-want +got):\n%s", diff)
	}
	data, err := want.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if string(data) != helloEnvelope {
		t.Errorf("marshalled %s", data)
	}
	spaced := `{ "signatures" : [ {"sig":"AQI=","keyid":"k"} ], "payloadType":"application\/vnd.in-toto+json","payload":"aGVsbG8=" }`
	if got, err := ParseEnvelope([]byte(spaced)); err != nil || !cmp.Equal(got, want) {
		t.Errorf("another order and spacing: %+v, %v", got, err)
	}
}

func TestEnvelopeRefuses(t *testing.T) {
	for name, change := range map[string][2]string{
		"unknown member":    {`{"payload"`, `{"extra":1,"payload"`},
		"repeated member":   {`{"payload"`, `{"payload":"aGVsbG8=","payload"`},
		"member in capital": {`"payload"`, `"Payload"`},
		"missing payload":   {`"payload":"aGVsbG8=",`, ``},
		"null payload":      {`"aGVsbG8="`, `null`},
		"url-safe base64":   {`"AQI="`, `"_-I="`},
		"unpadded base64":   {`"AQI="`, `"AQI"`},
		"spare bits set":    {`"AQI="`, `"AQJ="`},
		"line break":        {`"AQI="`, `"AQ\nI="`},
		"empty signature":   {`"AQI="`, `""`},
		"no key id":         {`"keyid":"k",`, ``},
		"empty key id":      {`"keyid":"k"`, `"keyid":""`},
		"no type":           {`"application/vnd.in-toto+json"`, `""`},
		"no signature":      {`[{"keyid":"k","sig":"AQI="}]`, `[]`},
		"two signatures":    {`[{`, `[{"keyid":"k","sig":"AQI="},{`},
		"trailing data":     {`]}`, `]}{}`},
		"not an object":     {helloEnvelope, `[]`},
		"nothing":           {helloEnvelope, ``},
	} {
		t.Run(name, func(t *testing.T) {
			bad := strings.Replace(helloEnvelope, change[0], change[1], 1)
			if bad == helloEnvelope {
				t.Fatal("the change changes nothing")
			}
			if _, err := ParseEnvelope([]byte(bad)); !errors.Is(err, ErrEnvelope) {
				t.Errorf("ParseEnvelope(%s) = %v, want ErrEnvelope", bad, err)
			}
		})
	}
	if _, err := (Envelope{Payload: []byte("x"), PayloadType: PayloadType}).Marshal(); !errors.Is(err, ErrEnvelope) {
		t.Errorf("marshalling an unsigned envelope: %v", err)
	}
}

func FuzzParseEnvelope(f *testing.F) {
	f.Add([]byte(helloEnvelope))
	f.Add([]byte(`{"payload":"","payloadType":"x","signatures":[{"keyid":"\u00e9","sig":"AQI="}]}`))
	f.Add([]byte(`{"payload":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := ParseEnvelope(data)
		if err != nil {
			return
		}
		again, err := e.Marshal()
		if err != nil {
			t.Fatalf("accepted, but does not marshal: %v", err)
		}
		e2, err := ParseEnvelope(again)
		if err != nil || !cmp.Equal(e, e2) {
			t.Fatalf("does not round trip: %v\n%+v\n%+v", err, e, e2)
		}
		if more, _ := e2.Marshal(); !bytes.Equal(more, again) {
			t.Fatalf("two forms: %s and %s", again, more)
		}
	})
}
