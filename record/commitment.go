package record

import "strings"

// Visibility says who can have seen the items of a dataset.
const (
	// PrivateCommitted items are kept secret, and a commitment binds to them.
	PrivateCommitted = "private-committed"
	// Public items may be in anybody's training data.
	Public = "public"
	// Unknown is said of a dataset about which nobody said more; so is nothing.
	Unknown = "unknown"
)

// Commitment binds a dataset to its items without telling what they are
// (package commitment). Its time is that of the statement that carries it.
type Commitment struct {
	// Root is the RFC 6962 Merkle tree hash over the sorted leaves.
	Root Digest `json:"root"`
	// Items is how many distinct items there are.
	Items int `json:"items"`
	// Leaves is the digest of the file of leaves, which is kept as a blob.
	Leaves Digest `json:"leaves"`
	// Key names the key without telling it: the digest of what the key makes of
	// a constant. Only sets under one key can be compared.
	Key Digest `json:"key"`
	// Identity says what of an item was hashed. Only sets with one identity can
	// be compared.
	Identity string `json:"identity"`
}

func (c *checker) commitment(d Dataset) {
	if d.Visibility != "" {
		c.oneOf("visibility", d.Visibility, PrivateCommitted, Public, Unknown)
	}
	k := d.Commitment
	if k == nil {
		if d.Visibility == PrivateCommitted {
			c.failf("visibility is %s, and there is no commitment", PrivateCommitted)
		}
		return
	}
	c.digest("commitment.root", k.Root)
	c.digest("commitment.leaves", k.Leaves)
	c.digest("commitment.key", k.Key)
	c.count("commitment.items", k.Items)
	if k.Items == 0 {
		c.failf("commitment.items is 0: nothing is committed to")
	}
	c.text("commitment.identity", k.Identity, true)
	if len(k.Identity) > MaxNames+16 || strings.ContainsAny(k.Identity, "\n\t") {
		c.failf("commitment.identity is longer than %d bytes, or more than one line", MaxNames+16)
	}
}

// Overlap says how many items two committed datasets have in common. The server
// counts; whoever has the two files of leaves can count again.
type Overlap struct {
	// A and B are the datasets, A the lesser digest.
	A Digest `json:"a"`
	B Digest `json:"b"`
	// LeavesA and LeavesB are the files of leaves that were compared.
	LeavesA Digest `json:"leavesA"`
	LeavesB Digest `json:"leavesB"`
	// Common is how many items are in both; OfA and OfB how many there are.
	Common int `json:"common"`
	OfA    int `json:"ofA"`
	OfB    int `json:"ofB"`
}

// Kind implements Body.
func (Overlap) Kind() Kind { return KindOverlap }

// Keys implements Body.
func (o Overlap) Keys(Digest) []string { return []string{KeyOverlaps(o.A), KeyOverlaps(o.B)} }

// Subject implements Body.
func (o Overlap) Subject() (string, Digest) {
	return "overlap/" + o.A.Short() + "/" + o.B.Short(), ""
}

// Validate implements Body.
func (o Overlap) Validate() error {
	c := checker{kind: KindOverlap}
	c.digest("a", o.A)
	c.digest("b", o.B)
	if o.A >= o.B {
		c.failf("a is not the lesser digest of two")
	}
	c.digest("leavesA", o.LeavesA)
	c.digest("leavesB", o.LeavesB)
	c.count("ofA", o.OfA)
	c.count("ofB", o.OfB)
	c.count("common", o.Common)
	if o.Common > max(0, min(o.OfA, o.OfB)) {
		c.failf("common %d exceeds the lesser of %d and %d", o.Common, o.OfA, o.OfB)
	}
	return c.err()
}

// Other returns the other dataset than d.
func (o Overlap) Other(d Digest) Digest {
	if o.A == d {
		return o.B
	}
	return o.A
}

// KeyOverlaps finds the overlaps of a dataset with others.
func KeyOverlaps(d Digest) string { return "overlaps/" + string(d) }
