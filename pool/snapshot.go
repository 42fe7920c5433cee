package pool

import (
	"cmp"
	"slices"
	"time"
)

// Process is what the pool knows of one agent at one moment.
type Process struct {
	ID        string // unique over restarts of the daemon
	Key       Key
	PID       int // 0 while it starts
	State     State
	Turn      string // id of the running message
	TurnSince time.Time
	Messages  int       // turns ended
	Queue     int       // messages waiting for this key
	Started   time.Time // when its place was taken
	LastUsed  time.Time // end of the last turn, zero before the first
	Until     time.Time // when its idle timeout ends it, zero for never or not now
	Memory    int64     // bytes at the last health check
	Why       string    // why it stays or goes, for people
	Agent     Agent     // nil while it starts
}

// State is a slot's place in its life. Every state counts against the bound.
type State string

// The states, in the order in which a slot can pass through them.
const (
	Starting State = "starting"
	Idle     State = "idle"
	Busy     State = "busy"
	Stopping State = "stopping"
)

// Status is the pool at one moment.
type Status struct {
	Processes []Process // in order of their start
	Waiting   []Waiting // the longest first
	Broken    []Broken  // by name
	Max       int
	Queued    int // messages in all queues
	Closed    bool
}

// Waiting is a key with messages that have no agent yet.
type Waiting struct {
	Key   Key
	Turns []string // their ids, in order: the first is at position 1
	Since time.Time
}

// Broken is a key whose agents do not start.
type Broken struct {
	Key      Key
	Failures int // in a row
	Err      error
	Retry    time.Duration // until the next try is allowed
}

func (t *table) snapshot() Status {
	st := Status{Max: t.MaxProcesses, Queued: t.waiting, Closed: t.closed}
	for _, s := range t.sortedSlots() {
		st.Processes = append(st.Processes, t.process(s))
	}
	for _, l := range t.sortedLines() {
		if l.messages == 0 {
			continue
		}
		w := Waiting{Key: l.key, Since: l.since()}
		for _, j := range l.queue {
			if !j.wake {
				w.Turns = append(w.Turns, j.turn.ID)
			}
		}
		st.Waiting = append(st.Waiting, w)
	}
	for _, l := range t.lines {
		if l.fails > 0 {
			st.Broken = append(st.Broken, Broken{Key: l.key, Failures: l.fails, Err: l.err, Retry: max(0, l.retryAt.Sub(t.now))})
		}
	}
	slices.SortFunc(st.Broken, func(a, b Broken) int { return cmp.Compare(a.Key.String(), b.Key.String()) })
	return st
}

func (t *table) process(s *slot) Process {
	p := Process{
		ID: s.id, Key: s.line.key, PID: s.pid, State: s.state, Agent: s.agent,
		Messages: s.ended, Queue: s.line.messages, Started: s.since, Memory: s.memory,
	}
	if s.ended > 0 {
		p.LastUsed = s.used
	}
	if s.job != nil {
		p.Turn, p.TurnSince = s.job.turn.ID, s.turnAt
	}
	switch {
	case s.state == Stopping || s.state == Starting && s.retire == "":
		p.Why = s.why
	case s.state != Idle:
		p.Why = s.retire
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
