package ipc

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"time"
)

// A conn is one client of a Server. Its life:
//
//	serveConn          goroutine of the connection, owned by Serve
//	  read             a line at a time, until EOF, a limit, or the end of ctx
//	    handle         decode, refuse
//	      wg.Go        a call, on its own goroutine
//	  linger           a client that sends no more still gets its answers
//	  wg.Wait          for the calls
//	  out.close        when the last writer, such as Notify began, is done
type conn struct {
	// Not changed after serveConn has begun.
	srv  *Server
	nc   net.Conn
	peer Peer
	out  outbox          // locks itself
	wg   sync.WaitGroup  // of the calls
	aux  *sync.WaitGroup // of Serve, which counts this connection too

	// Of the reader's goroutine.
	in        lines
	armed     bool   // a read deadline is set
	stale     bool   // the deadline was for a line that has come
	rejectAll *Error // the answer to everything since a hello of another protocol

	mu       sync.Mutex // protects the fields below
	inFlight map[string]struct{}
	calls    int
	eof      bool // nothing more comes; the last call wakes the reader
}

func serveConn(ctx context.Context, s *Server, nc net.Conn, peer Peer, wg *sync.WaitGroup) {
	c := &conn{srv: s, nc: nc, peer: peer, aux: wg}
	c.out.init(nc, &s.opts)
	c.in = lines{r: nc, limit: s.opts.MaxFrame, reserve: s.reserve}
	c.in.wait = func(begun bool) error { return c.arm(ctx, begun) }
	stop := context.AfterFunc(ctx, func() {
		c.out.shortenDeadline(shutdownWrite)
		nc.SetReadDeadline(past)
	})
	defer stop()
	calls, gone := context.WithCancel(ctx)
	defer gone()

	err := c.read(ctx, calls)
	c.in.drop()
	if err == io.EOF {
		c.linger(ctx)
	}
	gone()
	c.wg.Wait()
	c.out.close()
}

// past is a deadline that ends a read under way.
var past = time.Unix(1, 0)

// read handles lines until there are no more. The server's ctx says why a read has
// ended; the context of the calls may end a moment later.
func (c *conn) read(ctx, calls context.Context) error {
	for {
		line, err := c.in.next()
		if err == io.ErrUnexpectedEOF { // people forget the last line feed
			line, err = c.in.rest(), nil
		}
		if err != nil {
			c.sendFatal(ctx, err)
			return err
		}
		c.stale = true
		if !blank(line) {
			c.handle(calls, line)
		}
	}
}

func blank(line []byte) bool {
	for _, b := range line {
		if b != ' ' && b != '\t' && b != '\r' {
			return false
		}
	}
	return true
}

// arm sets the time limit of a line that has begun, before a read that may block.
func (c *conn) arm(ctx context.Context, begun bool) error {
	switch {
	case begun && (c.stale || !c.armed):
		c.nc.SetReadDeadline(time.Now().Add(FrameTimeout))
	case !begun && c.armed:
		c.nc.SetReadDeadline(time.Time{})
	}
	c.armed, c.stale = begun, false
	return ctx.Err() // checked after the deadline is set: the end of ctx sets one too
}

// sendFatal tells the client which of its errors ends the connection.
func (c *conn) sendFatal(ctx context.Context, err error) {
	var e *Error
	switch {
	case ctx.Err() != nil:
		return
	case errors.Is(err, errTooLong):
		e = reasoned(CodeInvalidRequest, "frame", "message is over the limit of %d bytes", c.srv.opts.MaxFrame)
	case errors.Is(err, os.ErrDeadlineExceeded):
		e = reasoned(CodeInvalidRequest, "half", "message did not end within %v: send each with its line feed", FrameTimeout)
	case errors.As(err, &e): // a reservation that was refused
	default:
		return
	}
	c.srv.opts.Refused(c.peer, e)
	c.answer(appendError(nil, nil, e))
}

