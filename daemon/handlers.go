package daemon

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"iris/daemon/agents"
	"iris/daemon/fault"
	"iris/ipc"
	"iris/pool"
)

// handlers says who answers which method.
func (d *Daemon) handlers() {
	s := lookingServer{d.socket.server, &d.config}
	s.Handle(ipc.MethodStatus, d.status)
	s.Handle(ipc.MethodList, d.list)
	s.Handle(ipc.MethodEvents, d.events)
	s.Handle(ipc.MethodSubscribe, d.subscribe)
	s.Handle(ipc.MethodSend, d.send)
	s.Handle(ipc.MethodSubmit, d.submit)
	s.Handle(ipc.MethodWait, d.wait)
	s.Handle(ipc.MethodStream, d.stream)
	s.Handle(ipc.MethodResult, d.result)
	s.Handle(ipc.MethodMessages, d.listMessages)
	s.Handle(ipc.MethodShow, d.show)
	s.Handle(ipc.MethodUsage, d.sumUsage)
	s.Handle(ipc.MethodCancel, d.cancel)
	s.Handle(ipc.MethodTree, d.tree)
	s.Handle(ipc.MethodRetry, d.forAnyoneButAgents("send messages again", d.retry))
	s.Handle(ipc.MethodResolve, d.forAnyoneButAgents("resolve messages", d.resolve))
	s.Handle(ipc.MethodKill, d.forAnyoneButAgents("kill agents", d.kill))
	s.Handle(ipc.MethodApprovals, d.listApprovals)
	s.Handle(ipc.MethodDecide, d.forAnyoneButAgents("decide about approvals", d.approvals.Decide))
	s.Handle(ipc.MethodCaller, d.caller)
	s.Handle(ipc.MethodEvict, d.evict)
	s.Handle(ipc.MethodWake, d.wake)
	s.Handle(ipc.MethodRestart, d.restart)
	s.Handle(ipc.MethodSessions, d.sessions)
	s.Handle(ipc.MethodReset, d.reset)
	s.Handle(ipc.MethodRewind, d.rewind)
	s.Handle(ipc.MethodLocate, d.locateCall)
	s.Handle(ipc.MethodEnv, d.showEnv)
	s.Handle(ipc.MethodExamine, d.examineCall)
	d.socket.server.Handle(ipc.MethodReload, d.forAnyoneButAgents("reload the configuration", d.reloadCall))
	s.Handle(ipc.MethodStop, d.forAnyoneButAgents("stop the daemon", d.stopCall))
	s.Handle(ipc.MethodReplace, d.forAnyoneButAgents("restart the daemon", d.replaceCall))
}

func (d *Daemon) status(_ context.Context, c *ipc.Call) (any, error) {
	if err := c.Bind(&struct{}{}); err != nil {
		return nil, err
	}
	st := d.pool.Snapshot()
	busy := 0
	for _, p := range st.Processes {
		if p.State == pool.Busy {
			busy++
		}
	}
	reply := ipc.Status{
		PID: os.Getpid(), Version: d.opts.Version, Protocol: ipc.Version,
		Socket: d.opts.Paths.Socket, Since: d.program.since, Uptime: time.Since(d.program.since).Milliseconds(), Generation: d.program.generation,
		Config: d.opts.Paths.Config, Log: d.opts.Paths.Log,
		Total: len(st.Processes), Max: st.Max, Busy: busy, Queued: st.Queued,
		Messages: d.inflight.messages.Load(), CostUSD: float64(d.inflight.costs.Load()) / 1e6,
		OwnTurns: d.agents.own.turns.Load(), OwnCostUSD: float64(d.agents.own.costs.Load()) / 1e6,
		Clients: d.socket.server.Clients(), Warnings: slices.Concat(d.problems(), d.agents.env.Warnings(), d.approvals.Warnings(), d.pruneWarning(time.Now())), Stopping: st.Closed, Broken: []ipc.Broken{},
	}
	reply.Journal = d.journalStatus()
	if why := d.config.refused.Load(); why != nil {
		reply.ConfigError = *why
	}
	for _, b := range st.Broken {
		reply.Broken = append(reply.Broken, ipc.Broken{
			Team: b.Key.Team, Session: b.Key.Session, Failures: b.Failures,
			Error: b.Err.Error(), Retry: b.Retry.Milliseconds(),
		})
	}
	return reply, nil
}

