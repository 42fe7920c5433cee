package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/ipc"
)

type resultOptions struct {
	*globals
	last string
	json bool
	raw  bool
}

func (o *resultOptions) addFlags(f *pflag.FlagSet) {
	textVar(f, &o.last, "last", "TEAM[@SESSION]", "of the last message of that conversation that has ended")
	f.BoolVar(&o.json, "json", false, "print the whole reply as one JSON object, also when it failed")
	f.BoolVar(&o.raw, "raw", false, "on a terminal too, print the answer as it is")
}

func newResultCmd(g *globals) *cobra.Command {
	opts := resultOptions{globals: g}
	cmd := &cobra.Command{
		Use:        "result ID | --last TEAM[@SESSION]",
		Short:      "Print the answer of a message that has ended",
		SuggestFor: []string{"answer", "reply", "output"},
		Long: `Print the answer of a message that has ended, as "iris send" would have, and end
with the same status. It does not wait: a message that still waits or runs is
status 75; "iris wait" waits for it.

--last names a conversation instead, whose last message that has ended is meant.
TEAM alone stands for the team's own conversation.

JSON
  one object as "iris send --json" prints it

EXIT STATUS
0 1 2 3 4 5 6 7 8 9 10 11 12 13 75`,
		Example: `  iris result 01m848j1qq28fxdd
  iris result --last api@review
  iris result --json --last api | jq .cost_usd`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 || (opts.last == "") != (len(args) == 1) {
				return usagef("usage: iris result ID, or iris result --last TEAM[@SESSION]", "result needs the id of one message or --last")
			}
			return nil
		},
		ValidArgsFunction: completeMessages(g, 1, endedStates...),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runResult(cmd.Context(), opts, args, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	opts.addFlags(cmd.Flags())
	cmd.RegisterFlagCompletionFunc("last", completeTeams(g))
	return cmd
}

func runResult(ctx context.Context, opts resultOptions, args []string, stdout, stderr io.Writer) error {
	which, err := opts.which(args)
	if err != nil {
		return err
	}
	var reply ipc.Reply
	err = orDirectory(which.Team, opts.call(ctx, ipc.MethodResult, &which, &reply))
	if opts.json {
		none := noReply{ID: which.ID, Team: which.Team, Session: which.Session}
		if err != nil && which.ID != "" {
			none.Team, none.Session = opts.whose(ctx, which.ID)
		}
		return printReplyJSON(stdout, none, &reply, err)
	}
	if err != nil {
		return err
	}
	return printReply(stdout, stderr, &reply, opts.raw)
}

func (o *resultOptions) which(args []string) (ipc.Which, error) {
	if len(args) == 1 {
		return ipc.Which{ID: args[0]}, nil
	}
	team, session, err := parseTarget(o.last)
	return ipc.Which{Team: team, Session: session}, err
}
