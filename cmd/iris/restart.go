package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"iris/ipc"
)

func newRestartCmd(g *globals) *cobra.Command {
	opts := stopOptions{globals: g}
	cmd := &cobra.Command{
		Use:   "restart TEAM[@SESSION]",
		Short: "Replace agents by new ones between turns",
		Long: `Stop idle agents now and busy ones when their turn is over, and print which ones
are stopped, a TEAM[@SESSION] a line. The next message starts a new agent, which
goes on with the same conversation. TEAM alone stands for the team's own
conversation; --sessions adds those of its sessions.

Changes of CLAUDE.md, settings, .mcp.json, the team's configuration or the
program itself do the same by themselves.` + stoppedJSON + `

EXIT STATUS
0 2 3 4`,
		Example:           `  iris restart api`,
		Args:              between(1, 1, "TEAM[@SESSION]"),
		ValidArgsFunction: completeTeams(g),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRestart(cmd.Context(), opts, args[0], cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func runRestart(ctx context.Context, opts stopOptions, team string, stdout, stderr io.Writer) error {
	target, err := opts.target(team)
	if err != nil {
		return err
	}
	none := notRunning(team)
	var stopped ipc.Stopped
	if err := opts.runningOnly(ctx, ipc.MethodRestart, &target, &stopped, none); err != nil {
		return orDirectory(target.Team, err)
	}
	return printStopped(stdout, stderr, opts.json, stopped, none)
}
