package demo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/artifact"
	"imprimatur.dev/record"
)

// The files of a model's folder.
const (
	tensorsFile = "model.safetensors"
	configFile  = "config.json"
	cardFile    = "README.md"
)

// config is config.json: all of a model but its tensors.
type config struct {
	Architecture  string        `json:"architecture"`
	Positive      string        `json:"positive_class"`
	Threshold     float64       `json:"threshold"`
	Preprocessing string        `json:"preprocessing"`
	Features      []string      `json:"features"`
	Guard         Guard         `json:"guard"`
	Training      Params        `json:"training"`
	TrainedOn     record.Digest `json:"trained_on"`
}

const (
	architecture  = "logistic-regression"
	preprocessing = "standardise: (value - mean) / scale, by the tensors of these names"
)

// Save writes the model's folder, making it where needed: the tensors weights,
// bias, mean and scale as F64 in model.safetensors, the rest in config.json,
// and a short model card. Equal models give equal bytes.
func (m Model) Save(dir string) error {
	c, err := json.Marshal(config{
		Architecture: architecture, Positive: className(true), Threshold: m.Threshold,
		Preprocessing: preprocessing, Features: m.Features, Guard: m.Guard,
		Training: m.Params, TrainedOn: m.TrainedOn,
	}, jsontext.Multiline(true), jsontext.WithIndent("  "))
	if err != nil {
		return fmt.Errorf("saving the model: %w", err)
	}
	var tensors bytes.Buffer
	if err := artifact.WriteSafetensors(&tensors, m.tensors(), map[string]string{"format": "imprimatur-demo"}); err != nil {
		return fmt.Errorf("saving the model: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("saving the model: %w", err)
	}
	files := map[string][]byte{tensorsFile: tensors.Bytes(), configFile: append(c, '\n'), cardFile: m.card()}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return fmt.Errorf("saving the model: %w", err)
		}
	}
	return nil
}

func (m Model) tensors() []artifact.Tensor {
	vector := func(name string, data ...float64) artifact.Tensor {
		return artifact.Tensor{Name: name, DType: "F64", Shape: []uint64{uint64(len(data))}, Data: data}
	}
	return []artifact.Tensor{
		vector("weights", m.Weights...), vector("bias", m.Bias), vector("mean", m.Mean...), vector("scale", m.Scale...),
	}
}

func (m Model) card() []byte {
	return fmt.Appendf(nil, `# Malignant or benign: a demonstration model

Logistic regression over %d measurements of cell nuclei; it gives the probability that a breast mass is malignant, and
calls it malignant from %v.

- **Use**: to show how a release is governed. It is not a medical device and must not inform care.
- **Training data**: Breast Cancer Wisconsin (Diagnostic), CC BY 4.0, DOI 10.24432/C5DW2B; the file with the digest
  %s.
- **Training**: L2 penalty %v, at most %d iterations of L-BFGS, seed %d.
- **Guard**: an input outside the training range (widened by %v of its span) is refused, and a person decides.
- **Limits**: one hospital, about 1990; no age, ethnicity or scanner is recorded, so none can be checked for bias.
`, len(m.Features), m.Threshold, m.TrainedOn, m.Params.L2, m.Params.Iterations, m.Params.Seed, m.Guard.Margin)
}

// Load reads a folder that [Model.Save] wrote. The model predicts, to the last
// bit, what the saved one predicted.
func Load(dir string) (Model, error) {
	c, err := os.ReadFile(filepath.Join(dir, configFile))
	if err != nil {
		return Model{}, fmt.Errorf("loading the model: %w", err)
	}
	tensors, err := os.ReadFile(filepath.Join(dir, tensorsFile))
	if err != nil {
		return Model{}, fmt.Errorf("loading the model: %w", err)
	}
	m, err := parse(c, tensors)
	if err != nil {
		return Model{}, fmt.Errorf("loading the model from %s: %w", dir, err)
	}
	return m, nil
}

func parse(configJSON, tensors []byte) (Model, error) {
	var c config
	if err := json.Unmarshal(configJSON, &c, json.RejectUnknownMembers(true)); err != nil {
		return Model{}, fmt.Errorf("%s: %w", configFile, err)
	}
	if c.Architecture != architecture || c.Positive != className(true) || c.Preprocessing != preprocessing {
		return Model{}, fmt.Errorf("%s: it is not the %s that this package saves", configFile, architecture)
	}
	m := Model{
		Features: c.Features, Threshold: c.Threshold, Guard: c.Guard, Params: c.Training, TrainedOn: c.TrainedOn,
	}
	header, err := artifact.ReadSafetensors(bytes.NewReader(tensors), int64(len(tensors)))
	if err != nil {
		return Model{}, fmt.Errorf("%s: %w", tensorsFile, err)
	}
	var bias []float64
	for name, into := range map[string]*[]float64{"weights": &m.Weights, "bias": &bias, "mean": &m.Mean, "scale": &m.Scale} {
		i := slices.IndexFunc(header.Tensors, func(t artifact.Tensor) bool { return t.Name == name && t.DType == "F64" })
		if i < 0 {
			return Model{}, fmt.Errorf("%s: it has no F64 tensor named %s", tensorsFile, name)
		}
		t := header.Tensors[i]
		*into = floats64(tensors[8+header.HeaderSize:][t.Begin:t.End])
	}
	if len(bias) != 1 {
		return Model{}, fmt.Errorf("%s: bias is not one number", tensorsFile)
	}
	m.Bias = bias[0]
	return m, m.check()
}

// check refuses what would make a score that is not a number, since that is
// below every threshold and would read as benign.
func (m Model) check() error {
	if len(m.Features) == 0 || !(m.Threshold >= 0 && m.Threshold <= 1) {
		return errors.New("it has no features, or its threshold is outside 0 to 1")
	}
	numbers := []float64{m.Bias, m.Guard.Margin}
	for _, list := range [][]float64{m.Weights, m.Mean, m.Scale, m.Guard.Min, m.Guard.Max} {
		if len(list) != len(m.Features) {
			return fmt.Errorf("%s and %s do not agree on the number of features", configFile, tensorsFile)
		}
		numbers = append(numbers, list...)
	}
	for _, v := range numbers {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return errors.New("a parameter of the model is not a finite number")
		}
	}
	if slices.ContainsFunc(m.Scale, func(v float64) bool { return v <= 0 }) {
		return errors.New("a scale is not positive")
	}
	return nil
}

func floats64(b []byte) []float64 {
	out := make([]float64, len(b)/8)
	for i := range out {
		out[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
	}
	return out
}
