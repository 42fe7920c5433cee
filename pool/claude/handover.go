package claude

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"iris/pool"
	"iris/pool/procs"
	"iris/pool/turn"
)

// Handed is the state of a paused agent for the next image of this program.
// Stdin is the descriptor of the write end of the pipe. No other descriptor of the agent may
// be open in both images.
type Handed struct {
	Process       string // the pool's id of the process
	Session       string
	Dir           string
	PID           int
	Start         uint64 // start time of the process, in the system's unit
	Stdin         int
	Started       time.Time
	Progress      time.Time
	Answered      time.Time
	Watched       Watched
	StateAt       int64
	Read          int64  // every line before it has been handled, and none after it
	Free          int64  // everything before it was given back to the disk
	EndAt         int64  // end of the last result that ended a turn
	ResultPending bool   `json:"Untaken"` // under its name in the handoff format
	Requests      int    // number of control requests so far
	Notes         Notes  // from the lines so far
	Works         string // the last argument of OnWorking
	Below         procs.TreeState
	InTurn        bool // a sent turn is running, and the agent has its whole line
	TurnUUID      string
	TurnFreed     int64
	Cut           bool // output of that turn may be missing
	NoWait        bool
	Tuning        Tuning
	Ask           bool
	Asks          []Request // requests that wait for an answer
	Denied        []denial  // calls of subagents that iris has denied in the running turn
	FreezeAfter   time.Duration
	Kept          int64 // size of the transcript when the last turn began
}

// handedResult is a turn.Result with the field names of the handoff format.
type handedResult struct {
	Outcome    turn.Outcome
	Text       string
	Earlier    []string
	Err        string
	SessionID  string
	Subtype    string
	Stop       string
	Terminal   string
	Status     int
	Turns      int
	CostUSD    float64
	Duration   time.Duration
	API        time.Duration
	Usage      turn.Usage
	Denials    []turn.Denial
	Resets     time.Time
	Limit      string
	Structured bool
	Model      string
	Background []string

	NothingDone bool
	Windows     []turn.Window

	Reason string
	Retire string
}

// ErrUnready says that a process cannot be handed over just now, but can be soon.
var ErrUnready = errors.New("the agent is being written to")

// Pause stops handling the agent's output and writing to the agent, and returns the
// state. The agent itself notices nothing. After an error nothing is paused;
// otherwise Unpause ends the pause.
func (p *Process) Pause(ctx context.Context) (Handed, error) {
	select {
	case p.reading.token <- struct{}{}:
	case <-ctx.Done():
		return Handed{}, context.Cause(ctx)
	}
	if err := p.lockStdin(ctx); err != nil {
		<-p.reading.token
		return Handed{}, err
	}
	h, err := p.handed()
	if err != nil {
		p.Unpause()
	}
	return h, err
}

// Unpause ends Pause. The lines written meanwhile are handled now.
func (p *Process) Unpause() {
	p.input.mu.Unlock()
	<-p.reading.token
	p.wake()
}

// handed reads the state. The caller has paused the process.
func (p *Process) handed() (Handed, error) {
	fd, err := descriptor(p.input.pipe)
	kept := p.kept.marked()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch t := p.current.turn; {
	case p.status.gone || p.stopping.Load():
		return Handed{}, errGone
	case err != nil:
		return Handed{}, err
	case p.input.torn || t != nil && (!t.written || t.over()):
		return Handed{}, ErrUnready
	}
	h := Handed{
		Process: p.o.ID, Session: p.status.session, Dir: p.o.Dir, PID: p.ident.PID, Start: p.ident.Start, Stdin: fd,
		Started: p.started, Progress: p.status.progress, Answered: p.status.answered, Watched: p.watched,
		StateAt: p.marks.stateAt, Read: p.reading.lines.off, Free: p.spool.free, EndAt: p.marks.endAt,
		ResultPending: p.current.resultPending, Requests: p.calls.made(),
		Below: p.reading.below.State(), Notes: p.reading.notes.Notes, Works: p.reading.working,
		Tuning: p.tuning, Ask: p.o.Ask, Asks: slices.Clone(p.asks.waiting), Denied: slices.Clone(p.asks.denied), FreezeAfter: p.freezer.after, Kept: kept,
	}
	if t := p.current.turn; t != nil {
		h.InTurn, h.TurnUUID, h.TurnFreed, h.NoWait, h.Cut = true, t.uuid, t.freed, t.noWait, t.isCut
	}
	return h, nil
}

// descriptor returns the number of an open file, and leaves the file in the poller.
func descriptor(f *os.File) (fd int, err error) {
	c, err := f.SyscallConn()
	if err != nil {
		return -1, err
	}
	err = c.Control(func(n uintptr) { fd = int(n) })
	return fd, err
}

