package evidence

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

// A parquetPage is a page of values that are not nested, unpacked.
type parquetPage struct {
	rows     int
	encoding format.Encoding
	// levels say of each row whether it has a value; nil is all.
	levels *hybrid
	data   []byte
}

// parquetPages reads the pages of one column of one row group. The sizes in their
// headers are believed as far as the file has what they say: nothing is
// allocated by them alone.
type parquetPages struct {
	in       io.ReaderAt
	at, end  int64
	codec    format.CompressionCodec
	optional bool
	*unpacker
}

// An unpacker unpacks pages, and holds what it has unpacked to a bound.
type unpacker struct {
	// read is how much of the file may still be read, and left how much unpacked.
	read, left   int64
	packed, page []byte
	zstd         *zstd.Decoder
	head         []byte
}

// next reads a page; dictionaries go to known. The page is good until the next one.
func (p *parquetPages) next(known func(n int, data []byte) error) (*parquetPage, error) {
	for p.at < p.end {
		h, err := p.header()
		if err != nil {
			return nil, err
		}
		packed, err := p.bytes(h)
		if err != nil {
			return nil, err
		}
		switch h.Type {
		case format.DictionaryPage:
			data, err := p.unpack(p.codec, packed, int(h.UncompressedPageSize))
			if err != nil {
				return nil, err
			}
			if err := known(int(h.DictionaryPageHeader.V.NumValues), bytes.Clone(data)); err != nil {
				return nil, err
			}
		case format.DataPage:
			return p.first(h, packed)
		case format.DataPageV2:
			return p.second(h, packed)
		}
	}
	return nil, io.EOF
}

// header reads the header of the next page, whatever its length.
func (p *parquetPages) header() (*format.PageHeader, error) {
	for size := int64(1 << 10); ; size *= 16 {
		size = min(size, p.end-p.at, maxParquetMeta)
		if int64(cap(p.head)) < size {
			p.head = make([]byte, size)
		}
		p.head = p.head[:size]
		if _, err := p.in.ReadAt(p.head, p.at); err != nil && err != io.EOF {
			return nil, fmt.Errorf("reading a page: %w", err)
		}
		w := thriftWalk{raw: p.head, left: 16}
		err := w.structure(0)
		if errors.Is(err, errShort) && size < min(p.end-p.at, maxParquetMeta) {
			continue
		}
		if err != nil {
			return nil, err
		}
		p.at += int64(w.at)
		h := new(format.PageHeader)
		if err := thrift.Unmarshal(&thrift.CompactProtocol{}, p.head[:w.at], h); err != nil {
			return nil, fmt.Errorf("reading the header of a page: %w", err)
		}
		return h, nil
	}
}

// bytes reads what a page has.
func (p *parquetPages) bytes(h *format.PageHeader) ([]byte, error) {
	n := int64(h.CompressedPageSize)
	if n < 0 || n > p.end-p.at || h.UncompressedPageSize < 0 {
		return nil, errParquet
	}
	if n > maxParquetPage || h.UncompressedPageSize > maxParquetPage {
		return nil, fmt.Errorf("it has a page of %d bytes, more than %d; write smaller ones", max(n, int64(h.UncompressedPageSize)), maxParquetPage)
	}
	if p.read -= n; p.read < 0 {
		return nil, errors.New("its pages lie over each other")
	}
	if int64(cap(p.packed)) < n {
		p.packed = make([]byte, n, n+n/4)
	}
	p.packed = p.packed[:n]
	if _, err := p.in.ReadAt(p.packed, p.at); err != nil && err != io.EOF {
		return nil, fmt.Errorf("reading a page: %w", err)
	}
	p.at += n
	return p.packed, nil
}

// first opens a page of the format's first version, which is packed as a whole.
func (p *parquetPages) first(h *format.PageHeader, packed []byte) (*parquetPage, error) {
	d := h.DataPageHeader.V
	data, err := p.unpack(p.codec, packed, int(h.UncompressedPageSize))
	if err != nil {
		return nil, err
	}
	page := &parquetPage{rows: int(d.NumValues), encoding: d.Encoding, data: data}
	if p.optional {
		if d.DefinitionLevelEncoding != format.RLE {
			return nil, fmt.Errorf("its levels are encoded as %s, which the format has given up; write it anew", d.DefinitionLevelEncoding)
		}
		levels, rest, err := prefixed(data)
		if err != nil {
			return nil, err
		}
		page.levels, page.data = &hybrid{data: levels, width: 1}, rest
	}
	return page, nil
}

