package daemon

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"iris/config"
	"iris/daemon/agents"
	"iris/daemon/fault"
	"iris/daemon/journal"
	"iris/daemon/store"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
	"iris/pool/procs"
	"iris/pool/turn"
)

// keeper is what drives agents, and what is known of those that others have begun.
type keeper struct {
	env      *agents.Environment
	follower *claude.Follower
	reaper   *procs.Reaper
	own      ownWork
	orphans  []orphanAgent     // of earlier daemons; not changed after start
	adopted  map[string]string // processes that the program before this one has handed over, and the message that each runs
}

// newPrefix begins the ids of this daemon's processes: short, and another one
// for each daemon of a machine.
func newPrefix(now time.Time) string {
	return strconv.FormatInt(now.UnixMilli()&(1<<32-1), 36)
}

// team returns a team by its name, or by its absolute directory.
func (d *Daemon) team(name string) (*config.Team, error) {
	return d.config.Load().Lookup(name)
}

// process is an agent, and what the pool knows of it.
type process = pool.Process[*claude.Process]

// liveAgents are the processes that have started, those of earlier daemons left out.
func (d *Daemon) liveAgents() []process {
	return slices.DeleteFunc(d.pool.Snapshot().Processes, func(p process) bool { return p.Agent == nil })
}

// startAgent is the pool's Start. Where the disk has no room for what the agent will
// say, or this process has no descriptor left, it waits: that is no fault of the
// messages that want it.
func (d *Daemon) startAgent(ctx context.Context, k pool.Key, id string, fresh bool, v turn.Variant) (*claude.Process, error) {
	for told := false; ; told = true {
		a, err := d.tryAgent(ctx, k, id, fresh, v)
		if !lacksRoom(err) {
			d.store.AgentsWait("")
			return a, err
		}
		d.store.AgentsWait(err.Error())
		if !told {
			d.log.Error("an agent waits for room", "team", k.Team, "process", id, "err", err)
			d.inflight.recent.close() // room that nobody needs
		}
		timer := time.NewTimer(store.RetrySpace)
		select {
		case <-timer.C:
			continue
		case <-ctx.Done():
		case <-d.store.Waiting().Done():
		}
		timer.Stop()
		return nil, err
	}
}

func lacksRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) || claude.Scarce(err)
}

// tryAgent finds the team's settings, environment and conversation and starts its
// program there.
func (d *Daemon) tryAgent(ctx context.Context, k pool.Key, id string, fresh bool, v turn.Variant) (*claude.Process, error) {
	d.config.look()
	t, err := d.team(k.Team)
	if _, unknown := errors.AsType[*config.UnknownTeamError](err); unknown {
		d.holdTeamless(k)
		return nil, &pool.StartError{Team: k.Team, Err: err}
	}
	if err == nil {
		err = checkDir(t)
	}
	if err == nil { // what was allowed when the message was accepted need not be now
		err = checkOptionsFor(t, v)
	}
	if err != nil {
		return nil, &pool.StartError{Team: k.Team, Permanent: true, Err: err}
	}
	vars, err := d.agents.env.Build(t, d.opts.Paths.Socket)
	if err != nil {
		return nil, &pool.StartError{Team: k.Team, Permanent: true, Err: err}
	}
	o := d.agentOptions(k, t, id, vars)
	o.Variant = v
	err = d.store.PersistUntil(ctx, func() (err error) {
		if o.SessionID, o.RewindTo, err = d.conversations.Find(k, t, o.Env, fresh); err == nil {
			o.Model, err = d.conversations.PinModel(k, fresh, v)
		}
		return err
	})
	if err != nil {
		if err = d.conversations.OrNew(ctx, &o, k, t, err); err != nil {
			return nil, err
		}
	}
	p, err := claude.Start(ctx, o)
	if lost, ok := errors.AsType[*claude.ResumeError](err); ok {
		d.conversations.Elsewhere(k, t, lost)
		if err = d.conversations.OrNew(ctx, &o, k, t, lost); err != nil {
			return nil, err
		}
		p, err = claude.Start(ctx, o)
	}
	if err != nil {
		return nil, err
	}
	d.conversations.RecordDefaultModel(ctx, k, p, v)
	d.conversations.MoveTo(k, t.Dir)
	return p, nil
}

func checkDir(t *config.Team) error {
	if err := t.CheckDir(); err != nil {
		return fault.DirError{Err: err}
	}
	return nil
}

