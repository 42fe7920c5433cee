package echo

import (
	"context"
	"errors"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// largeText is the size in bytes from which the memory of a message is given back to
// the system.
const largeText = 1 << 20

// Server speaks stream-json on a pair of streams and runs one turn at a time. Set the
// fields, call Run once. As in the real program, messages that come during a turn are
// merged into one, and a running turn is finished when the input ends.
type Server struct {
	Options Options
	States  bool // write session state lines
	Old     bool // speak as Claude Code 2.1.197 does, not as 2.1.332
	Model   string
	Version string
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer

	// Begin is called before the first line of each turn. It may be nil.
	Begin func(t *Turn)

	// Answer runs one turn. Its context ends when the turn is interrupted; its result
	// is then ignored.
	Answer func(ctx context.Context, t *Turn) Reply

	// Accept is called with each message as it is read, before any line is written
	// for it; if it returns false, the message is dropped without a trace. Control is
	// called with each control request; if it returns false, the request has no
	// answer and no effect. Response is called with each line that answers a request
	// of the agent. Reload has commands, agents and skills read again; without it the
	// server does not know that request. All may be nil. They run on the goroutine that reads.
	Accept   func(Message) bool
	Control  func(subtype string) bool
	Response func(line []byte)
	Reload   func()

	Refused string // a settings file that the answer to get_settings calls wrong; empty for none

	mu    sync.Mutex // protects the fields below
	queue []Message  // read and not yet begun
	ends
	sums
	interrupt bool // interrupt the next turn
	begins    bool // a message is taken and its turn has no cancel yet
	cancel    context.CancelCauseFunc
	mode      string // the permission mode, if one was set
	running   bool   // according to the last state line
	merge     bool   // a turn has run since, so the waiting messages become one
	unopened  *Turn  // nothing of its answer is written yet
	tasks     []Task // running beside the turns

	session atomic.Pointer[string] // id of the session if it differs from that of the options

	wake chan struct{} // capacity 1: a field above has changed
	out  sync.Mutex    // one line at a time; taken last
}

// ends are the reasons why a server stops. Its mu protects them.
type ends struct {
	eof    bool // the input is over
	ending bool // end_session has come
	fatal  bool // the input was malformed
}

// sums are the totals of the results. The server's mu protects them.
type sums struct {
	total   totals
	since   totals // since the last result
	results int    // written so far
	failed  bool   // the last result was an error
}

// Message is one user line.
type Message struct {
	Text   string
	UUID   string
	Origin string // what began the turn, if not the user
	Run    string // the work that it reports
	Wakeup string // what the agent's own scheduler began it with, such as schedule_wakeup
	bad    string // why the content is invalid
}

// own reports whether the agent itself began the turn.
func (m Message) own() bool { return m.Origin != "" || m.Wakeup != "" }

// errInterrupted ends the context of an interrupted turn.
var errInterrupted = errors.New("interrupted")

// Run serves until the input ends, end_session comes or ctx is cancelled, and
// returns the exit status.
func (s *Server) Run(ctx context.Context) int {
	s.wake = make(chan struct{}, 1)
	var wg sync.WaitGroup
	wg.Go(s.read) // not waited for: it may be in a read that nothing ends
	for {
		t, more := s.next(ctx)
		if ctx.Err() != nil {
			return 143
		}
		if !more {
			break
		}
		s.turn(ctx, t)
		if len(t.Message.Text) > largeText {
			debug.FreeOSMemory() // or an idle agent keeps it for minutes
		}
	}
	s.mu.Lock()
	s.lifeLocked(lifeDiscarded, s.queue...)
	s.mu.Unlock()
	return s.status()
}

// next waits for a turn to run; it reports false when none will come.
func (s *Server) next(ctx context.Context) (*Turn, bool) {
	for {
		s.mu.Lock()
		t := s.takeLocked()
		over := s.eof && (s.Old || len(s.tasks) == 0) || s.ending || s.fatal
		s.mu.Unlock()
		if t != nil || over {
			return t, t != nil
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return nil, false
		}
	}
}

// takeLocked takes the first message after an idle time, and later all waiting
// messages as one; nil if there is none. The caller must hold s.mu.
func (s *Server) takeLocked() *Turn {
	if len(s.queue) == 0 || s.ending && !s.interrupt && !s.Old || s.fatal {
		return nil
	}
	t := &Turn{Message: s.queue[0], server: s}
	n := 1
	if s.merge && !t.Message.own() {
		for n < len(s.queue) && !s.queue[n].own() {
			t.Message.Text += "\n" + s.queue[n].Text
			n++
		}
	}
	for _, m := range s.queue[:n] {
		m.Text = "" // the turn has it
		t.messages = append(t.messages, m)
	}
	clear(s.queue[:n]) // frees the text
	s.queue, s.merge, s.begins, s.unopened = s.queue[n:], true, true, t
	s.lifeLocked(lifeStarted, t.messages...)
	return t
}

// turn runs one turn from its first line to its last.
func (s *Server) turn(ctx context.Context, t *Turn) {
	if bad := t.Message.bad; bad != "" && s.Old {
		s.Result(nil, Failure(bad))
		s.change(func() { s.fatal = true })
		return
	}
	if s.Begin != nil {
		s.Begin(t)
	}
	s.Line(s.initLine(t))
	tctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.change(func() {
		if s.cancel = cancel; s.interrupt || s.ending && !s.Old {
			cancel(errInterrupted)
		}
		s.interrupt, s.begins = false, false
	})
	t.begun = time.Now()
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
	end := lifeCompleted
	if reply.Ending != nil {
		reply.Ending(interrupted)
	}
	if interrupted {
		s.aborted(t)
		end = lifeCancelled
	} else {
		r := reply.Result
		if reply.Text != "" || r == nil {
			t.Assistant(reply.Text)
		}
		if r == nil {
			r = Success(reply.Text)
		}
		if r.refused() {
			end = lifeCancelled
		}
		s.change(func() { s.lifeLocked(end, t.injected...) })
		s.Result(t, r)
	}
	if reply.After != nil && !interrupted {
		reply.After()
	}
	s.change(func() {
		s.ending = s.ending || reply.Leave
		s.unopened = nil
		s.lifeLocked(end, t.messages...)
		if len(s.queue) > 0 && (!s.ending || s.Old) || reply.Busy || reply.Leave {
			return
		}
		s.merge = false
		if !s.agentsLocked() {
			s.stateLocked(false)
		}
	})
}

// Interrupt ends the running turn, as the control request does. The turn of a message
// that was read but has not begun is interrupted when it begins.
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

// Enqueue adds a message as if it had been read. A message with an Origin or a Wakeup
// begins a turn of the agent's own.
func (s *Server) Enqueue(m Message) { s.change(func() { s.enqueueLocked(m) }) }

// enqueueLocked is Enqueue for a caller that holds s.mu.
func (s *Server) enqueueLocked(m Message) {
	s.queue = append(s.queue, m)
	s.stateLocked(true)
	if m.Wakeup == "" {
		s.lifeLocked(lifeQueued, m)
	}
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

// status is the exit status of a process that ended by itself.
func (s *Server) status() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fatal || s.failed {
		return 1
	}
	return 0
}
