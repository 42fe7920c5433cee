package fault

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"time"

	"iris/config"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
)

// New gives an error its code on the wire and its reason, a word for programs.
func New(code int, reason string, err error) *ipc.Error {
	return &ipc.Error{Code: code, Message: err.Error(), Data: &ipc.Data{Reason: reason}}
}

// Team turns an error about the name of a team or directory into a fault.
func Team(err error) *ipc.Error {
	if unknown, ok := errors.AsType[*config.UnknownTeamError](err); ok {
		e := New(ipc.CodeNotFound, "no-such-team", unknown)
		e.Data.Hint = unknown.Hint()
		return e
	}
	return New(ipc.CodeUsage, "bad-name", err)
}

// A DirError says why no agent can work in the directory of its team.
type DirError struct{ Err error }

func (e DirError) Error() string { return e.Err.Error() }
func (e DirError) Unwrap() error { return e.Err }

// BadOption is the error about a parameter that cannot be.
func BadOption(format string, args ...any) *ipc.Error {
	return New(ipc.CodeUsage, "bad-option", fmt.Errorf(format, args...))
}

// A ShellError says that a program was not found, and why the login shell, which may know
// where it is, has not answered.
type ShellError struct{ Err error }

func (e ShellError) Error() string { return e.Err.Error() }
func (e ShellError) Unwrap() error { return e.Err }

// Of is the only place that turns an error of the pool into a code. The error names
// its conversation, and its message unless the id is empty.
func Of(k pool.Key, id string, err error) *ipc.Error {
	e := classify(k, err)
	if e.Data.Reason == "unknown" && id != "" {
		e.Data.Hint = fmt.Sprintf(`"iris logs %s" shows what the turn has done, "iris retry %s" runs it again, "iris resolve %s --as done" keeps it`, id, id, id)
	}
	return WithID(e, id)
}

// classify is Of without the message.
func classify(k pool.Key, err error) *ipc.Error {
	about := func(code int, reason, format string, args ...any) *ipc.Error {
		return New(code, reason, fmt.Errorf("team %s: "+format, append([]any{k}, args...)...))
	}
	hint := func(e *ipc.Error, text string) *ipc.Error {
		e.Data.Hint = text
		return e
	}
	var start *pool.StartError
	var unknown *config.UnknownTeamError
	var budget *pool.BudgetError
	var open *claude.OpenError
	var deadlock *pool.DeadlockError
	switch {
	case errors.As(err, &unknown): // the team was removed while the message waited
		return Team(unknown)
	case errors.As(err, &open):
		return hint(about(ipc.CodeFull, "open-elsewhere", "%v", open), openHint(open))
	case errors.As(err, &start):
		return hint(about(ipc.CodeCannotRun, "cannot-start", "%v", startReason(start)), startHint(k, start))
	case errors.Is(err, pool.ErrShutdown):
		return about(ipc.CodeCancelled, "killed", "the daemon was stopped and did not wait for the end of the turn")
	case errors.Is(err, pool.ErrKilled):
		return about(ipc.CodeCancelled, "killed", "the agent was killed and its turn ended")
	case errors.Is(err, pool.ErrEvicted):
		return about(ipc.CodeCancelled, "evicted", "the agent was evicted during the turn to make room (when_full = \"evict\")")
	case errors.Is(err, pool.ErrCancelled):
		return about(ipc.CodeCancelled, "cancelled", "the message was cancelled")
	case errors.Is(err, pool.ErrStalled):
		return about(ipc.CodeStalled, "stalled", "the turn made no progress and was interrupted")
	case errors.As(err, &deadlock):
		return hint(about(ipc.CodeFull, "deadlock", "deadlock: the message could run only after the turn that is sending it: %s", deadlock.Why()),
			"do not wait for it, or send it from outside the agent")
	case errors.Is(err, pool.ErrDeadlock):
		return hint(about(ipc.CodeFull, "deadlock", "deadlock: the message could run only after the turn that is sending it"),
			"do not wait for it, or send it from outside the agent")
	case errors.Is(err, pool.ErrQueueFull):
		return hint(about(ipc.CodeFull, "queue-full", "%v", err), "try again later, or raise queue_limit")
	case errors.Is(err, pool.ErrBusy):
		return hint(about(ipc.CodeFull, "busy", "the conversation is busy"), "without --if-busy the message waits for its turn")
	case errors.Is(err, pool.ErrFull):
		return hint(about(ipc.CodeFull, "pool-full", "%v", err), "try again later, or raise max_processes")
	case errors.Is(err, pool.ErrNoMemory):
		return hint(about(ipc.CodeFull, "no-memory", "%v", err), "try again later, or raise max_memory_total")
	case errors.As(err, &budget):
		return hint(about(ipc.CodeLimit, "budget", "%v", err), budgetHint(budget))
	case errors.Is(err, pool.ErrClosed):
		return hint(New(ipc.CodeFull, "stopping", errors.New("the daemon is stopping")),
			"try again when its running turns have ended, after drain_timeout at the latest")
	case errors.Is(err, pool.ErrUnknown):
		return about(ipc.CodeUnknown, "unknown", "%v", err)
	case errors.Is(err, pool.ErrNotDispatched):
		return about(ipc.CodeFull, "not-dispatched", "%v", err)
	case errors.Is(err, pool.ErrNotRunning):
		return about(ipc.CodeNotFound, "not-running", "no agent is running")
	}
	return about(ipc.CodeFailed, "failed", "%v", err)
}

