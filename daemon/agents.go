package daemon

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"iris/config"
	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
)

// freshPrefix begins the session names of messages that run in a conversation
// of their own. No name that a user may give begins with it.
const freshPrefix = "~"

// newPrefix begins the ids of this daemon's processes: short, and another one
// for each daemon of a machine.
func newPrefix(now time.Time) string {
	return strconv.FormatInt(now.UnixMilli()&(1<<32-1), 36)
}

// team returns a team by its name, or by its absolute directory.
func (d *Daemon) team(name string) (*config.Team, error) {
	return d.config.Load().Lookup(name)
}

// startAgent is the pool's Start. Where the disk has no room for what the agent will
// say, or this process has no descriptor left, it waits: that is no fault of the
// messages that want it.
func (d *Daemon) startAgent(ctx context.Context, k pool.Key, id string, fresh bool, v pool.Variant) (pool.Agent, error) {
	for told := false; ; told = true {
		a, err := d.tryAgent(ctx, k, id, fresh, v)
		if !lacksRoom(err) {
			d.room.agents("")
			return a, err
		}
		d.room.agents(err.Error())
		if !told {
			d.log.Error("an agent waits for room", "team", k.Team, "process", id, "err", err)
			d.recent.close() // room that nobody needs
		}
		timer := time.NewTimer(retryRoom)
		select {
		case <-timer.C:
			continue
		case <-ctx.Done():
		case <-d.patient.Done():
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
func (d *Daemon) tryAgent(ctx context.Context, k pool.Key, id string, fresh bool, v pool.Variant) (pool.Agent, error) {
	t, err := d.team(k.Team)
	if err == nil {
		err = checkDir(t)
	}
	if err == nil { // what was allowed when the message was accepted need not be now
		err = checkOptionsFor(t, ipc.Variant(v))
	}
	if err != nil {
		return nil, &pool.StartError{Team: k.Team, Permanent: true, Err: err}
	}
	vars, err := d.env.build(t, d.opts.Paths.Socket)
	if err != nil {
		return nil, &pool.StartError{Team: k.Team, Permanent: true, Err: err}
	}
	o := d.agentOptions(k, t, id, vars)
	o.Variant = v
	err = d.persistUntil(ctx, func() (err error) {
		if o.SessionID, err = d.session(k, t, o.Env, fresh); err == nil {
			o.Model, err = d.lend(k, fresh, v)
		}
		return err
	})
	if err != nil {
		if err = d.orFresh(ctx, &o, k, t, err); err != nil {
			return nil, err
		}
	}
	p, err := claude.Start(ctx, o)
	if lost, ok := errors.AsType[*claude.ResumeError](err); ok {
		if err = d.orFresh(ctx, &o, k, t, lost); err != nil {
			return nil, err
		}
		p, err = claude.Start(ctx, o)
	}
	if err != nil {
		return nil, err
	}
	d.lent(ctx, k, p, v)
	return p, nil
}

// A dirError is why no agent can work in the directory of its team.
type dirError struct{ error }

func (e dirError) Unwrap() error { return e.error }

func checkDir(t *config.Team) error {
	if err := t.CheckDir(); err != nil {
		return dirError{err}
	}
	return nil
}

// attendedAs are the options by which this daemon attends an agent, one that it
// starts or one that the program before it has started.
func (d *Daemon) attendedAs(k pool.Key, id, dir string) claude.Options {
	return claude.Options{
		ID: id, Team: k.Team, Dir: dir, Spools: d.opts.Paths.Spool, Grace: d.config.Load().StopGrace,
		Stamp:       func() string { return d.stamp(k.Team) },
		OnSession:   func(session string) { d.setSession(k, dir, session) },
		OnLost:      func(work []string) { d.lostWork(k, work) },
		OnAsk:       func(p *claude.Process, r claude.Request) { d.asked(k, id, p, r) },
		OnWithdrawn: func(_ *claude.Process, request string) { d.withdrawn(id, request) },
		Follower:    d.follower, Reaper: d.reaper, Log: d.log,
	}
}

func (d *Daemon) agentOptions(k pool.Key, t *config.Team, id string, vars []ipc.EnvVar) claude.Options {
	o := d.attendedAs(k, id, t.Dir)
	o.Command, o.Args, o.Transcript = t.Command, t.Args, true
	o.Env = append(assignments(vars), claude.EnvState+"="+d.opts.Paths.State, claude.EnvTeam+"="+k.Team, claude.EnvSession+"="+k.Session)
	o.StartTimeout, o.Watch, o.Ask = t.StartTimeout, watched(t, vars), t.Approvals == "ask"
	if t.Agent == "echo" {
		o.Command, o.Prefix, o.Transcript = d.self, []string{"agent", "echo"}, false
	}
	return o
}

// assignments is an environment as processes get it.
func assignments(vars []ipc.EnvVar) []string {
	env := make([]string, 0, len(vars))
	for _, v := range vars {
		env = append(env, v.Name+"="+v.Value)
	}
	return env
}

// transcript is the file of a conversation, if it is there.
func (d *Daemon) transcript(t *config.Team, sessionID string) string {
	vars, err := d.env.build(t, d.opts.Paths.Socket)
	if err != nil {
		return ""
	}
	path, _ := claude.Transcript(assignments(vars), sessionID)
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

// session returns the conversation that an agent for k is started with: the
// recorded one, or a new one that is recorded before its agent exists. A
// *claude.ResumeError says that the recorded one is not where it should be.
func (d *Daemon) session(k pool.Key, t *config.Team, env []string, fresh bool) (string, error) {
	if fresh {
		return claude.NewSessionID(), nil
	}
	s, ok, err := d.journal.Session(record(k))
	switch {
	case err != nil:
		return "", err
	case !ok:
		return d.newSession(k, t)
	case t.Agent != "claude":
	case s.Dir != t.Dir:
		return "", &claude.ResumeError{SessionID: s.ID, Why: fmt.Sprintf("it was begun in %s, the team is in %s now", s.Dir, t.Dir)}
	case s.Used:
		path, err := claude.Transcript(env, s.ID)
		if err == nil && path == "" {
			err = &claude.ResumeError{SessionID: s.ID, Why: "its transcript is gone"}
		}
		return s.ID, err
	}
	return s.ID, nil
}

// orFresh is what follows when a conversation cannot be resumed: a new one,
// never without a word, or an error.
func (d *Daemon) orFresh(ctx context.Context, o *claude.Options, k pool.Key, t *config.Team, err error) error {
	_, lost := errors.AsType[*claude.ResumeError](err)
	if !lost || t.OnResumeFailure != "fresh" {
		return &pool.StartError{Team: k.Team, Permanent: lost, Err: err}
	}
	d.log.Warn("a new conversation is begun", "team", k.Team, "session", k.Session, "err", err)
	d.notices.Store(k, fmt.Sprintf("team %s: a new conversation was begun: %v", k, err))
	err = d.persistUntil(ctx, func() (err error) {
		if o.SessionID, err = d.newSession(k, t); err == nil {
			o.Model, err = d.lend(k, false, o.Variant)
		}
		return err
	})
	if err != nil {
		return &pool.StartError{Team: k.Team, Err: err}
	}
	return nil
}

// newSession begins a conversation.
func (d *Daemon) newSession(k pool.Key, t *config.Team) (string, error) {
	s := journal.Session{ID: claude.NewSessionID(), Dir: t.Dir, Created: time.Now()}
	return s.ID, d.journal.SetSession(record(k), s)
}

// record is the name of a conversation in the journal. Directories may hold an
// "@", so it is not the one that people see.
func record(k pool.Key) string { return k.Team + "\x00" + k.Session }

// conversationOf is the conversation of a message on record.
func conversationOf(m *journal.Message) pool.Key { return pool.Key{Team: m.Team, Session: m.Session} }

// recorded is the reverse of record.
func recorded(name string) pool.Key {
	team, session, _ := strings.Cut(name, "\x00")
	return pool.Key{Team: team, Session: session}
}

// setSession follows an agent that moved on to another conversation (/clear).
func (d *Daemon) setSession(k pool.Key, dir, id string) {
	if isFresh(k) {
		return
	}
	s, _, err := d.journal.Session(record(k)) // its model stays
	if err == nil {
		s.ID, s.Dir, s.Created, s.Used = id, dir, time.Now(), false
		err = d.journal.SetSession(record(k), s)
	}
	if err != nil {
		d.log.Error("conversation not recorded", "team", k.Team, "session", k.Session, "err", err)
	}
}

func isFresh(k pool.Key) bool { return len(k.Session) > 0 && k.Session[:1] == freshPrefix }

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
