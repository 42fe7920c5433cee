package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/ipc"
)

type psOptions struct {
	*globals
	quiet bool
	json  bool
	tree  bool
	watch bool
}

func (o *psOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print TEAM[@SESSION] only, as other commands take it")
	f.BoolVar(&o.json, "json", false, "print a JSON array")
	f.BoolVar(&o.tree, "tree", false, "show the processes that agents have started")
	f.BoolVar(&o.watch, "watch", false, "show it again each second, until Ctrl-C; on a terminal only")
}

func newPsCmd(g *globals) *cobra.Command {
	opts := psOptions{globals: g}
	cmd := &cobra.Command{
		Use:        "ps",
		Short:      "List the live agents",
		SuggestFor: []string{"ls", "list", "top"},
		Long: `List the live agents, the least recently used last.

NAME is a TEAM or TEAM@SESSION; a directory below your home begins with ~.
STATE is starting, idle, stopping, or busy and for how long its turn has run.
MSGS counts the turns that it has ended, QUEUE the messages that wait for it.
MEMORY is that of its whole process tree at the last health check, UP how long
it has been there, USED when its last turn ended. UNTIL says when its idle
timeout ends it, WHY what keeps it or what it goes for, which approval its turn
waits for, and whether the permission checks of Claude Code are turned off.

With --tree each agent is followed by the processes below it, and by those that
it has started and that have made themselves daemons (a dev server, tmux): they
outlive it, and "iris kill --tree" ends them. An agent that is gone is listed as
long as it has such. MEMORY is then that of each process, COMMAND its shortened
command line.

JSON
  an array of objects: id, pid, team, session, session_id, state, message,
  messages_processed, queue_length, started, last_used, turn_since, until,
  idle_remaining_ms, uptime_ms, memory_bytes, why, dir, approvals (ids of those
  that its turn waits for), bypass (what turns its permission checks off);
  last_used is null before the first turn, until and idle_remaining_ms are null
  for never; with --tree: id, pid (0 when the agent is gone), team, session,
  state, memory_bytes, processes (pid, parent, command, memory_bytes, daemon)

EXIT STATUS
0 2 3`,
		Example: `  iris ps
  iris ps -q | xargs -I{} iris evict {}
  iris ps --watch
  iris ps --json | jq -r '.[] | select(.state == "busy") | .team'`,
		Args: between(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case opts.quiet && opts.tree, opts.watch && (opts.quiet || opts.json):
				return usagef("leave one of them out", "these flags of ps do not go together")
			case opts.watch:
				return runPsWatch(cmd.Context(), opts, cmd.OutOrStdout())
			case opts.tree:
				return runPsTree(cmd.Context(), opts, cmd.OutOrStdout())
			}
			return runPs(cmd.Context(), opts, cmd.OutOrStdout())
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func runPs(ctx context.Context, opts psOptions, stdout io.Writer) error {
	list, err := opts.list(ctx)
	if err != nil {
		return err
	}
	switch {
	case opts.json:
		return printJSON(stdout, orEmpty(list.Processes))
	case opts.quiet:
		return printNames(stdout, list.Processes)
	}
	return printProcesses(stdout, &list)
}

// list asks for the live agents, in the order of the table.
func (o *psOptions) list(ctx context.Context) (list ipc.ProcessList, err error) {
	err = o.call(ctx, ipc.MethodList, nil, &list)
	slices.SortStableFunc(list.Processes, byUse)
	return list, err
}

func printProcesses(stdout io.Writer, list *ipc.ProcessList) error {
	now := time.Now()
	rows := make([][]string, len(list.Processes))
	for i, p := range list.Processes {
		rows[i] = processRow(p, now, os.Getenv("HOME"))
	}
	fit(widthOf(stdout, 0), processHeader, rows)
	return printTable(stdout, processHeader, rows)
}

// byUse orders processes as people look for them: busy ones first, then the
// most recently used.
func byUse(a, b ipc.Process) int {
	if busy := cmp.Compare(rank(a), rank(b)); busy != 0 {
		return busy
	}
	return used(b).Compare(used(a))
}

func rank(p ipc.Process) int {
	if p.State == "busy" {
		return 0
	}
	return 1
}

func used(p ipc.Process) time.Time {
	if p.LastUsed == nil {
		return p.Started
	}
	return *p.LastUsed
}

var processHeader = []string{"NAME", "STATE", "PID", "MSGS", "QUEUE", "MEMORY", "UP", "USED", "UNTIL", "WHY"}

// processRow is an agent in the width of a terminal.
func processRow(p ipc.Process, now time.Time, home string) []string {
	state, lastUsed, until := p.State, ago(now, p.LastUsed), in(now, p.Until)
	if p.State != "idle" {
		until = "" // no idle timeout runs
	}
	if p.TurnSince != nil {
		state += " " + short(now.Sub(*p.TurnSince))
		lastUsed = "now"
	}
	pid := ""
	if p.PID > 0 {
		pid = strconv.Itoa(p.PID)
	}
	return []string{
		tilde(name(p.Team, p.Session), home), state, pid, strconv.Itoa(p.Messages), strconv.Itoa(p.Queue), size(p.Memory),
		short(time.Duration(p.Uptime) * time.Millisecond), lastUsed, until, strings.TrimPrefix(p.Why, "never: "),
	}
}

// tilde shortens a directory below home.
func tilde(path, home string) string {
	if rest, ok := strings.CutPrefix(path, home); ok && len(home) > 1 && (rest == "" || rest[0] == '/' || rest[0] == '@') {
		return "~" + rest
	}
	return path
}

// printNames writes one TEAM[@SESSION] a line.
func printNames(w io.Writer, ps []ipc.Process) error {
	for _, p := range ps {
		if _, err := fmt.Fprintln(w, escape(name(p.Team, p.Session))); err != nil {
			return err
		}
	}
	return nil
}

// orEmpty makes a missing list an empty one, so that it is [] in JSON.
func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
