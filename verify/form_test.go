package verify

import (
	"bytes"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/mod/sumdb/tlog"
)

// What the form's own reader and writer do, the JSON package must do too.
func FuzzFormIsJSON(f *testing.F) {
	b := &Bundle{Checkpoint: "log\n1\n\n— log é\\", Origin: "log", Release: `r-"0\`, Entries: []Entry{
		{Index: 0, KeyID: `\"`, Payload: []byte("a"), Signature: []byte("sig")},
		{Index: 1 << 53, KeyID: "k\u2028<&>", Payload: []byte("{}"), Proof: []tlog.Hash{{1}, {2}}, Signature: []byte{0}},
	}}
	data, err := b.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(bytes.Replace(data, []byte(`"index":0`), []byte(`"index":+0`), 1))
	f.Add(bytes.Replace(data, []byte(`YQ==`), []byte(`YQ=\n=`), 1))
	f.Fuzz(func(t *testing.T, in []byte) {
		read, ok := readForm(in)
		if !ok {
			return
		}
		out, err := read.Marshal()
		if err != nil || !bytes.Equal(out, in) {
			return // ParseBundle refuses it
		}
		var want bundleJSON
		if err := json.Unmarshal(in, &want, json.RejectUnknownMembers(true)); err != nil || want.Format != format {
			t.Fatalf("%q is read, and JSON says %v", in, err)
		}
		if diff := cmp.Diff(&want.Bundle, read, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("JSON reads %q otherwise (-JSON +form):\n%s", in, diff)
		}
		if again, err := json.Marshal(want); err != nil || !bytes.Equal(again, in) {
			t.Errorf("JSON writes %q, %v, for %q", again, err, in)
		}
	})
}
