package ipc

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// dialUnix connects to a socket. It is a blocking one: most clients live for two
// milliseconds, and what the runtime sets up to wait in its poller would be a
// twentieth of that.
func dialUnix(path string) (stream, error) {
	// Not blocking yet: a connect would wait for a daemon that does not accept.
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("make a socket: %w", err)
	}
	err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
	if err == nil {
		err = unix.SetNonblock(fd, false)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("connect to %s: %w", path, err)
	}
	return blocking{os.NewFile(uintptr(fd), "socket")}, nil
}

// blocking is a socket whose reads and writes each hold a thread.
type blocking struct{ *os.File }

func (b blocking) Read(p []byte) (int, error) {
	n, err := b.File.Read(p)
	return n, outOfPatience(err)
}

func (b blocking) Write(p []byte) (int, error) {
	n, err := b.File.Write(p)
	return n, outOfPatience(err)
}

func outOfPatience(err error) error {
	if errors.Is(err, unix.EAGAIN) {
		return os.ErrDeadlineExceeded
	}
	return err
}

func (b blocking) setPatience(d time.Duration) error {
	tv := unix.NsecToTimeval(d.Nanoseconds())
	return b.control(func(fd int) error {
		return errors.Join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv),
			unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &tv))
	})
}

func (b blocking) interrupt() {
	b.control(func(fd int) error { return unix.Shutdown(fd, unix.SHUT_RDWR) })
}

// Close ends a read or write under way first, which closing alone does not.
func (b blocking) Close() error {
	b.interrupt()
	return b.File.Close()
}

func (b blocking) control(f func(fd int) error) error {
	rc, err := b.SyscallConn()
	if err != nil {
		return err
	}
	var ferr error
	if err := rc.Control(func(fd uintptr) { ferr = f(int(fd)) }); err != nil {
		return err
	}
	return ferr
}
