package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/ipc"
)

type sendOptions struct {
	*globals
	file      string
	noStdin   bool
	timeout   seconds
	fresh     bool
	detach    bool
	key       string
	ttl       seconds
	ifBusy    string
	onUnknown string
	cancels   bool
	variant   variantFlags
	raw       bool
	outputOptions
}

var (
	busyWords    = []string{"wait", "skip", "fail"}
	unknownWords = []string{"hold", "continue", "retry"}
)

func (o *sendOptions) addFlags(f *pflag.FlagSet) {
	f.VarP(textFlag{&o.file, "FILE"}, "file", "f", "read the text from FILE instead of standard input")
	f.BoolVarP(&o.noStdin, "no-stdin", "n", false, "do not read standard input")
	f.BoolVarP(&o.detach, "detach", "d", false, "print the id of the message and do not wait for the answer")
	f.Var(&o.timeout, "timeout", "wait at most this long, such as 90s or 10m; the message lives on")
	f.BoolVar(&o.cancels, "cancel-on-interrupt", false, "an interrupt cancels the message, and not only the wait")
	f.Var(keyFlag{&o.key}, "key", "accept the message once, however often it is sent with this key")
	f.Var(&o.ttl, "ttl", "drop the message when its turn has not begun by then, such as 10m")
	f.Var(wordFlag{&o.ifBusy, busyWords}, "if-busy", "when its conversation has a turn or a queue: wait (the default), skip (status 0) or fail (75)")
	f.Var(wordFlag{&o.onUnknown, unknownWords}, "on-unknown", "when nobody can prove how the turn ended: continue (the default), hold or retry")
	f.BoolVar(&o.fresh, "fresh", false, "in a conversation of its own, which ends with the answer")
	o.variant.addFlags(f)
	o.outputOptions.addFlags(f, "print the whole reply as one JSON object, also when it failed")
	acceptNames(f, &o.outputOptions)
	f.BoolVar(&o.raw, "raw", false, "on a terminal too, print the answer as it is")
}

func newSendCmd(g *globals) *cobra.Command {
	opts := sendOptions{globals: g}
	cmd := &cobra.Command{
		Use:        "send TEAM[@SESSION] [MESSAGE... | -]",
		Short:      "Send a message and print the answer",
		SuggestFor: []string{"ask", "run", "tell"},
		Long:       sendText,
		Example: `  iris send api "why does the build fail?"
  git diff | iris send api@review "look at this"
  iris send --output stream-json api "fix it" | jq -r .type
  iris send . -f question.md --timeout 10m
  id=$(iris send -d api "run the long tests") && iris wait "$id"
  iris send nightly -f report.md --key "report-$(date +%F)" --ttl 2h
  iris send api "what is wrong here?" @screenshot.png
  iris send --json-schema "$(cat schema.json)" api "list the modules" | jq .
  ssh host iris send -n api status`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return usagef("usage: iris send TEAM[@SESSION] [MESSAGE... | -]", "send needs a team")
			case opts.detach && (opts.stream || opts.format == "stream-json"):
				return usagef("leave one of them out", "--detach does not wait, so there is nothing to stream")
			case opts.detach && opts.cancels:
				return usagef("leave one of them out", "--detach does not wait, so there is nothing for --cancel-on-interrupt to end")
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
			return g.flagError(cmd, err)
		}
		return usagef("quote a message with dashes in it, and put \"--\" before one that begins with a dash, or send it through a pipe", "%s", flagProblem(err, g.args))
	})
	opts.addFlags(cmd.Flags())
	completeWords(cmd, "output", outputWords)
	completeWords(cmd, "if-busy", busyWords)
	completeWords(cmd, "on-unknown", unknownWords)
	completeVariant(cmd)
	return cmd
}

