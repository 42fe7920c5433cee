package procs

import (
	"errors"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// NewReaper makes the system give orphans below this process to it, and reaps them
// until Close. children were started by an earlier image of this program: each is
// later adopted or disowned.
func NewReaper(children ...int) (*Reaper, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, err
	}
	r := &Reaper{stop: make(chan struct{}), set: map[int]int{}}
	for _, pid := range children {
		r.note(pid, 1)
	}
	died := make(chan os.Signal, 1) // one signal is enough: reaping takes all that have ended
	signal.Notify(died, syscall.SIGCHLD)
	r.wg.Go(func() {
		defer signal.Stop(died)
		for r.reap(); ; r.reap() {
			select {
			case <-died:
			case <-r.stop:
				return
			}
		}
	})
	return r, nil
}

// Close ends the reaping and waits for it. Orphans are no longer adopted.
func (r *Reaper) Close() {
	unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
	close(r.stop)
	r.wg.Wait()
}

// reap waits for the orphans that have ended. It never waits for "any child": that
// could take the exit status of a child in the set.
func (r *Reaper) reap() {
	r.turn.Lock()
	defer r.turn.Unlock()
	for again := true; again; {
		again = false
		for _, pid := range children(os.Getpid()) {
			if !r.ours(pid) && waitFor(pid) {
				again = true // its children may have become ours
			}
		}
	}
}

// waitFor reaps a child if it has ended.
func waitFor(pid int) bool {
	for {
		got, err := syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
		if !errors.Is(err, syscall.EINTR) {
			return err == nil && got == pid
		}
	}
}
