package ipc

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestWhatArrivedBeforeAnInterruptIsHeard(t *testing.T) {
	s := testServer(Options{})
	said := make(chan struct{})
	s.Handle("tell", func(ctx context.Context, c *Call) (any, error) {
		must(t, c.NotifyWait("told", nil))
		close(said)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	c := dial(t, start(t, s))
	ctx, cancel := context.WithCancel(soon(t))
	defer cancel()
	heard := 0
	c.OnNotify = func(string, json.RawMessage) { heard++ }
	c.OnSent = func() {
		<-said
		eventually(t, "it has arrived", func() bool { return strings.Contains(arrived(t, c), "told") })
		cancel()
		eventually(t, "the end of the context has ended the reading", func() bool { return hungUp(t, c) })
	}
	if err := c.Call(ctx, "tell", nil, nil); !errors.Is(err, context.Canceled) || heard != 1 {
		t.Errorf("got %v, heard %d notifications, want 1", err, heard)
	}
}

// arrived returns the bytes that were sent to a client and not read.
func arrived(t *testing.T, c *Client) string {
	t.Helper()
	buf := make([]byte, 4096)
	n := 0
	control(t, c, func(fd int) (err error) {
		n, _, err = unix.Recvfrom(fd, buf, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		return err
	})
	return string(buf[:max(n, 0)])
}

// hungUp reports whether a client's connection is shut down.
func hungUp(t *testing.T, c *Client) bool {
	t.Helper()
	var fds [1]unix.PollFd
	control(t, c, func(fd int) error {
		fds[0].Fd = int32(fd)
		_, err := unix.Poll(fds[:], 0)
		return err
	})
	return fds[0].Revents&unix.POLLHUP != 0
}

func control(t *testing.T, c *Client, f func(fd int) error) {
	t.Helper()
	rc, err := c.nc.SyscallConn()
	must(t, err)
	var ferr error
	must(t, rc.Control(func(fd uintptr) { ferr = f(int(fd)) }))
	must(t, ferr)
}

func TestPatienceEnds(t *testing.T) {
	c := dial(t, start(t, testServer(Options{})))
	c.Patience = 20 * time.Millisecond
	if err := c.Call(context.Background(), "wait", nil, nil); !errors.Is(err, os.ErrDeadlineExceeded) || !errors.Is(err, ErrLost) {
		t.Errorf("got %v", err)
	}
}

// A daemon that takes longer than the patience, but goes on speaking or reading,
// is waited for.
func TestPatienceIsRenewed(t *testing.T) {
	const patience, steps = time.Second, 4
	path := fakeDaemon(t, func(nc *net.UnixConn) {
		buf := make([]byte, 4<<20/steps)
		for range steps {
			time.Sleep(patience / 3)
			io.ReadFull(nc, buf)
		}
		for range steps {
			time.Sleep(patience / 3)
			io.WriteString(nc, `{"jsonrpc":"2.0","method":"tick"}`+"\n")
		}
		io.WriteString(nc, `{"jsonrpc":"2.0","id":0,"result":{}}`+"\n"+`{"jsonrpc":"2.0","id":1,"result":{}}`+"\n")
		io.Copy(io.Discard, nc)
	})
	c := dial(t, path)
	c.Patience = patience
	mustCall(t, c, "echo", echoParams{Text: strings.Repeat("x", 4<<20)}, nil)
}
