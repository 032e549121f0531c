package commitment

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"math/bits"
	"slices"

	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/tlog"

	"imprimatur.dev/record"
)

const (
	// MaxFile is the length in bytes of the longest file of leaves.
	MaxFile = 64 << 20
	// MaxItems is how many distinct items fit in, whatever the head says.
	MaxItems = (MaxFile - maxHead) / leafSize
	// KeySize is the length of a key in bytes.
	KeySize = 32

	leafSize = sha256.Size
	maxHead  = 1 << 10
	format   = "imprimatur-commitment/1"
)

// Errors of files of leaves and of comparisons, for errors.Is.
var (
	ErrFile       = errors.New("this is no file of leaves")
	ErrTooLarge   = errors.New("the set has too many items")
	ErrEmpty      = errors.New("the set has no items")
	ErrComparable = errors.New("the two sets cannot be compared")
)

type leaf [leafSize]byte

// Set is the leaves of one dataset.
type Set struct {
	key      record.Digest
	identity string
	leaves   []leaf
}

// KeyID names a key without telling it.
func KeyID(key []byte) record.Digest {
	m := hmac.New(sha256.New, key)
	m.Write([]byte("imprimatur.dev/commitment/v1/key"))
	return record.DigestOf(m.Sum(nil))
}

// Builder makes a set of items that come one by one.
type Builder struct {
	mac     hash.Hash
	set     Set
	repeats int
}

// NewBuilder begins a set under a key of [KeySize] random bytes.
func NewBuilder(key []byte, identity string) *Builder {
	return &Builder{mac: hmac.New(sha256.New, key), set: Set{key: KeyID(key), identity: identity}}
}

// Add adds an item by its identity.
func (b *Builder) Add(identity []byte) error {
	b.mac.Reset()
	b.mac.Write(identity)
	if len(b.set.leaves) == cap(b.set.leaves) {
		b.compact()
		if len(b.set.leaves) > MaxItems {
			return tooLarge()
		}
		b.set.leaves = slices.Grow(b.set.leaves, len(b.set.leaves)+1<<10)
	}
	b.set.leaves = append(b.set.leaves, leaf{})
	b.mac.Sum(b.set.leaves[len(b.set.leaves)-1][:0])
	return nil
}

func tooLarge() error {
	return fmt.Errorf("%w: more than %d distinct ones, whose leaves would be longer than %d MB; split the dataset and commit to each part", ErrTooLarge, MaxItems, MaxFile>>20)
}

// compact sorts the leaves and drops repeats: before the list would grow, so
// that memory is bounded by the distinct items.
func (b *Builder) compact() {
	before := len(b.set.leaves)
	slices.SortFunc(b.set.leaves, func(x, y leaf) int { return bytes.Compare(x[:], y[:]) })
	b.set.leaves = slices.Compact(b.set.leaves)
	b.repeats += before - len(b.set.leaves)
}

// Set ends the building. Repeats is how many items were there before.
func (b *Builder) Set() (s *Set, repeats int, err error) {
	b.compact()
	switch {
	case len(b.set.leaves) == 0:
		return nil, 0, ErrEmpty
	case len(b.set.leaves) > MaxItems:
		return nil, 0, tooLarge()
	}
	return &b.set, b.repeats, nil
}

// head is the first line of a file of leaves.
type head struct {
	Format   string        `json:"format"`
	Identity string        `json:"identity"`
	Key      record.Digest `json:"key"`
}

func (s *Set) head() ([]byte, error) {
	raw, err := record.CanonicalOf(head{format, s.identity, s.key})
	return append(raw, '\n'), err
}

// Marshal writes the set as a file of leaves.
func (s *Set) Marshal() ([]byte, error) {
	out, err := s.head()
	if err != nil {
		return nil, fmt.Errorf("writing the file of leaves: %w", err)
	}
	out = slices.Grow(out, leafSize*len(s.leaves))
	for i := range s.leaves {
		out = append(out, s.leaves[i][:]...)
	}
	return out, nil
}

