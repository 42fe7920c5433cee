package pool

import "time"

// Process is what the pool knows of one agent at one moment.
type Process struct {
	ID        string // unique over restarts of the daemon
	Key       Key
	PID       int // 0 while it starts
	State     State
	Turn      string // id of the running message
	TurnSince time.Time
	Messages  int // turns ended
	Queue     int // messages waiting for this key
	Started   time.Time
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
