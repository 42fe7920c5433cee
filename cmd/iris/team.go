package main

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/config"
	"iris/ipc"
)

func newTeamCmd(g *globals) *cobra.Command {
	return group(&cobra.Command{
		Use:        "team COMMAND",
		Short:      "Add, list and remove teams",
		SuggestFor: []string{"teams", "project", "projects", "remove", "delete"},
		Long: `A team is a named project directory. "iris team add" writes it into a file of
its own in conf.d beside the configuration file, so that nobody's comments are
lost; everything else a team may have is added there, as iris-config(5) says.

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
	f.BoolVar(&o.force, "force", false, "replace a team that was added before, or the built-in one")
}

func newTeamAddCmd(g *globals) *cobra.Command {
	opts := teamAddOptions{globals: g}
	cmd := &cobra.Command{
		Use:   "add NAME DIR",
		Short: "Add a team",
		Long: `Add a team with that project directory. A name is 1 to 63 letters, digits, ".",
"_" or "-" and begins with a letter, a digit or "_".

--force replaces a team that was added before. A file that holds anything else,
such as settings or comments of your own, is never replaced: edit it.

What an agent has started may not do this (2).

EXIT STATUS
0 2 3`,
		Example: `  iris team add api ~/src/api
  iris team add docs . --description "the manual"`,
		Args: between(2, 2, "NAME DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runTeamAdd(cmd.Context(), opts, args[0], args[1])
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func runTeamAdd(ctx context.Context, opts teamAddOptions, name, dir string) error {
	paths, err := opts.paths()
	if err != nil {
		return err
	}
	if err := opts.notByAgents(ctx, "add a team"); err != nil {
		return err
	}
	if _, err := config.AddTeam(paths, name, dir, config.TeamOptions{Description: opts.description, Force: opts.force}); err != nil {
		return configError(err)
	}
	return opts.takeUp(ctx)
}

// takeUp has a running daemon know of a change before the command ends: it
// would notice by itself, but not before the next command. A daemon that runs
// with another configuration has nothing to take up.
func (g globals) takeUp(ctx context.Context) error {
	g.noStart = true
	err := g.call(ctx, ipc.MethodReload, nil, nil)
	if errors.Is(err, ipc.ErrNoDaemon) || reasonOf(err) == "other-configuration" {
		return nil
	}
	return err
}

type teamLsOptions struct {
	*globals
	json bool
}

func (o *teamLsOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.json, "json", false, "print a JSON array")
}

func newTeamLsCmd(g *globals) *cobra.Command {
	opts := teamLsOptions{globals: g}
	cmd := &cobra.Command{
		Use:        "ls",
		Short:      "List the teams",
		SuggestFor: []string{"list", "show"},
		Long: `List the teams of the configuration, sorted by name. Where something turns the
permission checks of Claude Code off for a team, a column says what.

JSON
  an array of objects: team, dir, description, agent, file, line and, where
  something turns the permission checks of its agents off, bypass: what it is,
  or the file of settings that it is in; file is empty for the built-in team

EXIT STATUS
0 2`,
		Example: `  iris team ls
  iris team ls --json | jq -r '.[].team'`,
		Args: between(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runTeamLs(opts, cmd.OutOrStdout())
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
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

func runTeamLs(opts teamLsOptions, stdout io.Writer) error {
	paths, err := opts.paths()
	if err != nil {
		return err
	}
	cfg, err := config.Load(paths)
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
		return printJSON(stdout, views)
	}
	header := []string{"TEAM", "DIR", "DESCRIPTION", "NO PERMISSION CHECKS"}
	if !slices.ContainsFunc(views, func(v teamView) bool { return v.Bypass != "" }) {
		header = header[:3]
		for i := range rows {
			rows[i] = rows[i][:3]
		}
	}
	fit(widthOf(stdout, 0), header, rows)
	return printTable(stdout, header, rows)
}

func newTeamRmCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:        "rm NAME",
		Short:      "Remove a team that was added",
		SuggestFor: []string{"remove", "delete", "del"},
		Long: `Remove a team that "iris team add" made: its file in conf.d, with all that you
have added to it. Its directory is not touched. A team that you wrote into the
configuration file is refused; take it out of there.

What an agent has started may not do this (2).

EXIT STATUS
0 2 3 4`,
		Example:           `  iris team rm api`,
		Args:              between(1, 1, "NAME"),
		ValidArgsFunction: completeAdded(g),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runTeamRm(cmd.Context(), g, args[0])
		},
	}
}

func runTeamRm(ctx context.Context, g *globals, name string) error {
	paths, err := g.paths()
	if err != nil {
		return err
	}
	if err := g.notByAgents(ctx, "remove a team"); err != nil {
		return err
	}
	if _, err := config.RemoveTeam(paths, name); err != nil {
		return configError(err)
	}
	return g.takeUp(ctx)
}

// configError gives what package config refuses its exit status.
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
