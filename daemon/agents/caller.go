package agents

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"iris/daemon/fault"
	"iris/ipc"
	"iris/pool/procs"
)

// DenyAgents wraps the handler of a method that decides about agents or their messages:
// commands run by an agent may not call it. That prevents mistakes of an agent, not
// malice: a process with the user's id can do everything that the user can.
func (s *Supervisor) DenyAgents(what string, h ipc.Handler) ipc.Handler {
	return func(ctx context.Context, c *ipc.Call) (any, error) {
		if err := s.CheckCaller(c, what); err != nil {
			return nil, err
		}
		return h(ctx, c)
	}
}

// CheckCaller refuses a call of a command that an agent runs. The parameter what names the
// forbidden action.
func (s *Supervisor) CheckCaller(c *ipc.Call, what string) error {
	id := s.callerAgent(c.Peer.PID)
	if id == "" {
		return nil
	}
	s.o.Log.Warn("refused to an agent", "method", c.Method, "peer", c.Peer.PID, "process", id)
	e := fault.New(ipc.CodeUsage, "agent", fmt.Errorf("an agent may not %s, and this command was started by %s", what, s.agentName(id)))
	e.Data.Hint = "run it in a shell of your own"
	return e
}

// agentName describes the agent with a process id.
func (s *Supervisor) agentName(id string) string {
	for _, p := range s.Pool.Snapshot().Processes {
		if p.ID == id {
			return "the agent of team " + p.Key.String()
		}
	}
	if strings.HasPrefix(id, s.terminals()) {
		return "the agent in a terminal"
	}
	return "an agent that is gone"
}

// TerminalMark returns a new mark for a program that a person runs in a terminal.
func (s *Supervisor) TerminalMark() string {
	return s.terminals() + strconv.FormatInt(time.Now().UnixNano(), 36)
}

func (s *Supervisor) terminals() string { return s.o.Prefix + "-terminal-" }

// Caller answers caller: it identifies the agent that runs the calling command.
func (s *Supervisor) Caller(_ context.Context, c *ipc.Call) (any, error) {
	if err := c.Bind(&struct{}{}); err != nil {
		return nil, err
	}
	if c.Peer.PID == 0 {
		return nil, fault.New(ipc.CodeFailed, "failed", errors.New("the caller's process is not known"))
	}
	return ipc.Caller{PID: c.Peer.PID, Agent: s.callerAgent(c.Peer.PID)}, nil
}

// isOurAgent reports whether a process id is that of an agent of this daemon or an orphan.
func (s *Supervisor) isOurAgent(id string) bool {
	if strings.HasPrefix(id, s.o.Prefix+"-") {
		return true
	}
	for _, p := range s.Pool.Snapshot().Processes {
		if id != "" && p.ID == id {
			return true
		}
	}
	return false
}

// Parent returns the process id of the agent that runs the peer, empty for none. It reads
// the mark in the peer's environment, which iris gives to agents; if that was cleared, it
// looks at the peer's ancestors. The result shows only whose turn may be waiting: it grants
// and forbids nothing.
func (s *Supervisor) Parent(pid int) string {
	if !s.Pool.Busy() { // no turn waits for anybody
		return ""
	}
	if id := procs.Mark(pid); id != "" {
		return id
	}
	return s.agentAbove(pid)
}

// callerAgent returns the process id of the agent in whose process tree the peer is, empty
// for none. It reads two marks: that of the peer, and that of its ancestor right below the
// daemon, which counts if the peer's was cleared. An orphan is not below this daemon: only
// the peer's mark shows it. The mark of another daemon's agent does not count.
func (s *Supervisor) callerAgent(pid int) string {
	for _, p := range []int{pid, belowUs(pid)} {
		if id := procs.Mark(p); s.isOurAgent(id) {
			return id
		}
	}
	return ""
}

// agentAbove returns the id of the agent that is an ancestor of a process, empty for none.
func (s *Supervisor) agentAbove(pid int) string {
	if child := belowUs(pid); child != 0 {
		for _, p := range s.Pool.Snapshot().Processes {
			if p.PID == child {
				return p.ID
			}
		}
	}
	return ""
}

// belowUs returns the child of this process that is pid or an ancestor of it; 0 if there is
// none.
func belowUs(pid int) int {
	above := procs.Ancestors(pid)
	if i := slices.Index(above, os.Getpid()); i > 0 {
		return above[i-1]
	}
	return 0
}
