package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"iris/cmd/iris/internal/terminal"
	"iris/config/sys"
	"iris/ipc"
	"iris/pool/claude/transcript"
)

const (
	lookEvery = 250 * time.Millisecond // between two reads of a followed transcript
	findEvery = 4                      // reads between two questions to the daemon about its path
)

// lateBy is how late Claude Code may write the end of a turn, beginsBy how late it
// may make the file of a conversation. A test changes them.
var lateBy, beginsBy = time.Second, time.Second

type logsOptions struct {
	*globals
	follow bool
	raw    bool
	since  moment
	limit  uint64
	all    bool // --limit was not given
}

func (o *logsOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVarP(&o.follow, "follow", "f", false, "go on with new entries")
	f.Var(&o.since, "since", "only entries since then: 90m, 7d; or 2026-11-23, or 2026-11-23T18:00:00Z")
	f.VarP(numberFlag(&o.limit), "limit", "n", "only the last NUMBER entries; with --raw, lines")
	f.Var(numberFlag(&o.limit), "tail", "as --limit")
	f.MarkHidden("tail")
	f.BoolVar(&o.raw, "raw", false, "print Claude Code's own lines, one JSON object each")
}

func newLogsCmd(g *globals) *cobra.Command {
	opts := logsOptions{globals: g}
	return withFlags(&cobra.Command{
		Use:        "logs TEAM[@SESSION] | ID",
		Short:      "Print the transcript of a session",
		SuggestFor: []string{"transcript", "log", "tail"},
		Long: `Print the transcript that Claude Code keeps of a session, as text: the time, the
speaker (you, the agent, or a tool with its input) and the words. With the id of
a message, or the first 4 characters or more of one, only its turn is printed.

Thinking is left out, and only the beginning of a tool's result is shown; --raw
prints all lines as they are in the file. TEAM alone stands for the main session
of the team.

--follow prints new entries as they come, from another file too when the session
begins anew there; with the id of a message it ends when the message has ended.

The built-in agent keeps no transcript. Claude Code writes the end of a turn up
to a tenth of a second after its answer; for a message that has just ended, the
command waits for it up to one second.

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
			opts.all = !cmd.Flags().Changed("limit") && !cmd.Flags().Changed("tail")
			return runs(&opts, runLogs)(cmd, args)
		},
	}, opts.addFlags)
}

func runLogs(ctx context.Context, opts *logsOptions, args []string, s streams) error {
	which, t, err := opts.locateSoon(ctx, args[0])
	if err != nil {
		return err
	}
	if err := opts.missing(&t, which.ID); err != nil {
		return err
	}
	out := terminal.NewPrinter(s.out, false)
	if opts.raw {
		out = terminal.NewJSONPrinter(s.out)
	}
	l := logReader{where: &t, since: opts.since.at(time.Now()), stderr: s.err, out: newLogPrinter(out, opts)}
	defer l.file.Close()
	run := func(ctx context.Context) error { return l.run(ctx, opts, which) }
	if opts.follow {
		return errors.Join(untilReaderGone(ctx, s.out, run), out.Close())
	}
	return errors.Join(run(ctx), out.Close())
}

// locateSoon is locate, but waits a moment for the file of a conversation that has
// just begun. With --follow that wait comes later.
func (o *logsOptions) locateSoon(ctx context.Context, arg string) (which ipc.MessageRef, t ipc.Transcript, err error) {
	for begun := time.Now(); ; {
		which, t, err = o.locate(ctx, arg)
		if err != nil || o.follow || t.Path != "" || t.SessionID == "" || time.Since(begun) > beginsBy {
			return which, t, err
		}
		sys.Sleep(ctx, lookEvery/5)
	}
}

// locate finds the transcript that arg names: a message by its whole id, else a team,
// else a message by the beginning of its id.
func (o *logsOptions) locate(ctx context.Context, arg string) (ipc.MessageRef, ipc.Transcript, error) {
	message := ipc.MessageRef{ID: lowerID(arg)}
	_, whole := ipc.ParseID(message.ID)
	if whole {
		t, err := o.verbs().Locate(ctx, message)
		if ipc.ReasonOf(err) != "no-such-message" {
			return message, t, err
		}
	}
	team, session, err := parseTarget(arg)
	if err != nil {
		return ipc.MessageRef{}, ipc.Transcript{}, err
	}
	which := ipc.MessageRef{Team: team, Session: session}
	t, err := o.verbs().Locate(ctx, which)
	switch {
	case ipc.ReasonOf(err) != "no-such-team":
		return which, t, err
	case whole:
		return which, t, ipc.Errorf(ipc.CodeNotFound, "no message and no team %q", arg)
	}
	id, unfound := o.messageID(ctx, message)
	if unfound != nil {
		return which, t, unfound
	}
	message.ID = id
	if t, unfound = o.verbs().Locate(ctx, message); ipc.ReasonOf(unfound) == "no-such-message" {
		return which, t, orDirectory(team, err)
	}
	return message, t, unfound
}

// missing says why there is nothing to show; nil if --follow may wait for it.
func (o *logsOptions) missing(t *ipc.Transcript, id string) error {
	who := ipc.Name(t.Team, t.Session)
	waits := id != "" && t.Since == nil && t.Until == nil
	switch {
	case t.Agent == "echo":
		return ipc.Errorf(ipc.CodeNotFound, "team %s: the built-in agent keeps no transcript", who)
	case t.Agent != "claude":
		return ipc.Errorf(ipc.CodeNotFound, "team %s: the transcript of its program (%s) has a form of its own", who, t.Agent)
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

// A logReader reads the transcript of a conversation, even if its file changes.
type logReader struct {
	where  *ipc.Transcript
	since  time.Time // of the first entry to print
	stderr io.Writer
	file   transcript.Reader
	out    *logPrinter
}

func (l *logReader) run(ctx context.Context, opts *logsOptions, which ipc.MessageRef) error {
	if end := l.where.Until; !opts.follow && end != nil && !l.over() { // its answer may not be written yet
		sys.Sleep(ctx, lateBy-time.Since(*end))
	}
	for look := 1; ; look++ {
		// Content from before the turn does not belong to it.
		if which.ID == "" || l.where.Since != nil {
			if err := l.drain(); err != nil {
				return err
			}
		}
		if !opts.follow || l.over() {
			return nil
		}
		if !sys.Sleep(ctx, lookEvery) {
			return ctx.Err()
		}
		if look%findEvery == 0 {
			l.refresh(ctx, opts, which)
			if err := opts.missing(l.where, which.ID); err != nil {
				return err
			}
		}
	}
}

// drain prints the wanted new entries.
func (l *logReader) drain() error {
	l.file.Aim(l.where.Path)
	l.out.part.Since, l.out.part.Until = l.where.Since, l.where.Until
	if begin := l.where.Since; begin == nil || begin.Before(l.since) {
		l.out.part.Since = ipc.Moment(l.since)
	}
	replaced, err := l.file.Open()
	if err != nil {
		return ipc.Errorf(ipc.CodeFailed, "read the transcript: %s", err)
	}
	if replaced {
		l.out.again()
	}
	if !l.out.first {
		err = l.readEnd()
	} else {
		err = l.read(l.out.record)
	}
	if err != nil {
		return err
	}
	return l.out.flush()
}

// read calls f with the new lines, until f returns io.EOF.
func (l *logReader) read(f func(line []byte) error) error {
	for {
		line, err := l.file.Next()
		var long *transcript.LongLineError
		switch {
		case errors.As(err, &long):
			say(l.stderr, "%s", err)
			continue
		case err == nil:
			err = f(line)
		case !errors.Is(err, io.EOF):
			err = ipc.Errorf(ipc.CodeFailed, "read the transcript: %s", err)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// firstTail is how much of the end of a transcript is read first. If that is not enough, it
// is four times as much, and so on.
const firstTail = 256 << 10

// readEnd reads the wanted entries that are there at first, from as near the end as they
// allow: a transcript may have hundreds of megabytes.
func (l *logReader) readEnd() error {
	since := l.out.part.Since
	if l.out.keep < 0 && since == nil {
		return l.read(l.out.record)
	}
	for n := int64(firstTail); ; n *= 4 {
		whole, err := l.file.Tail(n)
		if err == nil && !whole && since != nil {
			if whole, err = l.beginsBefore(*since); err == nil {
				_, err = l.file.Tail(n)
			}
		}
		switch {
		case err != nil:
			return ipc.Errorf(ipc.CodeFailed, "read the transcript: %s", err)
		case l.out.keep < 0 && !whole:
			continue
		}
		l.out.begin()
		if err := l.read(l.out.record); err != nil || whole || l.out.enough() {
			return err
		}
	}
}

// beginsBefore reports whether the next record with a time is from before a time. Records
// may be out of order, but not by a minute.
func (l *logReader) beginsBefore(since time.Time) (before bool, err error) {
	err = l.read(func(line []byte) error {
		r, _ := transcript.Parse(line)
		if r.At.IsZero() {
			return nil
		}
		before = r.At.Before(since.Add(-time.Minute))
		return io.EOF
	})
	return before, err
}

// over reports whether the followed message has ended, and its turn is in the file.
func (l *logReader) over() bool {
	end := l.where.Until
	return end != nil && time.Since(*end) > lateBy
}

// refresh asks the daemon where the conversation is now. Without a daemon the file is
// still followed.
func (l *logReader) refresh(ctx context.Context, opts *logsOptions, which ipc.MessageRef) {
	t, err := opts.running().verbs().Locate(ctx, which)
	if err != nil {
		return
	}
	if l.where.Path != "" && t.Path != "" && t.Path != l.where.Path {
		say(l.stderr, "a new conversation: %s", t.SessionID)
	}
	if t.Path == "" {
		t.Path = l.where.Path
	}
	*l.where = t
}
