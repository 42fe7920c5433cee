package ipc

import (
	"bufio"
	"context"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// A pipeListener accepts the far ends of net.Pipe, which a synctest bubble can
// see through.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case nc := <-l.conns:
		return nc, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{} }

func (l *pipeListener) dial() net.Conn {
	near, far := net.Pipe()
	l.conns <- far
	return near
}

func ours(net.Conn) (Peer, error) { return Peer{UID: os.Geteuid(), PID: 1}, nil }

// bubble runs f in a synctest bubble, with s served on a listener of pipes. It
// ends s afterwards.
func bubble(t *testing.T, s *Server, f func(t *testing.T, ln *pipeListener, end func())) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s.peerOf = ours
		ln := newPipeListener()
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := s.Serve(ctx, ln); err != nil {
				t.Errorf("Serve: %v", err)
			}
		})
		end := func() { cancel(); wg.Wait() }
		defer end()
		f(t, ln, end)
	})
}

// A talker writes lines to a connection and collects those that come back.
type talker struct {
	nc net.Conn
	wg sync.WaitGroup

	mu    sync.Mutex // protects the fields below
	lines []string
	ended bool
}

func newTalker(nc net.Conn) *talker {
	k := &talker{nc: nc}
	k.wg.Go(func() {
		r := bufio.NewReader(nc)
		for {
			line, err := r.ReadString('\n')
			k.mu.Lock()
			if line != "" {
				k.lines = append(k.lines, strings.TrimSuffix(line, "\n"))
			}
			k.ended = err != nil
			k.mu.Unlock()
			if err != nil {
				return
			}
		}
	})
	return k
}

func (k *talker) write(s string) { k.nc.Write([]byte(s)) }

// heard waits until nothing moves, and returns the output since the last call.
func (k *talker) heard() []string {
	synctest.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	lines := k.lines
	k.lines = nil
	return lines
}

func (k *talker) over() bool {
	synctest.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.ended
}

func (k *talker) close() {
	k.nc.Close()
	k.wg.Wait()
}
