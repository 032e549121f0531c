package evidence_test

import (
	"fmt"
	"strings"
	"testing"

	"imprimatur.dev/evidence"
	"imprimatur.dev/record"
)

// BenchmarkItems reads NDJSON of items with a kilobyte of text each, as tools
// that keep prompts and answers write them.
func BenchmarkItems(b *testing.B) {
	var text strings.Builder
	answer := strings.Repeat("the answer of the model, word by word; ", 24)
	for i := range 64 << 10 {
		fmt.Fprintf(&text, `{"item":"case-%07d","slice":{"language":"en"},"metrics":{"exact":%t,"f1":0.%04d},"answer":%q}`+"\n", i, i%3 > 0, i%9999, answer)
	}
	f := evidence.FileOf("items.ndjson", []byte(text.String()))
	b.SetBytes(f.Size)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := evidence.Read([]evidence.File{f}, record.EvaluationRun{}); err != nil {
			b.Fatal(err)
		}
	}
}
