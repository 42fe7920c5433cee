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
	Resume     bool     // the conversation is known, of a program that keeps no transcripts

	Variant turn.Variant // what a message asks for
	Model   string       // of the conversation; if empty, a resumed one uses the model of its last answer

	StartTimeout time.Duration // until ready; 0 for no limit
	Grace        time.Duration // of each rung of the stop ladder, and of an interrupt

	FreezeAfter time.Duration // of idleness; 0 for never

	Watch []Source // what the process reads
	Ran   bool     // the program has run before: while it is missing, an update is under way
	Stamp Stamp    // of the rest; a change makes it stale too

	Ask           bool // the agent asks before it uses a tool that needs permission; else such a tool is denied
	RefuseInbound bool // the agent refuses messages from other sessions
	Callbacks

	Follower *Follower     // required
	Reaper   *procs.Reaper // may be nil
	Log      *slog.Logger  // may be nil

	resume bool // the conversation exists
}

// Callbacks are functions that an agent calls. None may block for long. With Ask, OnAsk
// and OnWithdrawn are required; every other one may be nil.
type Callbacks struct {
	OnSession   func(id string)                  // the conversation gets a new id (/clear)
	OnLost      func(work []string)              // background work has ended with the process
	OnOwnTurn   func(*Process, OwnTurn)          // a turn that nobody has sent has ended
	OnWaits     func(on string)                  // something delays the first turn of the agent
	OnWorking   func(p *Process, on string)      // the agent works by itself between two sent turns, on a turn or subagents; empty: no more
	OnAsk       func(*Process, Request)          // the agent asks for a tool; the request waits for Answer
	OnWithdrawn func(p *Process, request string) // a request waits no longer

	// OnUnkept is called with a text when an answer of the conversation is not in its
	// transcript: before Send returns that answer, or at the end of the process. If it
	// is nil, nobody looks.
	OnUnkept func(text string)
}

const (
	updateWait = 10 * time.Second       // for a program that is being replaced
	updateLook = 200 * time.Millisecond // between two tries to start it
)

// Start starts an agent and returns when it is ready for its first turn. It waits for
// settings that are being saved and for a program that is being replaced. If the start
// fails, the error is a *pool.StartError and nothing of the agent is left.
func Start(ctx context.Context, o Options) (*Process, error) {
	p, permanent, err := o.launched(ctx)
	if err == nil {
		if permanent, err = p.ready(ctx); err == nil {
			return p, nil
		}
		p.abort()
	}
	return nil, &pool.StartError{Team: o.Team, Permanent: permanent, Err: err}
}

// launched starts the process as soon as its files are complete.
func (o *Options) launched(ctx context.Context) (p *Process, permanent bool, err error) {
	if err := o.check(); err != nil {
		return nil, true, err
	}
	if err := awaitParsed(ctx, o.Watch); err != nil {
		_, permanent := errors.AsType[*UnparsedError](err)
		return nil, permanent, err
	}
	done, ended := retry(ctx, updateLook, updateWait, func() bool {
		p, permanent, err = launch(o)
		if errors.Is(err, syscall.ETXTBSY) { // an update has begun, and next the file may be missing
			o.Ran = true
		}
		return !o.updating(err)
	})
	switch {
	case ended != nil:
		return nil, false, ended
	case !done:
		return nil, permanent, fmt.Errorf("%w; an update has not brought it back within %v", err, updateWait)
	}
	return p, permanent, err
}