const sendText = `Send a message to a team and print the answer, and nothing else, on stdout.

TEAM is the name of a team, or a directory: "." or anything with a slash, where
"~" is your home also between quotes. A directory stands for the team that has
this very directory, not one above it, or for itself when there is none. SESSION
names another conversation of the team; each has its own agent and order.

The message is the arguments joined by spaces. A pipe or a file on standard
input is read to its end and added after a blank line; with -f the text comes
from FILE instead. Standard input that is a terminal or /dev/null is not read,
nor is, beside arguments, a file that was read in part already, such as the one
a shell loop reads; "-" as the last argument reads it all the same. Where
standard input stays open (ssh without -n, a loop over a pipe, some programs
that run commands) use -n.

A word of the message that begins with "@" names a file to send along: an image
(PNG, JPEG, GIF, WebP) or a PDF as what it is, any other one as text with its
name. It is read here, from the directory of the caller. Inside a quoted message
"@path" is left as it is: Claude Code's own mention of a file of the team.

--model, --permission-mode, --max-turns, --append-system-prompt and
--json-schema are those of "claude -p", for this message alone, in place of what
the team's args say. Each of them needs a process that was started with it. One
that was not is replaced first, which takes as long as a start of Claude Code,
ends what runs in its background, and keeps the conversation; messages with the
same flags that follow are answered at once. The next message without them has
an agent without them again. bypassPermissions is refused unless the team's args
allow it, and to what an agent has started every mode but plan. With
--json-schema the answer is the JSON; one in words is a failure (1).

The answer is printed as the agent gave it, with a line feed added if it ends
without one. On a terminal, what could steer the terminal is shown as an escape
sequence.

On a terminal the text is shown as it comes, also what the agent says between
the uses of its tools; and before and between that, in one line of stderr that
goes away again, the place in the queue, what the message waits for and what the
agent does. In a pipe or a file the answer is printed once, when it is there,
unless --stream asks for the text as it comes; --stream=false does the reverse.

A message that has an id is on disk and outlives the daemon. When the daemon is
restarted or killed the wait goes on with the next one. With --detach there is
no wait: the id is printed, and "iris wait ID" or "iris result ID" gets the
answer later.

Ctrl-C, SIGTERM, a closed terminal and --timeout end the wait and nothing else:
a message that still waits will run, a running turn goes on. Its id is on
stderr; "iris wait ID" waits for it again, "iris cancel ID" takes it back or
interrupts it. With --cancel-on-interrupt Ctrl-C, SIGTERM and a closed terminal
do that at once; --timeout does not.

Where the configuration has approvals = "ask", a turn waits when a tool needs
permission. At a terminal, which standard input and standard error must be, you
are asked: "y" or "yes" allows it, in capitals too; "n", "no" or an empty line
denies it; any other answer denies it and is what the agent is told. Elsewhere
"iris approvals" shows it.

--key makes it safe to send again when nobody knows whether the first time was a
success: the same message with the same key is accepted once and each sender
gets its answer; another message with that key is refused. A key is remembered
as long as its message, 35 days unless the configuration says otherwise.

When nobody can prove how the turn ended (7) it is never run again by itself,
unless --on-unknown is retry. Then it is sent once more, as a message with an id
of its own: whoever waits for the first one, now or later, gets the answer of
the second, and stderr says so. The messages of the conversation behind it run,
or wait until "iris resolve" says what happened if it is hold.

STREAM JSON
  With --output stream-json Claude Code's own lines are printed as they come,
  byte for byte, those of "claude -p --output-format stream-json --verbose": a
  program written for that works with "iris send" in its place. The last one
  has the type result, unless nobody knows how the turn ended. On a terminal
  alone, what could steer it is escaped, and stays the same JSON.

  A reader that is slow slows nobody else. What it is more than 64 MB behind may
  be missed, which is said on stderr. Where a wait was cut short the hint says
  which number to give "iris wait --after".

JSON
  id, team, session, session_id, outcome, text, error, hint, notice,
  subtype, api_status, turns, cost_usd, duration_ms, usage (input_tokens,
  output_tokens, cache_read_tokens, cache_write_tokens), denials (tool, input),
  model (that answered), resets (when a rate limit is over, if that is known),
  background (what the turn has left to run beside it), reason, retry_of (the
  message that was waited for, when this one was sent in its place) and status,
  the exit status. outcome is success, denied, failed, interrupted, incomplete,
  not-logged-in, rate-limited, limit or api-error. reason is approval-lost when
  a tool was denied since the daemon ended before anybody had decided, and
  decided when somebody was asked and has denied it, or the deadline has. notice
  says what to know besides, such as that a new conversation was begun.

  When the agent did not end the turn by its own word: id, retry_of, team,
  session, outcome "none", error, hint, reason and status. Empty ones are left
  out.
  reason is one word: no-such-team, bad-name, bad-option, cannot-start,
  not-dispatched, pool-full, queue-full, busy, deadlock, disk-full, journal,
  conflict, expired, cancelled, killed, evicted, stalled, stopping, unknown,
  not-running, no-such-message, not-ended, pruned or failed; other-configuration
  or protocol when the running daemon is another; and there is none when the
  wait has ended or no daemon could be reached.

  With --detach: id, state, position in the queue, and existing when the key was
  known. Errors of usage that are found before anything is sent print no JSON.

EXIT STATUS
0 1 2 3 4 5 6 7 8 9 10 11 12 13 65 75 124 130`

