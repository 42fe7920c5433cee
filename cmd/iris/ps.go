package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/cmd/iris/internal/terminal"
	"iris/ipc"
)

type psOptions struct {
	*globals
	all   bool
	quiet bool
	json  bool
	tree  bool
	watch bool
}

func (o *psOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVarP(&o.all, "all", "a", false, "also list the agents that went in the last day, and why")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print TEAM[@SESSION] only, as other commands take it")
	f.BoolVar(&o.json, "json", false, "print a JSON array; with -a an object")
	f.BoolVar(&o.tree, "tree", false, "show the processes that agents have started")
	f.BoolVar(&o.watch, "watch", false, "show the list each second until Ctrl-C; on a terminal only")
}

func newPsCmd(g *globals) *cobra.Command {
	opts := psOptions{globals: g}
	return withFlags(&cobra.Command{
		Use:        "ps",
		Short:      "List the live agents",
		SuggestFor: []string{"ls", "list", "top"},
		Long: `List the live agents, the most recently used first: what each does, how many
messages wait for it, and why it is kept or goes.

NAME is a TEAM or TEAM@SESSION; a directory below your home begins with ~. STATE
is starting, idle, stopping, or busy with the time that its turn has run. An
agent is also busy while it works by itself: in a turn that its own scheduler
began, or while subagents run that it left in the background; WHY says which.
MSGS counts the ended turns of messages, and after a "+" the turns that nobody
sent. QUEUE counts the messages that wait for the agent. MEMORY is the memory of
its whole process tree at the last health check, UP its age, USED the end of its
last turn. UNTIL is when its idle timeout ends it. WHY says what keeps it or why
it goes, which approval its turn waits for, which MCP server its first turn
waits for, a permission mode other than its team's, and whether the permission
checks of Claude Code are turned off.

With -a a second list has the agents that went in the last day, the last first:
WENT is when, LIVED how long after its start, and WHY is the reason. "iris why"
says more about a team. Agents of single messages (--fresh) are not in it.

With --tree each agent is followed by the processes below it and by the
processes that it started and that made themselves daemons (a dev server, tmux).
These outlive the agent, and "iris kill --tree" ends them. An agent that is gone
is listed as long as it has such processes. MEMORY is then that of each process,
and COMMAND is its shortened command line.

JSON
  an array of objects: id, pid, team, session, session_id, state, message,
  messages_processed, works_on (its work by itself), own_turns,
  queue_length, started, last_used, turn_since, until, idle_remaining_ms,
  uptime_ms, memory_bytes, why, dir, approvals (ids of approvals that its turn
  waits for), bypass (the setting that turns its permission checks off),
  permission_mode (when it is not its team's: a message asked for it, or the
  agent changed it);
  last_used is null before the first turn, until and idle_remaining_ms are null
  for never; with --tree: id, pid (0 when the agent is gone), team, session,
  state, memory_bytes, processes (pid, parent, command, memory_bytes, daemon);
  with -a an object: agents (that array) and gone, an array of id, pid, team,
  session, started, start_ms (until it was ready), ended, messages_processed,
  own_turns, why

EXIT STATUS
0 1 2 3`,
		Example: `  iris ps
  iris ps -q | xargs -I{} iris evict {}
  iris ps -a
  iris ps --watch
  iris ps --json | jq -r '.[] | select(.state == "busy") | .team'`,
		Args: between(0, 0, ""),
		RunE: runs(&opts, runPs),
	}, opts.addFlags)
}

func runPs(ctx context.Context, opts *psOptions, _ []string, s streams) error {
	switch {
	case (opts.quiet || opts.all) && opts.tree, opts.all && opts.quiet, opts.watch && (opts.quiet || opts.json):
		return usagef("leave one of them out", "these flags of ps do not go together")
	case opts.watch:
		return opts.watchOn(ctx, s.out)
	case opts.tree:
		return opts.printTrees(ctx, s.out)
	}
	list, err := opts.list(ctx)
	if err != nil {
		return err
	}
	switch {
	case opts.json && opts.all:
		err = terminal.JSON(s.out, allAgents{orEmpty(list.Processes), orEmpty(list.Gone)})
	case opts.json:
		err = terminal.JSON(s.out, orEmpty(list.Processes))
	case opts.quiet:
		err = printNames(s.out, list.Processes)
	default:
		err = opts.print(s.out, &list)
	}
	if err != nil {
		return err
	}
	return reportDamage(s.err, list.Damaged)
}

// list returns the live agents in the order of the table, and with -a those that went.
func (o *psOptions) list(ctx context.Context) (ipc.ProcessList, error) {
	var q ipc.ProcessQuery
	if o.all {
		q.GoneSince = time.Now().Add(-goneSpan)
	}
	list, err := o.verbs().Processes(ctx, q)
	slices.SortStableFunc(list.Processes, byUse)
	return list, err
}

func printProcesses(stdout io.Writer, list *ipc.ProcessList) error {
	now := time.Now()
	rows := make([][]string, len(list.Processes))
	for i, p := range list.Processes {
		rows[i] = processRow(p, now, os.Getenv("HOME"))
	}
	return terminal.FitTable(stdout, processHeader, rows)
}

