package ipc

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// As socat does: at the end of its input it closes its sending half.
func TestHalfClosedClientGetsItsAnswer(t *testing.T) {
	release, ended := make(chan struct{}), make(chan struct{}, 2)
	s := NewServer(Options{})
	s.Handle("work", func(ctx context.Context, _ *Call) (any, error) {
		select {
		case <-release:
			return "done", nil
		case <-ctx.Done():
			ended <- struct{}{}
			return nil, ctx.Err()
		}
	})
	path := start(t, s)
	for _, end := range []string{"\n", ""} { // also without the last line feed
		nc, err := net.Dial("unix", path)
		must(t, err)
		defer nc.Close()
		io.WriteString(nc, `{"jsonrpc":"2.0","id":1,"method":"work"}`+end)
		nc.(*net.UnixConn).CloseWrite()
		select {
		case <-ended:
			t.Error("half closed: the call was ended")
		case release <- struct{}{}:
		}
		if got, err := io.ReadAll(nc); err != nil || string(got) != `{"jsonrpc":"2.0","id":1,"result":"done"}`+"\n" {
			t.Errorf("got %q, %v", got, err)
		}
	}
	nc, err := net.Dial("unix", path)
	must(t, err)
	io.WriteString(nc, `{"jsonrpc":"2.0","id":1,"method":"work"}`+"\n")
	nc.(*net.UnixConn).CloseWrite()
	eventually(t, "the call is there", func() bool { return s.Clients() == 1 })
	nc.Close()
	<-ended
}

func TestBusyDaemonIsNotADeadOne(t *testing.T) {
	path := socketPath(t)
	ln := lazyListen(t, path)
	var queued []net.Conn
	for {
		nc, err := net.Dial("unix", path)
		if err != nil {
			break // the backlog is full
		}
		queued = append(queued, nc)
		defer nc.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if _, err := Dial(ctx, path, Hello{}); errors.Is(err, ErrNoDaemon) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a full backlog: got %v", err)
	}
	if _, err := Listen(path); !errors.Is(err, ErrInUse) {
		t.Errorf("Listen: got %v", err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for range queued {
			if nc, err := ln.Accept(); err == nil {
				nc.Close()
			}
		}
	})
	c, err := Dial(soon(t), path, Hello{})
	if err != nil {
		t.Errorf("when there is room again: %v", err)
	} else {
		c.Close()
	}
	wg.Wait()
}

// lazyListen returns a listener with the smallest backlog.
func lazyListen(t *testing.T, path string) net.Listener {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	must(t, unix.Bind(fd, &unix.SockaddrUnix{Name: path}))
	must(t, unix.Listen(fd, 1))
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	ln, err := net.FileListener(f)
	must(t, err)
	t.Cleanup(func() { ln.Close() })
	return ln
}
