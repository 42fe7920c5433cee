package echo

import (
	"context"
	"errors"
	"io"
	"runtime/debug"
	"sync"
	"time"
)

// largeText is the size of a message, in bytes, after which memory is given
// back to the system.
const largeText = 1 << 20

// Server speaks stream-json on a pair of streams and runs one turn at a time.
// Set the fields, call Run once. As with the real program, messages that come
// while a turn runs are merged into one, and a turn in hand is finished when
// the input ends.
type Server struct {
	Options Options
	States  bool // write session state lines
	Model   string
	Version string
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer

	// Answer runs one turn. Its context ends when the turn is interrupted; what
	// it returns is then left out of account.
	Answer func(ctx context.Context, t *Turn) Reply

	// Accept sees each message as it is read, before any line is written for
	// it; a message that it refuses is dropped without a trace. Control sees
	// each control request; one that it refuses gets no answer and no effect.
	// Response sees each line that answers a request of the agent's. All may be
	// nil. They run on the goroutine that reads.
	Accept   func(Message) bool
	Control  func(subtype string) bool
	Response func(line []byte)

	mu        sync.Mutex // protects the fields below
	queue     []Message  // read and not yet begun
	eof       bool       // the input is over
	ending    bool       // end_session has come
	fatal     bool       // the input was malformed
	interrupt bool       // the next turn is interrupted already
	begins    bool       // a message is taken and its turn has no cancel yet
	cancel    context.CancelCauseFunc
	running   bool // what the last state line says
	merge     bool // a turn has run since, so that what waits is one message
	failed    bool // the last result was an error
	total     totals

	wake chan struct{} // capacity 1: something above has changed
	out  sync.Mutex    // one line at a time; taken last
}

// Message is one line of the user's.
type Message struct {
	Text   string
	UUID   string
	Origin string // who began the turn, when it was not the user
	bad    string // why the content is none
}

// errInterrupted ends the context of an interrupted turn.
var errInterrupted = errors.New("interrupted")

// Run serves until the input ends, end_session comes or ctx is cancelled, and
// returns the exit status.
func (s *Server) Run(ctx context.Context) int {
	s.wake = make(chan struct{}, 1)
	var wg sync.WaitGroup
	wg.Go(s.read) // not waited for: it may be in a read that nothing ends
	for {
		m, more := s.next(ctx)
		if ctx.Err() != nil {
			return 143
		}
		if !more {
			break
		}
		s.turn(ctx, m)
		if len(m.Text) > largeText {
			debug.FreeOSMemory() // or an idle agent keeps it for minutes
		}
	}
	return s.status()
}

// next waits for a message; it reports false when none will come.
func (s *Server) next(ctx context.Context) (Message, bool) {
	for {
		s.mu.Lock()
		m, ok := s.takeLocked()
		over := s.eof || s.ending || s.fatal
		s.mu.Unlock()
		if ok || over {
			return m, ok
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return Message{}, false
		}
	}
}

// takeLocked takes the first message after an idle time, and later all that
// waits as one. The caller must hold s.mu.
func (s *Server) takeLocked() (Message, bool) {
	if len(s.queue) == 0 || s.ending && !s.interrupt || s.fatal {
		return Message{}, false
	}
	m := s.queue[0]
	n := 1
	if s.merge && m.Origin == "" {
		for n < len(s.queue) && s.queue[n].Origin == "" {
			m.Text += "\n" + s.queue[n].Text
			n++
		}
	}
	clear(s.queue[:n]) // lets go of the text
	s.queue, s.merge, s.begins = s.queue[n:], true, true
	return m, true
}

// turn runs one message from its first line to its last.
func (s *Server) turn(ctx context.Context, m Message) {
	if m.bad != "" {
		s.Result(nil, Failure(m.bad))
		s.change(func() { s.fatal = true })
		return
	}
	s.Line(s.initLine())
	tctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.change(func() {
		if s.cancel = cancel; s.interrupt || s.ending {
			cancel(errInterrupted)
		}
		s.interrupt, s.begins = false, false
	})
	t := &Turn{Message: m, server: s, begun: time.Now()}
	reply := s.Answer(tctx, t)
	var fatal bool
	s.change(func() { s.cancel, fatal = nil, s.fatal })
	if ctx.Err() != nil || fatal {
		return
	}
	s.finish(t, reply, context.Cause(tctx) == errInterrupted)
}

// finish writes the lines that end a turn.
func (s *Server) finish(t *Turn, reply Reply, interrupted bool) {
	switch {
	case interrupted:
		s.aborted(t)
	case reply.Silent:
	case reply.Result != nil:
		if reply.Text != "" {
			t.Assistant(reply.Text)
		}
		s.Result(t, reply.Result)
	default:
		t.Assistant(reply.Text)
		s.Result(t, Success(reply.Text))
	}
	if reply.After != nil && !interrupted {
		reply.After()
	}
	s.change(func() {
		if (len(s.queue) == 0 || s.ending) && !reply.Busy {
			s.merge = false
			s.stateLocked(false)
		}
	})
}

// Interrupt ends the running turn, as the control request does. The turn of a
// message that has been read and not begun is interrupted when it begins.
func (s *Server) Interrupt() { s.change(s.interruptLocked) }

// End ends the running turn and then the session.
func (s *Server) End() {
	s.change(func() {
		s.interruptLocked()
		s.ending = true
	})
}

func (s *Server) interruptLocked() {
	if s.cancel != nil {
		s.cancel(errInterrupted)
	} else if s.begins || len(s.queue) > 0 {
		s.interrupt = true
	}
}

// Enqueue adds a message as if it had been read. One with an Origin begins a
// turn that nobody asked for.
func (s *Server) Enqueue(m Message) {
	s.change(func() {
		s.queue = append(s.queue, m)
		s.stateLocked(true)
	})
}

// change does f under the lock and wakes Run.
func (s *Server) change(f func()) {
	s.mu.Lock()
	f()
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// status is the exit status after a life that ended by itself.
func (s *Server) status() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fatal || s.failed {
		return 1
	}
	return 0
}
