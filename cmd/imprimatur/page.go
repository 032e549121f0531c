package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// style is an ANSI colour, empty for none.
type style string

const (
	quiet  style = "\x1b[2m"
	good   style = "\x1b[32m"
	bad    style = "\x1b[31m"
	warn   style = "\x1b[33m"
	strong style = "\x1b[1m"
	loud   style = "\x1b[1;33m"
)

// cell is one field of a table.
type cell struct {
	text  string
	style style
}

// page draws text for people.
type page struct {
	w      *bufio.Writer
	colour bool
	// width is the terminal's, 0 where lines have no end.
	width int
}

func newPage(w io.Writer, colour bool) *page {
	p := &page{w: bufio.NewWriter(w), colour: colour}
	if f, ok := terminal(w); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			p.width = width
		}
	}
	return p
}

func (p *page) flush() error { return p.w.Flush() }

// line prints one line.
func (p *page) line(format string, args ...any) {
	fmt.Fprintln(p.w, plain(fmt.Sprintf(format, args...)))
}

// styled prints one line in a style.
func (p *page) styled(s style, format string, args ...any) {
	fmt.Fprintln(p.w, p.dress(cell{plain(fmt.Sprintf(format, args...)), s}))
}

// field prints a named value, aligned with its like.
func (p *page) field(name, format string, args ...any) {
	p.line("%-13s %s", name, fmt.Sprintf(format, args...))
}

func (p *page) dress(c cell) string {
	if !p.colour || c.style == "" || c.text == "" {
		return c.text
	}
	return string(c.style) + c.text + "\x1b[0m"
}

// table prints rows aligned by column. The last column is wrapped at the
// terminal's width under its own beginning or, where that leaves too little to
// read in, on lines of its own.
func (p *page) table(rows [][]cell) {
	widths := columnWidths(rows)
	indent := 0
	for _, w := range widths {
		indent += w + 2
	}
	const least, under = 24, 5
	for _, row := range rows {
		var b strings.Builder
		for i, c := range row {
			c.text = strings.ReplaceAll(plain(c.text), "\n", " ")
			if i < len(row)-1 {
				pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text)+2)
				b.WriteString(p.dress(c) + pad)
				continue
			}
			at := indent
			if p.width > 0 && p.width-indent < least && utf8.RuneCountInString(c.text) > p.width-indent {
				at = under
				so := strings.TrimRight(b.String(), " ")
				b.Reset()
				b.WriteString(so + "\n" + strings.Repeat(" ", at))
			}
			for j, part := range wrap(c.text, p.width-at) {
				if j > 0 {
					b.WriteString("\n" + strings.Repeat(" ", at))
				}
				b.WriteString(p.dress(cell{part, c.style}))
			}
		}
		fmt.Fprintln(p.w, strings.TrimRight(b.String(), " "))
	}
}

// columnWidths measures all columns but the last.
func columnWidths(rows [][]cell) []int {
	var widths []int
	for _, row := range rows {
		for i, c := range row[:max(0, len(row)-1)] {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(plain(c.text)))
		}
	}
	return widths
}

// wrap breaks text at spaces into lines of at most width, 0 or less for no end.
func wrap(text string, width int) []string {
	if width <= 0 {
		return []string{text}
	}
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return append(lines, line)
}

// texts makes a row of plain cells.
func texts(fields ...string) []cell {
	row := make([]cell, len(fields))
	for i, f := range fields {
		row[i] = cell{text: f}
	}
	return row
}

// heading makes a row of quiet cells.
func heading(fields ...string) []cell {
	row := texts(fields...)
	for i := range row {
		row[i].style = quiet
	}
	return row
}

// tick is the mark of a yes or no.
func tick(ok bool) cell {
	if ok {
		return cell{"✓", good}
	}
	return cell{"✗", bad}
}

// plain drops what could forge a line on a terminal; line breaks stay.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r == '\t':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, s)
}

// join lists texts in order, or says none.
func join[S ~string](items []S, none string) string {
	if len(items) == 0 {
		return none
	}
	out := make([]string, len(items))
	for i, s := range items {
		out[i] = string(s)
	}
	return strings.Join(slices.Clip(out), ", ")
}
