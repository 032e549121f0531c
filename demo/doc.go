// Package demo holds a small real model and real evidence about it, for the
// story that shows the product at work: a logistic regression that tells
// malignant from benign breast masses, trained and evaluated here, on the
// reader's own processor, in well under a second and without a network.
//
// The data is the Breast Cancer Wisconsin (Diagnostic) set (data/README.md).
// [Splits] cuts it into four sets, each a CSV file whose SHA-256 is the
// dataset's digest. [Train] fits a [Model] to one of them, [Model.Save] writes
// the folder that is released, [Load] reads it back. [Evaluate] runs four
// suites on held-out rows and gives, for each, its metrics with what their
// uncertainty needs, and one line per item, from which every value can be
// computed again; and the evidence of a monitor of drift ([Monitor]), with which
// the story goes on after promotion.
//
// Malignant is the positive class throughout. A model refuses an input that
// its training data makes implausible; a refusal is never counted as a right
// answer, and never as a missed cancer either, since a person then looks.
//
// The same source, seed and processor architecture give the same bytes. The
// two sets that are cut from the data as they are, and the two simulated ones,
// are the same on every architecture; weights may differ in their last bits
// between architectures, since a fused multiply and add rounds once.
//
// This is a demonstration of governance, not a medical device.
package demo
