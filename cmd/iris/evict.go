package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"iris/ipc"
)

func newEvictCmd(g *globals) *cobra.Command {
	opts := stopOptions{globals: g}
	cmd := &cobra.Command{
		Use:   "evict [TEAM[@SESSION]]",
		Short: "Stop idle agents to free their memory",
		Long: `Stop idle agents and print which ones, a TEAM[@SESSION] a line. The
conversation is kept: the next message resumes it.

Without an argument the least recently used idle agent goes, as when room is
needed. TEAM alone stands for the team's own conversation; --sessions adds those
of its sessions. A running turn is never touched: a busy agent goes when its
turn is over, and stderr says so. "iris kill" stops it now.` + stoppedJSON + `

EXIT STATUS
0 2 3 4`,
		Example: `  iris evict
  iris evict api
  iris ps -q | xargs -I{} iris evict {}`,
		Args: func(cmd *cobra.Command, args []string) error {
			if opts.sessions && len(args) == 0 {
				return usagef("usage: iris evict TEAM --sessions", "--sessions needs a team")
			}
			return between(0, 1, "[TEAM[@SESSION]]")(cmd, args)
		},
		ValidArgsFunction: completeTeams(g),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runEvict(cmd.Context(), opts, args, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func runEvict(ctx context.Context, opts stopOptions, args []string, stdout, stderr io.Writer) error {
	target := ipc.Target{Oldest: true}
	none := ipc.Errorf(ipc.CodeNotFound, "no agent is idle")
	if len(args) == 1 {
		var err error
		if target, err = opts.target(args[0]); err != nil {
			return err
		}
		none = notRunning(args[0])
	}
	var stopped ipc.Stopped
	if err := opts.runningOnly(ctx, ipc.MethodEvict, &target, &stopped, none); err != nil {
		return orDirectory(target.Team, err)
	}
	return printStopped(stdout, stderr, opts.json, stopped, none)
}
