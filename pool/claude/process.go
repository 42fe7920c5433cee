package claude

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"iris/pool"
)

// Options say what to start.
type Options struct {
	ID         string   // the pool's process id, unique over restarts of the daemon
	Team       string   // for messages
	Command    string   // the program, looked up in the PATH of Env
	Prefix     []string // arguments before the driver's own
	Args       []string // the team's arguments, after them
	Dir        string   // working directory
	Env        []string // complete environment, to which the driver adds its mark
	Spools     string   // directory of spools
	SessionID  string   // UUID of the conversation
	Transcript bool     // the program keeps transcripts, so that a known conversation is resumed

	Variant pool.Variant // what a message asks for
	Model   string       // of the conversation: a resume would go on with that of the last answer; empty to let it

	StartTimeout time.Duration // until ready; 0 for no limit
	Grace        time.Duration // of each rung of the stop ladder, and of an interrupt

	Watch     []string            // files whose change makes the process stale
	Stamp     func() string       // the team's configuration now; a change makes it stale too
	OnSession func(id string)     // the conversation has a new id (/clear); must not block for long
	OnLost    func(work []string) // what ran in the background has ended with the process; must not block for long

	// Ask has the agent ask before it uses a tool that needs permission; without,
	// such a tool is denied. OnAsk is told of each request, which waits for Answer,
	// and OnWithdrawn when it does no longer. Neither may block for long.
	Ask         bool
	OnAsk       func(*Process, Request)
	OnWithdrawn func(p *Process, request string)

	Follower *Follower    // required
	Reaper   *Reaper      // may be nil
	Log      *slog.Logger // may be nil

	resume bool // the conversation is on disk
}

// Process is one live agent.
type Process struct {
	o       Options
	log     *slog.Logger
	proc    *os.Process
	ident   procID
	spool   *spool
	started time.Time
	watched watched

	ownTurn    time.Duration // the constants of these names, shorter in tests
	stuckAfter time.Duration
	grace      [rungKill]time.Duration // of each rung of the stop ladder but the last

	wg     sync.WaitGroup // wait and follow
	kick   chan struct{}  // the spool may have grown
	exited chan struct{}  // the process is gone
	done   chan struct{}  // and its output read to the end
	exit   string         // how it ended; set before exited closes
	words  string         // and the last it said on stderr; set before done closes

	stopping atomic.Bool
	stopOnce sync.Once

	in    sync.Mutex // one whole line at a time; protects stdin and torn
	stdin *os.File
	torn  bool // a line was cut short: nothing may be written any more

	// following is full while lines are handled: what follows is used by follow
	// alone, and by Pause, which keeps it.
	following chan struct{}
	reader    lineReader
	account   account
	unfollow  func() // ends the following of the spool's file
	ended     bool   // a turn has ended since the tree was looked at
	seen      tree   // below the agent at the end of the last turn

	mu       sync.Mutex    // protects the fields below; never held while calling out
	state    string        // of the last state line; empty before the first
	changed  chan struct{} // closed when the spool has been read; nil when nobody waits
	session  string
	mode     string // of permissions, as the last turn began
	totals   totals
	turn     *turn
	read     int64 // start of the first line not handled
	scanned  int64 // and as far as its bytes have been looked at
	stateAt  int64 // start of the chunk that the last state line is in, or later
	endAt    int64 // end of the last result that ended a turn
	gone     bool  // the output has been read to the end
	begun    int64 // where the last turn begins, as Spool has said
	noted    bool  // and Send has not come to it
	untaken  bool  // a turn has begun, or is noted, whose end may not be on record yet
	progress time.Time
	answered time.Time // last result
	garbage  int
	calls    map[string]chan response
	number   int
	streams  map[*Stream]struct{}
	asks     []Request // that wait for an answer, the oldest first
	deaf     bool      // the last answer could not be written
}

var _ pool.Agent = (*Process)(nil)

