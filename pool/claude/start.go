package claude

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"time"

	"iris/config/sys"
	"iris/pool"
	"iris/pool/procs"
	"iris/pool/turn"
)

// Options say what to start and how.
type Options struct {
	ID         string   // the pool's process id, unique over restarts of the daemon
	Team       string   // for messages
	Command    string   // the program, looked up in the PATH of Env
	Prefix     []string // arguments before the driver's own
	Args       []string // the team's arguments, after them
	Dir        string   // working directory
	Env        []string // the complete environment; the driver adds its mark
	Spools     string   // directory of spools
	SessionID  string   // UUID of the conversation
	RewindTo   string   // the answer in the conversation to continue from, as transcript.FindRewind finds it; empty: its end
	Transcript bool     // the program keeps transcripts: a known conversation is resumed

	Variant turn.Variant // what a message asks for
	Model   string       // of the conversation; if empty, a resumed one uses the model of its last answer

	StartTimeout time.Duration // until ready; 0 for no limit
	Grace        time.Duration // of each rung of the stop ladder, and of an interrupt

	Watch     []string            // files whose change makes the process stale
	Stamp     Stamp               // of the team's configuration; a change makes it stale too
	OnSession func(id string)     // called when the conversation gets a new id (/clear); must not block for long
	OnLost    func(work []string) // called when background work has ended with the process; must not block for long

	// OnOwnTurn is called at the end of each turn that nobody has sent. It must not
	// block for long.
	OnOwnTurn func(*Process, OwnTurn)

	// OnWaits is called with what delays the first turn of the agent, if it takes
	// long. It must not block for long.
	OnWaits func(on string)

	// OnWorking is called when the agent begins work of its own between two sent
	// turns, with a word for it (a turn, subagents), and with an empty word when that
	// is over. It must not block for long.
	OnWorking func(p *Process, on string)

	// Ask makes the agent ask before it uses a tool that needs permission; without
	// Ask such a tool is denied. OnAsk is called with each request, which then waits
	// for Answer, and OnWithdrawn when it no longer waits. Neither may block for
	// long.
	Ask         bool
	OnAsk       func(*Process, Request)
	OnWithdrawn func(p *Process, request string)

	// RefuseInbound makes the agent refuse messages from other sessions.
	RefuseInbound bool

	Follower *Follower     // required
	Reaper   *procs.Reaper // may be nil
	Log      *slog.Logger  // may be nil

	resume bool // the conversation exists
}

// Start starts an agent and returns when it is ready for its first turn. If that
// fails, the error is a *pool.StartError and nothing of the agent is left.
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
	owner, _ := liveOwner(o.Spools, o.SessionID) // if there is one, createSpool fails and says so
	if pid := sessionOwner(o.Env, o.SessionID); o.resume && owner == "" && pid != 0 {
		return nil, true, &ResumeError{o.SessionID, fmt.Sprintf("another Claude Code has it open (pid %d)", pid)}
	}
	s, stdout, stderr, err := createSpool(o.Spools, o.SessionID, o.ID)
	if err != nil {
		return nil, false, err
	}
	p = newProcess(o, s)
	if err = s.room(); err == nil { // otherwise it could not even report that it is ready
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

// attend starts the goroutines that read the output and wait for the exit.
func (p *Process) attend() {
	p.reading.unfollow = p.o.Follower.add(p.spool.path(".out"), p.wake)
	p.wg.Go(p.wait)
	p.wg.Go(p.follow)
}

func newProcess(o *Options, s *spool) *Process {
	p := &Process{
		o: *o, log: o.Log, spool: s, started: time.Now(), watched: watch(o.Watch, o.Stamp.Then),
		timing: timing{ownTurn, stuckAfter, lookEvery, [rungKill]time.Duration{o.Grace, o.Grace, o.Grace}},
		exited: make(chan struct{}), done: make(chan struct{}), grown: make(chan struct{}, 1),
		reading: reading{token: make(chan struct{}, 1), lines: lineReader{f: s.out, max: maxLine}, notes: turnNotes{spool: s.out}},
		status:  status{session: o.SessionID, progress: time.Now()},
		marks:   marks{streams: map[*Stream]struct{}{}},
		first:   firstTurn{begun: make(chan struct{})},
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	p.log = p.log.With("team", o.Team, "process", o.ID)
	return p
}

// exec starts the program with the read end of a new pipe as stdin. It gets only
// descriptors 0, 1 and 2: all others are close-on-exec.
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
	p.proc, err = p.o.Reaper.Start(func() (*os.Process, error) { return os.StartProcess(path, argv, attr) })
	if err != nil {
		w.Close()
		return fmt.Errorf("program %s: %w", path, explain(path, sys.Cause(err)))
	}
	p.input.pipe, p.ident = w, procs.Identify(p.proc.Pid)
	p.reading.below = procs.NewTree(p.ident.PID, p.ident, p.status.session)
	p.identified(configDir(p.o.Env))
	p.o.Env, p.o.Prefix, p.o.Watch = nil, nil, nil
	return nil
}

// identified records the identity of the process. Without it a later daemon still
// sees that the process lives, but cannot signal it.
func (p *Process) identified(config string) {
	none := int64(-1)
	err := p.spool.save(func(r *record) {
		r.PID, r.Start, r.Boot, r.Config, r.Given = p.ident.PID, p.ident.Start, procs.BootID(), config, &none
	})
	if err != nil {
		p.log.Warn("record of process not written", "err", err)
	}
}

// explain says what "no such file" means for an existing file.
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

// ready waits for the answer to initialize. Earlier output of the agent (the phantom
// result of a resumed session) does not count.
func (p *Process) ready(ctx context.Context) (permanent bool, err error) {
	cause := fmt.Errorf("the agent is not ready after %v", p.o.StartTimeout)
	if p.o.StartTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, p.o.StartTimeout, cause)
		defer cancel()
	}
	r, err := p.request(ctx, p.o.initialize())
	p.o.Args = nil
	if err == nil {
		return false, p.introduced(r.Body)
	}
	if r.Subtype == "error" {
		return false, err
	}
	if ctx.Err() != nil {
		return false, p.withStderr(context.Cause(ctx))
	}
	select {
	case <-p.done:
		err = p.withStderr(fmt.Errorf("the agent exited before it was ready (%s)", p.exit))
		if p.o.resume && strings.Contains(err.Error(), noConversation) {
			err = &ResumeError{p.o.SessionID, err.Error()}
		}
		return isPermanent(err.Error()), err
	case <-ctx.Done():
		return false, p.withStderr(context.Cause(ctx))
	}
}

// withStderr adds the agent's last line on stderr.
func (p *Process) withStderr(err error) error {
	var said string
	if p.isDone() {
		said = p.lastStderr
	} else {
		said = lastWords(p.spool.stderr(4096))
	}
	if said != "" {
		return fmt.Errorf("%w: %s", err, said)
	}
	return err
}

// abort ends a process that never became ready: it has no conversation to save.
func (p *Process) abort() {
	p.stopping.Store(true)
	p.climb(rungTerm)
	<-p.done
	p.wg.Wait()
}
