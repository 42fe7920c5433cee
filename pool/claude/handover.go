package claude

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"iris/pool"
)

// Handed is a paused process as another image of the same program needs it to
// go on with it. Stdin is the descriptor of the pipe's write end, which is the
// only thing that has to be open in both.
type Handed struct {
	Process   string // the pool's id of it
	Session   string
	Dir       string
	PID       int
	Start     uint64 // of the process, in the system's own unit
	Stdin     int
	Started   time.Time
	Progress  time.Time
	Answered  time.Time
	Watched   Watched
	State     string // of the last state line
	StateAt   int64
	Read      int64 // all lines before it have been handled, and none after it
	Free      int64 // all before it has been given back to the disk
	Untaken   bool
	Totals    totals
	Requests  int    // made of the agent so far
	Said      []byte // what the lines so far say of the turn: see account
	Model     string
	Resets    time.Time
	Tasks     map[string]Task
	Below     Below
	InTurn    bool // a turn is under way, and the agent has the whole of its line
	TurnFreed int64
	Mode      string
	Ask       bool
	Asks      []Request // that wait for an answer
}

// Below is what was seen below an agent at the end of its last turn.
type Below struct {
	Processes [][2]uint64 // pid and start time
	Sessions  []int
	Since     [2]uint64
}

// ErrUnready says that a process is in the middle of something which cannot be
// handed over, and soon will not be.
var ErrUnready = errors.New("the agent is being written to")

// Pause stops the handling of what the agent writes, and all writing to it, and
// returns where it stands. The agent itself notices nothing. After an error
// nothing is paused; otherwise Unpause ends it.
func (p *Process) Pause(ctx context.Context) (Handed, error) {
	select {
	case p.following <- struct{}{}:
	case <-ctx.Done():
		return Handed{}, context.Cause(ctx)
	}
	if err := p.hold(ctx); err != nil {
		<-p.following
		return Handed{}, err
	}
	h, err := p.handed()
	if err != nil {
		p.Unpause()
	}
	return h, err
}

