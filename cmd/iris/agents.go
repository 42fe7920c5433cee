package main

import (
	"cmp"
	"context"
	"errors"
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
	f.BoolVarP(&o.all, "all", "a", false, "stop every agent")
	f.BoolVar(&o.tree, "tree", false, "end the daemons that they have started, too")
}

func newKillCmd(g *globals) *cobra.Command {
	opts := killOptions{stopOptions: stopOptions{globals: g}}
	return withFlags(&cobra.Command{
		Use:        "kill TEAM[@SESSION]... | --all",
		Short:      "Stop agents now",
		SuggestFor: []string{"terminate"},
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
  iris kill api@review web
  iris kill api --sessions
  iris kill --all
  iris kill --tree api`,
		Args: func(_ *cobra.Command, args []string) error {
			if opts.all != (len(args) == 0) || opts.all && opts.sessions {
				return usagef("usage: iris kill TEAM[@SESSION]..., or iris kill --all", "kill needs a team or --all")
			}
			return nil
		},
		ValidArgsFunction: completeManyTeams(g),
		RunE:              runs(&opts, runKill),
	}, opts.addFlags)
}

func runKill(ctx context.Context, opts *killOptions, args []string, s streams) error {
	if !opts.all {
		return opts.stopEach(ctx, ipc.Verbs.Kill, args, opts.tree, s)
	}
	stopped, err := opts.stopAgents(ctx, ipc.Verbs.Kill, ipc.Target{All: true, Tree: opts.tree}, nil)
	if err != nil {
		return err
	}
	if len(stopped.Stopped) == 0 && !opts.json {
		terminal.Done(s.err, "no agent was running")
	}
	return printStopped(s, opts.json, stopped)
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

// A stopVerb is a call that stops agents.
type stopVerb func(ipc.Verbs, context.Context, ipc.Target) (ipc.Stopped, error)

// stopAgents stops agents. If there is no daemon, no agent lives and the error is
// none.
func (o *stopOptions) stopAgents(ctx context.Context, verb stopVerb, t ipc.Target, none error) (ipc.Stopped, error) {
	stopped, err := verb(o.running().verbs(), ctx, t)
	if errors.Is(err, ipc.ErrNoDaemon) {
		err = none
	}
	return stopped, orDirectory(t.Team, err)
}

// stopEach stops the agents of each TEAM[@SESSION], and prints them all together.
func (o *stopOptions) stopEach(ctx context.Context, verb stopVerb, args []string, tree bool, s streams) error {
	args = unique(args)
	targets := make(map[string]ipc.Target)
	for _, arg := range args { // nothing is stopped if one of them cannot be meant
		t, err := o.target(arg)
		if err != nil {
			return err
		}
		t.Tree = tree
		targets[arg] = t
	}
	var all ipc.Stopped
	failed := each(s.err, args, func(arg string) error {
		none := notRunning(arg)
		stopped, err := o.stopAgents(ctx, verb, targets[arg], none)
		if err == nil && isNone(&stopped) {
			err = none
		}
		all.Stopped = append(all.Stopped, stopped.Stopped...)
		all.Later = append(all.Later, stopped.Later...)
		all.Daemons = append(all.Daemons, stopped.Daemons...)
		return err
	})
	if failed != nil && isNone(&all) {
		return failed
	}
	return cmp.Or(printStopped(s, o.json, all), failed)
}

func isNone(s *ipc.Stopped) bool { return len(s.Stopped)+len(s.Later)+len(s.Daemons) == 0 }

// notRunning says that the agent named arg is not running.
func notRunning(arg string) *ipc.Error {
	return ipc.Errorf(ipc.CodeNotFound, "no agent of team %s is running", arg)
}

// printStopped writes the stopped agents, one a line, and on stderr the daemons of theirs
// that were ended and the agents that will stop later.
func printStopped(s streams, asJSON bool, stopped ipc.Stopped) error {
	if asJSON {
		stopped.Stopped, stopped.Later = orEmpty(stopped.Stopped), orEmpty(stopped.Later)
		return terminal.JSON(s.out, stopped)
	}
	for _, p := range stopped.Daemons {
		say(s.err, "ended pid %d: %s", p.PID, commandText(&p))
	}
	if err := printNames(s.out, stopped.Stopped); err != nil {
		return err
	}
	for _, p := range stopped.Later {
		say(s.err, "%s goes when its turn is over", ipc.Name(p.Team, p.Session))
	}
	return nil
}

const eachTeamText = `Each team is tried, whatever becomes of the others: its error is on stderr, and
the status is that of the first error.`

const stoppedJSON = `

` + eachTeamText + `

JSON
  an object with two arrays, stopped and later (agents that go when their turn
  is over), of the objects that "iris ps --json" prints`

func newEvictCmd(g *globals) *cobra.Command {
	opts := stopOptions{globals: g}
	return withFlags(&cobra.Command{
		Use:   "evict [TEAM[@SESSION]...]",
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
  iris evict api web@review
  iris ps -q | xargs iris evict`,
		Args: func(_ *cobra.Command, args []string) error {
			if opts.sessions && len(args) == 0 {
				return usagef("usage: iris evict TEAM --sessions", "--sessions needs a team")
			}
			return nil
		},
		ValidArgsFunction: completeManyTeams(g),
		RunE:              runs(&opts, runEvict),
	}, opts.addFlags)
}

