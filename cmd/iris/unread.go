package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// errUnread is why a context has ended whose output nobody reads.
var errUnread = errors.New("nobody reads")

// whileRead runs follow, and ends its context when the pipe that stdout is has no
// reader left: one that has seen enough ("| head -1") would otherwise wait for
// the next thing to be written. It returns after follow has.
func whileRead(ctx context.Context, stdout io.Writer, follow func(context.Context) error) error {
	pipe, ok := stdout.(*os.File)
	if !ok {
		return follow(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for !unread(pipe) {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
		cancel(errUnread)
	})
	err := follow(ctx)
	cancel(nil)
	wg.Wait()
	if context.Cause(ctx) == errUnread {
		return fmt.Errorf("write: %w", syscall.EPIPE)
	}
	return err
}

// unread reports whether nobody can read what is written to a pipe.
func unread(pipe *os.File) bool {
	fds := []unix.PollFd{{Fd: int32(pipe.Fd())}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0 && fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0
}