// launch starts the process and its two goroutines.
func launch(o *Options) (p *Process, permanent bool, err error) {
	path, err := o.program()
	if err != nil {
		return nil, true, programError{err}
	}
	var transcript string
	o.resume = o.Resume
	if o.Transcript {
		if transcript, err = Transcript(o.Env, o.SessionID); err != nil {
			return nil, false, err
		}
		o.resume = transcript != ""
	}
	if err := o.elsewhere(); err != nil {
		return nil, true, err
	}
	s, stdout, stderr, err := createSpool(o.Spools, o.SessionID, o.ID)
	if err != nil {
		return nil, false, err
	}
	p = newProcess(o, s, path)
	p.reading.notes.Resumed = transcript
	p.status.last = LastAnswer(transcript)
	p.reading.notes.Last = p.status.last
	// Otherwise it could not even report that it is ready, or be stopped when it is, for
	// want of room for its first turn.
	if err = s.room(intro); err == nil {
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

// newProcess returns the Process of the program at path, which is empty if the agent
// runs already.
func newProcess(o *Options, s *spool, path string) *Process {
	p := &Process{
		o: *o, log: o.Log, spool: s, started: time.Now(), watched: watch(o, path),
		timing: timing{ownTurn, stuckAfter, lookEvery, keptWait, [rungKill]time.Duration{o.Grace, o.Grace, o.Grace}},
		exited: make(chan struct{}), done: make(chan struct{}), grown: make(chan struct{}, 1),
		reading: reading{token: make(chan struct{}, 1), lines: lineReader{f: s.out, max: maxLine}, notes: turnNotes{spool: s.out}},
		status:  status{session: o.SessionID, progress: time.Now()},
		marks:   marks{streams: map[*Stream]struct{}{}},
		first:   firstTurn{begun: make(chan struct{})},
	}
	p.freezer.init(o.FreezeAfter)
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
		Sys: session(),
	}
	argv := p.o.argv()
	p.proc, err = p.o.Reaper.Start(func() (*os.Process, error) { return os.StartProcess(path, argv, attr) })
	if err != nil {
		w.Close()
		return programError{fmt.Errorf("program %s: %w", path, explain(path, sys.Cause(err)))}
	}
	p.input.pipe, p.ident = w, procs.Identify(p.proc.Pid)
	p.reading.below = procs.NewTree(p.ident.PID, p.ident, p.status.session)
	p.identified(ConfigDir(p.o.Env))
	p.o.Env, p.o.Prefix, p.o.Watch = nil, nil, nil
	return nil
}

// identified records the identity of the process. Without it a later daemon sees that the
// process lives, and looks for it among all processes.
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

// ready waits for the answer to initialize, and asks for the settings. Earlier output of
// the agent (the phantom result of a resumed session) does not count.
func (p *Process) ready(ctx context.Context) (permanent bool, err error) {
	cause := fmt.Errorf("the agent is not ready after %v (start_timeout)", p.o.StartTimeout)
	if p.o.StartTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, p.o.StartTimeout, cause)
		defer cancel()
	}
	r, err := p.request(ctx, p.o.initialize())
	p.o.Args = nil
	if err == nil {
		if err = p.introduced(r.Body); err == nil {
			err = p.settingsRead(ctx)
		}
		_, permanent = errors.AsType[*UnparsedError](err)
		return permanent, err
	}
	switch {
	case r.Subtype == "error":
		return false, err
	case r.Subtype == "spoiled":
		return true, p.withOutput(err)
	case ctx.Err() != nil:
		return false, p.withStderr(p.late(ctx, cause))
	}
	select {
	case <-p.done:
		err = fmt.Errorf("the agent exited before it was ready (%s)", p.exit)
		if p.lastStderr == "" && len(p.firstOutput) > 0 {
			err = p.withOutput(err)
		}
		err = p.withStderr(err)
		if strings.Contains(err.Error(), noConversation) {
			err = &ResumeError{SessionID: p.o.SessionID, Why: err.Error(), Missing: true}
		}
		return isPermanent(err.Error()), err
	case <-ctx.Done():
		return false, p.withStderr(p.late(ctx, cause))
	}
}

// late is why an agent is not ready. If its own time has passed, which is cause, the error
// also says what it has written.
func (p *Process) late(ctx context.Context, cause error) error {
	if err := context.Cause(ctx); err != cause {
		return err
	}
	return p.withOutput(cause)
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
