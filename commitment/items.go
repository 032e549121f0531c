package commitment

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/record"
)

// What of an item is hashed; a field is [fieldPrefix] and its name.
const (
	IdentityNDJSON = "ndjson"
	IdentityCSV    = "csv"
	fieldPrefix    = "field "
)

// maxLine is the length in bytes of the longest item.
const maxLine = 16 << 20

func validIdentity(s string) bool {
	name, isField := strings.CutPrefix(s, fieldPrefix)
	return s == IdentityNDJSON || s == IdentityCSV ||
		(isField && name != "" && len(name) <= record.MaxNames && utf8.ValidString(name) && !strings.ContainsFunc(name, unicode.IsControl))
}

// Read makes the set of a file's items under a key. The file is CSV with a line
// of names where csv is true, else NDJSON. An empty field takes the whole item.
// Errors name the line.
func Read(r io.Reader, key []byte, csv bool, field string) (s *Set, repeats int, err error) {
	identity := IdentityNDJSON
	switch {
	case field != "":
		identity = fieldPrefix + field
	case csv:
		identity = IdentityCSV
	}
	if !validIdentity(identity) {
		return nil, 0, fmt.Errorf("%q is not the name of a field: text of one line, at most %d bytes", field, record.MaxNames)
	}
	b := NewBuilder(key, identity)
	if csv {
		err = readCSV(r, field, b.Add)
	} else {
		err = readNDJSON(r, field, b.Add)
	}
	if err != nil {
		return nil, 0, err
	}
	return b.Set()
}

func readNDJSON(r io.Reader, field string, add func([]byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	n := 0
	for lines.Scan() {
		n++
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		identity, err := ofJSON(line, field)
		if err == nil {
			err = add(identity)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("line %d is longer than %d MB", n+1, maxLine>>20)
	}
	return lines.Err()
}

var wholeNumber = regexp.MustCompile(`^-?[0-9]+$`)

// ofJSON takes the identity out of a line, which it may overwrite.
func ofJSON(line []byte, field string) ([]byte, error) {
	value := jsontext.Value(line)
	if field == "" {
		err := value.Canonicalize()
		return value, err
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(line, &members); err != nil {
		return nil, err
	}
	member := members[field]
	switch member.Kind() {
	case '"':
		text, err := jsontext.AppendUnquote(nil, member)
		if err == nil && len(text) == 0 {
			err = fmt.Errorf("the field %q is empty", field)
		}
		return text, err
	case '0':
		if wholeNumber.Match(member) {
			return member, nil
		}
	}
	return nil, fmt.Errorf("the field %q is neither text nor a whole number", field)
}

func readCSV(r io.Reader, field string, add func([]byte) error) error {
	rows := csv.NewReader(r)
	rows.ReuseRecord = true
	names, at, err := heading(rows, field)
	if err != nil {
		return err
	}
	row := make(map[string]string, len(names))
	for {
		cells, err := rows.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err // names the line itself
		}
		var identity []byte
		if at >= 0 {
			if identity = []byte(cells[at]); len(identity) == 0 {
				err = fmt.Errorf("the column %q is empty", field)
			}
		} else {
			for i, name := range names {
				row[name] = cells[i]
			}
			identity, err = record.CanonicalOf(row)
		}
		if err == nil {
			err = add(identity)
		}
		if err != nil {
			line, _ := rows.FieldPos(0)
			return fmt.Errorf("line %d: %w", line, err)
		}
	}
}

// heading reads the names of the columns, and where the field is; -1 for none.
func heading(rows *csv.Reader, field string) (names []string, at int, err error) {
	first, err := rows.Read()
	if err != nil {
		if err == io.EOF {
			err = ErrEmpty
		}
		return nil, 0, err
	}
	at = -1
	seen := map[string]bool{}
	for i, name := range first {
		if i == 0 {
			name = strings.TrimPrefix(name, "\ufeff")
		}
		if seen[name] {
			return nil, 0, fmt.Errorf("line 1: the column %q is there twice", name)
		}
		seen[name] = true
		if name == field {
			at = i
		}
		names = append(names, name)
	}
	if field != "" && at < 0 {
		return nil, 0, fmt.Errorf("line 1: there is no column %q; it has %s", field, strings.Join(names, ", "))
	}
	return names, at, nil
}
