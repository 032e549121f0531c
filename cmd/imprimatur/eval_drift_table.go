package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/drift"
)

// tableRules say how the columns of a table are read.
type tableRules struct {
	Predictions []string `sep:"none" placeholder:"COLUMN" help:"A column that the model gives, not one that it is given. May be repeated."`
	Without     []string `sep:"none" placeholder:"COLUMN" help:"A column to leave out, such as a row's number. May be repeated."`
	Categorical []string `sep:"none" placeholder:"COLUMN" help:"A column of categories, though it holds numbers. May be repeated."`
	Numeric     []string `sep:"none" placeholder:"COLUMN" help:"A column of numbers: anything else in it is refused. May be repeated."`
	Missing     []string `sep:"none" placeholder:"TEXT" help:"A text that stands for no value, beside the empty one. May be repeated."`
}

// tableCell is a value of a table. The empty text is no value.
type tableCell struct {
	text string
	// word says that it is text whatever it looks like.
	word bool
}

// tableColumn is what a table's first reading finds out about a column.
type tableColumn struct {
	name           string
	numbers, words int
	// word is the first text that is no number, in row at.
	word string
	at   int
	kind drift.Kind
}

// reference reads a table whose columns are told by their content.
func (t *tableRules) reference(ctx context.Context, path string) (drift.Sample, []tableColumn, error) {
	var columns []tableColumn
	index := map[string]int{}
	_, err := readTable(ctx, path, func(row int, name string, c tableCell) error {
		i, ok := index[name]
		if !ok {
			i = len(columns)
			index[name], columns = i, append(columns, tableColumn{name: name})
		}
		x := &columns[i]
		if t.none(c) {
			return nil
		}
		switch v, err := strconv.ParseFloat(c.text, 64); {
		case c.word || err != nil:
			if x.words++; x.words == 1 {
				x.word, x.at = c.text, row
			}
		case !math.IsNaN(v) && !math.IsInf(v, 0):
			x.numbers++
		}
		return nil
	})
	if err != nil {
		return drift.Sample{}, nil, err
	}
	if columns, err = t.choose(path, columns); err != nil {
		return drift.Sample{}, nil, err
	}
	sample, err := t.sample(ctx, path, columns)
	return sample, columns, err
}

func (t *tableRules) none(c tableCell) bool {
	return c.text == "" || slices.Contains(t.Missing, c.text)
}

// choose says of which kind each column is, and leaves out what is not wanted.
func (t *tableRules) choose(path string, columns []tableColumn) ([]tableColumn, error) {
	for _, name := range slices.Concat(t.Predictions, t.Without, t.Categorical, t.Numeric) {
		if !slices.ContainsFunc(columns, func(c tableColumn) bool { return c.name == name }) {
			return nil, wrongf("%s has no column %q", path, name)
		}
	}
	var kept []tableColumn
	for _, c := range columns {
		switch {
		case slices.Contains(t.Without, c.name):
			continue
		case slices.Contains(t.Categorical, c.name):
			c.kind = drift.Categorical
		case slices.Contains(t.Numeric, c.name), c.words == 0 && c.numbers > 0:
			c.kind = drift.Numeric
		case c.numbers == 0:
			c.kind = drift.Categorical
		default:
			f := wrongf("%s: the column %q has %s and %s that is none, the first of them %q in row %d", path, c.name, count(c.numbers, "number"), count(c.words, "value"), c.word, c.at)
			f.hint = fmt.Sprintf("say --categorical %q, --without %q, or --missing %q", c.name, c.name, c.word)
			return nil, f
		}
		kept = append(kept, c)
	}
	return kept, nil
}

