package main

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/cmd/iris/internal/terminal"
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
	f.BoolVar(&o.tree, "tree", false, "end the daemons that they have started, too")
}

func newKillCmd(g *globals) *cobra.Command {
	opts := killOptions{stopOptions: stopOptions{globals: g}}
	return withFlags(&cobra.Command{
		Use:        "kill TEAM[@SESSION] | --all",
		Short:      "Stop agents now",
		SuggestFor: []string{"stop", "terminate"},
		Long: `Stop agents now and print each as TEAM[@SESSION], one a line. A running turn
fails: its caller gets status 5. The session is kept, and the next message
resumes it.

Messages that wait go on waiting. TEAM alone stands for the main session of the
team; --sessions adds its other sessions. With --all the status is 0 even if no
agent runs. "iris cancel" ends a turn and keeps its agent, "iris evict" stops
idle agents only.

The processes of an agent end with it, except tools that made themselves
daemons, such as a dev server or tmux. "iris ps --tree" lists these, and --tree
ends them, even when the agent is gone: with SIGTERM, and after stop_grace with
SIGKILL. Each process is named on stderr. --tree is refused to callers that run
in one of these processes.

Commands run by an agent cannot do this (2).` + stoppedJSON + `; with --tree also
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
		RunE:              runs(&opts, runKill),
	}, opts.addFlags)
}

func runKill(ctx context.Context, opts *killOptions, args []string, s streams) error {
	target := ipc.Target{All: true, Tree: opts.tree}
	var none error // --all is for having no agent left, so this is no failure
	if !opts.all {
		var err error
		if target, err = opts.target(args[0]); err != nil {
			return err
		}
		target.Tree = opts.tree
		none = notRunning(args[0])
	}
	stopped, err := opts.stopAgents(ctx, ipc.Verbs.Kill, target, none)
	if err != nil {
		return err
	}
	if len(stopped.Daemons) > 0 {
		none = nil
	}
	if !opts.json {
		for _, p := range stopped.Daemons {
			say(s.err, "ended pid %d: %s", p.PID, commandText(&p))
		}
	}
	return printStopped(s.out, s.err, opts.json, stopped, none)
}

// commandWidth is how many columns of a command line are printed.
const commandWidth = 60

// commandText is a command line, short enough for a message.
func commandText(p *ipc.TreeProcess) string {
	return terminal.Clip(terminal.Escape(strings.Join(p.Command, " ")), commandWidth)
}

// stopOptions are the options shared by the commands that stop agents.
type stopOptions struct {
	*globals
	sessions bool
	json     bool
}

func (o *stopOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.sessions, "sessions", false, "all sessions of the team; without it, only its main session")
	f.BoolVar(&o.json, "json", false, "print one JSON object")
}

// target parses TEAM[@SESSION] as "ps -q" prints it: exactly that session, or with
// --sessions every session of the team.
func (o *stopOptions) target(arg string) (ipc.Target, error) {
	team, session, err := parseTarget(arg)
	if err == nil && o.sessions && session != "" {
		err = usagef("leave the session out", "--sessions stands for all sessions of a team, and %q names one", arg)
	}
	return ipc.Target{Team: team, Session: session, AllSessions: o.sessions}, err
}

// stopAgents stops agents. If there is no daemon, no agent lives and the error is
// none.
func (o *stopOptions) stopAgents(ctx context.Context, verb func(ipc.Verbs, context.Context, ipc.Target) (ipc.Stopped, error), t ipc.Target, none error) (ipc.Stopped, error) {
	stopped, err := verb(o.running().verbs(), ctx, t)
	if errors.Is(err, ipc.ErrNoDaemon) {
		err = none
	}
	return stopped, orDirectory(t.Team, err)
}

// notRunning says that the agent named arg is not running.
func notRunning(arg string) *ipc.Error {
	return ipc.Errorf(ipc.CodeNotFound, "no agent of team %s is running", arg)
}

// printStopped writes the stopped agents, one a line, and on stderr those that will
// stop later. If there are none at all, it returns the error none, which may be nil.
func printStopped(stdout, stderr io.Writer, asJSON bool, s ipc.Stopped, none error) error {
	if len(s.Stopped)+len(s.Later) == 0 && none != nil {
		return none
	}
	if asJSON {
		s.Stopped, s.Later = orEmpty(s.Stopped), orEmpty(s.Later)
		return terminal.JSON(stdout, s)
	}
	if err := printNames(stdout, s.Stopped); err != nil {
		return err
	}
	for _, p := range s.Later {
		say(stderr, "%s goes when its turn is over", name(p.Team, p.Session))
	}
	return nil
}

const stoppedJSON = `

JSON
  an object with two arrays, stopped and later (agents that go when their turn
  is over), of the objects that "iris ps --json" prints`

func newEvictCmd(g *globals) *cobra.Command {
	opts := stopOptions{globals: g}
	return withFlags(&cobra.Command{
		Use:   "evict [TEAM[@SESSION]]",
		Short: "Stop idle agents to free their memory",
		Long: `Stop idle agents and print each as TEAM[@SESSION], one a line. The session is
kept: the next message resumes it. Without an argument the least recently used
idle agent is stopped.

TEAM alone stands for the main session of the team; --sessions adds its other
sessions. A running turn is never touched: a busy agent is stopped when its turn
is over, and stderr says so. "iris kill" stops it now.` + stoppedJSON + `

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
		RunE:              runs(&opts, runEvict),
	}, opts.addFlags)
}

