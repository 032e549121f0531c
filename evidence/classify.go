package evidence

// classify records that an item of the class label was predicted to be of
// another, with the score of the positive class or NaN.
func (s *suite) classify(item int, label, prediction string, score float64) {
	if prediction == "" {
		s.none(item, "accuracy")
		return
	}
	s.outcome(item, "accuracy", label == prediction)
}
