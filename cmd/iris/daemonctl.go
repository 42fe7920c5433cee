package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/cmd/iris/internal/terminal"
	"iris/ipc"
)

type daemonStopOptions struct {
	*globals
	force      bool
	leaveTurns bool
}

func (o *daemonStopOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.force, "force", false, "do not wait for running turns")
	f.BoolVar(&o.leaveTurns, "leave-turns", false, "let running turns go on; the next daemon has their answers")
}

func newDaemonStopCmd(g *globals) *cobra.Command {
	opts := daemonStopOptions{globals: g}
	return withFlags(&cobra.Command{
		Use:   "stop",
		Short: "Stop the daemon and its agents",
		Long: `Stop the daemon and return when it is gone. Running turns may end within
drain_timeout; then the agents are stopped. Sessions and waiting messages are
kept: the next daemon runs them.

A daemon that stops refuses new messages. When no daemon runs, the status is 0.
When one runs and cannot be reached, or does not answer within 10 seconds, the
status is 3 and the hint says what ends it.

With --leave-turns a turn that still runs after drain_timeout goes on without a
daemon; with --force too, it does so at once. Its agent ends by itself after the
turn, and the next daemon has the answer. Without --leave-turns the turn is
ended, unless leave_turns of the configuration is true.

Commands run by an agent cannot do this (2).

EXIT STATUS
0 2 3`,
		Example: `  iris daemon stop
  iris daemon stop --force --leave-turns`,
		Args: between(0, 0, ""),
		RunE: runs(&opts, runDaemonStop),
	}, opts.addFlags)
}

// quietStop is how long a daemon may take to stop before the user is told the reason.
// Tests change it.
var quietStop = 2 * time.Second

func runDaemonStop(ctx context.Context, opts *daemonStopOptions, _ []string, s streams) error {
	waits := func() {
		say(s.err, "waiting for the agents to end their turns and stop, until drain_timeout")
		say(s.err, "hint: \"iris daemon stop --force\" does not wait for them")
	}
	if opts.force {
		waits = func() {}
	}
	err := opts.stop(ctx, ipc.StopParams{Force: opts.force, LeaveTurns: opts.leaveTurns}, waits)
	if errors.Is(err, ipc.ErrNoDaemon) {
		say(s.err, "no daemon is running")
		return nil
	}
	if err == nil {
		terminal.Done(s.err, "the daemon has stopped")
	}
	return err
}

// stop stops the daemon, whatever its configuration, and returns when it is gone. It
// calls waits if the daemon answers and is not gone after quietStop.
func (g globals) stop(ctx context.Context, params ipc.StopParams, waits func()) error {
	daemon := g.running().ofAnyConfig()
	s, err := daemon.verbs().Status(ctx) // asks again if the daemon is just ending
	if err != nil {
		return err
	}
	c, err := daemon.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	note := time.AfterFunc(quietStop, waits)
	defer note.Stop()
	err = c.Stop(ctx, params)
	if err != nil && !errors.Is(err, ipc.ErrLost) {
		return err
	}
	return waitGone(ctx, s.PID)
}

func newDaemonReloadCmd(g *globals) *cobra.Command {
	opts := jsonOptions{globals: g}
	return withFlags(&cobra.Command{
		Use:   "reload",
		Short: "Have the daemon read its configuration again",
		Long: `Have the daemon read its configuration again, as it does by itself before it
answers a command when the files have changed. Running turns are not touched;
agents whose settings have changed are replaced between turns. On a terminal a
line says what has changed.

It also asks the login shell for its environment again, and lets agents that did
not start start again at once.

A configuration with a mistake is refused as a whole and the old one stays.
Commands run by an agent cannot do this (2).

JSON
  changed (false when the files say what they said before), changes (an array:
  the changed settings and teams, in words)

EXIT STATUS
0 2 3`,
		Example: `  iris daemon reload`,
		Args:    between(0, 0, ""),
		RunE:    runs(&opts, runDaemonReload),
	}, opts.addFlags)
}

func runDaemonReload(ctx context.Context, opts *jsonOptions, _ []string, s streams) error {
	r, err := opts.running().verbs().Reload(ctx)
	if err != nil {
		return noDaemon(err)
	}
	if cfg, err := opts.loaded(); err == nil {
		noteSettings(s.err, cfg)
	}
	if opts.json {
		r.Changes = orEmpty(r.Changes)
		return terminal.JSON(s.out, &r)
	}
	terminal.Done(s.err, "%s", reloadedText(&r))
	return nil
}

// changesShown is how many changes of the configuration fit in a line.
const changesShown = 5

func reloadedText(r *ipc.Reloaded) string {
	n := len(r.Changes)
	switch {
	case !r.Changed:
		return "the configuration says what it said before"
	case n == 0:
		return "reloaded; no setting has changed"
	case n > changesShown:
		return fmt.Sprintf("reloaded: %s; and %d more", strings.Join(r.Changes[:changesShown], "; "), n-changesShown)
	}
	return "reloaded: " + strings.Join(r.Changes, "; ")
}

