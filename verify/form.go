package verify

import (
	"bytes"
	"encoding/base64"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/mod/sumdb/tlog"
)

// The members before each value, in the only order that there is. Reading and
// writing go by them, at a sixth of what the JSON package takes.
const (
	beforeFormat     = `{"bundle":`
	beforeCheckpoint = `,"checkpoint":`
	beforeEntries    = `,"entries":[`
	beforeIndex      = `{"index":`
	beforeKeyID      = `,"keyid":`
	beforePayload    = `,"payload":`
	beforeProof      = `,"proof":[`
	beforeSignature  = `],"sig":`
	beforeOrigin     = `],"origin":`
	beforeRelease    = `,"release":`
)

// formWriter writes a bundle. It keeps the first error.
type formWriter struct {
	out []byte
	err error
}

func writeForm(b *Bundle) ([]byte, error) {
	w := formWriter{out: make([]byte, 0, formLength(b))}
	w.text(beforeFormat, format)
	w.text(beforeCheckpoint, b.Checkpoint)
	w.out = append(w.out, beforeEntries...)
	for i, e := range b.Entries {
		w.comma(i)
		w.out = strconv.AppendInt(append(w.out, beforeIndex...), e.Index, 10)
		w.text(beforeKeyID, e.KeyID)
		w.bytes(beforePayload, e.Payload)
		w.out = append(w.out, beforeProof...)
		for i, h := range e.Proof {
			w.comma(i)
			w.bytes("", h[:])
		}
		w.bytes(beforeSignature, e.Signature)
		w.out = append(w.out, '}')
	}
	w.text(beforeOrigin, b.Origin)
	w.text(beforeRelease, b.Release)
	return append(w.out, '}'), w.err
}

// formLength is about the length of the form, not below it but where texts have
// many escapes.
func formLength(b *Bundle) int {
	n := 256 + len(b.Checkpoint) + len(b.Origin) + len(b.Release)
	for _, e := range b.Entries {
		n += 96 + len(e.KeyID) + 48*len(e.Proof) + base64.StdEncoding.EncodedLen(len(e.Payload)) + base64.StdEncoding.EncodedLen(len(e.Signature))
	}
	return n
}

func (w *formWriter) comma(i int) {
	if i > 0 {
		w.out = append(w.out, ',')
	}
}

func (w *formWriter) text(before, value string) {
	out, err := jsontext.AppendQuote(append(w.out, before...), value)
	w.out = out
	if w.err == nil {
		w.err = err
	}
}

func (w *formWriter) bytes(before string, value []byte) {
	w.out = append(append(w.out, before...), '"')
	w.out = append(base64.StdEncoding.AppendEncode(w.out, value), '"')
}

// formReader walks over a bundle. After the first fault it does nothing.
type formReader struct {
	rest []byte
	bad  bool
}

// readForm reads a bundle that is written as [writeForm] writes it. It is more
// lenient than that: a caller writes what was read again, and compares.
func readForm(data []byte) (*Bundle, bool) {
	r := formReader{rest: data}
	b := &Bundle{}
	r.bad = r.text(beforeFormat) != format
	b.Checkpoint = r.text(beforeCheckpoint)
	r.literal(beforeEntries)
	for r.more(len(b.Entries)) {
		e := Entry{Index: r.number(beforeIndex), KeyID: r.text(beforeKeyID), Payload: r.bytes(beforePayload)}
		e.Proof = r.hashes(beforeProof)
		e.Signature = r.bytes(beforeSignature)
		r.literal("}")
		b.Entries = append(b.Entries, e)
	}
	b.Origin = r.text(beforeOrigin)
	b.Release = r.text(beforeRelease)
	r.literal("}")
	return b, !r.bad && len(r.rest) == 0
}

func (r *formReader) literal(want string) {
	rest, ok := bytes.CutPrefix(r.rest, []byte(want))
	if r.bad = r.bad || !ok; !r.bad {
		r.rest = rest
	}
}

// more reports whether another item of a list follows after n of them.
func (r *formReader) more(n int) bool {
	if r.bad || bytes.HasPrefix(r.rest, []byte("]")) {
		return false
	}
	if n > 0 {
		r.literal(",")
	}
	return !r.bad
}

// quoted takes a JSON string, its quotes included.
func (r *formReader) quoted(before string) []byte {
	r.literal(before)
	for i := 1; !r.bad && i < len(r.rest) && r.rest[0] == '"'; i++ {
		end := bytes.IndexByte(r.rest[i:], '"')
		if end < 0 {
			break
		}
		i += end
		if escapes(r.rest[1:i])%2 == 0 {
			out := r.rest[:i+1]
			r.rest = r.rest[i+1:]
			return out
		}
	}
	r.bad = true
	return nil
}

// escapes counts the backslashes at the end.
func escapes(text []byte) int { return len(text) - len(bytes.TrimRight(text, `\`)) }

func (r *formReader) text(before string) string {
	quoted := r.quoted(before)
	if r.bad {
		return ""
	}
	out, err := jsontext.AppendUnquote(nil, quoted)
	r.bad = err != nil
	return string(out)
}

func (r *formReader) bytes(before string) []byte {
	quoted := r.quoted(before)
	if r.bad {
		return nil
	}
	text := quoted[1 : len(quoted)-1]
	out := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(out, text)
	r.bad = err != nil
	return out[:n]
}

// hashes takes the items of a proof.
func (r *formReader) hashes(before string) []tlog.Hash {
	r.literal(before)
	const item = 1 + 44 + 1 // base64 in quotes
	out := make([]tlog.Hash, 0, (bytes.IndexByte(r.rest, ']')+1)/(item+1))
	for r.more(len(out)) {
		var h [48]byte
		quoted := r.quoted("")
		if r.bad = r.bad || len(quoted) != item; r.bad {
			break
		}
		n, err := base64.StdEncoding.Decode(h[:], quoted[1:item-1])
		r.bad = err != nil || n != tlog.HashSize
		out = append(out, tlog.Hash(h[:tlog.HashSize]))
	}
	return out
}

func (r *formReader) number(before string) int64 {
	r.literal(before)
	end := bytes.IndexByte(r.rest, ',')
	if r.bad = r.bad || end < 0; r.bad {
		return 0
	}
	n, err := strconv.ParseInt(string(r.rest[:end]), 10, 64)
	r.rest, r.bad = r.rest[end:], err != nil
	return n
}