// second opens a page of the format's second version, whose levels are not packed.
func (p *parquetPages) second(h *format.PageHeader, packed []byte) (*parquetPage, error) {
	d := h.DataPageHeaderV2.V
	repeats, levels := int(d.RepetitionLevelsByteLength), int(d.DefinitionLevelsByteLength)
	if repeats < 0 || levels < 0 || repeats > len(packed) || levels > len(packed)-repeats {
		return nil, errParquet
	}
	page := &parquetPage{rows: int(d.NumValues), encoding: d.Encoding}
	if p.optional {
		page.levels = &hybrid{data: packed[repeats : repeats+levels], width: 1}
	}
	var err error
	page.data = packed[repeats+levels:]
	if !d.IsCompressed.Valid || d.IsCompressed.V {
		page.data, err = p.unpack(p.codec, page.data, max(0, int(h.UncompressedPageSize)-repeats-levels))
	}
	return page, err
}

// prefixed returns the bytes whose number stands before them, and what follows.
func prefixed(data []byte) (these, rest []byte, err error) {
	if len(data) < 4 || uint64(binary.LittleEndian.Uint32(data)) > uint64(len(data)-4) {
		return nil, nil, errParquet
	}
	n := 4 + int(binary.LittleEndian.Uint32(data))
	return data[4:n], data[n:], nil
}

// densest is by how much each codec can unpack what it has packed, about.
var densest = map[format.CompressionCodec]int{format.Snappy: 32, format.Lz4Raw: 256, format.Zstd: 1 << 15}

// unpack unpacks a page to no more than the bytes that its header says, and to no
// more than its codec can make of what is there.
func (u *unpacker) unpack(codec format.CompressionCodec, packed []byte, size int) ([]byte, error) {
	if codec == format.Uncompressed || len(packed) == 0 {
		return packed, nil
	}
	if u.left -= int64(size); u.left < 0 {
		return nil, fmt.Errorf("its pages unpack to more than %d bytes; send it in parts", int64(maxParquetAll))
	}
	if most := densest[codec]; most > 0 {
		size = min(size, most*(len(packed)+64))
		if cap(u.page) < size {
			u.page = make([]byte, size, size+size/4)
		}
	}
	page, err := u.decode(codec, packed, u.page[:0], size)
	if err != nil {
		return nil, fmt.Errorf("unpacking a page: %w", err)
	}
	if len(page) > size {
		return nil, fmt.Errorf("a page unpacks to more than the %d bytes that its header says", size)
	}
	u.page = page
	return page, nil
}

func (u *unpacker) decode(codec format.CompressionCodec, packed, to []byte, room int) ([]byte, error) {
	switch codec {
	case format.Snappy:
		if n, err := snappy.DecodedLen(packed); err != nil || n > room {
			return nil, errors.Join(errParquet, err)
		}
		return snappy.Decode(to[:room], packed)
	case format.Lz4Raw:
		n, err := lz4.UncompressBlock(packed, to[:room])
		return to[:max(n, 0)], err
	case format.Zstd:
		if u.zstd == nil {
			var err error
			if u.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxMemory(maxParquetPage)); err != nil {
				return nil, err
			}
		}
		return u.zstd.DecodeAll(packed, to[:0:room])
	case format.Gzip:
		z, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			return nil, err
		}
		return readUpTo(z, to, room)
	case format.Brotli:
		return readUpTo(brotli.NewReader(bytes.NewReader(packed)), to, room)
	}
	return nil, fmt.Errorf("it is packed by %s, which is not read; write it with zstd or snappy", codec)
}

// readUpTo reads all there is, and one byte more than room as its sign.
func readUpTo(r io.Reader, to []byte, room int) ([]byte, error) {
	b := bytes.NewBuffer(to[:0])
	_, err := b.ReadFrom(io.LimitReader(r, int64(room)+1))
	return b.Bytes(), err
}

// blockRows is how many rows of a page are read at once.
const blockRows = 4096

// present reads the levels of the next rows to have, and returns how many have a value; all
// of them is said without reading each.
func (p *parquetPage) present(to []uint32) (n int, all bool, err error) {
	if p.levels == nil || p.levels.same(len(to), 1) {
		return len(to), true, nil
	}
	if err := p.levels.next(to); err != nil {
		return 0, false, err
	}
	for _, level := range to {
		n += int(level)
	}
	return n, n == len(to), nil
}

// spread puts what is missing where rows have no value; the values are the first
// of the block.
func spread[T any](block []T, levels []uint32, n int, missing T) {
	for i := len(levels) - 1; i >= 0; i-- {
		if levels[i] == 0 {
			block[i] = missing
			continue
		}
		n--
		block[i] = block[n]
	}
}
