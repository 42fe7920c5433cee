package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"iris/cmd/iris/internal/terminal"
	"iris/config"
	"iris/ipc"
)

func newTeamShowCmd(g *globals) *cobra.Command {
	opts := jsonOptions{globals: g}
	return withFlags(&cobra.Command{
		Use:        "show TEAM",
		Short:      "Show the settings of a team and its sessions",
		SuggestFor: []string{"get", "info", "describe", "status"},
		Long: `Show every setting that is in force for a team with its source: a file and line,
a variable of the environment, or the default; then the sessions on record. TEAM
may be a directory, also one that is no team.

JSON
  an object: team, dir, file and line (empty and 0 where no file defines it),
  settings (an array: key, value as in TOML, source) and sessions (an array as
  "iris session ls" prints it)

EXIT STATUS
0 1 2 3 4`,
		Example: `  iris team show api
  iris team show .`,
		Args:              between(1, 1, "TEAM"),
		ValidArgsFunction: completeTeams(g),
		RunE:              runs(&opts, runTeamShow),
	}, opts.addFlags)
}

// teamDetails is a team as "team show --json" prints it.
type teamDetails struct {
	Team     string             `json:"team"`
	Dir      string             `json:"dir"`
	File     string             `json:"file"`
	Line     int                `json:"line"`
	Settings []settingView      `json:"settings"`
	Sessions []ipc.Conversation `json:"sessions"`
}

func runTeamShow(ctx context.Context, opts *jsonOptions, args []string, s streams) error {
	name, session, err := parseTarget(args[0])
	if err == nil && session != "" {
		err = usagef("\"iris session ls\" lists the sessions", "a session has no settings of its own")
	}
	if err != nil {
		return err
	}
	cfg, err := opts.loaded()
	if err != nil {
		return configError(err)
	}
	t, err := cfg.Lookup(name)
	if err != nil {
		return configError(err)
	}
	d := teamDetails{Team: t.Name, Dir: t.Dir, File: t.File, Line: t.Line}
	for _, found := range cfg.ShowTeam(t) {
		d.Settings = append(d.Settings, settingView(found))
	}
	all, err := opts.verbs().Sessions(ctx)
	if err != nil && !errors.Is(err, ipc.ErrNoDaemon) { // --no-start: the settings need no daemon
		return err
	}
	d.Sessions = orEmpty(slices.DeleteFunc(all, func(c ipc.Conversation) bool { return c.Team != t.Name }))
	if opts.json {
		return terminal.JSON(s.out, &d)
	}
	return printTeam(s, &d)
}

func printTeam(s streams, d *teamDetails) error {
	var rows [][]string
	home := os.Getenv("HOME")
	for _, v := range d.Settings {
		rows = append(rows, []string{v.Key, v.Value, tilde(v.Source, home)})
	}
	if err := terminal.Table(s.out, []string{"KEY", "VALUE", "SOURCE"}, rows); err != nil || len(d.Sessions) == 0 {
		return err
	}
	rows = nil
	for _, c := range d.Sessions {
		rows = append(rows, []string{cmp.Or(c.Session, "-"), c.SessionID, c.Created.Local().Format(time.DateTime)})
	}
	if _, err := s.out.Write([]byte("\n")); err != nil {
		return err
	}
	return terminal.Table(s.out, []string{"SESSION", "ID", "CREATED"}, rows)
}

func newTeamRenameCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:        "rename NAME NEW",
		Short:      "Give a team another name",
		SuggestFor: []string{"mv", "move"},
		Long: `Give a team another name, in its file and for its sessions: they go on under the
new name. The directory and all settings stay.

While a message of the team waits or runs, it is not renamed (75). Messages that
have ended keep the name that they were sent to. Scripts and other settings that
use the old name are yours to change.

Commands run by an agent cannot do this (2).

EXIT STATUS
0 1 2 3 4 75`,
		Example:           `  iris team rename api shop`,
		Args:              between(2, 2, "NAME NEW"),
		ValidArgsFunction: completeTeams(g),
		RunE:              runs(g, runTeamRename),
	}
}

func runTeamRename(ctx context.Context, g *globals, args []string, s streams) error {
	paths, err := g.mayChange(ctx, "rename a team")
	if err != nil {
		return err
	}
	from, to := args[0], args[1]
	cfg, err := config.Load(paths)
	if err == nil {
		err = cfg.MayRename(from, to)
	}
	if err != nil {
		return configError(err)
	}
	next := successor{globals: g, from: from, to: to}
	if err := next.check(ctx); err != nil {
		return err
	}
	if _, err := config.RenameTeam(paths, from, to); err != nil {
		return configError(err)
	}
	err = g.takeUp(ctx)
	if err == nil {
		_, err = next.take(ctx)
	}
	if err != nil { // such as a message that has just come
		if _, back := config.RenameTeam(paths, to, from); back != nil {
			say(s.err, "the team is called %s now, without its sessions: %s", to, back)
		}
		g.takeUp(ctx)
		return err
	}
	terminal.Done(s.err, "team %s is called %s now, and so are its sessions", from, to)
	return nil
}
