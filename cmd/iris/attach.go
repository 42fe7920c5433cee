package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/cmd/iris/internal/terminal"
	"iris/ipc"
	"iris/pool/claude/variables"
)

type attachOptions struct {
	*globals
	now  bool
	fork bool
}

func (o *attachOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.now, "now", false, "interrupt the turn under way instead of waiting for its end")
	f.BoolVar(&o.fork, "fork", false, "work on a copy of the conversation; the agent goes on with it")
}

func newAttachCmd(g *globals) *cobra.Command {
	opts := attachOptions{globals: g}
	return withFlags(&cobra.Command{
		Use:        "attach TEAM[@SESSION]",
		Short:      "Sit down in a session with Claude Code",
		SuggestFor: []string{"open", "enter", "sit"},
		Long: `Sit down in a session: Claude Code runs in this terminal, in the directory and
with the environment and args of the team, and goes on with the conversation.
What is said there belongs to the session.

The command waits for the turn under way, whose message ends as usual; --now
interrupts it (5 for its sender). Then the agent goes. While you are there,
messages to the session wait, and say why. They go on when Claude Code ends, in
whatever way: left, killed, or with its terminal or the daemon gone. The session
in which you leave, after /clear another one, is that of the team.

With --fork it is a copy: nothing waits, and nothing of it belongs to the team.

A team of codex or OpenCode has that program in the terminal, once it has a
conversation; iris-agent(7) says more. Other agents have none (2).

The status is that of Claude Code, once it has run. Without a terminal, or run
by an agent, the command is refused (2).

EXIT STATUS
0 1 2 3 4 8 75 130`,
		Example: `  iris attach api
  iris attach --now api@review`,
		Args:              between(1, 1, "TEAM[@SESSION]"),
		ValidArgsFunction: completeTeams(g),
		RunE:              runs(&opts, runAttach),
	}, opts.addFlags)
}

func runAttach(ctx context.Context, opts *attachOptions, args []string, s streams) error {
	team, session, err := parseTarget(args[0])
	if err != nil {
		return err
	}
	if !terminal.Is(s.in) || !terminal.Is(s.out) {
		return usagef("\"iris send "+ipc.Name(team, session)+" MESSAGE\" talks to it from a script", "attach needs a terminal on standard input and output")
	}
	t, err := opts.sitDown(ctx, ipc.Attach{Team: team, Session: session, Now: opts.now, Fork: opts.fork}, s)
	if err != nil {
		return orDirectory(team, err)
	}
	p := seat{opts: opts, terminal: t}
	err = p.run(s)
	if t.ID == "" {
		return err
	}
	if lost := p.report(0); lost != nil {
		say(s.err, "the daemon does not know yet that %s is free again (%s); the next command of iris starts it", ipc.Name(team, session), lost)
	}
	return err
}

// sitDown asks for the program, and shows what it waits for.
func (o *attachOptions) sitDown(ctx context.Context, a ipc.Attach, s streams) (t ipc.Terminal, err error) {
	ctx, stop := signal.NotifyContext(ctx, heeded(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)...)
	defer stop()
	line := terminal.NewStatusLine(s.err)
	defer line.Clear()
	h := ipc.Handlers{State: func(st ipc.MessageState) {
		if text := ipc.Name(a.Team, a.Session) + ": waits for " + st.WaitsFor; line != nil {
			line.Set(text)
		} else {
			say(s.err, "%s", text)
		}
	}}
	err = o.follow(ctx, reachTimeout, func(c *ipc.Client) (err error) {
		c.OnNotify = func(method string, params json.RawMessage) { h.Notify(method, params) }
		t, err = c.Attach(ctx, a)
		return err
	}, ipc.CutOff)
	if ctx.Err() != nil {
		return t, &waitError{cause: context.Canceled, text: "not attached: the wait was interrupted"}
	}
	return t, err
}

// A seat is the program in this terminal.
type seat struct {
	opts     *attachOptions
	terminal ipc.Terminal
}

// reportWithin bounds the time for a report; whatever becomes of it, the daemon sees by
// itself which processes live.
const reportWithin = 10 * time.Second

// report tells the daemon which process the program is; 0 when it has ended. The last
// report also starts a daemon if there is none, so that the messages that wait go on.
func (p *seat) report(pid int) error {
	ctx, cancel := context.WithTimeout(context.Background(), reportWithin)
	defer cancel()
	err := p.opts.verbs().Attached(ctx, ipc.Attached{ID: p.terminal.ID, PID: pid})
	if ipc.ReasonOf(err) == "not-attached" { // the daemon has seen the end already
		return nil
	}
	return err
}

