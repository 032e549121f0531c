package egress

import (
	"bytes"
	"io"
	"testing/iotest"
)

// Read reads an answer that comes in parts as it is passed on, and returns what
// was passed on and the tokens.
func Read(media string, raw []byte, part int, hidden []string) (whole []byte, tokens int) {
	u := &usage{}
	from := &sealed{from: &inParts{iotest.DataErrReader(bytes.NewReader(raw)), part}, hidden: hidden}
	whole, _ = io.ReadAll(io.TeeReader(from, u.of(media)))
	return whole, u.cost()
}

type inParts struct {
	from io.Reader
	size int
}

// Read implements io.Reader.
func (p *inParts) Read(b []byte) (int, error) { return p.from.Read(b[:min(len(b), p.size)]) }
