package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/cmd/iris/internal/terminal"
	"iris/ipc"
)

type sendOptions struct {
	*globals
	file      string
	noStdin   bool
	timeout   seconds
	fresh     bool
	noWait    bool
	detach    bool
	key       string
	ttl       seconds
	ifBusy    string
	onLimit   string
	spare     bool
	spareSet  bool
	onUnknown string
	cancels   bool
	variant   variantFlags
	raw       bool
	outputOptions
}

var (
	busyWords    = []string{"wait", "skip", "fail"}
	limitWords   = []string{"wait", "fail"}
	unknownWords = []string{"hold", "continue", "retry"}
)

func (o *sendOptions) addFlags(f *pflag.FlagSet) {
	f.VarP(filledFlag(&o.file, "FILE", "to send the words or standard input"), "file", "f", "read the text from FILE, not standard input")
	f.BoolVarP(&o.noStdin, "no-stdin", "n", false, "do not read standard input")
	f.BoolVarP(&o.detach, "detach", "d", false, "print the id and do not wait for the answer")
	f.Var(&o.timeout, "timeout", "wait at most this long: 90s, 10m; the message lives on")
	f.BoolVar(&o.cancels, "cancel-on-interrupt", false, "Ctrl-C cancels the message too; so do SIGTERM and a closed terminal")
	f.Var(keyFlag(&o.key), "key", "accept the message once for this key; each sender gets its answer")
	f.Var(&o.ttl, "ttl", "drop it if its turn has not begun by then; write it like 10m or 4h")
	f.Var(wordFlag(&o.ifBusy, busyWords), "if-busy", "if the session is busy: wait, skip or fail; wait is the default, skip ends with status 0 and fail with 75")
	f.Var(wordFlag(&o.onLimit, limitWords), "on-limit", "if its account is limited: wait or fail; fail ends with status 10, and on_limit of the team is the default")
	f.Var(choiceFlag(&o.spare, &o.spareSet), "spare", "run only with capacity to spare; while another message of its account waits or spare_below is used, it waits, and spare of the team is the default")
	f.Lookup("spare").NoOptDefVal = "true"
	f.Var(wordFlag(&o.onUnknown, unknownWords), "on-unknown", "if unknown: continue, hold or retry; continue is the default, a message is unknown when nobody can prove how its turn ended")
	f.BoolVar(&o.fresh, "fresh", false, "in a session of its own; it ends with the answer")
	f.BoolVar(&o.noWait, "no-background-wait", false, "end with the first answer; subagents that still work for the message are not waited for")
	o.variant.addFlags(f)
	o.outputOptions.addFlags(f, "print the whole reply as one JSON object; also when it failed")
	acceptNames(f, &o.outputOptions)
	f.BoolVar(&o.raw, "raw", false, "print the answer as it is; on a terminal, too")
}

func newSendCmd(g *globals) *cobra.Command {
	opts := sendOptions{globals: g}
	message := freeText{g, 1, "message"}
	cmd := &cobra.Command{
		Use:        "send TEAM[@SESSION] [MESSAGE... | -]",
		Short:      "Send a message and print the answer",
		SuggestFor: []string{"ask", "run", "tell", "prompt", "say"},
		Long:       sendText,
		Example: `  iris send api "why does the build fail?"
  git diff | iris send api@review "look at this"

  iris send . -f question.md --timeout 10m
  iris send api "what is wrong here?" @screenshot.png
  iris send --output stream-json api "fix it" | jq -r .type
  id=$(iris send -d api "run the long tests") && iris wait "$id"
  iris send nightly -f report.md --key "report-$(date +%F)" --ttl 2h
  iris send --json-schema @schema.json api "list the modules" | jq .
  ssh host iris send -n api status`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return usagef("usage: iris send TEAM[@SESSION] [MESSAGE... | -]", "send needs a team")
			case opts.detach && (opts.stream || opts.format == "stream-json"):
				return usagef("leave one of them out", "--detach does not wait, so there is nothing to stream")
			case opts.detach && opts.cancels:
				return usagef("leave one of them out", "--detach does not wait, so there is nothing for --cancel-on-interrupt to end")
			}
			return message.check(cmd, args)
		},
		ValidArgsFunction: completeMessage(g),
		RunE:              runs(&opts, runSend),
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
	completeWords(cmd, "on-limit", limitWords)
	completeWords(cmd, "on-unknown", unknownWords)
	completeVariant(cmd)
	return message.addTo(cmd)
}

