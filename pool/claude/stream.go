package claude

import (
	"bytes"
	"errors"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const (
	maxLag   = 64 << 20 // how much unread output is kept for a stream
	partSize = 48 << 10 // of a line that is longer than a chunk
)

// ErrLeftOut is what the reader of a stream returns for a line that it leaves out; then it
// gets no more pieces of it.
var ErrLeftOut = errors.New("the line is left out")

// A Stream reads the agent's output in one turn, at its reader's own pace and with
// its own descriptor. Between two reads it keeps only its position. What follows the
// last line passed on is not given back to the disk, up to maxLag; a slower reader
// misses lines, and gets a gap. Nothing waits for a stream. One goroutine uses it and
// closes it.
type Stream struct {
	f    *os.File
	base int64    // where the output of the turn begins
	p    *Process // the process that writes the output; nil for one of an earlier daemon
	stop func()   // ends Follower.add of the file, without p

	more chan struct{} // has one element if there may be something to read
	off  int64         // start of the first line neither passed on nor left out
	last atomic.Int64  // end of the last line passed on: another stream may begin there
	end  atomic.Int64  // where the output of the turn ends, 0 while unknown

	r    lineReader
	emit func(Piece) error // of the Read under way
	err  error             // of emit

	uuid  string  // of the message; empty if unknown
	start *finder // of the turn's beginning; nil once found
}

// A Piece is an item of a stream: a line, a part of a long one, or a gap.
type Piece struct {
	Seq     int64  // its end, counted from the beginning of the turn
	Type    string // of the line, with its subtype if any; empty if it comes late in a long line
	Subtype string
	Data    []byte // without the newline; valid during the call
	More    bool   // the line goes on in the next piece
	Gap     bool   // the output between the last piece and Seq is no longer kept
}

// Stream returns a reader of the turn whose output begins at base and whose message
// has that uuid, as NextTurn returned them. It begins after the Seq after. The turn
// must be running, or its end not yet on record.
func (p *Process) Stream(base int64, uuid string, after int64) (*Stream, error) {
	f, err := p.spool.reader()
	if err != nil {
		return nil, err
	}
	s := newStream(f, base, uuid, after)
	s.p = p
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.marks.endAt > base {
		s.end.Store(p.marks.endAt)
	}
	p.marks.streams[s] = struct{}{}
	return s, nil
}

// OpenStream is Stream for a process of an earlier daemon, living or gone; end is
// where the output of the turn ends, 0 while unknown.
func OpenStream(f *Follower, spools, process string, base int64, uuid string, after, end int64) (*Stream, error) {
	path, err := findSpool(spools, process)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	s := newStream(file, base, uuid, after)
	s.end.Store(end)
	s.stop = f.add(path, s.wake)
	return s, nil
}

func newStream(f *os.File, base int64, uuid string, after int64) *Stream {
	s := &Stream{f: f, base: base, more: make(chan struct{}, 1), uuid: uuid}
	if uuid != "" && after == 0 {
		s.start = newFinder(s, base, uuid)
	}
	before := []byte{'\n'}
	if after > 0 {
		readAt(f, before, base+after-1)
	}
	s.r = lineReader{f: upTo{s}, max: maxLine, holed: before[0] != '\n'}
	s.startAt(base + after)
	s.last.Store(s.off)
	s.wake()
	return s
}

// Again returns another reader of the same output, even if the file was removed from
// its directory.
func (s *Stream) Again(after int64) (*Stream, error) {
	f, err := duplicate(s.f)
	if err != nil {
		return nil, err
	}
	n := newStream(f, s.base, s.uuid, after)
	n.end.Store(s.end.Load())
	return n, nil
}

// OfPartial reports whether a system line is there only because the agent writes the
// pieces of its texts.
func OfPartial(line []byte) bool {
	var m struct{ Subtype, Status string }
	decode(line, &m)
	return m.Subtype == "status" && m.Status == "requesting"
}

// duplicate returns another descriptor of an open file.
func duplicate(f *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// Close ends the reading. The unread part is given back to the disk.
func (s *Stream) Close() {
	if s.stop != nil {
		s.stop()
	}
	if s.p != nil {
		s.p.mu.Lock()
		delete(s.p.marks.streams, s)
		s.p.freeLocked()
		s.p.mu.Unlock()
	}
	s.f.Close()
}

// Seq is the Seq of the last line passed on.
func (s *Stream) Seq() int64 { return s.last.Load() - s.base }

// More receives when there may be more to read. It does not report the end of the
// turn: the owner of the turn knows that.
func (s *Stream) More() <-chan struct{} { return s.more }

func (s *Stream) wake() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// endLocked records where the output of the turn ends. The caller holds p.mu.
func (s *Stream) endLocked(at int64) {
	if s.end.Load() == 0 {
		s.end.Store(at)
	}
}

// startAt sets the position of the reading.
func (s *Stream) startAt(off int64) {
	s.off, s.r.off, s.r.seen = off, off, off
}

// Read passes on the new complete lines. Lines that are no message of the agent's are
// left out. It ends with the error of emit, other than ErrLeftOut, and begins with the
// same piece the next time.
func (s *Stream) Read(emit func(Piece) error) error {
	if !s.find(false) {
		return nil
	}
	if s.emit = emit; s.err != nil {
		s.err = nil
		s.startAt(s.off)
	}
	out := sink{line: s.line, long: s.long, over: func(_, _ []byte, _ int64) { s.pass(s.gap) }}
	for more := true; more && s.err == nil; {
		var err error
		if more, err = s.r.read(out); err != nil {
			return err
		}
	}
	return s.err
}

// Finish is Read after the output is complete: it also passes on a last line without
// a newline, and the last gap.
func (s *Stream) Finish(emit func(Piece) error) error {
	s.find(true)
	if err := s.Read(emit); err != nil {
		return err
	}
	rest := s.r.rest()
	s.r.at, s.r.next = s.r.off, s.r.seen
	switch _, _, ok := route(rest); {
	case s.r.holed:
		s.pass(s.gap)
	case ok && int64(len(rest)) == s.r.seen-s.r.off:
		s.line(rest)
	}
	return s.err
}

// pass passes on a piece, unless an earlier one failed, and keeps its error.
func (s *Stream) pass(piece func() error) {
	if s.err != nil {
		return
	}
	switch err := piece(); err {
	case nil:
		s.off = s.r.next
		s.last.Store(s.off)
	case ErrLeftOut:
		s.off = s.r.next
	default:
		s.err = err
	}
}

// seq is the Seq of the current line.
func (s *Stream) seq() int64 { return s.r.next - s.base }

func (s *Stream) gap() error { return s.emit(Piece{Seq: s.seq(), Gap: true}) }

func (s *Stream) line(line []byte) {
	typ, sub, ok := route(line)
	s.pass(func() error {
		switch {
		case s.r.holed:
			return s.gap()
		case !ok || isReplay(line, s.uuid):
			return ErrLeftOut
		}
		return s.emit(Piece{Seq: s.seq(), Type: typ, Subtype: sub, Data: line})
	})
}

// long passes on a long line in parts.
func (s *Stream) long(head, tail []byte, _ int64) bool {
	typ, sub, _ := route(head)
	s.pass(func() error {
		switch {
		case s.r.holed:
			return s.gap()
		case typ == "" && !bytes.HasPrefix(bytes.TrimLeft(head, " \t"), []byte("{")) || isReplay(tail, s.uuid):
			return ErrLeftOut
		}
		return s.parts(Piece{Type: typ, Subtype: sub})
	})
	return false
}

// parts passes on the current long line; p has what all its parts have in common.
func (s *Stream) parts(p Piece) error {
	buf := make([]byte, partSize)
	for from, end := s.r.at, s.r.next-1; from < end; {
		n, err := s.readAt(buf[:min(partSize, end-from)], from)
		if err != nil {
			return err
		}
		if n == 0 || bytes.IndexByte(buf[:n], 0) >= 0 {
			return s.gap()
		}
		from += int64(n)
		p.Data, p.More = buf[:n], from < end
		if !p.More {
			p.Data, p.Seq = bytes.TrimSuffix(p.Data, []byte("\r")), s.seq()
		}
		if err := s.emit(p); err != nil {
			return err
		}
	}
	return nil
}

// readAt reads up to the end of the turn's output.
func (s *Stream) readAt(b []byte, off int64) (int, error) {
	if end := s.end.Load(); end > 0 {
		b = b[:max(0, min(int64(len(b)), end-off))]
	}
	return readAt(s.f, b, off)
}