// Start starts an agent and returns when it is ready for its first turn. A
// *pool.StartError says why there is none; then nothing is left of it.
func Start(ctx context.Context, o Options) (*Process, error) {
	p, permanent, err := launch(&o)
	if err == nil {
		if permanent, err = p.ready(ctx); err == nil {
			return p, nil
		}
		p.abort()
	}
	return nil, &pool.StartError{Team: o.Team, Permanent: permanent, Err: err}
}

// launch starts the process and its two goroutines.
func launch(o *Options) (p *Process, permanent bool, err error) {
	if err := o.check(); err != nil {
		return nil, true, err
	}
	path, err := o.program()
	if err != nil {
		return nil, true, err
	}
	if o.Transcript {
		transcript, err := Transcript(o.Env, o.SessionID)
		if err != nil {
			return nil, false, err
		}
		o.resume = transcript != ""
	}
	owner, _ := liveOwner(o.Spools, o.SessionID) // createSpool refuses that, and says so
	if pid := holder(o.Env, o.SessionID); o.resume && owner == "" && pid != 0 {
		return nil, true, &ResumeError{o.SessionID, fmt.Sprintf("another Claude Code has it open (pid %d)", pid)}
	}
	s, stdout, stderr, err := createSpool(o.Spools, o.SessionID, o.ID)
	if err != nil {
		return nil, false, err
	}
	p = newProcess(o, s)
	if err = s.room(); err == nil { // else it could not even say that it is ready
		err = p.exec(path, stdout, stderr)
	}
	closeAll(stdout, stderr)
	if err != nil {
		closeAll(s.out)
		s.remove()
		return nil, notRunnable(err), err
	}
	p.attend()
	return p, false, nil
}

// attend starts what follows the process and waits for it.
func (p *Process) attend() {
	p.unfollow = p.o.Follower.add(p.spool.path(".out"), p.wake)
	p.wg.Go(p.wait)
	p.wg.Go(p.follow)
}

func newProcess(o *Options, s *spool) *Process {
	p := &Process{
		o: *o, log: o.Log, spool: s, started: time.Now(), progress: time.Now(),
		ownTurn: ownTurn, stuckAfter: stuckAfter, grace: [rungKill]time.Duration{o.Grace, o.Grace, o.Grace},
		session: o.SessionID, watched: watch(o.Watch, o.Stamp),
		kick: make(chan struct{}, 1), following: make(chan struct{}, 1), exited: make(chan struct{}), done: make(chan struct{}),
		calls: map[string]chan response{}, streams: map[*Stream]struct{}{}, reader: lineReader{f: s.out, max: maxLine},
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	p.log = p.log.With("team", o.Team, "process", o.ID)
	return p
}

// exec starts the program with the read end of a new pipe as stdin. Only
// descriptors 0, 1 and 2 reach it: everything else is close-on-exec.
func (p *Process) exec(path string, stdout, stderr *os.File) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	attr := &os.ProcAttr{
		Dir: p.o.Dir, Env: p.o.environ(), Files: []*os.File{r, stdout, stderr},
		Sys: &syscall.SysProcAttr{Setsid: true},
	}
	argv := p.o.argv()
	p.proc, err = p.o.Reaper.start(func() (*os.Process, error) { return os.StartProcess(path, argv, attr) })
	if err != nil {
		w.Close()
		return fmt.Errorf("program %s: %w", path, explain(path, reason(err)))
	}
	p.stdin, p.ident = w, identify(p.proc.Pid)
	p.seen = newTree(p.ident.pid, p.ident, p.session)
	p.o.Env, p.o.Args, p.o.Prefix, p.o.Watch = nil, nil, nil, nil
	p.identified()
	return nil
}

// identified records which process it is. Without it a later daemon still sees that
// the process lives, only cannot signal it.
func (p *Process) identified() {
	none := int64(-1)
	err := p.spool.save(func(r *record) {
		r.PID, r.Start, r.Boot, r.Given = p.ident.pid, p.ident.start, BootID(), &none
	})
	if err != nil {
		p.log.Warn("record of process not written", "err", err)
	}
}

