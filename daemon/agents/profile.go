package agents

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"
)

// ShellTimeout is how long a start of an agent waits for the login shell; the shell itself
// may go on, see shellLimit. Tests change it.
var ShellTimeout = 10 * time.Second

// headStart delays the login shell at the start of a daemon, so that it does not compete for
// the processors with the daemon and the command that waits for it.
const headStart = 20 * time.Millisecond

// pauseAfterFailures is the time between two runs of a shell that has failed twice. Nothing
// waits for those runs.
const pauseAfterFailures = time.Minute

// A profile is what the login shell makes of the user's profile. The answer of the last
// successful run counts. After a failure the next start of an agent runs the shell again. A
// start waits for the first run and for the second, but for no later one: a shell that
// always hangs must not delay every start.
type profile struct {
	shell string          // for its problems
	ctx   context.Context // of the daemon; its end ends the shell
	wg    *sync.WaitGroup // the daemon's; waits for the shell
	run   func(context.Context) (map[string]string, error)

	mu       sync.Mutex // protects the fields below
	vars     map[string]string
	err      error // of the last run, nil if it succeeded
	failures int   // in a row
	took     time.Duration
	ended    time.Time // of the last run
	current  *shellRun // nil if the shell does not run
}

// shellRun is one run of the shell.
type shellRun struct {
	begun  time.Time
	cancel context.CancelFunc
	start  func()        // ends the head start
	done   chan struct{} // closed when the run has ended
}

// refresh runs the shell again, after delay or when somebody waits for it. It cancels a run
// that is under way.
func (p *profile) refresh(delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures = 0
	p.beginLocked(delay)
}

// answered reports whether the shell has ever answered.
func (p *profile) answered() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.vars != nil
}

// wanted reports whether anything has asked for this profile yet.
func (p *profile) wanted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current != nil || !p.ended.IsZero()
}

// beginLocked starts a run. The caller must hold p.mu.
func (p *profile) beginLocked(delay time.Duration) {
	if p.current != nil {
		p.current.cancel()
	}
	ctx, cancel := context.WithCancel(p.ctx)
	started := make(chan struct{})
	r := &shellRun{time.Now(), cancel, sync.OnceFunc(func() { close(started) }), make(chan struct{})}
	p.current = r
	p.wg.Go(func() {
		defer cancel()
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-started:
		case <-ctx.Done():
		}
		begun := time.Now()
		vars, err := p.run(ctx)
		p.end(r, vars, err, time.Since(begun))
	})
}

// end records the answer of a run, unless a later run counts instead.
func (p *profile) end(r *shellRun, vars map[string]string, err error, took time.Duration) {
	defer close(r.done)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current != r {
		return
	}
	p.current, p.err, p.took, p.ended = nil, err, took, time.Now()
	if err != nil {
		p.failures++
		return
	}
	p.vars, p.failures = vars, 0
}

// get returns a copy of the variables, nil if the shell has never answered. It waits for a
// run up to ShellTimeout after its begin, or until ctx ends. It begins a run if the shell was
// not asked yet and, for a start of an agent, if the shell has failed.
func (p *profile) get(ctx context.Context, start bool) map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil && p.dueLocked(start) {
		p.beginLocked(0)
	}
	waits := p.failures == 0 || p.failures == 1 && start
	for p.current != nil && waits && p.awaitLocked(ctx, p.current) {
	}
	return maps.Clone(p.vars)
}

// dueLocked reports whether the shell is to be asked. The caller must hold p.mu.
func (p *profile) dueLocked(start bool) bool {
	switch p.failures {
	case 0:
		return p.ended.IsZero()
	case 1:
		return start
	}
	return start && time.Since(p.ended) >= pauseAfterFailures
}

// awaitLocked waits for a run, and reports whether it ended in time. It gives p.mu up
// meanwhile.
func (p *profile) awaitLocked(ctx context.Context, r *shellRun) bool {
	p.mu.Unlock()
	defer p.mu.Lock()
	r.start()
	timer := time.NewTimer(time.Until(r.begun.Add(ShellTimeout)))
	defer timer.Stop()
	select {
	case <-r.done:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// problem says why the shell has not answered, empty if it has or may still. The text stays
// the same while the shell hangs, so that it is known again.
func (p *profile) problem() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.err != nil:
		return fmt.Sprintf("the login shell (%s): %v", p.shell, p.err)
	case p.current != nil && time.Since(p.current.begun) > ShellTimeout:
		return fmt.Sprintf("the login shell (%s): no answer within %v so far", p.shell, ShellTimeout)
	}
	return ""
}

// duration is how long the last run took.
func (p *profile) duration() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.took
}
