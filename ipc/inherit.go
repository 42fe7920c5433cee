package ipc

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Inherit makes a Listener of a socket on which a service manager listens at path and
// which it has passed on as a descriptor; Inherit closes the descriptor. The socket
// is lent: when the Listener closes, it stays at its path and with the manager.
//
// The error says what the descriptor is, if not a stream socket listening at path, or
// who else can reach it. A socket that is no longer at its path is still accepted,
// and Present says so.
func Inherit(fd int, path string) (*Listener, error) {
	bound, err := listening(fd)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("descriptor %d of the service manager: %w", fd, err)
	}
	l, err := TakeOver(Handed{FD: fd, Path: path, Lent: true})
	if err != nil {
		return nil, err
	}
	if err := l.locate(bound); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// listening returns the path at which a descriptor listens.
func listening(fd int) (string, error) {
	addr, err := unix.Getsockname(fd)
	if err != nil {
		return "", fmt.Errorf("no socket: %w", err)
	}
	at, ok := addr.(*unix.SockaddrUnix)
	if !ok {
		return "", errors.New("not a Unix socket")
	}
	if typ, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || typ != unix.SOCK_STREAM {
		return "", errors.New("not a stream socket: it takes ListenStream=")
	}
	if on, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || on == 0 {
		return "", errors.New("not a listening socket: it takes Accept=no")
	}
	return at.Name, nil
}

// locate checks that the lent socket is where clients look for it, and open to this
// user only.
func (l *Listener) locate(bound string) error {
	if bound != l.path && !sameFile(bound, l.path) {
		return fmt.Errorf("the service manager listens at %s, and clients look for the daemon at %s: have ListenStream= say so", bound, l.path)
	}
	if _, err := os.Lstat(l.path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := Check(l.path); err != nil {
		return err
	}
	if checkDead(l.path) == nil {
		return nil // the file at the path is a dead socket
	}
	if err := os.Chmod(l.path, 0o600); err != nil {
		return err
	}
	fi, err := os.Lstat(l.path)
	if err == nil {
		l.id = idOf(fi)
	}
	return err
}

func sameFile(a, b string) bool {
	one, err := os.Lstat(a)
	if err != nil {
		return false
	}
	other, err := os.Lstat(b)
	return err == nil && os.SameFile(one, other)
}