// Parse reads a file of leaves, of which there is one form: what it accepts,
// Marshal writes back to the same bytes. Errors wrap [ErrFile].
func Parse(raw []byte) (*Set, error) {
	wrong := func(why string, args ...any) (*Set, error) {
		return nil, fmt.Errorf("%w: %s", ErrFile, fmt.Sprintf(why, args...))
	}
	if len(raw) > MaxFile {
		return wrong("it is longer than %d MB", MaxFile>>20)
	}
	line, _, ok := bytes.Cut(raw[:min(len(raw), maxHead)], []byte("\n"))
	if !ok {
		return wrong("it has no first line of at most %d bytes", maxHead)
	}
	var h head
	if err := json.Unmarshal(line, &h, json.RejectUnknownMembers(true)); err != nil || h.Format != format {
		return wrong("its first line does not say that it is %s", format)
	}
	s := &Set{key: h.Key, identity: h.Identity}
	again, err := s.head()
	if err != nil || !bytes.Equal(again, append(slices.Clone(line), '\n')) {
		return wrong("its first line is not canonical JSON")
	}
	if err := h.Key.Validate(); err != nil || !validIdentity(h.Identity) {
		return wrong("its first line does not name the key and the identity")
	}
	body := raw[len(again):]
	if len(body) == 0 || len(body)%leafSize != 0 {
		return wrong("%d bytes follow its first line, which is not one leaf of %d or more", len(body), leafSize)
	}
	s.leaves = make([]leaf, len(body)/leafSize)
	for i := range s.leaves {
		copy(s.leaves[i][:], body[i*leafSize:])
		if i > 0 && bytes.Compare(s.leaves[i-1][:], s.leaves[i][:]) >= 0 {
			return wrong("its leaf %d is not greater than the one before", i+1)
		}
	}
	return s, nil
}

// Items is how many distinct items the set has.
func (s *Set) Items() int { return len(s.leaves) }

// Commitment returns what a dataset's record carries.
func (s *Set) Commitment() (record.Commitment, error) {
	raw, err := s.Marshal()
	if err != nil {
		return record.Commitment{}, err
	}
	root := s.root()
	return record.Commitment{
		Root: record.DigestFromHex(fmt.Sprintf("%x", root[:])), Items: len(s.leaves), Leaves: record.DigestOf(raw),
		Key: s.key, Identity: s.identity,
	}, nil
}

// root is the Merkle tree hash of RFC 6962, section 2.1. The pending hashes are
// those of the full subtrees, greatest first, as the bits of the count so far.
func (s *Set) root() tlog.Hash {
	var pending []tlog.Hash
	for i := range s.leaves {
		h := tlog.RecordHash(s.leaves[i][:])
		for range bits.TrailingZeros(uint(i) + 1) {
			h = tlog.NodeHash(pending[len(pending)-1], h)
			pending = pending[:len(pending)-1]
		}
		pending = append(pending, h)
	}
	h := pending[len(pending)-1]
	for _, left := range slices.Backward(pending[:len(pending)-1]) {
		h = tlog.NodeHash(left, h)
	}
	return h
}

// Overlap counts the items that two sets have in common. Its error wraps
// [ErrComparable] where they were made under different keys, or of different
// parts of the items: such leaves never agree, which would look like nothing in
// common.
func Overlap(a, b *Set) (int, error) {
	if err := Comparable(a.key, b.key, a.identity, b.identity); err != nil {
		return 0, err
	}
	common := 0
	for i, k := 0, 0; i < len(a.leaves) && k < len(b.leaves); {
		switch c := bytes.Compare(a.leaves[i][:], b.leaves[k][:]); {
		case c < 0:
			i++
		case c > 0:
			k++
		default:
			common, i, k = common+1, i+1, k+1
		}
	}
	return common, nil
}

// Comparable says why two commitments cannot be compared, or is nil.
func Comparable(keyA, keyB record.Digest, identityA, identityB string) error {
	switch {
	case keyA != keyB:
		return fmt.Errorf("%w: one is committed to under the key %s and the other under %s; commit to both with one key file", ErrComparable, keyA.Short(), keyB.Short())
	case identityA != identityB:
		return fmt.Errorf("%w: an item of one is known by %q and of the other by %q; commit to both by the same field", ErrComparable, identityA, identityB)
	}
	return nil
}
