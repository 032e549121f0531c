package probe_test

import (
	"strings"
	"testing"
	"time"
)

// What a vendor's model answers is hostile until it is scored: nothing takes long, and nothing breaks.
func TestHostileAnswersAreScored(t *testing.T) {
	long := strings.Repeat("1e999999,", 7000) + "1"
	for _, score := range []string{
		"{schema: {type: array, items: {type: integer, maximum: 5, multipleOf: 0.5}}}",
		"{schema: {$defs: {a: {type: array, items: {$ref: '#/$defs/a'}}}, $ref: '#/$defs/a'}}",
		"{schema: {type: string, pattern: '^(a+)+$', format: email}}",
		"{regex: '^(a+)+$'}", "{exact: x}", "{number: 4, within: 1}", "{refusal: true}",
	} {
		from := time.Now()
		for _, answer := range []string{
			"[1e9999999999]", "[" + long + "]", strings.Repeat("[", 60000), strings.Repeat("[", 9000) + strings.Repeat("]", 9000), `"` + strings.Repeat("a", 60000) + `!"`,
			"\xff\xfe\x00", strings.Repeat("1,", 30000), strings.Repeat("9", 60000), "1e" + strings.Repeat("9", 60000), "```", "``````",
		} {
			if passed(t, score, answer) && !strings.HasPrefix(answer, strings.Repeat("[", 9000)) {
				t.Errorf("%s passes %.30q", score, answer)
			}
		}
		if took := time.Since(from); took > 10*time.Second {
			t.Errorf("%s takes %s", score, took)
		}
	}
}
