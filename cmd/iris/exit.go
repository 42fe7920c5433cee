package main

// The rules of output.
//
//   - Stdout carries data and nothing else: an answer, a table, one JSON value;
//     one a line of what comes one after the other.
//   - Stderr carries talk, one line each: "iris: what went wrong", in lower case
//     and without a full stop, followed by at most one "iris: hint: what to do".
//   - A command that did what it was asked prints nothing on stderr; if it has no
//     data either, it says on a terminal in one line what it did: terminal.Done.
//   - Text that comes from elsewhere (answers, names, directories) cannot steer
//     a terminal: see package terminal. On stderr it never can.
//   - The exit status tells scripts all they need: status below is the one place
//     that turns an error into a number, hint the one that finds its remedy.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"syscall"

	"iris/cmd/iris/internal/terminal"
	"iris/config/sys"
	"iris/ipc"
)

// The exit statuses that are no codes of the protocol.
const (
	exitOK          = 0
	exitDenied      = 9
	exitRateLimited = 10
	exitAPI         = 13
	exitTimeout     = 124
	exitInterrupted = 130
	exitPipe        = 141 // what a shell reports for death by SIGPIPE
)

// exitTexts explain the statuses, for the help of the commands.
var exitTexts = map[int]string{
	exitOK:            "done",
	ipc.CodeFailed:    "failed in a way that has no status of its own",
	ipc.CodeUsage:     "a bad argument, flag, message or configuration",
	ipc.CodeDaemon:    "the daemon cannot be reached or started; no message was accepted",
	ipc.CodeNotFound:  "no such team, agent or message",
	ipc.CodeCancelled: "cancelled, killed or evicted",
	ipc.CodeExpired:   "expired: its turn had not begun within --ttl",
	ipc.CodeUnknown:   "nobody can prove how the turn ended, or whether the message was accepted",
	ipc.CodeCannotRun: "the agent cannot run: not found, not logged in, bad directory",
	exitDenied:        "answered, but a tool was denied",
	exitRateLimited:   "rate limited",
	ipc.CodeLimit:     "turn limit, cost limit or budget reached",
	ipc.CodeStalled:   "incomplete: stalled, cut off, or background work ended with the agent",
	exitAPI:           "the API answered with an error",
	ipc.CodeConflict:  "the key belongs to another message",
	ipc.CodeFull:      "full, busy, stopping, not ended, or a wait without end: try again later",
	exitTimeout:       "--timeout ended the wait, the message lives on; its id is on stderr",
	exitInterrupted:   "interrupted, likewise, unless stderr says that it was not accepted",
}

// A usageError is a bad argument, with a hint of what to type.
type usageError struct {
	text string
	hint string
}

func (e *usageError) Error() string { return e.text }

func usagef(hint, format string, args ...any) error {
	return &usageError{text: fmt.Sprintf(format, args...), hint: hint}
}

// An outcomeError is a turn that the agent ended by its own word, but not well.
type outcomeError struct {
	outcome string
	text    string
	hint    string
}

func (e *outcomeError) Error() string { return e.text }

// A waitError ends the wait for a message that goes on.
type waitError struct {
	cause error  // context.Canceled or context.DeadlineExceeded
	id    string // of the message, empty if unknown
	text  string
	hint  string
}

func (e *waitError) Error() string { return e.text }
func (e *waitError) Unwrap() error { return e.cause }

// A skippedError is a message that was not sent because its team was busy (--if-busy
// skip).
type skippedError struct {
	team  string
	cause error
}

func (e *skippedError) Error() string { return "team " + e.team + " is busy, message not sent" }
func (e *skippedError) Unwrap() error { return e.cause }

// An unwrittenError is an answer, or an id, that could not be written to stdout. The
// message is not affected.
type unwrittenError struct {
	what string // such as "the answer"
	id   string // of the message
	verb string // the command that prints it
	err  error
}

// unwritten returns the error of a write that says which message it was about; nil for
// no error. If the id is unknown, it returns the error itself.
func unwritten(what, id, verb string, err error) error {
	if err == nil || id == "" {
		return err
	}
	return &unwrittenError{what, id, verb, err}
}

func (e *unwrittenError) Error() string {
	return fmt.Sprintf("%s of message %s could not be written to stdout: %v", e.what, e.id, sys.Cause(e.err))
}
func (e *unwrittenError) Unwrap() error { return e.err }

// A silentError only sets the exit status: everything was printed already.
type silentError int

