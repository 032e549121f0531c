package evidence

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// maxRow is the length in bytes of the longest row of a table.
const maxRow = 1 << 20

// table reads comma-separated values with a header (RFC 4180), row by row. Each
// is given the row's line and its fields; they are valid until the next row.
func (p part) table(each func(line int, row []string) error) (header []string, err error) {
	r := csv.NewReader(&longRows{in: io.NewSectionReader(p, 0, p.Size), most: maxRow})
	r.ReuseRecord = true
	for n := 0; ; n++ {
		row, err := r.Read()
		var limited limit
		switch {
		case errors.Is(err, io.EOF):
			return header, nil
		case errors.As(err, &limited):
			return nil, p.refuse("", "%s", limited.Error())
		case err != nil:
			var bad *csv.ParseError
			if errors.As(err, &bad) {
				return nil, p.refuse(fmt.Sprintf("line %d", bad.Line), "it is not valid CSV: %v", bad.Err)
			}
			return nil, fmt.Errorf("reading %s: %w", p.Name, err)
		}
		line, _ := r.FieldPos(0)
		for _, f := range row {
			if !utf8.ValidString(f) {
				return nil, p.refuse(fmt.Sprintf("line %d", line), "it is not valid UTF-8")
			}
		}
		if n == 0 {
			header = append(header, row...)
			for i, c := range header {
				if c == "" || contains(header[:i], c) {
					return nil, p.refuse("line 1", "the column %d has no name of its own", i+1)
				}
			}
			if err := each(0, header); err != nil {
				return nil, err
			}
			continue
		}
		if err := each(line, row); err != nil {
			return nil, err
		}
	}
}

func contains(in []string, s string) bool {
	for _, x := range in {
		if x == s {
			return true
		}
	}
	return false
}

// longRows stops at a row that is too long to keep.
type longRows struct {
	in    io.Reader
	most  int
	since int
}

func (l *longRows) Read(p []byte) (int, error) {
	n, err := l.in.Read(p)
	if i := strings.LastIndexByte(string(p[:n]), '\n'); i >= 0 {
		l.since = n - i - 1
	} else {
		l.since += n
	}
	if l.since > l.most {
		return 0, limit(fmt.Sprintf("it has a line longer than %d bytes", l.most))
	}
	return n, err
}

// csv reads a table of items.
func (r *itemReader) csv(p part) error {
	r.begin("items", "")
	var columns []string
	var it oneItem
	_, err := p.table(func(line int, row []string) error {
		if line == 0 {
			columns = append(columns, row...)
			return nil
		}
		it.clear()
		for i, c := range columns {
			if err := r.cell(&it, c, row[i]); err != "" {
				return p.refuse(fmt.Sprintf("line %d, column %s", line, c), "%s", err)
			}
		}
		it.identify()
		if err := r.take(&it); err != nil {
			return p.refuse(fmt.Sprintf("line %d", line), "%s", err)
		}
		return nil
	})
	return err
}

// cell reads one cell, and says what is wrong with it.
func (r *itemReader) cell(it *oneItem, column, text string) string {
	kind, name, _ := strings.Cut(column, ".")
	switch {
	case column == "item":
		it.id = append(it.id, text...)
	case column == "cluster":
		it.cluster = append(it.cluster, text...)
	case column == "error":
		it.failed = text != ""
	case column == "label":
		it.label = text
	case column == "prediction":
		it.prediction = text
	case column == "skipped":
		it.skipped = text == "true" || text == "1"
	case kind == "slice" && name != "":
		it.slices = append(it.slices, itemSlice{name, text})
	case column == "score" && text != "":
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
			return "a number is expected here"
		}
		it.score, it.any = v, true
	case column == "score":
	case column == "outcome":
		return it.metricCell("success_rate", text)
	case kind == "metric" && name != "":
		return it.metricCell(name, text)
	default:
		r.in.notes.unknownMember("/" + column)
	}
	return ""
}

// metricCell reads an outcome or a score; an empty cell is no answer.
func (it *oneItem) metricCell(metric, text string) string {
	v := itemValue{metric: metric}
	switch strings.ToLower(text) {
	case "":
		v.kind = 'n'
	case "true":
		v.kind = 't'
	case "false":
		v.kind = 'f'
	default:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return "true, false or a number is expected here"
		}
		v.kind, v.score = jsontext.Kind('0'), f
	}
	it.values = append(it.values, v)
	return ""
}
