package ipc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"iris/config/sys"
)

// Limits, each the default of the Options field of the same name.
const (
	MaxFrame       = 32 << 20  // bytes of a line that the server accepts
	MaxAssembly    = 256 << 20 // bytes of buffers for long lines, over all connections
	MaxClients     = 1024      // connections
	MaxCalls       = 64        // calls in flight on a connection
	MaxQueueBytes  = 1 << 20   // bytes that wait for a client to read, beside its answers
	MaxQueueFrames = 4096      // the same in frames
)

// Limits that cannot be changed.
const (
	FrameTimeout   = 30 * time.Second // from the first byte of a line to its last
	WriteTimeout   = 30 * time.Second // of a write that makes no progress
	MaxDepth       = 64               // levels that a request nests
	MaxAnswer      = 512 << 20        // bytes of a line that a client accepts
	MaxAnswerDepth = 1024             // levels that an answer nests
)

// shutdownWrite is how long a client may leave an answer unread when the server ends.
const shutdownWrite = time.Second

// Options configure a Server. The zero value is ready for use.
type Options struct {
	Version string // of this program, for hello
	Config  string // the configuration file in use, for hello

	MaxFrame       int
	MaxAssembly    int64
	MaxClients     int
	MaxCalls       int
	MaxQueueBytes  int
	MaxQueueFrames int

	// Panic reports a panic of a handler, on the goroutine of the call.
	Panic func(method string, value any, stack []byte)
	// Refused is called when a connection is refused, or dropped because of its
	// client.
	Refused func(peer Peer, err error)
}

func (o *Options) setDefaults() {
	setDefault(&o.MaxFrame, MaxFrame)
	setDefault(&o.MaxAssembly, MaxAssembly)
	setDefault(&o.MaxClients, MaxClients)
	setDefault(&o.MaxCalls, MaxCalls)
	setDefault(&o.MaxQueueBytes, MaxQueueBytes)
	setDefault(&o.MaxQueueFrames, MaxQueueFrames)
	if o.Panic == nil {
		o.Panic = func(string, any, []byte) {}
	}
	if o.Refused == nil {
		o.Refused = func(Peer, error) {}
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Handler answers a call. The caller gets an *Error as it is, and any other error as
// CodeInternal with its text. A nil result is {}.
//
// ctx ends when the client is gone or the server ends. The client then waits no
// longer, but work that was accepted from it goes on.
type Handler func(ctx context.Context, c *Call) (any, error)

// A Server answers calls. Register the methods first, then call Serve.
type Server struct {
	// Not changed once Serve was called.
	opts    Options
	methods map[string]Handler
	peerOf  func(net.Conn) (Peer, error) // tests replace it

	assembly atomic.Int64 // bytes reserved for long lines

	mu    sync.Mutex // protects the field below
	conns int
}

// NewServer returns a server without methods but hello.
func NewServer(opts Options) *Server {
	opts.setDefaults()
	s := &Server{opts: opts, methods: make(map[string]Handler), peerOf: func(nc net.Conn) (Peer, error) { return PeerOf(nc) }}
	s.methods[MethodHello] = s.hello
	return s
}

// Handle registers a method. Each call of it has a goroutine.
func (s *Server) Handle(name string, h Handler) {
	if _, ok := s.methods[name]; ok {
		panic(fmt.Sprintf("bug: method %q registered twice", name))
	}
	s.methods[name] = h
}

// Clients returns the number of connections.
func (s *Server) Clients() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

// Serve accepts connections until ctx ends, then closes ln and waits until every
// connection and call is gone. Calls in flight see the end of their context, and
// their answers are still sent. Closing ln earlier only ends accepting; the
// connections live on until ctx ends. Several listeners may be served at a time.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(ctx, func() { ln.Close() })
	var wg sync.WaitGroup
	err := s.accept(ctx, ln, func(nc net.Conn, peer Peer) {
		wg.Go(func() {
			defer s.leave()
			serveConn(ctx, s, nc, peer, &wg)
		})
	})
	if errors.Is(err, net.ErrClosed) {
		<-ctx.Done()
		err = nil
	}
	cancel()
	wg.Wait()
	ln.Close() // the call by AfterFunc may still be running
	return err
}

// accept hands every admitted connection to serve, until the listener fails.
func (s *Server) accept(ctx context.Context, ln net.Listener, serve func(net.Conn, Peer)) error {
	var pause time.Duration
	for {
		nc, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if !shortage(err) {
				return fmt.Errorf("accept connections: %w", err)
			}
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.opts.Refused(Peer{}, err)
			sys.Sleep(ctx, pause)
			continue
		}
		pause = 0
		if peer, ok := s.admit(nc); ok {
			serve(nc, peer)
		} else {
			nc.Close()
		}
	}
}

// shortage reports whether an error of Accept passes by itself.
func shortage(err error) bool {
	for _, errno := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// admit decides about a connection before reading from it.
func (s *Server) admit(nc net.Conn) (Peer, bool) {
	peer, err := s.peerOf(nc)
	if err == nil && peer.UID != os.Geteuid() {
		err = fmt.Errorf("%w: client of uid %d, pid %d", ErrForeign, peer.UID, peer.PID)
	}
	if err != nil {
		s.opts.Refused(peer, err)
		return peer, false
	}
	if s.enter() {
		return peer, true
	}
	full := reasoned(CodeFull, "clients", "the daemon has %d clients already: try again later", s.opts.MaxClients)
	s.opts.Refused(peer, full)
	nc.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)) // a new socket has room for it
	nc.Write(appendError(nil, nil, full))
	return peer, false
}

func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns >= s.opts.MaxClients {
		return false
	}
	s.conns++
	return true
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns--
}

// reserve counts n bytes of buffers for long lines.
func (s *Server) reserve(n int) error {
	if s.assembly.Add(int64(n)) <= s.opts.MaxAssembly || n < 0 {
		return nil
	}
	s.assembly.Add(int64(-n))
	return reasoned(CodeFull, "assembly", "long messages of all clients take %d bytes already: try again later",
		s.opts.MaxAssembly)
}

// hello says who the daemon is, and rejects everything after it if the client speaks
// another protocol or insists on another configuration.
func (s *Server) hello(_ context.Context, c *Call) (any, error) {
	own := Hello{Protocol: Version, Version: s.opts.Version, PID: os.Getpid(), Config: s.opts.Config}
	theirs, err := helloOf(c.Params)
	if err != nil {
		return nil, err
	}
	e := mismatch(own, theirs)
	if e == nil {
		return own, nil
	}
	c.conn.rejectAll = e
	return nil, e
}

// mismatch says why a client and this server cannot work together.
func mismatch(own, theirs Hello) *Error {
	if theirs.Protocol == Version {
		if theirs.Config == "" || theirs.Config == own.Config {
			return nil
		}
		e := reasoned(CodeUsage, "other-configuration", "the running daemon, pid %d, uses %s, not %s", own.PID, own.Config, theirs.Config)
		e.Data.Hint = `stop it with "iris daemon stop", or give the other configuration a --socket and state directory of its own`
		return e
	}
	e := reasoned(CodeDaemon, "protocol", "this iris is %s and speaks protocol %d; the running daemon is %s, pid %d, and speaks %d",
		orUnknown(theirs.Version), theirs.Protocol, orUnknown(own.Version), own.PID, Version)
	e.Data.Hint = "stop the daemon when its turns are done: the next call starts the other version"
	return e
}