// journalStatus says how much is on record, and why nothing is accepted now.
func (d *Daemon) journalStatus() ipc.Journal {
	j := ipc.Journal{Path: d.opts.Paths.Journal, Error: d.store.WaitsFor()}
	if damage := d.upkeep.damage.Load(); damage != nil && j.Error == "" {
		j.Error = *damage
	}
	size, err := d.store.Size()
	if err != nil {
		if j.Error == "" {
			j.Error = err.Error()
		}
		return j
	}
	j.Bytes, j.Messages = size.File+size.Bodies, size.Messages
	j.Queued, j.Running, j.Unknown = size.Queued, size.Running, size.Unknown
	return j
}

func (d *Daemon) list(_ context.Context, c *ipc.Call) (any, error) {
	if err := c.Bind(&struct{}{}); err != nil {
		return nil, err
	}
	st := d.pool.Snapshot()
	list := ipc.ProcessList{Processes: d.processes(st.Processes), Total: len(st.Processes), Max: st.Max, Queued: st.Queued}
	return list, nil
}

// processes turns what the pool knows into what clients see.
func (d *Daemon) processes(ps []process) []ipc.Process {
	now := time.Now()
	list := make([]ipc.Process, 0, len(ps))
	for _, p := range ps {
		list = append(list, d.process(p, now))
	}
	return list
}

func (d *Daemon) process(p process, now time.Time) ipc.Process {
	v := ipc.Process{
		ID: p.ID, PID: p.PID, Team: p.Key.Team, Session: p.Key.Session,
		State: string(p.State), Message: p.Turn, Messages: p.Messages, Works: p.Works, Own: p.Own, Queue: p.Queue,
		Started: p.Started, LastUsed: moment(p.LastUsed), TurnSince: moment(p.TurnSince), Until: moment(p.Until),
		Uptime: now.Sub(p.Started).Milliseconds(), Memory: p.Memory, Why: p.Why,
	}
	if !p.Until.IsZero() {
		left := max(0, p.Until.Sub(now).Milliseconds())
		v.Idle = &left
	}
	if p.Agent != nil {
		v.SessionID = p.Agent.Session()
	}
	if t, ok := d.config.Load().Teams[p.Key.Team]; ok {
		v.Dir = t.Dir
	} else {
		v.Dir = p.Key.Team // a team that is only a directory
	}
	d.annotate(&v, p)
	return v
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// target reads the agents that a call names.
func (d *Daemon) target(c *ipc.Call) (ipc.Target, func(pool.Key) bool, error) {
	var t ipc.Target
	if err := c.Bind(&t); err != nil {
		return t, nil, err
	}
	if t.All || t.Oldest {
		return t, func(pool.Key) bool { return true }, nil
	}
	k, err := d.key(t.Team, t.Session)
	if err != nil {
		return t, nil, err
	}
	t.Team = k.Team
	return t, func(o pool.Key) bool { return o == k || t.AllSessions && o.Team == k.Team }, nil
}

func notRunning(t ipc.Target) error {
	k := pool.Key{Team: t.Team, Session: t.Session}
	return fault.New(ipc.CodeNotFound, "not-running", fmt.Errorf("no agent of team %s is running", k))
}

func (d *Daemon) kill(ctx context.Context, c *ipc.Call) (any, error) {
	t, match, err := d.target(c)
	if err != nil {
		return nil, err
	}
	if t.Tree {
		if err := d.notAmong(match, c.Peer.PID); err != nil {
			return nil, err
		}
	}
	killed := append(d.pool.Kill(match), d.killOrphans(ctx, match)...)
	reply := d.stoppedReply(killed, nil)
	if t.Tree {
		reply.Daemons = d.endDaemons(match)
	}
	if len(killed)+len(reply.Daemons) == 0 && !t.All {
		return nil, notRunning(t)
	}
	return reply, nil
}

func (d *Daemon) evict(_ context.Context, c *ipc.Call) (any, error) {
	t, match, err := d.target(c)
	if err != nil {
		return nil, err
	}
	if t.Oldest {
		p, err := d.pool.EvictOldest()
		if err != nil {
			return nil, fault.New(ipc.CodeNotFound, "not-running", fmt.Errorf("no agent is idle"))
		}
		return d.stoppedReply([]process{p}, nil), nil
	}
	now, later := d.pool.Evict(match)
	if len(now)+len(later) == 0 && !t.All {
		return nil, notRunning(t)
	}
	return d.stoppedReply(now, later), nil
}

func (d *Daemon) restart(_ context.Context, c *ipc.Call) (any, error) {
	t, match, err := d.target(c)
	if err != nil {
		return nil, err
	}
	now, later := d.pool.Restart(match)
	if len(now)+len(later) == 0 && !t.All {
		return nil, notRunning(t)
	}
	return d.stoppedReply(now, later), nil
}

func (d *Daemon) stoppedReply(now, later []process) ipc.Stopped {
	return ipc.Stopped{Stopped: d.processes(now), Later: d.processes(later)}
}

func (d *Daemon) wake(ctx context.Context, c *ipc.Call) (any, error) {
	var t ipc.Target
	if err := c.Bind(&t); err != nil {
		return nil, err
	}
	k, err := d.key(t.Team, t.Session)
	if err != nil {
		return nil, err
	}
	p, err := d.pool.Wake(ctx, k)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, fault.Of(k, "", err)
	}
	return d.process(p, time.Now()), nil
}

