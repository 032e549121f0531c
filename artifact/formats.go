package artifact

import (
	"archive/tar"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"compress/zlib"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"path"
	"regexp"
	"strings"
)

// scanTar looks into tar archives, as of NeMo and of the oldest PyTorch.
func scanTar(s *scan, name string, c content, depth int) Format {
	if len(c.head) < 512 || string(c.head[257:262]) != "ustar" {
		return ""
	}
	if depth >= maxNesting {
		s.add(name, KindUnknown, "an archive within an archive within an archive")
		return Tar
	}
	r := tar.NewReader(io.NewSectionReader(c, 0, c.size))
	for members := 0; ; members++ {
		h, err := r.Next()
		if err == io.EOF {
			return Tar
		}
		if err != nil || members == maxZipMembers {
			s.add(name, KindMalformed, "a tar archive that can not be read to its end: %v", err)
			return Tar
		}
		inner := name + "!" + h.Name
		if strings.HasPrefix(h.Name, "/") || strings.HasPrefix(path.Clean(h.Name), "..") {
			s.add(inner, KindEscape, "its path leads out of the folder it is unpacked in")
		}
		switch h.Typeflag {
		case tar.TypeDir:
		case tar.TypeReg:
			s.expanded(inner, r, h.Size, depth)
		default:
			s.add(inner, KindEscape, "it is a link or a device, not a file")
		}
	}
}

// scanCompressed names compressed files and looks at what the standard library can expand. What is in there is a
// finding in any case, since it is only seen in part.
func scanCompressed(s *scan, name string, c content, depth int) Format {
	open, known := expander(c.head)
	if !known {
		return ""
	}
	var r io.Reader
	var err error
	if open != nil {
		r, err = open(io.NewSectionReader(c, 0, c.size))
		if err != nil && c.head[0] == 0x78 {
			return "" // the two bytes of zlib are a chance in many texts: "x^"
		}
	}
	s.add(name, KindUnknown, "it is compressed; keep models unpacked so that they can be checked")
	if r != nil && err == nil && depth < maxNesting {
		s.expanded(name+"!", r, -1, depth)
	}
	return Compressed
}

func expander(head []byte) (open func(io.Reader) (io.Reader, error), known bool) {
	switch text := string(head[:min(len(head), 6)]); {
	case strings.HasPrefix(text, "\x1f\x8b"):
		return func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }, true
	case strings.HasPrefix(text, "BZh"):
		return func(r io.Reader) (io.Reader, error) { return bzip2.NewReader(r), nil }, true
	case len(text) > 1 && text[0] == 0x78 && binary.BigEndian.Uint16(head)%31 == 0:
		return func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) }, true
	case strings.HasPrefix(text, "\xfd7zXZ\x00"), strings.HasPrefix(text, "\x28\xb5\x2f\xfd"), strings.HasPrefix(text, "\x04\x22\x4d\x18"),
		strings.HasPrefix(text, "7z\xbc\xaf\x27\x1c"), strings.HasPrefix(text, "\x5d\x00\x00"), strings.HasPrefix(text, "Rar!"):
		return nil, true
	}
	return nil, false
}

// numpyType is the name of a type of plain numbers, texts or bytes.
const numpyType = `'[<>|=]?[?bBhHiIlLqQpPefdgFDGSUVmMuc][0-9]*(?:\[[0-9a-zA-Z]+\])?'`

var (
	// numpyHeader is what NumPy itself writes (numpy/lib/format.py). Readers evaluate any Python literal there; one that
	// NumPy would not write, with escapes or joined strings, is refused rather than understood.
	numpyHeader = regexp.MustCompile(`^\{'descr': (.*), 'fortran_order': (?:True|False), 'shape': \([0-9, ]*\), \}\s*$`)
	numpyPlain  = regexp.MustCompile(`^` + numpyType + `$`)
	numpyFields = regexp.MustCompile(`^\[(\('[^'\\]*', ` + numpyType + `(, \([0-9, ]*\))?\)(, )?)+\]$`)
	numpyObject = regexp.MustCompile(`'[<>|=]?O[0-9]*'`)
)

// scanNumpy looks at NumPy's .npy: an array of objects is a pickle.
func scanNumpy(s *scan, name string, c content, _ int) Format {
	if !strings.HasPrefix(string(c.head), "\x93NUMPY") {
		return ""
	}
	if len(c.head) < 12 {
		s.add(name, KindMalformed, "a NumPy file without a header")
		return Numpy
	}
	start, length := 10, int(le16(c.head[8:]))
	if c.head[6] > 1 {
		start, length = 12, int(le32(c.head[8:]))
	}
	if c.head[6] > 3 || length > len(c.head)-start {
		s.add(name, KindMalformed, "a NumPy file whose header is too long or of an unknown version")
		return Numpy
	}
	header := numpyHeader.FindSubmatch(c.head[start : start+length])
	switch {
	case header == nil:
		s.add(name, KindMalformed, "a NumPy file whose header is not as NumPy writes it")
	case numpyObject.Match(header[1]):
		s.add(name, KindPickle, "an array of Python objects: NumPy stores it as a pickle, and loading it can run any code")
	case !numpyPlain.Match(header[1]) && !numpyFields.Match(header[1]):
		s.add(name, KindUnknown, "a NumPy array of a type that is not understood: %.80q", header[1])
	}
	return Numpy
}

