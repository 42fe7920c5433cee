package claude

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

const (
	chunk     = 64 << 10 // of one read
	readBatch = 4 << 20  // bytes read before the owner of the reader gets control again
	maxLine   = 64 << 20 // the longest line that is read
	ends      = 8 << 10  // bytes read first of the head and of the tail of a long line
)

// buffers holds the buffers of reading readers; a waiting reader has none.
var buffers = sync.Pool{New: func() any { return new([chunk]byte) }}

// lineReader cuts a growing file into lines. Between two calls of read it keeps only
// its position: an incomplete line is read again.
type lineReader struct {
	f    io.ReaderAt
	off  int64 // start of the first line not yet emitted
	seen int64 // no newline lies between off and seen
	at   int64 // start of the line that is being emitted
	next int64 // the end of that line, with the newline
	max  int64 // longest line, maxLine

	holed bool // a part of the line at off was given back
}

// sink receives the lines of a lineReader.
type sink struct {
	line func(line []byte)                          // a line, without its newline; valid during the call
	long func(head, tail []byte, length int64) bool // asked before a line longer than a chunk is loaded
	over func(head, tail []byte, length int64)      // a line over the limit, skipped
}

// read passes complete lines to s until there are no more, or it has read readBatch;
// then more is true. An incomplete line waits for the next call.
func (r *lineReader) read(s sink) (more bool, err error) {
	buf := buffers.Get().(*[chunk]byte)
	defer buffers.Put(buf)
	for from := r.seen; r.seen-from < readBatch; {
		step := r.short
		if r.seen-r.off >= chunk {
			step = r.far
		}
		if more, err = step(buf[:], s); err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

// all calls read until there are no more lines.
func (r *lineReader) all(s sink) error {
	for {
		if more, err := r.read(s); err != nil || !more {
			return err
		}
	}
}

// short emits the lines that lie in one chunk from off; zeros before a line are a
// punched hole and skipped. It reports whether there may be more to read.
func (r *lineReader) short(buf []byte, s sink) (bool, error) {
	n, err := readAt(r.f, buf, r.off)
	if err != nil {
		return false, err
	}
	if hole := n - len(bytes.TrimLeft(buf[:n], "\x00")); hole > 0 {
		r.off += int64(hole)
		r.seen, r.holed = r.off, true
		return hole < n || n == len(buf), nil
	}
	start, from := 0, min(int(r.seen-r.off), n)
	for {
		i := bytes.IndexByte(buf[from:n], '\n')
		if i < 0 {
			break
		}
		r.at, r.next = r.off+int64(start), r.off+int64(from+i+1)
		r.holed = r.holed || bytes.IndexByte(buf[start:from+i], 0) >= 0
		s.line(trim(buf[start : from+i]))
		r.holed = false
		start = from + i + 1
		from = start
	}
	r.seen = r.off + int64(n)
	r.off += int64(start)
	return n == len(buf), nil
}

// far looks for the end of a line that is longer than a chunk, and emits it.
func (r *lineReader) far(buf []byte, s sink) (bool, error) {
	n, err := readAt(r.f, buf, r.seen)
	if err != nil {
		return false, err
	}
	i := bytes.IndexByte(buf[:n], '\n')
	if i < 0 {
		r.holed = r.holed || bytes.IndexByte(buf[:n], 0) >= 0
		r.seen += int64(n)
		return n == len(buf), nil
	}
	r.holed = r.holed || bytes.IndexByte(buf[:i], 0) >= 0
	end := r.seen + int64(i)
	r.at, r.next = r.off, end+1
	if err := r.load(buf, end-r.off, s); err != nil {
		return false, err
	}
	r.off, r.seen, r.holed = end+1, end+1, false
	return true, nil
}

// load emits the long line at off, if the sink wants it.
func (r *lineReader) load(buf []byte, length int64, s sink) error {
	n, err := readAt(r.f, buf[:ends], r.off)
	if err != nil {
		return err
	}
	m, err := readAt(r.f, buf[ends:2*ends], r.off+length-ends)
	if err != nil {
		return err
	}
	head, tail := trim(buf[:n]), buf[ends:ends+m]
	if length > r.max {
		s.over(head, tail, length)
		return nil
	}
	if !s.long(head, tail, length) {
		return nil
	}
	line := make([]byte, length)
	if n, err := readAt(r.f, line, r.off); err != nil || int64(n) < length {
		return errors.Join(err, io.ErrUnexpectedEOF)
	}
	s.line(trim(line))
	return nil
}

// rest returns the bytes after the last newline, at most a chunk of them.
func (r *lineReader) rest() []byte {
	buf := make([]byte, min(max(r.seen-r.off, 0), chunk))
	n, _ := readAt(r.f, buf, r.off)
	return trim(buf[:n])
}

// trim removes the zeros of a punched hole that ends at a line's start, and the
// carriage return of a CRLF.
func trim(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimLeft(line, "\x00"), []byte("\r"))
}

// readAt is f.ReadAt without io.EOF.
func readAt(f io.ReaderAt, b []byte, off int64) (int, error) {
	n, err := f.ReadAt(b, off)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}
