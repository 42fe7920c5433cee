package ipc

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

const statusLine = `{"jsonrpc":"2.0","id":1,"method":"status"}` + "\n"

func TestServeReturnsWhenEveryCallIsGone(t *testing.T) {
	var ended atomic.Int32
	s := NewServer(Options{})
	s.Handle("work", func(ctx context.Context, _ *Call) (any, error) {
		<-ctx.Done()
		time.Sleep(time.Minute)
		ended.Add(1)
		return "done", nil
	})
	bubble(t, s, func(t *testing.T, ln *pipeListener, end func()) {
		k := newTalker(ln.dial())
		defer k.close()
		k.write(`{"jsonrpc":"2.0","id":1,"method":"work"}` + "\n" + `{"jsonrpc":"2.0","id":2,"method":"work"}` + "\n")
		synctest.Wait()
		if got := s.Clients(); got != 1 {
			t.Errorf("clients: got %d, want 1", got)
		}
		end()
		if got := ended.Load(); got != 2 {
			t.Errorf("Serve returned with %d of 2 calls ended", got)
		}
		if got := digest(t, k.heard()); got != "1: ok, 2: ok" && got != "2: ok, 1: ok" {
			t.Errorf("answers at the end: got %q", got)
		}
		if !k.over() || s.Clients() != 0 {
			t.Errorf("the connection is still open, %d clients", s.Clients())
		}
	})
}

func TestClosedListenerLeavesConnectionsAlone(t *testing.T) {
	bubble(t, testServer(Options{}), func(t *testing.T, ln *pipeListener, _ func()) {
		k := newTalker(ln.dial())
		defer k.close()
		ln.Close()
		synctest.Wait()
		k.write(statusLine)
		if got := digest(t, k.heard()); got != "1: ok" {
			t.Errorf("after the listener was closed: got %q", got)
		}
	})
}

func TestHalfFrameIsDroppedInTime(t *testing.T) {
	var refused []error
	opts := Options{Refused: func(_ Peer, err error) { refused = append(refused, err) }}
	bubble(t, testServer(opts), func(t *testing.T, ln *pipeListener, _ func()) {
		k := newTalker(ln.dial())
		defer k.close()
		time.Sleep(time.Hour) // an idle connection may stay
		k.write(statusLine)
		begun := time.Now()
		for _, b := range []byte(statusLine)[:28] { // slow-loris: 28 bytes in 28 s
			k.write(string(b))
			time.Sleep(time.Second)
		}
		if k.over() {
			t.Fatalf("dropped after %v", time.Since(begun))
		}
		time.Sleep(2*time.Second + time.Millisecond)
		if got := digest(t, k.heard()); got != "1: ok, null: -32600" || !k.over() {
			t.Errorf("after 30 s of half a frame: got %q, closed %v", got, k.over())
		}
	})
	if len(refused) != 1 {
		t.Errorf("refused: got %v, want the half frame", refused)
	}
}

func TestFrameInTimeResetsTheDeadline(t *testing.T) {
	bubble(t, testServer(Options{}), func(t *testing.T, ln *pipeListener, _ func()) {
		k := newTalker(ln.dial())
		defer k.close()
		for range 5 {
			k.write(statusLine[:10])
			time.Sleep(29 * time.Second)
			k.write(statusLine[10:] + statusLine[:5])
			time.Sleep(29 * time.Second)
			k.write(statusLine[5:])
			time.Sleep(time.Hour)
		}
		if got := len(k.heard()); got != 10 {
			t.Errorf("got %d answers, want 10", got)
		}
	})
}

func TestPanicIsTheCallersErrorOnly(t *testing.T) {
	var told []string
	var mu sync.Mutex
	opts := Options{Panic: func(method string, v any, stack []byte) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, method)
		if v != "oh" || !strings.Contains(string(stack), "testServer") {
			t.Errorf("panic: got %v with stack %s", v, stack)
		}
	}}
	s := testServer(opts)
	s.Handle("encode.panic", func(_ context.Context, c *Call) (any, error) { return testServerResult{}, nil })
	bubble(t, s, func(t *testing.T, ln *pipeListener, _ func()) {
		k := newTalker(ln.dial())
		defer k.close()
		for _, method := range []string{"panic", "encode.panic"} {
			want := "1: -32603"
			k.write(`{"jsonrpc":"2.0","id":1,"method":"` + method + `"}` + "\n")
			if got := digest(t, k.heard()); got != want {
				t.Errorf("%s: got %q, want %q", method, got, want)
			}
		}
		k.write(statusLine)
		if got := digest(t, k.heard()); got != "1: ok" {
			t.Errorf("after the panics: got %q", got)
		}
	})
	if got := strings.Join(told, " "); got != "panic encode.panic" {
		t.Errorf("told of %q", got)
	}
}

