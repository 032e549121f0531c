package policy

import (
	"encoding/binary"
	"math/bits"

	"imprimatur.dev/record"
)

// outcomes reports whether an evaluation knows the outcome of every item.
func outcomes(x *record.Evaluation, m *record.Metric) bool {
	return m.Outcomes != nil && m.Successes != nil && m.N == x.Items.N && len(m.Outcomes) == (m.N+7)/8 &&
		(m.N%8 == 0 || m.Outcomes[m.N/8]>>(m.N%8) == 0)
}

// successes counts the outcomes that are 1.
func successes(a []byte) (n int) {
	for ; len(a) >= 8; a = a[8:] {
		n += bits.OnesCount64(binary.LittleEndian.Uint64(a))
	}
	for _, b := range a {
		n += bits.OnesCount8(b)
	}
	return n
}

// discordant counts the items that are 1 in only one of two sets of outcomes of
// the same length.
func discordant(a, b []byte) (onlyA, onlyB int) {
	for ; len(a) >= 8; a, b = a[8:], b[8:] {
		x, y := binary.LittleEndian.Uint64(a), binary.LittleEndian.Uint64(b)
		onlyA += bits.OnesCount64(x &^ y)
		onlyB += bits.OnesCount64(y &^ x)
	}
	for i := range a {
		onlyA += bits.OnesCount8(a[i] &^ b[i])
		onlyB += bits.OnesCount8(b[i] &^ a[i])
	}
	return onlyA, onlyB
}
