package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/ipc"
)

type waitOptions struct {
	*globals
	any     bool
	timeout seconds
	after   numberFlag
	outputOptions
}

func (o *waitOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.any, "any", false, "end with the first message that ends")
	f.Var(&o.timeout, "timeout", "wait at most this long, such as 90s or 10m; the messages live on")
	o.outputOptions.addFlags(f, "print each whole reply as one JSON object a line, also when it failed")
	f.Var(&o.after, "after", "with stream-json, only what follows this number, which an earlier wait has said")
}

func newWaitCmd(g *globals) *cobra.Command {
	opts := waitOptions{globals: g}
	cmd := &cobra.Command{
		Use:        "wait ID...",
		Short:      "Wait for messages and print their answers",
		SuggestFor: []string{"await", "follow", "join"},
		Long: `Wait until messages have ended and print each answer as "iris send" would have.
One that has ended already is printed at once; an answer can be had as often as
it is asked for.

The answer of a single message stands alone. Of several each is printed as it
ends, under a line "==> ID TEAM <==", and what went wrong with one is on stderr
with its id. With --any the first one that ends is the last.

With --stream the text of a single message is printed as it comes, and with
--output stream-json Claude Code's own lines, from the beginning of its turn or
after the number that an earlier wait has said. Of a message that has ended they
are no longer kept, which is said on stderr.

A message that was sent with --on-unknown retry, and sent again, is waited for
under the id of the second one, which stderr says.

A daemon that is restarted or killed meanwhile does not end the wait. Ctrl-C,
SIGTERM, a closed terminal and --timeout do, and nothing else: the messages live
on.

The exit status is the one that "iris send" would have ended with. Of several
messages it is 0 when that is the status of all, else that of the first one in
the order of the arguments that is not 0; 124 or 130 when the wait was ended.

JSON
  one object a line, as "iris send --json" prints it, in the order in which the
  messages end

EXIT STATUS
0 1 2 3 4 5 6 7 8 9 10 11 12 13 75 124 130`,
		Example: `  id=$(iris send -d api "run the long tests") && iris wait "$id"
  iris wait --any --timeout 10m "$first" "$second"
  iris wait --stream 01m8a1whgp2t9pzt
  iris messages --state queued,running -q | xargs iris wait --json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("usage: iris wait ID...", "wait needs the id of a message")
			}
			return nil
		},
		ValidArgsFunction: completeMessages(g, many),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runWait(cmd.Context(), opts, args, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func runWait(ctx context.Context, opts waitOptions, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	ids := unique(args)
	if err := opts.settle(); err != nil {
		return err
	}
	streams := opts.streams(false)
	switch {
	case streams && len(ids) > 1:
		return usagef("wait for one after the other", "the output of one message at a time can be streamed")
	case opts.after > 0 && !opts.lines():
		return usagef("add \"--output stream-json\"", "--after is about stream-json")
	}
	d := delivery{globals: opts.globals, timeout: opts.timeout, ids: ids, prompt: newPrompter(opts.globals, stdin, stderr)}
	defer d.prompt.close()
	ctx, end := d.begin(ctx)
	defer end()
	if streams {
		return opts.follow(ctx, &d, stdout, stderr)
	}
	out := endings{globals: opts.globals, stdout: stdout, stderr: stderr, json: opts.json, alone: len(ids) == 1}
	statuses := make(map[string]int)
	for len(d.waiting()) > 0 {
		id, reply, err := d.first(ctx)
		if id == "" {
			return out.broken(ctx, &d, err)
		}
		d.drop(id)
		err = out.print(ctx, noReply{ID: id, RetryOf: d.askedFor(id)}, reply, err)
		if out.failed != nil {
			return out.failed
		}
		if out.alone {
			return err
		}
		statuses[id], statuses[d.askedFor(id)] = status(err), status(err)
		if opts.any {
			break
		}
	}
	return firstStatus(ids, statuses)
}

// follow shows the output of a message as it comes.
func (o *waitOptions) follow(ctx context.Context, d *delivery, stdout, stderr io.Writer) error {
	d.streaming = newStreaming(&o.outputOptions, d.ids[0], false, stdout, stderr)
	d.streaming.seq = int64(o.after)
	reply, err := d.streamed(ctx, nil)
	if err != nil {
		return err
	}
	return printStreamed(stderr, reply)
}

// unique returns ids without those that occur a second time.
func unique(ids []string) []string {
	var once []string
	for _, id := range ids {
		if !slices.Contains(once, id) {
			once = append(once, id)
		}
	}
	return once
}

// firstStatus is what is left to say when each message was reported.
func firstStatus(ids []string, statuses map[string]int) error {
	for _, id := range ids {
		if code := statuses[id]; code != exitOK {
			return silentError(code)
		}
	}
	return nil
}

// endings prints how messages ended.
type endings struct {
	globals        *globals
	stdout, stderr io.Writer
	json           bool
	alone          bool // there is one message only, whose error is left to the caller

	any    bool  // something was printed
	failed error // to write
}

// print prints the answer of one message and returns how it ended.
func (e *endings) print(ctx context.Context, m noReply, reply *ipc.Reply, err error) error {
	switch {
	case e.json:
		err = e.object(ctx, m, reply, err)
	case err == nil && answers(reply.Outcome):
		e.answer(m.ID, reply)
		fallthrough
	case err == nil:
		err = replyError(reply)
	}
	if err != nil && !e.alone {
		e.report(m.ID, err)
	}
	return err
}

// report says what went wrong, and with which message.
func (e *endings) report(id string, err error) {
	if !strings.Contains(err.Error(), id) {
		err = fmt.Errorf("message %s: %w", id, err)
	}
	report(e.stderr, err)
}

func (e *endings) answer(id string, reply *ipc.Reply) {
	if !e.alone {
		gap := ""
		if e.any {
			gap = "\n"
		}
		_, e.failed = fmt.Fprintf(e.stdout, "%s==> %s <==\n", gap, escape(id+" "+name(reply.Team, reply.Session)))
	}
	e.any = true
	if reply.Notice != "" {
		say(e.stderr, "%s", reply.Notice)
	}
	if e.failed == nil {
		e.failed = printText(e.stdout, reply.Text, false)
	}
}

// object prints one message as JSON.
func (e *endings) object(ctx context.Context, m noReply, reply *ipc.Reply, err error) error {
	if err != nil {
		m.Team, m.Session = e.globals.whose(ctx, m.ID)
	}
	return printReplyJSON(e.stdout, m, reply, err)
}

// broken ends the wait for all the messages that are left.
func (e *endings) broken(ctx context.Context, d *delivery, err error) error {
	if e.json {
		for _, id := range d.waiting() {
			e.object(ctx, noReply{ID: id, RetryOf: d.askedFor(id)}, nil, err)
		}
	}
	return err
}

// whoseLimit is how long an error waits for the name that goes with it. It is
// another one in tests.
var whoseLimit = 2 * time.Second

// whose returns the conversation of a message, or nothing if that is not to be
// had at once.
func (g globals) whose(ctx context.Context, id string) (team, session string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), whoseLimit)
	defer cancel()
	g.noStart = true
	var m ipc.Message
	if g.call(ctx, ipc.MethodShow, &ipc.Which{ID: id}, &m) != nil {
		return "", ""
	}
	return m.Team, m.Session
}
