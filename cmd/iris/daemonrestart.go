package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"iris/ipc"
)

func newDaemonRestartCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "restart",
		Short: "Replace the running daemon by this program",
		Long: `Have the running daemon replace its own program by this one, in place: the same
process goes on with the same agents. Idle ones stay warm, turns run on,
messages wait on, and commands that wait for an answer get it. When no daemon
runs, one is started.

This program is tried first: it must run, read the daemon's configuration and
understand its record of messages. When it cannot, the old one stays in service
with nothing changed, and the error says why.

Where a system cannot do that (outside of Linux) the daemon is stopped and
another one started: a running turn goes on by itself, and whoever waits for its
answer gets it from the new daemon; idle agents are stopped, and the next
message resumes their conversation.

What an agent has started may not do this (2).

EXIT STATUS
0 1 2 3 75`,
		Example: `  iris daemon restart
  go install ./cmd/iris && iris daemon restart`,
		Args: func(cmd *cobra.Command, args []string) error {
			if g.noStart {
				return usagef("\"iris daemon stop\" only stops it", "restart starts a daemon, and --no-start forbids it")
			}
			return between(0, 0, "")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDaemonRestart(cmd.Context(), g)
		},
	}
}

func runDaemonRestart(ctx context.Context, g *globals) error {
	err := g.replace(ctx)
	if notReplaceable(err) {
		err = g.stop(ctx, ipc.StopParams{Force: true, LeaveTurns: true, Restart: true})
	}
	if err != nil && !errors.Is(err, ipc.ErrNoDaemon) {
		return err
	}
	c, err := g.dial(ctx)
	if err != nil {
		return err
	}
	return c.Close()
}

// notReplaceable reports that the daemon does not know how, or cannot on this
// system.
func notReplaceable(err error) bool {
	var wire *ipc.Error
	return errors.As(err, &wire) && (wire.Code == ipc.CodeMethodNotFound || reasonOf(err) == "unsupported")
}

// replace has the daemon replace its program by this one, and returns when that
// is in service.
func (g globals) replace(ctx context.Context) error {
	g.noStart, g.anyConfig = true, true
	self, err := os.Executable()
	if err != nil {
		return err
	}
	before, err := g.generation(ctx)
	if err != nil {
		return err
	}
	err = g.callOnce(ctx, ipc.MethodReplace, &ipc.Restart{Program: self}, nil)
	if !cutOff(err) {
		return err
	}
	after, err := g.generation(ctx)
	if err == nil && after.PID == before.PID && after.Generation == before.Generation {
		return ipc.Errorf(ipc.CodeFailed, "the daemon was not replaced; its log %s says why", after.Log)
	}
	return err
}

// cutOff reports that a call has no answer because its daemon is another program
// by now.
func cutOff(err error) bool {
	var wire *ipc.Error
	return errors.Is(err, ipc.ErrLost) || errors.As(err, &wire) && wire.Code == ipc.CodeCancelled && wire.Data == nil
}

// generation asks the daemon how often its program was replaced.
func (g globals) generation(ctx context.Context) (ipc.Status, error) {
	var s ipc.Status
	err := g.call(ctx, ipc.MethodStatus, nil, &s)
	return s, err
}
