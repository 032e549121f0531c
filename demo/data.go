package demo

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"imprimatur.dev/record"
)

//go:embed data/wdbc.csv
var wdbc []byte

// The names of the four sets that [Splits] makes.
const (
	TrainSplit   = "train"
	HoldoutSplit = "holdout"
	ShiftedSplit = "shifted-holdout"
	IntakeSplit  = "new-clinic-intake"
)

// Seed is the seed of the splits and of the suites.
const Seed = 1995

// The measurement shift of [ShiftedSplit] and the jitter of [IntakeSplit].
const (
	holdoutShare   = 0.40
	textureScale   = 1.05 // a scanner whose grey values are 5 % too far apart
	shiftNoise     = 0.02 // each value is off by at most 2 %, uniformly
	intakeJitter   = 0.03 // each value is off by at most 3 %, uniformly
	simulatedDigit = 6    // significant digits of a simulated value
)

// Row is one mass: its 30 measurements in the order of [FeatureNames].
type Row struct {
	ID        string
	Features  []float64
	Malignant bool
}

// Split is a named set of rows.
type Split struct {
	Name string
	Rows []Row
}

// Data is the four sets. Shifted has the rows of Holdout, in the same order.
type Data struct {
	Train, Holdout, Shifted, Intake Split
}

// FeatureNames returns the 30 measurements: for each of ten quantities the
// mean over the nuclei, then the standard error of each, then the mean of the
// three largest values.
func FeatureNames() []string {
	quantities := []string{
		"radius", "texture", "perimeter", "area", "smoothness",
		"compactness", "concavity", "concave-points", "symmetry", "fractal-dimension",
	}
	var names []string
	for _, statistic := range []string{"mean", "error", "worst"} {
		for _, q := range quantities {
			names = append(names, q+"-"+statistic)
		}
	}
	return names
}

// Splits cuts the data into the four sets. Within each class the rows are put
// in the order of a seeded hash of their number, and the first 40 % are held
// out. The shifted set is the holdout as another clinic's scanner would
// measure it: the three texture features times 1.05, and every value off by up
// to 2 %. The intake is a bootstrap sample of the training rows, as many, with
// every value off by up to 3 %; it shares no row with the holdout.
func Splits() (Data, error) {
	rows, err := parseWDBC(wdbc)
	if err != nil {
		return Data{}, fmt.Errorf("reading the embedded data set: %w", err)
	}
	held := map[string]bool{}
	for _, class := range []bool{true, false} {
		for _, i := range heldOut(rows, class) {
			held[rows[i].ID] = true
		}
	}
	d := Data{
		Train: Split{Name: TrainSplit}, Holdout: Split{Name: HoldoutSplit},
		Shifted: Split{Name: ShiftedSplit}, Intake: Split{Name: IntakeSplit},
	}
	for i, r := range rows {
		if !held[r.ID] {
			d.Train.Rows = append(d.Train.Rows, r)
			continue
		}
		d.Holdout.Rows = append(d.Holdout.Rows, r)
		d.Shifted.Rows = append(d.Shifted.Rows, shifted(r, i))
	}
	for i := range d.Train.Rows {
		pick := d.Train.Rows[int(draw("intake-pick", i, 0)*float64(len(d.Train.Rows)))]
		pick.ID = fmt.Sprintf("intake-%03d", i+1)
		pick.Features = noisy(pick.Features, "intake-jitter", i, intakeJitter)
		d.Intake.Rows = append(d.Intake.Rows, pick)
	}
	return d, nil
}

// heldOut returns the indices of the held-out rows of one class.
func heldOut(rows []Row, malignant bool) []int {
	var class []int
	for i, r := range rows {
		if r.Malignant == malignant {
			class = append(class, i)
		}
	}
	slices.SortFunc(class, func(a, b int) int {
		return cmp.Compare(draw("split", a, 0), draw("split", b, 0))
	})
	return class[:int(math.Round(holdoutShare*float64(len(class))))]
}

func shifted(r Row, row int) Row {
	r.Features = noisy(scaled(r.Features, textureScale), "shift-noise", row, shiftNoise)
	return r
}

func noisy(features []float64, purpose string, row int, most float64) []float64 {
	out := make([]float64, len(features))
	for j, v := range features {
		// The conversion forbids a fused multiply and add, so that the bytes
		// are the same on every processor.
		off := float64(most * (2*draw(purpose, row, j) - 1))
		out[j] = significant(v * (1 + off))
	}
	return out
}

// significant rounds v to the digits that a simulated value is written with,
// so that the file and the row in memory hold the same number.
func significant(v float64) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(v, 'e', simulatedDigit-1, 64), 64)
	if err != nil {
		panic(err) // what FormatFloat writes, ParseFloat reads
	}
	return r
}

// draw returns a number in [0, 1) that depends on its arguments and [Seed]
// alone: the first 53 bits of SHA-256 over "seed/purpose/row/column".
func draw(purpose string, row, column int) float64 {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d/%s/%d/%d", Seed, purpose, row, column))
	return float64(binary.BigEndian.Uint64(sum[:])>>11) / (1 << 53)
}

// parseWDBC reads scikit-learn's file: a line "rows,features,class 0,class 1",
// then one line a row, the class last, 0 for malignant.
func parseWDBC(b []byte) ([]Row, error) {
	lines := csv.NewReader(bytes.NewReader(b))
	lines.FieldsPerRecord = -1
	records, err := lines.ReadAll()
	if err != nil {
		return nil, err
	}
	if len(records) == 0 || !slices.Equal(records[0], []string{"569", "30", "malignant", "benign"}) {
		return nil, errors.New("the first line is not 569,30,malignant,benign")
	}
	if got := len(records) - 1; got != 569 {
		return nil, fmt.Errorf("there are %d rows, not the 569 that the first line states", got)
	}
	rows := make([]Row, 0, len(records)-1)
	for i, fields := range records[1:] {
		r, err := parseRow(fields)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+2, err)
		}
		r.ID = fmt.Sprintf("wdbc-%03d", i+1)
		rows = append(rows, r)
	}
	return rows, nil
}

func parseRow(fields []string) (Row, error) {
	if len(fields) != 31 {
		return Row{}, fmt.Errorf("%d fields, not 31", len(fields))
	}
	r := Row{Features: make([]float64, 30)}
	for j, text := range fields[:30] {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return Row{}, fmt.Errorf("field %d: %w", j+1, err)
		}
		r.Features[j] = v
	}
	switch fields[30] {
	case "0":
		r.Malignant = true
	case "1":
	default:
		return Row{}, fmt.Errorf("class %q is neither 0 nor 1", fields[30])
	}
	return r, nil
}

// CSV returns the set as a file: a header, then one line a row with its ID,
// the features in shortest decimal form, and malignant as 1 or 0.
func (s Split) CSV() []byte {
	b := []byte("id," + strings.Join(FeatureNames(), ",") + ",malignant\n")
	for _, r := range s.Rows {
		b = append(b, r.ID...)
		for _, v := range r.Features {
			b = strconv.AppendFloat(append(b, ','), v, 'f', -1, 64)
		}
		b = fmt.Appendf(b, ",%.0f\n", r.label())
	}
	return b
}

// Digest returns the digest of the set's file.
func (s Split) Digest() record.Digest { return record.DigestOf(s.CSV()) }

func (r Row) label() float64 {
	if r.Malignant {
		return 1
	}
	return 0
}
