package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/ipc"
)

type cancelOptions struct {
	*globals
	json bool
}

func (o *cancelOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.json, "json", false, "print one JSON object a line")
}

func newCancelCmd(g *globals) *cobra.Command {
	opts := cancelOptions{globals: g}
	cmd := &cobra.Command{
		Use:        "cancel ID...",
		Short:      "Take messages back, or interrupt their turns",
		SuggestFor: []string{"interrupt", "abort"},
		Long: `Cancel messages by their ids and print those ids, one a line. A message that
still waits is gone at once and never runs. A turn that runs is interrupted as
with Esc in Claude Code: what it has done stays done, its agent and conversation
are kept. Whoever waits for the answer gets status 5.

An id is what "iris send --detach" and "iris messages" print, what is on stderr
of a "send" whose wait ended, and the "message" of "iris ps --json". One that is
unknown or whose message has ended is status 4, one whose turn an earlier daemon
has left behind 75; the others are cancelled all the same. A message that waits
does so without a daemon too: one is started.

JSON
  one object a line: id, state; state is cancelled, or interrupting

EXIT STATUS
0 1 2 3 4 75`,
		Example: `  iris cancel 01m848j1qq28fxdd
  iris messages api --state queued -q | xargs iris cancel`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("usage: iris cancel ID...", "cancel needs the id of a message")
			}
			return nil
		},
		ValidArgsFunction: completeMessages(g, many, "queued", "running"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runCancel(cmd.Context(), opts, args, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

// runCancel cancels each message. One that is not there, or runs where nobody can
// reach it, keeps none of the others from it.
func runCancel(ctx context.Context, opts cancelOptions, ids []string, stdout, stderr io.Writer) error {
	var failed error
	for _, id := range ids {
		err := cancelOne(ctx, opts, id, stdout)
		if err == nil {
			continue
		}
		if failed != nil {
			report(stderr, failed)
		}
		failed = err
		if code := status(err); code != ipc.CodeNotFound && code != ipc.CodeFull {
			break
		}
	}
	return failed
}

func cancelOne(ctx context.Context, opts cancelOptions, id string, stdout io.Writer) error {
	var state ipc.MessageState
	if err := opts.call(ctx, ipc.MethodCancel, &ipc.MessageID{ID: id}, &state); err != nil {
		return err
	}
	return printState(stdout, &state, opts.json)
}
