package main

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/ipc"
)

type resolveOptions struct {
	*globals
	idOptions
	as   string
	note string
	json bool
}

var resolveWords = []string{"done", "failed", "cancelled"}

func (o *resolveOptions) addFlags(f *pflag.FlagSet) {
	o.idOptions.addFlags(f)
	f.Var(wordFlag(&o.as, resolveWords), "as", "how it ended: done, failed or cancelled")
	textVar(f, &o.note, "note", "TEXT", "how you know, for \"iris show\"")
	f.BoolVar(&o.json, "json", false, "print one JSON object")
}

func newResolveCmd(g *globals) *cobra.Command {
	opts := resolveOptions{globals: g, idOptions: idOptions{most: 1}}
	cmd := &cobra.Command{
		Use:   "resolve ID | --last [TEAM[@SESSION]]",
		Short: "Record how an unknown message ended",
		Long: `Record how an unknown message ended, after you have looked, and print its id.
Nothing is run: "iris retry" runs the message again.

The message keeps the record. If it was sent with --on-unknown hold, its session
goes on then. Commands run by an agent cannot do this (2).

` + idText + `

JSON
  id, state

EXIT STATUS
0 1 2 3 4 75`,
		Example: `  iris messages --state unknown
  iris resolve 01m848j1qq28fxdd --as done --note "the commit is there"`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := opts.check(cmd, args); err != nil {
				return err
			}
			if opts.as == "" {
				return usagef("usage: iris resolve ID --as done|failed|cancelled", "resolve needs --as")
			}
			return nil
		},
		ValidArgsFunction: opts.complete(g, "unknown"),
		RunE:              runs(&opts, runResolve),
	}
	opts.addFlags(cmd.Flags())
	completeWords(cmd, "as", resolveWords)
	return cmd
}

func runResolve(ctx context.Context, opts *resolveOptions, args []string, s streams) error {
	ids, err := opts.ids(ctx, opts.globals, args)
	if err != nil {
		return err
	}
	state, err := opts.verbs().Resolve(ctx, ipc.Resolve{ID: ids[0], State: opts.as, Note: opts.note})
	if err != nil {
		return err
	}
	return printState(s.out, &state, opts.json)
}

type cancelOptions struct {
	*globals
	idOptions
	json bool
}

func (o *cancelOptions) addFlags(f *pflag.FlagSet) {
	o.idOptions.addFlags(f)
	f.BoolVar(&o.json, "json", false, "print one JSON object a line")
}

func newCancelCmd(g *globals) *cobra.Command {
	opts := cancelOptions{globals: g, idOptions: idOptions{most: many}}
	return withFlags(&cobra.Command{
		Use:        "cancel ID... | --last [TEAM[@SESSION]]",
		Short:      "Drop waiting messages, or interrupt their turns",
		SuggestFor: []string{"interrupt", "abort"},
		Long: `Cancel messages by their ids and print those ids, one a line. A message that
waits is dropped and never runs. A running turn is interrupted, as with Esc in
Claude Code.

Work that an interrupted turn has done stays done, and its agent and session are
kept. Commands that wait for the answer end with status 5.

"iris send --detach" and "iris messages" print the ids; the stderr of a "send"
whose wait ended and "message" of "iris ps --json" name them too. An unknown id
and a message that has ended are status 4; a message whose turn an earlier
daemon left running is 75. The others are cancelled all the same. Messages wait
without a daemon too, so a daemon is started.

` + idText + `

JSON
  one object a line: id, state; state is cancelled, or interrupting

EXIT STATUS
0 1 2 3 4 75`,
		Example: `  iris cancel 01m848j1qq28fxdd
  iris messages api --state queued -q | xargs iris cancel`,
		Args:              opts.check,
		ValidArgsFunction: opts.complete(g, "queued", "running"),
		RunE:              runs(&opts, runCancel),
	}, opts.addFlags)
}

