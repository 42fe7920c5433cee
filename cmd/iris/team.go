package main

import (
	"context"
	"errors"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/cmd/iris/internal/terminal"
	"iris/config"
	"iris/ipc"
)

func newTeamCmd(g *globals) *cobra.Command {
	return group(&cobra.Command{
		Use:        "team COMMAND",
		Short:      "Add, list and remove teams",
		SuggestFor: []string{"teams", "project", "projects", "remove", "delete"},
		Long: `Add, list and remove teams. A team is a named project directory, in a file of
its own in conf.d beside the configuration file.

Comments of yours in the configuration file are never lost. Other settings of a
team go into its file by hand; iris-config(5) describes them.

EXIT STATUS
0 2 3 4`,
		Example: `  iris team add api ~/src/api
  iris team ls`,
	}, newTeamAddCmd(g), newTeamLsCmd(g), newTeamRmCmd(g))
}

type teamAddOptions struct {
	*globals
	description string
	force       bool
}

func (o *teamAddOptions) addFlags(f *pflag.FlagSet) {
	textVar(f, &o.description, "description", "TEXT", "what the team is for, shown in lists")
	f.BoolVar(&o.force, "force", false, "replace an added team or the built-in one")
}

func newTeamAddCmd(g *globals) *cobra.Command {
	opts := teamAddOptions{globals: g}
	return withFlags(&cobra.Command{
		Use:   "add NAME DIR",
		Short: "Add a team",
		Long: `Add a team with this project directory. A name is 1 to 63 letters, digits, ".",
"_" or "-" and begins with a letter, a digit or "_".

--force replaces a team that was added before. A file with anything else in it,
such as settings or comments of your own, is never replaced: edit it.

Commands run by an agent cannot do this (2).

EXIT STATUS
0 2 3`,
		Example: `  iris team add api ~/src/api
  iris team add docs . --description "the manual"`,
		Args: between(2, 2, "NAME DIR"),
		RunE: runs(&opts, runTeamAdd),
	}, opts.addFlags)
}

func runTeamAdd(ctx context.Context, opts *teamAddOptions, args []string, _ streams) error {
	paths, err := opts.paths()
	if err != nil {
		return err
	}
	if err := opts.notByAgents(ctx, "add a team"); err != nil {
		return err
	}
	if _, err := config.AddTeam(paths, args[0], args[1], config.TeamOptions{Description: opts.description, Force: opts.force}); err != nil {
		return configError(err)
	}
	return opts.takeUp(ctx)
}

// takeUp makes a running daemon reload before the command ends: by itself it would
// notice the change only at its next call. A daemon with another configuration need
// not reload.
func (g globals) takeUp(ctx context.Context) error {
	_, err := g.running().verbs().Reload(ctx)
	if errors.Is(err, ipc.ErrNoDaemon) || reasonOf(err) == "other-configuration" {
		return nil
	}
	return err
}

func newTeamLsCmd(g *globals) *cobra.Command {
	opts := jsonOptions{globals: g}
	return withFlags(&cobra.Command{
		Use:        "ls",
		Short:      "List the teams",
		SuggestFor: []string{"list", "show"},
		Long: `List the teams of the configuration, sorted by name. If a setting turns the
permission checks of Claude Code off for a team, a column names the setting.

JSON
  an array of objects: team, dir, description, agent, file, line and, where
  a setting turns the permission checks of its agents off, bypass: the setting
  or the file that it is in; file is empty for the built-in team

EXIT STATUS
0 2`,
		Example: `  iris team ls
  iris team ls --json | jq -r '.[].team'`,
		Args: between(0, 0, ""),
		RunE: runs(&opts, runTeamLs),
	}, opts.addListFlags)
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

func runTeamLs(_ context.Context, opts *jsonOptions, _ []string, s streams) error {
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

func runTeamRm(ctx context.Context, g *globals, args []string, _ streams) error {
	paths, err := g.paths()
	if err != nil {
		return err
	}
	if err := g.notByAgents(ctx, "remove a team"); err != nil {
		return err
	}
	if _, err := config.RemoveTeam(paths, args[0]); err != nil {
		return configError(err)
	}
	return g.takeUp(ctx)
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

// notByAgents refuses commands that agents may not run and that change the
// configuration without the daemon: it asks the daemon whether the caller is an
// agent. Without a daemon the mark in the environment of agents decides.
func (g globals) notByAgents(ctx context.Context, what string) error {
	c, err := g.running().ofAnyConfig().verbs().Caller(ctx)
	if err != nil {
		c.Agent = os.Getenv("IRIS_PROCESS")
	}
	if c.Agent == "" {
		return nil
	}
	return usagef("run it in a shell of your own", "an agent may not %s, and this command was started by one", what)
}
