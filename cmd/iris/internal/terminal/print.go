package terminal

import (
	"bufio"
	"encoding/json"
	"io"
)

// A Printer writes one command's data. Close reports whether all of it was written.
type Printer struct {
	buf  *bufio.Writer
	safe *safeWriter // between buf and the stream, nil if bytes pass unchanged
}

// NewPrinter returns a Printer for text: on a terminal the text cannot steer it,
// unless raw is set; in a pipe or file the bytes pass unchanged.
func NewPrinter(w io.Writer, raw bool) *Printer {
	if raw || !Is(w) {
		return &Printer{buf: bufio.NewWriter(w)}
	}
	return NewSafePrinter(w)
}

// NewSafePrinter returns a Printer whose text never steers a terminal.
func NewSafePrinter(w io.Writer) *Printer { return newSafe(w, formText) }

// NewJSONPrinter returns a Printer for lines of JSON: on a terminal they stay the
// same JSON and cannot steer it; in a pipe or file the bytes pass unchanged.
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

// Flush writes the text so far, except for an end that depends on the text that
// follows.
func (p *Printer) Flush() error { return p.buf.Flush() }

// Close writes the rest. It does not close the stream.
func (p *Printer) Close() error {
	if err := p.buf.Flush(); err != nil {
		return err
	}
	if p.safe == nil {
		return nil
	}
	return p.safe.flush()
}

// JSON writes v as one line of JSON in which every control character is escaped, also
// those that JSON allows, so that it can be shown on a terminal.
func JSON(w io.Writer, v any) error {
	p := newSafe(w, formJSON)
	enc := json.NewEncoder(p)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	return p.Close()
}
