// Package record is the vocabulary of Imprimatur as Go types: every noun that
// can be stated on the ledger, its validation, its canonical form, and the
// digests by which people and machines refer to it.
//
// # Statements and records
//
// A [Statement] says that a principal (Actor) at a time stated one record (a
// [Body]) of one [Kind]. All state is a fold of statements: the newest
// statement under a key wins unless the noun's own comment says otherwise.
//
// # Keys
//
// [Statement.Keys] names the places under which a statement is found again,
// such as "release/r-0123456789ab" or "live/<line>". The keys are a pure
// function of the statement, so the projection in the database can always be
// rebuilt from the ledger alone, and the same function answers look-ups in an
// offline bundle.
//
// # Canonical form
//
// Every digest is SHA-256 over the RFC 8785 canonical JSON of the raw record as
// it was stated. Unknown fields are refused when a record first comes in
// ([Parse]) and kept when it is replayed ([Replay]): a ledger written by a newer
// version loses nothing when an older one reads it, and its digests still agree.
// RFC 8785 numbers are IEEE 754 doubles, so counts stay below 2^53.
//
// # Names
//
// Things of a team are called "team/name"; names are lower case. A release's
// ID is derived from its record digest, an evaluation's and an exception's from
// theirs. A line is the succession of releases of one model for one use case in
// one environment, "team/model/team:usecase/environment".
//
// # Time
//
// Times are UTC with millisecond precision. [Stands] is the one place that
// decides whether something with an expiry stands or has lapsed.
//
// The package does no input or output, reads no clock and imports nothing else
// of Imprimatur.
package record
