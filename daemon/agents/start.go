package agents

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"iris/config"
	"iris/daemon/conversation"
	"iris/daemon/fault"
	"iris/daemon/store"
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
		if !claude.LacksRoom(err) {
			s.o.Store.AgentsWait("")
			return a, err
		}
		s.o.Store.AgentsWait(lack(err))
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

// lack says what an agent waits for, and what to do where the daemon's own limit is the
// reason.
func lack(err error) string {
	var files syscall.Rlimit
	if !errors.Is(err, syscall.EMFILE) || syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files) != nil {
		return err.Error()
	}
	return fmt.Sprintf("%v: the daemon may open %d; run: iris daemon stop; then start it from a shell with a higher \"ulimit -n\"", err, files.Cur)
}

// tryAgent starts the program of a team, with the team's settings, environment and
// conversation.
func (s *Supervisor) tryAgent(ctx context.Context, k pool.Key, id string, fresh bool, v turn.Variant) (*claude.Process, error) {
	t, env, err := s.workplace(ctx, k, v)
	if _, unknown := errors.AsType[*config.UnknownTeamError](err); unknown {
		s.o.Teamless(k)
	}
	if err != nil {
		return nil, err
	}
	s.Pool.SetAccount(k.Team, account(t, env)) // the first message waits if the account is limited
	o := s.agentOptions(k, t, id, env)
	o.Variant = v
	if t.Agent == "claude" {
		o.Variant.MaxTurns = cmp.Or(v.MaxTurns, t.MaxTurns)
	}
	if err := s.converse(ctx, &o, k, t, fresh); err != nil {
		return nil, err
	}
	p, err := s.startProgram(ctx, k, t, o)
	if lost, ok := errors.AsType[*claude.ResumeError](err); ok {
		s.o.Conversations.Elsewhere(k, t, o.Env, lost)
		if err = s.o.Conversations.OrNew(ctx, &o, k, t, lost); err != nil {
			return nil, err
		}
		p, err = s.startProgram(ctx, k, t, o)
	}
	if err != nil {
		return nil, s.notFound(env, err)
	}
	s.noteRan(t)
	s.o.Conversations.RecordDefaultModel(ctx, k, p.DefaultModel, v)
	s.o.Conversations.MoveTo(k, t.Dir)
	return p, nil
}

// workplace returns the team of a conversation, and the environment for a program in it. The
// error is a *pool.StartError.
func (s *Supervisor) workplace(ctx context.Context, k pool.Key, v turn.Variant) (*config.Team, *Built, error) {
	s.o.Look()
	t, err := s.team(k.Team)
	if _, unknown := errors.AsType[*config.UnknownTeamError](err); unknown {
		return nil, nil, &pool.StartError{Team: k.Team, Err: err}
	}
	if err == nil {
		err = checkDir(t)
	}
	if err == nil { // the options may have been forbidden since the message was accepted
		err = CheckVariant(t, v)
	}
	if err != nil {
		return nil, nil, &pool.StartError{Team: k.Team, Permanent: true, Err: err}
	}
	env, err := s.environment(ctx, t)
	if err != nil {
		return nil, nil, &pool.StartError{Team: k.Team, Permanent: ctx.Err() == nil, Err: err}
	}
	return t, env, nil
}

// converse adds the conversation to the options of a program. If it is lost, that is an
// error, or a new one is begun.
func (s *Supervisor) converse(ctx context.Context, o *claude.Options, k pool.Key, t *config.Team, fresh bool) error {
	err := s.o.Store.PersistUntil(ctx, func() (err error) {
		if o.SessionID, o.RewindTo, err = s.o.Conversations.Find(k, t, o.Env, fresh); err == nil {
			o.Model, err = s.o.Conversations.PinModel(k, fresh, o.Variant)
		}
		return err
	})
	if err != nil {
		return s.o.Conversations.OrNew(ctx, o, k, t, err)
	}
	return nil
}

// startProgram is claude.Start. An adapter is told which program it is to run, and that a
// conversation is there.
func (s *Supervisor) startProgram(ctx context.Context, k pool.Key, t *config.Team, o claude.Options) (*claude.Process, error) {
	if t.Adapter() == "" {
		return claude.Start(ctx, o)
	}
	program, err := claude.Program(claude.Options{Command: t.Program(), Dir: t.Dir, Env: o.Env})
	if err != nil {
		return nil, &pool.StartError{Team: k.Team, Permanent: true, Err: err}
	}
	o.Args = append(s.mcpArgs(t), "--start-timeout="+(o.StartTimeout*9/10).String()) // it can say what it waits for
	if conversation.IsFresh(k) {
		o.Args = append(o.Args, "--no-session-persistence")
	}
	was, ok, err := s.o.Conversations.Get(k)
	if err != nil {
		return nil, &pool.StartError{Team: k.Team, Err: err}
	}
	o.Resume = ok && was.Used && was.ID == o.SessionID
	o.Args = append(append(o.Args, "--", program), t.Command[1:]...)
	return claude.Start(ctx, o)
}

// noteRan notes that the program of a team has run. The built-in agent is iris itself, and
// says nothing about the command that its team has by default.
func (s *Supervisor) noteRan(t *config.Team) {
	if t.Agent != "echo" {
		s.ran.Store(t.Program(), true)
	}
}

// hasRun reports whether the program of a team has run, so that it was there once.
func (s *Supervisor) hasRun(t *config.Team) bool {
	_, ran := s.ran.Load(t.Program())
	return ran
}