// scanHDF5 looks at HDF5, Keras's older format. A Lambda layer in it is marshalled Python; its attributes can stand
// anywhere in the file, so an HDF5 file can not be called clean by looking at a part. Inside a .keras archive it holds
// weights only, and the configuration beside it is looked at instead.
func scanHDF5(s *scan, name string, c content, _ int) Format {
	if !strings.HasPrefix(string(c.head), "\x89HDF\r\n\x1a\n") {
		return ""
	}
	switch {
	case strings.HasSuffix(name, "!model.weights.h5"):
	case bytes.Contains(c.head, []byte(`"Lambda"`)) || bytes.Contains(c.tail, []byte(`"Lambda"`)):
		s.add(name, KindCode, "a Keras model with a Lambda layer, which is Python code")
	default:
		s.add(name, KindUnknown, "an HDF5 file: it may hold Keras layers with code, anywhere in it; convert it to safetensors")
	}
	return HDF5
}

const (
	maxGGUFEntries = 1 << 20
	ggufString     = 8
	ggufArray      = 9
)

// ggufSizes are the sizes of the fixed-size value types (ggml-org/ggml, docs/gguf.md, gguf_metadata_value_type).
var ggufSizes = map[uint64]uint64{0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}

// scanGGUF walks the key-value pairs and tensor names of a GGUF file.
func scanGGUF(s *scan, name string, c content, _ int) Format {
	if !strings.HasPrefix(string(c.head), "GGUF") {
		return ""
	}
	if err := s.gguf(name, newCursor(c)); err != nil {
		s.add(name, KindMalformed, "a GGUF file whose header can not be read: %v", err)
	}
	return GGUF
}

func (s *scan) gguf(name string, c *cursor) error {
	if err := c.skip(4); err != nil {
		return err
	}
	version, err1 := c.uint(4)
	tensors, err2 := c.uint(8)
	pairs, err3 := c.uint(8)
	if err1 != nil || err2 != nil || err3 != nil || version < 2 || version > 3 || tensors > maxGGUFEntries || pairs > maxGGUFEntries {
		return errMalformed
	}
	for range pairs {
		key, err := c.ggufString(65535)
		if err != nil {
			return err
		}
		kind, err := c.uint(4)
		if err != nil {
			return err
		}
		if kind == ggufString && strings.HasPrefix(key, "tokenizer.chat_template") {
			err = s.template(name, key, c)
		} else {
			err = c.ggufValue(kind, 0)
		}
		if err != nil {
			return err
		}
	}
	for range tensors {
		if _, err := c.ggufString(64); err != nil {
			return err
		}
		dimensions, err := c.uint(4)
		if err != nil || dimensions > 4 {
			return errMalformed
		}
		if err := c.skip(dimensions*8 + 4 + 8); err != nil {
			return err
		}
	}
	return nil
}

// template hashes a chat template, so that two people can see that they speak of the same one.
func (s *scan) template(name, key string, c *cursor) error {
	n, err := c.uint(8)
	if err != nil || n > uint64(c.size-c.off) || n > readBudget/4 {
		return errMalformed
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(c.r, c.off, int64(n))); err != nil {
		return err
	}
	s.add(name, KindTemplate, "%s is a template that a loader interprets, SHA-256 %x", key, h.Sum(nil))
	return c.skip(n)
}

func (c *cursor) ggufString(max uint64) (string, error) {
	n, err := c.uint(8)
	if err != nil {
		return "", err
	}
	if n > max {
		return "", errMalformed
	}
	if n > windowSize {
		return "", c.skip(n) // no key of interest is as long
	}
	text, err := c.take(int64(n))
	return string(text), err
}

func (c *cursor) ggufValue(kind uint64, depth int) error {
	if size, fixed := ggufSizes[kind]; fixed {
		return c.skip(size)
	}
	switch kind {
	case ggufString:
		n, err := c.uint(8)
		if err != nil {
			return err
		}
		return c.skip(n)
	case ggufArray:
		item, err1 := c.uint(4)
		count, err2 := c.uint(8)
		if err1 != nil || err2 != nil || depth > 3 {
			return errMalformed
		}
		if size, fixed := ggufSizes[item]; fixed {
			if count > uint64(c.size) {
				return errMalformed
			}
			return c.skip(count * size)
		}
		for range count {
			if err := c.ggufValue(item, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	return errMalformed
}
