package tracking

import (
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Text is a member that MLflow writes as text or as a number, in its spelling.
type Text string

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (t *Text) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	v, err := d.ReadValue()
	if err != nil {
		return err
	}
	switch v.Kind() {
	case '"':
		var s string
		err := json.Unmarshal(v, &s, lenient)
		*t = Text(s)
		return err
	case '0':
		*t = Text(v)
	case 'n':
		*t = ""
	default:
		return fmt.Errorf("%w: neither text nor a number: %.40s", ErrAnswer, v)
	}
	return nil
}

// number returns a whole number, 0 where it is none.
func (t Text) number() int64 {
	n, err := strconv.ParseInt(string(t), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// Pair is a tag, a parameter or a metric.
type Pair struct {
	Key   string `json:"key"`
	Value Text   `json:"value"`
}

func pairs(of []Pair) map[string]string {
	out := make(map[string]string, len(of))
	for _, p := range of {
		out[p.Key] = string(p.Value)
	}
	return out
}

// Run is a run of MLflow. Raw is the answer as it came.
type Run struct {
	Info    RunInfo    `json:"info"`
	Data    RunData    `json:"data"`
	Inputs  RunInputs  `json:"inputs"`
	Outputs RunOutputs `json:"outputs"`
	Raw     []byte     `json:"-"`
}

// RunInfo is what a run is. Times are milliseconds since 1970.
type RunInfo struct {
	ID         string `json:"run_id"`
	Name       string `json:"run_name"`
	Experiment string `json:"experiment_id"`
	User       string `json:"user_id"`
	Status     string `json:"status"`
	Start      Text   `json:"start_time"`
	End        Text   `json:"end_time"`
	Artifacts  string `json:"artifact_uri"`
	Stage      string `json:"lifecycle_stage"`
}

// RunData is what a run logged: of a metric its last value.
type RunData struct {
	Metrics []Pair `json:"metrics"`
	Params  []Pair `json:"params"`
	Tags    []Pair `json:"tags"`
}

// RunInputs are what a run read.
type RunInputs struct {
	Datasets []DatasetInput `json:"dataset_inputs"`
	Models   []ModelLink    `json:"model_inputs"`
}

// RunOutputs are the models that a run logged.
type RunOutputs struct {
	Models []ModelLink `json:"model_outputs"`
}

// ModelLink names a logged model.
type ModelLink struct {
	ID string `json:"model_id"`
}

// DatasetInput is a dataset as a run names it. Digest is MLflow's own, short one.
type DatasetInput struct {
	Tags    []Pair `json:"tags"`
	Dataset struct {
		Name       string `json:"name"`
		Digest     string `json:"digest"`
		SourceType string `json:"source_type"`
		Source     string `json:"source"`
	} `json:"dataset"`
}

// LoggedModel is a model of MLflow 3 as a run logged it.
type LoggedModel struct {
	Info struct {
		ID         string `json:"model_id"`
		Name       string `json:"name"`
		Experiment string `json:"experiment_id"`
		Artifacts  string `json:"artifact_uri"`
		Status     string `json:"status"`
		Run        string `json:"source_run_id"`
	} `json:"info"`
}

// Experiment is a name under which runs stand.
type Experiment struct {
	ID    string `json:"experiment_id"`
	Name  string `json:"name"`
	Stage string `json:"lifecycle_stage"`
}

// RegisteredModel is a name in MLflow's own registry.
type RegisteredModel struct {
	Name        string  `json:"name"`
	Description string  `json:"description"`
	Tags        []Pair  `json:"tags"`
	Aliases     []Alias `json:"aliases"`
	Created     Text    `json:"creation_timestamp"`
}

// Alias points to a version by its number.
type Alias struct {
	Alias   string `json:"alias"`
	Version Text   `json:"version"`
}

// ModelVersion is a version in MLflow's own registry.
type ModelVersion struct {
	Name        string `json:"name"`
	Version     Text   `json:"version"`
	Description string `json:"description"`
	Stage       string `json:"current_stage"`
	Source      string `json:"source"`
	Run         string `json:"run_id"`
	RunLink     string `json:"run_link"`
	ModelID     string `json:"model_id"`
	Status      string `json:"status"`
	Tags        []Pair `json:"tags"`
	Created     Text   `json:"creation_timestamp"`
}

// Number is the version as a number, 0 where it is none.
func (v ModelVersion) Number() int { return int(v.Version.number()) }
