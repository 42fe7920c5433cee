package agents

import (
	"context"
	"path/filepath"
	"strings"
	"sync"

	"iris/config"
	"iris/ipc"
	"iris/pool/claude"
	"iris/pool/procs"
)

// Examine examines all teams without a daemon, in the way of a daemon that a client would
// start with these paths. It asks the login shell.
func Examine(ctx context.Context, paths config.Paths) (ipc.Examination, error) {
	cfg, err := config.Load(paths)
	if err != nil {
		return ipc.Examination{}, err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e := shellEnvironment(ctx, nil, &wg)
	return examineTeams(ctx, cfg, e, paths, nil), nil
}

// Finds reports whether agents that run a program by its bare name would find it, without a
// daemon, in the way of Examine.
func Finds(ctx context.Context, command string) bool {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	env, err := shellEnvironment(ctx, nil, &wg).Build(ctx, &config.Team{Agent: "claude", Settings: config.Settings{Command: []string{command}}}, "")
	if err != nil {
		return false
	}
	_, err = claude.Program(claude.Options{Command: command, Env: env.Assignments()})
	return err == nil
}

// examineTeams examines every team. If no team has Claude Code, it also examines the user's
// home directory as a team that is only a directory.
func examineTeams(ctx context.Context, cfg *config.Config, e *Environment, p config.Paths, r *procs.Reaper) ipc.Examination {
	x := examiner{env: e, socket: p.Socket, reaper: r, known: map[string]answers{}}
	found := ipc.Examination{Teams: []ipc.TeamCheck{}}
	some := false
	for _, name := range cfg.TeamNames() {
		t := cfg.Teams[name]
		some = some || t.Agent == "claude"
		found.Teams = append(found.Teams, x.team(ctx, t))
	}
	if !some {
		found.Teams = append(found.Teams, x.team(ctx, &config.Team{Agent: "claude", Dir: p.Home, Settings: cfg.Settings}))
	}
	found.Shell = e.examined()
	return found
}

// An examiner examines one team after the other. It asks a program only once for all teams
// that get the same answers.
type examiner struct {
	env    *Environment
	socket string
	reaper *procs.Reaper
	known  map[string]answers
}

// leastForTranscripts is how much should be free on the disk of Claude Code's directory: a
// long conversation has some megabytes.
const leastForTranscripts = 16 << 20

type answers struct {
	claude.Examined
	loginErr, err error
}

func (x *examiner) team(ctx context.Context, t *config.Team) ipc.TeamCheck {
	c := ipc.TeamCheck{Team: t.Name, Agent: t.Agent, Dir: t.Dir}
	if err := t.CheckDir(); err != nil {
		c.DirError = err.Error()
	}
	if t.Agent == "echo" {
		return c
	}
	c.Command = t.Program()
	env, err := x.env.Build(ctx, t, x.socket)
	if err != nil {
		c.EnvError = err.Error()
		return c
	}
	c.Withheld, c.Credentials = env.Withheld, env.credentials()
	o := claude.Options{Team: t.Name, Command: t.Program(), Dir: t.Dir, Env: env.Assignments(), Reaper: x.reaper}
	if t.Adapter() != "" {
		if c.Program, err = claude.Program(o); err != nil {
			c.ProgramError = err.Error()
		}
		return c
	}
	if at, why := claude.Unkeepable(claude.ConfigDir(o.Env), t.Dir, "", leastForTranscripts); why != "" {
		c.KeepPath, c.KeepError = at, why
	}
	if c.Program, err = claude.Program(o); err != nil {
		c.ProgramError = err.Error()
		return c
	}
	if c.DirError != "" {
		return c
	}
	if err := claude.Unparsed(claude.Sources(t.Dir, o.Env, t.Args)); err != nil {
		c.SettingsError = err.Error()
	}
	a := x.ask(ctx, c.Program, o)
	c.Version, c.Login = a.Version, a.Login
	if a.err != nil {
		c.ProgramError = a.err.Error()
	}
	if a.loginErr != nil {
		c.LoginError = a.loginErr.Error()
	}
	return c
}

// ask asks the program, unless it was asked in the same environment. In a directory with
// project settings it asks again: they may say how to log in.
func (x *examiner) ask(ctx context.Context, path string, o claude.Options) answers {
	key := path + "\x00" + strings.Join(o.Env, "\x00")
	if settings, _ := filepath.Glob(filepath.Join(o.Dir, ".claude", "settings*.json")); len(settings) > 0 {
		key += "\x00" + o.Dir
	}
	a, ok := x.known[key]
	if !ok {
		a.Examined, a.loginErr, a.err = claude.Examine(ctx, path, o)
		x.known[key] = a
	}
	return a
}