// attendedAs are the options by which this daemon attends an agent, one that it
// starts or one that the program before it has started.
func (d *Daemon) attendedAs(k pool.Key, id, dir string) claude.Options {
	return claude.Options{
		ID: id, Team: k.Team, Dir: dir, Spools: d.opts.Paths.Spool, Grace: d.config.Load().StopGrace,
		Stamp:       claude.Stamp{Now: func() string { d.config.look(); return d.stamp(k.Team) }},
		OnSession:   func(session string) { d.conversations.MoveOn(k, dir, session) },
		OnLost:      func(work []string) { d.conversations.NoteLostWork(k, work) },
		OnOwnTurn:   func(_ *claude.Process, t claude.OwnTurn) { d.ownTurn(k, id, &t) },
		OnWorking:   func(_ *claude.Process, on string) { d.works(id, on) },
		OnWaits:     func(on string) { d.waitsFor(id, on) },
		OnAsk:       func(p *claude.Process, r claude.Request) { d.approvals.Asked(k, id, p, r) },
		OnWithdrawn: func(_ *claude.Process, request string) { d.approvals.Withdrawn(id, request) },
		Follower:    d.agents.follower, Reaper: d.agents.reaper, Log: d.log,
	}
}

// waitsFor tells whoever has sent the message of an agent why it does not begin.
func (d *Daemon) waitsFor(process, on string) {
	proc, _ := d.pool.Report(process, "", pool.MessageWaits, on)
	d.log.Warn("the first turn of an agent does not begin", "team", proc.Key.Team, "process", process, "message", proc.Turn, "waits for", on)
	if m := d.inflight.live.get(proc.Turn); m != nil {
		m.notify(ipc.MessageState{ID: m.new.ID, State: string(journal.Running), Process: process, WaitsFor: on})
	}
}

func (d *Daemon) agentOptions(k pool.Key, t *config.Team, id string, vars []ipc.EnvVar) claude.Options {
	o := d.attendedAs(k, id, t.Dir)
	o.Stamp.Then = t.Stamp() // of what it gets, whatever the configuration is by now
	o.Command, o.Args, o.Transcript = t.Command, t.Args, true
	o.Env = append(agents.Assignments(vars), procs.EnvState+"="+d.opts.Paths.State, procs.EnvTeam+"="+k.Team, procs.EnvSession+"="+k.Session)
	o.StartTimeout, o.Watch, o.Ask = t.StartTimeout, watched(t, vars), t.Approvals == "ask"
	o.RefuseInbound = t.Inbound != "accept"
	if t.Agent == "echo" {
		o.Command, o.Prefix, o.Transcript = d.program.self, []string{"agent", "echo"}, false
	}
	return o
}

// transcript is the file of a conversation, if it is there.
func (d *Daemon) transcript(t *config.Team, sessionID string) string {
	vars, err := d.agents.env.Build(t, d.opts.Paths.Socket)
	if err != nil {
		return ""
	}
	path, _ := claude.Transcript(agents.Assignments(vars), sessionID)
	return path
}

// stamp is the configuration of a team's agents as one word; empty when the
// team is gone, so that its agents are stale.
func (d *Daemon) stamp(team string) string {
	t, err := d.team(team)
	if err != nil {
		return ""
	}
	return t.Stamp()
}

// watched lists the files that an agent reads once, at its start.
func watched(t *config.Team, vars []ipc.EnvVar) []string {
	files := []string{}
	for _, name := range []string{"CLAUDE.md", "CLAUDE.local.md", ".mcp.json", ".claude/CLAUDE.md", ".claude/settings.json", ".claude/settings.local.json"} {
		files = append(files, filepath.Join(t.Dir, name))
	}
	var home, dir string
	for _, v := range vars {
		switch v.Name {
		case "HOME":
			home = v.Value
		case "CLAUDE_CONFIG_DIR":
			dir = v.Value
		}
	}
	if dir == "" && home != "" {
		dir = filepath.Join(home, ".claude")
	}
	if dir != "" {
		files = append(files, filepath.Join(dir, "CLAUDE.md"), filepath.Join(dir, "settings.json"))
	}
	if t.EnvFile != "" {
		files = append(files, t.EnvFile)
	}
	return files
}

// settings is what the pool needs to know of a team. It is called under the
// pool's lock, so it does not look at the disk: a team that is only a directory
// has the settings of the top level, and so has one that was just removed.
func (d *Daemon) settings(team string) pool.Settings {
	cfg := d.config.Load()
	t := &cfg.Settings
	if named, ok := cfg.Teams[team]; ok {
		t = &named.Settings
	}
	return pool.Settings{
		IdleTimeout:    t.IdleTimeout,
		StallTimeout:   t.StallTimeout,
		StallInterrupt: t.OnStall == "interrupt",
		QueueLimit:     t.QueueLimit,
		MaxTurns:       t.MaxTurns,
		MaxMemory:      t.MaxMemory,
	}
}

func limits(cfg *config.Config) pool.Limits {
	return pool.Limits{
		MaxProcesses:        cfg.MaxProcesses,
		WhenFull:            pool.WhenFull(cfg.WhenFull),
		FairWait:            cfg.FairWait,
		HealthCheckInterval: cfg.HealthCheckInterval,
	}
}
