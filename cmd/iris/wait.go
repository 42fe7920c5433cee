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

	"iris/cmd/iris/internal/terminal"
	"iris/ipc"
)

type waitOptions struct {
	*globals
	idOptions
	any     bool
	timeout seconds
	after   uint64
	outputOptions
}

func (o *waitOptions) addFlags(f *pflag.FlagSet) {
	o.idOptions.addFlags(f)
	f.BoolVar(&o.any, "any", false, "end with the first message that ends")
	f.Var(&o.timeout, "timeout", "wait at most this long: 90s, 10m; the messages live on")
	o.outputOptions.addFlags(f, "print each reply as one JSON object a line; also when it failed")
	f.Var(numberFlag(&o.after), "after", "stream-json: only what follows this number; an earlier wait has printed it")
}

func newWaitCmd(g *globals) *cobra.Command {
	opts := waitOptions{globals: g, idOptions: idOptions{most: many}}
	return withFlags(&cobra.Command{
		Use:        "wait ID... | --last [TEAM[@SESSION]]",
		Short:      "Wait for messages and print their answers",
		SuggestFor: []string{"await", "follow", "join"},
		Long: `Wait until messages have ended and print each answer as "iris send" would have.
The answer of an ended message is printed at once, as often as you ask for it.

` + idText + `

The answer of a single message stands alone. Several answers are printed as
their messages end, each under a line "==> ID TEAM <==", and the error of a
message is on stderr with its id. With --any the command ends with the first
message that ends.

With --stream the text of a single message is printed as it comes, and with
--output stream-json Claude Code's own lines, from the beginning of its turn or
after the number that an earlier wait has printed. The lines of an ended message
are no longer kept; stderr says so.

If nobody knows how an attempt of the message ended and it has another one, the
command waits for that, and stderr says so.

A daemon that is restarted or killed meanwhile does not end the wait. Ctrl-C,
SIGTERM, a closed terminal and --timeout do, and nothing else: the messages live
on.

The exit status is that of "iris send". For several messages it is 0 if all of
them have status 0, else the first status, in the order of the arguments, that
is not 0; it is 124 or 130 if the wait was ended.

JSON
  one object a line, as "iris send --json" prints it, in the order in which the
  messages end

EXIT STATUS
0 1 2 3 4 5 6 7 8 9 10 11 12 13 75 124 130`,
		Example: `  id=$(iris send -d api "run the long tests") && iris wait "$id"
  iris wait --any --timeout 10m "$first" "$second"
  iris wait --stream 01m8a1whgp2t9pzt
  iris messages --state queued,running -q | xargs iris wait --json`,
		Args:              opts.check,
		ValidArgsFunction: opts.complete(g),
		RunE:              runs(&opts, runWait),
	}, opts.addFlags)
}

func runWait(ctx context.Context, opts *waitOptions, args []string, s streams) error {
	if err := opts.normalize(); err != nil {
		return err
	}
	streams := opts.streams(false)
	if opts.after > 0 && !opts.lines() {
		return usagef("add \"--output stream-json\"", "--after is about stream-json")
	}
	if streams && len(unique(args)) > 1 {
		return usagef("wait for one after the other", "the output of one message at a time can be streamed")
	}
	d := delivery{globals: opts.globals, timeout: opts.timeout, prompt: newPrompter(opts.globals, s.in, s.err)}
	defer d.prompt.close()
	ctx, end := d.begin(ctx)
	defer end()
	ids, err := opts.ids(ctx, opts.globals, args)
	switch {
	case err != nil && ctx.Err() != nil:
		return &waitError{cause: ctx.Err(), text: whyEnded(ctx, d.timeout)}
	case err != nil:
		return err
	}
	ids = unique(ids)
	d.ids = ids
	if streams {
		return opts.follow(ctx, &d, s.out, s.err)
	}
	out := answerPrinter{globals: opts.globals, stdout: s.out, stderr: s.err, json: opts.json, alone: len(ids) == 1}
	statuses := make(map[string]int)
	for len(d.ids) > 0 {
		id, reply, err := d.run(ctx)
		if id == "" {
			return out.broken(ctx, &d, err)
		}
		d.ids = slices.DeleteFunc(slices.Clone(d.ids), func(other string) bool { return other == id })
		err = out.print(ctx, errorReply{ID: id}, reply, err)
		if out.failed != nil {
			return out.failed
		}
		if out.alone {
			return err
		}
		statuses[id] = status(err)
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
	reply, err := d.reply(ctx)
	if err != nil {
		return err
	}
	return printStreamed(stderr, reply)
}

// unique returns ids without repetitions.
func unique(ids []string) []string {
	var once []string
	for _, id := range ids {
		if !slices.Contains(once, id) {
			once = append(once, id)
		}
	}
	return once
}

// firstStatus is the exit status when each message was reported.
func firstStatus(ids []string, statuses map[string]int) error {
	for _, id := range ids {
		if code := statuses[id]; code != exitOK {
			return silentError(code)
		}
	}
	return nil
}

// answerPrinter prints how messages ended.
type answerPrinter struct {
	globals        *globals
	stdout, stderr io.Writer
	json           bool
	alone          bool // there is only one message; the caller reports its error

	any    bool  // something was printed
	failed error // of the first failed write
}

// print prints the answer of one message and returns how it ended.
func (e *answerPrinter) print(ctx context.Context, m errorReply, reply *ipc.Reply, err error) error {
	switch {
	case e.json:
		err = e.object(ctx, m, reply, err)
	case err == nil && (answers(reply.Outcome) || len(reply.Earlier) > 0):
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

// report reports an error with the id of its message.
func (e *answerPrinter) report(id string, err error) {
	if !strings.Contains(err.Error(), id) {
		err = fmt.Errorf("message %s: %w", id, err)
	}
	report(e.stderr, err)
}

func (e *answerPrinter) answer(id string, reply *ipc.Reply) {
	if !e.alone {
		gap := ""
		if e.any {
			gap = "\n"
		}
		_, e.failed = fmt.Fprintf(e.stdout, "%s==> %s <==\n", gap, terminal.Escape(id+" "+ipc.Name(reply.Team, reply.Session)))
	}
	e.any = true
	if reply.Notice != "" {
		say(e.stderr, "%s", reply.Notice)
	}
	if e.failed == nil {
		e.failed = printText(e.stdout, reply, false)
	}
	e.failed = unwritten("the answer", id, "result", e.failed)
}

// object prints one message as JSON.
func (e *answerPrinter) object(ctx context.Context, m errorReply, reply *ipc.Reply, err error) error {
	if err != nil {
		m.Team, m.Session = e.globals.whose(ctx, m.ID)
	}
	return printReplyJSON(e.stdout, m, reply, err)
}

// broken ends the wait for all remaining messages.
func (e *answerPrinter) broken(ctx context.Context, d *delivery, err error) error {
	if e.json {
		for _, id := range d.ids {
			e.object(ctx, errorReply{ID: id}, nil, err)
		}
	}
	return err
}

// whoseLimit is how long an error waits for the name of its team. Tests change it.
var whoseLimit = 2 * time.Second

// whose returns the conversation of a message, or nothing if that takes too long.
func (g globals) whose(ctx context.Context, id string) (team, session string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), whoseLimit)
	defer cancel()
	m, _ := g.running().verbs().Show(ctx, ipc.MessageRef{ID: id})
	return m.Team, m.Session
}