func (d *Daemon) showEnv(_ context.Context, c *ipc.Call) (any, error) {
	var t ipc.Target
	if err := c.Bind(&t); err != nil {
		return nil, err
	}
	k, err := d.key(t.Team, "")
	if err != nil {
		return nil, err
	}
	team, err := d.team(k.Team)
	if err != nil {
		return nil, fault.Team(err)
	}
	vars, err := d.agents.env.Build(team, d.opts.Paths.Socket)
	if err != nil {
		return nil, fault.New(ipc.CodeCannotRun, "environment", err)
	}
	for i, v := range vars {
		vars[i] = agents.Mask(v)
	}
	return ipc.Env{Team: team.Name, Vars: vars}, nil
}

func (d *Daemon) reloadCall(_ context.Context, c *ipc.Call) (any, error) {
	if err := c.Bind(&struct{}{}); err != nil {
		return nil, err
	}
	d.agents.env.Refresh()
	changed, err := d.config.reload()
	if err != nil {
		return nil, fault.New(ipc.CodeUsage, "bad-configuration", fmt.Errorf("the old configuration stays: %w", err))
	}
	return ipc.Reloaded{Changed: changed}, nil
}

// stopCall begins the end of the daemon and answers when the agents are gone.
func (d *Daemon) stopCall(ctx context.Context, c *ipc.Call) (any, error) {
	var p ipc.StopParams
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	d.log.Info("stop asked for", "peer", c.Peer.PID, "force", p.Force)
	d.life.leave.Store(p.LeaveTurns)
	d.life.follows.Store(p.Restart)
	if p.Force {
		d.life.forceNow()
	}
	d.life.quit()
	select {
	case <-d.life.gone:
	case <-ctx.Done(): // also when the daemon has just ended
		select {
		case <-d.life.gone:
		default:
			return nil, ctx.Err()
		}
	}
	return struct{}{}, nil
}
