package ipc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/creachadair/jrpc2"
	"github.com/creachadair/jrpc2/channel"
)

func TestCallAnswers(t *testing.T) {
	path := start(t, testServer(Options{Version: "9.9"}))
	c := dial(t, path)
	if p := c.Daemon(); p.UID != os.Geteuid() || p.PID != os.Getpid() {
		t.Errorf("daemon: got %+v", p)
	}
	var got echoParams
	mustCall(t, c, "echo", echoParams{Text: "hé", N: 3}, &got)
	if got != (echoParams{Text: "hé", N: 3}) {
		t.Errorf("got %+v", got)
	}
	var raw json.RawMessage
	mustCall(t, c, "echo", nil, &raw)
	mustCall(t, c, "echo", echoParams{Text: "other"}, nil)
	if string(raw) != `{"text":"","n":0}` {
		t.Errorf("raw: got %s", raw)
	}
	if err := c.Call(soon(t), "nope", nil, nil); !errors.Is(err, &Error{Code: CodeMethodNotFound}) {
		t.Errorf("no such method: got %v", err)
	}
	mustCall(t, c, "echo", nil, nil) // an error of a call ends only the call
}

func TestTextsGoBothWays(t *testing.T) {
	for _, size := range []int{10, 700_000} {
		text := strings.Repeat("line of text\n", size)
		testText(t, text)
	}
}

func testText(t *testing.T, text string) {
	t.Helper()
	s := NewServer(Options{})
	s.Handle("send", func(_ context.Context, c *Call) (any, error) {
		var p Send
		if err := c.Bind(&p); err != nil {
			return nil, err
		}
		if c.Params != nil || s.assembly.Load() != 0 {
			t.Errorf("after Bind the line is still held: %d bytes", s.assembly.Load())
		}
		return Reply{ID: "m1", Text: p.Text}, nil
	})
	c := dial(t, start(t, s))
	var first Reply
	mustCall(t, c, "send", Send{Team: "api", Text: text}, &first)
	mustCall(t, c, "send", Send{Text: strings.Repeat("x", len(text))}, new(Reply)) // must not write over the first
	if first.Text != text || first.ID != "m1" {
		t.Errorf("got %d bytes for %d", len(first.Text), len(text))
	}
}

// fakeDaemon accepts one connection and hands it to f.
func fakeDaemon(t *testing.T, f func(nc *net.UnixConn)) (path string) {
	t.Helper()
	path = socketPath(t)
	ln := mustListen(t, path)
	var wg sync.WaitGroup
	wg.Go(func() {
		nc, err := ln.AcceptUnix()
		if err != nil {
			return
		}
		defer nc.Close()
		f(nc)
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return path
}

func TestHelloAndFirstCallAreOneWrite(t *testing.T) {
	var got, second string
	path := fakeDaemon(t, func(nc *net.UnixConn) {
		buf := make([]byte, 4096)
		n, _ := nc.Read(buf)
		got = string(buf[:n])
		io.WriteString(nc, `{"jsonrpc":"2.0","id":0,"result":{"protocol":1,"version":"5"}}`+"\n"+`{"jsonrpc":"2.0","id":1,"result":{}}`+"\n")
		n, _ = nc.Read(buf)
		second = string(buf[:n])
		io.WriteString(nc, `{"jsonrpc":"2.0","id":2,"result":{}}`+"\n")
	})
	c, err := Dial(soon(t), path, Hello{Version: "4"})
	must(t, err)
	defer c.Close()
	mustCall(t, c, "status", nil, nil)
	want := `{"jsonrpc":"2.0","id":0,"method":"hello","params":{"protocol":1,"version":"4"}}` + "\n" + `{"jsonrpc":"2.0","id":1,"method":"status"}` + "\n"
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	mustCall(t, c, "status", nil, nil)
	if want := `{"jsonrpc":"2.0","id":2,"method":"status"}` + "\n"; second != want {
		t.Errorf("the second call: got %s\nwant %s", second, want)
	}
}

func TestDaemonThatDiesBeforeTheAnswer(t *testing.T) {
	answers := map[string]string{
		"nothing":   "",
		"half":      `{"jsonrpc":"2.0","id":1,"resu`,
		"no line":   `{"jsonrpc":"2.0","id":1,"result":{}}`,
		"garbage":   "hello?\n",
		"neither":   `{"jsonrpc":"2.0","id":0}` + "\n",
		"batch":     "[]\n",
		"other one": `{"jsonrpc":"2.0","id":17,"result":{}}` + "\n",
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			path := fakeDaemon(t, func(nc *net.UnixConn) {
				bufio.NewReader(nc).ReadString('\n')
				io.WriteString(nc, answer)
			})
			c := dial(t, path)
			for range 2 {
				if err := c.Call(soon(t), "status", nil, nil); !errors.Is(err, ErrLost) {
					t.Errorf("got %v, want ErrLost", err)
				}
			}
		})
	}
}

func TestOtherProtocolIsTheCallersError(t *testing.T) {
	path := start(t, testServer(Options{Version: "1.0"}))
	c, err := Dial(soon(t), path, Hello{Protocol: 99, Version: "2.0"})
	must(t, err)
	defer c.Close()
	for range 2 {
		err := c.Call(soon(t), "status", nil, nil)
		if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeDaemon || e.Hint() == "" {
			t.Errorf("got %v, want code %d and a hint", err, CodeDaemon)
		}
	}
}