const sendText = `Send a message to a team and print the answer, and nothing else, on stdout.
Every message waits in the queue of its session, which has an agent of its own.
The exit status says how the turn ended.

TEAM is the name of a team, or a directory: "." or a path with a slash, where
"~" is your home even between quotes. A directory stands for the team of exactly
this directory, not of a parent, or for itself when there is no such team.
SESSION names another session of the team; each session has its own agent and
order.

The message is the arguments joined by spaces. Flags go before its first word or
after its last one. A flag between its words is refused (2), for it may be one
of them: quote the message, or put "--" before it.

A pipe or a file on standard input is read to its end and added after a blank
line; with -f the text comes from FILE instead. Standard input is not read if it
is a terminal or /dev/null, or, beside arguments, a file that was already read
in part, such as the file that a shell loop reads; "-" as the last argument
reads it all the same. Where standard input stays open (ssh without -n, a loop
over a pipe, some programs that run commands) use -n.

A word of the message that begins with "@" names a file to send along: images
(PNG, JPEG, GIF, WebP) and PDFs are sent in their format, other files as text
with their name. The path is relative to the directory of the caller. Inside a
quoted message "@path" is left as it is: Claude Code's own mention of a file of
the team.

--model, --permission-mode, --effort, --allowed-tools, --max-turns,
--append-system-prompt and --json-schema are those of "claude -p", for this
message alone, and --max-cost is its --max-budget-usd: Claude Code ends the turn
after the call of the model with which it has cost that much (11).
--allowed-tools adds to the tools that the team allows; the others replace the
team's args. --effort, --allowed-tools and, where the version of Claude Code can
take it back, --permission-mode are set in the live agent and taken back after
the turn. Each of the others needs a process that was started with it. Another
process is replaced first: this takes as long as a start of Claude Code, ends
its background work, and keeps the session ("iris events" says why a process
went). Messages with the same flags that follow are answered at once. The next
message without the flags has an agent without them again. bypassPermissions is
refused unless the team's args allow it; --allowed-tools and every mode but plan
are refused to commands run by an agent. With --json-schema the answer is the
JSON; an answer in words is a failure (1). The schema is JSON, or @FILE for that
of a file.

A message runs in the permission mode of its team, or in its own. If the agent
changes its mode during a turn (EnterPlanMode), the change ends with the turn.

If the agent has background subagents work for a message, the turn lasts until
they have reported, as with "claude -p". The answer is then all that the agent
said at the end of each step, in order, with blank lines between. With
--no-background-wait the answer is the first step alone, and the agent works on;
the rest is in "iris logs" and, as own-turn, in "iris events". The key
background_wait of the configuration says the same for a team.

The answer is printed as the agent gave it, with a line feed added if it ends
without one. On a terminal, characters that could steer the terminal are shown
as escape sequences.

On a terminal the text is shown as it comes, including the text between the uses
of tools. One line on stderr, which goes away again, shows the place in the
queue, what the message waits for and what the agent does. In a pipe or a file
the answer is printed once, when it is there, unless --stream asks for the text
as it comes; --stream=false does the reverse.

A message that has an id is on disk and outlives the daemon. When the daemon is
restarted or killed, the wait goes on with the next daemon. With --detach the
command prints the id and does not wait; "iris wait ID" or "iris result ID" gets
the answer later.

Ctrl-C, SIGTERM, a closed terminal and --timeout end the wait and nothing else:
a queued message will run, and a running turn goes on. The id is on stderr;
"iris wait ID" waits for the message again, "iris cancel ID" drops it or
interrupts its turn. With --cancel-on-interrupt, Ctrl-C, SIGTERM and a closed
terminal do that at once; --timeout does not.

A wait that ends before the daemon has said the id drops a message that is not
accepted yet: it will not run later. The daemon is then asked for 2 seconds at
most (10 with --cancel-on-interrupt). If the message was accepted, all is as
above; if not, the status is 3 after --timeout and 130 after an interrupt.
Without an answer nobody knows (7): "iris show ID", with the id on stderr, says
so later, and ends with 4 if the message was not accepted.

If the configuration has approvals = "ask", a turn waits when a tool needs
permission. If standard input and standard error are a terminal, you are asked:
"y" or "yes", also in capitals, allows the tool; "a" or "always" also allows
from now on what the agent offers, as "iris approve --always" does; "n", "no" or
an empty line denies it; any other answer denies it and is passed to the agent.
An agent's question (AskUserQuestion) is answered by the number of an option,
its label or any other text; an empty line denies it. Elsewhere "iris approvals"
shows both.

With --key you can safely send a message again when you do not know whether the
first attempt succeeded: the same message with the same key is accepted once,
and each sender gets its answer; another message with that key is refused. A key
is remembered as long as its message, 35 days unless the configuration says
otherwise.

Teams with the same credentials share an account ("iris account"). While it is
limited, no turn of it begins: a message waits for the reset, and stderr says
until when. If a turn hits the limit before anything was done in it, its message
waits too, and gets a second attempt. With --on-limit fail a message ends at
once (10). --ttl and --timeout count on.

A message that a budget of the configuration does not allow ends with 11, or
waits until the day or month is over, as on_budget says. Before a turn begins,
what such a turn of its team is likely to cost is reserved, or its --max-cost.

With --spare a message is not urgent: its turn begins only while no other
message of its account waits, and less than spare_below of each limit of the
account is used. In its session it stays behind the others, also those that come
later. A message that a turn waits for is never spare, and --spare=false
overrides spare of the team.

When nobody can prove how the turn ended (7), it is never run again by itself,
unless --on-unknown is retry. Then the message gets one more attempt, before the
other messages of its session: every command that waits for it gets the answer
of that attempt, and stderr says so. With continue the messages behind it run;
with hold they wait until "iris resolve" says what happened, or "iris retry"
gives it another attempt.

STREAM JSON
  With --output stream-json Claude Code's own lines are printed as they come,
  byte for byte, those of "claude -p --output-format stream-json --verbose": a
  program written for that works with "iris send" in its place, at the price of
  a warm turn. The last line has the type result, unless nobody knows how the
  turn ended. Only on a terminal, characters that could steer it are escaped;
  the line stays the same JSON.

  The lines are read from the agent's file at the pace of their reader, so a
  slow or stopped reader slows neither an agent nor the daemon. A reader may be
  64 MB behind; beyond that it may miss lines, and stderr says which. A daemon
  that is killed in between loses no line and repeats none. When a wait was cut
  short, the hint says which number to give "iris wait --after".

JSON
  id, team, session, session_id, outcome, text, earlier (the answers before the
  text, of a turn that has waited for subagents), error, hint, notice, subtype,
  api_status, turns, cost_usd, duration_ms, usage (input_tokens,
  output_tokens, cache_read_tokens, cache_write_tokens), denials (tool, input),
  model (that answered), resets (when a rate limit is over, if that is known),
  background (the work that the turn has left to run beside it), reason and
  status, the exit status. outcome is success, denied, failed, interrupted,
  incomplete, not-logged-in, rate-limited, limit or api-error.
  reason is approval-lost when a tool was denied because the daemon ended before
  anybody had decided; decided when somebody denied the tool, or the deadline
  did; refused-again when the API says the same of two messages in a row;
  helper-failed when the apiKeyHelper of a settings.json has failed. notice says
  what else to know, such as that a new conversation was begun.

  When the agent did not end the turn by its own word: id, team, session,
  outcome "none", error, hint, reason and status. Empty members are left out.
  reason is one word: no-such-team, bad-name, bad-option, cannot-start,
  not-dispatched, pool-full, no-memory, queue-full, busy, open-elsewhere,
  deadlock, not-allowed, too-deep, too-many (of messages that an agent sends),
  disk-full, budget, journal, conflict, expired, cancelled, killed, evicted,
  stalled, stopping, unknown, not-running, no-such-message, ambiguous,
  not-ended, pruned, maybe-accepted (nobody knows) or failed;
  other-configuration or protocol when the running daemon is another. There is
  no reason when the wait has ended or no daemon could be reached.

  With --detach: id, state, position in the queue, and existing when the key was
  known. Usage errors that are found before anything is sent print no JSON.

EXIT STATUS
0 1 2 3 4 5 6 7 8 9 10 11 12 13 65 75 124 130`

