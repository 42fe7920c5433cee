package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/pflag"

	"iris/cmd/iris/internal/terminal"
	"iris/ipc"
	"iris/pool/turn"
)

func TestStatusOfEveryError(t *testing.T) {
	wire := func(code int) error { return fmt.Errorf("send: %w", ipc.Errorf(code, "x")) }
	outcome := func(o turn.Outcome) error { return &outcomeError{outcome: string(o)} }
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("x"), 1},
		{usagef("", "x"), 2},
		{ipc.ErrNoDaemon, 3},
		{fmt.Errorf("%w: %w", ipc.ErrLost, syscall.EPIPE), 3},
		{&waitError{cause: context.DeadlineExceeded}, 124},
		{&waitError{cause: context.Canceled}, 130},
		{fmt.Errorf("write: %w", syscall.EPIPE), 141},
		{silentError(77), 77},
		{wire(ipc.CodeFailed), 1},
		{wire(ipc.CodeUsage), 2},
		{wire(ipc.CodeDaemon), 3},
		{wire(ipc.CodeNotFound), 4},
		{wire(ipc.CodeCancelled), 5},
		{wire(ipc.CodeExpired), 6},
		{wire(ipc.CodeUnknown), 7},
		{wire(ipc.CodeCannotRun), 8},
		{wire(ipc.CodeStalled), 12},
		{wire(ipc.CodeConflict), 65},
		{wire(ipc.CodeFull), 75},
		{&skippedError{team: "api", cause: wire(ipc.CodeFull)}, 0},
		{wire(ipc.CodeInvalidParams), 2},
		{wire(ipc.CodeMethodNotFound), 3},
		{wire(ipc.CodeParse), 3},
		{wire(ipc.CodeInternal), 1},
		{wire(1000), 1},
		{wire(0), 1},
		{outcome(turn.Success), 0},
		{outcome(turn.Failed), 1},
		{outcome(turn.Interrupted), 5},
		{outcome(turn.NotLoggedIn), 8},
		{outcome(turn.Denied), 9},
		{outcome(turn.RateLimited), 10},
		{outcome(turn.Limit), 11},
		{outcome(turn.Incomplete), 12},
		{outcome(turn.APIError), 13},
		{outcome("new"), 1},
	} {
		if got := status(c.err); got != c.want {
			t.Errorf("status(%v) = %d, want %d", c.err, got, c.want)
		}
	}
}

func TestReportSaysOneHintAtMost(t *testing.T) {
	withHint := &ipc.Error{Code: ipc.CodeFull, Message: "team api: queue is full", Data: &ipc.Data{Hint: "try again later"}}
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{silentError(1), ""},
		{fmt.Errorf("write: %w", syscall.EPIPE), ""},
		{usagef("do this", "bad"), "iris: bad\niris: hint: do this\n"},
		{withHint, "iris: team api: queue is full\niris: hint: try again later\n"},
		{&skippedError{team: "api", cause: withHint}, "iris: team api is busy, message not sent\n"},
		{ipc.Errorf(2, "a\nb\x1b"), "iris: a\niris: b\\x1b\n"},
		{&outcomeError{outcome: "failed", text: "a\nb", hint: "h"}, "iris: a\\x0ab\niris: hint: h\n"},
	} {
		var buf bytes.Buffer
		report(&buf, c.err)
		if got := buf.String(); got != c.want {
			t.Errorf("report(%v) says %q, want %q", c.err, got, c.want)
		}
	}
}

