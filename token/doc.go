// Package token is the form of the short-lived access tokens that workloads are
// given, and the strict reading of all JSON Web Tokens that reach the server. It
// does no I/O and takes the time as an argument.
//
// # Reading
//
// [Parse] takes a JWS in compact form (RFC 7515) of at most [MaxBytes] bytes, and
// nothing else: no encryption, no JSON form. Header and claims are one JSON object
// each, in which no name comes twice (RFC 8725 section 2.4). The algorithm must be one
// of the asymmetric ones of RFC 7518 and RFC 8037, so that neither "none" nor an
// HMAC under a public key is ever looked at, and a header with "crit" is refused.
// What a header says of keys ("jku", "jwk", "x5u", "x5c") is passed over: keys come
// from whoever verifies, by the key ID alone. Only a DPoP proof brings its own.
//
// # Access tokens
//
// An [Access] is a JWT access token (RFC 9068) with claims of ours that name the
// release under which the workload acts. [Keys] sign with ES256. There is one key for each
// day, derived from a secret of the server, so that all replicas and a restored
// backup have the same ones and none is ever written down. [Keys.JWKS] shows the key
// of today, that of tomorrow, for whoever keeps what it fetched, and that of
// yesterday while a token that it signed may still be good.
//
// # Proofs
//
// A [Proof] is a DPoP proof (RFC 9449): by it the holder of a key shows, for one
// request, that a token bound to the key's thumbprint is in the right hands.
package token
