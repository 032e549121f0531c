// Package commitment binds people to the items of a dataset without telling
// what the items are, and counts how many items two such sets have in common.
//
// # Leaves
//
// An item's leaf is HMAC-SHA256 (RFC 2104) of its identity under a secret key.
// The leaves of a set are sorted, each kept once, so that neither the order of
// the items nor a repeat of one changes anything. The root is the Merkle tree
// hash of RFC 6962, section 2.1, over the leaves in that order. A [Set] is
// written as one line of canonical JSON with the name of the key and the
// identity, and after it the leaves, 32 bytes each: see [Parse]. The file's
// length is a little over 32 bytes an item.
//
// # Identity
//
// What of an item is hashed is said in words, and only sets of the same words
// can be compared:
//
//   - "ndjson": the whole line as canonical JSON (RFC 8785). Numbers are doubles
//     there, so two integers beyond 2^53 may be one.
//   - "csv": the row as canonical JSON, an object of column to text. The order
//     of the columns does not matter; their names do, and so does every
//     character of a value.
//   - "field NAME": the text of one member or column, which must not be empty.
//     In JSON it is a string or a whole number as it is written. This is the same
//     for NDJSON and CSV.
//
// # What the key protects, and what not
//
// Without the key a leaf tells nothing about its item, not even to somebody who
// guesses the item right. Anybody who can read the leaves still learns how many
// distinct items there are and, of two sets under one key, which leaves they
// share. Whoever has the key can tell of any item whether it is in a set: the
// key is a secret of the people who hold the data, and who loses it can compare
// no later set with the earlier ones. The key's name is the digest of what the
// key makes of a constant, and tells nothing of a key that was drawn at random.
//
// A commitment says that these items were fixed at its time. It does not prove
// that an evaluation ran on them, or that a training run read nothing else:
// whoever has the data and the key can make the commitment again from the file
// and see the same root, and nobody else can. Items that are nearly the same,
// reworded or reordered inside, have nothing in common here.
//
// The package does no I/O of its own and reads no clock.
package commitment
