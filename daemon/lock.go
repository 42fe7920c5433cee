package daemon

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// ErrRunning says that another daemon holds the state directory.
var ErrRunning = errors.New("a daemon is already running")

// lockWait is how long a starting daemon waits for one that is just leaving.
const lockWait = 3 * time.Second

// lock is the claim to a state directory: a flock held for the daemon's life
// on a file that is never removed. Its one line is the path of the socket, so
// that clients with another environment find the same daemon.
type lock struct {
	f *os.File
}

// acquire takes the lock at path. The error is ErrRunning when another daemon
// has it and keeps it.
func acquire(path string) (*lock, error) {
	deadline := time.Now().Add(lockWait)
	for {
		l, err := acquireNow(path)
		if !errors.Is(err, ErrRunning) || time.Now().After(deadline) {
			return l, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// acquireNow takes the lock at path if nobody has it, else the error is
// ErrRunning.
func acquireNow(path string) (*lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case err == nil:
		return &lock{f}, nil
	case errors.Is(err, syscall.EWOULDBLOCK):
		err = running(f)
	default:
		err = fmt.Errorf("lock %s: %w", path, err)
	}
	f.Close()
	return nil, err
}

// running says where the daemon listens that has the lock, as far as it has told.
func running(f *os.File) error {
	line, _ := bufio.NewReader(f).ReadString('\n')
	if socket := strings.TrimSuffix(line, "\n"); socket != "" {
		return fmt.Errorf("%w at %s", ErrRunning, socket)
	}
	return ErrRunning
}

// inherit goes on with a lock that this process holds already, at a descriptor;
// nil when that is not open, or not the file at path.
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

// record writes the socket's path for clients to find.
func (l *lock) record(socket string) error {
	line := []byte(socket + "\n")
	if _, err := l.f.WriteAt(line, 0); err != nil {
		return fmt.Errorf("record the socket: %w", err)
	}
	return l.f.Truncate(int64(len(line)))
}

// release gives the claim up.
func (l *lock) release() { l.f.Close() }
