package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/ipc"
)

type wakeOptions struct {
	*globals
	json bool
}

func (o *wakeOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.json, "json", false, "print the agent as one JSON object")
}

func newWakeCmd(g *globals) *cobra.Command {
	opts := wakeOptions{globals: g}
	cmd := &cobra.Command{
		Use:        "wake TEAM[@SESSION]",
		Short:      "Start an agent ahead of its first message",
		SuggestFor: []string{"warm"},
		Long: `Start the agent of a team, or leave it as it is when it lives, and return when
it is ready. When the pool is full the least recently used idle agent makes
room; when all are busy it waits for one.

JSON
  one object as "iris ps --json" prints it

EXIT STATUS
0 1 2 3 4 5 8 75`,
		Example:           `  iris wake api && iris send api "good morning"`,
		Args:              between(1, 1, "TEAM[@SESSION]"),
		ValidArgsFunction: completeTeams(g),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runWake(cmd.Context(), opts, args[0], cmd.OutOrStdout())
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func runWake(ctx context.Context, opts wakeOptions, arg string, stdout io.Writer) error {
	team, session, err := parseTarget(arg)
	if err != nil {
		return err
	}
	c, err := opts.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	var p ipc.Process
	if err := c.Call(ctx, ipc.MethodWake, &ipc.Target{Team: team, Session: session}, &p); err != nil {
		return orDirectory(team, err)
	}
	if opts.json {
		return printJSON(stdout, &p)
	}
	return nil
}
