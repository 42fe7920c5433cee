package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/cmd/iris/internal/terminal"
	"iris/config"
	"iris/ipc"
)

func newTeamCmd(g *globals) *cobra.Command {
	return group(&cobra.Command{
		Use:        "team COMMAND",
		Short:      "Add, list, change and remove teams",
		SuggestFor: []string{"teams", "project", "projects", "remove", "delete"},
		Long: `Add, list, change and remove teams. A team is a named project directory, in a
file of its own in conf.d beside the configuration file.

Comments of yours in the configuration file are never lost. "iris team edit" and
"iris config set --team" change the settings of a team; iris-config(5) describes
them.

EXIT STATUS
0 1 2 3 4 75`,
		Example: `  iris team add api ~/src/api
  iris team ls`,
	}, newTeamAddCmd(g), newTeamLsCmd(g), newTeamShowCmd(g), newTeamEditCmd(g), newTeamRenameCmd(g), newTeamRmCmd(g))
}

type teamAddOptions struct {
	*globals
	description string
	mcp         bool
	force       bool
}

func (o *teamAddOptions) addFlags(f *pflag.FlagSet) {
	textVar(f, &o.description, "description", "TEXT", "what the team is for, shown in lists")
	f.BoolVar(&o.mcp, "mcp", false, "its agents may write to other teams (mcp = true)")
	f.BoolVar(&o.force, "force", false, "replace an added team or the built-in one")
}

func newTeamAddCmd(g *globals) *cobra.Command {
	opts := teamAddOptions{globals: g}
	return withFlags(&cobra.Command{
		Use:        "add NAME DIR",
		Short:      "Add a team",
		SuggestFor: []string{"create", "new", "init", "make"},
		Long: `Add a team with this project directory. A name is 1 to 63 letters, digits, ".",
"_" or "-" and begins with a letter, a digit or "_".

Where your PATH finds Claude Code and agents would not, its path is written into
the file, too, as the command of the team.

With --mcp the agents of the team get the MCP server of iris and the permission
for its tools: they may send messages to the teams that have it, too, and wait
for the answers. mcp_teams of iris-config(5) names others.

--force replaces a team that was added before. A file with anything else in it,
such as settings or comments of your own, is never replaced: edit it.

If messages were sent to the directory before, the team takes over its sessions;
while such a message waits or runs, the team is not added (75). Stderr has a
note if the directory is that of another team too.

Commands run by an agent cannot do this (2).

EXIT STATUS
0 1 2 3 75`,
		Example: `  iris team add api ~/src/api
  iris team add docs . --description "the manual"`,
		Args: between(2, 2, "NAME DIR"),
		RunE: runs(&opts, runTeamAdd),
	}, opts.addFlags)
}

func runTeamAdd(ctx context.Context, opts *teamAddOptions, args []string, s streams) error {
	paths, err := opts.mayChange(ctx, "add a team")
	if err != nil {
		return err
	}
	var before successor
	var refused error
	_, err = config.AddTeam(paths, args[0], args[1], config.TeamOptions{
		Description: opts.description, MCP: opts.mcp, Force: opts.force,
		Before: func(cfg *config.Config) (command string, err error) {
			before, command, refused = opts.prepare(ctx, cfg, args[0], args[1])
			return command, refused
		},
	})
	switch {
	case refused != nil:
		return refused
	case err != nil:
		return configError(err)
	}
	for _, note := range before.notes {
		say(s.err, "%s", note)
	}
	if err := opts.takeUpDone(ctx, s.err, fmt.Sprintf("team %s is added", args[0])); err != nil {
		return err
	}
	taken, err := before.take(ctx)
	if err != nil {
		say(s.err, "team %s was added, but it has not taken over the conversation of its directory", args[0])
		return err
	}
	terminal.Done(s.err, "team %s added: \"iris send %s\" reaches it%s", args[0], args[0], adoptedText(taken))
	return nil
}

