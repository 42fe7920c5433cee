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
	wg          sync.WaitGroup // wait, follow and untilFirst
	exited      chan struct{}  // closed when the process is gone
	done        chan struct{}  // closed when its output is read to the end, too
	exit        string         // how it ended; set before exited closes
	lastStderr  string         // its last line on stderr; set before done closes
	firstOutput []byte         // the beginning of its output, if it was never ready; set before done closes
	stopping    atomic.Bool
	flooded     atomic.Bool // boundOutput has killed it
	stopOnce    sync.Once

	input   input
	freezer freezer
	calls   calls
	reading reading
	kept    kept
	grown   chan struct{} // full when the spool may have grown

	mu      sync.Mutex // protects the fields below; never held while calling out
	status  status
	marks   marks
	current current
	tuning  Tuning
	asks    asks
	first   firstTurn
}

// timing holds constants that are shorter in tests.
type timing struct {
	ownTurn    time.Duration
	stuckAfter time.Duration
	lookEvery  time.Duration
	kept       time.Duration
	grace      [rungKill]time.Duration // of each rung of the stop ladder except the last
}

// reading is the state of reading the agent's lines. The holder of the token owns it:
// follow while it handles lines, and Pause, which keeps the token.
type reading struct {
	token     chan struct{}
	lines     lineReader
	notes     turnNotes
	unfollow  func()     // ends Follower.add of the spool
	turnEnded bool       // a turn has ended since the tree was looked at
	said      int        // lines so far, without the answers to iris
	working   string     // the last argument of OnWorking
	below     procs.Tree // below the agent at the end of the last turn
}

// status is what the agent has reported about itself. Process.mu protects it.
type status struct {
	state     string // of the last state line; empty before the first
	session   string
	totals    totals
	inTurn    bool   // the agent is in a turn, sent or its own
	besides   bool   // subagents work
	lifecycle bool   // the agent reports by uuid what becomes of a message
	last      string // see Notes.Last
	gone      bool   // the output has been read to the end
	progress  time.Time
	answered  time.Time // last result
}

// take copies the state from the notes.
func (s *status) take(n *turnNotes) {
	s.state, s.totals, s.inTurn, s.lifecycle, s.last = n.State, n.Totals, n.InTurn, n.Lifecycle, n.Last
	s.besides = len(n.subagents()) > 0
}

// marks holds offsets in the spool, and its waiting readers. Process.mu protects it.
type marks struct {
	read    int64         // start of the first line not handled
	scanned int64         // end of the bytes searched for a newline
	stateAt int64         // start of the chunk that the last state line is in, or later
	endAt   int64         // end of the last result that ended a turn
	needed  int64         // from here on the spool is needed for texts of the turn; 0 for not at all
	changed chan struct{} // closed when the spool has been read; nil when nobody waits
	streams map[*Stream]struct{}
}

// current is the current message. Process.mu protects it.
type current struct {
	turn          *activeTurn // nil between two turns
	expected      string      // uuid of the last turn that the notes await or have awaited
	uuid          string      // of the next message, as NextTurn has returned it
	begun         int64       // where the last turn begins, as NextTurn has returned it
	startNoted    bool        // by NextTurn, and Send was not called since
	resultPending bool        // a turn has begun, or NextTurn was called, and the end may not be on record yet
}

// open is the running turn, nil if there is none or it has ended.
func (c *current) open() *activeTurn {
	if c.turn == nil || c.turn.over() {
		return nil
	}
	return c.turn
}

// asks holds the agent's requests for permission. Process.mu protects it.
type asks struct {
	waiting      []Request // without an answer, oldest first
	unresponsive bool      // the last answer could not be written
	denied       []denial  // calls of subagents that iris has denied in the running turn
}

var _ pool.Agent = (*Process)(nil)

// wake tells follow that the spool may have grown.
func (p *Process) wake() {
	select {
	case p.grown <- struct{}{}:
	default:
	}
}

// wait records the end of the process.
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

// Progress is when the agent last wrote anything. An agent that waits for an answer
// has not stalled.
func (p *Process) Progress() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.asks.waiting) > 0 && !p.asks.unresponsive {
		return time.Now()
	}
	return p.status.progress
}

// Session is the current id of the conversation.
func (p *Process) Session() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status.session
}

// WaitIdle returns when a turn may begin: all output of the agent is handled, and the
// agent is idle, or only its subagents work and it tells the turns apart. A turn of
// the agent's own may take long as long as it makes progress; the error wraps
// pool.ErrNotDispatched.
func (p *Process) WaitIdle(ctx context.Context) error {
	if err := p.idle(ctx); err != nil {
		return fmt.Errorf("%w: %w", pool.ErrNotDispatched, err)
	}
	return nil
}

// NextTurn returns the identity of the next turn in the agent's spool: the offset up
// to which the spool was handled, and the uuid that the message will have. Call it
// after WaitIdle and before Send; ReadOutcome needs both. The parts of the spool that
// ReadOutcome judges by are kept until ResultRecorded, even if the turn never begins.
func (p *Process) NextTurn() (offset int64, uuid string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current.begun, p.current.startNoted, p.current.resultPending, p.current.uuid = p.marks.read, true, true, NewSessionID()
	return p.current.begun, p.current.uuid
}

// ResultRecorded says that the result of the last turn is recorded elsewhere, or is
// no longer wanted, so that the spool need not keep it. A Send without NextTurn
// before it says so too.
func (p *Process) ResultRecorded() {
	p.forgetTurn()
	p.mu.Lock()
	gone := p.status.gone
	p.mu.Unlock()
	if gone {
		p.spool.remove()
	}
}