// Adopt continues with a process that an earlier image of this program has started,
// as its child and on the same pipe; the Process now owns stdin. Options that only a
// start needs are not used. With InTurn set the turn is running, and [Process.Rejoin]
// waits for its end. Adopt calls before, which may open streams, before it reads output,
// and passes the waiting requests to OnAsk before it returns.
// After an error stdin is closed, so that the agent ends after its turn.
func Adopt(o Options, h Handed, stdin *os.File, before func(*Process)) (*Process, error) {
	p, err := adopt(&o, h)
	if err != nil {
		stdin.Close()
		o.Reaper.Disown(h.PID)
		return nil, fmt.Errorf("adopt process %s, pid %d: %w", h.Process, h.PID, err)
	}
	p.input.pipe = stdin
	p.asks.waiting = slices.Clone(h.Asks)
	for _, r := range h.Asks {
		p.o.OnAsk(p, r)
	}
	before(p)
	p.attend()
	return p, nil
}

func adopt(o *Options, h Handed) (*Process, error) {
	if now := procs.Identify(h.PID); now.Start != h.Start {
		return nil, errGone
	}
	s, err := reopenSpool(o.Spools, h)
	if err != nil {
		return nil, err
	}
	o.FreezeAfter = h.FreezeAfter // none by an iris with which the system would not continue it
	p := newProcess(o, s, "")
	if p.proc, err = os.FindProcess(h.PID); err != nil {
		s.out.Close()
		return nil, err
	}
	p.proc.Signal(syscall.SIGCONT) // if it was frozen
	p.ident = procs.ID{PID: h.PID, Start: h.Start}
	p.reading.below = procs.RestoreTree(h.Below, h.Session)
	p.started, p.watched, p.calls.number, p.tuning = h.Started, h.Watched, h.Requests, h.Tuning
	p.reading.notes.Notes, p.reading.working = h.Notes, h.Works
	p.reading.lines.off, p.reading.lines.seen = h.Read, h.Read
	p.marks.read, p.marks.scanned, p.marks.stateAt, p.marks.endAt = h.Read, h.Read, h.StateAt, h.EndAt
	p.status = status{session: h.Session, progress: elapsed(h.Progress), answered: elapsed(h.Answered)}
	p.status.take(&p.reading.notes)
	p.current.resultPending = h.ResultPending
	p.asks.denied = h.Denied
	if h.InTurn {
		p.current.resume(&h)
	}
	p.o.Ask, p.o.Env, p.o.Args, p.o.Prefix, p.o.Watch = h.Ask, nil, nil, nil, nil
	p.kept.session, p.kept.size = h.Session, h.Kept
	return p, nil
}

// resume restores the running turn.
func (c *current) resume(h *Handed) {
	c.turn = newTurn(h.TurnUUID, h.NoWait)
	c.turn.written, c.turn.freed = true, h.TurnFreed
	if h.Cut {
		c.turn.cutLocked()
	}
	if h.Notes.Message != nil { // else nothing was read since the turn began
		c.expected = h.TurnUUID
	}
}

// elapsed returns t, which has crossed an exec, with a monotonic reading: a later
// step of the clock then does not look like a turn without progress.
func elapsed(t time.Time) time.Time {
	now := time.Now()
	return now.Add(t.Sub(now))
}

// reopenSpool opens the files of a live process. The agent holds their lock.
func reopenSpool(dir string, h Handed) (*spool, error) {
	s := &spool{dir: dir, free: h.Free, rec: record{Session: h.Session, Process: h.Process}}
	rec, err := readRecord(s.path(".out"))
	if err != nil {
		return nil, err
	}
	s.rec = rec
	if s.rec.Session != h.Session || s.rec.Process != h.Process {
		return nil, fmt.Errorf("its record is that of %s", filepath.Base(s.path("")))
	}
	if info, err := os.Stat(s.path(".json")); err == nil {
		s.recLen = int(info.Size())
	}
	s.out, err = os.OpenFile(s.path(".out"), os.O_RDWR, 0)
	return s, err
}

// Rejoin waits, like Send, for the end of the turn that the agent was in when it was
// adopted.
func (p *Process) Rejoin(ctx context.Context) (*turn.Result, error) {
	p.mu.Lock()
	u := p.current.turn
	p.mu.Unlock()
	if u == nil {
		return nil, fmt.Errorf("%w: the agent was in no turn when it was adopted", pool.ErrUnknown)
	}
	defer p.endSend()
	defer p.takeBack(ctx)
	return p.outcome(ctx, u)
}
