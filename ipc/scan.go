package ipc

import (
	"errors"
	"fmt"
	"math/bits"
)

// errDepth says that a text nests deeper than its scanner allows.
var errDepth = errors.New("nested too deep")

// A scanner passes once over JSON text: it accepts what json.Valid accepts, but
// never recurses, never allocates, and stops at a depth of its own. What is
// inside an object or an array at that moment is one bit in kind.
type scanner struct {
	data  []byte
	pos   int
	max   int // levels allowed
	depth int // levels open
	kind  [MaxAnswerDepth / 64]uint64
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return
		}
	}
}

// peek returns the next byte, 0 at the end: a literal 0 is never valid either.
func (s *scanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

func (s *scanner) unexpected() error {
	if s.pos >= len(s.data) {
		return errors.New("unexpected end of the text")
	}
	return fmt.Errorf("unexpected %q at byte %d", s.data[s.pos], s.pos+1)
}

func (s *scanner) push(object bool) error {
	if s.depth >= s.max {
		return errDepth
	}
	word, bit := s.depth/64, uint64(1)<<(s.depth%64)
	if object {
		s.kind[word] |= bit
	} else {
		s.kind[word] &^= bit
	}
	s.depth++
	s.pos++
	return nil
}

// inObject reports whether the innermost open level is an object's.
func (s *scanner) inObject() bool {
	d := s.depth - 1
	return s.kind[d/64]&(1<<(d%64)) != 0
}

// value passes over one value, however deep, and the space before it.
func (s *scanner) value() error {
	base := s.depth
	for {
		opened, err := s.start()
		if err != nil {
			return err
		}
		if opened {
			continue
		}
		if done, err := s.ends(base); done || err != nil {
			return err
		}
	}
}

// start passes over a scalar or an empty object or array. When it enters one
// that is not empty, it reports opened and stands before its first value.
func (s *scanner) start() (opened bool, err error) {
	s.space()
	switch c := s.peek(); c {
	case '{', '[':
		if err := s.push(c == '{'); err != nil {
			return false, err
		}
		s.space()
		if s.peek() == c+2 { // } is two after {, and ] after [
			s.pos++
			s.depth--
			return false, nil
		}
		if c == '{' {
			_, err = s.key()
		}
		return true, err
	case '"':
		return false, s.text()
	case 't':
		return false, s.literal("true")
	case 'f':
		return false, s.literal("false")
	case 'n':
		return false, s.literal("null")
	default:
		return false, s.number()
	}
}

// ends closes what ends after a value. It is done when everything above base
// is closed; otherwise it stands before the next value.
func (s *scanner) ends(base int) (done bool, err error) {
	for s.depth > base {
		s.space()
		object := s.inObject()
		switch c := s.peek(); {
		case c == ',':
			s.pos++
			if object {
				_, err = s.key()
			}
			return false, err
		case c == '}' && object, c == ']' && !object:
			s.pos++
			s.depth--
		default:
			return false, s.unexpected()
		}
	}
	return true, nil
}

// key passes over a member's name and the colon, and returns the name with its
// quotes.
func (s *scanner) key() ([]byte, error) {
	s.space()
	from := s.pos
	if s.peek() != '"' {
		return nil, s.unexpected()
	}
	if err := s.text(); err != nil {
		return nil, err
	}
	name := s.data[from:s.pos]
	s.space()
	if s.peek() != ':' {
		return nil, s.unexpected()
	}
	s.pos++
	return name, nil
}

func (s *scanner) literal(want string) error {
	for i := range len(want) {
		if s.peek() != want[i] {
			return s.unexpected()
		}
		s.pos++
	}
	return nil
}

// text passes over a string; s stands on its opening quote.
func (s *scanner) text() error {
	s.pos++
	for {
		s.pos += plain(s.data[s.pos:])
		switch s.peek() {
		case '"':
			s.pos++
			return nil
		case '\\':
			s.pos++
			if err := s.escape(); err != nil {
				return err
			}
		default:
			return s.unexpected()
		}
	}
}

func (s *scanner) escape() error {
	switch s.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.pos++
		return nil
	case 'u':
		s.pos++
	default:
		return s.unexpected()
	}
	for range 4 {
		if _, ok := hexDigit(s.peek()); !ok {
			return s.unexpected()
		}
		s.pos++
	}
	return nil
}

func (s *scanner) number() error {
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else if err := s.digits(); err != nil {
		return err
	}
	if s.peek() == '.' {
		s.pos++
		if err := s.digits(); err != nil {
			return err
		}
	}
	if c := s.peek(); c != 'e' && c != 'E' {
		return nil
	}
	s.pos++
	if c := s.peek(); c == '+' || c == '-' {
		s.pos++
	}
	return s.digits()
}

// digits passes over one digit or more.
func (s *scanner) digits() error {
	from := s.pos
	for c := s.peek(); '0' <= c && c <= '9'; c = s.peek() {
		s.pos++
	}
	if s.pos == from {
		return s.unexpected()
	}
	return nil
}

func hexDigit(c byte) (rune, bool) {
	switch {
	case '0' <= c && c <= '9':
		return rune(c - '0'), true
	case 'a' <= c && c <= 'f':
		return rune(c - 'a' + 10), true
	case 'A' <= c && c <= 'F':
		return rune(c - 'A' + 10), true
	}
	return 0, false
}

// Eight bytes at a time: the answers are long strings with few escapes.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// below has the high bit of each byte of x that is under n, for n <= 128. Bytes
// after the first hit may be marked wrongly; the first one never is.
func below(x uint64, n byte) uint64 { return (x - ones*uint64(n)) &^ x & highs }

// special marks the quotes, backslashes and control bytes in x.
func special(x uint64) uint64 {
	return below(x, ' ') | below(x^(ones*'"'), 1) | below(x^(ones*'\\'), 1)
}

// load returns the eight bytes of b from i on, the first one lowest.
func load[T string | []byte](b T, i int) uint64 {
	_ = b[i+7]
	return uint64(b[i]) | uint64(b[i+1])<<8 | uint64(b[i+2])<<16 | uint64(b[i+3])<<24 |
		uint64(b[i+4])<<32 | uint64(b[i+5])<<40 | uint64(b[i+6])<<48 | uint64(b[i+7])<<56
}

// plain returns how many bytes of b come before the first quote, backslash or
// control byte.
func plain(b []byte) int {
	i := 0
	for ; len(b)-i >= 8; i += 8 {
		if m := special(load(b, i)); m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for ; i < len(b); i++ {
		if c := b[i]; c < ' ' || c == '"' || c == '\\' {
			break
		}
	}
	return i
}

// plainASCII is plain that stops at DEL and at bytes above it as well.
func plainASCII[T string | []byte](b T) int {
	i := 0
	for ; len(b)-i >= 8; i += 8 {
		x := load(b, i)
		if m := special(x) | x&highs | below(x^(ones*0x7F), 1); m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for ; i < len(b); i++ {
		if c := b[i]; c < ' ' || c >= 0x7F || c == '"' || c == '\\' {
			break
		}
	}
	return i
}
