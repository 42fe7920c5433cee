package claude

import (
	"bytes"
	"io"
)

// isReplay reports whether a line, or its end, repeats the message with that uuid.
// Inside a text every quotation mark has a backslash before it.
func isReplay(line []byte, uuid string) bool {
	return uuid != "" && bytes.Contains(line, []byte(`"isReplay":true`)) && bytes.Contains(line, []byte(`"uuid":"`+uuid+`"`))
}

// A finder looks for the beginning of a message's turn in the agent's output: the
// agent may first end a turn of its own. The rules are those of turnNotes.
type finder struct {
	uuid      string
	r         lineReader
	first     int64 // where a turn begins that may be the message's
	held      int64 // where one began that counts as the message's if no other is found
	holds     bool
	lifecycle bool // there is a line of it
	found     bool
}

func newFinder(s *Stream, base int64, uuid string) *finder {
	return &finder{uuid: uuid, first: base, r: lineReader{f: upTo{s}, off: base, seen: base, max: maxLine}}
}

// upTo reads the spool up to the end of a stream's turn.
type upTo struct{ s *Stream }

func (u upTo) ReadAt(b []byte, off int64) (int, error) {
	n, err := u.s.readAt(b, off)
	if err == nil && n < len(b) {
		err = io.EOF
	}
	return n, err
}

// find reports whether the beginning of the turn is known, and goes there. With last
// set the output is complete.
func (s *Stream) find(last bool) bool {
	f := s.start
	if f == nil {
		return true
	}
	err := f.r.all(sink{line: f.line, long: f.long, over: func(_, _ []byte, _ int64) {}})
	if !f.found && !last && err == nil {
		return false
	}
	s.start = nil
	s.startAt(f.begin())
	return true
}

// begin is where the turn begins.
func (f *finder) begin() int64 {
	if f.holds && !f.found && !f.lifecycle {
		return f.held
	}
	return f.first
}

func (f *finder) line(line []byte) {
	if f.found {
		return
	}
	typ, _, _ := route(line)
	f.lifecycle = f.lifecycle || typ == "command_lifecycle"
	switch {
	case typ == "command_lifecycle" && bytes.Contains(line, []byte(f.uuid)) && bytes.Contains(line, []byte(`"state":"started"`)):
		f.first, f.found = f.r.next, true
	case isReplay(line, f.uuid):
		f.found = true
	case typ == "result" && bytes.Contains(line, []byte(`"`+f.uuid+`"`)):
		f.found = true
	case typ == "result":
		if r, ok := parseResult(line); ok && r.unasked() {
			f.held, f.holds = f.first, true
		}
		f.first = f.r.next
	}
}

// long is line for a long line.
func (f *finder) long(head, tail []byte, _ int64) bool {
	typ, _, _ := route(head)
	f.found = f.found || isReplay(tail, f.uuid)
	return (typ == "" || typ == "result") && !f.found
}
