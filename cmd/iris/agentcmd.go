package main

import (
	"context"
	"io"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"iris/pool/adapter"
	"iris/pool/echo"
)

// newAgentCmd makes the commands that the daemon starts the agents with that are no Claude
// Code.
func newAgentCmd(*globals) *cobra.Command {
	return group(&cobra.Command{
		Use:    "agent",
		Short:  "Run an agent that is no Claude Code",
		Hidden: true,
	},
		agentCmd("echo", "Run the agent that repeats what it is told", echo.Run),
		agentCmd("acp", "Run a program that speaks the Agent Client Protocol", speaking("acp")),
		agentCmd("codex", "Run codex app-server", speaking("codex")),
	)
}

// A runAgent is the whole of an agent: it returns the exit status.
type runAgent func(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int

func speaking(protocol string) runAgent {
	return func(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
		return adapter.Run(ctx, protocol, args, stdin, stdout, stderr)
	}
}

func agentCmd(name, short string, run runAgent) *cobra.Command {
	return &cobra.Command{
		Use:                name,
		Short:              short,
		Hidden:             true,
		DisableFlagParsing: true, // the flags are Claude Code's
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), heeded(syscall.SIGTERM, syscall.SIGINT)...)
			defer stop()
			if code := run(ctx, args, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()); code != 0 {
				return silentError(code)
			}
			return nil
		},
	}
}
