// Package registry is the application: every command that changes state and
// every query that reads it, one file per noun. Rights and audit live inside
// each command with the authenticated [Caller] as an argument, so no face of the
// server can forget them.
//
// # One write path
//
// A command reads what it needs through a snapshot of the ledger's projection,
// decides, and states one or more records. The statements are signed and
// appended with the set of keys that the command read: when another command
// wrote under one of those keys in between, nothing is appended and the command
// runs again on a fresh snapshot. Concurrent commands therefore behave as if
// they had run one after another, without holding a lock while they think.
//
// # Rights
//
// [rights] is the one table of which roles may do what. Roles are bound to a
// principal for one team or all, that of a model owner also for one model of a
// team; creating something gives nobody a right, and registering is not
// promoting. An act that is not in the table is refused.
//
// # Verdicts
//
// Every answer about a release comes from policy.Evaluate over the dossier that
// lineage.Collect gathers (rule 2). A promotion states the verdict it rests on
// beside itself, with the digests of the statements that were its inputs.
//
// # Evidence
//
// Whoever records an evaluation sends files, never results: the registry reads
// them itself (rule 3), outside of any snapshot and a few at a time, and then
// states what they say in one command.
//
// # Idempotency
//
// A caller's Idempotency-Key is kept in the statement itself, so a repeated
// request answers with what the first one stated, across restarts and replicas.
package registry
