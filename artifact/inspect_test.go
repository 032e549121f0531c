package artifact

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Pickles as CPython 3 writes them: os.system("id") by __reduce__, and {"a": [1, 2.5, (1, 2)], "b": {"x"}, 1: b"z"}.
var (
	evilPickles = []string{
		"cposix\nsystem\np0\n(Vid\np1\ntp2\nRp3\n.",
		"cposix\nsystem\nq\x00(X\x02\x00\x00\x00idq\x01tq\x02Rq\x03.",
		"\x80\x02cposix\nsystem\nq\x00X\x02\x00\x00\x00idq\x01\x85q\x02Rq\x03.",
		"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x94\x85\x94R\x94.",
	}
	plainPickles = []string{
		"(dp0\nVa\np1\n(lp2\nI1\naF2.5\na(I1\nI2\ntp3\nasVb\np4\nc__builtin__\nset\np5\n((lp6\nVx\np7\natp8\nRp9\nsI1\nc_codecs\nencode\np10\n(Vz\np11\nVlatin1\np12\ntp13\nRp14\ns.",
		"}q\x00(X\x01\x00\x00\x00aq\x01]q\x02(K\x01G@\x04\x00\x00\x00\x00\x00\x00(K\x01K\x02tq\x03eX\x01\x00\x00\x00bq\x04c__builtin__\nset\nq\x05(]q\x06X\x01\x00\x00\x00xq\x07atq\x08Rq\tK\x01c_codecs\nencode\nq\n(X\x01\x00\x00\x00zq\x0bX\x06\x00\x00\x00latin1q\x0ctq\rRq\x0eu.",
		"\x80\x03}q\x00(X\x01\x00\x00\x00aq\x01]q\x02(K\x01G@\x04\x00\x00\x00\x00\x00\x00K\x01K\x02\x86q\x03eX\x01\x00\x00\x00bq\x04cbuiltins\nset\nq\x05]q\x06X\x01\x00\x00\x00xq\x07a\x85q\x08Rq\tK\x01C\x01zq\nu.",
		"\x80\x05\x950\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94]\x94(K\x01G@\x04\x00\x00\x00\x00\x00\x00K\x01K\x02\x86\x94e\x8c\x01b\x94\x8f\x94(\x8c\x01x\x94\x90K\x01C\x01z\x94u.",
		"(lp0\nI1\na.", "N.", "I1\n.", "]q\x00.",
	}
)

func inspect(t testing.TB, name, bytes string) (Format, []Finding) {
	t.Helper()
	format, findings, err := InspectFile(name, strings.NewReader(bytes), int64(len(bytes)))
	if err != nil {
		t.Fatal(err)
	}
	return format, findings
}

func kinds(findings []Finding) string {
	var b strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&b, "%s:%s ", f.File, f.Type)
	}
	return strings.TrimSpace(b.String())
}

func TestPicklesAreKnownByTheirBytes(t *testing.T) {
	for _, p := range append(evilPickles, plainPickles...) {
		if format, found := inspect(t, "config.json", p); format != Pickle || kinds(found) != "config.json:pickle" {
			t.Errorf("%q: %s, %v", p, format, found)
		}
	}
	for _, p := range evilPickles {
		if _, found := inspect(t, "f", p); !strings.Contains(found[0].Detail, "posix.system") {
			t.Errorf("%q: %q does not name posix.system", p, found[0].Detail)
		}
		// Unpickling runs as it reads, so what follows the call, or is missing after it, changes nothing.
		call := p[:strings.LastIndexByte(p, 'R')+1]
		for _, tail := range []string{"", "\xff\xff", "hello", strings.Repeat("\x00", 1000)} {
			if format, _ := inspect(t, "f", call+tail); format != Pickle {
				t.Errorf("broken after the call, %q: %s", call+tail, format)
			}
		}
	}
	// A string that is longer than what is read, before the call.
	long := "(X\x00\x00\x00\x01" + strings.Repeat("a", 1<<24) + "0" + evilPickles[0]
	if format, _ := inspect(t, "f", long); format != Pickle {
		t.Errorf("behind 16 MiB of string: %s", format)
	}
}

