package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func newDaemonSettleCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "settle",
		Short: "Wait for the agents of a daemon that is gone, and end those that hang",
		Long: `Wait until the agents that a daemon has left behind have finished their turns,
and end with their tools those that write nothing for orphan_timeout. It takes
no longer than that, and does nothing while a daemon runs: that one sees to them
itself. Any command that starts a daemon ends the wait. The answers are the next
daemon's to deliver.

A service manager runs this after a daemon that it has stopped: see
iris-daemon-install(1). After a daemon that has failed (SERVICE_RESULT is set
and not "success") it returns at once, since the manager starts another one.

EXIT STATUS
0 2 3`,
		Example: `  iris daemon stop --force --leave-turns; iris daemon settle`,
		Args:    between(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDaemonSettle(cmd.Context(), g, cmd.ErrOrStderr())
		},
	}
}

func runDaemonSettle(ctx context.Context, g *globals, stderr io.Writer) error {
	if result := os.Getenv("SERVICE_RESULT"); result != "" && result != "success" {
		return nil
	}
	p, err := g.paths()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	left, err := settle(ctx, p)
	if err == nil && left > 0 {
		say(stderr, "%s left at work; the next daemon has the answers", plural(left, "agent"))
	}
	return err
}