func runSend(ctx context.Context, opts *sendOptions, args []string, s streams) error {
	team, session, err := parseTarget(args[0])
	if err != nil {
		return err
	}
	if err := opts.normalize(); err != nil {
		return err
	}
	src := source{args: args[1:], file: opts.file, noStdin: opts.noStdin, stdin: s.in, stderr: s.err}
	content, err := src.blocks()
	var text string
	if err == nil && content == nil {
		text, err = src.read()
	}
	if err != nil {
		return err
	}
	opts.introduce(ctx, s.err, team)
	params := opts.params(team, session, text)
	params.Content = content
	d := delivery{globals: opts.globals, timeout: opts.timeout, newID: ipc.NewID(time.Now()), keyed: opts.key != "", cancels: opts.cancels}
	ctx, end := d.begin(ctx)
	defer end()
	if opts.detach {
		return opts.submit(ctx, &d, params, s.out)
	}
	d.prompt = newPrompter(opts.globals, s.in, s.err)
	defer d.prompt.close()
	params.Approvals = d.prompt != nil
	if opts.streams(terminal.Is(s.out)) {
		d.streaming = newStreaming(&opts.outputOptions, ipc.Name(team, session), opts.raw, s.out, s.err)
		params.Stream, params.Partial, params.Place = true, d.streaming.partial, d.streaming.place
	}
	d.accept = func(ctx context.Context, c *ipc.Client) (*ipc.Reply, error) {
		params.ID = d.newID
		return c.Send(ctx, params)
	}
	reply, err := d.reply(ctx)
	err = opts.meaning(params, err)
	switch {
	case opts.json:
		return printReplyJSON(s.out, errorReply{Team: team, Session: session}, reply, err)
	case err != nil:
		return err
	case d.streaming != nil:
		return printStreamed(s.err, reply)
	}
	return printReply(s.out, s.err, reply, opts.raw)
}

