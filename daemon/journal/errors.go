package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// What callers branch on.
var (
	ErrNotFound = errors.New("no such message")
	ErrConflict = errors.New("the key belongs to another message")
	ErrExists   = errors.New("the id belongs to another message")
	ErrGone     = errors.New("the sender has hung up")
	ErrExpired  = errors.New("the message's deadline has passed")
	ErrClosed   = errors.New("journal is closed")
)

// ConflictError says whose a key is. It is ErrConflict.
type ConflictError struct {
	Key string
	ID  string // of the message that has it
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("key %q is that of message %s, which is another one", e.Key, e.ID)
}

func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// StateError is a change that there is not: the message is in state From.
type StateError struct {
	ID       string
	From, To State
}

func (e *StateError) Error() string {
	return fmt.Sprintf("message %s is %s and cannot become %s", e.ID, e.From, e.To)
}

// DamageError is a part of the record that cannot be believed: its checksum is
// wrong, it is missing, or the file's structure is broken. ID is empty when it
// is not of one message.
type DamageError struct {
	Path string // the file
	ID   string // the message
	What string
}

func (e *DamageError) Error() string {
	if e.ID != "" {
		return fmt.Sprintf("message %s is damaged in %s: %s; the other messages are not affected", e.ID, e.Path, e.What)
	}
	return fmt.Sprintf("%s is damaged: %s; stop iris, keep a copy of the file, and restore a backup or move it away", e.Path, e.What)
}

// StoppedError says that a write did not reach the disk, and that the journal
// therefore acknowledges nothing any more. With Full set it was for want of
// room, and Retry takes the journal up again; otherwise only a new process can.
type StoppedError struct {
	Path string
	Full bool
	Err  error
}

func (e *StoppedError) Error() string {
	if d, ok := errors.AsType[*DamageError](e.Err); ok {
		return d.Error()
	}
	if e.Full {
		return fmt.Sprintf("journal %s cannot be written, make room on its disk: %v", e.Path, e.Err)
	}
	return fmt.Sprintf("journal %s stopped at a failed write, check its disk and restart iris: %v", e.Path, e.Err)
}

func (e *StoppedError) Unwrap() error { return e.Err }

// halfway marks an error that came after a change was made in the transaction,
// which therefore must be given up.
type halfway struct{ error }

func (e halfway) Unwrap() error { return e.error }

// noRoom reports whether a write failed for want of room, or a file could not be
// opened for want of that or of descriptors. A failed fsync is never that,
// whatever its errno: what it was to write may be lost.
func noRoom(err error) bool {
	var p *fs.PathError
	if !errors.As(err, &p) {
		return false
	}
	full := errors.Is(p.Err, syscall.ENOSPC) || errors.Is(p.Err, syscall.EDQUOT)
	switch p.Op {
	case "write":
		return full || errors.Is(p.Err, syscall.EFBIG)
	case "open", "mkdir":
		return full || errors.Is(p.Err, syscall.EMFILE) || errors.Is(p.Err, syscall.ENFILE)
	}
	return false
}
