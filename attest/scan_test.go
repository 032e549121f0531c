package attest_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/attest"
	"imprimatur.dev/record"
)

// decodesAlike checks that a payload means the same with a space in it, which
// no quick way through the decoder takes.
func decodesAlike(t *testing.T, payload []byte) (ok bool) {
	t.Helper()
	got, err := attest.DecodeStatement(payload)
	want, wantErr := attest.DecodeStatement(bytes.Replace(payload, []byte("{"), []byte("{ "), 1))
	if (err == nil) != (wantErr == nil) {
		t.Errorf("%s\nis read with %v, and with a space in it with %v", payload, err, wantErr)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s\nmeans something else with a space in it:\n%s", payload, diff)
	}
	return err == nil
}

func TestDecodeStatementTakesNoHeedOfForm(t *testing.T) {
	team := string(payloadOf(t, record.Team{Name: "acme"}))
	for name, c := range map[string]struct {
		payload string
		ok      bool
	}{
		"as it is written":        {team, true},
		"with a request":          {strings.Replace(team, `,"record":`, `,"request":"k#f","record":`, 1), true},
		"an escape":               {strings.Replace(team, `"actor":"p`, `"actor":"\u0070`, 1), true},
		"beyond ASCII":            {strings.Replace(team, `"actor":"p`, `"actor":"ü`, 1), true},
		"broken UTF-8":            {strings.Replace(team, `"actor":"p`, "\"actor\":\"\xff", 1), false},
		"space around the record": {strings.Replace(strings.Replace(team, `"record":`, `"record": `, 1), "}}", "} }", 1), true},
		"a member after it":       {strings.TrimSuffix(team, "}}") + `,"memo":{"a":1}}}`, true},
		"the record twice":        {strings.TrimSuffix(team, "}}") + `,"record":{"name":"acme"}}}`, false},
		"one brace too few":       {strings.TrimSuffix(team, "}"), false},
		"one brace too many":      {team + "}", false},
	} {
		if decodesAlike(t, []byte(c.payload)) != c.ok {
			t.Errorf("%s: read is %v", name, !c.ok)
		}
	}
}

func FuzzDecodeStatementTakesNoHeedOfForm(f *testing.F) {
	f.Add(payloadOf(f, record.Team{Name: "acme"}))
	f.Add(payloadOf(f, aRun()))
	f.Add([]byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"","digest":{"sha256":""}}],"predicateType":"","predicate":{"actor":"","time":"","record":{},"record":{}}}`))
	f.Fuzz(func(t *testing.T, payload []byte) { decodesAlike(t, payload) })
}
