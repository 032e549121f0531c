package evidence

import (
	"encoding/base64"
	"strings"

	"imprimatur.dev/record"
)

// intotoFormat is an in-toto test-result, version 0.1: a statement, or one in a
// DSSE envelope, whose signature is the evaluator's to vouch for, not ours to
// know. Each named test is an item of pass_rate; a test with a warning passed
// and is counted in the warnings. Its own result decides nothing. Source:
// in-toto/attestation, spec/predicates/test-result.md.
var intotoFormat = importer{
	format: "in-toto", version: 1, accepts: "in-toto test-result v0.1, bare or in a DSSE envelope",
	match: func(h *head) string {
		d := h.one()
		switch {
		case strings.HasPrefix(d.text("predicateType"), testResult):
			return "statement"
		case d.text("payloadType") == "application/vnd.in-toto+json" && d.has("payload", "signatures"):
			return "envelope"
		}
		return ""
	},
	read: func(in *input) error {
		for _, p := range in.parts {
			if err := readTestResult(in, p); err != nil {
				return err
			}
		}
		return nil
	},
}

const testResult = "https://in-toto.io/attestation/test-result/"

func readTestResult(in *input, p part) error {
	d := in.json(p)
	if p.role == "envelope" {
		payload := ""
		d.object(func(name string) bool {
			if name == "payload" {
				payload = d.text()
			} else {
				d.skip()
			}
			return true
		})
		if err := d.end(); err != nil {
			return err
		}
		raw, err := base64.StdEncoding.DecodeString(payload)
		if err != nil {
			return p.refuse("/payload", "it is not base64")
		}
		d = in.jsonFrom(p, strings.NewReader(string(raw)))
		d.member = "payload"
		in.warn("the signatures of the envelope are not checked here")
	}
	return testStatement(in, p, d)
}

func testStatement(in *input, p part, d *doc) error {
	s := in.suite("test-result", record.Accuracy)
	s.Tool.Name = "in-toto"
	s.describe(record.Metric{Name: passRate, Direction: record.Higher}, 0, 1)
	kind, result := "", ""
	warned := 0
	tests := func(outcome bool) int {
		n := 0
		d.array(func(int) {
			s.outcome(s.newItem(d.text()), passRate, outcome)
			n++
		})
		return n
	}
	d.object(func(name string) bool {
		switch name {
		case "predicateType":
			kind = d.text()
		case "predicate":
			d.object(func(name string) bool {
				switch name {
				case "result":
					result = d.text()
				case "passedTests":
					tests(true)
				case "warnedTests":
					warned = tests(true)
				case "failedTests":
					tests(false)
				case "url":
					s.Labels["url"] = clip(d.text())
				case "configuration":
					d.skip()
				default:
					return false
				}
				return true
			})
		case "_type", "subject":
			d.skip()
		default:
			return false
		}
		return true
	})
	if err := d.end(); err != nil {
		return err
	}
	if kind != testResult+"v0.1" {
		return p.refuse("/predicateType", "it is %q, and test-result v0.1 is read", clip(kind))
	}
	s.SuiteVersion = "v0.1"
	if warned > 0 {
		in.warn("%d tests passed with a warning", warned)
	}
	if s.items.len() == 0 {
		s.incomplete("it says %s and names no test", result)
	}
	return nil
}
