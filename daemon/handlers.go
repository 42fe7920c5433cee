package daemon

import (
	"cmp"
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

// handlers registers the handler of each method.
func (d *Daemon) handlers() {
	s := lookingServer{d.socket.server, &d.config}
	s.Handle(ipc.MethodStatus, d.status)
	s.Handle(ipc.MethodList, d.agents.List)
	s.Handle(ipc.MethodEvents, d.events)
	s.Handle(ipc.MethodSubscribe, d.subscribe)
	s.Handle(ipc.MethodSend, d.delivery.Send)
	s.Handle(ipc.MethodSubmit, d.delivery.Submit)
	s.Handle(ipc.MethodWait, d.delivery.Wait)
	s.Handle(ipc.MethodStream, d.delivery.Stream)
	s.Handle(ipc.MethodResult, d.delivery.Result)
	s.Handle(ipc.MethodMessages, d.delivery.List)
	s.Handle(ipc.MethodFind, d.delivery.Find)
	s.Handle(ipc.MethodShow, d.delivery.Show)
	s.Handle(ipc.MethodUsage, d.delivery.SumUsage)
	s.Handle(ipc.MethodWhy, d.delivery.Why)
	s.Handle(ipc.MethodCancel, d.delivery.Cancel)
	s.Handle(ipc.MethodTree, d.agents.Tree)
	s.Handle(ipc.MethodRetry, d.agents.DenyAgents("send messages again", d.delivery.Retry))
	s.Handle(ipc.MethodResolve, d.agents.DenyAgents("resolve messages", d.delivery.Resolve))
	s.Handle(ipc.MethodKill, d.agents.DenyAgents("kill agents", d.agents.Kill))
	s.Handle(ipc.MethodApprovals, d.approvals.List)
	s.Handle(ipc.MethodDecide, d.agents.DenyAgents("decide about approvals", d.approvals.Decide))
	s.Handle(ipc.MethodCaller, d.agents.Caller)
	s.Handle(ipc.MethodEvict, d.agents.Evict)
	s.Handle(ipc.MethodWake, d.agents.Wake)
	s.Handle(ipc.MethodRestart, d.agents.Restart)
	s.Handle(ipc.MethodSessions, d.sessions)
	s.Handle(ipc.MethodReset, d.reset)
	s.Handle(ipc.MethodRewind, d.rewind)
	s.Handle(ipc.MethodMove, d.agents.DenyAgents("move sessions", d.moveCall))
	s.Handle(ipc.MethodAttach, d.agents.DenyAgents("sit down in a conversation", d.attach.Attach))
	s.Handle(ipc.MethodAttached, d.attach.Report)
	s.Handle(ipc.MethodAdopt, d.agents.DenyAgents("adopt sessions", d.adoptCall))
	s.Handle(ipc.MethodLocate, d.locateCall)
	s.Handle(ipc.MethodEnv, d.agents.ShowEnv)
	s.Handle(ipc.MethodAccounts, d.delivery.Accounts)
	s.Handle(ipc.MethodBudgets, d.delivery.Budgets)
	s.Handle(ipc.MethodOpen, d.agents.DenyAgents("open accounts", d.delivery.OpenAccount))
	s.Handle(ipc.MethodExamine, d.agents.ExamineCall)
	d.socket.server.Handle(ipc.MethodReload, d.agents.DenyAgents("reload the configuration", d.reloadCall))
	s.Handle(ipc.MethodStop, d.agents.DenyAgents("stop the daemon", d.stopCall))
	s.Handle(ipc.MethodReplace, d.agents.DenyAgents("restart the daemon", d.replaceCall))
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
	messages, costs := d.delivery.Totals()
	ownTurns, ownCosts := d.agents.OwnTotals()
	reply := ipc.Status{
		PID: os.Getpid(), Version: d.opts.Version, Protocol: ipc.Version,
		Socket: *d.socket.path.Load(), Since: d.program.since, Uptime: time.Since(d.program.since).Milliseconds(), Generation: d.program.generation,
		Config: d.opts.Paths.Config, Log: d.opts.Paths.Log,
		Total: len(st.Processes), Max: st.Max, Memory: st.Memory, MaxMemory: st.MaxMemory, Busy: busy, Queued: st.Queued,
		Messages: messages, CostUSD: float64(costs) / 1e6,
		OwnTurns: ownTurns, OwnCostUSD: float64(ownCosts) / 1e6,
		Clients: d.socket.server.Clients(), Warnings: slices.Concat(d.problems(), d.delivery.BudgetWarnings(), d.agents.Warnings(), d.notify.Warnings(), d.store.AgentWarnings(), d.store.PruneWarnings(time.Now())), Stopping: st.Closed, Broken: []ipc.Broken{},
	}
	if st.Spare != pool.UnknownSpare {
		reply.FreeMemory = &st.Spare
	}
	reply.Journal = d.journalStatus()
	reply.Limited = d.delivery.LimitedAccounts()
	for _, l := range d.pool.Lacking() {
		reply.Lacking = append(reply.Lacking, ipc.Lacking(l))
	}
	if why := d.config.refused.Load(); why != nil {
		reply.ConfigError = *why
	}
	for _, b := range st.Broken {
		reply.Broken = append(reply.Broken, agents.BrokenView(b))
	}
	return reply, nil
}

// journalStatus returns the size of the journal, and why no message is accepted now.
func (d *Daemon) journalStatus() ipc.Journal {
	j := ipc.Journal{Path: d.opts.Paths.Journal, Error: cmp.Or(d.store.Refuses(), d.store.Damage())}
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

func (d *Daemon) reloadCall(_ context.Context, c *ipc.Call) (any, error) {
	if err := c.Bind(&struct{}{}); err != nil {
		return nil, err
	}
	changes, err := d.reload()
	if err != nil {
		return nil, fault.New(ipc.CodeUsage, "bad-configuration", fmt.Errorf("the old configuration stays: %w", err))
	}
	return ipc.Reloaded{Changed: changes != nil, Changes: changes}, nil
}

// stopCall stops the daemon, and answers when the agents are gone.
func (d *Daemon) stopCall(ctx context.Context, c *ipc.Call) (any, error) {
	var p ipc.StopParams
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	d.log.Info("stop asked for", "peer", c.Peer.PID, "force", p.Force)
	d.life.leaveTurns.Store(p.LeaveTurns)
	d.life.hasSuccessor.Store(p.Restart)
	if p.Force {
		d.life.forceNow()
	}
	d.life.quit()
	select {
	case <-d.life.gone:
	case <-ctx.Done(): // the daemon may just have ended
		select {
		case <-d.life.gone:
		default:
			return nil, ctx.Err()
		}
	}
	return struct{}{}, nil
}
