package agents

import (
	"context"
	"errors"
	"path/filepath"
	"syscall"
	"time"

	"iris/config"
	"iris/daemon/fault"
	"iris/daemon/store"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
	"iris/pool/procs"
	"iris/pool/turn"
)

// Start is the pool's Start. While the disk has no space for the agent's output, or this
// process has no descriptor left, it waits: the messages for the agent must not fail for
// that.
func (s *Supervisor) Start(ctx context.Context, k pool.Key, id string, fresh bool, v turn.Variant) (*claude.Process, error) {
	for told := false; ; told = true {
		a, err := s.tryAgent(ctx, k, id, fresh, v)
		if !lacksRoom(err) {
			s.o.Store.AgentsWait("")
			return a, err
		}
		s.o.Store.AgentsWait(err.Error())
		if !told {
			s.o.Log.Error("an agent waits for room", "team", k.Team, "process", id, "err", err)
			s.o.FreeSpace() // a part may be free to give back
		}
		timer := time.NewTimer(store.RetrySpace)
		select {
		case <-timer.C:
			continue
		case <-ctx.Done():
		case <-s.o.Store.Waiting().Done():
		}
		timer.Stop()
		return nil, err
	}
}

func lacksRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) || claude.Scarce(err)
}

// tryAgent starts the program of a team, with the team's settings, environment and
// conversation.
func (s *Supervisor) tryAgent(ctx context.Context, k pool.Key, id string, fresh bool, v turn.Variant) (*claude.Process, error) {
	s.o.Look()
	t, err := s.team(k.Team)
	if _, unknown := errors.AsType[*config.UnknownTeamError](err); unknown {
		s.o.Teamless(k)
		return nil, &pool.StartError{Team: k.Team, Err: err}
	}
	if err == nil {
		err = checkDir(t)
	}
	if err == nil { // the options may have been forbidden since the message was accepted
		err = CheckVariant(t, v)
	}
	if err != nil {
		return nil, &pool.StartError{Team: k.Team, Permanent: true, Err: err}
	}
	vars, err := s.Env.Build(t, s.o.Paths.Socket)
	if err != nil {
		return nil, &pool.StartError{Team: k.Team, Permanent: true, Err: err}
	}
	o := s.agentOptions(k, t, id, vars)
	o.Variant = v
	err = s.o.Store.PersistUntil(ctx, func() (err error) {
		if o.SessionID, o.RewindTo, err = s.o.Conversations.Find(k, t, o.Env, fresh); err == nil {
			o.Model, err = s.o.Conversations.PinModel(k, fresh, v)
		}
		return err
	})
	if err != nil {
		if err = s.o.Conversations.OrNew(ctx, &o, k, t, err); err != nil {
			return nil, err
		}
	}
	p, err := claude.Start(ctx, o)
	if lost, ok := errors.AsType[*claude.ResumeError](err); ok {
		s.o.Conversations.Elsewhere(k, t, lost)
		if err = s.o.Conversations.OrNew(ctx, &o, k, t, lost); err != nil {
			return nil, err
		}
		p, err = claude.Start(ctx, o)
	}
	if err != nil {
		return nil, err
	}
	s.o.Conversations.RecordDefaultModel(ctx, k, p, v)
	s.o.Conversations.MoveTo(k, t.Dir)
	return p, nil
}

func checkDir(t *config.Team) error {
	if err := t.CheckDir(); err != nil {
		return fault.DirError{Err: err}
	}
	return nil
}

// baseOptions returns the options that started and adopted agents have in common.
func (s *Supervisor) baseOptions(k pool.Key, id, dir string) claude.Options {
	return claude.Options{
		ID: id, Team: k.Team, Dir: dir, Spools: s.o.Paths.Spool, Grace: s.o.Config().StopGrace,
		Stamp:       claude.Stamp{Now: func() string { s.o.Look(); return s.stamp(k.Team) }},
		OnSession:   func(session string) { s.o.Conversations.MoveOn(k, dir, session) },
		OnLost:      func(work []string) { s.o.Conversations.NoteLostWork(k, work) },
		OnOwnTurn:   func(_ *claude.Process, t claude.OwnTurn) { s.OwnTurn(k, id, &t) },
		OnWorking:   func(_ *claude.Process, on string) { s.works(id, on) },
		OnWaits:     func(on string) { s.waitsFor(id, on) },
		OnAsk:       func(p *claude.Process, r claude.Request) { s.o.Asked(k, id, p, r) },
		OnWithdrawn: func(_ *claude.Process, request string) { s.o.Withdrawn(id, request) },
		Follower:    s.Follower, Reaper: s.Reaper, Log: s.o.Log,
	}
}

// waitsFor reports why the first turn of an agent does not begin, also to the sender.
func (s *Supervisor) waitsFor(process, on string) {
	proc, _ := s.Pool.Report(process, "", pool.MessageWaits, on)
	s.o.Log.Warn("the first turn of an agent does not begin", "team", proc.Key.Team, "process", process, "message", proc.Turn, "waits for", on)
	s.o.Waits(proc.Turn, process, on)
}

func (s *Supervisor) agentOptions(k pool.Key, t *config.Team, id string, vars []ipc.EnvVar) claude.Options {
	o := s.baseOptions(k, id, t.Dir)
	o.Stamp.Then = t.Stamp() // of the settings that it starts with, even if the configuration has changed since
	o.Command, o.Args, o.Transcript = t.Command, t.Args, true
	o.Env = append(Assignments(vars), procs.EnvState+"="+s.o.Paths.State, procs.EnvTeam+"="+k.Team, procs.EnvSession+"="+k.Session)
	o.StartTimeout, o.Watch, o.Ask = t.StartTimeout, watched(t, vars), t.Approvals == "ask"
	o.RefuseInbound = t.Inbound != "accept"
	if t.Agent == "echo" {
		o.Command, o.Prefix, o.Transcript = s.o.Program, []string{"agent", "echo"}, false
	}
	return o
}

// Transcript returns the path of a transcript; empty if the file does not exist.
func (s *Supervisor) Transcript(t *config.Team, sessionID string) string {
	vars, err := s.Env.Build(t, s.o.Paths.Socket)
	if err != nil {
		return ""
	}
	path, _ := claude.Transcript(Assignments(vars), sessionID)
	return path
}

// stamp identifies the settings of a team's agents. It is empty if the team is not in the
// configuration, so that its agents are stale.
func (s *Supervisor) stamp(team string) string {
	t, err := s.team(team)
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
