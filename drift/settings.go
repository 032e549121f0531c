package drift

import (
	"errors"
	"fmt"
)

// Correction says how the checks of one window are held together.
type Correction string

// The corrections. Holm (1979) bounds the probability of any false breach in a
// window by Alpha, however the checks depend on each other. Benjamini and
// Hochberg (1995) bounds the expected share of false ones among the breaches,
// which finds more where many features drift and is for screening.
const (
	Holm              Correction = "holm"
	BenjaminiHochberg Correction = "benjamini-hochberg"
)

// Settings say when a check breaches and when a window raises an alarm.
type Settings struct {
	// Alpha is the level after correction: under Holm, the greatest probability of
	// any false breach in a window without drift.
	Alpha      float64    `json:"alpha"`
	Correction Correction `json:"correction"`
	// MinCount is the least number of rows, for the rate of missing values, and of
	// values, for the others, below which a check is inconclusive. At least 20.
	MinCount int64 `json:"minCount"`
	// Bins is the greatest number of groups into which a numeric feature's bins are
	// pooled for the PSI: fewer see a shift sooner, more see a change of shape.
	Bins int `json:"bins"`

	// The limits above which a change is material: a PSI, and changes of rates,
	// as parts of all rows or values.
	PSILimit     float64 `json:"psiLimit"`
	MissingLimit float64 `json:"missingLimit"`
	UnseenLimit  float64 `json:"unseenLimit"`
	OutsideLimit float64 `json:"outsideLimit"`

	// Need of the last Of conclusive windows must breach before an alarm is raised,
	// and be steady before it is cleared.
	Need int `json:"need"`
	Of   int `json:"of"`
}

// Defaults returns the settings to begin with. The PSI limit is 0.05, not the
// customary 0.1: a normal feature that moves by x standard deviations has a PSI
// of about x², so 0.1 does not see a quarter of a standard deviation (0.0625)
// and 0.05 does. Of 1,000 runs of three windows without drift, against a
// reference of 500 to 5,000 rows, at most 4 ended in an alarm (the package's
// tests; windows share the reference's own error, so they do not err
// independently).
func Defaults() Settings {
	return Settings{
		Alpha: 0.01, Correction: Holm, MinCount: 50, Bins: 10,
		PSILimit: 0.05, MissingLimit: 0.02, UnseenLimit: 0.01, OutsideLimit: 0.01,
		Need: 2, Of: 3,
	}
}

// leastAlpha leaves a level above the precision of 1 - alpha for each of the
// checks of MaxFeatures.
const leastAlpha = 1e-9

// ErrSettings marks settings that make no sense.
var ErrSettings = errors.New("unusable drift settings")

// Validate reports the first thing that is wrong, as an error that matches
// ErrSettings.
func (s Settings) Validate() error {
	if !(s.Alpha >= leastAlpha && s.Alpha < 1) {
		return fmt.Errorf("%w: alpha is %v; it must be at least %v and below 1", ErrSettings, s.Alpha, leastAlpha)
	}
	if s.Correction != Holm && s.Correction != BenjaminiHochberg {
		return fmt.Errorf("%w: correction is %q, neither %q nor %q", ErrSettings, s.Correction, Holm, BenjaminiHochberg)
	}
	if s.MinCount < 2*minExpected {
		return fmt.Errorf("%w: minCount is %d; below %d no two groups can be told apart", ErrSettings, s.MinCount, 2*minExpected)
	}
	if s.Bins < 2 || s.Bins > MaxBins {
		return fmt.Errorf("%w: bins is %d, not 2 to %d", ErrSettings, s.Bins, MaxBins)
	}
	for _, limit := range []float64{s.PSILimit, s.MissingLimit, s.UnseenLimit, s.OutsideLimit} {
		if !finite(limit) || limit < 0 {
			return fmt.Errorf("%w: a limit is %v; limits are not negative", ErrSettings, limit)
		}
	}
	if s.Need < 1 || s.Need > s.Of || s.Of > maxWindows {
		return fmt.Errorf("%w: need is %d of %d windows; it must be 1 to that many, and they at most %d", ErrSettings, s.Need, s.Of, maxWindows)
	}
	return nil
}