func TestContextEndsTheCallAndTheConnection(t *testing.T) {
	s := testServer(Options{})
	c := dial(t, start(t, s))
	ctx, cancel := context.WithCancel(context.Background())
	c.OnSent = cancel
	if err := c.Call(ctx, "wait", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := c.Call(soon(t), "status", nil, nil); !errors.Is(err, ErrLost) {
		t.Errorf("the next call: got %v", err)
	}
	if err := c.Call(ctx, "status", nil, nil); err == nil {
		t.Error("a call whose context has ended: no error")
	}
	eventually(t, "the connection is gone", func() bool { return s.Clients() == 0 })
}

func TestEndedContextLeavesTheConnection(t *testing.T) {
	c := dial(t, start(t, testServer(Options{})))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := c.Call(ctx, "status", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	mustCall(t, c, "status", nil, nil)
}

// eventually waits for what the other end of a socket does, which no bubble sees.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not in a minute: %s", what)
		}
	}
}

func TestClientGoneMidCall(t *testing.T) {
	began, ended := make(chan struct{}, 1), make(chan error, 1)
	s := NewServer(Options{})
	s.Handle("work", func(ctx context.Context, _ *Call) (any, error) {
		began <- struct{}{}
		<-ctx.Done()
		ended <- ctx.Err()
		return "for nobody", nil
	})
	path := start(t, s)
	nc, err := net.Dial("unix", path)
	must(t, err)
	io.WriteString(nc, `{"jsonrpc":"2.0","id":1,"method":"work"}`+"\n")
	<-began
	nc.Close()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	mustCall(t, dial(t, path), MethodHello, Hello{Protocol: Version}, nil)
}

func TestNobodyThere(t *testing.T) {
	path := socketPath(t)
	deadSocket(t, path)
	for name, path := range map[string]string{
		"no directory": filepath.Join(filepath.Dir(path), "no", "s"),
		"no socket":    path + "x",
		"dead socket":  path,
	} {
		if _, err := Dial(soon(t), path, Hello{}); !errors.Is(err, ErrNoDaemon) || errors.Is(err, ErrForeign) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("a client has removed the dead socket: %v", err)
	}
}

func TestNotificationsComeInOrder(t *testing.T) {
	var next int
	c := dial(t, start(t, testServer(Options{})))
	c.OnNotify = func(method string, params json.RawMessage) {
		var p echoParams
		if err := json.Unmarshal(params, &p); err != nil || method != "tick" || p.N != next {
			t.Errorf("notification %d: got %s %s", next, method, params)
		}
		next++
	}
	mustCall(t, c, "count", echoParams{N: 500}, nil)
	if next != 500 {
		t.Errorf("%d of 500 notifications came before the answer", next)
	}
}

func TestCallsOfOneClientWaitForEachOther(t *testing.T) {
	c := dial(t, start(t, testServer(Options{})))
	var wg sync.WaitGroup
	var wrong atomic.Int32
	for i := range 20 {
		wg.Go(func() {
			var got echoParams
			if err := c.Call(soon(t), "echo", echoParams{N: i}, &got); err != nil || got.N != i {
				wrong.Add(1)
			}
		})
	}
	wg.Wait()
	if wrong.Load() > 0 {
		t.Errorf("%d of 20 calls got another's answer", wrong.Load())
	}
}

func TestJRPC2ClientIsUnderstood(t *testing.T) {
	path := start(t, testServer(Options{}))
	nc, err := net.Dial("unix", path)
	must(t, err)
	var ticks atomic.Int32
	c := jrpc2.NewClient(channel.Line(nc, nc), &jrpc2.ClientOptions{OnNotify: func(r *jrpc2.Request) {
		if r.Method() == "tick" {
			ticks.Add(1)
		}
	}})
	defer c.Close()
	var got echoParams
	if err := c.CallResult(soon(t), "echo", echoParams{Text: "x"}, &got); err != nil || got.Text != "x" {
		t.Errorf("call: got %+v, %v", got, err)
	}
	if _, err := c.Call(soon(t), "nope", nil); jrpc2.ErrorCode(err) != jrpc2.MethodNotFound {
		t.Errorf("no such method: got %v", err)
	}
	if _, err := c.Call(soon(t), "echo", map[string]int{"x": 1}); jrpc2.ErrorCode(err) != jrpc2.InvalidParams {
		t.Errorf("unknown field: got %v", err)
	}
	if err := c.Notify(soon(t), "echo", nil); err != nil {
		t.Errorf("notify: %v", err)
	}
	if _, err := c.Call(soon(t), "count", echoParams{N: 50}); err != nil {
		t.Errorf("count: %v", err)
	}
	eventually(t, "all notifications are there", func() bool { return ticks.Load() == 50 })
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if _, err := c.Call(soon(t), "echo", echoParams{Text: strings.Repeat("x", 10_000)}); err != nil {
				t.Errorf("one of many: %v", err)
			}
		})
	}
	wg.Wait()
}

// A daemon of another protocol refuses everything after a hello; it must be
// possible to stop it.
func TestStopNeedsNoHello(t *testing.T) {
	lines := make(chan string, 1)
	path := fakeDaemon(t, func(nc *net.UnixConn) {
		line, err := bufio.NewReader(nc).ReadString('\n')
		if err != nil {
			t.Error(err)
		}
		lines <- line
		io.WriteString(nc, `{"jsonrpc":"2.0","id":1,"result":{}}`+"\n")
	})
	mustCall(t, dial(t, path), MethodStop, StopParams{}, nil)
	if line := <-lines; !strings.Contains(line, MethodStop) {
		t.Errorf("the daemon was told %s first", line)
	}
}
