package evidence

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"imprimatur.dev/record"
)

// junitFormat is JUnit XML as pytest and other runners write it. Every test
// case is an item of the metric pass_rate; the totals in its attributes are
// checked against the cases and decide nothing. A failure and an error did not
// pass; a skipped case was not asked, and xfail, pytest's word for a failure
// that is expected, is skipped too. Properties of a case are not read as
// numbers: they say what the test itself says. Source: pytest's
// src/_pytest/junitxml.py, families xunit1 and xunit2.
var junitFormat = importer{
	format: "junit", version: 1, accepts: "JUnit XML, as pytest --junitxml writes it",
	match: func(h *head) string {
		if h.root == "testsuites" || h.root == "testsuite" {
			return "results"
		}
		return ""
	},
	read: func(in *input) error {
		for _, p := range in.parts {
			if err := readJUnit(in, p); err != nil {
				return err
			}
		}
		return nil
	},
}

type junit struct {
	in    *input
	p     part
	dec   *xml.Decoder
	suite *suite
	depth int
	// suites are the suites that are open, the innermost last.
	suites []junitTotals
	found  junitTotals
	seen   map[string]int
}

// junitTotals are the counts of one suite: what it says and what we count.
type junitTotals struct {
	name                            string
	says                            map[string]int
	tests, failures, errors, skippd int
}

func readJUnit(in *input, p part) error {
	if p.Size > MaxWhole {
		return p.refuse("", "it has %d bytes, more than %d", p.Size, int64(MaxWhole))
	}
	j := &junit{in: in, p: p, dec: xml.NewDecoder(&longRows{in: io.NewSectionReader(p, 0, p.Size), most: MaxString}), suite: in.suite("tests", record.Accuracy), seen: map[string]int{}}
	j.dec.Entity = map[string]string{}
	j.suite.describe(record.Metric{Name: passRate, Direction: record.Higher}, 0, 1)
	j.suite.Tool.Name = "junit"
	for {
		t, err := j.dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return j.fault(err)
		}
		if err := j.token(t); err != nil {
			return err
		}
	}
	if j.found.tests == 0 {
		j.suite.incomplete("it holds no test")
	}
	if j.found.tests > 0 && j.found.tests == j.found.skippd {
		j.suite.incomplete("all of its %d tests were skipped", j.found.tests)
	}
	return nil
}

func (j *junit) fault(err error) error {
	line, _ := j.dec.InputPos()
	var limited limit
	var syntax *xml.SyntaxError
	at := fmt.Sprintf("line %d", line)
	switch {
	case errors.As(err, &limited):
		return j.p.refuse(at, "%s", limited.Error())
	case errors.As(err, &syntax) && strings.Contains(syntax.Msg, "unexpected EOF"):
		return j.p.refuse(at, "it ends in the middle of an element: the file is cut short")
	case errors.As(err, &syntax):
		return j.p.refuse(at, "it is not valid XML: %s", syntax.Msg)
	}
	return fmt.Errorf("reading %s: %w", j.p.Name, err)
}

func (j *junit) token(t xml.Token) error {
	line, _ := j.dec.InputPos()
	at := fmt.Sprintf("line %d", line)
	switch t := t.(type) {
	case xml.Directive:
		return j.p.refuse(at, "it has a document type, which could pull in other files")
	case xml.EndElement:
		j.depth--
		if t.Name.Local == "testsuite" {
			j.close()
		}
	case xml.StartElement:
		if j.depth++; j.depth > MaxDepth {
			return j.p.refuse(at, "it is nested deeper than %d", MaxDepth)
		}
		switch t.Name.Local {
		case "testsuite":
			return j.open(t, at)
		case "testcase":
			return j.test(t)
		}
	}
	return nil
}

func (j *junit) open(t xml.StartElement, at string) error {
	s := junitTotals{says: map[string]int{}}
	for _, a := range t.Attr {
		switch a.Name.Local {
		case "name":
			s.name = a.Value
		case "timestamp":
			// Without a zone, as older runners write it, it is no time.
			if t, err := time.Parse(time.RFC3339Nano, a.Value); err == nil {
				j.suite.Started, j.suite.Ran = record.Millis(t), record.Millis(t)
			} else {
				j.suite.Labels["timestamp"] = clip(a.Value)
			}
		case "hostname":
			j.suite.Labels["hostname"] = clip(a.Value)
		case "tests", "failures", "errors", "skipped", "skips":
			var n int
			if _, err := fmt.Sscanf(a.Value, "%d", &n); err != nil || n < 0 {
				return j.p.refuse(at, "%s=%q is no count", a.Name.Local, clip(a.Value))
			}
			s.says[strings.Replace(a.Name.Local, "skips", "skipped", 1)] = n
		}
	}
	j.suites = append(j.suites, s)
	return nil
}

// close holds a suite's totals against its cases, of its inner suites too.
func (j *junit) close() {
	if len(j.suites) == 0 {
		return
	}
	s := j.suites[len(j.suites)-1]
	j.suites = j.suites[:len(j.suites)-1]
	for _, c := range []struct {
		name string
		ours int
	}{{"tests", s.tests}, {"failures", s.failures}, {"errors", s.errors}, {"skipped", s.skippd}} {
		if says, ok := s.says[c.name]; ok {
			j.suite.check(c.name+" of "+s.name, float64(says), float64(c.ours), 0)
		}
	}
}

// test reads one case to its end.
func (j *junit) test(t xml.StartElement) error {
	id := ""
	for _, a := range t.Attr {
		switch a.Name.Local {
		case "classname":
			id = a.Value + "." + id
		case "name":
			id += a.Value
		}
	}
	outcome, err := j.outcome()
	if err != nil {
		return err
	}
	// A parametrised or repeated test may have the name of another.
	if j.seen[id]++; j.seen[id] > 1 {
		id = fmt.Sprintf("%s#%d", id, j.seen[id])
	}
	j.count(func(s *junitTotals) { s.tests++ })
	switch outcome {
	case "skipped":
		j.count(func(s *junitTotals) { s.skippd++ })
		j.suite.skip++
		return nil
	case "failure":
		j.count(func(s *junitTotals) { s.failures++ })
	case "error":
		j.count(func(s *junitTotals) { s.errors++ })
		j.suite.none(j.suite.newItem(id), passRate)
		return nil
	}
	j.suite.outcome(j.suite.newItem(id), passRate, outcome == "")
	return nil
}

func (j *junit) count(add func(*junitTotals)) {
	add(&j.found)
	for i := range j.suites {
		add(&j.suites[i])
	}
}

// outcome reads the children of a case: the worst of them is its outcome, and
// none of them is a pass.
func (j *junit) outcome() (string, error) {
	outcome := ""
	for depth := 1; depth > 0; {
		t, err := j.dec.Token()
		if err != nil {
			return "", j.fault(err)
		}
		switch t := t.(type) {
		case xml.EndElement:
			depth--
		case xml.StartElement:
			if depth++; depth > MaxDepth {
				return "", j.p.refuse("", "it is nested deeper than %d", MaxDepth)
			}
			switch name := t.Name.Local; {
			case depth != 2:
			case name == "error", name == "failure" && outcome != "error", name == "skipped" && outcome == "":
				outcome = name
			}
		}
	}
	j.depth--
	return outcome, nil
}
