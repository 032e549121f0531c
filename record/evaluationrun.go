package record

import "time"

// EvaluationRun is what surrounds a tool's files and stands in none of them:
// which model by its bytes, which data, which settings, who ran it and when.
// imprimatur eval wrap writes and signs it; what an evaluator says on the
// command line is one too, unsigned. Members left out are not known.
type EvaluationRun struct {
	Team          string            `json:"team,omitzero"`
	Artifact      Digest            `json:"artifact,omitzero"`
	Prompt        Digest            `json:"prompt,omitzero"`
	Configuration Digest            `json:"configuration,omitzero"`
	Category      Category          `json:"category,omitzero"`
	Suite         string            `json:"suite,omitzero"`
	SuiteVersion  string            `json:"suiteVersion,omitzero"`
	Definition    Digest            `json:"definition,omitzero"`
	Dataset       Digest            `json:"dataset,omitzero"`
	Tool          Tool              `json:"tool,omitzero"`
	Settings      map[string]string `json:"settings,omitzero"`
	Labels        map[string]string `json:"labels,omitzero"`
	Judges        []Judge           `json:"judges,omitzero"`
	// Subject chooses one model where a file has results of several, by the
	// name that the tool gives it.
	Subject string `json:"subject,omitzero"`
	// Expected is how many items there should be.
	Expected int `json:"expected,omitzero"`
	// Command was run, and ended with the status Exit.
	Command []string `json:"command,omitzero"`
	Exit    int      `json:"exit,omitzero"`
	// Outputs are the files that the command wrote.
	Outputs   []RawFile `json:"outputs,omitzero"`
	Evaluator string    `json:"evaluator,omitzero"`
	Started   time.Time `json:"started,omitzero"`
	Finished  time.Time `json:"finished,omitzero"`
}