func TestTextsAreNoPickles(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		format Format
		found  string
	}{
		"vocab.txt":       {"cat\ndog\nelephant\nfish\n", Text, ""},
		"merges.txt":      {"#version: 0.2\ni n\nt h\n", Text, ""},
		"n.txt":           {"N.B. this is a text.\n", Text, ""},
		"i.txt":           {"In the beginning.\nThere was a file.\n", Text, ""},
		"empty":           {"", Text, ""},
		"utf.txt":         {"Übung macht den Meister. " + strings.Repeat("é", 70_000), Text, ""},
		"half.txt":        {"a" + strings.Repeat("é", 40_000), Text, ""},
		"conf.yaml":       {"config: a\nname: b\n", YAML, ""},
		"conf2.yaml":      {"# note\nlayers:\n  - a\n", YAML, ""},
		"config.json":     {`{"model_type": "bert", "n": [1, 2.5]}`, JSON, ""},
		"lines.jsonl":     {"{\"a\":1}\n{\"a\":2}\n", JSON, ""},
		"auto.json":       {`{"auto_map": {"AutoModel": "modeling.X"}}`, JSON, "auto.json:code"},
		"auto2.json":      {`{"auto\u005fmap": {}}`, JSON, "auto2.json:code"},
		"nan.json":        {`{"a": NaN, "auto_map": {}}`, Text, "nan.json:malformed"},
		"tokenizer.json":  {`{"chat_template": "{{ x }}"}`, JSON, "tokenizer.json:template"},
		"tokenizer2.json": {`{"chat_template": [{"name": "default", "template": "{{ x }}"}]}`, JSON, "tokenizer2.json:template"},
		"keras.json":      {`{"layers":[{"class_name":"Lambda"}]}`, JSON, "keras.json:code"},
		"chat.jinja":      {"{% for m in messages %}", Text, "chat.jinja:template"},
		"objects.yaml":    {"a: !!python/object/apply:os.system [id]\n", YAML, "objects.yaml:code"},
		"model.txt":       {"import os\nos.system('id')\n", Python, "model.txt:code"},
		"def.txt":         {"# x\ndef f(x):\n    return x\n", Python, "def.txt:code"},
		"README.md":       {"# Model\n\n```python\nimport torch\n```\n\nfrom the makers of\n", Text, ""},
		"modeling.py":     {"x = 1\n", Text, "modeling.py:code"},
		"run":             {"#!/bin/sh\nid\n", Executable, "run:code"},
	} {
		if format, found := inspect(t, name, c.text); format != c.format || kinds(found) != c.found {
			t.Errorf("%s: %s with %v, want %s with %q", name, format, found, c.format, c.found)
		}
	}
}

func TestBinaryFormats(t *testing.T) {
	numpy := func(descr string) string {
		header := "{'descr': " + descr + ", 'fortran_order': False, 'shape': (3,), }\n"
		return "\x93NUMPY\x01\x00" + string(binary.LittleEndian.AppendUint16(nil, uint16(len(header)))) + header + strings.Repeat("\x00", 24)
	}
	for name, c := range map[string]struct {
		bytes  string
		format Format
		found  string
	}{
		"safetensors":     {string(rawSafetensors(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 2)), SafetensorsFile, ""},
		"hole":            {string(rawSafetensors(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 3)), SafetensorsFile, "hole:malformed"},
		"elf":             {"\x7fELF\x02\x01\x01", Executable, "elf:code"},
		"noise":           {"\x01\x02\x03\x04\xff\xfe", Unknown, "noise:unknown"},
		"half-text":       {"hello\x00world", Unknown, "half-text:unknown"},
		"png":             {"\x89PNG\r\n\x1a\n....", Image, ""},
		"array.npy":       {numpy("'<f8'"), Numpy, ""},
		"fields.npy":      {numpy("[('a', '<f8'), ('b', '|S4', (2,))]"), Numpy, ""},
		"objects.npy":     {numpy("'|O'"), Numpy, "objects.npy:pickle"},
		"objects8.npy":    {numpy("[('a', '<f8'), ('b', '|O8')]"), Numpy, "objects8.npy:pickle"},
		"escaped.npy":     {numpy(`'|\x4f'`), Numpy, "escaped.npy:unknown"},
		"joined.npy":      {numpy(`'|' "O"`), Numpy, "joined.npy:unknown"},
		"comma.npy":       {numpy(`[('a', 'O,i4')]`), Numpy, "comma.npy:unknown"},
		"h5":              {"\x89HDF\r\n\x1a\n" + strings.Repeat("\x00", 90), HDF5, "h5:unknown"},
		"lambda.h5":       {"\x89HDF\r\n\x1a\n" + `{"class_name": "Lambda"}`, HDF5, "lambda.h5:code"},
		"gguf":            {ggufFile("general.name", "x"), GGUF, ""},
		"chat.gguf":       {ggufFile("tokenizer.chat_template", "{{ x }}"), GGUF, "chat.gguf:template"},
		"cut.gguf":        {ggufFile("general.name", "x")[:60], GGUF, "cut.gguf:malformed"},
		"huge.gguf":       {"GGUF\x03\x00\x00\x00" + strings.Repeat("\xff", 16), GGUF, "huge.gguf:malformed"},
		"onnx":            {onnxFile("", "weights.bin"), ONNX, ""},
		"escape.onnx":     {onnxFile("", "../../etc/passwd"), ONNX, "escape.onnx:escape"},
		"absolute.onnx":   {onnxFile("", "/etc/passwd"), ONNX, "absolute.onnx:escape"},
		"custom.onnx":     {onnxFile("com.example", "w"), ONNX, "custom.onnx:custom-op"},
		"cut.onnx":        {onnxFile("", "weights.bin")[:20], Unknown, "cut.onnx:unknown"},
		"xz":              {"\xfd7zXZ\x00\x00\x04", Compressed, "xz:unknown"},
		"packed.gz":       {gzipped(evilPickles[2]), Compressed, "packed.gz:unknown packed.gz!:pickle"},
		"hidden-zip.gguf": {ggufFile("general.name", "x") + zipOf(t, "a", "b"), GGUF, "hidden-zip.gguf:malformed"},
	} {
		if format, found := inspect(t, name, c.bytes); format != c.format || kinds(found) != c.found {
			t.Errorf("%s: %s with %v, want %s with %q", name, format, found, c.format, c.found)
		}
	}
}