func runEvict(ctx context.Context, opts *stopOptions, args []string, s streams) error {
	if len(args) > 0 {
		return opts.stopEach(ctx, ipc.Verbs.Evict, args, false, s)
	}
	none := ipc.Errorf(ipc.CodeNotFound, "no agent is idle")
	stopped, err := opts.stopAgents(ctx, ipc.Verbs.Evict, ipc.Target{Oldest: true}, none)
	switch {
	case err != nil:
		return err
	case isNone(&stopped):
		return none
	}
	return printStopped(s, opts.json, stopped)
}

func newRestartCmd(g *globals) *cobra.Command {
	opts := stopOptions{globals: g}
	return withFlags(&cobra.Command{
		Use:   "restart TEAM[@SESSION]...",
		Short: "Replace agents by new ones between turns",
		Long: `Replace agents: stop idle agents now and busy agents when their turn is over,
and print each stopped agent as TEAM[@SESSION], one a line. The next message
starts a new agent, which goes on with the same session.

TEAM alone stands for the main session of the team; --sessions adds its other
sessions.

A change of CLAUDE.md, rules, settings, .mcp.json, the team's configuration or
the program replaces agents without this command, and changed commands, agents
and skills need none: see iris-config(5). A newer Claude Code (2.1.332) adds a
changed CLAUDE.md to the conversation and keeps the old text in it.` + stoppedJSON + `

EXIT STATUS
0 2 3 4`,
		Example: `  iris restart api
  iris restart api web --sessions`,
		Args:              between(1, many, "TEAM[@SESSION]..."),
		ValidArgsFunction: completeManyTeams(g),
		RunE:              runs(&opts, runRestart),
	}, opts.addFlags)
}

func runRestart(ctx context.Context, opts *stopOptions, args []string, s streams) error {
	return opts.stopEach(ctx, ipc.Verbs.Restart, args, false, s)
}

func newWakeCmd(g *globals) *cobra.Command {
	opts := jsonOptions{globals: g}
	return withFlags(&cobra.Command{
		Use:        "wake TEAM[@SESSION]...",
		Short:      "Start agents ahead of their first message",
		SuggestFor: []string{"warm"},
		Long: `Start the agents of teams, one after another, and return when they are ready; a
live agent is left as it is. When the pool is full, the least recently used idle
agent is stopped; when all agents are busy, the command waits.

` + eachTeamText + `

JSON
  one object a line, as "iris ps --json" prints it

EXIT STATUS
0 1 2 3 4 5 8 75`,
		Example:           `  iris wake api web && iris send api "good morning"`,
		Args:              between(1, many, "TEAM[@SESSION]..."),
		ValidArgsFunction: completeManyTeams(g),
		RunE:              runs(&opts, runWake),
	}, opts.addLineFlags)
}

func runWake(ctx context.Context, opts *jsonOptions, args []string, s streams) error {
	targets := make(map[string]ipc.Target)
	for _, arg := range args {
		team, session, err := parseTarget(arg)
		if err != nil {
			return err
		}
		targets[arg] = ipc.Target{Team: team, Session: session}
	}
	return each(s.err, unique(args), func(arg string) error { return opts.wake(ctx, arg, targets[arg], s) })
}

// wake starts an agent. It may take long, so the call has no limit.
func (o *jsonOptions) wake(ctx context.Context, arg string, t ipc.Target, s streams) error {
	c, err := o.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	p, err := c.Wake(ctx, t)
	if err != nil {
		return orDirectory(t.Team, err)
	}
	if o.json {
		return terminal.JSON(s.out, &p)
	}
	terminal.Done(s.err, "%s is ready, pid %d", arg, p.PID)
	return nil
}
