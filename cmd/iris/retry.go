package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/ipc"
)

type retryOptions struct {
	*globals
	key     string
	detach  bool
	timeout seconds
	json    bool
}

func (o *retryOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVarP(&o.detach, "detach", "d", false, "print the id of the new message and do not wait for the answer")
	f.Var(keyFlag{&o.key}, "key", "accept the new message once, however often it is asked for with this key")
	f.Var(&o.timeout, "timeout", "wait at most this long, such as 90s or 10m; the message lives on")
	f.BoolVar(&o.json, "json", false, "print the whole reply as one JSON object, also when it failed")
}

func newRetryCmd(g *globals) *cobra.Command {
	opts := retryOptions{globals: g}
	cmd := &cobra.Command{
		Use:        "retry ID",
		Short:      "Have a message that has ended run again",
		SuggestFor: []string{"rerun", "resend", "repeat"},
		Long: `Send the text of a message that has ended once more, to the same conversation,
and print the answer as "iris send" does. It is a new message with an id of its
own; the old one stays as it is, unless it is unknown: then it counts as failed
from now on, and "iris show" says as which one it was sent again.

Look first at what the first turn has done: it may have done all of it, also
when the message is unknown or failed. What an agent has started may not do this
(2).

Ctrl-C, SIGTERM, a closed terminal and --timeout end the wait and nothing else;
the id is on stderr then. With --detach it is printed and there is no wait.

JSON
  one object as "iris send --json" prints it

EXIT STATUS
0 1 2 3 4 5 6 7 8 9 10 11 12 13 65 75 124 130`,
		Example: `  iris retry 01m848j1qq28fxdd
  iris messages --state failed --since 1h -q | xargs -n1 iris retry --detach`,
		Args:              between(1, 1, "ID"),
		ValidArgsFunction: completeMessages(g, 1, endedStates...),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRetry(cmd.Context(), opts, args[0], cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func runRetry(ctx context.Context, opts retryOptions, id string, stdin io.Reader, stdout, stderr io.Writer) error {
	d := delivery{globals: opts.globals, timeout: opts.timeout, keyed: opts.key != "", prompt: newPrompter(opts.globals, stdin, stderr)}
	defer d.prompt.close()
	ctx, end := d.begin(ctx)
	defer end()
	var state ipc.MessageState
	var reply *ipc.Reply
	err := d.run(ctx, func(ctx context.Context, c *ipc.Client) (err error) {
		if d.waiting() == nil {
			if err := c.Call(ctx, ipc.MethodRetry, &ipc.Retry{ID: id, Key: opts.key}, &state); err != nil {
				return err
			}
			d.note(state)
		}
		if opts.detach {
			return nil
		}
		_, reply, err = d.collect(ctx, c)
		return err
	})
	switch {
	case err == nil && opts.detach:
		return printState(stdout, &state, opts.json)
	case opts.json:
		var none noReply
		if err != nil {
			none.Team, none.Session = opts.whose(ctx, id)
		}
		return printReplyJSON(stdout, none, reply, err)
	case err != nil:
		return err
	}
	return printReply(stdout, stderr, reply, false)
}
