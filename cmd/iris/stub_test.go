package main

import (
	"bytes"
	"context"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"iris/ipc"
)

// A stub is a daemon that answers as a test wants. It can be killed and come
// back at the same socket.
type stub struct {
	t      *testing.T
	socket string
	handle map[string]ipc.Handler

	mu    sync.Mutex // protects the fields below
	calls []string   // methods in the order of their calls
	conns []net.Conn
	sent  []byte // to all of them
	end   func() // of this life
}

func newStub(t *testing.T, handle map[string]ipc.Handler) (*stub, *globals) {
	t.Helper()
	s := &stub{t: t, socket: filepath.Join(newHome(t), "stub", "s"), handle: handle}
	s.start()
	t.Cleanup(s.kill)
	return s, &globals{socket: s.socket, noStart: true}
}

// start begins a life of the daemon.
func (s *stub) start() {
	ln, err := ipc.Listen(s.socket)
	if err != nil {
		s.t.Error(err)
		return
	}
	server := ipc.NewServer(ipc.Options{Version: "stub"})
	server.Handle(ipc.MethodFind, func(_ context.Context, c *ipc.Call) (any, error) { // no id needs more
		var ref ipc.MessageRef
		err := c.Bind(&ref)
		return ipc.MessageID{ID: ref.ID}, err
	})
	for name, h := range s.handle {
		server.Handle(name, func(ctx context.Context, c *ipc.Call) (any, error) {
			s.mu.Lock()
			s.calls = append(s.calls, name)
			s.mu.Unlock()
			return h(ctx, c)
		})
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { server.Serve(ctx, known{ln, s}) })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end = func() { ln.Close(); cancel(); wg.Wait() }
}

// known notes the connections of a stub.
type known struct {
	net.Listener
	stub *stub
}

func (k known) Accept() (net.Conn, error) {
	nc, err := k.Listener.Accept()
	if err != nil {
		return nil, err
	}
	k.stub.mu.Lock()
	defer k.stub.mu.Unlock()
	k.stub.conns = append(k.stub.conns, nc)
	return heard{nc.(*net.UnixConn), k.stub}, nil
}

// heard records the received calls.
type heard struct {
	*net.UnixConn
	stub *stub
}

func (h heard) Write(b []byte) (int, error) {
	n, err := h.UnixConn.Write(b)
	h.stub.mu.Lock()
	defer h.stub.mu.Unlock()
	h.stub.sent = append(h.stub.sent, b[:n]...)
	return n, err
}

// after does as h when an id has been sent: the server may still be about to
// when it was told to.
func (s *stub) after(id string, h ipc.Handler) ipc.Handler {
	return func(ctx context.Context, c *ipc.Call) (any, error) {
		for ctx.Err() == nil && !s.hasSent(id) {
			time.Sleep(time.Millisecond)
		}
		return h(ctx, c)
	}
}

func (s *stub) hasSent(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Contains(s.sent, []byte(strconv.Quote(id)))
}

// drop ends all connections without a word.
func (s *stub) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, nc := range s.conns {
		nc.Close()
	}
	s.conns = nil
}

// kill ends the daemon as SIGKILL does. A handler must not call it.
func (s *stub) kill() {
	s.drop()
	s.mu.Lock()
	end := s.end
	s.mu.Unlock()
	end()
}

func (s *stub) called() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.calls, " ")
}

// says answers every call with v or err.
func says(v any, err error) ipc.Handler {
	return func(context.Context, *ipc.Call) (any, error) { return v, err }
}

// never answers no call.
func never(ctx context.Context, _ *ipc.Call) (any, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// taken tells the client the id of its message and then does as h.
func taken(id, state string, h ipc.Handler) ipc.Handler {
	return func(ctx context.Context, c *ipc.Call) (any, error) {
		c.NotifyWait(ipc.NotifyState, ipc.MessageState{ID: id, State: state})
		return h(ctx, c)
	}
}

// lost has the client lose its connection.
func (s *stub) lost(ctx context.Context, c *ipc.Call) (any, error) {
	s.drop()
	return never(ctx, c)
}

// succeeded is the reply of a message that went well.
func succeeded(id, text string) ipc.Reply {
	return ipc.Reply{ID: id, Team: "api", Outcome: "success", Text: text}
}

func wireError(code int, reason, id string) error {
	return &ipc.Error{Code: code, Message: "said " + reason, Data: &ipc.Data{Reason: reason, ID: id}}
}

// expiring returns a context whose time is over when that is called.
func expiring(t *testing.T) (ctx context.Context, expire func()) {
	e := expiry{t.Context(), make(chan struct{})}
	return e, sync.OnceFunc(func() { close(e.over) })
}

type expiry struct {
	context.Context
	over chan struct{}
}

func (e expiry) Done() <-chan struct{} { return e.over }

func (e expiry) Err() error {
	select {
	case <-e.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// stuck calls f, and answers no call.
func stuck(f func()) ipc.Handler {
	return func(ctx context.Context, c *ipc.Call) (any, error) {
		f()
		return never(ctx, c)
	}
}

// awaitLine waits until a line can be read, and leaves it unread.
func awaitLine(t *testing.T, nc *net.UnixConn) {
	raw, err := nc.SyscallConn()
	if err != nil {
		t.Error(err)
		return
	}
	buf := make([]byte, 64<<10)
	for end := time.Now().Add(longEnough); ; time.Sleep(time.Millisecond) {
		n := 0
		raw.Read(func(fd uintptr) bool {
			n, _, _ = syscall.Recvfrom(int(fd), buf, syscall.MSG_PEEK)
			return true
		})
		if bytes.Count(buf[:max(n, 0)], []byte("\n")) >= 2 { // hello and the call
			return
		}
		if time.Now().After(end) {
			t.Error("no call was written")
			return
		}
	}
}
