package pool

import (
	"context"
	"time"
)

// Key names a conversation: a team, and one session of it. The empty session
// is the team's own. One agent serves a key, one turn at a time.
type Key struct {
	Team    string
	Session string
}

// String returns "team" or "team@session", the form used in commands and logs.
func (k Key) String() string {
	if k.Session == "" {
		return k.Team
	}
	return k.Team + "@" + k.Session
}

// Agent is what the pool needs of a live agent process. It calls Stop once; the other
// methods may be called at any time. Run alone sends a turn to an agent.
type Agent interface {
	// Stop ends the process and everything that its turn started, gently first, and
	// returns when it is gone. A running turn ends.
	Stop()

	// Done is closed when the process is gone and its output read to the end.
	Done() <-chan struct{}

	// Exit says how the process ended, such as "exit status 1" or "signal:
	// killed". Valid once Done is closed.
	Exit() string

	// PID is the operating system's process id.
	PID() int

	// Progress is when the agent last wrote anything.
	Progress() time.Time

	// SetsMode reports whether the agent can take the permission mode of a Variant
	// for one turn. If not, a message with another mode gets a new agent. The value
	// does not change after Start returns.
	SetsMode() bool

	// Stale says why the agent should be replaced before its next turn, such as
	// "CLAUDE.md changed"; empty if it need not be. It may read the disk.
	Stale() string

	// Check asks an idle agent for a sign of life and measures it. With ping false it
	// only measures, so it may be called during a turn.
	Check(ctx context.Context, ping bool) (Health, error)
}

// Health is the result of a health check.
type Health struct {
	Memory int64 // bytes of the whole process tree (PSS where the system has it), 0 when unknown
}
