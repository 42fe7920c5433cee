package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/ipc"
)

const (
	lookEvery = 250 * time.Millisecond // at a transcript that is followed
	findEvery = 4                      // looks, after which the daemon is asked where it is now
)

// lateBy is how late Claude Code may write the end of a turn, and beginsBy how late it
// may make the file of a conversation. They are others in a test.
var lateBy, beginsBy = time.Second, time.Second

type logsOptions struct {
	*globals
	follow bool
	raw    bool
	tail   numberFlag
	all    bool // tail was not given
}

func (o *logsOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVarP(&o.follow, "follow", "f", false, "go on with what is written from now on")
	f.VarP(&o.tail, "tail", "n", "only the last so many entries, or lines with --raw")
	f.BoolVar(&o.raw, "raw", false, "print Claude Code's own lines, one JSON object each")
}

func newLogsCmd(g *globals) *cobra.Command {
	opts := logsOptions{globals: g}
	cmd := &cobra.Command{
		Use:        "logs TEAM[@SESSION] | ID",
		Short:      "Show what was said in a conversation",
		SuggestFor: []string{"transcript", "log", "tail"},
		Long: `Print the transcript that Claude Code keeps of a conversation, as text: when,
who (you, the agent, or a tool with what it was asked), and what. Thinking is
left out, and of the result of a tool only the beginning is shown; --raw prints
all of it, as it is in the file. TEAM alone stands for the team's own
conversation. With the id of a message only its turn is shown.

With --follow it goes on, also in another file when the conversation begins anew
there; with the id of a message until that has ended.

The built-in agent keeps no transcript. Claude Code writes the end of a turn up
to a tenth of a second after its answer; of a message that has just ended a
second is waited for it.

EXIT STATUS
0 1 2 3 4 8 75`,
		Example: `  iris logs api
  iris logs api@review -f -n 20
  iris logs 01m848j1qq28fxdd --raw | jq -r .type`,
		Args: between(1, 1, "TEAM[@SESSION] | ID"),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			names, directive := completeTeams(g)(cmd, args, word)
			if len(names) == 0 || strings.Contains(word, "@") {
				return names, directive
			}
			ids, _ := completeMessages(g, 1)(cmd, args, word)
			return append(names, ids...), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.all = !cmd.Flags().Changed("tail")
			return runLogs(cmd.Context(), opts, args[0], cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func runLogs(ctx context.Context, opts logsOptions, arg string, stdout, stderr io.Writer) error {
	which, t, err := opts.locateSoon(ctx, arg)
	if err != nil {
		return err
	}
	if err := opts.missing(&t, which.ID); err != nil {
		return err
	}
	out := newPrinter(stdout, opts.raw && !isTerminal(stdout))
	if out.safe != nil && opts.raw {
		out.safe.form = formJSON
	}
	l := logReader{transcript: &t, stderr: stderr, out: newLogPrinter(out, &opts)}
	defer l.file.close()
	run := func(ctx context.Context) error { return l.run(ctx, opts, which) }
	if opts.follow {
		return errors.Join(whileRead(ctx, stdout, run), out.Close())
	}
	return errors.Join(run(ctx), out.Close())
}

// locateSoon is locate, and waits a moment for the file of a conversation that has
// just begun. Who follows it waits anyway.
func (o *logsOptions) locateSoon(ctx context.Context, arg string) (which ipc.Which, t ipc.Transcript, err error) {
	for begun := time.Now(); ; {
		which, t, err = o.locate(ctx, arg)
		if err != nil || o.follow || t.Path != "" || t.SessionID == "" || time.Since(begun) > beginsBy {
			return which, t, err
		}
		select {
		case <-ctx.Done():
			return which, t, ctx.Err()
		case <-time.After(lookEvery / 5):
		}
	}
}

// locate finds the transcript that arg means. Whatever cannot be the id of a
// message is a team, and so is what is no message.
func (o *logsOptions) locate(ctx context.Context, arg string) (ipc.Which, ipc.Transcript, error) {
	var t ipc.Transcript
	if isMessageID(arg) {
		which := ipc.Which{ID: arg}
		err := o.call(ctx, ipc.MethodLocate, &which, &t)
		if reasonOf(err) != "no-such-message" {
			return which, t, err
		}
	}
	team, session, err := parseTarget(arg)
	if err != nil {
		return ipc.Which{}, t, err
	}
	which := ipc.Which{Team: team, Session: session}
	err = orDirectory(team, o.call(ctx, ipc.MethodLocate, &which, &t))
	if reasonOf(err) == "no-such-team" && isMessageID(arg) {
		err = ipc.Errorf(ipc.CodeNotFound, "no message and no team %q", arg)
	}
	return which, t, err
}

// isMessageID reports whether s looks as the daemon's ids do.
func isMessageID(s string) bool {
	const letters = "0123456789abcdefghjkmnpqrstvwxyz"
	return len(s) == 16 && strings.Trim(s, letters) == ""
}

// missing says why there is nothing to show. A reader that follows waits for
// what may still come.
func (o *logsOptions) missing(t *ipc.Transcript, id string) error {
	who := name(t.Team, t.Session)
	waits := id != "" && t.Since == nil && t.Until == nil
	switch {
	case t.Agent != "claude":
		return ipc.Errorf(ipc.CodeNotFound, "team %s: the built-in agent keeps no transcript", who)
	case waits && !o.follow:
		return ipc.Errorf(ipc.CodeFull, "team %s: message %s is queued: its turn has not begun", who, id)
	case id != "" && t.Since == nil && t.Until != nil:
		return ipc.Errorf(ipc.CodeNotFound, "team %s: message %s is %s and had no turn", who, id, t.State)
	case t.Path != "" || o.follow && t.Until == nil:
		return nil
	case t.SessionID == "":
		return ipc.Errorf(ipc.CodeNotFound, "team %s has no conversation yet", who)
	}
	return ipc.Errorf(ipc.CodeNotFound, "team %s: there is no transcript of conversation %s", who, t.SessionID)
}

// A logReader reads the transcript of a conversation, wherever it is.
type logReader struct {
	transcript *ipc.Transcript
	stderr     io.Writer
	file       recordFile
	out        *logPrinter
}

func (l *logReader) run(ctx context.Context, opts logsOptions, which ipc.Which) error {
	if end := l.transcript.Until; !opts.follow && end != nil && !l.over() { // its answer may not be written yet
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lateBy - time.Since(*end)):
		}
	}
	for look := 1; ; look++ {
		// What a file holds before a turn has begun is not of it.
		if which.ID == "" || l.transcript.Since != nil {
			if err := l.drain(); err != nil {
				return err
			}
		}
		if !opts.follow || l.over() {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookEvery):
		}
		if look%findEvery == 0 {
			l.refresh(ctx, opts, which)
			if err := opts.missing(l.transcript, which.ID); err != nil {
				return err
			}
		}
	}
}