// handle acts on one line.
func (c *conn) handle(ctx context.Context, line []byte) {
	r, bad := parseRequest(line)
	c.in.done()
	if c.rejectAll != nil {
		bad = c.rejectAll
	}
	h, ok := c.srv.methods[r.Method]
	if bad == nil && !ok {
		bad = Errorf(CodeMethodNotFound, "no method %q", clip(r.Method))
	}
	if bad == nil {
		bad = c.begin(r.ID)
	}
	if bad != nil {
		c.refuse(r, bad)
		return
	}
	call := c.call(r)
	if r.Method == MethodHello { // it decides about the lines after it
		c.run(ctx, h, call)
		return
	}
	c.wg.Go(func() { c.run(ctx, h, call) })
}

// refuse answers a line that is no proper call. A notification gets no answer, but a
// line that is neither may have been meant as a call.
func (c *conn) refuse(r request, e *Error) {
	id := r.ID
	if id == nil && e.Code != CodeParse && e.Code != CodeInvalidRequest {
		return
	}
	c.mu.Lock()
	if _, ok := c.inFlight[string(id)]; ok {
		id = nil // or this would look like the answer to the other call
	}
	c.mu.Unlock()
	c.answer(appendError(nil, id, e))
}

// begin checks a call against the calls in flight, and adds it to them.
func (c *conn) begin(id []byte) *Error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.inFlight[string(id)]; ok && id != nil {
		return reasoned(CodeInvalidRequest, "in-flight", "id %s is that of a call in flight", clip(string(id)))
	}
	if c.calls >= c.srv.opts.MaxCalls {
		return reasoned(CodeFull, "calls", "%d calls in flight on this connection: wait for an answer", c.calls)
	}
	c.calls++
	if id != nil {
		if c.inFlight == nil {
			c.inFlight = make(map[string]struct{})
		}
		c.inFlight[string(id)] = struct{}{}
	}
	return nil
}

// answered frees the id of a call.
func (c *conn) answered(id []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.inFlight, string(id))
}

// end removes a call from the count. The last call of a client that sends no more
// wakes the reader.
func (c *conn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls--
	if c.calls == 0 && c.eof {
		c.nc.SetReadDeadline(past)
	}
}

// call makes the Call of a request, and reserves the bytes of its params.
func (c *conn) call(r request) *Call {
	call := &Call{Method: r.Method, Params: r.Params, Peer: c.peer, conn: c, id: r.ID}
	if n := len(r.Params); n > smallBuffer && c.srv.reserve(n) == nil {
		call.held = n
	}
	return call
}

// run answers a call and removes it from the count.
func (c *conn) run(ctx context.Context, h Handler, call *Call) {
	defer c.end()
	defer call.release()
	frame := c.respond(ctx, h, call)
	if call.id != nil {
		c.answered(call.id)
		c.answer(frame)
	}
}

// respond calls the handler and returns the frame of the answer. A panic in either
// becomes an error of this call.
func (c *conn) respond(ctx context.Context, h Handler, call *Call) (frame []byte) {
	defer func() {
		if v := recover(); v != nil {
			c.srv.opts.Panic(call.Method, v, debug.Stack())
			frame = appendError(nil, call.id, Errorf(CodeInternal, "the daemon failed in %s: its log has the details", call.Method))
		}
	}()
	result, err := h(ctx, call)
	if call.id == nil {
		return nil
	}
	return encode(call.id, result, err)
}

// encode appends the answer to a call.
func encode(id []byte, result any, err error) []byte {
	if err == nil {
		var frame []byte
		if frame, err = appendResult(nil, id, result); err == nil && len(frame) <= MaxAnswer {
			return frame
		}
		if err == nil {
			err = reasoned(CodeFailed, "frame", "the answer is over the limit of %d bytes", MaxAnswer)
		}
	}
	return appendError(nil, id, toError(err))
}

// answer sends a frame, and waits while the client has too much to read.
func (c *conn) answer(frame []byte) {
	if flusher, err := c.out.add(frame, false, waitFull); flusher && err == nil {
		c.out.flush()
	}
}

// linger waits for a client that has closed only its sending half, as socat does at
// the end of its input, until the client is gone or has its answers.
func (c *conn) linger(ctx context.Context) {
	c.nc.SetReadDeadline(time.Time{})
	c.mu.Lock()
	c.eof = true
	busy := c.calls > 0
	c.mu.Unlock()
	if busy && ctx.Err() == nil { // checked after the deadline was lifted
		awaitHangup(c.nc)
	}
}
