package main

import (
	"cmp"
	"context"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/ipc"
)

func newSessionCmd(g *globals) *cobra.Command {
	return group(&cobra.Command{
		Use:        "session COMMAND",
		Short:      "List conversations, and forget one",
		SuggestFor: []string{"sessions", "conversation", "reset"},
		Long: `A conversation outlives its agent: the next message resumes it. It is bound to
the directory that it was begun in.

EXIT STATUS
0 1 2 3 4 75`,
		Example: `  iris session ls
  iris session reset api@review`,
	}, newSessionLsCmd(g), newSessionResetCmd(g))
}

type sessionLsOptions struct {
	*globals
	json bool
}

func (o *sessionLsOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.json, "json", false, "print a JSON array")
}

func newSessionLsCmd(g *globals) *cobra.Command {
	opts := sessionLsOptions{globals: g}
	cmd := &cobra.Command{
		Use:        "ls",
		Short:      "List the conversations",
		SuggestFor: []string{"list", "show"},
		Long: `List the conversations on record, by team and session.

JSON
  an array of objects: team, session, session_id, dir, created

EXIT STATUS
0 1 2 3`,
		Example: `  iris session ls
  iris session ls --json | jq -r '.[] | select(.team == "api").session_id'`,
		Args: between(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runSessionLs(cmd.Context(), opts, cmd.OutOrStdout())
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func runSessionLs(ctx context.Context, opts sessionLsOptions, stdout io.Writer) error {
	var list ipc.ConversationList
	if err := opts.call(ctx, ipc.MethodSessions, nil, &list); err != nil {
		return err
	}
	if opts.json {
		return printJSON(stdout, list.Conversations)
	}
	var rows [][]string
	home := os.Getenv("HOME")
	for _, c := range list.Conversations {
		rows = append(rows, []string{
			tilde(c.Team, home), cmp.Or(c.Session, "-"), c.SessionID, c.Created.Local().Format(time.DateTime), tilde(c.Dir, home),
		})
	}
	return printTable(stdout, []string{"TEAM", "SESSION", "ID", "CREATED", "DIR"}, rows)
}

func newSessionResetCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:        "reset TEAM[@SESSION]",
		Short:      "Forget a conversation, so that the next message begins a new one",
		SuggestFor: []string{"rm", "remove", "clear", "new"},
		Long: `Forget a conversation: its idle agent is stopped, and the next message begins a
new one. Claude Code's own transcript of it stays where it is. An agent in the
middle of a turn is in the way; "iris kill" ends it.

EXIT STATUS
0 1 2 3 4 75`,
		Example:           `  iris session reset api@review`,
		Args:              between(1, 1, "TEAM[@SESSION]"),
		ValidArgsFunction: completeTeams(g),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runSessionReset(cmd.Context(), g, args[0])
		},
	}
}

func runSessionReset(ctx context.Context, g *globals, arg string) error {
	team, session, err := parseTarget(arg)
	if err != nil {
		return err
	}
	return g.call(ctx, ipc.MethodReset, &ipc.Target{Team: team, Session: session}, nil)
}