// hold takes the lock of stdin. A write that waits for a slow agent may have it
// for long.
func (p *Process) hold(ctx context.Context) error {
	for !p.in.TryLock() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// Unpause ends Pause. What the agent has written meanwhile is handled now.
func (p *Process) Unpause() {
	p.in.Unlock()
	<-p.following
	p.wake()
}

// handed reads the state. The caller has paused the process.
func (p *Process) handed() (Handed, error) {
	fd, err := descriptor(p.stdin)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch t := p.turn; {
	case p.gone || p.stopping.Load():
		return Handed{}, errGone
	case err != nil:
		return Handed{}, err
	case p.torn || t != nil && (!t.written || t.result != nil):
		return Handed{}, ErrUnready
	}
	h := Handed{
		Process: p.o.ID, Session: p.session, Dir: p.o.Dir, PID: p.ident.pid, Start: p.ident.start, Stdin: fd,
		Started: p.started, Progress: p.progress, Answered: p.answered, Watched: p.watched.handed(),
		State: p.state, StateAt: p.stateAt, Read: p.reader.off, Free: p.spool.free,
		Untaken: p.untaken, Totals: p.totals, Requests: p.number, Below: p.seen.handed(),
		Said: p.account.said, Model: p.account.model, Resets: p.account.resets, Tasks: p.account.tasks,
		Mode: p.mode, Ask: p.o.Ask, Asks: slices.Clone(p.asks),
	}
	if p.turn != nil {
		h.InTurn, h.TurnFreed = true, p.turn.freed
	}
	return h, nil
}

// descriptor returns the number of an open file, and leaves it in the poller.
func descriptor(f *os.File) (fd int, err error) {
	c, err := f.SyscallConn()
	if err != nil {
		return -1, err
	}
	err = c.Control(func(n uintptr) { fd = int(n) })
	return fd, err
}

// Adopt goes on with a process that an image of this program before this one has
// started, as its child and on the same pipe, of which stdin becomes the
// Process's own. Of the options what only a start needs is not used. With InTurn
// set the turn is under way, and the Send that has Begun set waits for its end.
// OnAsk is told of the requests that wait, before Adopt returns.
// After an error stdin is closed, so that the agent leaves after its turn.
func Adopt(o Options, h Handed, stdin *os.File) (*Process, error) {
	p, err := adopt(&o, h)
	if err != nil {
		stdin.Close()
		o.Reaper.Disown(h.PID)
		return nil, fmt.Errorf("adopt process %s, pid %d: %w", h.Process, h.PID, err)
	}
	p.stdin = stdin
	p.asks = slices.Clone(h.Asks)
	for _, r := range h.Asks {
		p.o.OnAsk(p, r)
	}
	p.attend()
	return p, nil
}

func adopt(o *Options, h Handed) (*Process, error) {
	if now := identify(h.PID); now.start != h.Start {
		return nil, errGone
	}
	s, err := reopenSpool(o.Spools, h)
	if err != nil {
		return nil, err
	}
	p := newProcess(o, s)
	if p.proc, err = os.FindProcess(h.PID); err != nil {
		s.out.Close()
		return nil, err
	}
	p.ident = procID{h.PID, h.Start}
	p.seen = treeOf(h.Below, h.Session)
	p.started, p.progress, p.answered = h.Started, elapsed(h.Progress), elapsed(h.Answered)
	p.watched.restore(h.Watched)
	p.session, p.state, p.stateAt = h.Session, h.State, h.StateAt
	p.totals, p.number, p.untaken = h.Totals, h.Requests, h.Untaken
	p.account = account{said: h.Said, model: h.Model, resets: h.Resets, tasks: h.Tasks}
	p.reader.off, p.reader.seen, p.read, p.scanned = h.Read, h.Read, h.Read, h.Read
	if h.InTurn {
		p.turn = &turn{done: make(chan struct{}), written: true, freed: h.TurnFreed}
	}
	p.o.Env, p.o.Args, p.o.Prefix, p.o.Watch = nil, nil, nil, nil
	p.o.Ask, p.mode = h.Ask, h.Mode
	return p, nil
}

// elapsed is a time that has crossed an exec as what has gone by since then, which no
// step of the clock changes any more: it would look like a turn without progress.
func elapsed(t time.Time) time.Time {
	now := time.Now()
	return now.Add(t.Sub(now))
}

// reopenSpool opens the files of a live process. Their lock is the agent's.
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

// rejoin waits for the end of the turn that the agent was in when it was
// adopted.
func (p *Process) rejoin(ctx context.Context, t *pool.Turn) (*pool.Result, error) {
	p.mu.Lock()
	u := p.turn
	p.mu.Unlock()
	if u == nil {
		return nil, fmt.Errorf("%w: the agent was in no turn when it was adopted", pool.ErrUnknown)
	}
	u.mu.Lock()
	u.output = t.Output
	u.mu.Unlock()
	defer p.leave(u)
	return p.await(ctx, u)
}

// Watched is what an agent has read at its start, for Handed.
type Watched struct {
	Files []File
	Then  string // the configuration
}

// File tells two versions of a file apart.
type File struct {
	Path  string
	There bool
	Size  int64
	Time  int64 // of its last change, in nanoseconds
	Inode uint64
}

func (w *watched) handed() Watched {
	h := Watched{Then: w.then}
	for _, s := range w.files {
		f := File{Path: s.path, There: s.there, Size: s.size, Inode: s.inode}
		if s.there {
			f.Time = s.mtime.UnixNano()
		}
		h.Files = append(h.Files, f)
	}
	return h
}

func (w *watched) restore(h Watched) {
	w.then, w.files = h.Then, nil
	for _, f := range h.Files {
		s := stamp{path: f.Path, there: f.There, size: f.Size, inode: f.Inode}
		if f.There {
			s.mtime = time.Unix(0, f.Time)
		}
		w.files = append(w.files, s)
	}
}

func (t tree) handed() Below {
	b := Below{Since: [2]uint64{uint64(t.since.pid), t.since.start}}
	for p := range t.procs {
		b.Processes = append(b.Processes, [2]uint64{uint64(p.pid), p.start})
	}
	for s := range t.sessions {
		b.Sessions = append(b.Sessions, s)
	}
	return b
}

func treeOf(b Below, conversation string) tree {
	t := tree{
		conversation: conversation, procs: map[procID]bool{}, sessions: map[int]bool{},
		since: procID{int(b.Since[0]), b.Since[1]},
	}
	for _, p := range b.Processes {
		t.procs[procID{int(p[0]), p[1]}] = true
	}
	for _, s := range b.Sessions {
		t.sessions[s] = true
	}
	return t
}