// budgetHint says what to do about a budget that does not allow a message.
func budgetHint(e *pool.BudgetError) string {
	if e.Need > e.Limit {
		return fmt.Sprintf(`--max-cost %v has the message end when it has cost that much; "iris usage --budget" shows the budgets`, e.Limit.USD())
	}
	return fmt.Sprintf(`try again after %s, or raise the budget; on_budget = "wait" has messages wait; "iris usage --budget" shows the budgets`,
		e.Ends.Local().Format("2006-01-02 15:04"))
}

// startReason says why no agent could be started, and when the next try will be.
func startReason(e *pool.StartError) string {
	if e.Retry > 0 {
		return fmt.Sprintf("%v (next try in %v)", e.Err, e.Retry.Round(time.Second))
	}
	return e.Err.Error()
}

// openHint says what to do about a conversation that somebody else has open.
func openHint(e *claude.OpenError) string {
	return fmt.Sprintf("leave it there (\"ps %d\" shows where), and try again", e.PID)
}

// startHint says what to do about a missing program or directory, a settings file that
// does not parse, or a conversation that cannot be resumed.
func startHint(k pool.Key, e *pool.StartError) string {
	if _, lost := errors.AsType[*claude.ResumeError](e); lost {
		return fmt.Sprintf(`put it back, or begin a new one with "%s"; on_resume_failure = "fresh" does so by itself`, Command("session reset", k))
	}
	if _, shell := errors.AsType[ShellError](e); shell {
		return `"iris daemon reload" asks the login shell again, "iris doctor" tells how it answers`
	}
	if _, bad := errors.AsType[*claude.UnparsedError](e); bad {
		return "put it right, and send the message again; an agent would start without what the file says, such as its deny rules"
	}
	_, noDir := errors.AsType[DirError](e)
	isDir := strings.HasPrefix(k.Team, "/") // doctor does not check it
	switch {
	case isDir && errors.Is(e, fs.ErrNotExist):
		return `name a directory that is there, or a team: "iris team ls" lists them`
	case noDir:
		return "put it back, or make it; a conversation that was begun there goes on"
	case isDir && !errors.Is(e, exec.ErrNotFound):
		return ""
	case !errors.Is(e, exec.ErrNotFound) && e.Retry > 0:
		return `"iris doctor" checks the team and its program; when the cause is gone, "iris daemon reload" lets it start at once`
	case !errors.Is(e, exec.ErrNotFound):
		return `"iris doctor" checks the team and its program`
	}
	return `give its full path as "command" in the configuration, or put its directory on the PATH of your login shell and run "iris daemon reload"`
}

// Command returns an iris command about a conversation, quoted for a shell.
func Command(verb string, k pool.Key) string {
	return "iris " + verb + " " + config.ShellQuote(k.String())
}

// Status returns the exit status of a client whose daemon could not start.
func Status(err error) int {
	if e, ok := errors.AsType[*ipc.Error](err); ok {
		return e.Code
	}
	return ipc.CodeDaemon
}

// WithID adds the id of the message to an error, unless it is empty.
func WithID(e *ipc.Error, id string) *ipc.Error {
	e.Data.ID = id
	return e
}