func newDaemonStatusCmd(g *globals) *cobra.Command {
	opts := jsonOptions{globals: g}
	return withFlags(&cobra.Command{
		Use:   "status",
		Short: "Show the daemon, without starting one",
		Long: `Show the daemon and its pool as "iris status" does, but start no daemon. Without
a daemon the exit status is 3.` + statusJSON + `

EXIT STATUS
0 2 3`,
		Example: `  iris daemon status --json | jq .pid`,
		Args:    between(0, 0, ""),
		RunE:    runs(&opts, runDaemonStatus),
	}, opts.addFlags)
}

func runDaemonStatus(ctx context.Context, opts *jsonOptions, args []string, s streams) error {
	opts.globals = opts.running().ofAnyConfig()
	return noDaemon(runStatus(ctx, opts, args, s))
}

// noDaemon turns the error for a missing daemon into plain words.
func noDaemon(err error) error {
	if errors.Is(err, ipc.ErrNoDaemon) {
		return ipc.Errorf(ipc.CodeDaemon, "no daemon is running")
	}
	return err
}

func newDaemonRestartCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "restart",
		Short: "Replace the program of the running daemon",
		Long: `Replace the program of the running daemon by this program, in the same process.
Idle agents stay warm, turns go on, messages stay queued, and commands that wait
for an answer get it. When no daemon runs, one is started.

This program is tried first: it must run, read the daemon's configuration and
understand its journal. If it cannot, the old program stays in service with
nothing changed, and the error says why.

On systems other than Linux the daemon is stopped and another daemon is started.
A running turn goes on by itself, and commands that wait for its answer get it
from the new daemon. Idle agents are stopped, and the next message resumes their
session.

Commands run by an agent cannot do this (2).

EXIT STATUS
0 1 2 3 75`,
		Example: `  iris daemon restart
  go install ./cmd/... && iris daemon restart`,
		Args: func(cmd *cobra.Command, args []string) error {
			if g.noStart {
				return usagef("\"iris daemon stop\" only stops it", "restart starts a daemon, and --no-start forbids it")
			}
			return between(0, 0, "")(cmd, args)
		},
		RunE: runs(g, runDaemonRestart),
	}
}

func runDaemonRestart(ctx context.Context, g *globals, _ []string, s streams) error {
	err := g.replace(ctx)
	if notReplaceable(err) {
		err = g.stop(ctx, ipc.StopParams{Force: true, LeaveTurns: true, Restart: true}, func() {})
	}
	if err != nil && !errors.Is(err, ipc.ErrNoDaemon) {
		return err
	}
	c, err := g.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	terminal.Done(s.err, "the daemon runs version %s", buildVersion())
	return nil
}

// notReplaceable reports whether the daemon cannot be replaced in place, because of
// its version or this system.
func notReplaceable(err error) bool {
	var wire *ipc.Error
	return errors.As(err, &wire) && (wire.Code == ipc.CodeMethodNotFound || ipc.ReasonOf(err) == "unsupported")
}

// replace replaces the daemon's program by this one, and returns when it is in
// service.
func (g globals) replace(ctx context.Context) error {
	daemon := g.running().ofAnyConfig().verbs()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	before, err := daemon.Status(ctx)
	if err != nil {
		return err
	}
	err = daemon.Replace(ctx, ipc.Restart{Program: self})
	if !ipc.CutOff(err) {
		return err
	}
	after, err := daemon.Status(ctx)
	if err == nil && after.PID == before.PID && after.Generation == before.Generation {
		return ipc.Errorf(ipc.CodeFailed, "the daemon was not replaced; its log %s says why", after.Log)
	}
	return err
}

func newDaemonSettleCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "settle",
		Short: "Wait for the orphans of a stopped daemon",
		Long: `Wait until the agents that a stopped daemon left running have finished their
turns. An agent that only its background work keeps is ended after orphan_grace,
an agent that writes nothing is ended after orphan_timeout.

The tools of an agent end with it. The command takes no longer than these two
limits. While a daemon runs it does nothing, since the daemon sees to its
orphans itself; a command that starts a daemon ends the wait. The next daemon
delivers the answers.

A service manager runs this after it has stopped a daemon: see
iris-daemon-install(1). After a daemon that failed (SERVICE_RESULT is set and
not "success") it returns at once, since the manager starts another daemon.

EXIT STATUS
0 2 3`,
		Example: `  iris daemon stop --force --leave-turns; iris daemon settle`,
		Args:    between(0, 0, ""),
		RunE:    runs(g, runDaemonSettle),
	}
}

func runDaemonSettle(ctx context.Context, g *globals, _ []string, s streams) error {
	if result := os.Getenv("SERVICE_RESULT"); result != "" && result != "success" {
		return nil
	}
	p, err := g.paths()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, heeded(syscall.SIGTERM, syscall.SIGINT)...)
	defer stop()
	left, err := settle(ctx, p)
	if err == nil && left > 0 {
		say(s.err, "%s left at work; the next daemon has the answers", plural(left, "agent"))
	}
	return err
}
