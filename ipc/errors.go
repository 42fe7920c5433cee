package ipc

import (
	"context"
	"errors"
	"fmt"
)

// The codes of JSON-RPC 2.0, section 5.1.
const (
	CodeParse          = -32700
	CodeInvalidRequest = -32600
	CodeMethodNotFound = -32601
	CodeInvalidParams  = -32602
	CodeInternal       = -32603
)

// The codes of iris. Each is also the exit status of a command that receives it, so
// that scripts and the protocol share one table.
const (
	CodeFailed    = 1  // the agent failed in another way
	CodeUsage     = 2  // a bad argument
	CodeDaemon    = 3  // the daemon cannot be reached or started, or has another version
	CodeNotFound  = 4  // no such team, process or message
	CodeCancelled = 5  // cancelled, killed or evicted
	CodeExpired   = 6  // the turn had not begun in time
	CodeUnknown   = 7  // nobody can prove how the turn ended, or whether the message was accepted
	CodeCannotRun = 8  // the agent cannot run
	CodeLimit     = 11 // a turn or cost limit, or a budget
	CodeStalled   = 12 // the turn stalled and was interrupted
	CodeConflict  = 65 // the key belongs to another message
	CodeFull      = 75 // full, or would wait for itself: try again later
)

// Error is an error that crosses the wire. For errors.Is two errors are equal if
// their codes are; Reason tells the causes of a code apart, in one word for programs.
type Error struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    *Data  `json:"data,omitempty"`
}

// Data is the rest of an Error, besides its code and text.
type Data struct {
	Reason string `json:"reason,omitempty"` // one word, such as "queue-full"
	Hint   string `json:"hint,omitempty"`   // what to do about it, one line
	ID     string `json:"id,omitempty"`     // the message concerned
}

// Errorf returns an Error with a formatted message.
func Errorf(code int, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

func (e *Error) Error() string { return e.Message }

// Is reports whether target is an *Error of the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Hint returns the hint that the error carries, if any.
func (e *Error) Hint() string {
	if e.Data == nil {
		return ""
	}
	return e.Data.Hint
}

// ReasonOf returns the reason in an error from the wire, empty if there is none.
func ReasonOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok && e.Data != nil {
		return e.Data.Reason
	}
	return ""
}

// CutOff reports whether a call got no answer because the daemon's program was replaced or
// has ended.
func CutOff(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return errors.Is(err, ErrLost) || ok && e.Code == CodeCancelled && e.Data == nil
}

// toError turns a handler's error into the error that its caller gets.
func toError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok && e != nil {
		return e
	}
	code := CodeInternal
	if errors.Is(err, context.Canceled) {
		code = CodeCancelled
	}
	return Errorf(code, "%v", err)
}
