package agents

import (
	"context"
	"fmt"
	"slices"
	"time"

	"iris/daemon/conversation"
	"iris/daemon/fault"
	"iris/ipc"
	"iris/pool"
)

// target reads which agents a call names, and returns a function that matches them. Every
// name of a live agent is known, also when the configuration has no team of that name now.
func (s *Supervisor) target(c *ipc.Call) (ipc.Target, func(pool.Key) bool, error) {
	var t ipc.Target
	if err := c.Bind(&t); err != nil {
		return t, nil, err
	}
	if t.All || t.Oldest {
		return t, func(pool.Key) bool { return true }, nil
	}
	k, err := s.key(t.Team, t.Session)
	named := pool.Key{Team: t.Team, Session: t.Session}
	switch {
	case err == nil:
		t.Team = k.Team
	case s.hasAgentOf(t.Team): // its team is gone from the configuration
		k = named
	default:
		return t, nil, err
	}
	return t, func(o pool.Key) bool {
		return o == k || o == named || t.AllSessions && (o.Team == k.Team || o.Team == named.Team)
	}, nil
}

// hasAgentOf reports whether an agent of a team lives.
func (s *Supervisor) hasAgentOf(team string) bool {
	return slices.ContainsFunc(s.Pool.Snapshot().Processes, func(p Info) bool { return p.Key.Team == team })
}

func notRunning(t ipc.Target) error {
	k := pool.Key{Team: t.Team, Session: t.Session}
	return fault.New(ipc.CodeNotFound, "not-running", fmt.Errorf("no agent of team %s is running", k))
}

// EndNow stops agents, even busy ones and orphans. It returns them when they are gone.
func (s *Supervisor) EndNow(ctx context.Context, match func(pool.Key) bool) []Info {
	return append(s.Pool.Kill(match), s.killOrphans(ctx, match)...)
}

// Kill answers process.kill.
func (s *Supervisor) Kill(ctx context.Context, c *ipc.Call) (any, error) {
	t, match, err := s.target(c)
	if err != nil {
		return nil, err
	}
	if t.Tree {
		if err := s.refuseOwnTree(match, c.Peer.PID); err != nil {
			return nil, err
		}
	}
	killed := s.EndNow(ctx, match)
	reply := s.stoppedReply(killed, nil)
	if t.Tree {
		reply.Daemons = s.endDaemons(match)
	}
	if len(killed)+len(reply.Daemons) == 0 && !t.All {
		return nil, notRunning(t)
	}
	return reply, nil
}

// Evict answers process.evict.
func (s *Supervisor) Evict(_ context.Context, c *ipc.Call) (any, error) {
	t, match, err := s.target(c)
	if err != nil {
		return nil, err
	}
	if t.Oldest {
		p, err := s.Pool.EvictOldest()
		if err != nil {
			return nil, fault.New(ipc.CodeNotFound, "not-running", fmt.Errorf("no agent is idle"))
		}
		return s.stoppedReply([]Info{p}, nil), nil
	}
	now, later := s.Pool.Evict(match, "evicted")
	if len(now)+len(later) == 0 && !t.All {
		return nil, notRunning(t)
	}
	return s.stoppedReply(now, later), nil
}

// Restart answers process.restart.
func (s *Supervisor) Restart(_ context.Context, c *ipc.Call) (any, error) {
	t, match, err := s.target(c)
	if err != nil {
		return nil, err
	}
	now, later := s.Pool.Restart(match)
	if len(now)+len(later) == 0 && !t.All {
		return nil, notRunning(t)
	}
	return s.stoppedReply(now, later), nil
}

func (s *Supervisor) stoppedReply(now, later []Info) ipc.Stopped {
	return ipc.Stopped{Stopped: s.Views(now), Later: s.Views(later)}
}

// Wake answers process.wake.
func (s *Supervisor) Wake(ctx context.Context, c *ipc.Call) (any, error) {
	var t ipc.Target
	if err := c.Bind(&t); err != nil {
		return nil, err
	}
	k, err := s.key(t.Team, t.Session)
	if err == nil {
		err = conversation.CheckLasting(k)
	}
	if err != nil {
		return nil, err
	}
	p, err := s.Pool.Wake(ctx, k)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, fault.Of(k, "", err)
	}
	return s.view(p, time.Now()), nil
}
