package evidence

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"

	"imprimatur.dev/record"
)

// column holds one value for each item, in blocks: it grows without copying,
// and without needing twice its memory while it does.
type column[T any] struct {
	blocks [][]T
	n      int
}

const columnBlock = 1 << 13

func (c *column[T]) at(i int) T { return c.blocks[i/columnBlock][i%columnBlock] }

func (c *column[T]) push(v T) {
	if c.n%columnBlock == 0 {
		var b []T
		if c.n > 0 {
			b = make([]T, 0, columnBlock)
		}
		c.blocks = append(c.blocks, b)
	}
	last := &c.blocks[len(c.blocks)-1]
	*last = append(*last, v)
	c.n++
}

// set sets the value of an item; items before it that have none get fill.
func (c *column[T]) set(i int, v, fill T) {
	for c.n <= i {
		c.push(fill)
	}
	c.blocks[i/columnBlock][i%columnBlock] = v
}

// itemKey is what is kept of an item's identity: 128 bits of its SHA-256.
type itemKey [16]byte

func keyOf[T string | []byte](id T) itemKey {
	var buf [256]byte
	sum := sha256.Sum256(append(buf[:0], id...))
	return itemKey(sum[:16])
}

// itemTable gives every item identity an ordinal. It keeps keys, in a hash
// table with open addressing: a map of strings would take several times the
// memory.
type itemTable struct {
	keys column[itemKey]
	// slots have an ordinal plus one in their low bits, 0 for free, and bits of
	// the key above, so that other keys are hardly ever looked at.
	slots []uint32
}

const slotBits = 23 // MaxItems fits

func (t *itemTable) len() int { return t.keys.n }

// add returns the ordinal of a key, and whether it is new; -1 when the table is
// full.
func (t *itemTable) add(key itemKey) (int, bool) {
	if t.keys.n*4 >= len(t.slots)*3 {
		t.rehash()
	}
	slot := t.find(key)
	if n := t.slots[slot]; n != 0 {
		return int(n&(1<<slotBits-1) - 1), false
	}
	if t.keys.n >= MaxItems {
		return -1, false
	}
	t.keys.push(key)
	t.slots[slot] = key.tag() | uint32(t.keys.n)
	return t.keys.n - 1, true
}

func (k itemKey) tag() uint32 { return binary.LittleEndian.Uint32(k[4:]) &^ (1<<slotBits - 1) }

// find returns the slot that a key has, or the free one that it would have.
func (t *itemTable) find(key itemKey) int {
	mask, tag := len(t.slots)-1, key.tag()
	slot := int(binary.LittleEndian.Uint32(key[:])) & mask
	for n := t.slots[slot]; n != 0; n = t.slots[slot] {
		if n&^(1<<slotBits-1) == tag && t.keys.at(int(n&(1<<slotBits-1)-1)) == key {
			break
		}
		slot = (slot + 1) & mask
	}
	return slot
}

func (t *itemTable) rehash() {
	t.slots = make([]uint32, max(64, 2*len(t.slots)))
	for i := range t.keys.n {
		key := t.keys.at(i)
		t.slots[t.find(key)] = key.tag() | uint32(i+1)
	}
}

// order returns the items' ordinals in the order of their keys, and the digest
// of the set. The table is not to be used after, apart from its length. Keys are evenly spread: the items
// are first counted into as many buckets as two bytes have values.
func (t *itemTable) order() ([]uint32, record.Digest) {
	t.slots = nil
	var starts [1 << 16]uint32
	for i := range t.keys.n {
		starts[t.bucket(i)]++
	}
	sum := uint32(0)
	for b, n := range starts {
		starts[b], sum = sum, sum+n
	}
	order := make([]uint32, t.keys.n)
	for i := range t.keys.n {
		b := t.bucket(i)
		order[starts[b]] = uint32(i)
		starts[b]++
	}
	// Each start is now its bucket's end.
	from := uint32(0)
	for _, to := range starts {
		if to-from > 1 {
			slices.SortFunc(order[from:to], func(a, b uint32) int {
				x, y := t.keys.at(int(a)), t.keys.at(int(b))
				return cmp.Or(cmp.Compare(binary.BigEndian.Uint64(x[:]), binary.BigEndian.Uint64(y[:])), bytes.Compare(x[8:], y[8:]))
			})
		}
		from = to
	}
	h := sha256.New()
	buf := make([]byte, 0, 4096)
	for _, i := range order {
		key := t.keys.at(int(i))
		if buf = append(buf, key[:]...); len(buf) == cap(buf) {
			h.Write(buf)
			buf = buf[:0]
		}
	}
	h.Write(buf)
	t.keys.blocks = nil
	return order, record.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
}

func (t *itemTable) bucket(i int) uint16 {
	key := t.keys.at(i)
	return binary.BigEndian.Uint16(key[:])
}
