// Package sys has the functions of the operating system that iris needs beyond
// package os: errors without the file's name, file locks, files and names that
// survive a power failure, the free space of a disk, the longest path of a socket,
// characters that control a terminal, the memory that is left, and a sleep that can be
// ended. Every package may import it. It has no goroutine and no state.
package sys

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// MaxSocketPath is how many bytes the path of a socket may have.
const MaxSocketPath = len(unix.RawSockaddrUnix{}.Path) - 1

// Cause returns err without the operation and path of an *fs.PathError, for a message
// that names the file itself.
func Cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// Silent returns an error that wraps err but has no text: with "%w" at the end of a
// format, the message has only the author's words and errors.Is still finds err.
func Silent(err error) error { return silent{err} }

type silent struct{ error }

func (s silent) Error() string { return "" }
func (s silent) Unwrap() error { return s.error }

// Owner returns the uid of a file's owner, -1 if unknown.
func Owner(info fs.FileInfo) int {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}

// TryLock takes the exclusive lock (flock) of a file. It returns false if another
// open file has a lock of it. The lock ends when the last descriptor of f is closed.
func TryLock(f *os.File) (bool, error) { return flock(f, syscall.LOCK_EX|syscall.LOCK_NB) }

// Lock waits for the exclusive lock of a file and takes it.
func Lock(f *os.File) error {
	_, err := flock(f, syscall.LOCK_EX)
	return err
}

// Locked reports whether another open file has the exclusive lock of f.
func Locked(f *os.File) bool {
	got, err := flock(f, syscall.LOCK_SH|syscall.LOCK_NB)
	return !got && err == nil
}

func flock(f *os.File, how int) (bool, error) {
	for {
		switch err := syscall.Flock(int(f.Fd()), how); err {
		case nil:
			return true, nil
		case syscall.EINTR:
		case syscall.EWOULDBLOCK:
			return false, nil
		default:
			return false, &fs.PathError{Op: "lock", Path: f.Name(), Err: err}
		}
	}
}

// SyncDir makes the names in a directory durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// WriteFile writes a file completely or not at all, even across a power failure.
// Without replace, an existing file is the error fs.ErrExist. A crash may leave a
// file whose name begins with ".new-".
func WriteFile(path string, data []byte, mode fs.FileMode, replace bool) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // by then it is gone, or a second name
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	if replace {
		err = os.Rename(f.Name(), path)
	} else {
		err = os.Link(f.Name(), path)
	}
	if err != nil {
		return err
	}
	return SyncDir(dir)
}

// FreeSpace returns how many bytes this user may still write at a path. The error is
// errors.ErrUnsupported if the file system does not tell.
func FreeSpace(path string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return 0, err
	}
	if s.Blocks == 0 {
		return 0, errors.ErrUnsupported
	}
	if os.Geteuid() == 0 { // may use what is reserved
		return int64(s.Bfree) * int64(s.Bsize), nil
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}

// Sleep waits for d. It returns false when ctx ends first.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
