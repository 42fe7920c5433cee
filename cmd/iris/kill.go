package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/ipc"
)

type killOptions struct {
	*globals
	all  bool
	json bool
}

func (o *killOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.all, "all", false, "stop every agent")
	f.BoolVar(&o.json, "json", false, "print one JSON object")
}

func newKillCmd(g *globals) *cobra.Command {
	opts := killOptions{globals: g}
	cmd := &cobra.Command{
		Use:        "kill TEAM[@SESSION] | --all",
		Short:      "Stop agents now",
		SuggestFor: []string{"stop", "terminate", "rm"},
		Long: `Stop agents now and print which ones, a TEAM[@SESSION] a line.

A running turn fails: its caller gets status 5. The conversation is kept, the
next message resumes it; messages that wait go on waiting. TEAM alone stops the
team's own agent and those of all its sessions. "iris evict" stops idle agents
only.` + stoppedJSON + `

EXIT STATUS
0 2 3 4`,
		Example: `  iris kill api
  iris kill api@review
  iris kill --all`,
		Args: func(_ *cobra.Command, args []string) error {
			if opts.all != (len(args) == 0) || len(args) > 1 {
				return usagef("usage: iris kill TEAM[@SESSION], or iris kill --all", "kill needs one team or --all")
			}
			return nil
		},
		ValidArgsFunction: completeTeams(g),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runKill(cmd.Context(), opts, args, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func runKill(ctx context.Context, opts killOptions, args []string, stdout, stderr io.Writer) error {
	target := ipc.Target{All: true}
	none := ipc.Errorf(ipc.CodeNotFound, "no agent is running")
	if !opts.all {
		var err error
		if target, err = parseAgents(args[0]); err != nil {
			return err
		}
		none = notRunning(args[0])
	}
	var stopped ipc.Stopped
	if err := opts.runningOnly(ctx, ipc.MethodKill, &target, &stopped, none); err != nil {
		return err
	}
	return printStopped(stdout, stderr, opts.json, stopped, none)
}