func runEvict(ctx context.Context, opts *stopOptions, args []string, s streams) error {
	target := ipc.Target{Oldest: true}
	none := ipc.Errorf(ipc.CodeNotFound, "no agent is idle")
	if len(args) == 1 {
		var err error
		if target, err = opts.target(args[0]); err != nil {
			return err
		}
		none = notRunning(args[0])
	}
	stopped, err := opts.stopAgents(ctx, ipc.Verbs.Evict, target, none)
	if err != nil {
		return err
	}
	return printStopped(s.out, s.err, opts.json, stopped, none)
}

func newRestartCmd(g *globals) *cobra.Command {
	opts := stopOptions{globals: g}
	return withFlags(&cobra.Command{
		Use:   "restart TEAM[@SESSION]",
		Short: "Replace agents by new ones between turns",
		Long: `Replace agents: stop idle agents now and busy agents when their turn is over,
and print each stopped agent as TEAM[@SESSION], one a line. The next message
starts a new agent, which goes on with the same session.

TEAM alone stands for the main session of the team; --sessions adds its other
sessions.

A change of CLAUDE.md, settings, .mcp.json, the team's configuration or the
program replaces agents without this command. A newer Claude Code (2.1.332) adds
a changed CLAUDE.md to the conversation and keeps the old text in it.` + stoppedJSON + `

EXIT STATUS
0 2 3 4`,
		Example:           `  iris restart api`,
		Args:              between(1, 1, "TEAM[@SESSION]"),
		ValidArgsFunction: completeTeams(g),
		RunE:              runs(&opts, runRestart),
	}, opts.addFlags)
}

func runRestart(ctx context.Context, opts *stopOptions, args []string, s streams) error {
	target, err := opts.target(args[0])
	if err != nil {
		return err
	}
	none := notRunning(args[0])
	stopped, err := opts.stopAgents(ctx, ipc.Verbs.Restart, target, none)
	if err != nil {
		return err
	}
	return printStopped(s.out, s.err, opts.json, stopped, none)
}

func newWakeCmd(g *globals) *cobra.Command {
	opts := jsonOptions{globals: g}
	return withFlags(&cobra.Command{
		Use:        "wake TEAM[@SESSION]",
		Short:      "Start an agent ahead of its first message",
		SuggestFor: []string{"warm"},
		Long: `Start the agent of a team and return when it is ready; a live agent is left as
it is. When the pool is full, the least recently used idle agent is stopped;
when all agents are busy, the command waits.

JSON
  one object as "iris ps --json" prints it

EXIT STATUS
0 1 2 3 4 5 8 75`,
		Example:           `  iris wake api && iris send api "good morning"`,
		Args:              between(1, 1, "TEAM[@SESSION]"),
		ValidArgsFunction: completeTeams(g),
		RunE:              runs(&opts, runWake),
	}, opts.addFlags)
}

func runWake(ctx context.Context, opts *jsonOptions, args []string, s streams) error {
	team, session, err := parseTarget(args[0])
	if err != nil {
		return err
	}
	c, err := opts.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	p, err := c.Wake(ctx, ipc.Target{Team: team, Session: session})
	if err != nil {
		return orDirectory(team, err)
	}
	if opts.json {
		return terminal.JSON(s.out, &p)
	}
	return nil
}
