package notify

import (
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"iris/config"
	"iris/ipc"
	"iris/pool"
)

// The limits of commands.
const (
	maxRunning = 4
	maxWaiting = 100
	maxTime    = 30 * time.Second // a command that must run longer goes into the background
)

// Options is what a Notifier needs from the daemon.
type Options struct {
	Settings func(team string) *config.Settings // those in force for a team; of the top level if there is no such team
	Env      func() map[string]string           // returns a copy of the environment of commands
	Run      func(*exec.Cmd) error              // runs a command as exec.Cmd.Run does
	Log      *slog.Logger

	// From the program before this one.
	Last    uint64      // Seq of its last event
	Waiting []ipc.Event // see HandOver
}

// A Notifier runs the commands. Any goroutine may call its methods.
type Notifier struct {
	o       Options
	maxTime time.Duration

	wg     sync.WaitGroup  // one goroutine for each command that runs
	ending context.Context // ends the commands
	end    context.CancelFunc

	mu      sync.Mutex  // protects the fields below; not held while a command runs
	last    uint64      // Seq of the last event that was taken
	waiting []ipc.Event // at most maxWaiting
	running int         // at most maxRunning
	paused  bool        // no command is started
	dropped int         // since the last ClearWarnings
	failure string      // why the last command failed, empty if it did not
}

// New returns a Notifier that is paused. Its owner closes it.
func New(o Options) *Notifier {
	n := &Notifier{o: o, maxTime: maxTime, last: o.Last, waiting: o.Waiting, paused: true}
	n.ending, n.end = context.WithCancel(context.Background())
	return n
}

// Close kills the commands that run, and drops the events that wait. No method but Warnings
// may be called after it.
func (n *Notifier) Close() {
	n.Pause()
	n.end()
	n.wg.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range n.waiting {
		n.logDropped(&n.waiting[i], "the daemon ends")
	}
}

// Pause starts no command until Resume. It does not wait for those that run.
func (n *Notifier) Pause() { n.setPaused(true) }

// Resume ends a pause.
func (n *Notifier) Resume() { n.setPaused(false) }

func (n *Notifier) setPaused(paused bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.paused = paused
	n.launch()
}

// Take adds an event to the queue if a team wants to be notified of it. It ignores an event
// that is not newer than the last one.
func (n *Notifier) Take(e ipc.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if e.Seq <= n.last {
		return
	}
	n.last = e.Seq
	word := wordOf(&e)
	if word == "" {
		return
	}
	if s := n.o.Settings(e.Team); len(s.Notify) == 0 || !slices.Contains(s.NotifyOn, word) {
		return
	}
	if len(n.waiting) == maxWaiting {
		n.dropped++
		n.logDropped(&n.waiting[0], "too many events wait")
		n.waiting = slices.Delete(n.waiting, 0, 1)
	}
	n.waiting = append(n.waiting, e)
	n.launch()
}

// HandOver returns the events that wait, the oldest first, for the next program.
func (n *Notifier) HandOver() []ipc.Event {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.waiting)
}

// launch starts the commands of waiting events that may run now. The caller holds mu.
func (n *Notifier) launch() {
	for !n.paused && len(n.waiting) > 0 && n.running < maxRunning {
		e := n.waiting[0]
		n.waiting = slices.Delete(n.waiting, 0, 1)
		n.running++
		n.wg.Go(func() {
			stderr, err := n.run(&e)
			n.ran(&e, stderr, err)
		})
	}
}

// ran notes how a command ended, and starts the next one.
func (n *Notifier) ran(e *ipc.Event, stderr string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.running--
	n.failure = ""
	if err != nil {
		n.o.Log.Warn("notify failed", "seq", e.Seq, "type", e.Type, "team", e.Team, "message", e.Message, "err", err, "stderr", stderr)
		n.failure = fmt.Sprintf("team %s: notify failed for event %d (%s): %v", pool.Key{Team: e.Team, Session: e.Session}, e.Seq, e.Type, err)
		if last := stderr[strings.LastIndexByte(stderr, '\n')+1:]; last != "" {
			n.failure += ": " + ipc.Clip(last, 200)
		}
	}
	n.launch()
}

func (n *Notifier) logDropped(e *ipc.Event, why string) {
	n.o.Log.Warn("event dropped, notify is not run", "seq", e.Seq, "type", e.Type, "team", e.Team, "message", e.Message, "why", why)
}

// Warnings reports that the last command failed, and that events were dropped.
func (n *Notifier) Warnings() (all []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.failure != "" {
		all = append(all, n.failure)
	}
	if n.dropped > 0 {
		all = append(all, fmt.Sprintf("%d events were dropped, since notify commands are slower than events; the log names them", n.dropped))
	}
	return all
}

// ClearWarnings clears the warnings: the next event shows whether the command works now.
func (n *Notifier) ClearWarnings() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.failure, n.dropped = "", 0
}

// wordOf returns the word of notify_on that names an event, empty if none does.
func wordOf(e *ipc.Event) string {
	switch pool.EventType(e.Type) {
	case pool.ApprovalAsked:
		return "approval"
	case pool.AccountLimited:
		return "limited"
	case pool.BudgetLow, pool.BudgetSpent:
		return "budget"
	case pool.MessageEnded:
		switch state, _, _ := strings.Cut(e.Detail, ":"); state {
		case "failed", "expired":
			return "failed"
		case "done", "unknown":
			return state
		}
	}
	return ""
}