func (e silentError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// A programStatus is the exit status of a program that ran in the place of iris.
type programStatus int

func (e programStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// status returns the exit status for err.
func status(err error) int {
	var (
		quiet   silentError
		program programStatus
		usage   *usageError
		skipped *skippedError
		outcome *outcomeError
		wire    *ipc.Error
	)
	switch {
	case err == nil, errors.As(err, &skipped):
		return exitOK
	case errors.As(err, &quiet):
		return int(quiet)
	case errors.As(err, &program):
		return int(program)
	case errors.As(err, &usage):
		return ipc.CodeUsage
	case errors.As(err, &outcome):
		return outcomeStatus(outcome.outcome)
	case errors.As(err, &wire):
		return codeStatus(wire.Code)
	case errors.Is(err, ipc.ErrNoDaemon), errors.Is(err, ipc.ErrLost):
		return ipc.CodeDaemon
	case errors.Is(err, context.DeadlineExceeded):
		return exitTimeout
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.Is(err, syscall.EPIPE):
		return exitPipe
	}
	return ipc.CodeFailed
}

// codeStatus maps the code of an error from the wire. The codes of iris are exit
// statuses; those of JSON-RPC mean that client and daemon do not fit together.
func codeStatus(code int) int {
	switch {
	case code > 0 && code < 256:
		return code
	case code == ipc.CodeInvalidParams:
		return ipc.CodeUsage
	case code == ipc.CodeMethodNotFound, code == ipc.CodeParse, code == ipc.CodeInvalidRequest:
		return ipc.CodeDaemon
	}
	return ipc.CodeFailed
}

// outcomeStatuses maps the outcomes of package turn to statuses; "failed" is for all
// others.
var outcomeStatuses = map[string]int{
	"success":       exitOK,
	"denied":        exitDenied,
	"interrupted":   ipc.CodeCancelled,
	"incomplete":    ipc.CodeStalled,
	"not-logged-in": ipc.CodeCannotRun,
	"rate-limited":  exitRateLimited,
	"limit":         ipc.CodeLimit,
	"api-error":     exitAPI,
}

func outcomeStatus(outcome string) int {
	if code, ok := outcomeStatuses[outcome]; ok {
		return code
	}
	return ipc.CodeFailed
}

// hint returns what to do about err in one line, or "".
func hint(err error) string {
	var (
		usage   *usageError
		skipped *skippedError
		outcome *outcomeError
		wire    *ipc.Error
		wait    *waitError
		unsaid  *unwrittenError
	)
	switch {
	case errors.As(err, &unsaid):
		return fmt.Sprintf("\"iris %s %s\" prints it", unsaid.verb, unsaid.id)
	case errors.As(err, &skipped):
		return ""
	case errors.As(err, &usage):
		return usage.hint
	case errors.As(err, &wait):
		return wait.hint
	case errors.As(err, &outcome):
		return outcomeHint(outcome)
	case errors.As(err, &wire):
		return codeHint(wire)
	case errors.Is(err, ipc.ErrNoDaemon):
		return "start it with \"iris daemon\", or leave --no-start out"
	}
	return ""
}

// outcomeHint returns the daemon's own hint, or one for outcomes that the user can do
// something about.
func outcomeHint(e *outcomeError) string {
	switch {
	case e.hint != "":
		return e.hint
	case e.outcome == "rate-limited":
		return "try again later; the conversation is kept"
	case e.outcome == "limit":
		return "the next message goes on where this one ended; --max-turns and max_turns of the team limit the turns, --max-cost the cost"
	}
	return ""
}

// codeHint returns the daemon's own hint, or one for the codes that have an
// obvious remedy.
func codeHint(e *ipc.Error) string {
	switch {
	case e.Hint() != "":
		return e.Hint()
	case ipc.ReasonOf(e) == "not-ended" && e.Data.ID != "":
		return fmt.Sprintf("%q waits for it", "iris wait "+e.Data.ID)
	case e.Code == ipc.CodeMethodNotFound, e.Code == ipc.CodeInvalidParams && strings.Contains(e.Message, "unknown field"):
		return "the running daemon is of another version: \"iris daemon stop\" ends it, the next command starts this one"
	}
	return ""
}

// report prints err and its hint on stderr and returns the exit status.
func report(stderr io.Writer, err error) int {
	code := status(err)
	var quiet silentError
	var program programStatus
	if err == nil || code == exitPipe || errors.As(err, &quiet) || errors.As(err, &program) {
		return code
	}
	for _, line := range sentences(err) {
		say(stderr, "%s", line)
	}
	if h := hint(err); h != "" {
		say(stderr, "hint: %s", h)
	}
	return code
}

// sentences are the lines of an error. The daemon and the configuration may report
// several problems at once; text of an agent stays on one line.
func sentences(err error) []string {
	var outcome *outcomeError
	if errors.As(err, &outcome) {
		return []string{err.Error()}
	}
	return strings.Split(strings.TrimSpace(err.Error()), "\n")
}

// say writes one line to stderr.
func say(stderr io.Writer, format string, args ...any) {
	text := terminal.Escape(fmt.Sprintf(format, args...))
	fmt.Fprintf(stderr, "iris: %s\n", text)
}

const exitHeading = "EXIT STATUS\n"

// explainStatuses adds its meaning to each status that a command lists under EXIT
// STATUS. Only help and manual call it.
func explainStatuses(sections string) string {
	before, list, ok := strings.Cut(sections, exitHeading)
	if !ok {
		return sections
	}
	var b strings.Builder
	b.WriteString(before + exitHeading)
	for code := range strings.FieldsSeq(list) {
		n, err := strconv.Atoi(code)
		if err != nil || exitTexts[n] == "" {
			panic("bug: no exit status: " + code)
		}
		fmt.Fprintf(&b, "  %3d  %s\n", n, exitTexts[n])
	}
	return strings.TrimSuffix(b.String(), "\n")
}
