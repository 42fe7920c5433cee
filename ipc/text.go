package ipc

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// QuoteString appends s as a JSON string. Beside what JSON demands it escapes
// what a terminal would act upon: DEL, the C1 controls, the line separators
// U+2028 and U+2029, and the marks that turn the direction of text. It leaves <,
// > and & as they are. What is not UTF-8 becomes U+FFFD, as in encoding/json.
func QuoteString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for len(s) > 0 {
		n := plainASCII(s)
		dst = append(dst, s[:n]...)
		if s = s[n:]; len(s) == 0 {
			break
		}
		r, size := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && size == 1 || escaped(r) {
			dst = appendEscape(dst, r)
		} else {
			dst = append(dst, s[:size]...)
		}
		s = s[size:]
	}
	return append(dst, '"')
}

// escaped reports whether QuoteString writes r as an escape.
func escaped(r rune) bool {
	switch {
	case r < ' ', r == '"', r == '\\', 0x7F <= r && r <= 0x9F:
		return true
	case r < 0x200E || r > 0x2069:
		return false
	}
	return r <= 0x200F || 0x2028 <= r && r <= 0x202E || r >= 0x2066
}

func appendEscape(dst []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(dst, '\\', byte(r))
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}

var errString = errors.New("not a JSON string")

// UnquoteTo writes the text of the JSON string raw to w, piece by piece: the
// same bytes as json.Unmarshal gives, without a copy of the whole. null is the
// empty text. On an error w may have got the text before the fault.
func UnquoteTo(w io.Writer, raw json.RawMessage) error {
	s := scanner{data: raw}
	s.space()
	if s.peek() == 'n' {
		return s.finish(s.literal("null"))
	}
	if s.peek() != '"' {
		return errString
	}
	s.pos++
	u := unquoter{w: w, s: s}
	if err := u.run(); err != nil {
		return err
	}
	return u.s.finish(u.flush())
}

// unquoter decodes into a small buffer in front of w.
type unquoter struct {
	w   io.Writer
	s   scanner
	buf []byte
}

const unquoteBuffer = 32 << 10

func (u *unquoter) run() error {
	for {
		rest := u.s.data[u.s.pos:]
		n := plainASCII(rest)
		if err := u.put(rest[:n]); err != nil {
			return err
		}
		u.s.pos += n
		if n == len(rest) {
			return u.s.unexpected()
		}
		switch c := rest[n]; {
		case c == '"':
			u.s.pos++
			return nil
		case c < ' ':
			return u.s.unexpected()
		}
		if err := u.odd(); err != nil {
			return err
		}
	}
}

// put writes p, through the buffer if it is short.
func (u *unquoter) put(p []byte) error {
	long := len(p) >= unquoteBuffer/2
	if long || len(u.buf)+len(p) > unquoteBuffer {
		if err := u.flush(); err != nil {
			return err
		}
	}
	if long {
		return u.write(p)
	}
	u.buf = append(u.buf, p...)
	return nil
}

func (u *unquoter) flush() error {
	p := u.buf
	u.buf = u.buf[:0]
	return u.write(p)
}

func (u *unquoter) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if _, err := u.w.Write(p); err != nil {
		return fmt.Errorf("write the text: %w", err)
	}
	return nil
}

// odd decodes one escape, or one character that is not ASCII.
func (u *unquoter) odd() error {
	if u.s.peek() != '\\' {
		r, size := utf8.DecodeRune(u.s.data[u.s.pos:])
		u.s.pos += size
		return u.putRune(r)
	}
	u.s.pos++
	from := u.s.pos
	if err := u.s.escape(); err != nil {
		return err
	}
	return u.putRune(u.unescape(from))
}

func (u *unquoter) putRune(r rune) error {
	u.buf = utf8.AppendRune(u.buf, r)
	if len(u.buf) < unquoteBuffer {
		return nil
	}
	return u.flush()
}

// unescape returns the character of the escape that begins at from, whose second
// half, if it has one, it passes over.
func (u *unquoter) unescape(from int) rune {
	switch c := u.s.data[from]; c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'u':
	default:
		return rune(c)
	}
	r := hex4(u.s.data[from+1:])
	if !utf16.IsSurrogate(r) {
		return r
	}
	half := u.s // a lone surrogate leaves what follows it alone
	if half.peek() == '\\' {
		if half.pos++; half.peek() == 'u' && half.escape() == nil {
			if pair := utf16.DecodeRune(r, hex4(u.s.data[u.s.pos+2:])); pair != utf8.RuneError {
				u.s = half
				return pair
			}
		}
	}
	return utf8.RuneError
}

// hex4 returns the value of four hexadecimal digits that were checked.
func hex4(b []byte) rune {
	var r rune
	for _, c := range b[:4] {
		d, _ := hexDigit(c)
		r = r<<4 | d
	}
	return r
}
