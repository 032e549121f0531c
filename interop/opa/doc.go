// Package opa measures the gates of a policy against the same gates written in
// Rego and run by Open Policy Agent in process.
//
// Both sides judge one release of the high tier with eighteen gates: lineage,
// four evaluations with Wilson intervals, a comparison with production, and
// approvals with separation and passkeys. The Rego side is prepared once and
// gets its input parsed; it decides pass or fail per gate. Ours also writes the
// rule and the reason of every gate as sentences, which is left in.
//
// It is a module of its own, so that the product's go.mod stays free of OPA.
package opa
