package claude

import (
	"bytes"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const (
	hold     = 64 << 20 // how far behind the process a stream keeps what it has not read
	partSize = 48 << 10 // of a line that is longer than a chunk
)

// A Stream reads what an agent writes in one turn, at its reader's own pace and
// with a descriptor of its own. Between two reads it keeps nothing but where it
// stands. What it has not read is held back from being given to the disk, as far
// as hold; whoever is slower misses some, and is told of the gap. Nothing waits
// for a stream. It is for one goroutine, which closes it.
type Stream struct {
	f    *os.File
	base int64    // where the output of the turn begins
	p    *Process // that writes it; nil for one of an earlier daemon
	stop func()   // ends the following of the file, without p

	more chan struct{} // has room for one: there may be something to read
	off  atomic.Int64  // start of the first line that has not been passed on
	end  atomic.Int64  // where the output of the turn ends, 0 while that is open

	seen int64 // no newline lies between off and seen
	lost bool  // off is inside a line whose beginning is not kept
}

// A Piece is what a stream finds: a line, a part of a long one, or a gap.
type Piece struct {
	Seq     int64  // where it ends, counted from the beginning of the turn
	Type    string // of the line, and its subtype where the type has some; empty where a long one says it late
	Subtype string
	Data    []byte // without the newline; valid during the call
	More    bool   // the line goes on in the next piece
	Gap     bool   // what was between the piece before and Seq is no longer kept
}

// Stream returns a reader of the turn whose output begins at base, as Spool said
// it. It begins after a Seq. The turn must be under way, or its end not yet be
// on record.
func (p *Process) Stream(base, after int64) (*Stream, error) {
	f, err := p.spool.reader()
	if err != nil {
		return nil, err
	}
	s := newStream(f, base, after)
	s.p = p
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.endAt > base {
		s.end.Store(p.endAt)
	}
	p.streams[s] = struct{}{}
	return s, nil
}

// OpenStream is Stream for a process of an earlier daemon, which need not live.
func OpenStream(f *Follower, spools, process string, base, after int64) (*Stream, error) {
	path, err := findSpool(spools, process)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	s := newStream(file, base, after)
	s.stop = f.add(path, s.wake)
	return s, nil
}

func newStream(f *os.File, base, after int64) *Stream {
	s := &Stream{f: f, base: base, more: make(chan struct{}, 1)}
	s.off.Store(base + after)
	s.seen = base + after
	before := []byte{'\n'}
	if after > 0 {
		readAt(f, before, base+after-1)
	}
	s.lost = before[0] != '\n'
	s.wake()
	return s
}

// Again returns another reader of the same output, also when the file is gone
// from its directory.
func (s *Stream) Again(after int64) (*Stream, error) {
	f, err := duplicate(s.f)
	if err != nil {
		return nil, err
	}
	n := newStream(f, s.base, after)
	n.end.Store(s.end.Load())
	return n, nil
}

// OfPartial reports whether a system line is there only because the agent is
// asked for the pieces of its texts.
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

// Close ends the reading. What was held back for it is given back.
func (s *Stream) Close() {
	if s.stop != nil {
		s.stop()
	}
	if s.p != nil {
		s.p.mu.Lock()
		delete(s.p.streams, s)
		s.p.giveLocked()
		s.p.mu.Unlock()
	}
	s.f.Close()
}

// Seq is that of the last line that was passed on.
func (s *Stream) Seq() int64 { return s.off.Load() - s.base }

// More has something in it when there may be more to read. The end of the turn
// is not told: its owner knows that.
func (s *Stream) More() <-chan struct{} { return s.more }

func (s *Stream) wake() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// endLocked notes where the output of the turn ends. The caller holds p.mu.
func (s *Stream) endLocked(at int64) {
	if s.end.Load() == 0 {
		s.end.Store(at)
	}
}

// unreadLocked is to, or where the slowest stream stands, but not further back
// than hold. The caller must hold p.mu.
func (p *Process) unreadLocked(to int64) int64 {
	for s := range p.streams {
		to = min(to, max(s.off.Load(), p.read-hold))
	}
	return to
}

// Read passes on what has been written since, up to the last finished line. What
// is no message of the agent's is left out. It ends with the error of emit.
func (s *Stream) Read(emit func(Piece) error) error {
	buf := buffers.Get().(*[chunk]byte)
	defer buffers.Put(buf)
	for {
		step := s.short
		if s.seen-s.off.Load() >= chunk {
			step = s.long
		}
		if more, err := step(buf[:], emit); err != nil || !more {
			return err
		}
	}
}

// Finish is Read when nothing more will be written: it passes on the last line
// too, if only its newline is missing, and the last gap.
func (s *Stream) Finish(emit func(Piece) error) error {
	if err := s.Read(emit); err != nil {
		return err
	}
	off := s.off.Load()
	if s.lost {
		s.lost = false
		return emit(Piece{Seq: s.seen - s.base, Gap: true})
	}
	buf := make([]byte, min(max(s.seen-off, 0), chunk))
	n, err := s.readAt(buf, off)
	if err != nil || n == 0 {
		return err
	}
	if _, _, ok := route(buf[:n]); !ok || int64(n) < s.seen-off {
		return nil
	}
	return s.line(buf[:n], s.seen, emit)
}

// short passes on the lines that lie in one chunk from off. It reports whether
// there may be more to read.
func (s *Stream) short(buf []byte, emit func(Piece) error) (bool, error) {
	off := s.off.Load()
	n, err := s.readAt(buf, off)
	if err != nil || n == 0 {
		return false, err
	}
	if hole := n - len(bytes.TrimLeft(buf[:n], "\x00")); hole > 0 {
		s.lost = true
		s.seen = data(s.f, off+int64(hole))
		s.off.Store(s.seen)
		return true, nil
	}
	start := 0
	for from := min(int(s.seen-off), n); ; from = start {
		i := bytes.IndexByte(buf[from:n], '\n')
		if i < 0 {
			break
		}
		if err := s.line(buf[start:from+i], off+int64(from+i+1), emit); err != nil {
			return false, err
		}
		start = from + i + 1
		s.off.Store(off + int64(start))
	}
	s.seen = off + int64(n)
	return n == len(buf), nil
}

// line passes on one line, which ends at next.
func (s *Stream) line(line []byte, next int64, emit func(Piece) error) error {
	if s.lost || bytes.IndexByte(line, 0) >= 0 {
		s.lost = false
		return emit(Piece{Seq: next - s.base, Gap: true})
	}
	typ, sub, ok := route(line)
	if !ok {
		return nil
	}
	return emit(Piece{Seq: next - s.base, Type: typ, Subtype: sub, Data: bytes.TrimSuffix(line, []byte("\r"))})
}

// long looks for the end of a line that is longer than a chunk, and passes it on
// in parts.
func (s *Stream) long(buf []byte, emit func(Piece) error) (bool, error) {
	n, err := s.readAt(buf, s.seen)
	if err != nil || n == 0 {
		return false, err
	}
	i := bytes.IndexByte(buf[:n], '\n')
	if i < 0 {
		i = n
	}
	s.lost = s.lost || bytes.IndexByte(buf[:i], 0) >= 0
	if i == n {
		s.seen += int64(n)
		return n == len(buf), nil
	}
	next := s.seen + int64(i) + 1
	if err := s.parts(buf, next, emit); err != nil {
		return false, err
	}
	s.seen = next
	s.off.Store(next)
	return true, nil
}

// parts passes on the long line that ends at next.
func (s *Stream) parts(buf []byte, next int64, emit func(Piece) error) error {
	from, end := s.off.Load(), next-1
	if s.lost || end-from > maxLine {
		s.lost = false
		return emit(Piece{Seq: next - s.base, Gap: true})
	}
	var p Piece
	for first := true; from < end; first = false {
		n, err := s.readAt(buf[:min(partSize, end-from)], from)
		if err != nil {
			return err
		}
		if n == 0 || bytes.IndexByte(buf[:n], 0) >= 0 {
			return emit(Piece{Seq: next - s.base, Gap: true})
		}
		if first {
			p.Type, p.Subtype, _ = route(buf[:n])
			if b := bytes.TrimLeft(buf[:n], " \t"); p.Type == "" && !bytes.HasPrefix(b, []byte("{")) {
				return nil
			}
		}
		from += int64(n)
		p.Data, p.More = buf[:n], from < end
		if p.Seq = 0; !p.More {
			p.Data, p.Seq = bytes.TrimSuffix(p.Data, []byte("\r")), next-s.base
		}
		if err := emit(p); err != nil {
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