// sample reads the columns of a table. Others of it are passed over.
func (t *tableRules) sample(ctx context.Context, path string, columns []tableColumn) (drift.Sample, error) {
	index := map[string]int{}
	found := make([]drift.Column, len(columns))
	for i, c := range columns {
		index[c.name] = i
		found[i] = drift.Column{Name: c.name, Source: drift.Input}
		if slices.Contains(t.Predictions, c.name) {
			found[i].Source = drift.Prediction
		}
	}
	known := map[string]string{}
	rows, err := readTable(ctx, path, func(row int, name string, c tableCell) error {
		i, ok := index[name]
		if !ok {
			return nil
		}
		if t.none(c) {
			c.text = ""
		}
		// What a row before did not have is missing in it.
		x := &found[i]
		if columns[i].kind == drift.Categorical {
			label, ok := known[c.text]
			if !ok {
				label = strings.Clone(c.text)
				known[label] = label
			}
			x.Labels = append(pad(x.Labels, row-1, ""), label)
			return nil
		}
		v := math.NaN()
		if c.text != "" {
			var err error
			if v, err = strconv.ParseFloat(c.text, 64); err != nil || c.word {
				return wrongf("%s, row %d: the column %q is numeric, and %q is no number", path, row, name, c.text)
			}
		}
		x.Numbers = append(pad(x.Numbers, row-1, math.NaN()), v)
		return nil
	})
	if err != nil {
		return drift.Sample{}, err
	}
	for i := range found {
		if found[i].Labels == nil && found[i].Numbers == nil {
			return drift.Sample{}, wrongf("%s has no column %q, which the reference has", path, columns[i].name)
		}
		if columns[i].kind == drift.Categorical {
			found[i].Labels = pad(found[i].Labels, rows, "")
		} else {
			found[i].Numbers = pad(found[i].Numbers, rows, math.NaN())
		}
	}
	return drift.Sample{Columns: found}, nil
}

func pad[T any](values []T, n int, with T) []T {
	for len(values) < n {
		values = append(values, with)
	}
	return values
}

// readTable reads CSV with a header, or one JSON object a line, and calls each
// for every value with the number of its row, from 1. A value's text is valid
// during the call only. It returns the number of rows.
func readTable(ctx context.Context, path string, each eachCell) (int, error) {
	f, err := os.Open(path)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return 0, fmt.Errorf("cannot read the table %s: %w", path, err)
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<16)
	if start, _ := in.Peek(3); string(start) == "\xef\xbb\xbf" {
		_, _ = in.Discard(3)
	}
	checked := func(row int, name string, c tableCell) error {
		if row%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		return each(row, name, c)
	}
	if start, _ := in.Peek(1); string(start) == "{" {
		return readObjects(in, path, checked)
	}
	return readCSV(in, path, checked)
}

type eachCell func(row int, name string, c tableCell) error

func readCSV(in io.Reader, path string, each eachCell) (int, error) {
	r := csv.NewReader(in)
	r.ReuseRecord = true
	var header []string
	for row := 0; ; row++ {
		fields, err := r.Read()
		switch {
		case errors.Is(err, io.EOF) && row < 2:
			return 0, wrongf("%s has no rows: a table is CSV with a header, or one JSON object a line", path)
		case errors.Is(err, io.EOF):
			return row - 1, nil
		case err != nil:
			return 0, wrongf("%s is no table: %w", path, err)
		}
		if row == 0 {
			header = slices.Clone(fields)
			for i, name := range header {
				if name == "" || slices.Contains(header[:i], name) {
					return 0, wrongf("%s: column %d has no name of its own in the header", path, i+1)
				}
			}
			continue
		}
		for i, text := range fields {
			if err := each(row, header[i], tableCell{text: text}); err != nil {
				return 0, err
			}
		}
	}
}

func readObjects(in io.Reader, path string, each eachCell) (int, error) {
	d := jsontext.NewDecoder(in)
	for row := 1; ; row++ {
		start, err := d.ReadToken()
		if errors.Is(err, io.EOF) {
			return row - 1, nil
		}
		if err != nil || start.Kind() != '{' {
			return 0, wrongf("%s, row %d: one JSON object a line is expected: %w", path, row, orObject(err))
		}
		for d.PeekKind() == '"' {
			t, err := d.ReadToken()
			if err != nil {
				return 0, wrongf("%s, row %d: %w", path, row, err)
			}
			name := t.String()
			c, err := readCell(d)
			if err != nil {
				return 0, wrongf("%s, row %d, column %q: %w", path, row, name, err)
			}
			if err := each(row, name, c); err != nil {
				return 0, err
			}
		}
		if _, err := d.ReadToken(); err != nil {
			return 0, wrongf("%s, row %d: %w", path, row, err)
		}
	}
}

func orObject(err error) error {
	if err == nil {
		return errors.New("it is something else")
	}
	return err
}

func readCell(d *jsontext.Decoder) (tableCell, error) {
	switch kind := d.PeekKind(); kind {
	case '{', '[':
		return tableCell{}, errors.New("a text, number, truth value or null is expected here")
	default:
		t, err := d.ReadToken()
		switch {
		case err != nil || kind == 'n':
			return tableCell{}, err
		case kind == '0':
			return tableCell{text: t.String()}, nil
		}
		return tableCell{text: t.String(), word: true}, nil
	}
}