func runCancel(ctx context.Context, opts *cancelOptions, args []string, s streams) error {
	if !opts.last {
		return each(s.err, unique(args), func(id string) error { return opts.cancel(ctx, ipc.MessageRef{ID: lowerID(id)}, s.out) })
	}
	refs, err := opts.refs(args)
	if err != nil {
		return err
	}
	return opts.cancel(ctx, refs[0], s.out)
}

func (o *cancelOptions) cancel(ctx context.Context, ref ipc.MessageRef, stdout io.Writer) error {
	id, err := o.messageID(ctx, ref)
	if err != nil {
		return orDirectory(ref.Team, err)
	}
	state, err := o.verbs().Cancel(ctx, id)
	if err != nil {
		return err
	}
	return printState(stdout, &state, o.json)
}

type retryOptions struct {
	*globals
	idOptions
	key     string
	detach  bool
	timeout seconds
	json    bool
}

func (o *retryOptions) addFlags(f *pflag.FlagSet) {
	o.idOptions.addFlags(f)
	f.BoolVarP(&o.detach, "detach", "d", false, "print the id of the message and do not wait")
	f.Var(keyFlag(&o.key), "key", "accept the new message once for this key; an unknown message takes none")
	f.Var(&o.timeout, "timeout", "wait at most this long: 90s, 10m; the message lives on")
	f.BoolVar(&o.json, "json", false, "print the whole reply as one JSON object; also when it failed")
}

func newRetryCmd(g *globals) *cobra.Command {
	opts := retryOptions{globals: g, idOptions: idOptions{most: 1}}
	return withFlags(&cobra.Command{
		Use:        "retry ID | --last [TEAM[@SESSION]]",
		Short:      "Send an ended message again",
		SuggestFor: []string{"rerun", "resend", "repeat"},
		Long: `Send the text of an ended message once more, to the same session, and print the
answer as "iris send" does. Look first at what the first turn did: it may have
done all of its work, even if the message is unknown or failed.

An unknown message gets another attempt: it keeps its id and runs before the
other messages of its session; "iris show" lists the attempts. The text of any
other message is sent as a new message with an id of its own, and the old
message stays as it is.

Ctrl-C, SIGTERM, a closed terminal and --timeout end the wait and nothing else;
the id is on stderr then. With --detach the id is printed and the command does
not wait. A wait that ends before the id has come is as with "iris send".

` + idText + `
Commands run by an agent cannot do this (2).

JSON
  one object as "iris send --json" prints it

EXIT STATUS
0 1 2 3 4 5 6 7 8 9 10 11 12 13 65 75 124 130`,
		Example: `  iris retry 01m848j1qq28fxdd
  iris messages --state failed --since 1h -q | xargs -n1 iris retry --detach`,
		Args:              opts.check,
		ValidArgsFunction: opts.complete(g, endedStates...),
		RunE:              runs(&opts, runRetry),
	}, opts.addFlags)
}

func runRetry(ctx context.Context, opts *retryOptions, args []string, s streams) error {
	ids, err := opts.ids(ctx, opts.globals, args)
	if err != nil {
		return err
	}
	id := ids[0]
	d := delivery{globals: opts.globals, timeout: opts.timeout, newID: ipc.NewID(time.Now()), retries: id, keyed: opts.key != "", detach: opts.detach}
	d.prompt = newPrompter(opts.globals, s.in, s.err)
	defer d.prompt.close()
	ctx, end := d.begin(ctx)
	defer end()
	var state ipc.MessageState
	d.accept = func(ctx context.Context, c *ipc.Client) (_ *ipc.Reply, err error) {
		if state, err = c.Retry(ctx, ipc.Retry{ID: id, NewID: d.newID, Key: opts.key}); err == nil {
			d.note(state)
		}
		return nil, err
	}
	reply, err := d.reply(ctx)
	switch {
	case err == nil && opts.detach:
		return printState(s.out, &state, opts.json)
	case opts.json:
		var none errorReply
		if err != nil {
			none.Team, none.Session = opts.whose(ctx, id)
		}
		return printReplyJSON(s.out, none, reply, err)
	case err != nil:
		return err
	}
	return printReply(s.out, s.err, reply, false)
}
