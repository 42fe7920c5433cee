package main

import (
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// A statusLine is one line of a terminal that is written over. A nil one shows
// nothing.
type statusLine struct {
	w *os.File

	mu    sync.Mutex // protects the fields below
	shown string
	held  bool // somebody else has the line
}

// newStatusLine returns nil for what is no terminal, or one that cannot go back.
func newStatusLine(stderr io.Writer) *statusLine {
	f, ok := stderr.(*os.File)
	if kind := os.Getenv("TERM"); !ok || !isTerminal(f) || kind == "" || kind == "dumb" {
		return nil
	}
	return &statusLine{w: f}
}

const toLineStart, eraseLine = "\r", "\x1b[K"

// set shows text in place of what was there, cut to the width of the terminal: a
// line that wraps could not be erased.
func (s *statusLine) set(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held {
		return
	}
	width, _, err := term.GetSize(int(s.w.Fd()))
	if err != nil || width <= 0 {
		width = columns
	}
	if text = cutTo(escape(text), width-1); text != s.shown {
		s.shown = text
		io.WriteString(s.w, toLineStart+text+eraseLine)
	}
}

func (s *statusLine) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clearLocked()
}

func (s *statusLine) clearLocked() {
	if s.shown != "" {
		s.shown = ""
		io.WriteString(s.w, toLineStart+eraseLine)
	}
}

// hold leaves the line to whoever asks the person at the terminal, until release
// is called.
func (s *statusLine) hold() (release func()) {
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
