package procs

import (
	"context"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// awaitExit waits until a child has ended, without taking its exit status. The wait
// is in the runtime's poller and holds no thread; false means that the system cannot
// do that.
func awaitExit(pid int) bool {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return false
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	defer f.Close()
	return readable(f) == nil
}

// readable waits until f is readable or closed.
func readable(f *os.File) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	return c.Read(func(fd uintptr) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return n > 0 || err != nil && err != unix.EINTR
	})
}

// Await returns when the process or ctx has ended.
func (p ID) Await(ctx context.Context) {
	fd, err := p.open()
	if err != nil {
		return
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	defer f.Close()
	defer context.AfterFunc(ctx, func() { f.SetReadDeadline(time.Unix(1, 0)) })()
	readable(f)
}