// prepare finds out whose conversations the team gets, and which program its settings
// must name.
func (o *teamAddOptions) prepare(ctx context.Context, cfg *config.Config, team, dir string) (s successor, command string, err error) {
	if s, err = o.claim(cfg, team, dir); err != nil {
		return s, "", err
	}
	if err := s.mayTake(ctx); err != nil {
		return s, "", err
	}
	if command = callersProgram(ctx, cfg.Program()); command != "" {
		s.notes = append(s.notes, fmt.Sprintf("agents of team %s run %s, which your login shell would not find", team, command))
	}
	return s, command, nil
}

// callersProgram returns the path of the program of teams as the caller's PATH has it; empty
// if agents find the program by its name, or the caller does not find it either.
func callersProgram(ctx context.Context, command string) string {
	here, err := exec.LookPath(command)
	if err != nil || strings.Contains(command, "/") || !filepath.IsAbs(here) || agentsFind(ctx, command) {
		return ""
	}
	return lasting(here)
}

// lasting returns a path that outlives the caller's shell. A link such as
// ~/.local/bin/claude stays as it is, for an update points it elsewhere; but a directory that
// a version manager has made for one shell is replaced by what it links to.
func lasting(path string) string {
	dir := filepath.Dir(path)
	for _, volatile := range []string{os.Getenv("XDG_RUNTIME_DIR"), os.TempDir(), "/tmp", "/run"} {
		if volatile == "" || !strings.HasPrefix(dir, volatile+"/") {
			continue
		}
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			return filepath.Join(real, filepath.Base(path))
		}
	}
	return path
}

// takeUp makes a running daemon reload before the command ends: by itself it would
// notice the change only at its next call. A daemon with another configuration need
// not reload.
func (g globals) takeUp(ctx context.Context) error {
	_, err := g.running().verbs().Reload(ctx)
	if errors.Is(err, ipc.ErrNoDaemon) || ipc.ReasonOf(err) == "other-configuration" {
		return nil
	}
	return err
}

// takeUpDone is takeUp after a change that stays, whether the daemon takes it up or not: done
// says what it was.
func (g globals) takeUpDone(ctx context.Context, stderr io.Writer, done string) error {
	err := g.takeUp(ctx)
	if err != nil {
		say(stderr, "%s, but the daemon has not taken it up", done)
	}
	return err
}

type teamLsOptions struct {
	jsonOptions
	quiet bool
}

func (o *teamLsOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print names only, as other commands take them")
	o.addListFlags(f)
}

func newTeamLsCmd(g *globals) *cobra.Command {
	opts := teamLsOptions{jsonOptions: jsonOptions{globals: g}}
	return withFlags(&cobra.Command{
		Use:        "ls",
		Short:      "List the teams",
		SuggestFor: []string{"list"},
		Long: `List the teams of the configuration, sorted by name. If a setting turns the
permission checks of Claude Code off for a team, a column names the setting.

JSON
  an array of objects: team, dir, description, agent, file, line and, where
  a setting turns the permission checks of its agents off, bypass: the setting
  or the file that it is in; file is empty for the built-in team

EXIT STATUS
0 2`,
		Example: `  iris team ls
  iris team ls -q
  iris team ls --json | jq -r '.[] | select(.agent == "claude").dir'`,
		Args: between(0, 0, ""),
		RunE: runs(&opts, runTeamLs),
	}, opts.addFlags)
}

// teamView is a team as "team ls --json" prints it.
type teamView struct {
	Team        string `json:"team"`
	Dir         string `json:"dir"`
	Description string `json:"description"`
	Agent       string `json:"agent"`
	File        string `json:"file"`
	Line        int    `json:"line"`
	Bypass      string `json:"bypass,omitempty"`
}

