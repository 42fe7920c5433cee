package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/ipc"
)

type daemonStopOptions struct {
	*globals
	force      bool
	leaveTurns bool
}

func (o *daemonStopOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.force, "force", false, "do not wait for running turns")
	f.BoolVar(&o.leaveTurns, "leave-turns", false, "running turns that are not waited for go on; the next daemon has their answers")
}

func newDaemonStopCmd(g *globals) *cobra.Command {
	opts := daemonStopOptions{globals: g}
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "Stop the daemon and its agents",
		Long: `Stop the daemon and return when it is gone. It refuses new messages, lets
running turns end for at most drain_timeout, then stops the agents;
conversations are kept, and so are messages that wait: the next daemon runs
them. When no daemon runs there is nothing to do, and that is no failure.

With --leave-turns a turn that still runs then, or at once with --force, goes on
without a daemon: its agent ends by itself after it, and the next daemon has the
answer. Without, it is ended, unless leave_turns of the configuration is true.

What an agent has started may not do this (2).

EXIT STATUS
0 2 3`,
		Example: `  iris daemon stop
  iris daemon stop --force --leave-turns`,
		Args: between(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDaemonStop(cmd.Context(), opts, cmd.ErrOrStderr())
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

// quietStop is how long a daemon may take to end before the user is told what
// for. It is another time in tests.
var quietStop = 2 * time.Second

func runDaemonStop(ctx context.Context, opts daemonStopOptions, stderr io.Writer) error {
	if !opts.force {
		note := time.AfterFunc(quietStop, func() {
			say(stderr, "waiting for running turns to end, until drain_timeout")
			say(stderr, "hint: \"iris daemon stop --force\" does not wait for them")
		})
		defer note.Stop()
	}
	err := opts.stop(ctx, ipc.StopParams{Force: opts.force, LeaveTurns: opts.leaveTurns})
	if errors.Is(err, ipc.ErrNoDaemon) {
		say(stderr, "no daemon is running")
		return nil
	}
	return err
}

// stop stops the daemon, whatever its configuration, and returns when it is gone.
func (g globals) stop(ctx context.Context, params ipc.StopParams) error {
	g.noStart, g.anyConfig = true, true
	var s ipc.Status
	if err := g.call(ctx, ipc.MethodStatus, nil, &s); err != nil { // asks again where one is just dying
		return err
	}
	c, err := g.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	err = c.Call(ctx, ipc.MethodStop, &params, nil)
	if err != nil && !errors.Is(err, ipc.ErrLost) {
		return err
	}
	return waitGone(ctx, s.PID)
}

func newDaemonReloadCmd(g *globals) *cobra.Command {
	opts := reloadOptions{globals: g}
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have the daemon read its configuration again",
		Long: `Have the daemon read its configuration again, as it does by itself when the
files change. A configuration with a mistake is refused as a whole and the old
one stays. Running turns are not touched; agents whose settings have changed are
replaced between turns.

What an agent has started may not do this (2).

JSON
  changed, notes

EXIT STATUS
0 2 3`,
		Example: `  iris daemon reload`,
		Args:    between(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDaemonReload(cmd.Context(), opts, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

type reloadOptions struct {
	*globals
	json bool
}

func (o *reloadOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.json, "json", false, "print one JSON object")
}

func runDaemonReload(ctx context.Context, opts reloadOptions, stdout, stderr io.Writer) error {
	g := *opts.globals
	g.noStart = true
	var r ipc.Reloaded
	if err := g.call(ctx, ipc.MethodReload, nil, &r); err != nil {
		return noDaemon(err)
	}
	if opts.json {
		r.Notes = orEmpty(r.Notes)
		return printJSON(stdout, &r)
	}
	for _, note := range r.Notes {
		say(stderr, "%s", note)
	}
	return nil
}

func newDaemonStatusCmd(g *globals) *cobra.Command {
	opts := statusOptions{globals: g}
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the daemon, without starting one",
		Long: `Show the daemon and its pool as "iris status" does, but start none: without a
daemon the exit status is 3.` + statusJSON + `

EXIT STATUS
0 2 3`,
		Example: `  iris daemon status --json | jq .pid`,
		Args:    between(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			quiet := *g
			quiet.noStart, quiet.anyConfig = true, true
			opts.globals = &quiet
			return noDaemon(runStatus(cmd.Context(), opts, cmd.OutOrStdout()))
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

// noDaemon says in plain words that there is none, to who asked for no start.
func noDaemon(err error) error {
	if errors.Is(err, ipc.ErrNoDaemon) {
		return ipc.Errorf(ipc.CodeDaemon, "no daemon is running")
	}
	return err
}
