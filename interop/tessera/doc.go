// Package tessera measures the ledger's write path against Tessera's POSIX
// driver, and lets Tessera's own checker read a ledger of ours.
//
// The two do not do the same work. Tessera takes 1 KiB of opaque bytes and
// answers when they are sequenced, integrated and flushed. Ours validates a
// record, writes it as an in-toto statement of about 1 KB, signs it, checks that
// nobody overtook the decision, and answers when statement, signature, five
// index rows, tree and signed checkpoint are flushed. All of that is counted.
//
// Rounds of both alternate on one disk and medians are reported, because the
// speed of a shared machine changes from minute to minute; only the ratio tells
// something.
//
// It is a module of its own, so that the product's go.mod stays free of Tessera.
package tessera
