package ipc

import (
	"bytes"
	"errors"
	"io"
)

// smallBuffer is the size of the read buffer that an idle connection keeps.
const smallBuffer = 4 << 10

// errTooLong says that a line is over the limit of its reader.
var errTooLong = errors.New("line too long")

// lines reads lines from a connection. It belongs to one goroutine.
//
// Short lines share one small buffer. A longer line is assembled in a buffer that
// grows fourfold up to the limit and is freed with the line.
type lines struct {
	r     io.Reader
	limit int // bytes of a line, without its line feed

	// wait is called before each read that may block; begun says whether a line has
	// begun. reserve is called before a buffer of n bytes is made, and with n
	// negative after it is gone. Either may be nil.
	wait    func(begun bool) error
	reserve func(n int) error

	small   []byte
	buf     []byte // small, or a larger one
	start   int    // of the bytes not yet returned
	end     int    // of the bytes read
	scanned int    // no line feed before it
}

// next returns the next line without its line feed. It is valid until the next
// call, or until done.
func (l *lines) next() ([]byte, error) {
	l.done()
	for {
		if i := bytes.IndexByte(l.buf[l.scanned:l.end], '\n'); i >= 0 {
			line := l.buf[l.start : l.scanned+i]
			l.start = l.scanned + i + 1
			l.scanned = l.start
			if len(line) > l.limit {
				return nil, errTooLong
			}
			return bytes.TrimSuffix(line, []byte{'\r'}), nil
		}
		l.scanned = l.end
		if l.end-l.start > l.limit {
			return nil, errTooLong
		}
		if err := l.fill(); err != nil {
			return nil, err
		}
	}
}

// rest returns the bytes before an io.ErrUnexpectedEOF.
func (l *lines) rest() []byte {
	line := l.buf[l.start:l.end]
	l.start = l.end
	return line
}

// fill makes room and reads once.
func (l *lines) fill() error {
	if l.end == len(l.buf) {
		if err := l.grow(); err != nil {
			return err
		}
	}
	if l.wait != nil {
		if err := l.wait(l.end > l.start); err != nil {
			return err
		}
	}
	n, err := l.r.Read(l.buf[l.end:])
	l.end += n
	if n > 0 {
		return nil // an error comes back with the next read
	}
	if err == io.EOF && l.end > l.start {
		return io.ErrUnexpectedEOF
	}
	return err
}

// grow moves the remaining bytes to the front, or into a larger buffer, up to the
// limit, when they fill more than half of this one.
func (l *lines) grow() error {
	left := l.buf[l.start:l.end]
	to := l.buf
	if len(to) == 0 || len(left) > len(to)/2 && len(to) < l.limit+2 {
		size := max(smallBuffer, min(4*len(to), l.limit+2))
		if size > smallBuffer && l.reserve != nil {
			if err := l.reserve(size); err != nil {
				return err
			}
		}
		to = make([]byte, size)
	}
	l.end = copy(to, left)
	l.scanned -= l.start
	l.start = 0
	l.become(to)
	return nil
}

// become replaces the buffer, and releases the reservation of a large old one.
func (l *lines) become(buf []byte) {
	if len(buf) == smallBuffer {
		l.small = buf
	}
	if old := len(l.buf); len(buf) != old && old > smallBuffer && l.reserve != nil {
		l.reserve(-old)
	}
	l.buf = buf
}

// done frees a large buffer unless some of it is still to be returned.
func (l *lines) done() {
	if l.start < l.end {
		return
	}
	l.start, l.end, l.scanned = 0, 0, 0
	if len(l.buf) > smallBuffer {
		l.become(l.small)
	}
}

// drop forgets everything that was read.
func (l *lines) drop() {
	l.start = l.end
	l.done()
}
