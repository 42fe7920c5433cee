package claude

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"time"
)

// refreeze is how long an agent runs that was continued for something else than a turn.
const refreeze = time.Second

// freezer stops the process of an idle agent, which would wake up some 17 times a second,
// and continues it before anything is written to it. The processes below it go on. The
// system continues the agent when this daemon dies, so that it reads the end of its
// input and leaves.
type freezer struct {
	after  time.Duration // of idleness; 0 for never
	timer  *time.Timer   // fires when the agent may be due; nil for never
	frozen atomic.Bool   // changed by the holder of input.mu
}

func (f *freezer) init(after time.Duration) {
	if after > 0 && mayFreeze {
		f.after, f.timer = after, time.NewTimer(after)
	}
}

// due is ready when freeze is to be called.
func (f *freezer) due() <-chan time.Time {
	if f.timer == nil {
		return nil
	}
	return f.timer.C
}

// freeze stops the process if the agent has been idle for long enough, and else says when to
// call it again. The caller holds the token of reading.
func (p *Process) freeze() {
	f := &p.freezer
	if !p.input.mu.TryLock() {
		f.timer.Reset(refreeze)
		return
	}
	defer p.input.mu.Unlock()
	switch idle := p.idleFor(); {
	case f.frozen.Load(): // the timer was set before
	case idle < 0:
		f.timer.Reset(f.after)
	case idle < f.after:
		f.timer.Reset(f.after - idle)
	case p.reading.notes.resumesSchedule(): // then it is never idle
		f.timer.Reset(f.after)
	case p.proc.Signal(syscall.SIGSTOP) == nil:
		f.frozen.Store(true)
		if p.stopping.Load() { // since a moment: its end may write nothing more
			p.thawLocked()
		}
	}
}

// idleFor is how long the agent has had nothing to do and nothing due; negative if it has. The
// caller holds the token of reading.
func (p *Process) idleFor() time.Duration {
	n := &p.reading.notes
	if p.stopping.Load() || n.Scheduled || len(n.Tasks) > 0 || p.calls.wait() {
		return -1
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c := &p.current
	if p.status.state != "idle" && p.status.state != "" || p.status.inTurn || c.turn != nil || c.startNoted || len(p.asks.waiting) > 0 {
		return -1
	}
	return time.Since(p.status.progress)
}

// thawIfBusy continues an agent that had begun something when it was stopped. The caller
// holds the token of reading.
func (p *Process) thawIfBusy() {
	if p.Frozen() && p.idleFor() < p.freezer.after {
		p.input.mu.Lock()
		defer p.input.mu.Unlock()
		p.thawLocked()
	}
}

// thawLocked continues a frozen process. The caller holds input.mu.
func (p *Process) thawLocked() {
	f := &p.freezer
	if !f.frozen.CompareAndSwap(true, false) {
		return
	}
	p.proc.Signal(syscall.SIGCONT) // it fails only if the process is gone
	f.timer.Reset(refreeze)
}

// Frozen reports whether the process is stopped because the agent is idle.
func (p *Process) Frozen() bool { return p.freezer.frozen.Load() }

// schedulers are the calls of tools that begin a turn later. Inside a text every quotation
// mark has a backslash before it.
var schedulers = [][]byte{[]byte(`"name":"CronCreate"`), []byte(`"name":"ScheduleWakeup"`)}

// schedules reports whether lines of the agent, or of its transcript, make a schedule.
func schedules(lines []byte) bool {
	return slices.ContainsFunc(schedulers, func(call []byte) bool { return bytes.Contains(lines, call) })
}

// resumesSchedule reports whether the conversation that the process has resumed may have a
// schedule, which comes back with it. It reads the transcript once.
func (a *turnNotes) resumesSchedule() bool {
	if a.Resumed == "" {
		return false
	}
	found, err := anySchedule(a.Resumed)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return true // as far as is known; the next call tries again
	}
	a.Resumed, a.Scheduled = "", a.Scheduled || found
	return a.Scheduled
}

// anySchedule reports whether schedules holds for a file.
func anySchedule(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	const overlap = 64 // more than a call
	buf := make([]byte, overlap, overlap+chunk)
	for {
		n, err := f.Read(buf[overlap : overlap+chunk])
		switch {
		case schedules(buf[:overlap+n]):
			return true, nil
		case err == io.EOF:
			return false, nil
		case err != nil:
			return false, err
		}
		copy(buf, buf[n:overlap+n])
	}
}
