// Package ledger is the mathematics of the append-only log: leaves, the Merkle
// tree over them, checkpoints, proofs and tiles. It keeps nothing, reads no
// clock and knows no database; package store does.
//
// # Leaf
//
// A leaf is the small record that the tree covers: what was said (the SHA-256
// of the statement), about what (the subjects' SHA-256 digests), when, by whom
// and of which kind. It is RFC 8785 canonical JSON with exactly these members:
//
//	{"kind":"…","principal":"…","statement":"sha256:<64 hex>",
//	 "subjects":["sha256:<64 hex>",…],"time":"2026-01-02T15:04:05.000Z","v":1}
//
// A leaf is at most 65,535 bytes, because a C2SP entry bundle prefixes each
// one with a 16-bit length. What [ParseLeaf] accepts, [Leaf.AppendTo] writes
// back byte for byte.
//
// # Tree
//
// Hashes follow RFC 6962 section 2.1 (golang.org/x/mod/sumdb/tlog): SHA-256
// over 0x00‖leaf and 0x01‖left‖right. They are kept as C2SP tlog-tiles: a tile
// at level L and number N is the run of up to 256 hashes of tree level 8·L that
// starts at 256·N, as plain 32-byte hashes. A full tile (8 KiB) never changes;
// each level has at most one partial tile, at its right edge. [Tree] holds only
// that edge, so an append costs one hash per leaf and the height of the tree,
// whatever the size of the log. [NewHashReader] gives the roots and proofs of
// package tlog, at any size, out of stored tiles.
//
// # Checkpoint
//
// A checkpoint is a C2SP tlog-checkpoint: origin, size and base64 root, one a
// line, without extension lines, signed as a C2SP signed-note by one or more
// keys.
//
// # Sources
//
// https://c2sp.org/tlog-tiles, https://c2sp.org/tlog-checkpoint,
// https://c2sp.org/signed-note, RFC 6962, RFC 8785.
package ledger
