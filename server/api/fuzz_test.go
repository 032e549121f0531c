package api

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/record"
)

// What is accepted as a body has exactly the members that it is read into:
// nothing is passed over, nothing read under another name, nothing read twice.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		`{"name":"lab"}`, `{"name":"lab","displayName":"Lab"}`, `{"name":"lab","Name":"other"}`, `{"name":"a","n\u0061me":"b"}`,
		`{"NAME":"lab"}`, `{"name":"lab"}{}`, `null`, `{"name":null}`, "{\"name\":\"\xff\"}", `{"name":"\ud800"}`, `[]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var team record.Team
		if unmarshal(data, &team) != nil {
			return
		}
		members := map[string]jsontext.Value{}
		if err := json.Unmarshal(data, &members); err != nil {
			t.Fatalf("%q was read, though it is no JSON object: %v", data, err)
		}
		for name, value := range members {
			want := map[string]string{"name": team.Name, "displayName": team.DisplayName}
			read, known := want[name]
			var text string
			if err := json.Unmarshal(value, &text); err != nil || !known || text != read {
				t.Errorf("the member %q is %s, and was read as %q (%v)", name, value, read, err)
			}
		}
		if len(members) == 0 && team != (record.Team{}) {
			t.Errorf("%q was read as %+v", data, team)
		}
	})
}

// A key that is accepted can be told from its fingerprint, and stands in a
// header and a log line as it is.
func FuzzIdempotencyKey(f *testing.F) {
	for _, seed := range []string{"", "k", "a#b", "with space", "é", "\x00", "\x7f", strings.Repeat("k", 65)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, given string) {
		r := &http.Request{Header: http.Header{"Idempotency-Key": {given}}}
		key, err := idempotencyKey(r)
		printable := !slices.ContainsFunc([]byte(given), func(b byte) bool { return b < 0x21 || b > 0x7e || b == '#' })
		fine := printable && len(given) >= 1 && len(given) <= 64
		if (err == nil) != fine || err == nil && key != given || err != nil && key != "" {
			t.Errorf("%q: %q, %v", given, key, err)
		}
	})
}
