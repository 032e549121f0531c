package artifact

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
)

// message says which fields of a protobuf message are walked: by number, the message that a field holds, with "" for a
// field that is known and passed over. A field that is not listed makes the content another format.
type message map[uint64]string

// onnxMessages is the part of onnx/onnx, onnx/onnx.proto, that leads to tensors with external data and to operator sets.
var onnxMessages = map[string]message{
	"Model": {1: "", 2: "", 3: "", 4: "", 5: "", 6: "", 7: "Graph", 8: "OperatorSet", 14: "", 20: "", 25: "Function", 26: ""},
	"Graph": {1: "Node", 2: "", 5: "Tensor", 10: "", 11: "", 12: "", 13: "", 14: "", 15: "SparseTensor", 16: ""},
	"Node":  {1: "", 2: "", 3: "", 4: "", 5: "Attribute", 6: "", 7: "", 8: "", 9: "", 10: ""},
	"Attribute": {
		1: "", 2: "", 3: "", 4: "", 5: "Tensor", 6: "Graph", 7: "", 8: "", 9: "", 10: "Tensor", 11: "Graph", 13: "", 14: "",
		15: "", 20: "", 21: "", 22: "SparseTensor", 23: "SparseTensor",
	},
	"Tensor": {
		1: "", 2: "", 3: "", 4: "", 5: "", 6: "", 7: "", 8: "", 9: "", 10: "", 11: "", 12: "", 13: "Entry", 14: "", 16: "",
	},
	"SparseTensor": {1: "Tensor", 2: "Tensor", 3: ""},
	"Function":     {1: "", 4: "", 5: "", 6: "", 7: "Node", 8: "", 9: "OperatorSet", 10: "", 11: "Attribute", 12: "", 13: "", 14: ""},
	"Entry":        {1: "text", 2: "text"},
	"OperatorSet":  {1: "text", 2: ""},
}

const (
	maxONNXDepth  = 64
	maxONNXFields = 20 << 20
)

// scanONNX recognizes ONNX by walking its fields, for the format has no signature: a Model with an IR version and a graph,
// and no field that the format does not know. Data kept in other files must lie in the model's own folder.
func scanONNX(s *scan, name string, c content, _ int) Format {
	w := onnxWalk{cursor: newCursor(c), seen: map[uint64]bool{}}
	err := w.message("Model", uint64(c.size), 0)
	if (err != nil && !errors.Is(err, errCut)) || !w.seen[1] || !w.seen[7] {
		return ""
	}
	if err != nil {
		s.add(name, KindUnknown, "an ONNX model with more fields than are looked at")
	}
	for _, location := range w.escapes {
		s.add(name, KindEscape, "it reads its data from %.100q, which is not a plain path within the model", location)
	}
	for _, domain := range w.domains {
		s.add(name, KindCustomOp, "it uses operators of %.100q, which need code from elsewhere", domain)
	}
	return ONNX
}

type onnxWalk struct {
	*cursor
	seen    map[uint64]bool // fields of the model itself
	fields  int
	texts   [3]string // of the entry or operator set being read, by field number
	escapes []string  // locations of external data that are no paths within the model
	domains []string  // of operators that are not the standard's
}

func (w *onnxWalk) message(kind string, length uint64, depth int) error {
	if length > uint64(w.size-w.off) || depth > maxONNXDepth {
		return errMalformed
	}
	known, end := onnxMessages[kind], w.off+int64(length)
	if kind == "Entry" || kind == "OperatorSet" {
		w.texts = [3]string{}
	}
	for w.off < end {
		if w.fields++; w.fields > maxONNXFields {
			return errCut
		}
		if err := w.field(known, depth, end); err != nil {
			return err
		}
	}
	if w.off != end {
		return errMalformed
	}
	switch kind {
	case "Entry":
		if location := w.texts[2]; w.texts[1] == "location" && (!fs.ValidPath(location) || strings.Contains(location, "\\")) {
			w.escapes = note(w.escapes, location)
		}
	case "OperatorSet":
		if !standardDomain(w.texts[1]) {
			w.domains = note(w.domains, w.texts[1])
		}
	}
	return nil
}

// note adds a text to a list that stays short, once.
func note(list []string, text string) []string {
	if len(list) == maxFindings || slices.Contains(list, text) {
		return list
	}
	return append(list, text)
}

func standardDomain(domain string) bool {
	return slices.Contains([]string{"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training"}, domain)
}

func (w *onnxWalk) field(known message, depth int, end int64) error {
	tag, err := w.varint()
	if err != nil {
		return err
	}
	number := tag >> 3
	child, listed := known[number]
	if !listed {
		return errMalformed
	}
	if depth == 0 {
		w.seen[number] = true
	}
	switch tag & 7 {
	case 0:
		_, err = w.varint()
		return err
	case 1:
		return w.skip(8)
	case 5:
		return w.skip(4)
	case 2:
		length, err := w.varint()
		if err != nil || length > uint64(end-w.off) {
			return errMalformed
		}
		switch child {
		case "":
			return w.skip(length)
		case "text":
			text, err := w.take(int64(min(length, windowSize)))
			if err != nil || length > windowSize {
				return errMalformed
			}
			w.texts[number] = string(text)
			return nil
		}
		return w.message(child, length, depth+1)
	}
	return errMalformed
}
