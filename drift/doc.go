// Package drift says whether what a model sees, or says, in production is still
// distributed as it was when the model was evaluated.
//
// # From evaluation to decision
//
// A Baseline is captured once, on the reference data, when a model is
// evaluated. It freezes, for each feature and each prediction, the edges of a
// histogram or the list of categories, and the reference's counts. Its
// canonical JSON has a digest, by which the evaluation's evidence and every
// later report name it.
//
// A Frame is a Baseline made ready for counting. A Sketch counts one window of
// observations in a Frame: whole numbers and nothing else. Two sketches of one
// frame merge by addition, so any number of replicas, in any order, give the
// same bytes as one process that saw every row. A sketch does not know which
// rows it has counted: late and repeated rows are the caller's to sort out.
//
// Judge compares a sketch with its baseline. A State carries the judgements
// from window to window and raises an alarm only when enough of them agree.
// Sensitivity replays known shifts through the same Judge, so that a release
// can require a monitor that has been seen to work.
//
// # When a check breaches
//
// A check breaches only if it is both significant, after correction over all
// checks of the window, and material, above a limit that somebody chose. Either
// alone misleads: with 100 rows and no drift at all a PSI above 0.1 is the
// rule, and with a million rows a shift that harms nobody is significant. Below
// the least count a check is inconclusive, which is neither steady nor breach.
//
// # Bins
//
// With edges e0 <= … <= eB, bin i holds e(i) <= v < e(i+1), and the last bin
// also holds v = eB. Values outside are counted as below or above, NaN and the
// empty category as missing. The edges are values of the reference itself, not
// sums or means of them, so every machine finds the same ones.
//
// # Measures
//
// The measures on counts (PSI, JensenShannon, KolmogorovSmirnov, Wasserstein,
// ChiSquareFit, ChiSquareTable) serve sketches. The Sample functions take raw
// values and follow Evidently 0.7 to the sixth decimal, for those who compare
// with its reports. Each states its definition and the threshold in common use;
// no threshold is built in but in Defaults.
//
// The package does no input or output, reads no clock, and draws random numbers
// only from seeds that it is given.
package drift
