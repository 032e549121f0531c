package evidence

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"imprimatur.dev/drift"
)

// differences and lengths are observed rows in other encodings.
type differences struct {
	Age     *float64  `parquet:"age,optional,split"`
	Visits  int64     `parquet:"visits,delta"`
	City    *string   `parquet:"city,optional,plain"`
	Ward    int32     `parquet:"ward,delta"`
	Correct *bool     `parquet:"correct,optional"`
	At      time.Time `parquet:"at,timestamp(microsecond),delta"`
	Note    string    `parquet:"note"`
}

type plainly struct {
	Age     *float64 `parquet:"age,optional,dict"`
	Visits  uint32   `parquet:"visits,dict"`
	City    *string  `parquet:"city,optional"`
	Ward    string   `parquet:"ward,delta"`
	Correct *float32 `parquet:"correct,optional,split"`
	At      string   `parquet:"at,delta"`
	Note    string   `parquet:"note"`
}

// TestEveryEncodingOfParquetCountsTheSame writes the same rows in every encoding of
// the format, in both versions of pages and with every codec.
func TestEveryEncodingOfParquetCountsTheSame(t *testing.T) {
	f, rows := frameOf(t), rowsOf(7, 9000)
	want := countedBy(t, f, rows)
	for name, codec := range map[string]compress.Codec{
		"none": &parquet.Uncompressed, "snappy": &parquet.Snappy, "gzip": &parquet.Gzip, "zstd": &parquet.Zstd, "brotli": &parquet.Brotli, "lz4": &parquet.Lz4Raw,
	} {
		for version := 1; version <= 2; version++ {
			with := []parquet.WriterOption{parquet.Compression(codec), parquet.DataPageVersion(version), parquet.MaxRowsPerRowGroup(6000), parquet.PageBufferSize(40_000)}
			for kind, raw := range map[string][]byte{
				"as they are": parquetOf(t, rows, with...),
				"differences": parquetOf(t, turned(rows, func(r observed) differences { return differences(r) }), with...),
				"plainly": parquetOf(t, turned(rows, func(r observed) plainly {
					p := plainly{r.Age, uint32(r.Visits), r.City, fmt.Sprint(r.Ward), nil, r.At.Format(time.RFC3339Nano), r.Note}
					if r.Correct != nil {
						p.Correct = new(float32)
						if *r.Correct {
							*p.Correct = 1
						}
					}
					return p
				}), with...),
			} {
				if diff := cmp.Diff(want, said(t, f, threeHours, raw)); diff != "" {
					t.Errorf("%s, pages of version %d, %s: %s", name, version, kind, diff)
				}
			}
		}
	}
}

func turned[A, B any](rows []A, to func(A) B) (out []B) {
	for _, r := range rows {
		out = append(out, to(r))
	}
	return out
}

func parquetOf[T any](t testing.TB, rows []T, with ...parquet.WriterOption) []byte {
	t.Helper()
	var out bytes.Buffer
	w := parquet.NewGenericWriter[T](&out, with...)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// handmade is a Parquet file with one column of one page, which say what they like.
type handmade struct {
	name     string
	kind     format.Type
	optional bool
	codec    format.CompressionCodec
	rows     int64
	pages    []format.PageHeader
	data     []byte
}

func (h handmade) file(t testing.TB) []byte {
	t.Helper()
	protocol := &thrift.CompactProtocol{}
	out := []byte("PAR1")
	for _, page := range h.pages {
		raw, err := thrift.Marshal(protocol, page)
		if err != nil {
			t.Fatal(err)
		}
		out = append(append(out, raw...), h.data...)
	}
	repetition := format.Required
	if h.optional {
		repetition = format.Optional
	}
	meta := format.FileMetaData{Version: 1, NumRows: h.rows, Schema: []format.SchemaElement{
		{Name: "schema", NumChildren: thrift.New(int32(1))},
		{Name: h.name, Type: thrift.New(h.kind), RepetitionType: thrift.New(repetition)},
	}, RowGroups: []format.RowGroup{{NumRows: h.rows, Columns: []format.ColumnChunk{{MetaData: format.ColumnMetaData{
		Type: h.kind, Codec: h.codec, PathInSchema: []string{h.name}, NumValues: h.rows, TotalCompressedSize: int64(len(out) - 4), DataPageOffset: 4,
	}}}}}}
	raw, err := thrift.Marshal(protocol, meta)
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.LittleEndian.AppendUint32(append(out, raw...), uint32(len(raw))), "PAR1"...)
}