// run runs the program in this terminal, as a child in the same process group: so the keys
// of the terminal, its size and its job control reach it as if the shell had started it.
func (p *seat) run(s streams) error {
	t := &p.terminal
	cmd := &exec.Cmd{Path: t.Path, Args: t.Args, Dir: t.Dir, Env: append(ofTerminal(os.Environ()), t.Env...)}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.in, s.out, s.err
	restore := terminal.Save(s.in)
	p.opts.leaveQuit()
	defer func() { p.opts.leaveQuit = endAtQuit() }()
	var passing, telling sync.WaitGroup
	ends := make(chan os.Signal, 4)
	signal.Notify(ends, heeded(syscall.SIGTERM, syscall.SIGHUP)...)
	err := leavingKeys(cmd, func() {
		passing.Go(func() {
			for sig := range ends {
				cmd.Process.Signal(sig)
			}
		})
		if t.ID != "" {
			telling.Go(func() { p.report(cmd.Process.Pid) })
		}
	})
	signal.Stop(ends)
	close(ends)
	passing.Wait()
	telling.Wait()
	if cmd.ProcessState == nil {
		return fmt.Errorf("%s: %w", t.Path, err)
	}
	status := programStatus(cmd.ProcessState.ExitCode())
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		restore()
		status = programStatus(128 + int(ws.Signal())) // as a shell has it
	}
	if status == 0 {
		return nil
	}
	return status
}

// terminalVars name the variables that belong to a terminal or to the person at it, and
// that the agents' environment therefore lacks. A * at the end stands for any ending.
var terminalVars = []string{
	"TERM", "TERM_*", "TERMINFO*", "COLORTERM", "COLORFGBG", "NO_COLOR", "FORCE_COLOR", "LC_TERMINAL*",
	"TMUX", "TMUX_PANE", "STY", "SSH_TTY", "SSH_CONNECTION", "SSH_CLIENT", "GPG_TTY",
	"DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "XDG_SESSION_*", "DBUS_SESSION_BUS_ADDRESS",
	"EDITOR", "VISUAL", "PAGER", "BROWSER",
	"VTE_VERSION", "KITTY_*", "WEZTERM_*", "ITERM_*", "WT_*", "KONSOLE_*", "ALACRITTY_*", "GHOSTTY_*", "ZELLIJ*",
}

// ofTerminal returns those variables.
func ofTerminal(environ []string) (vars []string) {
	for _, v := range environ {
		if name, _, _ := strings.Cut(v, "="); variables.Match(terminalVars, name) {
			vars = append(vars, v)
		}
	}
	return vars
}

func newAdoptCmd(g *globals) *cobra.Command {
	opts := jsonOptions{globals: g}
	return withFlags(&cobra.Command{
		Use:        "adopt TEAM[@SESSION] SESSION-ID",
		Short:      "Take over a session that was begun in Claude Code",
		SuggestFor: []string{"import", "take"},
		Long: `Make a session that was begun in Claude Code the conversation of a team, or of
TEAM@SESSION. /status in Claude Code shows the id of its session. The next
message goes on with it.

A team that has a conversation already is left alone (2). While somebody has the
session open, it is refused (75), and the process is named. Claude Code 2.1.197
resumes a session only in the directory in which it was begun; stderr has a note
if that is not the team's.

Commands run by an agent cannot do this (2).

JSON
  an object: team, session, session_id, dir, created, from (the directory of
  the last turn of the session, if it is known)

EXIT STATUS
0 1 2 3 4 8 75`,
		Example: `  iris adopt api 5f6b2a4e-3c1d-4b8a-9e7f-2d1c0b9a8e7d
  iris adopt api@idea 5f6b2a4e-3c1d-4b8a-9e7f-2d1c0b9a8e7d`,
		Args:              between(2, 2, "TEAM[@SESSION] SESSION-ID"),
		ValidArgsFunction: completeTeams(g),
		RunE:              runs(&opts, runAdopt),
	}, opts.addFlags)
}

func runAdopt(ctx context.Context, opts *jsonOptions, args []string, s streams) error {
	team, session, err := parseTarget(args[0])
	if err != nil {
		return err
	}
	a, err := opts.verbs().Adopt(ctx, ipc.Adopt{Team: team, Session: session, SessionID: args[1]})
	if err != nil {
		return orDirectory(team, err)
	}
	if a.From != "" && a.From != a.Dir {
		home := os.Getenv("HOME")
		say(s.err, "note: the session was in %s, and the team is in %s", tilde(a.From, home), tilde(a.Dir, home))
	}
	if opts.json {
		return terminal.JSON(s.out, a)
	}
	terminal.Done(s.err, "the next message to %s goes on with session %s", ipc.Name(a.Team, a.Session), a.SessionID)
	return nil
}
