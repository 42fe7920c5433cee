package daemon

import (
	"time"

	"iris/config"
	"iris/daemon/agents"
	"iris/daemon/approval"
	"iris/daemon/attach"
	"iris/daemon/delivery"
	"iris/daemon/notify"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
)

// openAgents opens the pool, with the parts that run its agents and deliver messages.
func (d *Daemon) openAgents() error {
	var err error
	if d.agents, err = agents.New(d.agentOptions()); err != nil {
		return err
	}
	d.atEnd(d.closeAgents(d.agents.Close))
	d.atEnd(func() { d.delivery.DropOutputs() })
	d.atEnd(d.life.wg.Wait)
	d.openApprovals() // closed after the pool
	d.openNotify()
	d.config.log, d.config.reloaders = d.log, d.reloaders()
	d.pool = pool.New(pool.Config[*claude.Process]{
		Limits:   limits(d.config.Load()),
		Settings: d.settings,
		Gone:     d.agents.Gone,
		Start:    d.agents.Start,
		Memory:   memory,
		Prefix:   d.program.prefix,
	})
	d.agents.Pool = d.pool
	d.attach = attach.New(d.attachOptions())
	d.delivery = delivery.New(d.deliveryOptions())
	d.atEnd(d.closeAgents(d.pool.Close))
	return nil
}

// agentOptions returns what package agents needs from the other parts.
func (d *Daemon) agentOptions() agents.Options {
	o := agents.Options{
		Paths: d.opts.Paths, Program: d.program.self, Prefix: d.program.prefix, FromShell: d.startedInBackground(),
		Config: d.config.Load, Look: d.config.look, Store: d.store, Conversations: d.conversations, Log: d.log,
		Goroutines: &d.life.wg, Opened: d.life.opened, Serving: d.life.serving, HasSuccessor: d.life.hasSuccessor.Load,

		Asked: func(k pool.Key, process string, p *claude.Process, r claude.Request) {
			d.approvals.Asked(k, process, p, r)
		},
		Withdrawn: func(process, request string) { d.approvals.Withdrawn(process, request) },
		Approvals: func(process string) []ipc.Approval { return d.approvals.Of(process) },
		Terminal:  func(mark string) (pool.Key, bool) { return d.attach.KeyOf(mark) },

		Waits:      func(message, process, on string) { d.delivery.TurnWaits(message, process, on) },
		Teamless:   func(k pool.Key) { d.delivery.HoldTeamless(k) },
		NeedsSpool: func(process string) bool { return d.delivery.NeedsSpool(process) },
		FreeSpace:  func() { d.delivery.DropOutputs() },
	}
	if h := d.opts.Handoff; h != nil {
		o.Adopted, o.OwnTurns, o.OwnCosts = h.pids(), h.OwnTurns, h.OwnCosts
	}
	return o
}

// attachOptions returns what package attach needs from the other parts.
func (d *Daemon) attachOptions() attach.Options {
	return attach.Options{
		Boot: d.program.boot, Key: d.key, Agents: d.agents, Pool: d.pool, Conversations: d.conversations, Log: d.log,
		Grace:      func() time.Duration { return d.config.Load().StopGrace },
		Hold:       func(k pool.Key, reason string) { d.delivery.HoldAttached(k, reason) },
		Release:    func(k pool.Key) { d.delivery.ReleaseAttached(k) },
		Goroutines: &d.life.wg, Opened: d.life.opened, Serving: d.life.serving,
	}
}

// deliveryOptions returns what package delivery needs from the other parts, which exist by
// now.
func (d *Daemon) deliveryOptions() delivery.Options {
	o := delivery.Options{
		Paths: d.opts.Paths, Boot: d.program.boot, Config: d.config.Load, Look: d.config.look, Tidy: d.tidy,
		Store: d.store, Conversations: d.conversations, Approvals: d.approvals, Agents: d.agents, Pool: d.pool, Log: d.log,
		Attachments: d.attach.Restore,
		Opened:      d.life.opened, Serving: d.life.serving, TurnsLeft: d.life.turnsLeft, HasSuccessor: d.life.hasSuccessor.Load,
	}
	if h := d.opts.Handoff; h != nil {
		o.Messages, o.Costs = h.Messages, h.Costs
	}
	return o
}

// openApprovals makes the registry of approvals, with the approvals of the program before
// this one.
func (d *Daemon) openApprovals() {
	o := approval.Options{
		Team: func(k pool.Key) *config.Team { return agents.TeamSettings(d.config.Load(), k.Team) },
		Key:  d.key, Log: d.log,
		Report: func(process, message string, typ pool.EventType, detail string) string {
			proc, _ := d.pool.Report(process, message, typ, detail)
			return proc.Turn
		},
	}
	if h := d.opts.Handoff; h != nil {
		o.Handed, o.Decided = h.Approvals, h.Decided
	}
	d.approvals = approval.New(o)
	d.atEnd(d.approvals.Close)
}

// openNotify makes the Notifier, with the events that waited in the program before this one.
func (d *Daemon) openNotify() {
	o := notify.Options{
		Settings: func(team string) *config.Settings { return &agents.TeamSettings(d.config.Load(), team).Settings },
		Env:      d.notifyEnv, Run: d.agents.Reaper.Run, Log: d.log,
	}
	if h := d.opts.Handoff; h != nil {
		o.Last, o.Waiting = h.Pool.Last, h.ToNotify
	}
	d.notify = notify.New(o)
	d.atEnd(d.notify.Close)
}

// notifyEnv is the environment of a notify command. It is not that of an agent.
func (d *Daemon) notifyEnv() map[string]string {
	env := d.agents.Env.Base()
	delete(env, "IRIS_PROCESS")
	env["IRIS_SOCKET"] = d.opts.Paths.Socket
	return env
}

// recover takes up the agents and messages of an earlier daemon or of the program before
// this one.
func (d *Daemon) recover() error {
	var err error
	if h := d.opts.Handoff; h != nil {
		err = d.delivery.Recover(&h.Pool, h.agent)
	} else {
		err = d.delivery.Recover(nil, nil)
	}
	if err != nil {
		return err
	}
	d.cleanTrials()
	d.pool.Thaw()
	return nil
}

// retention is how long messages are kept. It reads a changed configuration first.
func (d *Daemon) retention() time.Duration {
	d.config.look()
	return d.config.Load().Retention
}

// tidy gives back memory after tidyAfter.
func (d *Daemon) tidy() { d.life.tidy.Reset(tidyAfter) }
