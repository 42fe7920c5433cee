package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/ipc"
)

type resolveOptions struct {
	*globals
	as   string
	note string
	json bool
}

var resolveWords = []string{"done", "failed", "cancelled"}

func (o *resolveOptions) addFlags(f *pflag.FlagSet) {
	f.Var(wordFlag{&o.as, resolveWords}, "as", "how it ended: done, failed or cancelled")
	textVar(f, &o.note, "note", "TEXT", "how you know, for \"iris show\"")
	f.BoolVar(&o.json, "json", false, "print one JSON object")
}

func newResolveCmd(g *globals) *cobra.Command {
	opts := resolveOptions{globals: g}
	cmd := &cobra.Command{
		Use:   "resolve ID --as done|failed|cancelled",
		Short: "Say how a message ended that is unknown",
		Long: `Say how a message ended of which iris cannot prove it, once you have looked, and
print its id. The message keeps a record of that. Nothing is run: "iris retry"
has it run again.

A conversation whose message was sent with --on-unknown hold goes on then. What
an agent has started may not do this (2).

JSON
  id, state

EXIT STATUS
0 1 2 3 4 75`,
		Example: `  iris messages --state unknown
  iris resolve 01m848j1qq28fxdd --as done --note "the commit is there"`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := between(1, 1, "ID --as done|failed|cancelled")(cmd, args); err != nil {
				return err
			}
			if opts.as == "" {
				return usagef("usage: iris resolve ID --as done|failed|cancelled", "resolve needs --as")
			}
			return nil
		},
		ValidArgsFunction: completeMessages(g, 1, "unknown"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runResolve(cmd.Context(), opts, args[0], cmd.OutOrStdout())
		},
	}
	opts.addFlags(cmd.Flags())
	completeWords(cmd, "as", resolveWords)
	return cmd
}

func runResolve(ctx context.Context, opts resolveOptions, id string, stdout io.Writer) error {
	var state ipc.MessageState
	if err := opts.call(ctx, ipc.MethodResolve, &ipc.Resolve{ID: id, State: opts.as, Note: opts.note}, &state); err != nil {
		return err
	}
	return printState(stdout, &state, opts.json)
}