// explain adds what "no such file" means of a file that is there.
func explain(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) && executable(path) == nil {
		return fmt.Errorf("its interpreter is missing: %w", err)
	}
	return err
}

func notRunnable(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOEXEC) ||
		errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// ready waits for the answer to initialize. Anything the agent prints before
// (the phantom result of a resumed session) is no sign of it.
func (p *Process) ready(ctx context.Context) (permanent bool, err error) {
	cause := fmt.Errorf("the agent is not ready after %v", p.o.StartTimeout)
	if p.o.StartTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, p.o.StartTimeout, cause)
		defer cancel()
	}
	r, err := p.request(ctx, p.o.initialize())
	if err == nil || r.Subtype == "error" {
		return false, err
	}
	if ctx.Err() != nil {
		return false, p.withWords(context.Cause(ctx))
	}
	select {
	case <-p.done:
		err = p.withWords(fmt.Errorf("the agent exited before it was ready (%s)", p.exit))
		if p.o.resume && strings.Contains(err.Error(), noConversation) {
			err = &ResumeError{p.o.SessionID, err.Error()}
		}
		return isPermanent(err.Error()), err
	case <-ctx.Done():
		return false, p.withWords(context.Cause(ctx))
	}
}

// withWords adds the agent's last words on stderr.
func (p *Process) withWords(err error) error {
	var said string
	if p.isDone() {
		said = p.words
	} else {
		said = lastWords(p.spool.stderr(4096))
	}
	if said != "" {
		return fmt.Errorf("%w: %s", err, said)
	}
	return err
}

// abort ends a process that never became ready: there is no conversation to
// save yet.
func (p *Process) abort() {
	p.stopping.Store(true)
	p.climb(rungTerm)
	<-p.done
	p.wg.Wait()
}

// wake tells follow that the spool may have grown.
func (p *Process) wake() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// wait notes the end of the process.
func (p *Process) wait() {
	state, err := p.o.Reaper.wait(p.proc)
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

// Progress is when the agent last wrote anything. One that waits for an answer
// of ours has not stalled.
func (p *Process) Progress() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.asks) > 0 && !p.deaf {
		return time.Now()
	}
	return p.progress
}

// Session is the conversation's id now.
func (p *Process) Session() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.session
}

// Mode is the permission mode in which the last turn began, in the agent's words;
// empty before the first.
func (p *Process) Mode() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mode
}

// Rest returns when the agent is idle and all that it has written is handled, so
// that a turn may begin. It waits for the state line that follows a result, and for
// the end of a turn that the agent has begun by itself, but not for ever; the error
// wraps pool.ErrNotDispatched.
func (p *Process) Rest(ctx context.Context) error {
	if err := p.idle(ctx, p.ownTurn); err != nil {
		return fmt.Errorf("%w: %w", pool.ErrNotDispatched, err)
	}
	return nil
}

// Spool is where the agent's output stands: the file that a later daemon finds
// by the process id, and the offset up to which it has been handled. Called
// from Turn.Begin after Rest, it is what Settle needs to know of the turn; what it
// judges by is kept until Taken, also when the turn never begins.
func (p *Process) Spool() (path string, offset int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun, p.noted, p.untaken = p.read, true, true
	return p.spool.path(".out"), p.begun
}

// Taken says that the result of the last turn is on record elsewhere, or that
// nobody will look for it, so that the spool need not keep it. A Send without
// Spool before it says so too.
func (p *Process) Taken() {
	p.forgetTurn()
	p.mu.Lock()
	gone := p.gone
	p.mu.Unlock()
	if gone {
		p.spool.remove()
	}
}

// response is the answer to a control request.
type response struct {
	Subtype string          `json:"subtype"`
	ID      string          `json:"request_id"`
	Error   string          `json:"error"`
	Body    json.RawMessage `json:"response"`
}
