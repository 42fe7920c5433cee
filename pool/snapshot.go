package pool

import (
	"cmp"
	"slices"
	"time"
)

// Process is one agent, with the state that the pool has of it at one moment.
type Process[A Agent] struct {
	Info
	Agent A // the zero A while it starts, and for a process of an earlier daemon
}

// Info is the state that the pool has of one agent at one moment.
type Info struct {
	ID        string // unique over restarts of the daemon
	Key       Key
	PID       int // 0 while it starts
	State     State
	Turn      string    // id of the running message
	TurnSince time.Time // start of that turn, or of Works if no message runs
	Works     string    // its own work, beside messages or between them; empty for none
	Own       int       // ended turns that nobody has sent
	Messages  int       // turns ended
	Queue     int       // messages waiting for this key
	Started   time.Time // when it took its place
	Ready     time.Time // for its first turn; zero while it starts
	LastUsed  time.Time // end of the last turn, zero before the first
	Until     time.Time // when its idle timeout ends it; zero if never or not now
	Memory    int64     // bytes at the last health check
	Why       string    // why it stays or goes, for people
}

// Gone is the life of an agent that is gone.
type Gone struct {
	ID       string
	Key      Key
	PID      int
	Started  time.Time // when it took its place
	Ready    time.Time // for its first turn
	Ended    time.Time // when its place was free
	Messages int       // turns ended
	Own      int       // ended turns that nobody has sent
	Why      string    // why it was stopped, or how it ended by itself
}

// State is the state of a slot. In every state the slot counts against the limit.
type State string

// The states, in the order in which a slot can pass through them.
const (
	Starting State = "starting"
	Idle     State = "idle"
	Busy     State = "busy"
	Stopping State = "stopping"
)

// Status is the pool at one moment.
type Status[A Agent] struct {
	Processes []Process[A] // in order of their start
	Waiting   []string     // ids of the waiting messages; the key that waits longest comes first
	Broken    []Broken     // by name
	Max       int
	Memory    int64 // bytes that the agents use together, as last measured
	MaxMemory int64 // their limit; 0 for none
	Spare     int64 // bytes that the machine had left for agents at the last sample; UnknownSpare if unknown
	Queued    int   // messages in all queues
	Closed    bool
}

// Broken is a key whose agents do not start.
type Broken struct {
	Key      Key
	Failures int // in a row
	Err      error
	Retry    time.Duration // until the next try is allowed
}

// Snapshot returns the state of the pool. It changes nothing, not even the order of
// use.
func (p *Pool[A]) Snapshot() Status[A] {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.table
	t.now = time.Now()
	st := Status[A]{Waiting: t.waitingIDs(), Broken: t.broken(), Max: t.MaxProcesses, Queued: t.messages, Closed: t.closed}
	st.Memory, st.MaxMemory, st.Spare = t.mem.all.used, t.MaxMemoryTotal, t.spare()
	st.Processes = make([]Process[A], 0, len(t.slots))
	for _, s := range t.sortedSlots() {
		st.Processes = append(st.Processes, p.process(s))
	}
	return st
}

// process is the agent of a slot, the zero Process for none; the caller must
// hold the lock.
func (p *Pool[A]) process(s *slot) (proc Process[A]) {
	if s != nil {
		proc = Process[A]{p.table.info(s), p.agents[s]}
	}
	return proc
}

// waitingIDs lists the waiting messages in order; the key that waits longest comes
// first.
func (t *table) waitingIDs() (ids []string) {
	for _, q := range t.sortedQueues() {
		for _, e := range q.entries {
			if !e.wake {
				ids = append(ids, e.turn.ID)
			}
		}
	}
	return ids
}

// broken lists the keys whose agents do not start.
func (t *table) broken() (all []Broken) {
	for _, q := range t.queues {
		if q.fails > 0 {
			all = append(all, Broken{Key: q.key, Failures: q.fails, Err: q.err, Retry: max(0, q.retryAt.Sub(t.now))})
		}
	}
	slices.SortFunc(all, func(a, b Broken) int { return cmp.Compare(a.Key.String(), b.Key.String()) })
	return all
}

// end is the life of a slot that ends now.
func (s *slot) end(now time.Time) Gone {
	return Gone{
		ID: s.id, Key: s.queue.key, PID: s.pid, Started: s.since, Ready: s.readyAt, Ended: now,
		Messages: s.ended, Own: s.own, Why: s.why,
	}
}

func (t *table) info(s *slot) Info {
	p := Info{
		ID: s.id, Key: s.queue.key, PID: s.pid, State: s.state, Ready: s.readyAt,
		Works: s.works, Own: s.own, Messages: s.ended, Queue: s.queue.messages, Started: s.since, Memory: s.load.used,
	}
	if s.ended > 0 {
		p.LastUsed = s.used
	}
	if s.entry != nil {
		p.Turn = s.entry.turn.ID
	}
	if s.entry != nil || s.work != nil && s.state == Busy {
		p.TurnSince = s.busySince()
	}
	switch {
	case s.state == Stopping || s.state == Starting && s.retire == "":
		p.Why = s.why
	case s.state != Idle:
		p.Why = s.retire
	case s.queue.limited() && s.queue.messages > 0:
		p.Why = s.queue.gate.state().text(t.now)
	case s.queue.short != nil:
		p.Why = "its messages wait for " + s.queue.short.text(t.now)
	case s.queue.lacking():
		p.Why = "its messages wait for " + t.lacks(s.queue)
	case s.alarm.i != 0:
		p.Until = s.alarm.at
	case s.replaced == "":
		p.Why = "never: idle_timeout is 0"
	}
	if p.Why == "" && s.replaced != "" {
		p.Why = "new: " + s.replaced
	}
	return p
}