// params are the parameters for the daemon.
func (o *sendOptions) params(team, session, text string) ipc.Send {
	p := ipc.Send{
		Team: team, Session: session, Text: text, Fresh: o.fresh, NoWait: o.noWait, EnvKeys: credentialKeys(os.Environ()),
		Key: o.key, OnLimit: o.onLimit, OnUnknown: o.onUnknown, Origin: os.Getenv("IRIS_ORIGIN"),
		Options: o.variant.Variant,
	}
	if o.spareSet {
		p.Spare = &o.spare
	}
	if o.ttl > 0 {
		p.TTL = max(1, time.Duration(o.ttl).Milliseconds())
	}
	if o.ifBusy == "skip" || o.ifBusy == "fail" {
		p.IfBusy = "fail"
	}
	return p
}

// meaning turns an error of the daemon into that of the command.
func (o *sendOptions) meaning(p ipc.Send, err error) error {
	if o.ifBusy == "skip" && ipc.ReasonOf(err) == "busy" {
		return &skippedError{team: ipc.Name(p.Team, p.Session), cause: err}
	}
	return orDirectory(p.Team, err)
}

// submit sends the message and prints its id.
func (o *sendOptions) submit(ctx context.Context, d *delivery, p ipc.Send, stdout io.Writer) error {
	var state ipc.MessageState
	d.detach = true
	d.accept = func(ctx context.Context, c *ipc.Client) (_ *ipc.Reply, err error) {
		c.Patience, p.ID = patience, d.newID
		state, err = c.Submit(ctx, p)
		return nil, err
	}
	_, err := d.reply(ctx)
	err = o.meaning(p, err)
	if err != nil && o.json {
		return printReplyJSON(stdout, errorReply{Team: p.Team, Session: p.Session}, nil, err)
	}
	if err != nil {
		return err
	}
	return printState(stdout, &state, o.json)
}

// printState prints the id of a message, or as JSON its whole state.
func printState(stdout io.Writer, state *ipc.MessageState, asJSON bool) error {
	if asJSON {
		return unwritten("the id", state.ID, "show", terminal.JSON(stdout, state))
	}
	_, err := fmt.Fprintln(stdout, terminal.Escape(state.ID))
	return unwritten("the id", state.ID, "show", err)
}
