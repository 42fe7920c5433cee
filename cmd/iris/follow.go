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

	"iris/config/sys"
	"iris/ipc"
)

const (
	steady     = 10 * time.Second
	maxLosses  = 20 // of consecutive daemons that lived no longer than steady
	firstPause = 10 * time.Millisecond
)

// longestPause is the longest time between two attempts to connect. Tests change it.
var longestPause = time.Second

// A goneError says that the connection is lost and that there is no daemon to
// reconnect to; the wrapped error says why.
type goneError struct{ error }

func (e goneError) Unwrap() error { return e.error }

// follow lets talk make its calls on a connection, and on another one as long as
// again accepts its error. It looks for a lost daemon for reach, and at least once.
// What talk does on a connection depends on what it has received on earlier ones.
func (g *globals) follow(ctx context.Context, reach time.Duration, talk func(*ipc.Client) error, again func(error) bool) error {
	c, err := g.dial(ctx)
	for losses := 0; err == nil; losses++ {
		begun := time.Now()
		err = talk(c)
		c.Close()
		if err == nil || ctx.Err() != nil || !again(err) {
			return err
		}
		if time.Since(begun) > steady {
			losses = 0
		}
		if losses == maxLosses {
			return goneError{err}
		}
		c, err = g.redial(ctx, reach, losses)
	}
	return err
}

// redial finds the daemon again, or starts one if allowed.
func (g *globals) redial(ctx context.Context, reach time.Duration, losses int) (*ipc.Client, error) {
	for begun := time.Now(); ; losses++ {
		sys.Sleep(ctx, min(firstPause<<losses, longestPause))
		c, err := g.dial(ctx)
		switch {
		case err == nil, ctx.Err() != nil:
			return c, err
		case time.Since(begun) >= reach:
			return nil, goneError{err}
		}
	}
}

// call makes one call that waits for no turn. If the daemon is just ending, it
// repeats an idempotent call. A daemon that does not answer is an error: soon if it
// hangs, after patience if it has answered the hello, since its disk may be slow.
func (g *globals) call(ctx context.Context, method string, params, result any) error {
	first := true
	return g.follow(ctx, 0, func(c *ipc.Client) error {
		c.Patience, c.HelloPatience = patience, ipc.HungAfter
		err := c.Call(ctx, method, params, result)
		if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
			return hung(c.Daemon().PID)
		}
		return err
	}, func(err error) bool {
		repeats := first && errors.Is(err, ipc.ErrLost) && ipc.Idempotent(method)
		first = false
		return repeats
	})
}

// errReaderGone ends a context because its output has no reader.
var errReaderGone = errors.New("nobody reads")

// untilReaderGone runs follow, and ends its context when the pipe on stdout has no
// reader left: otherwise "| head -1" would wait for the next write. It returns after
// follow has.
func untilReaderGone(ctx context.Context, stdout io.Writer, follow func(context.Context) error) error {
	pipe, ok := stdout.(*os.File)
	if !ok {
		return follow(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for !readerGone(pipe) {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
		cancel(errReaderGone)
	})
	err := follow(ctx)
	cancel(nil)
	wg.Wait()
	if context.Cause(ctx) == errReaderGone {
		return fmt.Errorf("write: %w", syscall.EPIPE)
	}
	return err
}

// readerGone reports whether a pipe has no reader.
func readerGone(pipe *os.File) bool {
	fds := []unix.PollFd{{Fd: int32(pipe.Fd())}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0 && fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0
}
