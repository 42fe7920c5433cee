package claude

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"iris/pool"
	"iris/pool/procs"
)

// Process is one live agent.
type Process struct {
	// Fixed at the start.
	o       Options
	log     *slog.Logger
	proc    *os.Process
	ident   procs.ID
	spool   *spool
	started time.Time
	watched Watched
	timing  timing

	// The end.
	wg         sync.WaitGroup // wait, follow and untilFirst
	exited     chan struct{}  // closed when the process is gone
	done       chan struct{}  // closed when its output is read to the end, too
	exit       string         // how it ended; set before exited closes
	lastStderr string         // the last it said on stderr; set before done closes
	stopping   atomic.Bool
	stopOnce   sync.Once

	input   input
	calls   calls
	reading reading
	grown   chan struct{} // full when the spool may have grown

	mu      sync.Mutex // protects the fields below; never held while calling out
	status  status
	marks   marks
	current current
	tuning  Tuning
	asks    asks
	first   firstTurn
}

// timing holds the constants of these names, shorter in tests.
type timing struct {
	ownTurn    time.Duration
	stuckAfter time.Duration
	lookEvery  time.Duration
	grace      [rungKill]time.Duration // of each rung of the stop ladder but the last
}

// reading is what the handling of the agent's lines keeps. The holder of
// the token owns it: follow while it handles lines, and Pause, which keeps the token.
type reading struct {
	token     chan struct{}
	lines     lineReader
	notes     turnNotes
	unfollow  func()     // ends the following of the spool's file
	turnEnded bool       // a turn has ended since the tree was looked at
	said      int        // lines so far but the answers to us
	working   string     // what OnWorking was told last
	below     procs.Tree // below the agent at the end of the last turn
}

// status is what the agent has said of itself so far. Process.mu protects it.
type status struct {
	state     string // of the last state line; empty before the first
	session   string
	totals    totals
	inTurn    bool // the agent is in a turn, whoever has begun it
	besides   bool // subagents work
	lifecycle bool // the agent says by uuid what becomes of a message
	gone      bool // the output has been read to the end
	progress  time.Time
	answered  time.Time // last result
}

// take takes over what the lines so far say.
func (s *status) take(n *turnNotes) {
	s.state, s.totals, s.inTurn, s.lifecycle = n.State, n.Totals, n.InTurn, n.Lifecycle
	s.besides = len(n.subagents()) > 0
}

// marks are places in the spool, and who waits for more of it. Process.mu protects them.
type marks struct {
	read    int64         // start of the first line not handled
	scanned int64         // and as far as its bytes have been looked at
	stateAt int64         // start of the chunk that the last state line is in, or later
	endAt   int64         // end of the last result that ended a turn
	needed  int64         // the spool is needed from here on for what was said in the turn; 0 for not at all
	changed chan struct{} // closed when the spool has been read; nil when nobody waits
	streams map[*Stream]struct{}
}

// current is the message at hand. Process.mu protects it.
type current struct {
	turn          *activeTurn // nil between two turns
	expected      string      // uuid of the last turn that the notes await or have awaited
	uuid          string      // of the next message, as NextTurn has said
	begun         int64       // where the last turn begins, as NextTurn has said
	startNoted    bool        // and Send has not come to it
	resultPending bool        // a turn has begun, or its start is noted, whose end may not be on record yet
}

// open is the turn under way, nil when there is none or it has ended.
func (c *current) open() *activeTurn {
	if c.turn == nil || c.turn.over() {
		return nil
	}
	return c.turn
}

// asks are the requests of the agent for permission. Process.mu protects them.
type asks struct {
	waiting      []Request // for an answer, the oldest first
	unresponsive bool      // the last answer could not be written
	denied       []denial  // to subagents in the turn under way, by us
}

var _ pool.Agent = (*Process)(nil)

// wake tells follow that the spool may have grown.
func (p *Process) wake() {
	select {
	case p.grown <- struct{}{}:
	default:
	}
}

// wait notes the end of the process.
func (p *Process) wait() {
	state, err := p.o.Reaper.Wait(p.proc)
	p.exit = "unknown"
	if state != nil {
		p.exit = state.String()
	} else if err != nil {
		p.exit = err.Error()
	}
	close(p.exited)
}

// Done is closed when the process is gone and its output read to the end.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit says how the process ended. Valid once Done is closed.
func (p *Process) Exit() string {
	<-p.done
	return p.exit
}

// PID is the operating system's process id.
func (p *Process) PID() int { return p.proc.Pid }

// Progress is when the agent last wrote anything. An agent that waits for our
// answer has not stalled.
func (p *Process) Progress() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.asks.waiting) > 0 && !p.asks.unresponsive {
		return time.Now()
	}
	return p.status.progress
}

// Session is the conversation's id now.
func (p *Process) Session() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status.session
}

// WaitIdle returns when a turn may begin: all that the agent has written is handled, and it
// is idle, or only subagents of its work, and it tells the turns apart. A turn that the
// agent has begun by itself may take its time, as long as it makes progress; the error
// wraps pool.ErrNotDispatched.
func (p *Process) WaitIdle(ctx context.Context) error {
	if err := p.idle(ctx); err != nil {
		return fmt.Errorf("%w: %w", pool.ErrNotDispatched, err)
	}
	return nil
}

// NextTurn is where the turn that begins next stands in the agent's spool: the offset
// up to which that has been handled, and the uuid that the message will have. Called
// after WaitIdle and before Send, it is what ReadOutcome needs to know of the turn; what
// that judges by is kept until ResultRecorded, also when the turn never begins.
func (p *Process) NextTurn() (offset int64, uuid string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current.begun, p.current.startNoted, p.current.resultPending, p.current.uuid = p.marks.read, true, true, NewSessionID()
	return p.current.begun, p.current.uuid
}

// ResultRecorded says that the result of the last turn is on record elsewhere, or that
// nobody will look for it, so that the spool need not keep it. A Send without
// NextTurn before it says so too.
func (p *Process) ResultRecorded() {
	p.forgetTurn()
	p.mu.Lock()
	gone := p.status.gone
	p.mu.Unlock()
	if gone {
		p.spool.remove()
	}
}
