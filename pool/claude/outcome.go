package claude

import (
	"io"
	"os"
	"slices"

	"iris/pool/turn"
)

// Evidence is what a spool says about a turn whose daemon is gone.
type Evidence struct {
	// Result is how the turn ended; nil if the agent has not said so. It is final:
	// any other work of the agent does not belong to the message.
	Result *turn.Result

	End int64 // where the output of the turn ends, with a Result

	// NotBegun says that the turn never began, provided that the agent is dead and
	// the system was not restarted since. Either its message was not written yet; or
	// the agent reports that it did not take the message; or it was idle when the
	// message was written, and has written nothing since. Claude Code writes
	// "running" before it calls the model, and room for that was reserved.
	NotBegun bool

	// The agent's own turns that were not reported: Own ended before End, or at any
	// time if there is no Result; Later, known once the agent is gone, ended after
	// End.
	Own, Later []OwnTurn
}

// ReadOutcome looks for the end of a turn in the spool of a process of an earlier
// daemon. offset and uuid are the results of Process.NextTurn when the turn began,
// noWait is Message.NoBackgroundWait. The uuid is empty if an earlier iris did not
// record it. A missing spool (fs.ErrNotExist) proves nothing.
func ReadOutcome(spools, process string, offset int64, uuid string, noWait bool) (Evidence, error) {
	path, err := findSpool(spools, process)
	if err != nil {
		return Evidence{}, err
	}
	f, err := os.Open(path)
	if err != nil {
		return Evidence{}, err
	}
	defer f.Close()
	lives := lockHeld(path) // before reading: later output is then read too
	s := spoolScanner{untouched: true}
	end, later := int64(1<<62), false
	rec, err := readRecord(path)
	switch {
	case err != nil || rec.Given == nil || *rec.Given == offset:
	case *rec.Given < offset:
		return Evidence{NotBegun: true}, nil // later output is not about it
	default: // a later turn was given to the agent: this turn was over by then
		end, later = *rec.Given, true
	}
	if err := s.before(io.NewSectionReader(f, 0, offset)); err != nil {
		return Evidence{}, err
	}
	if !later {
		s.notes.Totals = rec.Base
	}
	s.notes.expect(uuid, noWait)
	if err := s.after(io.NewSectionReader(f, offset, end-offset)); err != nil {
		return Evidence{}, err
	}
	e := s.evidence(!lives && !later)
	e.End += offset
	e.Own, e.Later = untold(e.Own, rec.Told-offset), untold(e.Later, rec.Told-offset)
	e.NotBegun = e.NotBegun && !later
	return e, nil
}

// untold leaves out the turns that ended up to an offset.
func untold(own []OwnTurn, told int64) []OwnTurn {
	return slices.DeleteFunc(own, func(o OwnTurn) bool { return o.end <= told })
}

// spoolScanner reads a spool without a process.
type spoolScanner struct {
	notes     turnNotes
	r         lineReader
	result    *turn.Result
	end       int64
	own       []OwnTurn
	later     []OwnTurn // after the result
	heard     bool      // the agent has taken the message
	dropped   bool      // the agent has dropped the message unread
	untouched bool
	ending    bool // the turn before has ended, but for its idle line
}

// before reads the agent's output before the turn.
func (s *spoolScanner) before(f io.ReaderAt) error {
	s.notes.spool = f
	s.r = lineReader{f: f, max: maxLine}
	s.notes.State = "idle" // no state line is ever written before the first turn
	err := s.r.all(sink{
		line: func(line []byte) {
			typ, sub, _ := route(line)
			s.notes.note(typ, sub, line, s.r.at, false)
		},
		long: func(head, tail []byte, _ int64) bool { return false },
		over: func([]byte, []byte, int64) {},
	})
	s.untouched = s.notes.State == "idle"
	return err
}

// after looks for the end of the message, and for any output at all.
func (s *spoolScanner) after(f io.ReaderAt) error {
	s.ending = !s.untouched
	s.notes.spool = f
	s.r = lineReader{f: f, max: maxLine}
	err := s.r.all(sink{line: s.line, long: s.wanted, over: s.tooLong})
	if rest := s.r.rest(); err == nil && len(rest) > 0 {
		s.untouched = false
		s.r.at, s.r.next = s.r.off, s.r.seen
		s.line(rest)
	}
	return err
}

func (s *spoolScanner) line(line []byte) {
	typ, sub, ok := route(line)
	if ok && typ == "control_response" || len(line) == 0 {
		return
	}
	f := s.notes.note(typ, sub, line, s.r.at, s.result != nil)
	// The record of the turn may come before a late idle line, but no message is
	// written before that line.
	s.untouched = s.ending && f.state && s.notes.State == "idle"
	s.ending = false
	s.found(&f)
}

// found records the content of a line.
func (s *spoolScanner) found(f *found) {
	if m := s.notes.Message; m != nil {
		s.heard = s.heard || m.Heard
	}
	s.dropped = s.dropped || f.dropped
	if f.over != nil && s.result == nil {
		s.result, s.end = f.over, s.r.next
	}
	if f.own == nil {
		return
	}
	if f.own.end = s.r.next; s.result == nil {
		s.own = append(s.own, *f.own)
	} else {
		s.later = append(s.later, *f.own)
	}
}

func (s *spoolScanner) wanted(head, tail []byte, length int64) bool {
	typ, _, _ := route(head)
	if typ != "control_response" {
		s.untouched, s.ending = false, false
	}
	s.notes.long(typ, head, tail, s.r.at, length)
	return (typ == "" || typ == "result") && s.result == nil
}

func (s *spoolScanner) tooLong(head, tail []byte, _ int64) {
	s.untouched, s.ending = false, false
	if !isResult(head, tail) || s.result != nil {
		return
	}
	f := found{result: true}
	s.notes.tooLong(maxLine, &f)
	s.found(&f)
}

// evidence sums up the scan; gone says that the output is complete.
func (s *spoolScanner) evidence(gone bool) Evidence {
	e := Evidence{Result: s.result, End: s.end, Own: s.own}
	if gone {
		e.Later = s.later
	}
	if gone && e.Result == nil {
		e.Result, e.End = s.notes.last(), s.r.next
	}
	if lost := s.notes.background(false); gone && s.result != nil && len(s.result.Background) > 0 && len(lost) > 0 {
		s.result.Background = lost
		e.Result = s.result.CutOff()
	}
	e.NotBegun = e.Result == nil && (s.untouched || s.dropped || s.notes.Lifecycle && s.notes.Message != nil && s.notes.Message.UUID != "" && !s.heard)
	return e
}