func v1(packed, size, n int, encoding format.Encoding) format.PageHeader {
	return format.PageHeader{
		Type: format.DataPage, CompressedPageSize: int32(packed), UncompressedPageSize: int32(size),
		DataPageHeader: thrift.New(format.DataPageHeader{NumValues: int32(n), Encoding: encoding, DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE}),
	}
}

func v2(packed, size, n, repeats, levels int, encoding format.Encoding) format.PageHeader {
	return format.PageHeader{
		Type: format.DataPageV2, CompressedPageSize: int32(packed), UncompressedPageSize: int32(size),
		DataPageHeaderV2: thrift.New(format.DataPageHeaderV2{NumValues: int32(n), NumRows: int32(n), Encoding: encoding, RepetitionLevelsByteLength: int32(repeats), DefinitionLevelsByteLength: int32(levels)}),
	}
}

func dictionary(packed, size, n int) format.PageHeader {
	return format.PageHeader{
		Type: format.DictionaryPage, CompressedPageSize: int32(packed), UncompressedPageSize: int32(size),
		DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{NumValues: int32(n)}),
	}
}

// TestSmallParquetFilesTakeLittleMemory has files of some hundred bytes that declare
// two gigabytes, wherever the format lets them.
func TestSmallParquetFilesTakeLittleMemory(t *testing.T) {
	const huge = 1<<31 - 1
	zeros := make([]byte, 16)
	gzipped, err := parquet.Gzip.Encode(nil, make([]byte, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	many := binary.AppendUvarint(nil, 1<<32) // a run of 2^31 values
	lengths := append(binary.AppendUvarint([]byte{0x80, 1, 4}, huge), 0, 0, 0, 0, 0, 0)
	one := func(h format.PageHeader) []format.PageHeader { return []format.PageHeader{h} }
	number := handmade{name: "age", kind: format.Double, rows: huge}
	text := handmade{name: "city", kind: format.ByteArray, rows: huge}
	frame, batch := frameOf(t), Batch{From: noon, To: noon.Add(time.Hour), Window: time.Hour}
	files := map[string][]byte{
		"a footer of four gigabytes": []byte("PAR1xxxx\xff\xff\xff\xffPAR1"),
		"a list of the footer":       append([]byte("PAR1\x15\x02\x19\xfc\xff\xff\xff\xff\x07\x00\x0a\x00\x00\x00"), "PAR1"...),
	}
	for name, c := range map[string]struct {
		of    handmade
		pages []format.PageHeader
		data  []byte
		codec format.CompressionCodec
	}{
		"compressed size":         {number, one(v1(huge, huge, 2, format.Plain)), zeros, 0},
		"uncompressed size":       {number, one(v1(16, huge, 2, format.Plain)), zeros, format.Snappy},
		"uncompressed, lz4":       {number, one(v1(16, 1<<27, 2, format.Plain)), zeros, format.Lz4Raw},
		"uncompressed, zstd":      {number, one(v1(16, 1<<27, 2, format.Plain)), zeros, format.Zstd},
		"unpacks to more, gzip":   {number, one(v1(len(gzipped), 1000, 2, format.Plain)), gzipped, format.Gzip},
		"snappy's own length":     {number, one(v1(5, 1<<27, 2, format.Plain)), []byte("\xff\xff\xff\xff\x0f"), format.Snappy},
		"number of values":        {number, one(v1(16, 16, huge, format.Plain)), zeros, 0},
		"values split":            {number, one(v1(16, 16, huge, format.ByteStreamSplit)), zeros, 0},
		"differences":             {handmade{name: "visits", kind: format.Int64, rows: huge}, one(v1(len(lengths), len(lengths), huge, format.DeltaBinaryPacked)), lengths, 0},
		"text":                    {text, one(v1(16, 16, huge, format.Plain)), zeros, 0},
		"lengths of text":         {text, one(v1(len(lengths), len(lengths), huge, format.DeltaLengthByteArray)), lengths, 0},
		"prefixes of text":        {text, one(v1(len(lengths), len(lengths), huge, format.DeltaByteArray)), lengths, 0},
		"entries of a dictionary": {text, []format.PageHeader{dictionary(16, 16, huge), v1(16, 16, huge, format.RLEDictionary)}, zeros, 0},
		"size of a dictionary":    {text, one(dictionary(huge, huge, 1)), zeros, 0},
		"a packed dictionary":     {text, one(dictionary(16, huge, 1)), zeros, format.Gzip},
		"levels":                  {handmade{name: "age", kind: format.Double, rows: huge, optional: true}, one(v2(16, 16, huge, 0, huge, format.Plain)), zeros, 0},
		"levels of repeats":       {handmade{name: "age", kind: format.Double, rows: huge, optional: true}, one(v2(16, 16, huge, huge, huge, format.Plain)), zeros, 0},
		"a run of levels":         {handmade{name: "age", kind: format.Double, rows: huge, optional: true}, one(v2(len(many)+1, len(many)+1, huge, 0, len(many)+1, format.Plain)), append(many, 1), 0},
	} {
		c.of.pages, c.of.data, c.of.codec = c.pages, c.data, c.codec
		files[name] = c.of.file(t)
	}
	for name, raw := range files {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Observe(frame, batch, FileOf("file", raw))
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
			t.Errorf("%s: a file of %d bytes takes %d MB", name, len(raw), took>>20)
		}
		if refused := (*Refusal)(nil); !errors.As(err, &refused) {
			t.Errorf("%s: %v is no refusal", name, err)
		}
	}
}

// TestPagesOverEachOther has row groups that name the same pages again and again.
func TestPagesOverEachOther(t *testing.T) {
	raw := parquetOf(t, rowsOf(1, 3000), parquet.Compression(&parquet.Snappy))
	f, err := parquet.OpenFile(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	meta := *f.Metadata()
	for range 12 {
		meta.RowGroups = append(meta.RowGroups, meta.RowGroups[0])
	}
	footer, err := thrift.Marshal(&thrift.CompactProtocol{}, meta)
	if err != nil {
		t.Fatal(err)
	}
	body := raw[:len(raw)-8-int(binary.LittleEndian.Uint32(raw[len(raw)-8:]))]
	raw = append(binary.LittleEndian.AppendUint32(append(bytes.Clone(body), footer...), uint32(len(footer))), "PAR1"...)
	if _, err := Observe(frameOf(t), threeHours, FileOf("file", raw)); err == nil || !strings.Contains(err.Error(), "lie over each other") {
		t.Errorf("the same pages thirteen times: %v", err)
	}
}

// TestManyEqualRowsOfParquet counts a column that is one value a million times over,
// in a file of a few hundred bytes, which is what real files do.
func TestManyEqualRowsOfParquet(t *testing.T) {
	type flat struct {
		City string `parquet:"city,dict,zstd"`
	}
	rows := make([]flat, 1_000_000)
	for i := range rows {
		rows[i].City = "Rome"
	}
	raw := parquetOf(t, rows)
	o, err := Observe(frameOf(t), Batch{From: noon, To: noon.Add(time.Hour), Window: time.Hour}, FileOf("file", raw))
	if err != nil {
		t.Fatal(err)
	}
	f := frameOf(t)
	i, _ := f.Index("city")
	k := slices.IndexFunc(f.Baseline().Features[i].Categories, func(c drift.Category) bool { return c.Name == "Rome" })
	if c := o.Windows[0].Sketch.Tally(i); c.Categories[k] != int64(len(rows)) {
		t.Errorf("a file of %d bytes came to %+v", len(raw), c)
	}
}
