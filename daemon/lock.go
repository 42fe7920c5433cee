package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"iris/config"
	"iris/config/sys"
	"iris/ipc"
)

// ErrRunning says that another daemon holds the state directory.
var ErrRunning = errors.New("a daemon is already running")

// lockWait is how long a starting daemon waits for a daemon that is stopping. Tests change
// it.
var lockWait = 3 * time.Second

// The starting daemon waits up to askWait for an answer of the other daemon. It asks again
// after askAgain: a daemon may answer before it has noticed a signal.
const (
	askWait  = 250 * time.Millisecond
	askAgain = 100 * time.Millisecond
)

// lock is the claim to a state directory: a flock on a file, held while the daemon lives.
// The file is never removed. Its record says where the socket is, so that clients with
// another environment find the same daemon.
type lock struct {
	f *os.File
}

// A heldError is ErrRunning with the recorded socket of the daemon that has the lock. While
// that daemon starts, the socket may be empty or that of an earlier daemon.
type heldError struct {
	socket string
}

func (e *heldError) Unwrap() error { return ErrRunning }

func (e *heldError) Error() string {
	if e.socket == "" {
		return ErrRunning.Error()
	}
	return fmt.Sprintf("%v at %s", ErrRunning, e.socket)
}

// acquire takes the lock at path. The error is ErrRunning if another daemon has it: soon if
// that daemon answers that it is in service, otherwise after lockWait. A daemon that does
// not answer is starting or being replaced, or it hangs.
func acquire(path string) (*lock, error) {
	deadline := time.Now().Add(lockWait)
	for {
		l, err := acquireNow(path)
		held, ok := errors.AsType[*heldError](err)
		if !ok || time.Now().After(deadline) || held.stays() {
			return l, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// stays reports whether the daemon that has the lock will keep it.
func (e *heldError) stays() bool {
	if !e.serves() {
		return false
	}
	time.Sleep(askAgain)
	return e.serves()
}

// serves reports whether the daemon that has the lock answers that it is in service.
func (e *heldError) serves() bool {
	if e.socket == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), askWait)
	defer cancel()
	c, err := ipc.Dial(ctx, e.socket, ipc.Hello{})
	if err != nil {
		return false
	}
	defer c.Close()
	var s ipc.Status
	return c.Call(ctx, ipc.MethodStatus, nil, &s) == nil && !s.Stopping
}

// acquireNow takes the lock at path. If another process has it, the error is a *heldError.
func acquireNow(path string) (*lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock: %w", err)
	}
	got, err := sys.TryLock(f)
	if got {
		return &lock{f}, nil
	}
	if err == nil {
		err = &heldError{config.ReadLock(path).Socket}
	}
	f.Close()
	return nil, err
}

// inherit returns the lock that this process already holds at a descriptor. It returns nil
// if the descriptor is not open, or is not the file at path.
func inherit(fd int, path string) *lock {
	f := os.NewFile(uintptr(fd), path)
	if f == nil {
		return nil
	}
	have, err := f.Stat()
	if err == nil {
		var there os.FileInfo
		if there, err = os.Lstat(path); err == nil && os.SameFile(have, there) {
			return &lock{f}
		}
	}
	f.Close()
	return nil
}

// record writes where this process listens, and the place where it was started to listen.
func (l *lock) record(socket, place string) error {
	text := []byte(config.LockRecord{Socket: socket, Place: place}.String())
	if _, err := l.f.WriteAt(text, 0); err != nil {
		return fmt.Errorf("record the socket: %w", err)
	}
	return l.f.Truncate(int64(len(text)))
}

// release gives up the claim.
func (l *lock) release() { l.f.Close() }
