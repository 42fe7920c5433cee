package terminal

import (
	"bufio"
	"encoding/json"
	"io"
)

// A Printer writes one command's data. Close says whether all of it arrived.
type Printer struct {
	buf  *bufio.Writer
	safe *safeWriter // between buf and the stream, nil when bytes pass as they are
}

// NewPrinter returns a Printer for text that people read: on a terminal it
// cannot steer it, unless raw is set; in a pipe or file the bytes pass as they
// are.
func NewPrinter(w io.Writer, raw bool) *Printer {
	if raw || !Is(w) {
		return &Printer{buf: bufio.NewWriter(w)}
	}
	return NewSafePrinter(w)
}

// NewSafePrinter returns a Printer whose text never steers a terminal.
func NewSafePrinter(w io.Writer) *Printer { return newSafe(w, formText) }

// NewJSONPrinter returns a Printer for lines of JSON: on a terminal they stay the
// same JSON and cannot steer it; in a pipe or file the bytes pass as they are.
func NewJSONPrinter(w io.Writer) *Printer {
	if !Is(w) {
		return NewPrinter(w, true)
	}
	return newSafe(w, formJSON)
}

func newSafe(w io.Writer, f form) *Printer {
	safe := &safeWriter{w: w, form: f}
	return &Printer{buf: bufio.NewWriter(safe), safe: safe}
}

func (p *Printer) Write(b []byte) (int, error) { return p.buf.Write(b) }

// Flush passes on what was written so far. What the text ends with may be held
// back until its continuation or Close.
func (p *Printer) Flush() error { return p.buf.Flush() }

// Close writes what is still held back. It does not close the stream.
func (p *Printer) Close() error {
	if err := p.buf.Flush(); err != nil {
		return err
	}
	if p.safe == nil {
		return nil
	}
	return p.safe.flush()
}

// JSON writes v as one line of JSON in which every control character is
// escaped, also those that JSON itself allows to stand, so that a terminal may
// show it.
func JSON(w io.Writer, v any) error {
	p := newSafe(w, formJSON)
	enc := json.NewEncoder(p)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	return p.Close()
}
