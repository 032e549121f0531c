package artifact

import (
	"bytes"
	"cmp"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// The zip reader here is our own because readers that agree on well-made archives disagree on others, and scanners have
// been bypassed in that gap. It reads both the central directory and the header before each member, and anything that
// the two do not say alike, or bytes that no member accounts for, is a finding. Sources: APPNOTE.TXT 6.3.10 (PKWARE).

const (
	zipEnd       = "PK\x05\x06" // section 4.3.16
	zip64End     = "PK\x06\x06" // section 4.3.14
	zip64Locator = "PK\x06\x07" // section 4.3.15
	zipEntry     = "PK\x01\x02" // section 4.3.12
	zipLocal     = "PK\x03\x04" // section 4.3.7

	maxZipMembers = 200_000
	// memberLook is how much of a compressed member is expanded.
	memberLook = 256 << 10
	// maxExpanded bounds what is expanded of all members of one file together.
	maxExpanded = 256 << 20
	// maxGap is the largest data descriptor (section 4.3.9), which may stand between members.
	maxGap = 24
	// maxNesting is how deep archives within archives are opened.
	maxNesting = 2
)

type zipMember struct {
	name                 string
	method, flags        uint16
	packed, size, header uint64 // header is the offset of the local header
}

// endsAsZip reports whether the end of a file is the end of a zip archive.
func endsAsZip(tail []byte) bool {
	at := bytes.LastIndex(tail, []byte(zipEnd))
	return at >= 0 && at+22 <= len(tail) && at+22+int(binary.LittleEndian.Uint16(tail[at+20:])) == len(tail)
}

func scanZip(s *scan, name string, c content, depth int) Format {
	if !bytes.HasPrefix(c.head, []byte("PK")) || !slices.Contains([]string{zipLocal, zipEnd}, string(c.head[:min(4, len(c.head))])) {
		return ""
	}
	members, directory, err := zipDirectory(c)
	if err != nil {
		s.add(name, KindMalformed, "a zip archive whose directory can not be read: %v", err)
		return Zip
	}
	if depth >= maxNesting {
		s.add(name, KindUnknown, "an archive within an archive within an archive")
		return Zip
	}
	found := map[Format]bool{}
	names := map[string]bool{}
	end := uint64(0)
	for _, m := range members {
		inner := name + "!" + m.name
		start, err := zipLocalHeader(c, m)
		switch {
		case err != nil:
			s.add(inner, KindMalformed, "%v", err)
			return Zip
		case names[m.name]:
			s.add(inner, KindMalformed, "the archive holds this name twice")
		case m.header < end || m.header-end > maxGap:
			s.add(inner, KindMalformed, "the archive hides bytes before it, or it overlaps another member")
			return Zip // looking at overlapping members would multiply the work
		case start > directory || m.packed > directory-start:
			s.add(inner, KindMalformed, "it reaches beyond the archive's members")
			return Zip
		}
		names[m.name], end = true, start+m.packed
		if m.size > 0 || m.packed > 0 {
			found[s.zipMember(inner, c, m, start, depth)] = true
		}
	}
	if directory < end || directory-end > maxGap {
		s.add(name, KindMalformed, "the archive hides bytes before its directory")
	}
	return zipFormat(s, name, found, names)
}

func zipFormat(s *scan, name string, found map[Format]bool, names map[string]bool) Format {
	switch {
	case names["config.json"] && names["metadata.json"]:
		return Keras
	case found[Pickle] || found[ZipPickle]:
		return ZipPickle
	case len(names) == 0:
		s.add(name, KindUnknown, "an archive with nothing in it")
	}
	return Zip
}

// zipMember looks at one member: stored ones as a part of the archive, compressed ones at their beginning.
func (s *scan) zipMember(name string, c content, m zipMember, start uint64, depth int) Format {
	packed := io.NewSectionReader(c, int64(start), int64(m.packed))
	switch {
	case m.flags&1 != 0:
		s.add(name, KindUnknown, "it is encrypted")
		return Unknown
	case m.method == 0 && m.packed != m.size:
		s.add(name, KindMalformed, "it is stored, but its two sizes differ")
		return Unknown
	case m.method == 0:
		return s.content(name, packed, int64(m.size), depth+1)
	case m.method == 8:
		return s.expanded(name, flate.NewReader(packed), int64(min(m.size, 1<<62)), depth)
	}
	s.add(name, KindUnknown, "it is compressed by method %d, which is not looked into", m.method)
	return Unknown
}

// expanded looks at the beginning of compressed content of the size it claims to have, or of unknown size (-1).
func (s *scan) expanded(name string, r io.Reader, size int64, depth int) Format {
	if s.expandedBytes > maxExpanded {
		s.add(name, KindUnknown, "the archive expands to more than is looked at")
		return Unknown
	}
	first, err := io.ReadAll(io.LimitReader(r, memberLook+1))
	s.expandedBytes += len(first)
	switch {
	case err != nil && len(first) == 0:
		s.add(name, KindMalformed, "it can not be expanded: %v", err)
		return Unknown
	case len(first) <= memberLook: // that was all
		if err != nil || (size >= 0 && size != int64(len(first))) {
			s.add(name, KindMalformed, "it does not expand to the size it claims")
		}
		return s.content(name, bytes.NewReader(first), int64(len(first)), depth+1)
	case size >= 0 && size <= memberLook:
		s.add(name, KindMalformed, "it expands to more than it claims")
		return Unknown
	}
	if size < 0 {
		size = 1 << 62
	}
	return s.content(name, prefix(first), size, depth+1)
}

// zipDirectory reads the central directory and returns the members by place, and where the directory begins.
func zipDirectory(c content) ([]zipMember, uint64, error) {
	if !endsAsZip(c.tail) {
		return nil, 0, errors.New("there is no end record at its end")
	}
	at := bytes.LastIndex(c.tail, []byte(zipEnd))
	record := c.tail[at:]
	count, length, offset := uint64(le16(record[10:])), uint64(le32(record[12:])), uint64(le32(record[16:]))
	end := uint64(c.size) - uint64(len(record))
	if at >= 20 && string(c.tail[at-20:at-16]) == zip64Locator {
		end = binary.LittleEndian.Uint64(c.tail[at-20+8:])
		big := make([]byte, 56)
		if end > uint64(c.size) {
			return nil, 0, errMalformed
		}
		if _, err := c.ReadAt(big, int64(end)); err != nil || string(big[:4]) != zip64End {
			return nil, 0, errors.New("its zip64 end record is not where it should be")
		}
		count, length, offset = binary.LittleEndian.Uint64(big[32:]), binary.LittleEndian.Uint64(big[40:]), binary.LittleEndian.Uint64(big[48:])
	}
	switch {
	case count > maxZipMembers:
		return nil, 0, fmt.Errorf("it claims %d members", count)
	case length > end || offset != end-length:
		return nil, 0, errors.New("there are bytes around the directory that belong to nothing")
	}
	members := make([]zipMember, 0, min(count, 1024))
	cursor := &cursor{r: c, off: int64(offset), size: int64(end)}
	for cursor.off < cursor.size {
		m, err := readZipEntry(cursor)
		if err != nil {
			return nil, 0, err
		}
		members = append(members, m)
	}
	if uint64(len(members)) != count {
		return nil, 0, fmt.Errorf("it claims %d members and lists %d", count, len(members))
	}
	slices.SortStableFunc(members, func(a, b zipMember) int { return cmp.Compare(a.header, b.header) })
	return members, offset, nil
}

func le16(b []byte) uint16 { return binary.LittleEndian.Uint16(b) }
func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }

func readZipEntry(c *cursor) (zipMember, error) {
	h, err := c.take(46)
	if err != nil || string(h[:4]) != zipEntry {
		return zipMember{}, errors.New("an entry of the directory is not one")
	}
	m := zipMember{
		flags: le16(h[8:]), method: le16(h[10:]),
		packed: uint64(le32(h[20:])), size: uint64(le32(h[24:])), header: uint64(le32(h[42:])),
	}
	nameLength, extraLength, commentLength := int64(le16(h[28:])), int64(le16(h[30:])), uint64(le16(h[32:]))
	if nameLength > 4096 || extraLength > windowSize {
		return zipMember{}, errors.New("an entry of the directory has a name or an extra field too long to be honest")
	}
	name, err := c.take(nameLength)
	if err != nil {
		return zipMember{}, err
	}
	m.name = string(name)
	extra, err := c.take(extraLength)
	if err != nil {
		return zipMember{}, err
	}
	if err := m.readZip64(extra); err != nil {
		return zipMember{}, err
	}
	return m, c.skip(commentLength)
}

// readZip64 takes the sizes and the offset that do not fit 32 bits from the extra field (section 4.5.3).
func (m *zipMember) readZip64(extra []byte) error {
	for len(extra) >= 4 {
		id, n := le16(extra), int(le16(extra[2:]))
		if n > len(extra)-4 {
			return errMalformed
		}
		field := extra[4 : 4+n]
		extra = extra[4+n:]
		if id != 1 {
			continue
		}
		for _, v := range []*uint64{&m.size, &m.packed, &m.header} {
			if *v != 1<<32-1 {
				continue
			}
			if len(field) < 8 {
				return errMalformed
			}
			*v, field = binary.LittleEndian.Uint64(field), field[8:]
		}
	}
	return nil
}

// zipLocalHeader checks that the header before a member says what the directory says, and returns where its bytes begin.
func zipLocalHeader(c content, m zipMember) (uint64, error) {
	h := make([]byte, 30+len(m.name))
	if m.header > uint64(c.size) {
		return 0, errors.New("the directory points beyond the archive")
	}
	if _, err := c.ReadAt(h, int64(m.header)); err != nil || string(h[:4]) != zipLocal {
		return 0, errors.New("there is no member where the directory points")
	}
	packed, size := uint64(le32(h[18:])), uint64(le32(h[22:]))
	// Sizes may follow the member (flag 8, section 4.4.4) or stand in a zip64 field; then the directory's word is taken.
	later := le16(h[6:])&8 != 0 && packed == 0 && size == 0
	wide := packed == 1<<32-1 || size == 1<<32-1
	switch {
	case int(le16(h[26:])) != len(m.name) || string(h[30:]) != m.name:
		return 0, errors.New("the directory and the member's own header give different names")
	case le16(h[8:]) != m.method || le16(h[6:]) != m.flags:
		return 0, errors.New("the directory and the member's own header give different methods or flags")
	case !later && !wide && (packed != m.packed || size != m.size):
		return 0, errors.New("the directory and the member's own header give different sizes")
	}
	return m.header + uint64(len(h)) + uint64(le16(h[28:])), nil
}