func testServerPanics() { panic("oh") }

type testServerResult struct{}

func (testServerResult) AppendJSON([]byte) ([]byte, error) { testServerPanics(); return nil, nil }

func TestClosingEndsTheWait(t *testing.T) {
	var ended atomic.Int32
	s := NewServer(Options{})
	s.Handle("wait", func(ctx context.Context, _ *Call) (any, error) {
		<-ctx.Done()
		ended.Add(1)
		return nil, ctx.Err()
	})
	bubble(t, s, func(t *testing.T, ln *pipeListener, _ func()) {
		nc := ln.dial()
		nc.Write([]byte(`{"jsonrpc":"2.0","id":1,"method":"wait"}` + "\n" + `{"jsonrpc":"2.0","method":"wait"}` + "\n"))
		synctest.Wait()
		nc.Close()
		if synctest.Wait(); ended.Load() != 2 || s.Clients() != 0 {
			t.Errorf("client gone: %d of 2 waits ended, %d clients", ended.Load(), s.Clients())
		}
	})
}

func TestCallsInFlightAreBounded(t *testing.T) {
	bubble(t, testServer(Options{MaxCalls: 2}), func(t *testing.T, ln *pipeListener, _ func()) {
		k := newTalker(ln.dial())
		defer k.close()
		for _, id := range []string{"1", "2", "3"} {
			k.write(`{"jsonrpc":"2.0","id":` + id + `,"method":"wait"}` + "\n")
		}
		if got := digest(t, k.heard()); got != "3: 75" {
			t.Errorf("got %q, want the third refused", got)
		}
	})
}

func TestIDMayBeUsedAgainAfterItsAnswer(t *testing.T) {
	bubble(t, testServer(Options{}), func(t *testing.T, ln *pipeListener, _ func()) {
		k := newTalker(ln.dial())
		defer k.close()
		for range 3 {
			k.write(`{"jsonrpc":"2.0","id":"x","method":"echo"}` + "\n")
			if got := digest(t, k.heard()); got != `"x": ok` {
				t.Errorf("got %q", got)
			}
		}
	})
}

func TestTooManyClientsAreToldSo(t *testing.T) {
	bubble(t, testServer(Options{MaxClients: 2}), func(t *testing.T, ln *pipeListener, _ func()) {
		a, b := newTalker(ln.dial()), newTalker(ln.dial())
		defer b.close()
		synctest.Wait()
		c := newTalker(ln.dial())
		if got := digest(t, c.heard()); got != "null: 75" || !c.over() {
			t.Errorf("the third: got %q, closed %v", got, c.over())
		}
		c.close()
		a.close()
		synctest.Wait()
		d := newTalker(ln.dial())
		defer d.close()
		d.write(statusLine)
		if got := digest(t, d.heard()); got != "1: ok" {
			t.Errorf("after one has left: got %q", got)
		}
	})
}

func TestForeignClientIsClosedBeforeAByteIsRead(t *testing.T) {
	var refused []error
	s := testServer(Options{Refused: func(p Peer, err error) { refused = append(refused, err) }})
	bubble(t, s, func(t *testing.T, ln *pipeListener, _ func()) {
		s.peerOf = func(net.Conn) (Peer, error) { return Peer{UID: os.Geteuid() + 1, PID: 7}, nil }
		nc := ln.dial()
		defer nc.Close()
		if n, err := nc.Write([]byte(statusLine)); n != 0 || err == nil {
			t.Errorf("%d bytes were read, %v", n, err)
		}
	})
	if len(refused) != 1 || !errors.Is(refused[0], ErrForeign) {
		t.Errorf("refused: got %v", refused)
	}
}

// A poorListener has no descriptors left for a while.
type poorListener struct {
	*pipeListener
	fails atomic.Int32
	tries atomic.Int32
}

func (l *poorListener) Accept() (net.Conn, error) {
	l.tries.Add(1)
	if l.fails.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.pipeListener.Accept()
}

func TestAcceptBacksOffWithoutDescriptors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := testServer(Options{})
		s.peerOf = ours
		ln := &poorListener{pipeListener: newPipeListener()}
		ln.fails.Store(1 << 30)
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { s.Serve(ctx, ln) })
		time.Sleep(10 * time.Second)
		if got := ln.tries.Load(); got < 10 || got > 30 {
			t.Errorf("%d tries in 10 s", got)
		}
		ln.fails.Store(0)
		time.Sleep(2 * time.Second)
		k := newTalker(ln.dial())
		k.write(statusLine)
		if got := digest(t, k.heard()); got != "1: ok" {
			t.Errorf("when descriptors are back: got %q", got)
		}
		cancel()
		wg.Wait()
		k.close()
	})
}