// ggufFile has one pair of strings, an array of strings and one tensor.
func ggufFile(key, value string) string {
	text := func(s string) string { return string(binary.LittleEndian.AppendUint64(nil, uint64(len(s)))) + s }
	u32 := func(n uint32) string { return string(binary.LittleEndian.AppendUint32(nil, n)) }
	u64 := func(n uint64) string { return string(binary.LittleEndian.AppendUint64(nil, n)) }
	return "GGUF" + u32(3) + u64(1) + u64(2) +
		text(key) + u32(8) + text(value) +
		text("tokenizer.ggml.tokens") + u32(9) + u32(8) + u64(2) + text("a") + text("b") +
		text("t") + u32(1) + u64(4) + u32(0) + u64(0) + strings.Repeat("\x00", 32)
}

// onnxFile has an IR version, a graph with one external tensor, and one operator set.
func onnxFile(domain, location string) string {
	field := func(number byte, s string) string { return string([]byte{number<<3 | 2, byte(len(s))}) + s }
	tensor := field(8, "w") + field(13, field(1, "location")+field(2, location)) + "\x70\x01"
	return "\x08\x0a" + field(2, "pytorch") + field(7, field(2, "main")+field(5, tensor)) + field(8, field(1, domain)+"\x10\x11")
}

func gzipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(s)); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.String()
}

