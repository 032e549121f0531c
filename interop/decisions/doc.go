// Package decisions measures the decision point against Cedar (cedar-go) and
// Open Policy Agent in process: may a workload make a call of a tool, given N
// grants, without a condition and with three over the call's arguments.
//
// All three keep N grants of N tools and answer for the last of them. Ours and
// OPA find it by its name; cedar-go looks at each policy, so it is not asked of
// 100,000. Each gets its arguments in the form in which it evaluates them: ours
// pays for reading JSON strictly where the name says so.
//
// It is a module of its own, so that the product's go.mod stays free of both.
package decisions