// environment builds the environment of an agent that starts. It waits for an env_file that
// is just being saved.
func (s *Supervisor) environment(ctx context.Context, t *config.Team) (b *Built, err error) {
	err = claude.AwaitSaved(ctx, []string{t.EnvFile}, func() (err error) {
		b, err = s.Env.Build(ctx, t, s.o.Paths.Socket)
		return err
	})
	return b, err
}

// notFound adds why the login shell has not answered to the error of a program that was not
// found. The pool may try again, since the shell may answer then.
func (s *Supervisor) notFound(env *Built, err error) error {
	start, ok := errors.AsType[*pool.StartError](err)
	problems := s.Env.problems()
	if !ok || !env.base.guess || !errors.Is(err, exec.ErrNotFound) || len(problems) == 0 {
		return err
	}
	return &pool.StartError{Team: start.Team, Err: fault.ShellError{Err: fmt.Errorf("%w; %s", start.Err, strings.Join(problems, "; "))}}
}

func checkDir(t *config.Team) error {
	if err := t.CheckDir(); err != nil {
		return fault.DirError{Err: err}
	}
	return nil
}

// baseOptions returns the options that started and adopted agents have in common.
func (s *Supervisor) baseOptions(k pool.Key, id, dir string) claude.Options {
	o := claude.Options{
		ID: id, Team: k.Team, Dir: dir, Spools: s.o.Paths.Spool, Grace: s.o.Config().StopGrace,
		Stamp: claude.Stamp{Changed: func(then string) string { return s.changed(k.Team, then) }},
		Callbacks: claude.Callbacks{
			OnSession:   func(session string) { s.o.Conversations.MoveOn(k, dir, session) },
			OnLost:      func(work []string) { s.o.Conversations.NoteLostWork(k, work) },
			OnOwnTurn:   func(_ *claude.Process, t claude.OwnTurn) { s.OwnTurn(k, id, &t) },
			OnWorking:   func(_ *claude.Process, on string) { s.works(id, on) },
			OnWaits:     func(on string) { s.waitsFor(id, on) },
			OnAsk:       func(p *claude.Process, r claude.Request) { s.o.Asked(k, id, p, r) },
			OnWithdrawn: func(_ *claude.Process, request string) { s.o.Withdrawn(id, request) },
		},
		Follower: s.Follower, Reaper: s.Reaper, Log: s.o.Log,
	}
	t := TeamSettings(s.o.Config(), k.Team)
	if t.Inbound != "accept" { // what other sessions send does not come through iris
		o.FreezeAfter = t.FreezeAfter
	}
	if t.Agent == "claude" && !conversation.IsFresh(k) {
		o.OnUnkept = func(text string) { s.o.Conversations.NoteUnkept(k, text) }
	}
	return o
}

// waitsFor reports why the first turn of an agent does not begin, also to the sender.
func (s *Supervisor) waitsFor(process, on string) {
	proc, _ := s.Pool.Report(process, "", pool.MessageWaits, on)
	s.o.Log.Warn("the first turn of an agent does not begin", "team", proc.Key.Team, "process", process, "message", proc.Turn, "waits for", on)
	s.o.Waits(proc.Turn, process, on)
}

func (s *Supervisor) agentOptions(k pool.Key, t *config.Team, id string, env *Built) claude.Options {
	o := s.baseOptions(k, id, t.Dir)
	o.Stamp.Then = stamp(t, env) // of what it starts with, even if that has changed since
	o.Command, o.Args, o.Transcript = t.Program(), t.Args, true
	o.Env = append(env.Assignments(), procs.EnvState+"="+s.o.Paths.State, procs.EnvTeam+"="+k.Team, procs.EnvSession+"="+k.Session)
	o.StartTimeout, o.Ask = t.StartTimeout, t.Approvals == "ask"
	o.RefuseInbound = t.Inbound != "accept"
	if t.Agent != "claude" {
		o.Command, o.Prefix, o.Transcript = s.o.Program, []string{"agent", t.Agent}, false
	} else {
		o.Ran = s.hasRun(t)
		o.Args = append(s.mcpArgs(t), t.Args...)
		o.Watch = claude.Sources(t.Dir, o.Env, t.Args)
	}
	return o
}

// Transcript returns the path of a transcript; empty if the file does not exist.
func (s *Supervisor) Transcript(t *config.Team, sessionID string) string {
	env, err := s.Env.Known(t, s.o.Paths.Socket)
	if err != nil {
		return ""
	}
	path, _ := claude.Transcript(env.Assignments(), sessionID)
	return path
}

// stamp identifies the settings, the env_file and the base environment of a team's agents,
// separated by dots.
func stamp(t *config.Team, env *Built) string {
	return strings.Join([]string{t.Stamp(), env.file, env.given}, ".")
}

// changed says what has changed for the agents of a team since a stamp, empty for nothing.
// A guess at the base environment is no reason: the login shell may answer later.
func (s *Supervisor) changed(team, then string) string {
	s.o.Look()
	was := strings.Split(then, ".")
	t, err := s.team(team)
	if err != nil || t.Stamp() != was[0] {
		return "configuration changed"
	}
	if len(was) < 3 { // of an earlier version of iris
		return ""
	}
	env, err := s.Env.Known(t, s.o.Paths.Socket)
	switch {
	case err != nil || env.file != was[1]:
		return filepath.Base(t.EnvFile) + " changed"
	case !env.base.guess && env.given != was[2]:
		return "environment changed"
	}
	return ""
}