func runSend(ctx context.Context, opts sendOptions, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	team, session, err := parseTarget(args[0])
	if err != nil {
		return err
	}
	if err := opts.settle(); err != nil {
		return err
	}
	src := source{args: args[1:], file: opts.file, noStdin: opts.noStdin, stdin: stdin, stderr: stderr}
	content, err := src.blocks()
	var text string
	if err == nil && content == nil {
		text, err = src.read()
	}
	if err != nil {
		return err
	}
	params := opts.params(team, session, text)
	params.Content = content
	d := delivery{globals: opts.globals, timeout: opts.timeout, keyed: opts.key != "", cancels: opts.cancels}
	ctx, end := d.begin(ctx)
	defer end()
	if opts.detach {
		return opts.submit(ctx, &d, params, stdout)
	}
	d.prompt = newPrompter(opts.globals, stdin, stderr)
	defer d.prompt.close()
	params.Approvals = d.prompt != nil
	if opts.streams(isTerminal(stdout)) {
		d.streaming = newStreaming(&opts.outputOptions, name(team, session), opts.raw, stdout, stderr)
		reply, err := d.ask(ctx, params)
		if err = opts.meaning(params, err); err != nil {
			return err
		}
		return printStreamed(stderr, reply)
	}
	reply, err := d.send(ctx, params)
	d.prompt.close()
	err = opts.meaning(params, err)
	if opts.json {
		none := noReply{Team: team, Session: session}
		if ids := d.waiting(); len(ids) == 1 {
			none.RetryOf = d.askedFor(ids[0])
		}
		return printReplyJSON(stdout, none, reply, err)
	}
	if err != nil {
		return err
	}
	return printReply(stdout, stderr, reply, opts.raw)
}

// params are what the daemon gets.
func (o *sendOptions) params(team, session, text string) ipc.Send {
	p := ipc.Send{
		Team: team, Session: session, Text: text, Fresh: o.fresh, EnvKeys: credentialKeys(os.Environ()),
		Key: o.key, OnUnknown: o.onUnknown, Origin: os.Getenv("IRIS_ORIGIN"),
		Options: o.variant.Variant,
	}
	if o.ttl > 0 {
		p.TTL = max(1, time.Duration(o.ttl).Milliseconds())
	}
	if o.ifBusy == "skip" || o.ifBusy == "fail" {
		p.IfBusy = "fail"
	}
	return p
}

// meaning is what the sender makes of the daemon's error.
func (o *sendOptions) meaning(p ipc.Send, err error) error {
	if o.ifBusy == "skip" && reasonOf(err) == "busy" {
		return &skippedError{team: name(p.Team, p.Session), cause: err}
	}
	return orDirectory(p.Team, err)
}

// submit sends the message and prints its id.
func (o *sendOptions) submit(ctx context.Context, d *delivery, p ipc.Send, stdout io.Writer) error {
	var state ipc.MessageState
	err := d.run(ctx, func(ctx context.Context, c *ipc.Client) error {
		c.Patience = patience
		return c.Call(ctx, ipc.MethodSubmit, &p, &state)
	})
	err = o.meaning(p, err)
	if err != nil && o.json {
		return printReplyJSON(stdout, noReply{Team: p.Team, Session: p.Session}, nil, err)
	}
	if err != nil {
		return err
	}
	return printState(stdout, &state, o.json)
}

// printState prints the id of a message, or all that is known of its state.
func printState(stdout io.Writer, state *ipc.MessageState, asJSON bool) error {
	if asJSON {
		return printJSON(stdout, state)
	}
	_, err := fmt.Fprintln(stdout, escape(state.ID))
	return err
}

// send sends the message and waits for the end of its turn.
func (d *delivery) send(ctx context.Context, params ipc.Send) (*ipc.Reply, error) {
	reply := new(ipc.Reply)
	err := d.run(ctx, func(ctx context.Context, c *ipc.Client) (err error) {
		if d.waiting() != nil { // an earlier daemon has it on record
			_, reply, err = d.collect(ctx, c)
			return err
		}
		return c.Call(ctx, ipc.MethodSend, &params, reply)
	})
	return reply, err
}

// onInterrupt calls f at the first Ctrl-C, SIGTERM or loss of the terminal; the
// second one has its usual effect. A signal that the caller ignores, as shells do
// for what they run in the background, stays ignored.
func onInterrupt(f func()) {
	var signals []os.Signal
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
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
