package ipc

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

func peerCred(fd int) (Peer, error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return Peer{}, err
	}
	return Peer{UID: int(cred.Uid), PID: int(cred.Pid)}, nil
}

// awaitHangup waits until the other end of nc has closed both halves, or until
// the read deadline. It takes no thread: the poller calls it back.
func awaitHangup(nc net.Conn) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return
	}
	rc.Read(closedAt)
}
