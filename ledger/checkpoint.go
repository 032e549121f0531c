package ledger

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// ErrCheckpoint is wrapped by errors about the text of a checkpoint.
var ErrCheckpoint = errors.New("not a valid checkpoint")

// A Checkpoint says what the log with this origin was when it had Size leaves.
type Checkpoint struct {
	Origin string    // the log's name, one line, the same for its whole life
	Size   int64     // number of leaves
	Root   tlog.Hash // RFC 6962 tree hash
}

// Text returns the note text of the checkpoint (C2SP tlog-checkpoint, "Note
// text"), which ends with a newline.
func (c Checkpoint) Text() string {
	return c.Origin + "\n" + strconv.FormatInt(c.Size, 10) + "\n" + c.Root.String() + "\n"
}

// ParseCheckpoint reads the note text of a checkpoint. Extension lines, leading
// zeroes and anything else that [Checkpoint.Text] would not write are refused
// with an error that wraps [ErrCheckpoint].
func ParseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return Checkpoint{}, fmt.Errorf("%w: it must be three lines: origin, size and root", ErrCheckpoint)
	}
	if lines[0] == "" {
		return Checkpoint{}, fmt.Errorf("%w: the origin is empty", ErrCheckpoint)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 {
		return Checkpoint{}, fmt.Errorf("%w: size %q", ErrCheckpoint, lines[1])
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: root %q", ErrCheckpoint, lines[2])
	}
	c := Checkpoint{Origin: lines[0], Size: size, Root: root}
	if c.Text() != text {
		return Checkpoint{}, fmt.Errorf("%w: size or root is not in its only form", ErrCheckpoint)
	}
	return c, nil
}

// Sign returns the checkpoint as a signed note with one signature line from
// each signer, in their order.
func (c Checkpoint) Sign(signers ...note.Signer) ([]byte, error) {
	if c.Origin == "" || strings.Contains(c.Origin, "\n") {
		return nil, fmt.Errorf("%w: the origin %q is not one line of text", ErrCheckpoint, c.Origin)
	}
	if len(signers) == 0 {
		return nil, errors.New("signing the checkpoint: no signer was given")
	}
	signed, err := note.Sign(&note.Note{Text: c.Text()}, signers...)
	if err != nil {
		return nil, fmt.Errorf("signing the checkpoint: %w", err)
	}
	return signed, nil
}

// OpenCheckpoint reads a signed note and verifies it: at least one signature
// must be by a known key, each known key's signature must be right, and the
// origin must be the one expected.
func OpenCheckpoint(signed []byte, origin string, known note.Verifiers) (Checkpoint, error) {
	n, err := note.Open(signed, known)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("verifying the checkpoint's signature: %w", err)
	}
	c, err := ParseCheckpoint(n.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	if c.Origin != origin {
		return Checkpoint{}, fmt.Errorf("%w: it is of the log %q, not of %q", ErrCheckpoint, c.Origin, origin)
	}
	return c, nil
}

// UnverifiedCheckpoint reads the checkpoint of a signed note without looking at
// its signatures. It is for a note from a place that is trusted already.
func UnverifiedCheckpoint(signed []byte) (Checkpoint, error) {
	text, _, ok := strings.Cut(string(signed), "\n\n")
	if !ok {
		return Checkpoint{}, fmt.Errorf("%w: no blank line before the signatures", ErrCheckpoint)
	}
	return ParseCheckpoint(text + "\n")
}
