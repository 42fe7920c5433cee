package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// A statusLine is one line of a terminal that is written over.
type statusLine struct {
	w     *os.File
	shown string
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
	width, _, err := term.GetSize(int(s.w.Fd()))
	if err != nil || width <= 0 {
		width = columns
	}
	if text = cut(escape(text), width-1); text != s.shown {
		s.shown = text
		io.WriteString(s.w, toLineStart+text+eraseLine)
	}
}

func (s *statusLine) clear() {
	if s.shown != "" {
		s.shown = ""
		io.WriteString(s.w, toLineStart+eraseLine)
	}
}

// cut shortens text to so many columns. What is not ASCII may take two.
func cut(text string, width int) string {
	for i, r := range text {
		w := 1
		if r >= 0x80 {
			w = 2
		}
		if width -= w; width < 0 {
			return text[:i]
		}
	}
	return text
}
