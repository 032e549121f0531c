package record

// Comment is what a person or a workload says of a release. It fills no seat
// and blocks nothing: whoever is to be heard by the policy approves or requests
// changes.
type Comment struct {
	Release string `json:"release"`
	Line    string `json:"line"`
	// Record is the record digest that the author saw.
	Record Digest `json:"record"`
	Text   string `json:"text"`
}

// Kind implements Body.
func (Comment) Kind() Kind { return KindComment }

// Keys implements Body.
func (c Comment) Keys(Digest) []string { return []string{KeyComments(c.Line)} }

// Subject implements Body.
func (c Comment) Subject() (string, Digest) { return "release/" + c.Release, c.Record }

// Validate implements Body.
func (c Comment) Validate() error {
	k := checker{kind: KindComment}
	k.releaseID("release", c.Release)
	k.line("line", c.Line)
	k.digest("record", c.Record)
	k.text("text", c.Text, true)
	return k.err()
}

// KeyComments finds the discussion of a line.
func KeyComments(line string) string { return "comments/" + line }
