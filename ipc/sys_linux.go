package ipc

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxPath is how many bytes the path of a socket may have.
const maxPath = len(unix.RawSockaddrUnix{}.Path) - 1

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
	rc.Read(func(fd uintptr) bool {
		p := []unix.PollFd{{Fd: int32(fd)}}
		n, err := unix.Poll(p, 0)
		return err == nil && n > 0 && p[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0
	})
}
