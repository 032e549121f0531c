package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"imprimatur.dev/record"
)

// huggingFaceFormat is what a model card claims: the model-index in the YAML at
// the head of a README.md, and the list of results of .eval_results/*.yaml.
// These are claims by the publisher: no sample counts, no items, nothing that
// binds them to the model's bytes. A result without a data set is refused.
// Source: huggingface_hub/repocard_data.py and the Hub's documentation of
// evaluation results.
var huggingFaceFormat = importer{
	format: "huggingface", version: 1, accepts: "Hugging Face model-index (README.md) and .eval_results YAML, as claims",
	match: func(h *head) string {
		if h.form != formText {
			return ""
		}
		front, isCard := frontMatter(h.first)
		switch {
		case isCard && strings.Contains("\n"+front, "\nmodel-index:"):
			return "card"
		case !isCard && strings.HasPrefix(strings.TrimLeft(h.first, "\n"), "- ") && strings.Contains(h.first, "task_id:") && strings.Contains(h.first, "value:"):
			return "results"
		}
		return ""
	},
	read: func(in *input) error {
		for _, p := range in.parts {
			if err := readHuggingFace(in, p); err != nil {
				return err
			}
		}
		return nil
	},
}

const maxCard = 1 << 20

// frontMatter returns the YAML between the first two lines of three dashes.
func frontMatter(text string) (string, bool) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	rest, ok := strings.CutPrefix(text, "---\n")
	if !ok {
		return "", false
	}
	front, _, ok := strings.Cut(rest, "\n---")
	return front, ok
}

// The members of a card and of a results file that are read.
type (
	hfCard struct {
		Index []hfModel `yaml:"model-index"`
	}
	hfModel struct {
		Name    string     `yaml:"name"`
		Results []hfResult `yaml:"results"`
	}
	hfResult struct {
		Task struct {
			Type string `yaml:"type"`
		} `yaml:"task"`
		Dataset struct {
			Type     string `yaml:"type"`
			Name     string `yaml:"name"`
			Config   string `yaml:"config"`
			Split    string `yaml:"split"`
			Revision string `yaml:"revision"`
		} `yaml:"dataset"`
		Metrics []hfMetric `yaml:"metrics"`
	}
	hfMetric struct {
		Type  string    `yaml:"type"`
		Name  string    `yaml:"name"`
		Value yaml.Node `yaml:"value"`
	}
	hfEntry struct {
		Dataset struct {
			ID       string `yaml:"id"`
			Task     string `yaml:"task_id"`
			Revision string `yaml:"revision"`
		} `yaml:"dataset"`
		Value yaml.Node `yaml:"value"`
	}
)

func readHuggingFace(in *input, p part) error {
	if p.Size > maxCard {
		return p.refuse("", "it has %d bytes, more than a card's %d", p.Size, maxCard)
	}
	raw, err := io.ReadAll(io.NewSectionReader(p, 0, p.Size))
	if err != nil {
		return fmt.Errorf("reading %s: %w", p.Name, err)
	}
	if p.role == "results" {
		return hfResults(in, p, raw)
	}
	front, _ := frontMatter(string(raw))
	var card hfCard
	if err := strictYAML([]byte(front), &card); err != nil {
		return p.refuse("", "its head is not valid YAML: %v", err)
	}
	read := 0
	for _, m := range card.Index {
		for i, r := range m.Results {
			if r.Dataset.Type == "" && r.Dataset.Name == "" {
				in.warn("the result %d of %s names no data set and is left out", i+1, clip(m.Name))
				continue
			}
			read += r.claim(in, m.Name)
		}
	}
	if read == 0 {
		return p.refuse("/model-index", "none of its results names a data set and a number")
	}
	return nil
}

// strictYAML reads one document, without aliases: a few lines of these can
// stand for any amount of text.
func strictYAML(raw []byte, into any) error {
	if bytes.Contains(raw, []byte("<<:")) {
		return errors.New("it merges mappings")
	}
	d := yaml.NewDecoder(bytes.NewReader(raw))
	if err := d.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func (r hfResult) claim(in *input, model string) int {
	name := r.Dataset.Type
	if name == "" {
		name = r.Dataset.Name
	}
	for _, part := range []string{r.Dataset.Config, r.Dataset.Split} {
		if part != "" {
			name += "-" + part
		}
	}
	s := in.claimed(name, model)
	if r.Dataset.Revision != "" {
		s.Settings["dataset.revision"] = r.Dataset.Revision
	}
	n := 0
	for _, m := range r.Metrics {
		v, ok := claimedNumber(&m.Value)
		if !ok {
			in.warn("%s of %s is %q, which is no number", clip(m.Type), s.Suite, clip(m.Value.Value))
			continue
		}
		s.report(record.Metric{Name: m.Type, Value: v})
		n++
	}
	return n
}

func hfResults(in *input, p part, raw []byte) error {
	var entries []hfEntry
	if err := strictYAML(raw, &entries); err != nil {
		return p.refuse("", "it is not valid YAML: %v", err)
	}
	for i, e := range entries {
		v, ok := claimedNumber(&e.Value)
		if e.Dataset.ID == "" || !ok {
			return p.refuse(fmt.Sprintf("/%d", i), "it names no data set or gives no number")
		}
		s := in.claimed(e.Dataset.ID+"-"+e.Dataset.Task, "")
		if e.Dataset.Revision != "" {
			s.Settings["dataset.revision"] = e.Dataset.Revision
		}
		s.report(record.Metric{Name: "score", Value: v})
	}
	if len(entries) == 0 {
		return p.refuse("", "it holds no result")
	}
	return nil
}

func (in *input) claimed(name, model string) *suite {
	s := in.suite(name, record.Accuracy)
	s.Assurance, s.Tool.Name = record.Claimed, "model-card"
	if model != "" {
		s.Labels["model"] = clip(model)
	}
	return s
}

// claimedNumber reads a number, also one that is written as "20.0 ± 1.2".
func claimedNumber(n *yaml.Node) (float64, bool) {
	if n.Kind != yaml.ScalarNode {
		return 0, false
	}
	text, _, _ := strings.Cut(n.Value, "±")
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	return v, err == nil && !math.IsNaN(v) && !math.IsInf(v, 0)
}