// drain prints what has been written since the last time, of the part that is
// wanted.
func (l *logReader) drain() error {
	l.file.aim(l.transcript.Path)
	l.out.part.since, l.out.part.until = l.transcript.Since, l.transcript.Until
	replaced, err := l.file.open()
	if err != nil {
		return ipc.Errorf(ipc.CodeFailed, "read the transcript: %s", err)
	}
	if replaced {
		l.out.again()
	}
	for {
		line, err := l.file.next()
		if errors.Is(err, io.EOF) {
			return l.out.flush()
		}
		var long *longRecordError
		if errors.As(err, &long) {
			say(l.stderr, "%s", err)
			continue
		}
		if err != nil {
			return ipc.Errorf(ipc.CodeFailed, "read the transcript: %s", err)
		}
		if err := l.out.record(line); err != nil {
			return err
		}
	}
}

// over reports whether the message that is followed has ended, and its turn is
// in the file.
func (l *logReader) over() bool {
	end := l.transcript.Until
	return end != nil && time.Since(*end) > lateBy
}

// refresh asks the daemon where the conversation is now. Without one, the file
// is still there to be followed.
func (l *logReader) refresh(ctx context.Context, opts logsOptions, which ipc.Which) {
	g := *opts.globals
	g.noStart = true
	var t ipc.Transcript
	if g.call(ctx, ipc.MethodLocate, &which, &t) != nil {
		return
	}
	if l.transcript.Path != "" && t.Path != "" && t.Path != l.transcript.Path {
		say(l.stderr, "a new conversation: %s", t.SessionID)
	}
	if t.Path == "" {
		t.Path = l.transcript.Path
	}
	*l.transcript = t
}
