package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// The errors that callers tell apart.
var (
	ErrNotFound = errors.New("no such message")
	ErrConflict = errors.New("the key belongs to another message")
	ErrExists   = errors.New("the id belongs to another message")
	ErrSession  = errors.New("there is a conversation of that name already")
	ErrGone     = errors.New("the sender has hung up")
	ErrExpired  = errors.New("the message's deadline has passed")
	ErrClosed   = errors.New("journal is closed")
)

// ConflictError names the message that a key belongs to. It is ErrConflict.
type ConflictError struct {
	Key string
	ID  string // of the message with that key
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("key %q belongs to message %s, which is a different message", e.Key, e.ID)
}

func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// StateError is an impossible change: the message is in state From.
type StateError struct {
	ID       string
	From, To State
}

func (e *StateError) Error() string {
	return fmt.Sprintf("message %s is %s and cannot become %s", e.ID, e.From, e.To)
}

// DamageError is a damaged part of the record: its checksum is wrong, it is missing,
// or the file's structure is broken. ID is empty if the part belongs to no single
// message.
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
// therefore acknowledges nothing any more. If Full is set, the disk was full and
// Retry reopens the journal; otherwise only a new process can.
type StoppedError struct {
	Path string
	Full bool
	Err  error
}

func (e *StoppedError) Error() string {
	if d, ok := errors.AsType[*DamageError](e.Err); ok {
		return d.Error()
	}
	if errors.Is(e.Err, syscall.EMFILE) || errors.Is(e.Err, syscall.ENFILE) {
		return fmt.Sprintf("journal %s cannot be written until files can be opened again: %v", e.Path, e.Err)
	}
	if e.Full {
		return fmt.Sprintf("journal %s cannot be written, make room on its disk: %v", e.Path, e.Err)
	}
	return fmt.Sprintf("journal %s stopped at a failed write, check its disk and restart iris: %v", e.Path, e.Err)
}

func (e *StoppedError) Unwrap() error { return e.Err }

// halfway marks an error after a change in the transaction, which must then be rolled
// back.
type halfway struct{ error }

func (e halfway) Unwrap() error { return e.error }

// noRoom reports whether a write failed because of a full disk, or a file could not
// be opened because of that or a lack of descriptors. A failed fsync never counts,
// whatever its errno: its data may be lost.
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
