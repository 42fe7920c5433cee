package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/ipc"
)

type sendOptions struct {
	*globals
	file    string
	noStdin bool
	timeout seconds
	fresh   bool
	json    bool
	raw     bool
}

func (o *sendOptions) addFlags(f *pflag.FlagSet) {
	f.VarP(textFlag{&o.file, "FILE"}, "file", "f", "read the text from FILE instead of standard input")
	f.BoolVarP(&o.noStdin, "no-stdin", "n", false, "do not read standard input")
	f.Var(&o.timeout, "timeout", "wait at most this long, such as 90s or 10m; the message lives on")
	f.BoolVar(&o.fresh, "fresh", false, "in a conversation of its own, which ends with the answer")
	f.BoolVar(&o.json, "json", false, "print the whole reply as one JSON object, also when it failed")
	f.BoolVar(&o.raw, "raw", false, "on a terminal too, print the answer as it is")
}

func newSendCmd(g *globals) *cobra.Command {
	opts := sendOptions{globals: g}
	cmd := &cobra.Command{
		Use:        "send TEAM[@SESSION] [MESSAGE... | -]",
		Short:      "Send a message and print the answer",
		SuggestFor: []string{"ask", "run", "tell", "message"},
		Long: `Send a message to a team and print the answer, and nothing else, on stdout.

TEAM is the name of a team, or a directory: "." or anything with a slash. A
directory stands for the team that has this very directory, not one above it,
or for itself when there is none. SESSION names another conversation of the
team; each has its own agent and its own order.

The message is the arguments joined by spaces. A pipe or a file on standard
input is read to its end and added after a blank line; with -f the text comes
from FILE instead. Standard input that is a terminal or /dev/null is not read,
nor is, beside arguments, a file that was read in part already, such as the one
a shell loop reads; "-" as the last argument reads it all the same. Where
standard input stays open (ssh without -n, a loop over a pipe, some programs
that run commands) use -n.

The answer is printed as the agent gave it, with a line feed added if it ends
without one. On a terminal, what could steer the terminal is shown as an escape
sequence.

Ctrl-C, SIGTERM and --timeout end the wait and nothing else: a message that
still waits will run, a running turn goes on. Its id is on stderr, and
"iris cancel ID" takes it back or interrupts it.

JSON
  id, team, session, session_id, outcome, text, error, hint, subtype,
  api_status, turns, cost_usd, duration_ms, usage (input_tokens, output_tokens,
  cache_read_tokens, cache_write_tokens), denials (tool, input) and status, the
  exit status. outcome is success, denied, failed, interrupted, incomplete,
  not-logged-in, rate-limited, limit or api-error.

  When the agent did not end the turn by its own word: id, team, session,
  outcome "none", error, hint, reason and status. Empty ones are left out.
  reason is one word: no-such-team, bad-name, cannot-start, not-dispatched,
  pool-full, queue-full, deadlock, cancelled, killed, evicted, stalled,
  stopping, unknown, not-running or failed; other-configuration or protocol when
  the running daemon is another; and there is none when the wait has ended or no
  daemon could be reached.

  Errors of usage that are found before anything is sent print no JSON.

EXIT STATUS
0 1 2 3 4 5 7 8 9 10 11 12 13 75 124 130`,
		Example: `  iris send api "why does the build fail?"
  git diff | iris send api@review "look at this"
  iris send . -f question.md --timeout 10m
  ssh host iris send -n api status`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("usage: iris send TEAM[@SESSION] [MESSAGE... | -]", "send needs a team")
			}
			return nil
		},
		ValidArgsFunction: completeTeams(g),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runSend(cmd.Context(), opts, args, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		var unknown *pflag.NotExistError
		if !errors.As(err, &unknown) {
			return flagError(cmd, err)
		}
		return usagef("quote a message with dashes in it, and put \"--\" before one that begins with a dash", "%s", err)
	})
	opts.addFlags(cmd.Flags())
	return cmd
}

func runSend(ctx context.Context, opts sendOptions, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	team, session, err := parseTarget(args[0])
	if err != nil {
		return err
	}
	src := source{args: args[1:], file: opts.file, noStdin: opts.noStdin, stdin: stdin, stderr: stderr}
	text, err := src.read()
	if err != nil {
		return err
	}
	if opts.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(opts.timeout))
		defer cancel()
	}
	params := ipc.Send{Team: team, Session: session, Text: text, Fresh: opts.fresh, EnvKeys: credentialKeys(os.Environ())}
	reply, err := opts.send(ctx, params)
	err = orDirectory(team, err)
	if opts.json {
		return printReplyJSON(stdout, params, reply, err)
	}
	if err != nil {
		return err
	}
	return printReply(stdout, reply, opts.raw)
}

