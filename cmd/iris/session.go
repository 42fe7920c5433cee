package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/cmd/iris/internal/terminal"
	"iris/ipc"
)

func newSessionCmd(g *globals) *cobra.Command {
	return group(&cobra.Command{
		Use:        "session COMMAND",
		Short:      "List, rewind and forget sessions",
		SuggestFor: []string{"sessions", "conversation", "reset", "rewind"},
		Long: `List sessions, rewind a session, or forget it. A session outlives its agent: the
next message resumes it.

When the directory of its team has changed, the session goes on in the new
directory if this version of Claude Code can do that; otherwise the message
fails and says so. The same holds for a directory that is a link and has moved.

EXIT STATUS
0 1 2 3 4 75`,
		Example: `  iris session ls
  iris session reset api@review`,
	}, newSessionLsCmd(g), newSessionRewindCmd(g), newSessionResetCmd(g))
}

type sessionLsOptions struct {
	jsonOptions
	quiet bool
}

func (o *sessionLsOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print TEAM[@SESSION] only, as other commands take it")
	o.addListFlags(f)
}

func newSessionLsCmd(g *globals) *cobra.Command {
	opts := sessionLsOptions{jsonOptions: jsonOptions{globals: g}}
	return withFlags(&cobra.Command{
		Use:        "ls",
		Short:      "List the sessions",
		SuggestFor: []string{"list", "show"},
		Long: `List the sessions on record, by team and session. ATTACHED is the process of
"iris attach", where somebody has a session in a terminal.

JSON
  an array of objects: team, session, session_id, dir, created and, while
  somebody has the session in a terminal (iris attach), attached_pid

EXIT STATUS
0 1 2 3`,
		Example: `  iris session ls
  iris session ls --json | jq -r '.[] | select(.team == "api").session_id'`,
		Args: between(0, 0, ""),
		RunE: runs(&opts, runSessionLs),
	}, opts.addFlags)
}

func runSessionLs(ctx context.Context, opts *sessionLsOptions, _ []string, s streams) error {
	list, err := opts.verbs().Sessions(ctx)
	if err != nil {
		return err
	}
	if opts.json {
		return terminal.JSON(s.out, list)
	}
	if opts.quiet {
		return printEach(s.out, list, func(c *ipc.Conversation) string { return ipc.Name(c.Team, c.Session) })
	}
	header := []string{"TEAM", "SESSION", "ID", "CREATED", "DIR"}
	attached := slices.ContainsFunc(list, func(c ipc.Conversation) bool { return c.Attached != 0 })
	if attached {
		header = append(header, "ATTACHED")
	}
	var rows [][]string
	home := os.Getenv("HOME")
	for _, c := range list {
		row := []string{tilde(c.Team, home), cmp.Or(c.Session, "-"), c.SessionID, c.Created.Local().Format(time.DateTime), tilde(c.Dir, home)}
		switch {
		case c.Attached != 0:
			row = append(row, fmt.Sprintf("pid %d", c.Attached))
		case attached:
			row = append(row, "-")
		}
		rows = append(rows, row)
	}
	return terminal.Table(s.out, header, rows)
}

func newSessionResetCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:        "reset TEAM[@SESSION]",
		Short:      "Forget a session, so that the next message begins anew",
		SuggestFor: []string{"rm", "remove", "clear", "new"},
		Long: `Forget the conversation of a session: its idle agent is stopped, and the next
message begins a new conversation. Claude Code's transcript stays where it is.

During a turn the command is refused; "iris kill" ends the agent.

EXIT STATUS
0 1 2 3 4 75`,
		Example:           `  iris session reset api@review`,
		Args:              between(1, 1, "TEAM[@SESSION]"),
		ValidArgsFunction: completeTeams(g),
		RunE:              runs(g, runSessionReset),
	}
}

func runSessionReset(ctx context.Context, g *globals, args []string, s streams) error {
	team, session, err := parseTarget(args[0])
	if err != nil {
		return err
	}
	if _, err = g.verbs().Reset(ctx, ipc.Target{Team: team, Session: session}); err == nil {
		terminal.Done(s.err, "the next message to %s begins a new conversation", ipc.Name(team, session))
	}
	return err
}

type sessionRewindOptions struct {
	*globals
	turns int
	json  bool
}

func (o *sessionRewindOptions) addFlags(f *pflag.FlagSet) {
	f.IntVarP(&o.turns, "turns", "n", 0, "take back this many turns; by default the last turn and the refused turns before it")
	f.BoolVar(&o.json, "json", false, "print a JSON object")
}

func newSessionRewindCmd(g *globals) *cobra.Command {
	opts := sessionRewindOptions{globals: g}
	return withFlags(&cobra.Command{
		Use:        "rewind TEAM[@SESSION]",
		Short:      "Take back the last turn of a session",
		SuggestFor: []string{"undo", "back"},
		Long: `Take back the last turn of a session, and the turns right before it that the API
refused: an unreadable picture, for example, is in every request after it. The
next message goes on before those turns.

The idle agent of the session is stopped. What the turns did to files stays, and
so do their messages and answers on record. During a turn the command is
refused.

JSON
  an object: team, session, session_id, turns (taken back), last (the last
  message of the session after that)

EXIT STATUS
0 1 2 3 4 75`,
		Example: `  iris session rewind api@review
  iris session rewind -n 3 api`,
		Args:              between(1, 1, "TEAM[@SESSION]"),
		ValidArgsFunction: completeTeams(g),
		RunE:              runs(&opts, runSessionRewind),
	}, opts.addFlags)
}

func runSessionRewind(ctx context.Context, opts *sessionRewindOptions, args []string, s streams) error {
	team, session, err := parseTarget(args[0])
	if err != nil {
		return err
	}
	if opts.turns < 0 {
		return usagef("", "--turns: %d is negative", opts.turns)
	}
	r, err := opts.verbs().Rewind(ctx, ipc.Rewind{Team: team, Session: session, Turns: opts.turns})
	if err != nil {
		return err
	}
	if opts.json {
		return terminal.JSON(s.out, r)
	}
	_, err = fmt.Fprintf(s.out, "%s taken back, the last message is now: %s\n", plural(r.Turns, "turn"), terminal.Clip(terminal.Escape(r.Last), 60))
	return err
}
