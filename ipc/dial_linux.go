package ipc

import (
	"fmt"
	"os"

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

// Close ends a read or write under way first, which closing alone does not.
func (b blocking) Close() error {
	if rc, err := b.SyscallConn(); err == nil {
		rc.Control(func(fd uintptr) { unix.Shutdown(int(fd), unix.SHUT_RDWR) })
	}
	return b.File.Close()
}
