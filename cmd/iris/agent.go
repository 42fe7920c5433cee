package main

import (
	"context"
	"io"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"iris/pool/echo"
)

// newAgentCmd is how the daemon starts the agents that are built in.
func newAgentCmd(*globals) *cobra.Command {
	return group(&cobra.Command{
		Use:    "agent",
		Short:  "Run a built-in agent",
		Hidden: true,
	}, &cobra.Command{
		Use:                "echo",
		Short:              "Run the agent that repeats what it is told",
		Hidden:             true,
		DisableFlagParsing: true, // they are Claude Code's
		RunE: func(cmd *cobra.Command, args []string) error {
			return runEcho(cmd.Context(), args, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	})
}

func runEcho(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if code := echo.Run(ctx, args, stdin, stdout, stderr); code != 0 {
		return silentError(code)
	}
	return nil
}
