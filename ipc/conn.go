package ipc

import (
	"bytes"
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
//	      run          an inline call, here
//	      wg.Go(run)   any other call, on its own goroutine
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
	leading   bool   // the reader is the writer of out, and has not flushed yet
	armed     bool   // a read deadline is set
	stale     bool   // it was for a line that has come
	condemned *Error // the answer to everything since a hello of another protocol
	scratch   []byte // for the answer of an inline call

	mu       sync.Mutex // protects the fields below
	inFlight map[string]struct{}
	calls    int
	eof      bool // nothing more comes; the last call wakes the reader
}

func serveConn(ctx context.Context, s *Server, nc net.Conn, peer Peer, wg *sync.WaitGroup) {
	c := &conn{srv: s, nc: nc, peer: peer, aux: wg}
	c.out.init(nc, &s.opts)
	c.in = lines{r: nc, limit: s.opts.MaxFrame, reserve: s.reserve}
	c.in.wait = func(begun bool) error { return c.beforeRead(ctx, begun) }
	stop := context.AfterFunc(ctx, func() {
		c.out.hurry(shutdownWrite)
		nc.SetReadDeadline(past)
	})
	defer stop()
	calls, gone := context.WithCancel(ctx)
	defer gone()

	err := c.read(ctx, calls)
	c.uncork()
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

// read handles lines until there are no more. The server's own ctx says why a
// read has ended: that of the calls may end a moment later.
func (c *conn) read(ctx, calls context.Context) error {
	for {
		line, err := c.in.next()
		if err == io.ErrUnexpectedEOF { // people forget the last line feed
			line, err = c.in.rest(), nil
		}
		if err != nil {
			c.farewell(ctx, err)
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

// beforeRead sends what was answered so far, before a read that may block, and
// gives a line that has begun its time.
func (c *conn) beforeRead(ctx context.Context, begun bool) error {
	c.uncork()
	switch {
	case begun && (c.stale || !c.armed):
		c.nc.SetReadDeadline(time.Now().Add(c.srv.opts.FrameTimeout))
	case !begun && c.armed:
		c.nc.SetReadDeadline(time.Time{})
	}
	c.armed, c.stale = begun, false
	return ctx.Err() // asked after it was set: the end of ctx sets it too
}

// farewell tells the client which of its faults ends the connection.
func (c *conn) farewell(ctx context.Context, err error) {
	var e *Error
	switch {
	case ctx.Err() != nil:
		return
	case errors.Is(err, errTooLong):
		e = reasoned(CodeInvalidRequest, "frame", "message is over the limit of %d bytes", c.srv.opts.MaxFrame)
	case errors.Is(err, os.ErrDeadlineExceeded):
		e = reasoned(CodeInvalidRequest, "half", "message did not end within %v: send each with its line feed", c.srv.opts.FrameTimeout)
	case errors.As(err, &e): // a reserve that was refused
	default:
		return
	}
	c.srv.opts.Refused(c.peer, e)
	c.reply(appendError(nil, nil, e))
}

// handle decides what becomes of one line.
func (c *conn) handle(ctx context.Context, line []byte) {
	r, bad := parseRequest(line)
	if c.condemned != nil {
		bad = c.condemned
	}
	m, ok := c.srv.methods[r.method]
	if bad == nil && !ok {
		bad = Errorf(CodeMethodNotFound, "no method %q", clip(r.method))
	}
	if bad == nil {
		bad = c.begin(r.id, m.inline)
	}
	switch {
	case bad != nil:
		c.refuse(r, bad)
	case m.inline:
		c.inline(ctx, m, r)
	default:
		c.launch(ctx, m, r)
	}
}

// refuse answers what is no proper call. A notification has no answer, but
// whoever sends what is neither may have meant a call.
func (c *conn) refuse(r request, e *Error) {
	id := r.id
	if id == nil && e.Code != CodeParse && e.Code != CodeInvalidRequest {
		return
	}
	c.mu.Lock()
	if _, ok := c.inFlight[string(id)]; ok {
		id = nil // or this would look like the answer to the other call
	}
	c.mu.Unlock()
	c.reply(appendError(nil, id, e))
}

// begin checks a call against those in flight, and counts it among them unless
// it is over before the next one is read.
func (c *conn) begin(id []byte, inline bool) *Error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.inFlight[string(id)]; ok && id != nil {
		return reasoned(CodeInvalidRequest, "in-flight", "id %s is that of a call in flight", clip(string(id)))
	}
	if inline {
		return nil
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

// answered frees the id of a call for another one.
func (c *conn) answered(id []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.inFlight, string(id))
}

// end counts a call out. The last one of a client that sends no more wakes the
// reader.
func (c *conn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls--
	if c.calls == 0 && c.eof {
		c.nc.SetReadDeadline(past)
	}
}

// inline runs a call on the reader's goroutine.
func (c *conn) inline(ctx context.Context, m method, r request) {
	call := &Call{Method: r.method, Params: r.params, Peer: c.peer, conn: c, id: r.id, inline: true}
	frame := c.respond(ctx, m, call, c.scratch[:0])
	c.scratch = nil
	if r.id != nil {
		c.reply(frame)
		if cap(frame) <= smallBuffer { // the outbox has copied it
			c.scratch = frame
		}
	}
}

// launch runs a call on a goroutine of its own. What it needs of the line is
// made to last.
func (c *conn) launch(ctx context.Context, m method, r request) {
	call := &Call{Method: r.method, Peer: c.peer, conn: c, id: bytes.Clone(r.id)}
	call.Params, call.held = c.in.take(r.params)
	c.wg.Go(func() {
		defer c.end()
		defer call.release()
		frame := c.respond(ctx, m, call, nil)
		if call.id != nil {
			c.answered(call.id)
			c.answer(frame)
		}
	})
}

// respond calls the handler and appends the answer to dst. A panic in either
// becomes an error of this call.
func (c *conn) respond(ctx context.Context, m method, call *Call, dst []byte) (frame []byte) {
	defer func() {
		if v := recover(); v != nil {
			c.srv.opts.Panic(call.Method, v, debug.Stack())
			frame = appendError(nil, call.id, Errorf(CodeInternal, "the daemon failed in %s: its log has the details", call.Method))
		}
	}()
	result, err := m.handle(ctx, call)
	if call.id == nil {
		return nil
	}
	return encode(dst, call.id, result, err)
}

// encode appends the answer to a call.
func encode(dst, id []byte, result any, err error) []byte {
	if err == nil {
		var frame []byte
		if frame, err = appendResult(dst, id, result); err == nil && len(frame) <= MaxAnswer {
			return frame
		}
		if err == nil {
			err = reasoned(CodeFailed, "frame", "the answer is over the limit of %d bytes", MaxAnswer)
		}
	}
	return appendError(dst, id, toError(err))
}

// reply sends from the reader's goroutine: when nothing more is at hand to
// handle, or when enough has gathered.
func (c *conn) reply(frame []byte) {
	if !c.leading {
		c.leading, _ = c.out.add(frame, false, waitFull)
		return
	}
	c.out.add(frame, false, passFull)
	if c.out.much() {
		c.uncork()
	}
}

// uncork sends what reply has gathered.
func (c *conn) uncork() {
	if c.leading {
		c.leading = false
		c.out.flush()
	}
}

// answer sends from a call's own goroutine, which may wait.
func (c *conn) answer(frame []byte) {
	if lead, err := c.out.add(frame, false, waitFull); lead && err == nil {
		c.out.flush()
	}
}

// linger stays for a client that has closed its sending half only, as socat
// does at the end of its input, until it is gone or has its answers.
func (c *conn) linger(ctx context.Context) {
	c.nc.SetReadDeadline(time.Time{})
	c.mu.Lock()
	c.eof = true
	busy := c.calls > 0
	c.mu.Unlock()
	if busy && ctx.Err() == nil { // asked after the deadline was lifted
		awaitHangup(c.nc)
	}
}
