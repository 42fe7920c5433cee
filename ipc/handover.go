package ipc

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Handed is a listening socket that a daemon passes to the next program image. Connections that
// arrive meanwhile wait in its queue.
type Handed struct {
	FD   int // close-on-exec; the holder closes it
	Path string
	Dev  uint64
	Ino  uint64
	Lent bool // see Inherit
}

// HandOver returns the socket for a later Listener. After that, Close of this Listener no
// longer removes the socket from its path.
func (l *Listener) HandOver() (Handed, error) {
	h := Handed{Path: l.path, Dev: l.id.dev, Ino: l.id.ino, Lent: l.lent}
	c, err := l.SyscallConn()
	if err != nil {
		return h, err
	}
	var dup error
	err = c.Control(func(fd uintptr) { h.FD, dup = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 3) })
	if err == nil {
		err = dup
	}
	if err != nil {
		return h, fmt.Errorf("keep the socket open: %w", err)
	}
	l.left.Store(true)
	return h, nil
}

// TakeOver makes a Listener of a socket that HandOver returned, and closes its
// descriptor.
func TakeOver(h Handed) (*Listener, error) {
	f := os.NewFile(uintptr(h.FD), h.Path)
	if f == nil {
		return nil, fmt.Errorf("socket %s: no descriptor", h.Path)
	}
	defer f.Close()
	nl, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w", h.Path, err)
	}
	ul, ok := nl.(*net.UnixListener)
	if !ok {
		nl.Close()
		return nil, fmt.Errorf("socket %s: not a Unix socket", h.Path)
	}
	ul.SetUnlinkOnClose(false)
	return &Listener{UnixListener: ul, path: h.Path, id: fileID{dev: h.Dev, ino: h.Ino}, lent: h.Lent}, nil
}
