// Package api is the HTTP API under /api/v1: the registry's commands and
// queries as JSON.
//
// # Routes
//
// [routes] is the one table. A row names method, path, operation and access,
// and its handler is a method of the registry; a row that does not say who gets
// in makes [New] panic. Whoever is not signed in is answered before anything of
// the request's body is read. Rights are the registry's, with the caller as an
// argument.
//
// # Requests
//
// Bodies are JSON, read strictly: an unknown member, a member given twice or in
// the wrong case, invalid UTF-8 and trailing data are refused, since what an
// approver sees and what is signed must be one reading of the same bytes. What
// a record must be like is the record's own to say, and is not said again here.
// An unknown query parameter is refused too.
//
// A request that writes may carry an Idempotency-Key of up to 64 visible ASCII
// characters without '#'. The same request with the same key is answered with
// what the first one stated; another request with that key is a conflict.
//
// A file of evidence is the one body that is not JSON: it is taken as it comes,
// under its own digest, and may take as long as it keeps coming.
//
// # Answers
//
// Lists come in pages, newest first, with the next page as a Link of the
// relation "next". Refusals are RFC 9457 problems with wire's codes, and the
// verdict where a gate refused; [statuses] is the one table from code to
// status. What goes wrong inside is logged with the request's id, and only the
// id is told.
package api
