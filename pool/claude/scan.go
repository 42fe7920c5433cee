package claude

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Lines of an agent run to many megabytes, and most need no more than their
// type. The scanner here looks at the top level of one JSON object and at no
// byte more than it must; what is inside a value is not checked. A line that is
// acted upon goes through encoding/json, value by value.

// route returns the type and subtype of a line. It stops as soon as it has
// what handle needs; false means that the line is no JSON object so far.
func route(line []byte) (typ, subtype string, ok bool) {
	ok = fields(line, func(key, val []byte) bool {
		switch string(key) {
		case "type":
			typ, _ = unquote(val)
		case "subtype":
			subtype, _ = unquote(val)
		}
		return typ == "" || subtype == "" && (typ == "system" || typ == "result")
	})
	return typ, subtype, ok && typ != ""
}

// fields calls f with each member of the object in line, in order, until f
// returns false. It reports whether everything up to there was well formed.
func fields(line []byte, f func(key, val []byte) bool) bool {
	i := skipSpace(line, 0)
	if i >= len(line) || line[i] != '{' {
		return false
	}
	if i = skipSpace(line, i+1); i < len(line) && line[i] == '}' {
		return skipSpace(line, i+1) == len(line)
	}
	for {
		key, val, next := member(line, i)
		if next < 0 {
			return false
		}
		if !f(key, val) {
			return true
		}
		i = skipSpace(line, next)
		switch {
		case i < len(line) && line[i] == ',':
			i = skipSpace(line, i+1)
		case i < len(line) && line[i] == '}':
			return skipSpace(line, i+1) == len(line)
		default:
			return false
		}
	}
}

// member reads one "key":value from i and returns where it ends, or -1.
func member(b []byte, i int) (key, val []byte, end int) {
	if i >= len(b) || b[i] != '"' {
		return nil, nil, -1
	}
	j := skipString(b, i)
	if j < 0 {
		return nil, nil, -1
	}
	key = b[i+1 : j-1]
	if bytes.IndexByte(key, '\\') >= 0 {
		s, _ := unquote(b[i:j])
		key = []byte(s)
	}
	if i = skipSpace(b, j); i >= len(b) || b[i] != ':' {
		return nil, nil, -1
	}
	i = skipSpace(b, i+1)
	if end = skipValue(b, i); end < 0 {
		return nil, nil, -1
	}
	return key, b[i:end], end
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}

// skipString returns the index after the string that starts at i, or -1.
func skipString(b []byte, i int) int {
	for i++; i < len(b); i++ {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return -1
		}
		slashes := 0
		for k := i + n - 1; k >= i && b[k] == '\\'; k-- {
			slashes++
		}
		if i += n; slashes%2 == 0 {
			return i + 1
		}
	}
	return -1
}

// skipValue returns the index after the value that starts at i, or -1.
func skipValue(b []byte, i int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		return skipNested(b, i)
	}
	start := i
	for i < len(b) && !strings.ContainsRune(",]} \t\r\n", rune(b[i])) {
		i++
	}
	if i == start {
		return -1
	}
	return i
}

// skipNested returns the index after the object or array at i, or -1.
func skipNested(b []byte, i int) int {
	for depth := 0; i < len(b); {
		switch b[i] {
		case '"':
			if i = skipString(b, i); i < 0 {
				return -1
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		i++
		if depth == 0 {
			return i
		}
	}
	return -1
}

// unquote decodes a JSON string, as encoding/json does but in one pass: bad
// UTF-8 and lone surrogates become U+FFFD. It is lax about control characters.
func unquote(raw []byte) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' || raw[len(raw)-1] != '"' {
		return "", false
	}
	raw = raw[1 : len(raw)-1]
	var s string
	if bytes.IndexByte(raw, '\\') < 0 {
		s = string(raw)
	} else {
		b, ok := unescape(raw)
		if !ok {
			return "", false
		}
		s = b
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	return s, true
}

func unescape(raw []byte) (string, bool) {
	var out strings.Builder
	out.Grow(len(raw))
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			out.Write(raw)
			return out.String(), true
		}
		out.Write(raw[:i])
		raw = raw[i:]
		n := escape(&out, raw)
		if n == 0 {
			return "", false
		}
		raw = raw[n:]
	}
}

// escape decodes the escape sequence at the start of raw into out and returns
// its length, 0 when it is none.
func escape(out *strings.Builder, raw []byte) int {
	if len(raw) < 2 {
		return 0
	}
	if raw[1] == 'u' {
		r := hex4(raw)
		if r < 0 {
			return 0
		}
		if utf16.IsSurrogate(r) {
			if pair := utf16.DecodeRune(r, hex4(raw[6:])); pair != utf8.RuneError {
				out.WriteRune(pair)
				return 12
			}
			r = utf8.RuneError
		}
		out.WriteRune(r)
		return 6
	}
	i := strings.IndexByte(`"\/bfnrt`, raw[1])
	if i < 0 {
		return 0
	}
	out.WriteByte("\"\\/\b\f\n\r\t"[i])
	return 2
}

// hex4 reads \uXXXX, or returns -1.
func hex4(raw []byte) rune {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return -1
	}
	v, err := strconv.ParseUint(string(raw[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(v)
}

// decode is json.Unmarshal for a member of a line that is used when it fits
// and left alone when a later version of the program has changed its shape.
func decode(val []byte, into any) { _ = json.Unmarshal(val, into) }
