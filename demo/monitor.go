package demo

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/drift"
	"imprimatur.dev/evidence"
	"imprimatur.dev/record"
)

// texture is what a scanner with wrong grey values measures wrong.
const texture = "texture-"

// answered is the column of what the model says.
const answered = "answer"

// Monitor is the evidence of a monitor of drift: the baseline of the training
// rows, and what the monitor sees, in two windows of held-out rows, of one standard
// deviation in each feature of the texture.
func Monitor(m Model, train, holdout Split) (Result, error) {
	reference, heldback := seenBy(m, train), seenBy(m, holdout)
	f := evidence.DriftSensitivity{
		Format: evidence.DriftSensitivityV1, Tool: record.Tool{Name: "imprimatur demo", Version: "1"}, Settings: drift.Defaults(),
		Reference: evidence.DriftSample{Digest: train.Digest(), Rows: len(train.Rows)},
		HeldBack:  evidence.DriftSample{Digest: holdout.Digest(), Rows: len(holdout.Rows)},
		Replay:    drift.Replay{Window: len(holdout.Rows) / 2, Repeats: 2, Seed: string(holdout.Digest())},
	}
	var shifts []drift.Shift
	for _, name := range m.Features {
		if strings.HasPrefix(name, texture) {
			shifts = append(shifts, drift.Shift{Kind: drift.ShiftMean, Feature: name, Size: 1})
		}
	}
	found, err := drift.Sensitivity(reference, heldback, f.Settings, shifts, f.Replay)
	if err == nil {
		f.BaselineDigest, f.Disjoint, f.FalseAlarms, f.Detections = found.Baseline, found.Disjoint, found.FalseAlarms, found.Detections
		f.Baseline, err = drift.Capture(reference)
	}
	if err != nil {
		return Result{}, fmt.Errorf("replaying shifts: %w", err)
	}
	raw, err := f.Marshal()
	return Result{Category: record.Drift, Suite: "drift-sensitivity", Dataset: holdout.Name, Items: raw}, err
}

// seenBy is what the model sees of rows, and what it says.
func seenBy(m Model, s Split) (out drift.Sample) {
	for j, name := range m.Features {
		out.Columns = append(out.Columns, drift.Column{Name: name, Source: drift.Input, Numbers: column(s.Rows, j)})
	}
	said := drift.Column{Name: answered, Source: drift.Prediction}
	for _, r := range s.Rows {
		said.Labels = append(said.Labels, m.answer(r.Features))
	}
	out.Columns = append(out.Columns, said)
	return out
}

// answer is what the model says of an input: a class, or that it does not answer.
func (m Model) answer(features []float64) string {
	malignant, _, err := m.Predict(features)
	if err != nil {
		return "refused"
	}
	return className(malignant)
}

// hour is what one hour brings: a half of the held-out masses, measured by a scanner
// that is off in the texture by a factor.
func hour(holdout Split, half int, factor float64) (out []Row) {
	n := len(holdout.Rows) / 2
	for _, r := range holdout.Rows[half*n : (half+1)*n] {
		r.Features = scaled(r.Features, factor)
		out = append(out, r)
	}
	return out
}

// scaled multiplies the features of the texture.
func scaled(features []float64, factor float64) []float64 {
	out := slices.Clone(features)
	for j, name := range FeatureNames() {
		if strings.HasPrefix(name, texture) {
			out[j] *= factor
		}
	}
	return out
}

// observations are what the model saw and said as lines of JSON.
func observations(m Model, rows []Row) ([]byte, error) {
	var out bytes.Buffer
	for _, r := range rows {
		line := map[string]any{answered: m.answer(r.Features)}
		for j, name := range m.Features {
			line[name] = r.Features[j]
		}
		raw, err := json.Marshal(line, json.Deterministic(true))
		if err != nil {
			return nil, err
		}
		out.Write(append(raw, '\n'))
	}
	return out.Bytes(), nil
}
