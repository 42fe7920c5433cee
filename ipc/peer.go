package ipc

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrForeign says that a socket, its directory or the process at its other end
// belongs to another user.
var ErrForeign = errors.New("not ours")

// Peer is the process at the other end of a connection, as the kernel knows it. PID
// is 0 if unknown. The process that connected or listened may be gone by now, and its
// number used again.
type Peer struct {
	UID, PID int
}

// PeerOf returns the process at the other end of nc, a Unix socket.
func PeerOf(nc any) (Peer, error) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return Peer{}, fmt.Errorf("peer of a %T: not a socket", nc)
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return Peer{}, fmt.Errorf("peer credentials: %w", err)
	}
	var p Peer
	var perr error
	if err := rc.Control(func(fd uintptr) { p, perr = peerCred(int(fd)) }); err != nil {
		perr = err
	}
	if perr != nil {
		return Peer{}, fmt.Errorf("peer credentials: %w", perr)
	}
	return p, nil
}

// peerClosed reports whether the other end of nc has closed both halves.
func peerClosed(nc net.Conn) bool {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return false
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	gone := false
	err = rc.Control(func(fd uintptr) { gone = closedAt(fd) })
	return gone || err != nil
}

// closedAt asks the kernel whether the other end has closed both halves.
func closedAt(fd uintptr) bool {
	p := []unix.PollFd{{Fd: int32(fd)}}
	n, err := unix.Poll(p, 0)
	return err == nil && n > 0 && p[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0
}
