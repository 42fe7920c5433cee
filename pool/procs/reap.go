package procs

import (
	"maps"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
)

// Reaper tells the children that iris started from those that the system gave it:
// orphans of its agents, which it waits for so that no zombie stays. Every child of
// the daemon must be started through it, or the reaper may take its exit status. A
// nil Reaper starts and waits, and adopts nothing.
type Reaper struct {
	wg   sync.WaitGroup // the goroutine that reaps
	stop chan struct{}

	// turn is held for reading while a child is started or waited for and the set
	// changes, and for writing while orphans are reaped: a child outside the set is
	// then certainly an orphan.
	turn sync.RWMutex

	mu  sync.Mutex  // protects the set; taken inside turn
	set map[int]int // our children; a number may be in use again before its old entry goes
}

// Start runs f, which starts a child, and adds the child to the set.
func (r *Reaper) Start(f func() (*os.Process, error)) (*os.Process, error) {
	if r == nil {
		return f()
	}
	r.turn.RLock()
	defer r.turn.RUnlock()
	p, err := f()
	if err == nil {
		r.note(p.Pid, 1)
	}
	return p, err
}

// Wait waits for a child. It blocks the reaper only when the wait is known to be
// short.
func (r *Reaper) Wait(p *os.Process) (*os.ProcessState, error) {
	ended := awaitExit(p.Pid)
	if r == nil {
		return p.Wait()
	}
	if ended {
		r.turn.RLock()
		defer r.turn.RUnlock()
	}
	state, err := p.Wait()
	r.note(p.Pid, -1)
	return state, err
}

// Disown leaves to the reaper a child that NewReaper was given and that nobody will
// wait for.
func (r *Reaper) Disown(pid int) {
	if r != nil {
		r.note(pid, -1)
	}
}

func (r *Reaper) note(pid, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.set[pid] += n; r.set[pid] == 0 {
		delete(r.set, pid)
	}
}

func (r *Reaper) ours(pid int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.set[pid] > 0
}

// Children lists the children that were started and not yet waited for. When it
// returns, the list is complete.
func (r *Reaper) Children() []int {
	if r == nil {
		return nil
	}
	r.turn.Lock() // no child is being added to the set
	defer r.turn.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.set))
}

// Run is cmd.Run for other children of the daemon.
func (r *Reaper) Run(cmd *exec.Cmd) error { return r.run(cmd, func(int) {}) }

// RunSession is Run for a child with a session of its own, which ends with the child: what
// the child leaves running there is killed. A daemon, which has left the session, is not.
func (r *Reaper) RunSession(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return r.run(cmd, func(pid int) {
		if awaitExit(pid) { // no other session has its number before it is waited for
			killSession(pid)
		}
	})
}

func (r *Reaper) run(cmd *exec.Cmd, beforeWait func(pid int)) error {
	_, err := r.Start(func() (*os.Process, error) {
		err := cmd.Start()
		return cmd.Process, err
	})
	if err != nil {
		return err
	}
	beforeWait(cmd.Process.Pid)
	err = cmd.Wait()
	if r != nil {
		r.note(cmd.Process.Pid, -1)
	}
	return err
}
