package terminal

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"iris/config/sys"
)

// A form is a way to show text that must not steer a terminal.
type form int

const (
	formText form = iota // lines stay lines, tabs stay tabs
	formLine             // one line, without tabs
	formJSON             // already JSON; the result is equal JSON
)

// keeps reports whether a control character is allowed in this form.
func (f form) keeps(r rune) bool {
	switch f {
	case formLine:
		return false
	case formJSON:
		return r < 0x20 // only as white space between values
	}
	return r == '\n' || r == '\t'
}

// Escape returns s as one line that cannot steer a terminal.
func Escape(s string) string {
	if !strings.ContainsFunc(s, sys.Steers) && utf8.ValidString(s) {
		return s
	}
	out, rest := formLine.append(nil, []byte(s))
	for _, b := range rest {
		out = fmt.Appendf(out, `\x%02x`, b)
	}
	return string(out)
}

// append adds p to out in the form f. It returns a rest that depends on the text that
// follows: a part of a character, a carriage return.
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
		case f == formText && r == '\r' && p[1] == '\n', !sys.Steers(r), f.keeps(r):
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

// A safeWriter writes text to w in a form that cannot steer a terminal, however the
// text is split into writes.
type safeWriter struct {
	w    io.Writer
	form form
	rest []byte // end of the last write, not yet decided
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

// flush writes the rest.
func (s *safeWriter) flush() error {
	var out []byte
	for _, b := range s.rest {
		out = fmt.Appendf(out, `\x%02x`, b)
	}
	s.rest = nil
	_, err := s.w.Write(out)
	return err
}
