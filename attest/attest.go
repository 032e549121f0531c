// Package attest signs and checks what the ledger holds. It knows no SQL and no clock.
//
// # Envelopes
//
// A statement travels in a DSSE envelope (https://github.com/secure-systems-lab/dsse, protocol v1.0.2 and envelope
// v1.0): the payload in base64, its type, and exactly one signature over the pre-authentication encoding of both
// ([PAE]). More people saying yes means more statements, never more signatures on one envelope, because a Sigstore
// bundle admits one. Parsing is strict: unknown or repeated members, base64 with spare bits or line breaks, an absent
// key id, or anything else that would not marshal back to the same JSON value is refused.
//
// # Server key
//
// A [Key] is an Ed25519 key with a name, which is the origin of the log it signs. The same key signs statements and
// checkpoints. The two can not be confused: a statement's signed bytes begin with "DSSEv1 " and a checkpoint's with the
// origin and a line break, and a name contains no space. A key's id, used as the DSSE keyid, is "name+hash" as in its
// C2SP verifier key "name+hash+base64" (https://c2sp.org/signed-note), where hash is eight hexadecimal digits.
//
// A key file is one line, "PRIVATE+KEY+name+hash+base64" as golang.org/x/mod/sumdb/note reads it, or the same line
// encrypted to a passphrase with age (scrypt) and armored. It is readable by its owner alone.
//
// # Trust
//
// A [Trust] is the set of verifier keys somebody relies on, read from a file with one C2SP verifier key on each line.
//
// # Model signatures
//
// [SignModel] and [VerifyModel] speak OpenSSF Model Signing v1.0 in key mode (https://github.com/ossf/model-signing-spec,
// spec/v1.0.md): the file model.sig beside a model folder. They use a [ModelKey], ECDSA P-256, because that
// specification admits no Ed25519.
package attest
