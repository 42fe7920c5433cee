package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"iris/daemon/fault"
	"iris/ipc"
	"iris/pool/turn"
)

// forAnyoneButAgents wraps the handler of a method that decides about agents or
// their messages: what is in an agent's own process tree may not call it. That
// keeps an agent from mistakes, not from malice: whoever has the same user id can
// do what the user can.
func (d *Daemon) forAnyoneButAgents(what string, h ipc.Handler) ipc.Handler {
	return func(ctx context.Context, c *ipc.Call) (any, error) {
		if err := d.notByAgents(c, what); err != nil {
			return nil, err
		}
		return h(ctx, c)
	}
}

// notByAgents refuses a call of what is in an agent's process tree.
func (d *Daemon) notByAgents(c *ipc.Call, what string) error {
	id := d.callerAgent(c.Peer.PID)
	if id == "" {
		return nil
	}
	d.log.Warn("refused to an agent", "method", c.Method, "peer", c.Peer.PID, "process", id)
	e := fault.New(ipc.CodeUsage, "agent", fmt.Errorf("an agent may not %s, and this command was started by %s", what, d.agentName(id)))
	e.Data.Hint = "run it in a shell of your own"
	return e
}

// mayWant refuses an agent that has another one work under rules of its choice: it
// could decide about its own tool calls that way. To plan only is nobody's harm.
func (d *Daemon) mayWant(c *ipc.Call, o *turn.Variant) error {
	switch {
	case o.AllowedTools != "":
		return d.notByAgents(c, "send a message that allows tools")
	case o.PermissionMode != "" && o.PermissionMode != "plan":
		return d.notByAgents(c, "send a message with a permission mode")
	}
	return nil
}

// agentName says whose process that is.
func (d *Daemon) agentName(id string) string {
	for _, p := range d.pool.Snapshot().Processes {
		if p.ID == id {
			return "that of team " + p.Key.String()
		}
	}
	return "one that is gone"
}

// caller answers caller.
func (d *Daemon) caller(_ context.Context, c *ipc.Call) (any, error) {
	if err := c.Bind(&struct{}{}); err != nil {
		return nil, err
	}
	if c.Peer.PID == 0 {
		return nil, fault.New(ipc.CodeFailed, "failed", errors.New("the caller's process is not known"))
	}
	return ipc.Caller{PID: c.Peer.PID, Agent: d.callerAgent(c.Peer.PID)}, nil
}

// ours reports whether a process id is that of an agent of this daemon, or of
// one that an earlier daemon has left to it.
func (d *Daemon) ours(id string) bool {
	if strings.HasPrefix(id, d.program.prefix+"-") {
		return true
	}
	for _, p := range d.pool.Snapshot().Processes {
		if id != "" && p.ID == id {
			return true
		}
	}
	return false
}