func TestOtherProtocolIsRefusedForGood(t *testing.T) {
	bubble(t, testServer(Options{Version: "1.2.0"}), func(t *testing.T, ln *pipeListener, _ func()) {
		k := newTalker(ln.dial())
		defer k.close()
		k.write(`{"jsonrpc":"2.0","id":0,"method":"hello","params":{"protocol":7,"version":"9.0","new":true}}` + "\n" + statusLine)
		got := k.heard()
		if digest(t, got) != "0: 3, 1: 3" {
			t.Fatalf("got %q", got)
		}
		for _, want := range []string{"9.0", "protocol 7", "1.2.0", "speaks 1"} {
			if !strings.Contains(got[1], want) {
				t.Errorf("%s does not mention %q", got[1], want)
			}
		}
		k.write(`{"jsonrpc":"2.0","id":0,"method":"hello","params":{"protocol":1}}` + "\n")
		if got := digest(t, k.heard()); got != "0: 3" {
			t.Errorf("a second hello: got %q", got)
		}
	})
}

func TestHelloTellsTheVersion(t *testing.T) {
	bubble(t, testServer(Options{Version: "1.2.0"}), func(t *testing.T, ln *pipeListener, _ func()) {
		k := newTalker(ln.dial())
		defer k.close()
		k.write(`{"jsonrpc":"2.0","id":0,"method":"hello","params":{"protocol":1,"new":true}}` + "\n" + statusLine)
		got := k.heard()
		if digest(t, got) != "0: ok, 1: ok" || !strings.Contains(got[0], `"version":"1.2.0"`) {
			t.Errorf("got %q", got)
		}
	})
}

func TestHelloWithoutParamsIsToldWhatItLacks(t *testing.T) {
	bubble(t, testServer(Options{}), func(t *testing.T, ln *pipeListener, _ func()) {
		k := newTalker(ln.dial())
		defer k.close()
		k.write(`{"jsonrpc":"2.0","id":0,"method":"hello"}` + "\n")
		if got := k.heard(); !strings.Contains(got[0], `"hello takes params with the protocol that the client speaks, such as {\"protocol\":1}"`) {
			t.Errorf("got %q", got)
		}
	})
}

func TestHandleTwiceIsABug(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	testServer(Options{}).Handle("status", nil)
}

func TestShutdownDoesNotWaitLongForAStuckReader(t *testing.T) {
	bubble(t, testServer(Options{}), func(t *testing.T, ln *pipeListener, end func()) {
		nc := ln.dial() // never reads
		defer nc.Close()
		nc.Write([]byte(statusLine))
		synctest.Wait()
		begun := time.Now()
		end()
		if took := time.Since(begun); took > shutdownWrite {
			t.Errorf("took %v", took)
		}
	})
}

func TestShutdownSendsWhatIsQueued(t *testing.T) {
	bubble(t, testServer(Options{}), func(t *testing.T, ln *pipeListener, end func()) {
		nc := ln.dial()
		nc.Write([]byte(`{"jsonrpc":"2.0","id":1,"method":"count","params":{"n":3}}` + "\n"))
		synctest.Wait() // the writer of the notifications stands before the answer
		var wg sync.WaitGroup
		wg.Go(end)
		time.Sleep(shutdownWrite / 2)
		k := newTalker(nc)
		defer k.close()
		if got := k.heard(); len(got) != 4 || digest(t, got[3:]) != "1: ok" {
			t.Errorf("got %q, want three notifications and the answer", got)
		}
		wg.Wait()
	})
}

// TestCallKnowsThatItsClientIsGone asks while the reader of the connection may
// not have noticed yet.
func TestCallKnowsThatItsClientIsGone(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Skip("nobody can tell here")
	}
	a, b, err := unixPair(t)
	if err != nil {
		t.Fatal(err)
	}
	c := Call{conn: &conn{nc: a}}
	if c.Gone() {
		t.Error("gone at once")
	}
	b.(*net.UnixConn).CloseWrite()
	if c.Gone() {
		t.Error("gone when it only sends no more")
	}
	b.Close()
	if !c.Gone() {
		t.Error("still there")
	}
}

// unixPair returns the two ends of a connection.
func unixPair(t *testing.T) (a, b net.Conn, err error) {
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		return nil, nil, err
	}
	defer ln.Close()
	if b, err = net.Dial("unix", ln.Addr().String()); err != nil {
		return nil, nil, err
	}
	a, err = ln.Accept()
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b, err
}