// byUse orders processes for people: busy ones first, then the most recently used.
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

// processRow is an agent as a row of the table.
func processRow(p ipc.Process, now time.Time, home string) []string {
	state, lastUsed, until := p.State, ago(now, p.LastUsed), in(now, p.Until)
	if p.State != "idle" {
		until = "" // no idle timeout is running
	}
	if p.TurnSince != nil {
		state += " " + short(now.Sub(*p.TurnSince))
		lastUsed = "now"
	}
	messages := strconv.Itoa(p.Messages)
	if p.Own > 0 {
		messages += "+" + strconv.Itoa(p.Own)
	}
	pid := ""
	if p.PID > 0 {
		pid = strconv.Itoa(p.PID)
	}
	return []string{
		tilde(ipc.Name(p.Team, p.Session), home), state, pid, messages, strconv.Itoa(p.Queue), size(p.Memory),
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
	return printEach(w, ps, func(p *ipc.Process) string { return ipc.Name(p.Team, p.Session) })
}

// orEmpty makes a missing list an empty one, so that it is [] in JSON.
func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// printTrees prints the processes of the agents.
func (o *psOptions) printTrees(ctx context.Context, stdout io.Writer) error {
	agents, err := o.verbs().Trees(ctx)
	if err != nil {
		return err
	}
	if o.json {
		return terminal.JSON(stdout, orEmpty(agents))
	}
	return printTree(stdout, terminal.Width(stdout, 0), agents)
}

// printTree prints trees, with command lines cut so that a line has that width.
func printTree(stdout io.Writer, width int, agents []ipc.AgentTree) error {
	var rows [][]string
	home := os.Getenv("HOME")
	for i := range agents {
		rows = append(rows, treeRows(&agents[i], home)...)
	}
	header := []string{"NAME", "PID", "MEMORY", "COMMAND"}
	terminal.Fit(width, header, rows)
	return terminal.Table(stdout, header, rows)
}

// treeRows are the lines of an agent: itself, the processes below it by descent, and
// the daemons that it started.
func treeRows(a *ipc.AgentTree, home string) [][]string {
	pid := ""
	if a.PID > 0 {
		pid = strconv.Itoa(a.PID)
	}
	rows := [][]string{{tilde(ipc.Name(a.Team, a.Session), home), pid, size(a.Memory), "(" + a.State + ")"}}
	below := map[int][]*ipc.TreeProcess{}
	pids := map[int]bool{}
	for i := range a.Processes {
		pids[a.Processes[i].PID] = true
	}
	for i := range a.Processes {
		p := &a.Processes[i]
		parent := p.Parent
		if !pids[parent] {
			parent = 0 // the agent, or the process that adopted a daemon
		}
		below[parent] = append(below[parent], p)
	}
	var add func(p *ipc.TreeProcess, depth int)
	add = func(p *ipc.TreeProcess, depth int) {
		text := strings.Join(p.Command, " ")
		if p.Daemon && depth == 1 {
			text = "daemon: " + text
		}
		rows = append(rows, []string{" ", strconv.Itoa(p.PID), size(p.Memory), strings.Repeat("  ", depth) + text})
		for _, child := range below[p.PID] {
			add(child, depth+1)
		}
	}
	slices.SortStableFunc(below[0], func(a, b *ipc.TreeProcess) int { return compareBool(a.Daemon, b.Daemon) })
	for _, p := range below[0] {
		add(p, 1)
	}
	return rows
}

// compareBool orders false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// watchEvery is the time between two lists.
const watchEvery = time.Second

// watchOn shows the list on the terminal's other screen until a signal ends it, which
// is no failure.
func (o *psOptions) watchOn(ctx context.Context, stdout io.Writer) error {
	if !terminal.Is(stdout) {
		return usagef("\"iris events --follow\" tells a script what happens", "--watch needs a terminal")
	}
	first, err := o.page(ctx, terminal.Width(stdout, terminal.Columns)) // like any ps, it may start a daemon or fail
	if err != nil {
		return err
	}
	o.globals = o.running()
	o.stderr = func() io.Writer { return io.Discard } // the page says what is wrong
	o.leaveQuit()                                     // the terminal's first screen must come back
	ctx, stop := signal.NotifyContext(ctx, heeded(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGQUIT)...)
	defer stop()
	terminal.Watch(ctx, stdout.(*os.File), watchEvery, first, func() string {
		page, err := o.page(ctx, terminal.Width(stdout, terminal.Columns))
		if err != nil { // show why there is no list
			page = terminal.Escape(noDaemon(err).Error()) + ", " + time.Now().Format(time.TimeOnly) + "\n"
		}
		return page
	})
	return nil
}

// page is the list at one moment, as ps prints it on a terminal of that width.
func (o *psOptions) page(ctx context.Context, width int) (string, error) {
	var b bytes.Buffer
	list, err := o.list(ctx)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "%d of %d agents, %d queued, %s\n\n", list.Total, list.Max, list.Queued, time.Now().Format(time.TimeOnly))
	if !o.tree {
		err = o.print(&b, &list)
		return b.String(), err
	}
	agents, err := o.verbs().Trees(ctx)
	if err == nil {
		err = printTree(&b, width, agents)
	}
	return b.String(), err
}
