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

// newAgentCmd makes the commands about agents that are no Claude Code. The daemon starts
// them with the hidden ones.
func newAgentCmd(*globals) *cobra.Command {
	return group(&cobra.Command{
		Use:   "agent",
		Short: "Check a program that is to be an agent",
		Long: `Agents are Claude Code, programs that speak the Agent Client Protocol, codex, or
any program that speaks as iris-agent(7) says.

EXIT STATUS
0 1 2`,
		Example: `  iris agent check -- my-agent`,
	},
		newAgentCheckCmd(),
		agentCmd("echo", "Run the agent that repeats what it is told", echo.Run),
		agentCmd("acp", "Run a program that speaks the Agent Client Protocol", speaking("acp")),
		agentCmd("codex", "Run codex app-server", speaking("codex")),
	)
}

func newAgentCheckCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "check -- COMMAND [ARG...]",
		Short: "Check whether a program can be an agent",
		Long: `Start a program twice as iris starts an agent, and check that it speaks as
iris-agent(7) says: requests, three short turns, an interrupt, and the end of
its input in a turn. The model of the program is asked, and may cost something.
The flags of an agent come before a -- in COMMAND, or at its end.

It prints a line for each promise, "ok" or "FAIL" and why, and ends at the first
failure.

EXIT STATUS
0 1 2`,
		Example: `  iris agent check -- my-agent --its-flag
  iris agent check -- iris agent acp -- opencode acp
  iris agent check -- iris agent codex -- codex`,
		Args: between(1, many, "-- COMMAND [ARG...]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), heeded(syscall.SIGTERM, syscall.SIGINT)...)
			defer stop()
			return adapter.Check(ctx, args, cmd.OutOrStdout())
		},
	}
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