// TestReplies checks for every outcome what is printed on which stream.
func TestReplies(t *testing.T) {
	for _, c := range []struct {
		reply          ipc.Reply
		stdout, stderr string
		status         int
	}{
		{ipc.Reply{Outcome: "success", Text: "hi"}, "hi\n", "", 0},
		{ipc.Reply{Outcome: "success", Text: "hi\n"}, "hi\n", "", 0},
		{ipc.Reply{Outcome: "success", Text: ""}, "", "", 0},
		{ipc.Reply{Outcome: "success", Text: "hi", Notice: "begun anew"}, "hi\n", "iris: begun anew\n", 0},
		{
			ipc.Reply{Outcome: "denied", Text: "hi", Denials: []ipc.Denial{{Tool: "Bash"}, {Tool: "Write"}}, Hint: "allow it"},
			"hi\n", "iris: denied: Bash, Write\niris: hint: allow it\n", 9,
		},
		{ipc.Reply{Outcome: "denied", Text: "hi", Error: "denied: Bash", Reason: "decided"}, "hi\n", "iris: denied: Bash\n", 9},
		{ipc.Reply{Outcome: "incomplete", Text: "part", Error: "stalled"}, "part\n", "iris: stalled\n", 12},
		{ipc.Reply{Outcome: "failed", Text: "oh", Error: "it broke"}, "", "iris: it broke\n", 1},
		{ipc.Reply{Outcome: "api-error", Text: "API Error: 500"}, "", "iris: the turn ended: api-error\n", 13},
	} {
		var stdout, stderr bytes.Buffer
		code := report(&stderr, printReply(&stdout, &stderr, &c.reply, false))
		if stdout.String() != c.stdout || stderr.String() != c.stderr || code != c.status {
			t.Errorf("%s: got %q, %q, %d, want %q, %q, %d",
				c.reply.Outcome, &stdout, &stderr, code, c.stdout, c.stderr, c.status)
		}
	}
}

// TestHelpFitsTheTerminal looks for lines that a terminal would break, and for
// words that are marked in a way which completion scripts would show.
func TestHelpFitsTheTerminal(t *testing.T) {
	for _, cmd := range allCommands(newRootCmd()) {
		var buf bytes.Buffer
		buf.WriteString(help(cmd))
		printManual(&buf, cmd)
		for line := range strings.Lines(buf.String()) {
			if n := len([]rune(line)) - 1; n > terminal.Columns {
				t.Errorf("%s: %d columns: %s", cmd.CommandPath(), n, line)
			}
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if strings.Contains(f.Usage, "`") {
				t.Errorf("%s --%s: a backquote in %q", cmd.CommandPath(), f.Name, f.Usage)
			}
		})
	}
}

// TestHelpIsCutAtItsSections looks for text of a command that was taken for the
// title of a section, and so stands behind the flags: what remains before them
// must be whole sentences.
func TestHelpIsCutAtItsSections(t *testing.T) {
	known := []string{"EXIT STATUS", "FILES", "JSON", "STREAM JSON", "TYPES"}
	for _, cmd := range allCommands(newRootCmd()) {
		text, sections := splitLong(cmd.Long)
		if text != "" && !strings.ContainsAny(text[len(text)-1:], ".:;") && !strings.HasSuffix(text, "Invoke-Expression") {
			t.Errorf("%s: the text ends in mid-sentence: %q", cmd.CommandPath(), text[max(0, len(text)-60):])
		}
		title, _, _ := strings.Cut(sections, "\n")
		if title != "" && !slices.Contains(known, title) {
			t.Errorf("%s: %q is no title of a section", cmd.CommandPath(), title)
		}
	}
}

// TestEveryCommandExplainsItsStatuses makes the help of all commands, which
// panics at a status without a meaning.
func TestEveryCommandExplainsItsStatuses(t *testing.T) {
	for _, cmd := range allCommands(newRootCmd()) {
		if cmd.Hidden {
			continue
		}
		_, sections := splitLong(cmd.Long)
		_, list, ok := strings.Cut(sections, exitHeading)
		if !ok || !strings.Contains(list, "  0  done") || !strings.Contains(list, "  2  ") {
			t.Errorf("%s: EXIT STATUS is %q", cmd.CommandPath(), list)
		}
		if cmd.IsAvailableCommand() && cmd.Name() != "help" && !cmd.HasExample() {
			t.Errorf("%s has no example", cmd.CommandPath())
		}
	}
}

// A daemon that is older than the command does not know each parameter.
func TestUnknownParameterIsOneOfAnotherVersion(t *testing.T) {
	err := ipc.Errorf(ipc.CodeInvalidParams, `params of message.send: unknown field "id"`)
	if h := hint(err); !strings.Contains(h, "another version") {
		t.Errorf("got hint %q", h)
	}
}
