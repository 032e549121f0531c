package record

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// EvaluationRunType is the predicate type of a signed [EvaluationRun].
const EvaluationRunType = "https://imprimatur.dev/evaluation-run/v1"

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

// Complete fills in what a signed run leaves open by what is said of it
// unsigned, and names the members that were filled in. Where the two say
// different things of one member there is an error.
func (r EvaluationRun) Complete(said EvaluationRun) (whole EvaluationRun, filled []string, err error) {
	r.Settings, r.Labels = maps.Clone(r.Settings), maps.Clone(r.Labels)
	filled, err = complete("", reflect.ValueOf(&r).Elem(), reflect.ValueOf(said))
	return r, filled, err
}

// complete sets what is zero, member by member of structs and maps.
func complete(name string, into, from reflect.Value) (filled []string, err error) {
	switch {
	case from.IsZero():
		return nil, nil
	case into.Kind() == reflect.Struct && into.Type() != reflect.TypeFor[time.Time]():
		for i := range into.NumField() {
			member, _, _ := strings.Cut(into.Type().Field(i).Tag.Get("json"), ",")
			more, err := complete(strings.TrimPrefix(name+"."+member, "."), into.Field(i), from.Field(i))
			if err != nil {
				return nil, err
			}
			filled = append(filled, more...)
		}
		return filled, nil
	case into.Kind() == reflect.Map && !into.IsNil():
		return completeMap(name, into.Interface().(map[string]string), from.Interface().(map[string]string))
	case into.IsZero():
		into.Set(from)
		return []string{name}, nil
	case !same(into.Interface(), from.Interface()):
		return nil, fmt.Errorf("the signed run says that %s is %v, and not %v", name, into.Interface(), from.Interface())
	}
	return nil, nil
}

func same(a, b any) bool {
	if at, ok := a.(time.Time); ok {
		return at.Equal(b.(time.Time))
	}
	return reflect.DeepEqual(a, b)
}

func completeMap(name string, into, from map[string]string) (filled []string, err error) {
	for _, k := range slices.Sorted(maps.Keys(from)) {
		switch have, ok := into[k]; {
		case !ok:
			into[k] = from[k]
			filled = append(filled, name+"."+k)
		case have != from[k]:
			return nil, fmt.Errorf("the signed run says that %s.%s is %s, and not %s", name, k, have, from[k])
		}
	}
	return filled, nil
}
