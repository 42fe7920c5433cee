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
	"iris/pool"
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
	a, ok := s.callerAgent(c.Peer.PID)
	if !ok {
		return nil
	}
	s.o.Log.Warn("refused to an agent", "method", c.Method, "peer", c.Peer.PID, "process", a.ID)
	e := fault.New(ipc.CodeUsage, "agent", fmt.Errorf("an agent may not %s, and this command was started by %s", what, s.agentName(&a)))
	e.Data.Hint = "run it in a shell of your own"
	return e
}

// agentName describes an agent.
func (s *Supervisor) agentName(a *pool.Info) string {
	if strings.Contains(a.ID, terminalMark) {
		return "the agent in a terminal"
	}
	if a.Key.Team == "" {
		return "an agent that is gone"
	}
	return "the agent of team " + a.Key.String()
}

// TerminalMark returns a new mark for a program that a person runs in a terminal.
func (s *Supervisor) TerminalMark() string {
	return s.o.Prefix + terminalMark + strconv.FormatInt(time.Now().UnixNano(), 36)
}

// terminalMark follows the prefix of a daemon in such a mark.
const terminalMark = "-terminal-"

// Caller answers caller: it identifies the agent that runs the calling command.
func (s *Supervisor) Caller(_ context.Context, c *ipc.Call) (any, error) {
	if err := c.Bind(&struct{}{}); err != nil {
		return nil, err
	}
	if c.Peer.PID == 0 {
		return nil, fault.New(ipc.CodeFailed, "failed", errors.New("the caller's process is not known"))
	}
	a, _ := s.callerAgent(c.Peer.PID)
	return ipc.Caller{PID: c.Peer.PID, Agent: a.ID, Team: a.Key.Team, Session: a.Key.Session, Message: a.Turn}, nil
}

// Sender returns the agent that sends a message, false if the peer is no command of one. It
// is as callerAgent, but quicker while no turn runs: a command that has cleared its
// environment is then taken for a person's.
func (s *Supervisor) Sender(pid int) (a pool.Info, ok bool) {
	id := s.marked(pid)
	if id == "" && s.Pool.Busy() {
		id = s.marked(belowUs(pid))
	}
	return s.agent(id), id != ""
}

// callerAgent returns the agent in whose process tree the peer is, false if it is in none. It
// reads two marks: that of the peer, and that of its ancestor right below the daemon, which
// counts if the peer's was cleared. An orphan is not below this daemon: only the peer's mark
// shows it.
func (s *Supervisor) callerAgent(pid int) (a pool.Info, ok bool) {
	id := s.marked(pid)
	if id == "" {
		id = s.marked(belowUs(pid))
	}
	return s.agent(id), id != ""
}

// marked returns the process id in the mark of a process, empty if it has none. The mark of
// another daemon's agent does not count.
func (s *Supervisor) marked(pid int) string {
	if id := procs.Mark(pid); id != "" && s.isOurAgent(id) {
		return id
	}
	return ""
}

// agent returns the agent with a process id. Of an agent that is gone only the ID is known,
// and of an orphan or a terminal not its Turn.
func (s *Supervisor) agent(id string) pool.Info {
	if id == "" {
		return pool.Info{}
	}
	for _, p := range s.Pool.Snapshot().Processes {
		if p.ID == id {
			return p.Info
		}
	}
	k, _ := s.o.Terminal(id)
	return pool.Info{ID: id, Key: k}
}

// isOurAgent reports whether a process id is that of an agent of this daemon, an orphan, or
// the mark of a terminal.
func (s *Supervisor) isOurAgent(id string) bool {
	if strings.HasPrefix(id, s.o.Prefix+"-") {
		return true
	}
	for _, p := range s.Pool.Snapshot().Processes {
		if p.ID == id {
			return true
		}
	}
	_, ok := s.o.Terminal(id)
	return ok
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
