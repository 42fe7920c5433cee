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
	tail   uint64
	all    bool // --tail was not given
}

func (o *logsOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVarP(&o.follow, "follow", "f", false, "go on with new entries")
	f.VarP(numberFlag(&o.tail), "tail", "n", "only the last NUMBER entries; with --raw, lines")
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
a message only its turn is printed.

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
			opts.all = !cmd.Flags().Changed("tail")
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
	l := logReader{where: &t, stderr: s.err, out: newLogPrinter(out, opts)}
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

// locate finds the transcript that arg names. An arg that is no message's id is a
// team.
func (o *logsOptions) locate(ctx context.Context, arg string) (ipc.MessageRef, ipc.Transcript, error) {
	if isMessageID(arg) {
		which := ipc.MessageRef{ID: arg}
		t, err := o.verbs().Locate(ctx, which)
		if reasonOf(err) != "no-such-message" {
			return which, t, err
		}
	}
	team, session, err := parseTarget(arg)
	if err != nil {
		return ipc.MessageRef{}, ipc.Transcript{}, err
	}
	which := ipc.MessageRef{Team: team, Session: session}
	t, err := o.verbs().Locate(ctx, which)
	err = orDirectory(team, err)
	if reasonOf(err) == "no-such-team" && isMessageID(arg) {
		err = ipc.Errorf(ipc.CodeNotFound, "no message and no team %q", arg)
	}
	return which, t, err
}

// isMessageID reports whether s has the form of an id.
func isMessageID(s string) bool {
	const letters = "0123456789abcdefghjkmnpqrstvwxyz"
	return len(s) == 16 && strings.Trim(s, letters) == ""
}

// missing says why there is nothing to show; nil if --follow may wait for it.
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

// A logReader reads the transcript of a conversation, even if its file changes.
type logReader struct {
	where  *ipc.Transcript
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
	replaced, err := l.file.Open()
	if err != nil {
		return ipc.Errorf(ipc.CodeFailed, "read the transcript: %s", err)
	}
	if replaced {
		l.out.again()
	}
	for {
		line, err := l.file.Next()
		if errors.Is(err, io.EOF) {
			return l.out.flush()
		}
		var long *transcript.LongLineError
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
