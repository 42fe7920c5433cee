package main

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// waitGone returns when the process has ended; a zombie counts as ended.
func waitGone(ctx context.Context, pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil { // it is gone, or the kernel is too old: do not wait
		return nil
	}
	defer unix.Close(fd)
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for ctx.Err() == nil {
		n, err := unix.Poll(fds, int(time.Second/time.Millisecond))
		if n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
	return ctx.Err()
}
