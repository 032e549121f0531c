// Package statistics holds the honest statistics of release gates: intervals
// that do not collapse where all items agree, tests that keep their level, the
// number of items that would settle a question, and the measures of a
// classifier from its labels. It is pure: no I/O, no clock, no hidden
// randomness.
//
// # What proves nothing
//
// A function of counts never panics and never flatters. Counts that make no
// sense (no trials, more successes than trials), a level outside 0 to 1 and a
// value that is no number tell nothing, and so the answer is the one that
// proves nothing: the whole range as interval, or a p-value of 1. Functions of
// items return an error that says which item is wrong.
//
// A level is that of a two-sided interval, 0.95 for 95 %. Each bound of it is
// therefore a one-sided bound at (1+level)/2.
//
// # The same digits on every machine
//
// Whoever recomputes a verdict must get its numbers. Conversions to float64
// that look idle forbid the compiler to fuse a product and a sum, as it does on
// some machines. [math.Sqrt] is exact everywhere; math.Hypot is not and is
// avoided. Where a result passes through logarithms, exponentials or a solver,
// whose last bits differ between machines, it is rounded to 12 decimal places,
// or to 12 significant digits from 1 upwards.
//
// # The bootstrap, for anyone to recompute
//
// Clusters are numbered from 0. The generator is ChaCha8Rand
// (c2sp.org/chacha8rand), started once from the 32 bytes of the seed; its
// output is read as little-endian words of 64 bits. One draw of k clusters
// takes k words in order; the word w picks the cluster that is the high 64 bits
// of the 128-bit product w·k. Draws follow each other in the same stream. The
// statistic is computed with each cluster's items repeated as often as the
// cluster was picked. The interval of B draws at a level leaves out
// ⌊B(1-level)/2⌋ values at each end of the sorted draws, and its bounds are the
// outermost values that remain. A draw on which the statistic is undefined (the
// area under a curve without positives) counts as outermost at both ends.
// Nothing is interpolated.
package statistics