// zipOf makes an archive of names and contents in turns; a name that begins with "=" is stored, others are deflated.
func zipOf(t testing.TB, pairs ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		header := &zip.FileHeader{Name: strings.TrimPrefix(pairs[i], "="), Method: zip.Deflate}
		if strings.HasPrefix(pairs[i], "=") {
			header.Method = zip.Store
		}
		member, err := w.CreateHeader(header)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := member.Write([]byte(pairs[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestZip(t *testing.T) {
	evil := evilPickles[2]
	floats := strings.Repeat("\x01\x02\x03\x80", 100_000)
	torch := zipOf(t, "=m/data.pkl", plainPickles[2], "=m/data/0", floats, "m/version", "3\n")
	plain := zipOf(t, "a.txt", "hello", "b.json", "{}")
	for name, c := range map[string]struct {
		bytes  string
		format Format
		found  string
	}{
		"torch.pt":     {torch, ZipPickle, "torch.pt!m/data.pkl:pickle torch.pt!m/data/0:unknown"},
		"plain.zip":    {plain, Zip, ""},
		"deflated.zip": {zipOf(t, "x.json", evil), ZipPickle, "deflated.zip!x.json:pickle"},
		"bomb.zip":     {zipOf(t, "zeros", strings.Repeat("\x00", 64<<20)), Zip, "bomb.zip!zeros:unknown"},
		"long.zip":     {zipOf(t, "text", strings.Repeat("hello ", 1<<20)), Zip, ""},
		"nested.zip":   {zipOf(t, "=in.zip", zipOf(t, "=x", evil)), ZipPickle, "nested.zip!in.zip!x:pickle"},
		"deep.zip":     {zipOf(t, "=1", zipOf(t, "=2", zipOf(t, "=3", evil))), Zip, "deep.zip!1!2:unknown"},
		"m.keras":      {zipOf(t, "config.json", `{"class_name":"Lambda"}`, "metadata.json", "{}", "=model.weights.h5", "\x89HDF\r\n\x1a\n"), Keras, "m.keras!config.json:code"},
		"cut.zip":      {plain[:len(plain)-4], Zip, "cut.zip:malformed"},
		"before.zip":   {"PK\x03\x04" + plain, Zip, "before.zip:malformed"},
		"renamed.zip":  {strings.Replace(plain, "a.txt", "x.txt", 1), Zip, "renamed.zip!a.txt:malformed"},
		"between.zip":  {hideBetween(plain), Zip, "between.zip!b.json:malformed"},
		"crypt.zip":    {zipFlag(plain), Zip, "crypt.zip!a.txt:unknown"},
		"twice.zip":    {zipOf(t, "a", "x", "a", evil), Zip, "twice.zip!a:malformed"},
		"empty.zip":    {zipOf(t), Zip, "empty.zip:unknown"},
	} {
		format, found := inspect(t, name, c.bytes)
		if name == "twice.zip" { // what else is said of the two is not the point
			found, format = found[:1], Zip
		}
		if format != c.format || kinds(found) != c.found {
			t.Errorf("%s: %s with %v, want %s with %q", name, format, found, c.format, c.found)
		}
	}
}

// zipFlag sets the flag "encrypted" of the first member in both headers.
func zipFlag(archive string) string {
	b := []byte(archive)
	b[6] |= 1
	b[strings.Index(archive, zipEntry)+8] |= 1
	return string(b)
}

// hideBetween puts bytes between the two members of an archive and moves all that comes after.
func hideBetween(archive string) string {
	const junk = "cposix\nsystem\n(Vid\ntR.........."
	second := strings.LastIndex(archive, zipLocal)
	b := []byte(archive[:second] + junk + archive[second:])
	for _, field := range []int{bytes.LastIndex(b, []byte(zipEntry)) + 42, bytes.LastIndex(b, []byte(zipEnd)) + 16} {
		binary.LittleEndian.PutUint32(b[field:], le32(b[field:])+uint32(len(junk)))
	}
	return string(b)
}

func TestTar(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []*tar.Header{
		{Name: "m/a.txt", Typeflag: tar.TypeReg, Size: 5},
		{Name: "m/x", Typeflag: tar.TypeReg, Size: int64(len(evilPickles[3]))},
		{Name: "../up", Typeflag: tar.TypeReg},
		{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
	} {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		content := map[string]string{"m/a.txt": "hello", "m/x": evilPickles[3]}[h.Name]
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	format, found := inspect(t, "t", b.String())
	if want := "t!m/x:pickle t!../up:escape t!link:escape"; format != Tar || kinds(found) != want {
		t.Errorf("%s with %v, want %q", format, found, want)
	}
}

func TestInspectAFolder(t *testing.T) {
	dir := folder(t, map[string]string{
		"config.json": "{}", "weights.safetensors": evilPickles[2], "a/model.bin": string(rawSafetensors(`{}`, 0)), ".gitignore": "x",
	})
	got, err := Inspect(context.Background(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []FileFormat{{"a/model.bin", SafetensorsFile}, {"config.json", JSON}, {"weights.safetensors", Pickle}}
	if diff := cmp.Diff(want, got.Files); diff != "" {
		t.Errorf("formats (-want +got):\n%s", diff)
	}
	if kinds(got.Findings) != "weights.safetensors:pickle" || len(got.Unsafe()) != 1 {
		t.Errorf("findings %v", got.Findings)
	}
	if (Finding{Type: KindTemplate}).Unsafe() || !(Finding{Type: KindUnknown}).Unsafe() {
		t.Error("a template is unsafe, or an unknown format is not")
	}
}

// FuzzInspectFile runs every parser on the same bytes, and the recognizers in their order.
func FuzzInspectFile(f *testing.F) {
	for _, p := range append(evilPickles, plainPickles...) {
		f.Add([]byte(p))
	}
	f.Add([]byte(zipOf(f, "=m/data.pkl", plainPickles[2], "m/version", "3\n")))
	f.Add([]byte(gzipped("hello")))
	f.Add([]byte(ggufFile("tokenizer.chat_template", "x")))
	f.Add([]byte(onnxFile("com.example", "../w")))
	f.Add([]byte("\x93NUMPY\x01\x00\x3c\x00{'descr': '|O', 'fortran_order': False, 'shape': (3,), }  \n"))
	f.Add([]byte(`{"auto_map":1,"chat_template":[{"template":""}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		format, findings := inspect(t, "f", string(data))
		if format == "" || (format == Unknown && len(findings) == 0) || len(findings) > maxFindings+1 {
			t.Fatalf("%q with %v", format, findings)
		}
		for _, recognize := range recognizers {
			recognize(&scan{}, "f", content{bytes.NewReader(data), int64(len(data)), data, data}, 0)
		}
		// Nothing that CPython writes in front of a call may hide it.
		if format, _ := inspect(t, "f", evilPickles[3]+string(data)); format != Pickle {
			t.Fatalf("a pickle with bytes after it is taken for %s", format)
		}
	})
}

func BenchmarkInspectTorch(b *testing.B) {
	archive := zipOf(b, "=m/data.pkl", plainPickles[2], "=m/data/0", strings.Repeat("\x01\x02\x03\x80", 1<<20))
	for b.Loop() {
		inspect(b, "m", archive)
	}
}