// onInterrupt calls f at the first Ctrl-C or SIGTERM; the second one has its
// usual effect. A signal that the caller ignores, as shells do for what they
// run in the background, stays ignored.
func onInterrupt(f func()) {
	var signals []os.Signal
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		if !signal.Ignored(s) {
			signals = append(signals, s)
		}
	}
	if len(signals) == 0 {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, func() {
		stop()
		f()
	})
}

// send makes the call and waits for the end of the turn.
func (o *sendOptions) send(ctx context.Context, params ipc.Send) (*ipc.Reply, error) {
	c, err := o.dial(ctx)
	if err != nil {
		return nil, notAccepted(ctx, err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Not before: it takes as long as the call itself, and until the message is
	// on its way there is nothing to say of it.
	c.OnSent = func() { onInterrupt(cancel) }
	var heard progress
	c.OnNotify = heard.note
	var reply ipc.Reply
	err = c.Call(ctx, ipc.MethodSend, &params, &reply)
	switch {
	case err == nil:
		return &reply, nil
	case heard.id == "":
		return nil, notAccepted(ctx, err)
	}
	return nil, o.accepted(ctx, heard, err)
}

// progress is what the daemon has said of a message. Only the goroutine that
// makes the call uses it.
type progress struct {
	id      string
	running bool
}

func (p *progress) note(method string, raw json.RawMessage) {
	var state ipc.MessageState
	if method != ipc.NotifyState || state.ParseJSON(raw) != nil || state.ID == "" {
		return
	}
	p.id = state.ID
	p.running = p.running || state.State == "running" // a turn may begin before its place is told
}

// accepted says what a failed wait means for a message that has an id.
func (o *sendOptions) accepted(ctx context.Context, p progress, err error) error {
	var wire *ipc.Error
	if errors.As(err, &wire) {
		return err
	}
	if ctx.Err() == nil {
		return ipc.Errorf(ipc.CodeUnknown, "lost the daemon while message %s ran: %s", p.id, err)
	}
	why := "interrupted"
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		why = "no answer within " + o.timeout.String()
	}
	fate, remedy := "still waits and will run", "takes it back"
	if p.running {
		fate, remedy = "goes on", "interrupts it"
	}
	return &waitError{
		cause: ctx.Err(), id: p.id,
		text: fmt.Sprintf("%s; message %s %s", why, p.id, fate),
		hint: fmt.Sprintf("%q %s", "iris cancel "+p.id, remedy),
	}
}

// notAccepted says what it means that no id came back.
func notAccepted(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return ipc.Errorf(ipc.CodeDaemon, "the daemon did not accept the message in time")
	case ctx.Err() != nil:
		return &waitError{cause: ctx.Err(), text: "interrupted before the daemon accepted the message"}
	case errors.Is(err, ipc.ErrLost):
		return ipc.Errorf(ipc.CodeUnknown, "lost the daemon before it said whether it took the message: %s", err)
	}
	return err
}

// printReply prints the answer, and returns how the turn ended.
func printReply(stdout io.Writer, r *ipc.Reply, raw bool) error {
	if answers(r.Outcome) {
		if err := printText(stdout, r.Text, raw); err != nil {
			return err
		}
	}
	return replyError(r)
}

// answers reports whether the text of a reply is an answer, if perhaps only a
// part of one. With other outcomes it is what the agent said of its failure.
func answers(outcome string) bool {
	switch outcome {
	case "success", "denied", "incomplete", "limit":
		return true
	}
	return false
}

// printText writes the JSON string raw as text that ends with a line feed.
func printText(stdout io.Writer, text json.RawMessage, raw bool) error {
	out := newPrinter(stdout, raw)
	end := &lastByte{w: out}
	if err := ipc.UnquoteTo(end, text); err != nil {
		return err
	}
	if end.any && end.last != '\n' {
		io.WriteString(out, "\n")
	}
	return out.Close()
}

// lastByte remembers the last byte that was written.
type lastByte struct {
	w    io.Writer
	any  bool
	last byte
}

func (l *lastByte) Write(p []byte) (int, error) {
	if len(p) > 0 {
		l.any, l.last = true, p[len(p)-1]
	}
	return l.w.Write(p)
}

// replyError returns nil for success and else what the agent reported.
func replyError(r *ipc.Reply) error {
	if outcomeStatus(r.Outcome) == exitOK {
		return nil
	}
	text := r.Error
	switch {
	case text == "" && r.Outcome == "denied":
		text = "denied: " + deniedTools(r.Denials)
	case text == "":
		text = "the turn ended: " + r.Outcome
	}
	return &outcomeError{outcome: r.Outcome, text: text, hint: r.Hint}
}

func deniedTools(denials []ipc.Denial) string {
	var tools []string
	for _, d := range denials {
		tools = append(tools, d.Tool)
	}
	return strings.Join(tools, ", ")
}