func runTeamLs(_ context.Context, opts *teamLsOptions, _ []string, s streams) error {
	cfg, err := opts.loaded()
	if err != nil {
		return configError(err)
	}
	views := []teamView{}
	var rows [][]string
	home := os.Getenv("HOME")
	for _, name := range cfg.TeamNames() {
		t := cfg.Teams[name]
		v := teamView{t.Name, t.Dir, t.Description, t.Agent, t.File, t.Line, t.BypassFound()}
		views = append(views, v)
		rows = append(rows, []string{v.Team, tilde(v.Dir, home), v.Description, v.Bypass})
	}
	if opts.json {
		return terminal.JSON(s.out, views)
	}
	if opts.quiet {
		return printEach(s.out, views, func(v *teamView) string { return v.Team })
	}
	header := []string{"TEAM", "DIR", "DESCRIPTION", "NO PERMISSION CHECKS"}
	if !slices.ContainsFunc(views, func(v teamView) bool { return v.Bypass != "" }) {
		header = header[:3]
		for i := range rows {
			rows[i] = rows[i][:3]
		}
	}
	return terminal.FitTable(s.out, header, rows)
}

func newTeamRmCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:        "rm NAME",
		Short:      "Remove a team that was added",
		SuggestFor: []string{"remove", "delete", "del"},
		Long: `Remove a team that "iris team add" made: its file in conf.d, with all settings
that you added to it. Its directory is not touched.

Idle agents of the team are stopped, busy ones after their turn. Messages that
wait are held until the team is back or you cancel them, and its sessions are
kept. "iris kill" and "iris session reset" still know its name.

A team in the configuration file is refused; remove it there by hand. Commands
run by an agent cannot do this (2).

EXIT STATUS
0 2 3 4`,
		Example:           `  iris team rm api`,
		Args:              between(1, 1, "NAME"),
		ValidArgsFunction: completeAdded(g),
		RunE:              runs(g, runTeamRm),
	}
}

func runTeamRm(ctx context.Context, g *globals, args []string, s streams) error {
	paths, err := g.mayChange(ctx, "remove a team")
	if err != nil {
		return err
	}
	if _, err := config.RemoveTeam(paths, args[0]); err != nil {
		return configError(err)
	}
	if err := g.takeUpDone(ctx, s.err, fmt.Sprintf("team %s is removed", args[0])); err != nil {
		return err
	}
	terminal.Done(s.err, "team %s removed; its sessions are kept for a team of that name", args[0])
	return nil
}

// configError gives an error of package config its exit status.
func configError(err error) error {
	var problems config.Problems
	var unknown *config.UnknownTeamError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &problems):
		return ipc.Errorf(ipc.CodeUsage, "%s", problems)
	case errors.As(err, &unknown):
		return &ipc.Error{Code: ipc.CodeNotFound, Message: unknown.Error(), Data: &ipc.Data{Hint: unknown.Hint()}}
	}
	return usagef("", "%s", err)
}

// mayChange returns iris's files for a command that changes the configuration, and refuses
// it to agents; what says what the command does.
func (g *globals) mayChange(ctx context.Context, what string) (config.Paths, error) {
	p, err := g.paths()
	if err == nil {
		err = g.notByAgents(ctx, what)
	}
	return p, err
}

// notByAgents refuses commands that agents may not run and that change the
// configuration without the daemon: it asks the daemon whether the caller is an
// agent. Without a daemon the mark in the environment of agents decides. A daemon that
// hangs is an error: it could not take the change up.
func (g globals) notByAgents(ctx context.Context, what string) error {
	c, err := g.running().ofAnyConfig().verbs().Caller(ctx)
	if ctx.Err() != nil || ipc.ReasonOf(err) == "hung" { // nothing is changed yet
		return err
	}
	if err != nil {
		c.Agent = os.Getenv("IRIS_PROCESS")
	}
	if c.Agent == "" {
		return nil
	}
	return usagef("run it in a shell of your own", "an agent may not %s, and this command was started by one", what)
}
