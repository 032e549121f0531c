package authority

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// canonicalHost returns host[:port] in lower case, without the scheme's own port.
// Refused are forms of which not all readers make the same: names that are not
// ASCII, a final dot, numbers that some read as an address.
func canonicalHost(text, scheme string) (string, error) {
	host, port, err := cutPort(text)
	if err != nil {
		return "", err
	}
	if port == map[string]string{"https": "443", "http": "80"}[scheme] {
		port = ""
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		a, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		if err != nil || !a.Is6() || a.Is4In6() || a.Zone() != "" {
			return "", fmt.Errorf("the host %s is no plain IPv6 address", quoted(host))
		}
		host = "[" + a.String() + "]"
		return withPort(host, port), nil
	}
	host = strings.ToLower(host)
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, func(r rune) bool { return r != '-' && r != '_' && !lowerOrDigit(r) }) {
			return "", fmt.Errorf("the host %s is not written in letters, digits, hyphens and single dots; names in other scripts have a form that begins with xn--", quoted(host))
		}
	}
	if len(host) > 253 {
		return "", errors.New("the host's name has more than 253 bytes")
	}
	if last := labels[len(labels)-1]; last[0] >= '0' && last[0] <= '9' {
		if a, err := netip.ParseAddr(host); err != nil || !a.Is4() {
			return "", fmt.Errorf("the host %s could be read as an address; write an IPv4 address as four decimal numbers", quoted(host))
		}
	}
	return withPort(host, port), nil
}

func withPort(host, port string) string {
	if port == "" {
		return host
	}
	return host + ":" + port
}

// cutPort parts a host from its port, which is a number without leading zeros.
func cutPort(text string) (host, port string, err error) {
	at := strings.LastIndexByte(text, ':')
	if at < 0 || strings.HasSuffix(text, "]") {
		return text, "", nil
	}
	host, port = text[:at], text[at+1:]
	odd := port == "" || len(port) > 5 || port[0] == '0' || strings.ContainsFunc(port, func(r rune) bool { return r < '0' || r > '9' })
	if odd || len(port) == 5 && port > "65535" {
		return "", "", fmt.Errorf("%s has no port that is one; leave the colon out, or write a number from 1 to 65535", quoted(text))
	}
	return host, port, nil
}

func lowerOrDigit(r rune) bool { return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' }

// unreserved are the bytes that mean the same with encoding and without (RFC 3986
// 2.3).
func unreserved(b byte) bool {
	return lowerOrDigit(rune(b)) || b >= 'A' && b <= 'Z' || strings.IndexByte("-._~", b) >= 0
}

// canonicalPath returns a path in which what needs no encoding has none, and the
// rest has it in upper case (RFC 3986 6.2.2). Refused is what is taken for a
// separator or a step by some readers and by others not.
func canonicalPath(path string) (string, error) {
	var out, plain strings.Builder
	for i := 0; i < len(path); i++ {
		b, encoded := path[i], false
		if b == '%' {
			var ok bool
			if b, ok = hexByte(path[i+1:]); !ok {
				return "", fmt.Errorf("the path %s has a percent sign that encodes nothing", quoted(path))
			}
			i, encoded = i+2, true
		}
		plain.WriteByte(b)
		switch {
		case unreserved(b), !encoded && strings.IndexByte("/!$&'()*+,=:@", b) >= 0:
			out.WriteByte(b)
		case !encoded:
			return "", fmt.Errorf("the path %s has the byte %+q, which must be encoded or left out", quoted(path), b)
		case strings.IndexByte(`/\%;`, b) >= 0:
			return "", fmt.Errorf("the path %s has %+q in encoded form, which not every reader takes for the same", quoted(path), b)
		default:
			fmt.Fprintf(&out, "%%%02X", b)
		}
	}
	if text := plain.String(); !plainText(text) || strings.ContainsFunc(text, deceives) {
		return "", fmt.Errorf("the path %s has control characters, look-alikes of separators, or is not UTF-8", quoted(path))
	}
	segments := strings.Split(plain.String(), "/")
	for i, s := range segments[1:] {
		if s == "" && i < len(segments)-2 || strings.HasSuffix(s, ".") || strings.HasSuffix(s, " ") {
			return "", fmt.Errorf("the path %s has a segment that is empty or ends in a dot or a space; write where it leads to", quoted(path))
		}
	}
	return out.String(), nil
}

// queryText decodes a name or a value of a query, in which a plus is a space, and
// returns its one form as well: reserved characters stay as they are written.
func queryText(text string) (plain, form string, err error) {
	var out, decoded strings.Builder
	for i := 0; i < len(text); i++ {
		b := text[i]
		switch {
		case b == '+':
			decoded.WriteByte(' ')
			out.WriteString("%20")
			continue
		case b == '%':
			var ok bool
			if b, ok = hexByte(text[i+1:]); !ok {
				return "", "", fmt.Errorf("the query has %s, with a percent sign that encodes nothing", quoted(text))
			}
			i += 2
			if !unreserved(b) {
				fmt.Fprintf(&out, "%%%02X", b)
				decoded.WriteByte(b)
				continue
			}
		case !unreserved(b) && strings.IndexByte("!$'()*,:@/?[]=", b) < 0:
			return "", "", fmt.Errorf("the query has %s, in which the byte %+q must be encoded", quoted(text), b)
		}
		out.WriteByte(b)
		decoded.WriteByte(b)
	}
	if plain = decoded.String(); !plainText(plain) {
		return "", "", fmt.Errorf("the query has %s, with control characters or what is not UTF-8", quoted(text))
	}
	return plain, out.String(), nil
}

func hexByte(s string) (byte, bool) {
	if len(s) < 2 {
		return 0, false
	}
	high, low := hexDigit(s[0]), hexDigit(s[1])
	return high<<4 | low, high < 16 && low < 16
}

func hexDigit(b byte) byte {
	switch {
	case b >= '0' && b <= '9':
		return b - '0'
	case b >= 'a' && b <= 'f':
		return b - 'a' + 10
	case b >= 'A' && b <= 'F':
		return b - 'A' + 10
	}
	return 16
}

// lookAlikes are characters of which some readers make ASCII (Unicode's
// compatibility forms): full-width and small letters and signs, dots that are
// one character, slashes and backslashes.
var lookAlikes = &unicode.RangeTable{R16: []unicode.Range16{
	{Lo: 0x2024, Hi: 0x2026, Stride: 1},
	{Lo: 0x2044, Hi: 0x2044, Stride: 1},
	{Lo: 0x2100, Hi: 0x2101, Stride: 1},
	{Lo: 0x2105, Hi: 0x2106, Stride: 1},
	{Lo: 0x2215, Hi: 0x2216, Stride: 1},
	{Lo: 0x29f5, Hi: 0x29f5, Stride: 1},
	{Lo: 0x29f8, Hi: 0x29f9, Stride: 1},
	{Lo: 0xfe50, Hi: 0xfe6b, Stride: 1},
	{Lo: 0xff01, Hi: 0xff5e, Stride: 1},
}}

// deceives are characters that a reader may drop or take for others.
func deceives(r rune) bool {
	return r == '\t' || unicode.Is(unicode.Cf, r) || unicode.Is(lookAlikes, r)
}

// plainText reports whether a text is UTF-8 without control characters but tabs.
func plainText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r != '\t' && unicode.IsControl(r) })
}
