package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// A form is a way to show text that must not steer a terminal.
type form int

const (
	formText form = iota // lines stay lines, tabs stay tabs
	formLine             // one line, without tabs
	formJSON             // JSON already, and stays equal JSON
)

// steers reports whether a terminal may take r for anything but itself: the
// control characters of ASCII and of Latin-1 (where 0x9b alone begins a
// command), the marks that turn the direction of writing, and the separators that
// end a line for some. Characters without a width stay: they move nothing, and
// scripts and emoji are made with them.
func steers(r rune) bool {
	switch {
	case r < 0x20, 0x7f <= r && r <= 0x9f:
		return true
	case r == 0x061c, r == 0x200e, r == 0x200f, r == 0x2028, r == 0x2029:
		return true
	}
	return 0x202a <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069
}

// keeps reports whether a control character may stand in this form.
func (f form) keeps(r rune) bool {
	switch f {
	case formLine:
		return false
	case formJSON:
		return r < 0x20 // only as white space between values
	}
	return r == '\n' || r == '\t'
}

// escape returns s as one line that cannot steer a terminal.
func escape(s string) string {
	if !strings.ContainsFunc(s, steers) && utf8.ValidString(s) {
		return s
	}
	out, rest := formLine.append(nil, []byte(s))
	for _, b := range rest {
		out = fmt.Appendf(out, `\x%02x`, b)
	}
	return string(out)
}

// append adds p to out in the form f. What p ends with and only its
// continuation can tell (part of a character, a carriage return) is returned.
func (f form) append(out, p []byte) (full, rest []byte) {
	for len(p) > 0 {
		if n := plain(p); n > 0 {
			out, p = append(out, p[:n]...), p[n:]
			continue
		}
		if !utf8.FullRune(p) || f == formText && len(p) == 1 && p[0] == '\r' {
			return out, p
		}
		r, n := utf8.DecodeRune(p)
		switch {
		case r == utf8.RuneError && n == 1:
			out = fmt.Appendf(out, `\x%02x`, p[0])
		case f == formText && r == '\r' && p[1] == '\n', !steers(r), f.keeps(r):
			out = append(out, p[:n]...)
		case r < 0x80 && f != formJSON:
			out = fmt.Appendf(out, `\x%02x`, r)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		p = p[n:]
	}
	return out, nil
}

// plain returns how many bytes at the start of p are printable ASCII.
func plain(p []byte) int {
	for i, b := range p {
		if b < 0x20 || b >= 0x7f {
			return i
		}
	}
	return len(p)
}

// A safeWriter passes text on to w in a form that cannot steer a terminal,
// however the text is cut into writes.
type safeWriter struct {
	w    io.Writer
	form form
	rest []byte // end of the last write, undecided yet
	out  []byte
}

func (s *safeWriter) Write(p []byte) (int, error) {
	in := p
	if len(s.rest) > 0 {
		in = append(s.rest, p...)
	}
	out, rest := s.form.append(s.out[:0], in)
	s.out = out
	s.rest = append([]byte(nil), rest...)
	if _, err := s.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// flush writes what the text ended with.
func (s *safeWriter) flush() error {
	var out []byte
	for _, b := range s.rest {
		out = fmt.Appendf(out, `\x%02x`, b)
	}
	s.rest = nil
	_, err := s.w.Write(out)
	return err
}
