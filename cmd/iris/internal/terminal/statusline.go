package terminal

import (
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// A StatusLine is one line of a terminal that is overwritten. A nil one shows
// nothing.
type StatusLine struct {
	w *os.File

	mu    sync.Mutex // protects the fields below
	shown string
	held  bool // Hold was called
}

// NewStatusLine returns nil if stderr is no terminal, or cannot move back in the
// line.
func NewStatusLine(stderr io.Writer) *StatusLine {
	f, ok := stderr.(*os.File)
	if kind := os.Getenv("TERM"); !ok || !Is(f) || kind == "" || kind == "dumb" {
		return nil
	}
	return &StatusLine{w: f}
}

const toLineStart, eraseLine = "\r", "\x1b[K"

// Set replaces the text, cut to the width of the terminal: a line that wraps could
// not be erased.
func (s *StatusLine) Set(text string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held {
		return
	}
	width, _, err := term.GetSize(int(s.w.Fd()))
	if err != nil || width <= 0 {
		width = Columns
	}
	if text = cut(Escape(text), width-1); text != s.shown {
		s.shown = text
		io.WriteString(s.w, toLineStart+text+eraseLine)
	}
}

// Clear erases the line.
func (s *StatusLine) Clear() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clearLocked()
}

func (s *StatusLine) clearLocked() {
	if s.shown != "" {
		s.shown = ""
		io.WriteString(s.w, toLineStart+eraseLine)
	}
}

// Hold clears the line while a person is asked at the terminal, until release is
// called.
func (s *StatusLine) Hold() (release func()) {
	if s == nil {
		return func() {}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clearLocked()
	s.held = true
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.held = false
	}
}
