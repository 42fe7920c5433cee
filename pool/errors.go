package pool

import (
	"errors"
	"fmt"
	"time"
)

// The errors that callers of the pool tell apart. The texts are complete: printing
// adds only the name of the program.
var (
	ErrClosed        = errors.New("the pool is shutting down")
	ErrQueueFull     = errors.New("queue is full")
	ErrFull          = errors.New("every agent is busy and no place is free")
	ErrNoMemory      = errors.New("busy agents have the memory that another one needs")
	ErrKilled        = errors.New("killed")
	ErrEvicted       = errors.New("evicted")
	ErrCancelled     = errors.New("cancelled")
	ErrStalled       = errors.New("stalled")
	ErrDeadlock      = errors.New("would wait for its own turn")
	ErrNotRunning    = errors.New("not running")
	ErrBusy          = errors.New("the conversation is busy")
	ErrNotDispatched = errors.New("not dispatched")

	// ErrShutdown is the end of the turns that Close does not wait for.
	ErrShutdown = fmt.Errorf("%w by a shutdown", ErrKilled)

	// ErrUnknown says that a turn was started and nobody can prove how it ended.
	ErrUnknown = errors.New("how the turn ended is unknown")
)

// StartError says that no agent could be started for a team. Permanent means that a
// person must change something before another try can succeed (program not found, bad
// directory); the pool then fails all queued messages at once.
type StartError struct {
	Team      string
	Permanent bool
	Retry     time.Duration // until the next start is allowed, 0 if it is now
	Err       error
}

func (e *StartError) Error() string {
	s := fmt.Sprintf("start agent for team %q: %v", e.Team, e.Err)
	if e.Retry > 0 {
		s += fmt.Sprintf(" (next try in %v)", e.Retry.Round(time.Second))
	}
	return s
}

func (e *StartError) Unwrap() error { return e.Err }
