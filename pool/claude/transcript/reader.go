package transcript

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// maxRecord is the longest line that is read, in bytes.
const maxRecord = 64 << 20

// A LongLineError reports a line that is left out.
type LongLineError struct{ path string }

func (e *LongLineError) Error() string {
	return fmt.Sprintf("a line of %s has more than %d bytes and is left out", e.path, maxRecord)
}

// A Reader reads a file of lines that another program writes and may replace. Call
// Aim first.
type Reader struct {
	path string
	file *os.File // nil while there is none
	at   int64    // bytes read so far
	buf  []byte   // read, and not yet returned
	skip bool     // the line that buf begins in is too long
}

// Aim makes the reader read another file, from its beginning.
func (r *Reader) Aim(path string) {
	if path != r.path {
		r.Close()
		*r = Reader{path: path}
	}
}

// Open opens the file if it is there. It opens it again, and reports that, if the
// file was replaced or cut.
func (r *Reader) Open() (replaced bool, err error) {
	info, err := os.Stat(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // not there yet, or not at this moment
	}
	if err != nil {
		return false, err
	}
	if r.file != nil {
		have, err := r.file.Stat()
		if err == nil && os.SameFile(info, have) && info.Size() >= r.at {
			return false, nil
		}
		replaced = true
		r.Close()
	}
	r.file, err = os.Open(r.path)
	r.at, r.buf, r.skip = 0, nil, false
	return replaced, err
}

// Close closes the file, if one is open.
func (r *Reader) Close() {
	if r.file != nil {
		r.file.Close()
		r.file = nil
	}
}

// Tail moves an open reader to the first line that begins in the last n bytes of the file,
// and reports whether that is its first line.
func (r *Reader) Tail(n int64) (whole bool, err error) {
	if r.file == nil {
		return true, nil
	}
	size, err := r.file.Seek(0, io.SeekEnd)
	if err != nil {
		return false, err
	}
	r.at = max(0, size-n-1) // with the end of the line before
	r.buf, r.skip = nil, false
	if _, err := r.file.Seek(r.at, io.SeekStart); err != nil {
		return false, err
	}
	if size <= n {
		return true, nil
	}
	var long *LongLineError
	if _, err := r.Next(); err != nil && !errors.Is(err, io.EOF) && !errors.As(err, &long) {
		return false, err
	}
	return false, nil
}

// Next returns the next complete line without its end; it is valid until the next
// call. io.EOF means that there is none now, a *LongLineError that a line was left
// out.
func (r *Reader) Next() ([]byte, error) {
	searched := 0
	for {
		if i := bytes.IndexByte(r.buf[searched:], '\n'); i >= 0 {
			line := r.buf[:searched+i]
			r.buf = r.buf[searched+i+1:]
			if r.skip || len(line) > maxRecord {
				r.skip = false
				return nil, &LongLineError{r.path}
			}
			return line, nil
		}
		if searched = len(r.buf); searched > maxRecord {
			r.skip = true
		}
		if r.skip {
			r.buf, searched = nil, 0
		}
		if err := r.more(); err != nil {
			return nil, err
		}
	}
}

// more reads more bytes.
func (r *Reader) more() error {
	if r.file == nil {
		return io.EOF
	}
	const least = 64 << 10
	grown := make([]byte, len(r.buf), max(2*len(r.buf), least)+least)
	copy(grown, r.buf)
	n, err := r.file.Read(grown[len(grown):cap(grown)])
	r.buf = grown[:len(grown)+n]
	r.at += int64(n)
	if n > 0 {
		return nil
	}
	return err
}
