package evidence_test

import (
	"testing"

	"imprimatur.dev/evidence"
	"imprimatur.dev/record"
)

func TestItems(t *testing.T) {
	const file = `{"imprimatur":"items/v1","suite":"holdout","category":"accuracy","expected":3,"metrics":{"accuracy":{"direction":"higher"},"loss":{"direction":"lower","low":0}}}
{"item":"a","slice":{"sex":"f"},"metrics":{"accuracy":true,"loss":0.5}}
{"item":"b","slice":{"sex":"m"},"metrics":{"accuracy":false,"loss":1.5}}
{"item":"c","slice":{"sex":"m"},"metrics":{"accuracy":true,"loss":1}}
`
	r, err := evidence.Read([]evidence.File{evidence.FileOf("x", []byte(file))}, record.EvaluationRun{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range r.Evaluations[0].Metrics {
		t.Logf("%s %v n=%d", m.Label(), m.Value, m.N)
	}
}
