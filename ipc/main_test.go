package ipc

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"iris/config/sys/systest"
)

func TestMain(m *testing.M) {
	if role := os.Getenv("IPC_TEST_ROLE"); role != "" {
		os.Exit(play(role))
	}
	systest.Begin()
	goleak.VerifyTestMain(m)
}

// echoParams are the params of the tests' methods.
type echoParams struct {
	Text string `json:"text"`
	N    int    `json:"n"`
}

// testServer has a method of every kind.
func testServer(opts Options) *Server {
	s := NewServer(opts)
	s.Handle("status", func(context.Context, *Call) (any, error) { return Status{PID: 1, Version: "1.2.3"}, nil })
	s.Handle("echo", func(_ context.Context, c *Call) (any, error) {
		var p echoParams
		err := c.Bind(&p)
		return p, err
	})
	s.Handle("wait", func(ctx context.Context, _ *Call) (any, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	s.Handle("panic", func(context.Context, *Call) (any, error) { panic("oh") })
	s.Handle("count", func(_ context.Context, c *Call) (any, error) {
		var p echoParams
		if err := c.Bind(&p); err != nil {
			return nil, err
		}
		for i := range p.N {
			if err := c.Notify("tick", echoParams{N: i}); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	return s
}

// socketPath returns a path short enough for a socket, in a directory of ours.
func socketPath(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "iris")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

// start serves s at a socket until the test ends.
func start(t testing.TB, s *Server) (path string) {
	t.Helper()
	path = socketPath(t)
	ln, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, s, ln)
	return path
}

func serveOn(t testing.TB, s *Server, ln net.Listener) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Serve(ctx, ln); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	stop = func() { cancel(); wg.Wait() }
	t.Cleanup(stop)
	return stop
}

func dial(t testing.TB, path string) *Client {
	t.Helper()
	c, err := Dial(t.Context(), path, Hello{Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// soon is a context for what must not hang.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func mustCall(t testing.TB, c *Client, method string, params, result any) {
	t.Helper()
	if err := c.Call(soon(t), method, params, result); err != nil {
		t.Fatalf("%s: %v", method, err)
	}
}

// play is what the test binary does as another user.
func play(role string) int {
	path := os.Getenv("IPC_TEST_SOCKET")
	switch role {
	case "talk":
		nc, err := net.Dial("unix", path)
		if err != nil {
			fmt.Println("dial:", err)
			return 0
		}
		io.WriteString(nc, statusLine)
		got, _ := io.ReadAll(nc)
		fmt.Printf("got %q\n", got)
	case "listen":
		ln, err := net.Listen("unix", path)
		if err != nil {
			fmt.Println("listen:", err)
			return 1
		}
		fmt.Println("listening")
		io.Copy(io.Discard, os.Stdin)
		ln.Close()
	}
	return 0
}
