package main

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/ipc"
)

type killOptions struct {
	stopOptions
	all  bool
	tree bool
}

func (o *killOptions) addFlags(f *pflag.FlagSet) {
	o.stopOptions.addFlags(f)
	f.BoolVar(&o.all, "all", false, "stop every agent")
	f.BoolVar(&o.tree, "tree", false, "end also what they have started and what has made itself a daemon")
}

func newKillCmd(g *globals) *cobra.Command {
	opts := killOptions{stopOptions: stopOptions{globals: g}}
	cmd := &cobra.Command{
		Use:        "kill TEAM[@SESSION] | --all",
		Short:      "Stop agents now",
		SuggestFor: []string{"stop", "terminate"},
		Long: `Stop agents now and print which ones, a TEAM[@SESSION] a line.

A running turn fails: its caller gets status 5. The conversation is kept, the
next message resumes it; messages that wait go on waiting. TEAM alone stands for
the team's own conversation; --sessions adds those of its sessions. With --all
it is no failure that no agent is running.

What an agent has started ends with it, but for what has made itself a daemon,
such as a dev server or tmux. "iris ps --tree" lists that, and --tree ends it,
also when the agent itself is gone: SIGTERM, and after stop_grace SIGKILL. Each
process is named on stderr. It is refused to whoever runs in one of them.

"iris cancel" ends a turn and keeps its agent, "iris evict" stops idle agents
only.

What an agent has started may not do this (2).` + stoppedJSON + `; with --tree also
  daemons, an array (pid, parent, command, memory_bytes, daemon)

EXIT STATUS
0 2 3 4`,
		Example: `  iris kill api
  iris kill api@review
  iris kill api --sessions
  iris kill --all
  iris kill --tree api`,
		Args: func(_ *cobra.Command, args []string) error {
			if opts.all != (len(args) == 0) || len(args) > 1 || opts.all && opts.sessions {
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
	target := ipc.Target{All: true, Tree: opts.tree}
	var none error // that no agent is left is what --all is for
	if !opts.all {
		var err error
		if target, err = opts.target(args[0]); err != nil {
			return err
		}
		target.Tree = opts.tree
		none = notRunning(args[0])
	}
	var stopped ipc.Stopped
	if err := opts.runningOnly(ctx, ipc.MethodKill, &target, &stopped, none); err != nil {
		return orDirectory(target.Team, err)
	}
	if len(stopped.Daemons) > 0 {
		none = nil
	}
	if !opts.json {
		for _, p := range stopped.Daemons {
			say(stderr, "ended pid %d: %s", p.PID, commandText(&p))
		}
	}
	return printStopped(stdout, stderr, opts.json, stopped, none)
}

// commandWidth is how many columns of a command line are said.
const commandWidth = 60

// commandText is a command line as it fits a message.
func commandText(p *ipc.TreeProcess) string {
	return clip(escape(strings.Join(p.Command, " ")), commandWidth)
}
