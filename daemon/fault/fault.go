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

// New gives an error the code that it crosses the wire with, and a word for programs.
func New(code int, reason string, err error) *ipc.Error {
	return &ipc.Error{Code: code, Message: err.Error(), Data: &ipc.Data{Reason: reason}}
}

// Team says what is wrong with the name of a team or directory.
func Team(err error) *ipc.Error {
	if unknown, ok := errors.AsType[*config.UnknownTeamError](err); ok {
		e := New(ipc.CodeNotFound, "no-such-team", unknown)
		e.Data.Hint = unknown.Hint()
		return e
	}
	return New(ipc.CodeUsage, "bad-name", err)
}

// A DirError is why no agent can work in the directory of its team.
type DirError struct{ Err error }

func (e DirError) Error() string { return e.Err.Error() }
func (e DirError) Unwrap() error { return e.Err }

// Of is the one place where what the pool says becomes a code. The error names the
// conversation that it happened to, and the message unless the id is empty.
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
	switch {
	case errors.As(err, &unknown): // removed while the message waited
		return Team(unknown)
	case errors.As(err, &start):
		return hint(about(ipc.CodeCannotRun, "cannot-start", "%v", startReason(start)), startHint(k, start))
	case errors.Is(err, pool.ErrShutdown):
		return about(ipc.CodeCancelled, "killed", "the daemon was stopped and did not wait for the end of the turn")
	case errors.Is(err, pool.ErrKilled):
		return about(ipc.CodeCancelled, "killed", "the agent was killed and its turn ended")
	case errors.Is(err, pool.ErrEvicted):
		return about(ipc.CodeCancelled, "evicted", "the agent was evicted in mid-turn to make room (when_full = \"evict\")")
	case errors.Is(err, pool.ErrCancelled):
		return about(ipc.CodeCancelled, "cancelled", "the message was cancelled")
	case errors.Is(err, pool.ErrStalled):
		return about(ipc.CodeStalled, "stalled", "the turn made no progress and was interrupted")
	case errors.Is(err, pool.ErrDeadlock):
		return hint(about(ipc.CodeFull, "deadlock", "the message would wait for ever: whatever could run it waits for the turn that sends it"),
			"send it from outside of the agent, or to a team that no waiting turn holds")
	case errors.Is(err, pool.ErrQueueFull):
		return hint(about(ipc.CodeFull, "queue-full", "%v", err), "try again later, or raise queue_limit")
	case errors.Is(err, pool.ErrBusy):
		return hint(about(ipc.CodeFull, "busy", "the conversation is busy"), "leave --if-busy out to wait for its turn")
	case errors.Is(err, pool.ErrFull):
		return hint(about(ipc.CodeFull, "pool-full", "%v", err), "try again later, or raise max_processes")
	case errors.Is(err, pool.ErrClosed):
		return hint(New(ipc.CodeFull, "stopping", errors.New("the daemon is stopping")),
			"it is gone when its running turns have ended, after drain_timeout at the latest; try again then")
	case errors.Is(err, pool.ErrUnknown):
		return about(ipc.CodeUnknown, "unknown", "%v", err)
	case errors.Is(err, pool.ErrNotDispatched):
		return about(ipc.CodeFull, "not-dispatched", "%v", err)
	case errors.Is(err, pool.ErrNotRunning):
		return about(ipc.CodeNotFound, "not-running", "no agent is running")
	}
	return about(ipc.CodeFailed, "failed", "%v", err)
}

// startReason says why no agent could be started, and when the next try is.
func startReason(e *pool.StartError) string {
	if e.Retry > 0 {
		return fmt.Sprintf("%v (next try in %v)", e.Err, e.Retry.Round(time.Second))
	}
	return e.Err.Error()
}

// startHint says what to do about a program or a directory that is not there, or
// a conversation that is elsewhere.
func startHint(k pool.Key, e *pool.StartError) string {
	if _, lost := errors.AsType[*claude.ResumeError](e); lost {
		return fmt.Sprintf(`put it back, or begin a new one with "%s"; on_resume_failure = "fresh" does so by itself`, Command("session reset", k))
	}
	_, noDir := errors.AsType[DirError](e)
	isDir := strings.HasPrefix(k.Team, "/") // which doctor knows nothing of
	switch {
	case isDir && errors.Is(e, fs.ErrNotExist):
		return `name a directory that is there, or a team: "iris team ls" lists them`
	case noDir:
		return "put it back, or make it; a conversation that was begun there goes on"
	case isDir && !errors.Is(e, exec.ErrNotFound):
		return ""
	case !errors.Is(e, exec.ErrNotFound):
		return `"iris doctor" checks the team and its program`
	}
	return `give its full path as "command" in the configuration, or put its directory on the PATH of your login shell and run "iris daemon reload"`
}

// Command returns a command of iris about a conversation, as a shell takes it.
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

// WithID adds to an error which message it is about; an empty id is about none.
func WithID(e *ipc.Error, id string) *ipc.Error {
	e.Data.ID = id
	return e
}
